"""Graphs whose nodes are rows: which rows send to which, and sums at the ends.

An edge runs from a source row to a target row and has a kind. It carries two messages, one
each way, so everything per message is an array (2 n_edges, n_classes): first the messages from
source to target, edge by edge, then those from target to source.

Batches consist of connected components. Rows are sorted so that each component is consecutive;
several components side by side are again a graph, without edges in between.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components


class Rows(NamedTuple):
    """Features of the rows of whole components, and the graph of these rows."""

    features: Any  # (n_rows, n_features), dense or sparse
    graph: Any

    @property
    def shape(self):
        """The shape of the features."""
        return self.features.shape


@dataclass(frozen=True)
class ChainGraph:
    """Rows of which some are linked to the next row; the links are edges of one kind."""

    linked: np.ndarray  # (n_rows,) bool; the last is False

    @property
    def n_edges(self):
        """One edge between each row and the next; those of unlinked rows carry no messages."""
        return max(len(self.linked) - 1, 0)

    @property
    def kinds(self):
        """The edges of each kind."""
        return (slice(0, self.n_edges),)

    @property
    def sources(self):
        """The row that each edge runs from; the other one follows it."""
        return np.arange(self.n_edges)

    @property
    def targets(self):
        """The row that each edge runs to."""
        return np.arange(1, self.n_edges + 1)

    @cached_property
    def _silent(self):
        """The messages between rows that are not linked."""
        between = np.flatnonzero(~self.linked[:-1])
        return np.concatenate([between, self.n_edges + between])

    def silence(self, messages):
        """Set to zero, in place, what is sent where there is no edge."""
        messages[self._silent] = 0
        return messages

    def of_senders(self, values):
        """Return the values (n_rows, K) of the row that sends each message, a new array."""
        return np.concatenate([values[:-1], values[1:]])

    def of_receivers(self, values):
        """Return the values of the row that each message ends in, zero where none is sent."""
        return self.silence(np.concatenate([values[1:], values[:-1]]))

    def at_receivers(self, messages):
        """Return for each row the sum of the messages that end in it, (n_rows, K)."""
        n = self.n_edges
        out = np.zeros((len(self.linked), messages.shape[1]), messages.dtype)
        out[1:] = messages[:n]
        out[:-1] += messages[n:]
        return out

    def at_senders(self, values):
        """Return for each row the sum of the values of the messages that it sends."""
        n = self.n_edges
        out = np.zeros((len(self.linked), values.shape[1]), values.dtype)
        out[:-1] = values[:n]
        out[1:] += values[n:]
        return out


@dataclass(frozen=True)
class EdgeGraph:
    """Rows with edges between any of them, sorted by kind."""

    n_rows: int
    n_components: int
    sources: np.ndarray  # (n_edges,) int
    targets: np.ndarray  # (n_edges,) int
    kinds: tuple[slice, ...]  # the edges of each kind

    @property
    def n_edges(self):
        """The number of edges."""
        return len(self.sources)

    def silence(self, messages):
        """Return the messages, all of which are sent."""
        return messages

    @cached_property
    def _senders(self):
        return np.concatenate([self.sources, self.targets])

    @cached_property
    def _receivers(self):
        return np.concatenate([self.targets, self.sources])

    def of_senders(self, values):
        """Return the values (n_rows, K) of the row that sends each message, a new array."""
        return values.take(self._senders, axis=0)

    def of_receivers(self, values):
        """Return the values of the row that each message ends in, a new array."""
        return values.take(self._receivers, axis=0)

    def at_receivers(self, messages):
        """Return for each row the sum of the messages that end in it, (n_rows, K)."""
        return self._sums(self._receivers, messages)

    def at_senders(self, values):
        """Return for each row the sum of the values of the messages that it sends."""
        return self._sums(self._senders, values)

    def _sums(self, ends, values):
        order, starts = self._by_row[ends is self._senders]
        ones = np.ones(len(order), values.dtype)
        return csr_array((ones, order, starts), shape=(self.n_rows, len(order))) @ values

    @cached_property
    def _by_row(self):
        """The messages in the order of their receivers, or senders, and where rows begin."""
        n = 2 * self.n_edges
        places = (self._receivers, np.arange(n))
        received = coo_array((np.ones(n, bool), places), shape=(self.n_rows, n)).tocsr()
        # What one end receives, the other end sends.
        sent = (received.indices + self.n_edges) % max(n, 1)
        return (received.indices, received.indptr), (sent, received.indptr)


@dataclass(frozen=True)
class Chains:
    """The components of rows that are linked to at most one row before and one after."""

    order: np.ndarray  # (n_rows,): the given rows, chain by chain
    starts: np.ndarray  # (n_components + 1,): where chains begin in that order

    n_kinds = 1

    @classmethod
    def without_edges(cls, n_rows):
        """Return the graph in which each row is a component."""
        return cls(np.arange(n_rows), np.arange(n_rows + 1))

    @property
    def n_edges(self):
        """The number of links."""
        return len(self.order) - len(self.starts) + 1

    @cached_property
    def _linked(self):
        linked = np.ones(len(self.order), bool)
        linked[self.starts[1:] - 1] = False
        return linked

    def graph(self, components, rows=None):
        """Return the graph of some components, a slice or an array of numbers.

        `rows` are the `members` of them, if they are known.
        """
        rows = members(self.starts, components) if rows is None else rows
        return ChainGraph(self._linked[rows])


@dataclass(frozen=True)
class Components:
    """The components of a graph with any edges; edges are sorted by component."""

    order: np.ndarray  # (n_rows,): the given rows, component by component
    starts: np.ndarray  # (n_components + 1,): where components begin in that order
    sources: np.ndarray  # (n_edges,): places in the order
    targets: np.ndarray  # (n_edges,)
    kind_of_edge: np.ndarray  # (n_edges,)
    edge_starts: np.ndarray  # (n_components + 1,)
    n_kinds: int

    @classmethod
    def of(cls, n_rows, sources, targets, kinds, n_kinds):
        """Return the components of edges between rows as they were given."""
        ones = np.ones(len(sources), bool)
        adjacency = coo_array((ones, (sources, targets)), shape=(n_rows, n_rows))
        n, component = connected_components(adjacency, directed=False)
        # The components in the order of their first rows, and rows as they came.
        _, first = np.unique(component, return_index=True)
        rank = np.empty(n, np.intp)
        rank[np.argsort(first)] = np.arange(n)
        component = rank[component]
        order = np.argsort(component, kind="stable")
        place = np.empty(n_rows, np.intp)
        place[order] = np.arange(n_rows)
        of_edge = component[sources]
        edges = np.argsort(of_edge, kind="stable")
        return cls(
            order,
            _starts(component, n),
            place[sources[edges]],
            place[targets[edges]],
            kinds[edges],
            _starts(of_edge, n),
            n_kinds,
        )

    @property
    def n_edges(self):
        """The number of edges."""
        return len(self.sources)

    def graph(self, components, rows=None):
        """Return the graph of some components; as of Chains."""
        rows = members(self.starts, components) if rows is None else rows
        if isinstance(rows, slice) and rows == slice(0, len(self.order)):
            return self._whole
        return self._part(components)

    @cached_property
    def _whole(self):
        """The graph of all rows, such as those of one image, which each pass needs again."""
        return self._part(slice(None))

    def _part(self, components):
        edges = members(self.edge_starts, components)
        first, sizes = _bounds(self.starts, components)
        _, n_edges = _bounds(self.edge_starts, components)
        moved = np.repeat(np.cumsum(sizes) - sizes - first, n_edges)
        kinds = self.kind_of_edge[edges]
        order = np.argsort(kinds, kind="stable")
        ends = np.searchsorted(kinds[order], np.arange(self.n_kinds + 1))
        return EdgeGraph(
            int(sizes.sum()),
            len(sizes),
            (self.sources[edges] + moved)[order],
            (self.targets[edges] + moved)[order],
            tuple(slice(a, b) for a, b in zip(ends[:-1].tolist(), ends[1:].tolist())),
        )


def members(starts, components):
    """Return the places of the items of some components, as a slice if consecutive."""
    if isinstance(components, slice):
        first, last, _ = components.indices(len(starts) - 1)
        return slice(int(starts[first]), int(starts[max(first, last)]))
    first, sizes = _bounds(starts, components)
    return np.repeat(first - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())


def _bounds(starts, components):
    """Return for each of some components where its items begin, and their number."""
    first = starts[:-1][components]
    return first, starts[1:][components] - first


def _starts(of_component, n):
    return np.append(0, np.cumsum(np.bincount(of_component, minlength=n)))


def sums_at(rows, values, n_rows):
    """Return the sums of the values (n, any) that belong to each row, (n_rows, any)."""
    ones = np.ones(len(rows), values.dtype)
    places = (rows, np.arange(len(rows)))
    return coo_array((ones, places), shape=(n_rows, len(rows))).tocsr() @ values
