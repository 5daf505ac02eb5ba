r"""Belief propagation: on each link a unit sends its belief without the message received there.

Along a link with coupling w, from a binary unit with total field t, where the message `back`
came from the other end (both are log-odds), for a power a::

    nu = (1/a) log(1 + sigmoid(t - a back) (exp(a w) - 1))

a = 1 is belief propagation (sum-product), a -> 0 mean field (nu = w sigmoid(t)). To a class
node, nu is a vector over its states c with w = V_jc. A class node with totals u_c sends::

    nu_j = (1/a) log(sum_c exp(u_c - a m_jc + a V_jc) / sum_c exp(u_c - a m_jc))

where m_jc came from unit j. With damping d, the log-odds sent are (1 - d) nu + d nu_before.

Messages are held as ratios r = exp(a nu), so that each link and sample needs only arithmetic.
With E = exp(a w), computed once per coupling, rho = r_back exp(-t) and P_c = exp(u_c)::

    r = (E + rho) / (1 + rho)          r_jc = (E_jc + rho_j) / (1 + rho_j)
    r_j = sum_c n_jc E_jc / sum_c n_jc          n_jc = P_c / r_jc

Only fields need logarithms, of products of as many ratios as stay in range. Gradients need no
transcendental function. Every sum is of positive terms: there is no cancellation. The
derivatives, with s = 1 / (1 + rho) the sender's probability and p = E s / r the same
probability if the receiver were on::

    dlog r / d(a w) = p        dlog r / dlog rho = s - p       dlog rho = dlog r_back - dt
    alpha = n E / sum n E,  beta = n / sum n:
    dlog r_j / d(a V_jc) = alpha_jc       dlog r_j / du_c = alpha_jc - beta_jc

Gradients by a state are by log r; from one, G, follow Gs and then Gp = Gs E / r. Fields, and
couplings times a, are clipped at +-`limit`: 319 in double, 39 in single precision.

Couplings of binary units are (m, k), ratios (n, m, k) in both directions, or (n, k, m) where m
is larger: loops over a long last axis are faster. Couplings of C classes are (m, C), ratios to
the class (C, n, m) and from it (n, m).

Hershey, Le Roux and Weninger (arXiv 1409.2574), section 3.2; the form by ratios is ours.
"""

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from skunfold._kernels.graphs import Graph
from skunfold._kernels.layered_mrf import Message
from skunfold._kernels.numerics import add
from skunfold._kernels.ratios import (
    class_adjoint,
    class_ratios,
    class_shares,
    class_shares_adjoint,
    odds_off,
    pair_adjoint,
    pair_ratios,
    sum_of_logs,
    within,
)


@dataclass(frozen=True)
class BeliefPropagation:
    """The rule of belief propagation."""

    power: float = 1.0
    damping: float = 0.0
    block_elements = 1 << 18

    def up_link(self, to_classes):
        """Return the link from a hidden layer to the layer above."""
        link = ToClassLink if to_classes else PairLink
        return link(self.power, self.damping)

    def down_link(self, from_classes):
        """Return the link from a layer to the hidden layer below."""
        if from_classes:
            return FromClassLink(self.power, self.damping)
        return PairLink(self.power, self.damping, down=True)

    def lateral_link(self, graph):
        """Return the link inside a layer."""
        return LateralLink(self.power, self.damping, graph)

    def table_size(self, sizes, graphs):
        """Return the elements per sample of the widest array."""
        pairs = [m * k for m, k in pairwise(sizes)]
        edges = [2 * len(g.i) for g in graphs if g is not None]
        return max([*sizes, *pairs, *edges])


class Couplings(NamedTuple):
    """E = exp(a w) as links use it, and where it was not limited (None: nowhere)."""

    E: np.ndarray
    inside: np.ndarray | None
    turned: bool  # whether E is that of the transposed weights
    n_factors: int  # number of ratios whose product is certainly in range


@cache
def limit_of(dtype):
    """Return the largest exponent of a ratio: two of them still have a product."""
    return dtype.type(0.45 * np.log(np.finfo(dtype).max))


