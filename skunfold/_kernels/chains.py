"""Chains: their likelihood, and their most probable states (Viterbi)."""

from typing import NamedTuple

import numpy as np

from skunfold._kernels.class_messages import outer_products
from skunfold._kernels.numerics import smallest_of
from skunfold._kernels.passes import there_and_back
from skunfold._kernels.probabilities import row_max, row_sums, softmax


class Likelihood(NamedTuple):
    """The negative log-likelihood of chains, and what its gradient needs of each link."""

    losses: np.ndarray  # (n_rows,), of which the sum over a chain is -log p(y | x)
    links: np.ndarray  # (n_links,): the earlier row
    ahead: np.ndarray  # exp of its total without the next row's message, (n_links, K)
    behind: np.ndarray  # the same for the next row, without this row's message
    sums: np.ndarray  # (n_links, 1): of their products over the table


def likelihood(field, raw, totals, tape, graph, y):
    """Return the Likelihood of the classes y (n_rows,) for the tape of passes there and back.

    A message ahead is without the largest exponent, the peak, and without that of the table, so
    that for each chain::

        log Z = sum over links of (peak + max A) + log sum_c exp(T[c]) of the last row
    """
    route, (x_ahead, x_behind), (sums, _), peaks = tape
    column = np.empty_like(route.order)
    column[route.order] = np.arange(len(y))
    rows, links, ends = np.arange(len(y)), np.flatnonzero(graph.linked), ~graph.linked
    senders, receivers = column[links], column[links + 1]
    ahead, sums = (a[0].take(senders, axis=1).T for a in (x_ahead, sums))
    behind = x_behind[0].take(receivers, axis=1).T
    own = (links,) if raw.ndim == 3 else ()  # each link has a table
    losses = -field[rows, y]
    losses[links] += peaks[senders] + raw.max(axis=(-2, -1))[own]
    losses[links] -= raw[*own, y[links], y[links + 1]]
    last = totals[ends]
    top = row_max(last)
    losses[ends] += (np.log(row_sums(np.exp(last - top))) + top)[:, 0]
    sums = np.maximum((sums * behind).sum(axis=1, keepdims=True), smallest_of(sums.dtype))
    return Likelihood(losses, links, ahead, behind, sums)


def likelihood_gradients(found, totals, tables, y, weight):
    """Return dE by the field and by the tables' A: marginals minus indicators of y.

    `weight` (n_rows,), which is the same for all rows of a chain, multiplies the losses.
    """
    links = found.links
    g = softmax(totals)
    g[np.arange(len(y)), y] -= 1
    g *= weight[:, np.newaxis]
    shares = found.ahead * (weight[links, np.newaxis] / found.sums)
    of_links = outer_products(shares, found.behind, tables, True)
    chosen = y[links], y[links + 1]
    if tables.ndim == 2:
        of_links *= tables
        np.subtract.at(of_links, chosen, weight[links])
        return g, of_links
    g_tables = np.zeros_like(tables)
    g_tables[links] = of_links * tables[links]
    g_tables[links, *chosen] -= weight[links]
    return g, g_tables


def most_probable(field, tables, graph):
    """Return the most probable states (n_rows,) of chains, and the score of each row's chain.

    For raw tables A, and fields and tables that may be -inf where a state is impossible.
    """
    order, steps, *_ = there_and_back(graph)
    score = field[order]
    before = np.zeros(score.shape, np.int32)
    for sender, receiver, n in steps.tolist():
        senders, receivers = slice(sender, sender + n), slice(receiver, receiver + n)
        table = tables if tables.ndim == 2 else tables[order[senders]]
        arriving = score[senders][:, :, np.newaxis] + table
        before[receivers] = arriving.argmax(axis=1)
        score[receivers] += arriving.max(axis=1)
    states, scores = score.argmax(axis=1), score.max(axis=1)  # right where chains end
    for sender, receiver, n in steps[::-1].tolist():
        senders, receivers = slice(sender, sender + n), slice(receiver, receiver + n)
        states[senders] = before[receivers][np.arange(n), states[receivers]]
        scores[senders] = scores[receivers]
    out, of_chain = np.empty_like(states), np.empty_like(scores)
    out[order], of_chain[order] = states, scores
    return out, of_chain
