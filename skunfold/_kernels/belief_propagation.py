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
from functools import cache, lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from skunfold._kernels.graphs import Graph
from skunfold._kernels.layered_mrf import Message
from skunfold._kernels.numerics import add

WORTH_A_PRODUCT = 4096  # with fewer ratios, logarithms cost less than calls of NumPy


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


@lru_cache(maxsize=64)
def _ones(n, dtype):
    ones = np.ones(n, dtype)
    ones.flags.writeable = False
    return ones


def _sum(a, axis):
    """Return the sum over one of three axes, by BLAS: several times faster on short axes."""
    ones = _ones(a.shape[axis], a.dtype)
    if axis == 2:
        return a @ ones
    if axis == 1:
        return np.matmul(ones[None, :], a)[:, 0]
    return (ones @ a.reshape(len(a), -1)).reshape(a.shape[1:])


def _sum_of_logs(r, axis, n_factors):
    """Return the sum of log r over the second or the last of three axes.

    Logarithms are of products of at most `n_factors` ratios, which costs much less where there
    are many.
    """
    n, of_each = r.shape[axis], 1
    while r.size >= WORTH_A_PRODUCT and n > 1 and (2 + n % 2) * of_each <= n_factors:
        of_each *= 2 + n % 2
        first, second, rest = (
            r[(slice(None),) * axis + (places,)]
            for places in (slice(0, n - 1, 2), slice(1, n, 2), slice(n - n % 2, n))
        )
        products = first * second
        if n % 2:
            products[(slice(None),) * axis + (slice(1),)] *= rest
        r, n = products, n // 2
    return _sum(np.log(r), axis)


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

    def _odds(self, t):
        """Return exp(-t), the odds of being off, limited."""
        limit = limit_of(t.dtype)
        x = np.clip(t, -limit, limit)
        return np.exp(np.negative(x, out=x), out=x)

    def _within(self, g, t):
        """Return dE/dt, which is zero where t was limited."""
        limit = limit_of(t.dtype)
        if max(t.max(initial=0), -t.min(initial=0)) > limit:
            g = g * (np.abs(t) <= limit)
        return g

    def _damped(self, r, old):
        """Return the ratios that are sent."""
        if old is None or self.damping == 0:
            return r
        return r * np.power(old / r, r.dtype.type(self.damping))

    def _undamp(self, G, shape, old_was_there):
        """Return dE by the logarithms of the undamped ratios and of the old ones."""
        if not old_was_there or self.damping == 0:
            return G, None
        d = G.dtype.type(self.damping)
        return (1 - d) * G, d * np.broadcast_to(G, shape)

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
        own, other = self._axes(couplings)
        x = np.expand_dims(self._odds(t), other)
        rho = x if back is None else back * x
        d = rho + rho.dtype.type(1)
        r = couplings.E + rho if back is None else np.add(couplings.E, rho, out=rho)
        r /= d
        state = self._damped(r, old)
        field = self._scaled(_sum_of_logs(state, own, couplings.n_factors))
        return Message(field, state, (t, d, r, back is not None, old is not None))

    def adjoint(self, g_field, g_state, message, couplings):
        """Return dE by (t, back, old, weights), from those by the field and the state."""
        t, d, r, has_back, has_old = message.tape
        own, other = self._axes(couplings)
        G = np.expand_dims(self._scaled(g_field.copy()), own)
        if g_state is not None:
            G = np.add(g_state, G, out=g_state)
        G, g_old = self._undamp(G, message.state.shape, has_old)
        Gs = G / d if g_state is None else np.divide(G, d, out=G)
        Gp = Gs * couplings.E
        Gp /= r
        g_weight = self._weight_gradient(_sum(Gp, 0), couplings)
        g_rho = np.subtract(Gs, Gp, out=Gs)
        g_t = _sum(g_rho, other)
        g_t = self._within(np.negative(g_t, out=g_t), t)
        return g_t, g_rho if has_back else None, g_old, g_weight

    def _axes(self, couplings):
        """Return the axes of the sending and of the receiving units."""
        return (2, 1) if self.down != couplings.turned else (1, 2)