@dataclass(frozen=True)
class _Ratios:
    """Base class of links: couplings, odds, damping."""

    power: float
    damping: float

    def prepare(self, W):
        """Return the Couplings of an array of weights."""
        arranged, turned = self._arranged(W)
        w = arranged * W.dtype.type(self.power)
        limit = limit_of(W.dtype)
        inside = None
        largest = np.abs(w).max(initial=0)
        if largest > limit:
            inside = np.abs(w) <= limit
            w = np.clip(w, -limit, limit)
        # log r lies between 0 and log E = a w; damping mixes in ratios of former couplings.
        # More than 1024 factors gain nothing.
        bound = limit if self.damping else np.fmax(np.fmin(largest, limit), limit / 512)
        n_factors = int(2 * limit / bound)
        return Couplings(np.exp(w), inside, turned, n_factors)

    def _arranged(self, W):
        """Return the weights in the shape that they are used in; whether it is transposed."""
        raise NotImplementedError

    def _damped(self, r, old):
        """Return the ratios that are sent."""
        if old is None or self.damping == 0:
            return r
        return r * np.power(old / r, r.dtype.type(self.damping))

    def _undamp(self, g_field, g_state, shape, old_was_there):
        """Return dE by the logarithms of the undamped ratios, and of the old ones.

        dE by the ratios is the sum of that by the field, which has one axis of length 1, and
        that by the state.
        """
        if not old_was_there or self.damping == 0:
            return g_field, g_state, None
        d = g_field.dtype.type(self.damping)
        g_old = d * np.broadcast_to(g_field, shape)
        if g_state is not None:
            g_old += d * g_state
            g_state *= 1 - d
        return (1 - d) * g_field, g_state, g_old

    def _weight_gradient(self, g, couplings):
        """Return dE/dw from dE/d(a w) in the shape that they are used in."""
        g *= g.dtype.type(self.power)
        if couplings.inside is not None:
            g *= couplings.inside
        return g.T if couplings.turned else g

    def _scaled(self, field):
        """Return the field, from a times the field."""
        if self.power != 1:
            field *= field.dtype.type(1 / self.power)
        return field


@dataclass(frozen=True)
class PairLink(_Ratios):
    """All binary units of one layer to all of the next, up or down."""

    down: bool = False

    def _arranged(self, W):
        turned = W.shape[0] > W.shape[1]
        return (np.ascontiguousarray(W.T) if turned else W), turned

    def send(self, t, back, old, couplings):
        """Return the Message from totals t, (n, m) going up or (n, k) going down."""
        in_columns = self._in_columns(couplings)
        odds = odds_off(t, limit_of(t.dtype))
        r, d = pair_ratios(odds, back, couplings.E, in_columns)
        state = self._damped(r, old)
        field = sum_of_logs(state, 2 if in_columns else 1, couplings.n_factors)
        return Message(self._scaled(field), state, (t, odds, back, d, r, old is not None))

    def adjoint(self, g_field, g_state, message, couplings):
        """Return dE by (t, back, old, weights), from those by the field and the state."""
        t, odds, back, d, r, has_old = message.tape
        in_columns = self._in_columns(couplings)
        own = 2 if in_columns else 1
        g = np.expand_dims(self._scaled(g_field.copy()), own)
        g, g_state, g_old = self._undamp(g, g_state, r.shape, has_old)
        g_rho, g_weight, g_t = pair_adjoint(
            g.squeeze(own), g_state, odds, back, d, r, couplings.E, in_columns
        )
        g_t = within(np.negative(g_t, out=g_t), t, limit_of(t.dtype))
        return g_t, g_rho, g_old, self._weight_gradient(g_weight, couplings)

    def _in_columns(self, couplings):
        """Return whether the sending units are in columns of the couplings."""
        return self.down != couplings.turned


