"""Chains: their likelihood, and their most probable states (Viterbi)."""

import numpy as np

from skunfold._kernels.class_messages import outer_products
from skunfold._kernels.numerics import smallest_of
from skunfold._kernels.passes import there_and_back
from skunfold._kernels.probabilities import column_sums, row_max, row_sums, softmax


def losses_of_rows(field, raw, totals, tape, graph, y):
    """Return (n_rows,) of which the sum over a chain is -log p(y | x), for classes y (n_rows,).

    From the tape of passes there and back. A message ahead is without the largest exponent, the
    peak, and without that of the table, so that for each chain::

        log Z = sum over links of (peak + max A) + log sum_c exp(T[c]) of the last row
    """
    route, _, _, peaks = tape
    links, ends = np.flatnonzero(graph.linked), ~graph.linked
    peak_of_rows = np.empty_like(peaks)
    peak_of_rows[route.order] = peaks
    own = (links,) if raw.ndim == 3 else ()  # each link has a table
    losses = -field[np.arange(len(y)), y]
    losses[links] += peak_of_rows[links] + raw.max(axis=(-2, -1))[own]
    losses[links] -= raw[*own, y[links], y[links + 1]]
    last = totals[ends]
    top = row_max(last)
    losses[ends] += (np.log(row_sums(np.exp(last - top))) + top)[:, 0]
    return losses


def likelihood_gradients(totals, tables, tape, graph, y, weight):
    """Return dE by the field and by the tables' A: marginals minus indicators of y.

    `weight` (n_rows,), which is the same for all rows of a chain, multiplies the losses.
    """
    route, (x_ahead, x_behind), (sums, _), _ = tape
    g = softmax(totals)
    g[np.arange(len(y)), y] -= 1
    g *= weight[:, np.newaxis]
    column = np.empty_like(route.order)
    column[route.order] = np.arange(len(y))
    links = np.flatnonzero(graph.linked)
    senders, receivers = column[links], column[links + 1]
    behind = x_behind[0].take(receivers, axis=1)
    products = column_sums(sums[0].take(senders, axis=1) * behind)
    np.maximum(products, smallest_of(products.dtype), out=products)
    shares = x_ahead[0].take(senders, axis=1) * (weight[links] / products)
    of_links = outer_products(shares.T, behind.T, tables, True)
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
