"""Mean field: every unit sends its belief.

A unit with total field t believes q = sigmoid(t); a class node q = softmax(t) over its states.
A unit receives the sum of the beliefs of all neighbours, weighted by the couplings::

    up       q_{l-1} W_l          (n, m) (m, k) -> (n, k)
    down     q_{l+1} W_{l+1}^T
    lateral  q_l J_l              J symmetric with zero diagonal, or on edges

With damping d, a unit receives (1 - d) times this sum plus d times that of the previous sweep.
As the sum is linear in the messages w q of the links, this is the damping of belief
propagation; where sweeps are tied, it also damps the beliefs.

Hershey, Le Roux and Weninger (arXiv 1409.2574), section 3.1. The state of a message is the
damped field.
"""

from dataclasses import dataclass

import numpy as np

from skunfold._kernels.graphs import Graph
from skunfold._kernels.layered_mrf import Message
from skunfold._kernels.probabilities import sigmoid, sigmoid_adjoint, softmax


@dataclass(frozen=True)
class MeanField:
    """The rule of mean-field inference."""

    damping: float = 0.0
    block_elements = 1 << 17

    def up_link(self, to_classes):
        """Return the link from a hidden layer to the layer above."""
        return DenseLink(self.damping)

    def down_link(self, from_classes):
        """Return the link from a layer to the hidden layer below."""
        return DenseLink(self.damping, down=True, from_classes=from_classes)

    def lateral_link(self, graph):
        """Return the link inside a layer."""
        return LateralLink(self.damping, graph)

    def table_size(self, sizes, graphs):
        """Return the elements per sample of the widest array."""
        edges = [2 * len(g.i) for g in graphs if g is not None and not g.is_dense]
        return max([*sizes, *edges])


@dataclass(frozen=True)
class _Beliefs:
    """Base class of links: from totals to beliefs, and back; subclasses apply the weights."""

    damping: float

    def _beliefs(self, t):
        return sigmoid(t)

    def _adjoint(self, g, q):
        """Return dE/dt from g = dE/dq, which may be overwritten."""
        return sigmoid_adjoint(g, q)

    def _field(self, q, W):
        """Return the field from beliefs q."""
        raise NotImplementedError

    def _field_adjoint(self, g, q, W):
        """Return dE by q and by the weights from g = dE/dfield."""
        raise NotImplementedError

    def send(self, t, back, old, W):
        """Return the Message of beliefs from totals t; mean field ignores `back`."""
        q = self._beliefs(t)
        field = self._field(q, W)
        damped = old is not None and self.damping > 0
        if damped:
            field += field.dtype.type(self.damping) * (old - field)
        return Message(field, field, (q, damped))

    def adjoint(self, g_field, g_state, message, W):
        """Return dE by (t, back, old, weights), from those by the field and the state."""
        q, damped = message.tape
        g = g_field if g_state is None else np.add(g_state, g_field, out=g_state)
        g_old = None
        if damped:
            d = q.dtype.type(self.damping)
            g, g_old = (1 - d) * g, d * g
        g_q, g_W = self._field_adjoint(g, q, W)
        return self._adjoint(g_q, q), None, g_old, g_W


@dataclass(frozen=True)
class DenseLink(_Beliefs):
    """All units of one layer to all units of the next, up by W or down by its transpose."""

    down: bool = False
    from_classes: bool = False

    def prepare(self, W):
        """Return the weights as they are used."""
        return W.T if self.down else W

    def _beliefs(self, t):
        return softmax(t) if self.from_classes else sigmoid(t)

    def _adjoint(self, g, q):
        if not self.from_classes:
            return super()._adjoint(g, q)
        return q * (g - np.einsum("nc,nc->n", g, q)[:, None])

    def _field(self, q, W):
        return q @ W

    def _field_adjoint(self, g, q, W):
        return g @ W.T, g.T @ q if self.down else q.T @ g


@dataclass(frozen=True)
class LateralLink(_Beliefs):
    """The units of one layer to each other, along the edges of a graph."""

    graph: Graph

    def prepare(self, J):
        """Return the matrix of couplings, or one coupling for each directed edge."""
        return self.graph.matrix(J) if self.graph.is_dense else self.graph.spread(J)

    def _field(self, q, J):
        if self.graph.is_dense:
            return q @ J
        source = self.graph.directed[0]
        return self.graph.at_ends(q.T[source] * J).T

    def _field_adjoint(self, g, q, J):
        if self.graph.is_dense:
            return g @ J, self.graph.gather_matrix(q.T @ g)
        source, end, _, _ = self.graph.directed
        arriving = g.T[end]
        g_J = self.graph.gather(np.einsum("en,en->e", arriving, q.T[source]))
        arriving *= J
        return self.graph.at_sources(arriving).T, g_J
