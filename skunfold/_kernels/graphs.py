"""Couplings on the edges of a graph: sums over the edges that meet in a node.

Every edge {i, j} is two directed edges, and everything per directed edge is an array
(n_directed, n_samples): time and memory grow with edges x samples, never with nodes squared.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np


class Arrangement(NamedTuple):
    """An order of the directed edges in which sums over those that end in a node are fast.

    Round 1 holds one edge of each node, round 2 a second edge of all nodes that have two, and
    so on, with the nodes in the order of their degrees. A sum then adds a few slices, one a
    round. Once fewer nodes are left than rounds, the remaining edges of each of them follow.
    """

    order: np.ndarray  # (n_directed,)
    places: np.ndarray  # of the nodes in the order of their degrees, (n_nodes,)
    rounds: list[slice]  # edges of the first nodes, one each
    others: list[slice]  # all other edges of the first node, of the second, ...


def arranged(end, n_nodes):
    """Return the Arrangement of directed edges that end in the nodes `end`."""
    degrees = np.bincount(end, minlength=n_nodes)
    nodes = np.argsort(-degrees, kind="stable")
    places, degrees = np.argsort(nodes), degrees[nodes]
    n_nodes_left = np.searchsorted(-degrees, -np.arange(degrees.max(initial=0) + 1))
    n_rounds = np.argmin(np.arange(len(n_nodes_left)) + n_nodes_left)  # the fewest slices
    round_sizes = n_nodes_left[:n_rounds]
    n_others = degrees - n_rounds
    n_others = n_others[n_others > 0]

    by_node = np.argsort(places[end], kind="stable")
    rounds = np.empty_like(by_node)
    rounds[by_node] = np.arange(len(end)) - np.repeat(np.cumsum(degrees) - degrees, degrees)
    order = np.lexsort((places[end], np.minimum(rounds, n_rounds)))
    bounds = np.cumsum([0, *round_sizes, *n_others])
    slices = [slice(start, stop) for start, stop in pairwise(bounds.tolist())]
    return Arrangement(order, places, slices[:n_rounds], slices[n_rounds:])


@dataclass(frozen=True)
class Graph:
    """Undirected edges without loops, each given once, among `n_nodes` nodes.

    Edges of the same kind, a number from 0 on, share one weight. Without `kinds` each edge
    has its own.
    """

    n_nodes: int
    i: np.ndarray  # (n_edges,) int
    j: np.ndarray  # (n_edges,) int
    kinds: np.ndarray | None = None  # (n_edges,) int

    @cached_property
    def n_weights(self):
        """The number of weights that the edges have."""
        return len(self.i) if self.kinds is None else int(self.kinds.max(initial=-1)) + 1

    @property
    def is_dense(self):
        """Whether products with a matrix of all pairs of nodes cost less than the edges."""
        return 8 * len(self.i) > self.n_nodes**2

    @cached_property
    def directed(self):
        """Source, end, edge and opposite of the directed edges, (n_directed,) int each."""
        source, end = np.concatenate([self.i, self.j]), np.concatenate([self.j, self.i])
        n_edges = len(self.i)
        order = self._arrangement.order
        position = np.empty_like(order)
        position[order] = np.arange(2 * n_edges)
        opposite = position[(order + n_edges) % (2 * n_edges)]
        return source[order], end[order], order % n_edges, opposite

    @cached_property
    def _arrangement(self):
        return arranged(np.concatenate([self.j, self.i]), self.n_nodes)

    def at_ends(self, values):
        """Return the sum of the values over the edges that end in each node, (n_nodes, n)."""
        _, places, rounds, others = self._arrangement
        out = np.zeros((self.n_nodes, values.shape[1]), values.dtype)
        for edges in rounds:
            out[: edges.stop - edges.start] += values[edges]
        for place, edges in enumerate(others):
            out[place] += values[edges].sum(axis=0)
        return out[places]

    def logs_at_ends(self, values, n_factors):
        """Return the sums of the logarithms of the values, as `at_ends`.

        In rounds, logarithms are of products of at most `n_factors` values, which costs much
        less.
        """
        _, places, rounds, others = self._arrangement
        out = np.zeros((self.n_nodes, values.shape[1]), values.dtype)
        for start in range(0, len(rounds), n_factors):
            first, *more = rounds[start : start + n_factors]
            product = values[first].copy()
            for edges in more:
                product[: edges.stop - edges.start] *= values[edges]
            out[: len(product)] += np.log(product, out=product)
        for place, edges in enumerate(others):
            out[place] += np.log(values[edges]).sum(axis=0)
        return out[places]

    def at_sources(self, values):
        """Return the sum of the values over the edges that leave each node, (n_nodes, n)."""
        return self.at_ends(values[self.directed[3]])

    def spread(self, weights):
        """Return the weight of each directed edge, (n_directed, 1)."""
        return self._of_edges(weights)[self.directed[2], None]

    def gather(self, values):
        """Return the gradient of the weights from that of each directed edge, (n_weights,)."""
        edges = self.directed[2]
        return self._summed(values, edges if self.kinds is None else self.kinds[edges])

    def matrix(self, weights):
        """Return the symmetric matrix of the weights, (n_nodes, n_nodes)."""
        J = np.zeros((self.n_nodes, self.n_nodes), weights.dtype)
        J[self.i, self.j] = J[self.j, self.i] = self._of_edges(weights)
        return J

    def gather_matrix(self, G):
        """Return the gradient of the weights from that of the matrix, (n_weights,)."""
        g = G[self.i, self.j] + G[self.j, self.i]
        return g if self.kinds is None else self._summed(g, self.kinds)

    def _of_edges(self, weights):
        return weights if self.kinds is None else weights[self.kinds]

    def _summed(self, values, places):
        """Return the sums of the values with the same place, (n_weights,)."""
        sums = np.bincount(places, weights=values, minlength=self.n_weights)
        return sums.astype(values.dtype, copy=False)


def complete_graph(n_nodes):
    """Return the graph in which all pairs of nodes are coupled."""
    return Graph(n_nodes, *np.triu_indices(n_nodes, k=1))
