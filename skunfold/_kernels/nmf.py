"""One multiplicative update of NMF activations as a layer, and its adjoint.

Rows are samples: X is (n, F), the bases W are (R, F), activations h are (n, R), or (1, R)
where every sample starts alike. With the reconstruction v = h W::

    A = X v^(beta-2)         B = v^(beta-1)
    num = A W^T              den = B W^T + sparsity
    h' = h num / den

For beta = 1, B is one and den the row sums of W plus the sparsity: no product. For beta = 2,
num = X W^T and den = h (W W^T) + sparsity: no reconstruction, if that is less work. This is the
update of Lee and Seung (2001), for any beta of Févotte and Idier (2011), with the L1 penalty
of Le Roux, Weninger and Hershey (MERL TR2015-023, section 3); as a layer: Hershey, Le Roux and
Weninger (arXiv 1409.2574, section 4).

The adjoint (transposed derivative) is a linear map of x = dE/dh'. It comes as two maps that
are non-negative for non-negative x: what *rises* and what *falls* with the outputs. So::

    net gradient     rise(g) - fall(g)
    parts            pos = rise(p) + fall(n),  neg = rise(n) + fall(p)        g = p - n

(arXiv 1409.2574, section 4.2, where only the parts are carried). With N = x h / den and
D = x h' / den, the terms are::

    through num      rises     dE/dW: N^T A                  dE/dh: x num / den
    through den      falls     dE/dW: D^T B
    through A        N W (beta-2) A / v     rises with v for beta > 2, falls for beta < 2
    through B        D W (1-beta) B / v     rises with v for beta < 1, falls for beta > 1
    and what comes through v gives          dE/dW: h^T dE/dv     dE/dh: dE/dv W^T
    by Gram matrix, through den, falls      dE/dW: (C + C^T) W, C = h^T D     dE/dh: D W W^T

Floors are added, not taken as a maximum: that is faster, and the gradient is exact.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from skunfold._kernels.numerics import FRESH, Parts, add, floor_of, power, smallest_of


class LayerTape(NamedTuple):
    """What one layer keeps for its adjoint."""

    data: Any  # what `Layer.data` made of the samples
    h: np.ndarray  # (n, R) or (1, R), the activations that came in
    terms: Any  # what else the kind of layer needs
    h_over_den: np.ndarray  # (n, R) or (1, R)
    ratio: np.ndarray  # (n, R), num / den


class Reconstruction(NamedTuple):
    """The reconstruction of a block of samples, and the weights that follow from it."""

    v: np.ndarray  # (n, F) or (1, F), floored
    A: np.ndarray  # (n, F)
    B: np.ndarray | None  # (n, F) or (1, F); None where it is one


def constant_activations(value, n_components, dtype):
    """Return the first layer's input, (1, R): the same for every sample and component."""
    return np.full((1, n_components), value, dtype=dtype)


def layers_of(bases, beta, sparsity, n_samples):
    """Return the layer of each array of bases, ready for `n_samples`; equal ones are shared."""
    uses = Counter(map(id, bases))
    made = {
        id(W): _layer_of(W, beta, sparsity, n_samples, uses[id(W)])
        for W in {id(W): W for W in bases}.values()
    }
    return [made[id(W)] for W in bases]


def _layer_of(W, beta, sparsity, n_samples, uses):
    """Return a layer that is used as often in a row for `n_samples`."""
    n_components, n_features = W.shape
    if beta == 2:
        # Multiplications by n_components: W W^T and X W^T once and the Gram matrix in every
        # use, or v and v W^T in every use.
        once = n_components * n_features + n_samples * n_features
        if once + uses * n_samples * n_components < uses * 2 * n_samples * n_features:
            return GramLayer(W, sparsity, W @ W.T)
    den = None
    if beta == 1:
        den = (W @ np.ones(n_features, W.dtype))[None, :]  # the row sums, by BLAS
        den += W.dtype.type(sparsity) + floor_of(W.dtype)
    return Layer(W, sparsity, beta, den)