@dataclass(frozen=True)
class ToClassLink(_Ratios):
    """All binary units of a layer to the class node."""

    def _arranged(self, W):
        return np.ascontiguousarray(W.T), True

    def send(self, t, back, old, couplings):
        """Return the Message from totals t (n, m); its state is (C, n, m)."""
        rho = self._odds(t)
        if back is not None:
            rho *= back
        d = rho + rho.dtype.type(1)
        r = couplings.E[:, None] + rho
        r /= d
        state = self._damped(r, old)
        field = self._scaled(_sum_of_logs(state, 2, couplings.n_factors).T)
        return Message(field, state, (t, d, r, back is not None, old is not None))

    def adjoint(self, g_field, g_state, message, couplings):
        """Return dE by (t, back, old, weights), from those by the field and the state."""
        t, d, r, has_back, has_old = message.tape
        G = self._scaled(g_field.T.copy())[:, :, None]
        if g_state is not None:
            G = np.add(g_state, G, out=g_state)
        G, g_old = self._undamp(G, message.state.shape, has_old)
        Gs = G / d
        Gp = Gs * couplings.E[:, None]
        Gp /= r
        g_weight = self._weight_gradient(_sum(Gp, 1), couplings)
        g_rho = _sum(np.subtract(Gs, Gp, out=Gs), 0)
        return self._within(-g_rho, t), g_rho if has_back else None, g_old, g_weight


@dataclass(frozen=True)
class FromClassLink(_Ratios):
    """The class node to all binary units of a layer."""

    def _arranged(self, W):
        return np.ascontiguousarray(W.T), True

    def send(self, t, back, old, couplings):
        """Return the Message from totals t (n, C), given back (C, n, m); state is (n, m)."""
        u = t - t.max(axis=1, keepdims=True)
        shares = np.exp(np.maximum(u, -limit_of(t.dtype))).T[:, :, None] / back
        weighted = shares * couplings.E[:, None]
        total, weighted_total = _sum(shares, 0), _sum(weighted, 0)
        r = weighted_total / total
        state = self._damped(r, old)
        field = self._scaled(np.log(state))
        tape = (u, shares, weighted, total, weighted_total, old is not None)
        return Message(field, state, tape)

    def adjoint(self, g_field, g_state, message, couplings):
        """Return dE by (t, back, old, weights), from those by the field and the state."""
        u, shares, weighted, total, weighted_total, has_old = message.tape
        G = add(self._scaled(g_field.copy()), g_state)
        G, g_old = self._undamp(G, message.state.shape, has_old)
        g_alpha = weighted / weighted_total
        g_alpha *= G
        g_weight = self._weight_gradient(_sum(g_alpha, 1), couplings)
        g_back = shares / total
        g_back *= G
        g_back -= g_alpha
        g_u = -_sum(g_back, 2).T
        # The largest u is subtracted from all, so its gradient is minus the sum of the others';
        # clipped ones have none.
        g_u *= u >= -limit_of(u.dtype)
        top = u == 0
        g_u -= top * (g_u.sum(axis=1) / top.sum(axis=1))[:, None]
        return g_u, g_back, g_old, g_weight


@dataclass(frozen=True)
class LateralLink(_Ratios):
    """The units of one layer to each other; one ratio a directed edge, (n_directed, n)."""

    graph: Graph

    def _arranged(self, W):
        return self.graph.spread(W), False

    def send(self, t, back, old, couplings):
        """Return the Message from totals t (n, m)."""
        source, _, _, opposite = self.graph.directed
        rho = np.ascontiguousarray(self._odds(t).T)[source]
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
        G, g_old = self._undamp(G, message.state.shape, has_old)
        Gs = G / d
        Gp = Gs * couplings.E
        Gp /= r
        g_weight = self._weight_gradient(Gp.sum(axis=1, keepdims=True), couplings)
        # by the source's log-odds, which hold the message back
        g_rho = np.subtract(Gs, Gp, out=Gs)[opposite]
        g_t = self._within(-self.graph.at_ends(g_rho).T, t)
        return g_t, g_rho if has_back else None, g_old, self.graph.gather(g_weight[:, 0])
