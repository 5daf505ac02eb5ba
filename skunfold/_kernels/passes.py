"""Messages of belief propagation along chains, in rounds or from one end to the other and back.

Chains need no cavities: what a row sends ahead depends on what arrived from behind, and the
other way round. With the field theta and the table A of a link from row s to the next, t::

    ahead    m_t[c] = log sum_b exp(theta_s[b] + m_s[b] + A[b, c])
    behind   w_s[b] = log sum_c exp(theta_t[c] + w_t[c] + A[b, c])
    totals   T = theta + m + w                    of which the softmax are the marginals

A `Route` says in which order. In rounds, all rows send at once, as in each layer of
`class_messages`. There and back, a row sends when it has received: the forward-backward
algorithm, which is exact (Rabiner, "A tutorial on hidden Markov models", 1989, section III).
The chains of a batch advance side by side then: rows are sorted by their place in the chain,
the longest chains first, so that place s of all chains that reach it is a block of rows.

Here arrays have a column for each row, in the order of the route. Tapes are (2, n_rounds, K,
n_rows): x, the exponentials that senders send, up to a factor of each, and their sums over the
table, first of what goes ahead.
"""

from typing import NamedTuple

import numpy as np

from skunfold._kernels.class_messages import outer_products, times
from skunfold._kernels.fused import fused
from skunfold._kernels.numerics import smallest_of


class Route(NamedTuple):
    """The order in which the rows of chains send."""

    order: np.ndarray  # (n_rows,): the row of each column
    steps: np.ndarray  # (n_steps, 3): the first sender ahead, its receiver, how many columns
    linked: np.ndarray  # (n_rows,) bool, of columns: whether a sender ahead is linked
    n_rounds: int  # as many as steps, or one of all steps


def in_rounds(graph, n_rounds):
    """Return the Route in which all rows of a ChainGraph send at once, in some rounds."""
    n = len(graph.linked)
    steps = np.array([[0, 1, max(n - 1, 0)]], np.intp).repeat(n_rounds, axis=0)
    return Route(np.arange(n, dtype=np.intp), steps, graph.linked, n_rounds)


def there_and_back(graph):
    """Return the Route from one end of each chain of a ChainGraph to the other and back."""
    last = np.flatnonzero(~graph.linked)
    starts = np.append(0, last[:-1] + 1)
    lengths = last + 1 - starts
    n_ended = np.cumsum(np.bincount(lengths))  # chains of at most so many rows
    counts = len(lengths) - n_ended[:-1]
    bounds = np.append(0, np.cumsum(counts))
    place = np.repeat(np.arange(len(counts)), counts)
    rank = np.arange(len(place)) - bounds[place]
    order = starts[np.argsort(-lengths, kind="stable")][rank] + place
    steps = np.column_stack([bounds[:-2], bounds[1:-1], counts[1:]])
    return Route(order, steps, np.ones(len(order), bool), 1)


@fused
def passed(field, table, order, steps, linked, n_rounds, keep):
    """Return the totals (n_rows, K), x, the sums, and the peaks (n_rows,).

    The table, exp(A) and at most 1, is (K, K), or (n_rows - 1, K, K): one for each row to the
    next. The other arguments are those of a Route. The peaks are the largest exponents of what
    was last sent ahead, which are not in x. Unless they are to be kept, x and sums are None.
    """
    theta = np.ascontiguousarray(field[order].T)
    messages = np.zeros((2, *theta.shape), theta.dtype)
    tapes = _tapes(theta, n_rounds, 2) if keep else [None, None]
    peaks = theta.max(axis=0)
    for way, place, senders, receivers, links in _walk(steps, n_rounds):
        u = theta[:, senders] + messages[way][:, senders]
        top = u.max(axis=0)
        e = np.exp(u - top)
        s = _mixed(e, table, order[links], way == 0)
        np.maximum(s, smallest_of(s.dtype), out=s)
        if keep:
            for tape, values in zip(tapes, (e, s)):
                tape[way, place, :, senders] = values
        messages[way][:, receivers] = _silenced(np.log(s, out=s), linked[links])
        if way == 0:
            peaks[senders] = top
    totals = np.empty_like(field)
    totals[order] = (theta + messages[0] + messages[1]).T
    return totals, *tapes, peaks


@fused
def passed_adjoint(g, table, order, steps, linked, x, sums):
    """Return dE by the field, and by the sums, from g = dE/dtotals; see `table_gradient`."""
    g = np.ascontiguousarray(g[order].T)
    n_rounds = x.shape[1]
    g_theta, g_messages, (d,) = g.copy(), np.stack([g, g]), _tapes(g, n_rounds, 1)
    for way, place, senders, receivers, links in reversed([*_walk(steps, n_rounds)]):
        received = _silenced(g_messages[way][:, receivers].copy(), linked[links])
        d[way, place, :, senders] = received / sums[way, place, :, senders]
        e = _mixed(d[way, place, :, senders], table, order[links], way == 1)
        e *= x[way, place, :, senders]
        g_theta[:, senders] += e
        if n_rounds == len(steps):  # the totals do not contain messages of former rounds
            g_messages[way] = 0
        g_messages[way][:, senders] += e
    g_field = np.empty(g.T.shape, g.dtype)
    g_field[order] = g_theta.T
    return g_field, d


def table_gradient(table, route, x, d):
    """Return dE by A, shaped like the table, from the tape x and the gradient d by the sums."""
    if table.ndim == 2:
        g = np.matmul(x[0], d[0].swapaxes(1, 2)).sum(axis=0)
        g += np.matmul(d[1], x[1].swapaxes(1, 2)).sum(axis=0)
    else:
        g = np.zeros_like(table)
        for way, place, senders, _, links in _walk(route.steps, route.n_rounds):
            ends = x[way, place, :, senders].T, d[way, place, :, senders].T
            g[route.order[links]] += outer_products(*ends, table, way == 0)
    g *= table
    return g


def _walk(steps, n_rounds):
    """Yield for each message of each way: the way, the place on the tape, columns.

    Columns are slices: those of the senders, of the receivers, and of the earlier rows of both.
    """
    for way in (0, 1):
        for i, (earlier, later, count) in enumerate(steps[:: -1 if way else 1].tolist()):
            ends = slice(earlier, earlier + count), slice(later, later + count)
            yield way, min(i, n_rounds - 1), *(ends[::-1] if way else ends), ends[0]


def _tapes(columns, n_rounds, number):
    """Return arrays of zeros, of a column for each row and round."""
    K, n = columns.shape
    return [np.zeros((2, n_rounds, K, n), columns.dtype) for _ in range(number)]


def _silenced(messages, linked):
    """Set columns of messages that are not sent to zero, in place, and return all."""
    np.copyto(messages, 0, where=~linked)
    return messages


def _mixed(values, table, rows, forward):
    """Return columns of values times the table, or its transpose, of links from some rows."""
    if table.ndim == 2:
        return (table.T if forward else table) @ values
    return times(values.T, table[rows], forward).T
