r"""Messages between class nodes of different rows: belief propagation and mean field.

Each row n is a node with K classes and a total field T_n, (K,): its own field and the sum of
the messages that end in it. An edge from s to t has a table A of K x K,

    log p(y | x) = sum_n theta_n[y_n] + sum_(s, t) A[y_s, y_t] + const,

shared by the edges of a kind, (K, K), or one for each edge, (n_edges, K, K). Along an edge, for
a power a, with m' the message that came the other way::

    m_(s -> t)[c] = 1/a log sum_b exp(T_s[b] - a m'[b] + a A[b, c])

a = 1 is belief propagation, which is exact on trees once messages have travelled the longest
path; a -> 0 is mean field, m[c] = sum_b softmax(T_s)[b] A[b, c]; a > 1 is tree-reweighted
propagation, where 1 / a is the probability of the edge in a spanning tree. From t to s it is
the same with A^T. With damping d, (1 - d) m + d m_before is sent.

Constants that are the same for all classes are dropped. The largest elements are subtracted
from the cavity T - a m' and from A, so that both are at most 0 and nothing overflows. A sum
that vanishes is replaced by `smallest_of` its dtype, whose inverses, and sums of these, are
finite.

Hershey, Le Roux and Weninger (arXiv 1409.2574), section 3.2, for nodes of many states.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from skunfold._kernels.fused import fused
from skunfold._kernels.numerics import add, smallest_of
from skunfold._kernels.probabilities import exp_below, softmax


class Tables(NamedTuple):
    """Tables of each kind of edges as a rule uses them, both ways."""

    raw: list  # of (K, K) or (n_edges of the kind, K, K)
    used: list  # what messages are multiplied by


@dataclass(frozen=True)
class BeliefMessages:
    """The messages of belief propagation, and with a power other than 1 of its relatives."""

    power: float = 1.0
    damping: float = 0.0

    def prepare(self, tables):
        """Return the Tables: exp(a A), up to constants of each table."""
        used = []
        for A in tables:
            below = (A - A.max(axis=(-2, -1), keepdims=True)) * A.dtype.type(self.power)
            used.append(np.exp(below, out=below))
        return Tables(tables, used)

    def send(self, totals, messages, tables, graph):
        """Return the messages (2 n_edges, K) for totals (n_rows, K), and a tape.

        `messages` are those of the sweep before, or None.
        """
        cavity = graph.of_senders(totals)
        if messages is not None:
            back = turned(messages)
            cavity -= back if self.power == 1 else back * back.dtype.type(self.power)
        cavity = exp_below(cavity)
        sums = np.empty_like(cavity)
        for way, edges, table in ways(tables.used, graph):
            times(cavity[edges], table, way, out=sums[edges])
        sent = log_above(sums, smallest_of(sums.dtype), np.empty_like(sums))
        if self.power != 1:
            sent *= sent.dtype.type(1 / self.power)
        damped = messages is not None and self.damping > 0
        if damped:
            sent += sent.dtype.type(self.damping) * (messages - sent)
        graph.silence(sent)
        return sent, (cavity, sums, tables, messages is not None, damped)

    def adjoint(self, g, tape, graph):
        """Return dE by the totals, the former messages and the tables, from that by messages.

        g (2 n_edges, K) may be overwritten.
        """
        cavity, sums, tables, has_back, damped = tape
        g_old = None
        if damped:
            d = g.dtype.type(self.damping)
            g_old, g = d * g, (1 - d) * g
        g /= sums
        g_tables: list = [None] * len(tables.used)
        g_cavity = np.empty_like(cavity)
        for (way, edges, table), kind in zip(ways(tables.used, graph), kinds_twice(graph)):
            times(g[edges], table, not way, out=g_cavity[edges])
            outer = outer_products(cavity[edges], g[edges], table, way)
            g_tables[kind] = add(g_tables[kind], outer)
        for g_table, table in zip(g_tables, tables.used):
            g_table *= table
        g_cavity *= cavity
        if self.power != 1:
            g_cavity *= g.dtype.type(1 / self.power)
        if has_back:
            g_back = turned(g_cavity) * g.dtype.type(-self.power)
            g_old = g_back if g_old is None else np.add(g_old, g_back, out=g_old)
        return graph.at_senders(g_cavity), g_old, g_tables


@dataclass(frozen=True)
class MeanFieldMessages:
    """The messages of mean field: beliefs times tables."""

    damping: float = 0.0

    def prepare(self, tables):
        """Return the Tables as they are."""
        return Tables(tables, tables)

    def send(self, totals, messages, tables, graph):
        """Return the messages (2 n_edges, K), and a tape; as for BeliefMessages."""
        beliefs = softmax(totals)
        of_senders = graph.of_senders(beliefs)
        sent = np.empty_like(of_senders)
        for way, edges, table in ways(tables.used, graph):
            times(of_senders[edges], table, way, out=sent[edges])
        damped = messages is not None and self.damping > 0
        if damped:
            sent += sent.dtype.type(self.damping) * (messages - sent)
        graph.silence(sent)
        return sent, (beliefs, of_senders, tables, damped)

    def adjoint(self, g, tape, graph):
        """Return dE by the totals, the former messages and the tables, from that by messages.

        g (2 n_edges, K) may be overwritten.
        """
        beliefs, of_senders, tables, damped = tape
        g_old = None
        if damped:
            d = g.dtype.type(self.damping)
            g_old, g = d * g, (1 - d) * g
        g_tables: list = [None] * len(tables.used)
        g_senders = np.empty_like(g)
        for (way, edges, table), kind in zip(ways(tables.used, graph), kinds_twice(graph)):
            times(g[edges], table, not way, out=g_senders[edges])
            outer = outer_products(of_senders[edges], g[edges], table, way)
            g_tables[kind] = add(g_tables[kind], outer)
        g_beliefs = graph.at_senders(g_senders)
        mean = np.einsum("nc,nc->n", g_beliefs, beliefs)[:, np.newaxis]
        return beliefs * (g_beliefs - mean), g_old, g_tables


def largest_messages(totals, messages, tables, graph):
    """Return the messages of max-product, max_b (T_s[b] - m'[b] + A[b, c]), for raw tables."""
    cavity = graph.of_senders(totals)
    if messages is not None:
        cavity -= turned(messages)
    sent = np.empty_like(cavity)
    for way, edges, table in ways(tables, graph):
        A = table if way else np.swapaxes(table, -1, -2)
        sent[edges] = max_plus(cavity[edges], A)
    sent -= sent.max(axis=1, keepdims=True)
    return graph.silence(sent)


@fused
def max_plus(x, A):
    """Return max_b (x[b] + A[b, c]) of each row (n, K), for tables A (K, K) or (n, K, K)."""
    return (x[:, :, np.newaxis] + A).max(axis=1)


@fused
def log_above(sums, smallest, out):
    """Return the logarithms, in `out`, of sums that are first raised to the smallest value."""
    np.maximum(sums, smallest, out=sums)
    return np.log(sums, out=out)


def turned(messages):
    """Return for each message the one that goes the other way along its edge."""
    n = len(messages) // 2
    return np.concatenate([messages[n:], messages[:n]])


def ways(tables, graph):
    """Yield (whether from source to target, slice of the messages, table), by kind."""
    n = graph.n_edges
    for edges, table in zip(graph.kinds, tables):
        yield True, edges, table
        yield False, slice(n + edges.start, n + edges.stop), table


def kinds_twice(graph):
    """Yield the number of the kind for each of the `ways`."""
    for kind in range(len(graph.kinds)):
        yield kind
        yield kind


def times(values, table, forward, out=None):
    """Return values (e, K) times the table, or its transpose, of their edges."""
    if table.ndim == 2:
        return np.matmul(values, table if forward else table.T, out=out)
    if out is not None:
        out = out[:, np.newaxis] if forward else out[:, :, np.newaxis]
    if forward:
        return np.matmul(values[:, np.newaxis], table, out=out)[:, 0]
    return np.matmul(table, values[:, :, np.newaxis], out=out)[:, :, 0]


def outer_products(senders, g, table, forward):
    """Return the outer products of sent values and received gradients, summed or per edge.

    Shaped like the table: (K, K), or (e, K, K).
    """
    first, second = (senders, g) if forward else (g, senders)
    if table.ndim == 2:
        return first.T @ second
    return first[:, :, np.newaxis] * second[:, np.newaxis]
