"""Inference in blocks of components, and its results."""

from itertools import pairwise

import numpy as np

from skunfold._kernels.blocks import BlockThreads
from skunfold._kernels.row_graphs import Rows, members


def fill_rows(out, function, features, components, n_rows):
    """Fill `out` and return it: function(Rows) of components of about `n_rows` rows.

    Threads share them. Features and `out` are in the order of the given rows, not in that of
    the components.
    """
    order, starts = components.order, components.starts
    if not np.array_equal(order, np.arange(len(order))):
        features = features[order]

    def fill(block):
        rows = members(starts, block)
        out[order[rows]] = function(Rows(features[rows], components.graph(block, rows)))

    with BlockThreads() as threads:
        threads.map(fill, _blocks(starts, n_rows))
    return out


def _blocks(starts, n_rows):
    """Return slices of components that together have at most some rows, or are one."""
    bounds = [0]
    while bounds[-1] < len(starts) - 1:
        end = np.searchsorted(starts, starts[bounds[-1]] + n_rows, side="right") - 1
        bounds.append(max(bounds[-1] + 1, int(end)))
    return [slice(a, b) for a, b in pairwise(bounds)]


def output(network, parameters, rows):
    """Return the totals after the last sweep, (n_rows, K)."""
    return network.output(parameters, rows)


def all_outputs(network, parameters, rows):
    """Return the totals after each sweep, (n_rows, n_sweeps, K)."""
    return np.stack([h.totals for h in network.states(parameters, rows)], axis=1)


def hidden_units(network, parameters, rows):
    """Return the hidden units of the last sweep, all layers side by side."""
    theta = tuple(parameters[i] for i in network.sets[-1])
    hidden = network.iteration.drive(theta, rows).hidden
    return np.concatenate([np.empty((rows.shape[0], 0), rows.features.dtype), *hidden], axis=1)
