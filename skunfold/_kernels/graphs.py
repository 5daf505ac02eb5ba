"""Couplings on the edges of a graph: sums over the edges that meet in a node.

Every edge {i, j} is two directed edges. They are sorted by the node they end in, and
everything per directed edge is an array (n_directed, n_samples): time and memory grow with
edges x samples, never with nodes squared.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np


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
        order = np.argsort(end, kind="stable")
        position = np.empty_like(order)
        position[order] = np.arange(2 * n_edges)
        opposite = position[(order + n_edges) % (2 * n_edges)]
        return source[order], end[order], order % n_edges, opposite

    @cached_property
    def _segments(self):
        """The nodes that have edges, and where these begin among the directed ones."""
        return np.unique(self.directed[1], return_index=True)

    def at_ends(self, values):
        """Return the sum of the values over the edges that end in each node, (n_nodes, n)."""
        nodes, starts = self._segments
        out = np.zeros((self.n_nodes, values.shape[1]), values.dtype)
        if len(nodes):
            out[nodes] = np.add.reduceat(values, starts, axis=0)
        return out

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
