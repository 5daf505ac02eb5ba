"""Chains of class nodes, exactly: forward-backward and the most probable states (Viterbi).

The chains of a batch advance side by side. Rows are packed by their place in the chain, the
longest chains first, so that place s of all chains that reach it is a block of rows::

    forward   m_t[c] = log sum_b exp(theta_s[b] + m_s[b] + A[b, c])      t follows s
    backward  w_s[b] = log sum_c exp(theta_t[c] + w_t[c] + A[b, c])
    totals    T = theta + m + w                    of which the softmax are the marginals

Rabiner, "A tutorial on hidden Markov models" (1989), section III.
"""

from typing import NamedTuple

import numpy as np

from skunfold._kernels.class_messages import log_above, outer_products, times
from skunfold._kernels.numerics import smallest_of
from skunfold._kernels.probabilities import exp_below, row_max, row_sums, softmax


class Packed(NamedTuple):
    """Rows of chains in the order of their places, and where each place begins."""

    rows: np.ndarray  # (n_rows,)
    bounds: list[int]  # (longest chain + 1,)

    def steps(self):
        """Return for each step the blocks of its senders and of the rows that follow."""
        b = self.bounds
        return [
            (slice(b[s], b[s] + b[s + 2] - b[s + 1]), slice(b[s + 1], b[s + 2]))
            for s in range(len(b) - 2)
        ]


def packed(graph):
    """Return the Packed rows of a ChainGraph."""
    last = np.flatnonzero(~graph.linked)
    starts = np.append(0, last[:-1] + 1)
    lengths = last + 1 - starts
    place = np.arange(len(graph.linked)) - np.repeat(starts, lengths)
    rank = np.empty(len(lengths), np.intp)
    rank[np.argsort(-lengths, kind="stable")] = np.arange(len(lengths))
    rows = np.lexsort((np.repeat(rank, lengths), place))
    return Packed(rows, np.append(0, np.cumsum(np.bincount(place))).tolist())


def forward_backward(field, tables, graph):
    """Return the totals (n_rows, K), and a tape, for exp(A) up to constants as `tables`.

    Tables are (K, K), or one for each row to the next, (n_rows - 1, K, K).
    """
    pack = packed(graph)
    theta = field[pack.rows]
    ahead, behind = np.zeros_like(theta), np.zeros_like(theta)
    forward, backward = [], []
    for senders, receivers in pack.steps():
        x = exp_below(theta[senders] + ahead[senders])
        m = times(x, _of_edges(tables, pack, senders), True)
        log_above(m, smallest_of(m.dtype), ahead[receivers])
        forward.append((x, m))
    for receivers, senders in reversed(pack.steps()):
        x = exp_below(theta[senders] + behind[senders])
        m = times(x, _of_edges(tables, pack, receivers), False)
        log_above(m, smallest_of(m.dtype), behind[receivers])
        backward.append((x, m))
    totals = np.empty_like(theta)
    totals[pack.rows] = theta + ahead + behind
    return totals, (pack, tables, forward, backward, ahead, behind)


def forward_backward_adjoint(g, tape):
    """Return dE by the field and by the tables' A, from g = dE/dtotals."""
    pack, tables, forward, backward, _, _ = tape
    g = g[pack.rows]
    g_theta, g_ahead, g_behind = g.copy(), g.copy(), g.copy()
    g_tables = np.zeros_like(tables)
    steps = pack.steps()
    for (senders, receivers), (x, m) in zip(reversed(steps), reversed(forward)):
        d = _step_adjoint(g_tables, tables, pack, senders, x, g_ahead[receivers] / m, True)
        g_theta[senders] += d
        g_ahead[senders] += d
    for (receivers, senders), (x, m) in zip(steps, reversed(backward)):
        d = _step_adjoint(g_tables, tables, pack, receivers, x, g_behind[receivers] / m, False)
        g_theta[senders] += d
        g_behind[senders] += d
    g_tables *= tables
    out = np.empty_like(g)
    out[pack.rows] = g_theta
    return out, g_tables


def _step_adjoint(g_tables, tables, pack, first, x, g, forward):
    """Add a step's gradient of the tables; return that of the senders' exponents."""
    table = _of_edges(tables, pack, first)
    outer = outer_products(x, g, table, forward)
    if table.ndim == 2:
        g_tables += outer
    else:
        g_tables[pack.rows[first]] += outer
    return times(g, table, not forward) * x