@dataclass(frozen=True)
class ToClassLink(_Ratios):
    """All binary units of a layer to the class node."""

    def _arranged(self, W):
        return np.ascontiguousarray(W.T), True

    def send(self, t, back, old, couplings):
        """Return the Message from totals t (n, m); its state is (C, n, m)."""
        rho = odds_off(t, limit_of(t.dtype))
        if back is not None:
            rho *= back
        r = class_ratios(rho, couplings.E)
        state = self._damped(r, old)
        field = self._scaled(sum_of_logs(state, 2, couplings.n_factors).T)
        return Message(field, state, (t, rho, r, back is not None, old is not None))

    def adjoint(self, g_field, g_state, message, couplings):
        """Return dE by (t, back, old, weights), from those by the field and the state."""
        t, rho, r, has_back, has_old = message.tape
        g = self._scaled(g_field.T.copy())[:, :, None]
        g, g_state, g_old = self._undamp(g, g_state, r.shape, has_old)
        g_rho, g_weight = class_adjoint(g[:, :, 0], g_state, rho, r, couplings.E)
        g_t = within(-g_rho, t, limit_of(t.dtype))
        g_back = g_rho if has_back else None
        return g_t, g_back, g_old, self._weight_gradient(g_weight, couplings)


@dataclass(frozen=True)
class FromClassLink(_Ratios):
    """The class node to all binary units of a layer."""

    def _arranged(self, W):
        return np.ascontiguousarray(W.T), True

    def send(self, t, back, old, couplings):
        """Return the Message from totals t (n, C), given back (C, n, m); state is (n, m)."""
        u = t - t.max(axis=1, keepdims=True)
        P = np.exp(np.maximum(u, -limit_of(t.dtype)).T, order="C")
        shares, total, weighted_total = class_shares(P, back, couplings.E)
        state = self._damped(weighted_total / total, old)
        field = self._scaled(np.log(state))
        return Message(field, state, (u, shares, total, weighted_total, old is not None))

    def adjoint(self, g_field, g_state, message, couplings):
        """Return dE by (t, back, old, weights), from those by the field and the state."""
        u, shares, total, weighted_total, has_old = message.tape
        G = add(self._scaled(g_field.copy()), g_state)
        G, _, g_old = self._undamp(G, None, G.shape, has_old)
        g_back, g_weight, g_u = class_shares_adjoint(
            G, shares, couplings.E, total, weighted_total
        )
        g_u = g_u.T
        # The largest u is subtracted from all, so its gradient is minus the sum of the others';
        # clipped ones have none.
        g_u *= u >= -limit_of(u.dtype)
        top = u == 0
        g_u -= top * (g_u.sum(axis=1) / top.sum(axis=1))[:, None]
        return g_u, g_back, g_old, self._weight_gradient(g_weight, couplings)


@dataclass(frozen=True)
class LateralLink(_Ratios):
    """The units of one layer to each other; one ratio a directed edge, (n_directed, n)."""

    graph: Graph

    def _arranged(self, W):
        return self.graph.spread(W), False

    def send(self, t, back, old, couplings):
        """Return the Message from totals t (n, m)."""
        source, _, _, opposite = self.graph.directed
        rho = np.ascontiguousarray(odds_off(t, limit_of(t.dtype)).T)[source]
        if back is not None:
            rho *= back[opposite]
        d = rho + rho.dtype.type(1)
        r = np.add(couplings.E, rho, out=rho)
        r /= d
        state = self._damped(r, old)
        field = self.graph.logs_at_ends(state, couplings.n_factors)
        return Message(
            self._scaled(field).T, state, (t, d, r, back is not None, old is not None)
        )

    def adjoint(self, g_field, g_state, message, couplings):
        """Return dE by (t, back, old, weights), from those by the field and the state."""
        t, d, r, has_back, has_old = message.tape
        _, end, _, opposite = self.graph.directed
        G = add(self._scaled(g_field.T[end]), g_state)
        G, _, g_old = self._undamp(G, None, r.shape, has_old)
        Gs = G / d
        Gp = Gs * couplings.E
        Gp /= r
        g_weight = self._weight_gradient(Gp.sum(axis=1, keepdims=True), couplings)
        # by the source's log-odds, which hold the message back
        g_rho = np.subtract(Gs, Gp, out=Gs)[opposite]
        g_t = within(-self.graph.at_ends(g_rho).T, t, limit_of(t.dtype))
        return g_t, g_rho if has_back else None, g_old, self.graph.gather(g_weight[:, 0])