def infer(X, layers, h, work=FRESH):
    """Yield the activations (n, R) after each layer, from h.

    It is one array, which the next layer changes.
    """
    out = work.array("h", (X.shape[0], h.shape[1]), X.dtype)
    previous, data = None, None
    for layer in layers:
        if layer is not previous:
            previous, data = layer, layer.data(X, work)
        ratio, _, _ = layer.growth(data, h, work)
        h = _grown(h, ratio, out)
        yield h


def reconstruction(X, h, W, beta, work):
    """Return the Reconstruction of X by h W."""
    v = np.matmul(h, W, out=work.array("v", (h.shape[0], W.shape[1]), X.dtype))
    v += floor_of(X.dtype)
    if beta == 2:
        return Reconstruction(v, X, v)
    A = work.array("A", X.shape, X.dtype)
    if beta == 1:
        return Reconstruction(v, np.divide(X, v, out=A), None)
    B = power(v, beta - 1, out=work.array("B", v.shape, X.dtype))
    np.divide(B, v, out=A[: len(B)])
    return Reconstruction(v, np.multiply(X, A[: len(B)], out=A), B)


def _grown(h, ratio, out):
    """Return h * ratio, kept clear of denormal numbers."""
    np.multiply(h, ratio, out=out)
    out += smallest_of(out.dtype)
    return out


@dataclass(frozen=True)
class _Layer:
    """What both kinds of layer share; subclasses say how activations grow."""

    W: np.ndarray  # (R, F)
    sparsity: float

    def data(self, X, work=FRESH):
        """Return what layers of the same bases need of the samples."""
        return X

    def growth(self, data, h, work=FRESH):
        """Return num / den (n, R), den (1, R) or like h, and the terms for the adjoint."""
        raise NotImplementedError

    def _adjoint_of_bases(self, N, D, tape, work, kept):
        """Return what rises and what falls of dE/dW, and of dE/dv or what stands for it."""
        raise NotImplementedError

    def forward(self, data, h, work=FRESH):
        """Return (h', LayerTape)."""
        ratio, den, terms = self.growth(data, h, work)
        h_next = _grown(h, ratio, out=work.array("h_next", ratio.shape, ratio.dtype))
        h_over_den = np.divide(h, den, out=work.array("h_over_den", h.shape, h.dtype))
        return h_next, LayerTape(data, h, terms, h_over_den, ratio)

    def adjoint(self, x, tape, work=FRESH, kept=FRESH, need_h=True):
        """Return (Parts of dE/dh, Parts of dE/dW): what rises and what falls, linear in x.

        dE/dh is None unless ``need_h``. The sum over the samples is taken in dE/dW, whose
        rising part is an array of the workspace `kept`; all else is of `work`.
        """
        N = np.multiply(x, tape.h_over_den, out=work.array("N", x.shape, x.dtype))
        D = np.multiply(N, tape.ratio, out=work.array("D", x.shape, x.dtype))
        dW, (rise, fall), transposed = self._adjoint_of_bases(N, D, tape, work, kept)
        if not need_h:
            return None, dW
        rise_h = np.multiply(x, tape.ratio, out=work.array("rise_h", x.shape, x.dtype))
        if rise is not None:
            rise_h += rise @ transposed
        fall_h = None
        if fall is not None:
            fall_h = np.matmul(fall, transposed, out=work.array("fall_h", x.shape, x.dtype))
        return Parts(rise_h, fall_h), dW