def _of_edges(tables, pack, first):
    """Return the table of the edges that run from a block of rows."""
    return tables if tables.ndim == 2 else tables[pack.rows[first]]


class Likelihood(NamedTuple):
    """The negative log-likelihood of chains, and what its gradient needs."""

    losses: np.ndarray  # (n_rows,), of which the sum over a chain is -log p(y | x)
    ahead: np.ndarray  # exp of each row's total without the next row's message, (n_rows - 1, K)
    behind: np.ndarray  # the same for the next row, without this row's message
    sums: np.ndarray  # (n_rows - 1, 1)


def likelihood(field, raw, totals, tape, graph, y):
    """Return the Likelihood of the classes y (n_rows,) for the tape of `forward_backward`.

    With n_s = theta_s + m_s, n_t = theta_t + w_t and the number d of links of a row::

        log Z = sum over links of log sum_bc exp(n_s[b] + A[b, c] + n_t[c])
                + sum over rows of (1 - d) log sum_c exp(T[c])

    in which constants that were dropped from messages cancel.
    """
    pack, tables, _, _, ahead, behind = tape
    known = [np.empty_like(field) for _ in range(2)]
    for out, messages in zip(known, (ahead, behind)):
        out[pack.rows] = messages
        out += field
    u, v = known[0][:-1], known[1][1:]
    of_links = row_max(u) + row_max(v) + raw.max(axis=(-2, -1)).reshape(-1, 1)
    u, v = exp_below(u.copy()), exp_below(v.copy())
    sums = row_sums(times(u, tables, True) * v)
    np.maximum(sums, smallest_of(sums.dtype), out=sums)
    of_links = (np.log(sums) + of_links)[:, 0]
    linked, rows = graph.linked[:-1], np.arange(len(y))
    if raw.ndim == 2:
        of_links -= raw[y[:-1], y[1:]]
    else:
        of_links -= raw[rows[:-1], y[:-1], y[1:]]
    largest = row_max(totals)
    of_rows = (np.log(row_sums(np.exp(totals - largest))) + largest)[:, 0]
    degrees = np.zeros(len(y), field.dtype)
    degrees[:-1] += linked
    degrees[1:] += linked
    losses = (1 - degrees) * of_rows - field[rows, y]
    losses[:-1] += np.where(linked, of_links, 0)
    return Likelihood(losses, u, v, sums)


def likelihood_gradients(found, totals, tables, graph, y, weight):
    """Return dE by the field and by the tables' A: marginals minus indicators of y.

    `weight` (n_rows,), which is the same for all rows of a chain, multiplies the losses.
    """
    rows = np.arange(len(y))
    g = softmax(totals)
    g[rows, y] -= 1
    g *= weight[:, np.newaxis]
    of_links = weight[:-1] * graph.linked[:-1]
    shares = found.ahead * (of_links[:, np.newaxis] / found.sums)
    g_tables = outer_products(shares, found.behind, tables, True)
    g_tables *= tables
    if tables.ndim == 2:
        np.subtract.at(g_tables, (y[:-1], y[1:]), of_links)
    else:
        g_tables[rows[:-1], y[:-1], y[1:]] -= of_links
    return g, g_tables


def most_probable(field, tables, graph):
    """Return the most probable states (n_rows,) of chains, and the score of each row's chain.

    For raw tables A, and fields and tables that may be -inf where a state is impossible.
    """
    pack = packed(graph)
    score = field[pack.rows]
    before = np.zeros(score.shape, np.int32)
    steps = pack.steps()
    for senders, receivers in steps:
        table = _of_edges(tables, pack, senders)
        arriving = score[senders][:, :, np.newaxis] + table
        before[receivers] = arriving.argmax(axis=1)
        score[receivers] += arriving.max(axis=1)
    states, scores = score.argmax(axis=1), score.max(axis=1)  # right where chains end
    for senders, receivers in reversed(steps):
        n = receivers.stop - receivers.start
        states[senders] = before[receivers][np.arange(n), states[receivers]]
        scores[senders] = scores[receivers]
    out, of_chain = np.empty_like(states), np.empty_like(scores)
    out[pack.rows], of_chain[pack.rows] = states, scores
    return out, of_chain