@dataclass(frozen=True)
class Layer(_Layer):
    """A layer by reconstruction, for any beta."""

    beta: float
    den: np.ndarray | None  # (1, R) for beta = 1, where it depends on W alone

    def growth(self, data, h, work=FRESH):
        """Return num / den (n, R), den (1, R) or like h, and the terms for the adjoint."""
        X, W = data, self.W
        terms = reconstruction(X, h, W, self.beta, work)
        ratio = work.array("ratio", (X.shape[0], W.shape[0]), X.dtype)
        np.matmul(terms.A, W.T, out=ratio)
        den = self.den
        if den is None:
            den = np.matmul(terms.B, W.T, out=work.array("den", h.shape, X.dtype))
            den += X.dtype.type(self.sparsity) + floor_of(X.dtype)
        ratio /= den
        return ratio, den, terms

    def _adjoint_of_bases(self, N, D, tape, work, kept):
        terms, shape, dtype = tape.terms, self.W.shape, N.dtype
        rise_v, fall_v = self._adjoint_of_v(N, D, terms, work)
        rise_W = np.matmul(N.T, terms.A, out=kept.array("rise_W", shape, dtype))
        fall_W = work.array("fall_W", shape, dtype)
        product = work.array("h^T dv", shape, dtype)
        if terms.B is None:
            np.matmul(tape.h.T, _like_rows(fall_v, tape.h), out=fall_W)
            fall_W += D.sum(axis=0)[:, None]
        else:
            np.matmul(_like_rows(D, terms.B).T, terms.B, out=fall_W)
            if fall_v is not None:
                fall_W += np.matmul(tape.h.T, _like_rows(fall_v, tape.h), out=product)
        if rise_v is not None:
            rise_W += np.matmul(tape.h.T, _like_rows(rise_v, tape.h), out=product)
        return Parts(rise_W, fall_W), (rise_v, fall_v), self.W.T

    def _adjoint_of_v(self, N, D, terms, work):
        """Return the (rising, falling) parts of dE/dv, (n, F) each; None where zero."""
        beta, W, shape, dtype = self.beta, self.W, terms.A.shape, N.dtype
        rise, fall = None, None
        if beta != 2:
            through_A = np.matmul(N, W, out=work.array("through A", shape, dtype))
            through_A *= terms.A
            through_A /= terms.v
            if abs(beta - 2) != 1:
                through_A *= dtype.type(abs(beta - 2))
            rise, fall = (through_A, None) if beta > 2 else (None, through_A)
        if beta != 1:
            through_B = np.matmul(D, W, out=work.array("through B", shape, dtype))
            if beta != 2:
                through_B *= terms.B
                through_B /= terms.v
                through_B *= dtype.type(abs(beta - 1))
            if beta > 1:
                fall = add(fall, through_B)
            else:
                rise = add(rise, through_B)
        return rise, fall


@dataclass(frozen=True)
class GramLayer(_Layer):
    """A layer for beta = 2 by the Gram matrix of the bases."""

    gram: np.ndarray  # (R, R), W W^T

    def data(self, X, work=FRESH):
        """Return X and X W^T."""
        shape = (X.shape[0], self.W.shape[0])
        return X, np.matmul(X, self.W.T, out=work.array("X W^T", shape, X.dtype))

    def growth(self, data, h, work=FRESH):
        """Return num / den (n, R), den (1, R) or like h; there are no further terms."""
        _, num = data
        den = np.matmul(h, self.gram, out=work.array("den", h.shape, h.dtype))
        den += h.dtype.type(self.sparsity) + floor_of(h.dtype)
        return np.divide(num, den, out=work.array("ratio", num.shape, h.dtype)), den, None

    def _adjoint_of_bases(self, N, D, tape, work, kept):
        X, _ = tape.data
        rise_W = np.matmul(N.T, X, out=kept.array("rise_W", self.W.shape, N.dtype))
        C = tape.h.T @ _like_rows(D, tape.h)
        fall_W = np.matmul(C + C.T, self.W, out=work.array("fall_W", self.W.shape, N.dtype))
        return Parts(rise_W, fall_W), (None, D), self.gram


def _like_rows(x, other):
    """Sum x over the samples where `other` has one row for all of them."""
    return x if other.shape[0] == x.shape[0] else x.sum(axis=0, keepdims=True)
