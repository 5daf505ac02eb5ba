"""One multiplicative update of NMF activations as a layer, and its adjoint.

Rows are samples: X is (n, F), the bases W are (R, F), activations h are (n, R), or (1, R)
where every sample starts alike. With the reconstruction v = h W::

    A = X v^(beta-2)         B = v^(beta-1)
    num = A V^T              den = B V^T + sparsity
    h' = h (num / den)^exponent              an exponent of 1, unless updates are over-relaxed

The projections V are the bases, V = W, or arrays to be learned themselves: theta of a layer is
(W,) or (W, V). For beta = 1, B is one, and den the row sums of V plus the sparsity: divided
into the rows of V once for all samples, they cost no product and no pass. For beta = 2,
num = X V^T is the same in every layer of the same bases, and den = h (W V^T) + sparsity where
that is less work than v V^T. This is the update of Lee and
Seung (2001), for any beta of Févotte and Idier (2011), with the L1 penalty of Le Roux,
Weninger and Hershey (MERL TR2015-023, section 3); as a layer: Hershey, Le Roux and Weninger
(arXiv 1409.2574, section 4). Exponents up to 2 are stable, and those above 1 get further in as
many updates: Badeau, Bertin and Vincent, "Stability analysis of multiplicative update
algorithms and application to nonnegative matrix factorization" (IEEE Transactions on Neural
Networks, 2010).

The adjoint (transposed derivative) is a linear map of x = dE/dh'. It comes as two maps that
are non-negative for non-negative x: what *rises* and what *falls* with the outputs. So::

    net gradient     rise(g) - fall(g)
    parts            pos = rise(p) + fall(n),  neg = rise(n) + fall(p)        g = p - n

(arXiv 1409.2574, section 4.2, which propagates only the parts). With D = exponent x h' / den
and N = D den / num, the terms are::

    through h        rises                                   dE/dh: x (num / den)^exponent
    through num      rises     dE/dV: N^T A
    through den      falls     dE/dV: D^T B
    through A        N V (beta-2) A / v     rises with v for beta > 2, falls for beta < 2
    through B        D V (1-beta) B / v     rises with v for beta < 1, falls for beta > 1
    and what comes through v gives          dE/dW: h^T dE/dv     dE/dh: dE/dv W^T
    by Gram matrix, through den, falls      dE/dW: C V, dE/dV: C^T W, C = h^T D
                                            dE/dh: D (W V^T)^T

For beta = 2, what comes through the numerator and through the Gram matrix is linear in N and
in C, so layers of the same bases add these up, and the products with X, V and W are made once
for all of them.

Floors are added, not taken as a maximum: that is faster, and the gradient is exact.

X may be sparse for beta = 1, where A and dE/dv have the pattern of X, and for beta = 2, by Gram
matrix (`skunfold._kernels.sparse_rows`).
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from skunfold._kernels.blocks import gram_matrix
from skunfold._kernels.fused import fused
from skunfold._kernels.numerics import NEW_ARRAYS, Parts, add, floor_of, power, smallest_of
from skunfold._kernels.sparse_rows import (
    is_sparse,
    product_at,
    times_transposed,
    transposed_times,
    values_of,
    with_values,
)


class LayerTape(NamedTuple):
    """The values of one layer that its adjoint needs."""

    data: Any  # what `data` made of the samples
    h: np.ndarray  # (n, R) or (1, R), the activations that came in
    ratio: np.ndarray  # (n, R), num / den
    exponent: float
    terms: Any  # further values that the kind of layer needs


class Reconstruction(NamedTuple):
    """The reconstruction of a block of samples, and the weights that follow from it."""

    v: np.ndarray  # (n, F) or (1, F), floored; where X is sparse, its values there
    A: Any  # (n, F), like X
    B: np.ndarray | None  # (n, F) or (1, F); None where it is one


def reconstruction(X, h, W, beta, work):
    """Return the Reconstruction of X by h W."""
    v = product_at(X, h, W, "v", work)
    v += floor_of(X.dtype)
    A = work.array("A", values_of(X).shape, X.dtype)
    if beta == 1:
        np.divide(values_of(X), v, out=A)
        return Reconstruction(v, with_values(X, A), None)
    B = power(v, beta - 1, out=work.array("B", v.shape, X.dtype))
    np.divide(B, v, out=A[: len(B)])
    return Reconstruction(v, np.multiply(X, A[: len(B)], out=A), B)


@fused
def grown(h, factor, smallest, out):
    """Return h * factor + smallest, which keeps clear of denormal numbers; out may be h."""
    np.multiply(h, factor, out=out)
    out += smallest
    return out


@fused
def fraction(num, den, floor, out):
    """Return num / den in `out`, after the floor is added to den."""
    den += floor
    return np.divide(num, den, out=out)


@dataclass(frozen=True)
class Layer:
    """Base class of layers; subclasses compute num / den."""

    W: np.ndarray  # (R, F)
    V: np.ndarray  # (R, F); W itself, unless there are separate projections
    sparsity: float

    def suited_to(self, X):
        """Return this layer, or for sparse X the same with its matrices as these read them."""
        return self._for_sparse_rows if is_sparse(X) else self

    @cached_property
    def _for_sparse_rows(self):
        return self._feature_by_feature()

    def _feature_by_feature(self):
        """Return the same layer with its bases in Fortran order."""
        W = np.asfortranarray(self.W)
        return replace(self, W=W, V=np.asfortranarray(self.V) if self._has_projections else W)

    @property
    def first_activations(self):
        """Those that inference begins with, (1, R), if this layer is prepared for them."""
        return None

    def data(self, X, work=NEW_ARRAYS):
        """Return what layers of the same bases need of the samples."""
        return X

    def growth(self, data, h, work=NEW_ARRAYS):
        """Return num / den (n, R), and the terms for the adjoint."""
        raise NotImplementedError

    def drive_adjoint(self, X, g, kept=NEW_ARRAYS):
        """Return the Parts by theta of what went through `data`, linear in g."""
        raise NotImplementedError

    def _adjoint_of_bases(self, x, tape, work, kept):
        """Return Parts by theta, the gradient by `data`, and (rising, falling), M.

        The last are for dE/dh: x M^T. A gradient by `data` may be None.
        """
        raise NotImplementedError

    def forward(self, data, h, work=NEW_ARRAYS, exponent=1.0):
        """Return (h', LayerTape)."""
        ratio, terms = self.growth(data, h, work)
        h_next = work.array("h_next", ratio.shape, ratio.dtype)
        factor = power(ratio, exponent, out=h_next)
        grown(h, factor, smallest_of(h_next.dtype), h_next)
        return h_next, LayerTape(data, h, ratio, exponent, terms)

    def advance(self, data, h, work=NEW_ARRAYS, exponent=1.0):
        """Return h' alone, in one array for all layers; h may be that array."""
        ratio, _ = self.growth(data, h, work)
        out = work.array("h", ratio.shape, ratio.dtype)
        factor = power(ratio, exponent, out=ratio)
        return grown(h, factor, smallest_of(out.dtype), out)

    def net_adjoint(self, x, tape, work=NEW_ARRAYS, kept=NEW_ARRAYS, need_h=True):
        """Return (dE/dh or None, dE/ddata or None, tuple of the gradients by theta).

        They are the differences of the Parts of `deferred_adjoint`, in the same workspaces.
        """
        dh, g_drive, of_theta = self.deferred_adjoint(x, tape, work, kept, need_h)
        return dh and dh.net(), g_drive, tuple(part.net() for part in of_theta)

    def adjoint(self, x, tape, work=NEW_ARRAYS, kept=NEW_ARRAYS, need_h=True):
        """Return (Parts of dE/dh, list of Parts by theta): what rises and falls, linear in x.

        dE/dh is None unless ``need_h``. The sum over the samples is taken in the gradients by
        theta, which may use arrays of the workspace `kept`; all else is of `work`.
        """
        dh, g_drive, of_theta = self.deferred_adjoint(x, tape, work, kept, need_h)
        if g_drive is not None:
            through_drive = self.drive_adjoint(self._samples(tape.data), g_drive, kept)
            of_theta = [a.plus(b) for a, b in zip(through_drive, of_theta)]
        return dh, of_theta

    def deferred_adjoint(self, x, tape, work=NEW_ARRAYS, kept=NEW_ARRAYS, need_h=True):
        """Return the result of `adjoint` without the part through `data`, and dE/ddata.

        They are (Parts of dE/dh, dE/ddata or None, list of Parts by theta). dE/ddata and the
        gradients by theta are in arrays of `kept`.
        """
        of_theta, g_drive, (rise, fall), factor = self._adjoint_of_bases(x, tape, work, kept)
        if not need_h:
            return None, g_drive, of_theta
        fall_h, product = None, work.array("product", x.shape, x.dtype)
        rise_h = through_factor(x, tape, work, product)
        if rise is not None:
            rise_h += times_transposed(rise, factor, out=product)
        if fall is not None:
            fall_h = times_transposed(fall, factor, out=product)
        return Parts(rise_h, fall_h), g_drive, of_theta

    @property
    def n_weights(self):
        """How many elements the bases have, and projections that are not the bases."""
        return self.W.size * (2 if self._has_projections else 1)

    @property
    def _has_projections(self):
        return self.V is not self.W

    def _array(self, name, work, dtype):
        """Return an array like W for a gradient."""
        return work.array(name, self.W.shape, dtype)

    def _by_theta(self, of_W, of_V):
        """Return the list of Parts by theta; those by W and V are added up if they are one.

        Positive parts must be in arrays that are kept, and so must negative parts without a
        positive one.
        """
        return [of_W, of_V] if self._has_projections else [of_W.plus(of_V)]

    def _samples(self, data):
        """Return the samples that `data` was made of."""
        return data


@dataclass(frozen=True)
class FrobeniusLayer(Layer):
    """A layer for beta = 2: the numerator is that of the data alone."""

    gram: np.ndarray | None  # (R, R), W V^T; None for products with the bases instead

    def data(self, X, work=NEW_ARRAYS):
        """Return X and X V^T."""
        shape = (X.shape[0], self.V.shape[0])
        return X, times_transposed(X, self.V, out=work.array("X V^T", shape, X.dtype))

    def _feature_by_feature(self):
        gram = gram_matrix(self.W, self.V) if self.gram is None else self.gram
        return replace(super()._feature_by_feature(), gram=gram)

    def growth(self, data, h, work=NEW_ARRAYS):
        """Return num / den (n, R), and (den, v); v = h W is None where it is not needed."""
        _, num = data
        v, den = None, work.array("den", h.shape, h.dtype)
        if self.gram is None:
            v = np.matmul(h, self.W, out=work.array("v", (len(h), self.W.shape[1]), h.dtype))
            np.matmul(v, self.V.T, out=den)
        else:
            np.matmul(h, self.gram, out=den)
        floor = h.dtype.type(self.sparsity) + floor_of(h.dtype)
        ratio = work.array("ratio", num.shape, h.dtype)
        return fraction(num, den, floor, ratio), (den, v)

    def drive_adjoint(self, X, g, kept=NEW_ARRAYS):
        """Return the Parts by theta, from the gradients by the numerator and the Gram matrix.

        The latter is C, which falls with the outputs, or None.
        """
        N, C = g
        rise_V = transposed_times(N, X, out=self._array("through X", kept, N.dtype))
        if C is None:
            return self._by_theta(Parts(None, None), Parts(rise_V, None))
        if self._has_projections:
            return [Parts(None, C @ self.V), Parts(rise_V, C.T @ self.W)]
        return [Parts(rise_V, (C + C.T) @ self.W)]

    def _adjoint_of_bases(self, x, tape, work, kept):
        den, v = tape.terms
        N, D = _through_fraction(x, tape, den, work, kept)
        D = like_rows(D, tape.h)
        if self.gram is not None:
            nothing = [Parts(None, None)] * (2 if self._has_projections else 1)
            return nothing, (N, tape.h.T @ D), (None, D), self.gram
        arrays = kept if self._has_projections else work
        fall_V = np.matmul(D.T, v, out=self._array("fall_V", arrays, x.dtype))
        fall_v = np.matmul(D, self.V, out=work.array("fall_v", v.shape, x.dtype))
        fall_W = self._array("fall_W", kept, x.dtype)
        np.matmul(tape.h.T, fall_v, out=fall_W)
        of_theta = self._by_theta(Parts(None, fall_W), Parts(None, fall_V))
        return of_theta, (N, None), (None, fall_v), self.W

    def _samples(self, data):
        return data[0]


@dataclass(frozen=True)
class BetaLayer(Layer):
    """A layer for any beta."""

    beta: float

    def growth(self, data, h, work=NEW_ARRAYS):
        """Return num / den (n, R), and (den, the Reconstruction)."""
        X, V = data, self.V
        terms = reconstruction(X, h, self.W, self.beta, work)
        ratio = work.array("ratio", (X.shape[0], V.shape[0]), X.dtype)
        np.matmul(terms.A, V.T, out=ratio)
        den = np.matmul(terms.B, V.T, out=work.array("den", h.shape, X.dtype))
        den += X.dtype.type(self.sparsity) + floor_of(X.dtype)
        ratio /= den
        return ratio, (den, terms)

    def _adjoint_of_bases(self, x, tape, work, kept):
        den, terms = tape.terms
        N, D = _through_fraction(x, tape, den, work, work)
        through_v = self._adjoint_of_v(N, D, terms, work)
        of_projections = (N, terms.A), (like_rows(D, terms.B), terms.B)
        of_V, of_W = [], []
        for name, (factor, weights), dv in zip(Parts._fields, of_projections, through_v):
            out = self._array(("V", name), kept, x.dtype)
            of_V.append(np.matmul(factor.T, weights, out=out))
            if dv is not None:
                out = self._array(("W", name), kept, x.dtype)
                dv = np.matmul(tape.h.T, like_rows(dv, tape.h), out=out)
            of_W.append(dv)
        return self._by_theta(Parts(*of_W), Parts(*of_V)), None, through_v, self.W

    def _adjoint_of_v(self, N, D, terms, work):
        """Return the (rising, falling) parts of dE/dv, (n, F) each; None where zero."""
        beta, V, shape, dtype = self.beta, self.V, terms.A.shape, N.dtype
        through_A = np.matmul(N, V, out=work.array("through A", shape, dtype))
        through_A *= terms.A
        through_A /= terms.v
        through_A *= dtype.type(abs(beta - 2))
        through_B = np.matmul(D, V, out=work.array("through B", shape, dtype))
        through_B *= terms.B
        through_B /= terms.v
        through_B *= dtype.type(abs(beta - 1))
        if beta < 1:
            return through_B, through_A
        if beta < 2:
            return None, add(through_A, through_B)
        return through_A, through_B


def through_factor(x, tape, work, scratch):
    """Return what rises with the outputs through h itself, (n, R); x may be that array."""
    rise = work.array("rise_h", x.shape, x.dtype)
    return np.multiply(x, power(tape.ratio, tape.exponent, out=scratch), out=rise)


def through_ratio(x, tape, out):
    """Return dE/d(num / den), (n, R): it rises with the outputs."""
    if tape.exponent == 1:
        return np.multiply(x, tape.h, out=out)
    np.multiply(power(tape.ratio, tape.exponent - 1, out=out), tape.h, out=out)
    out *= x
    out *= x.dtype.type(tape.exponent)
    return out


def _through_fraction(x, tape, den, work, kept):
    """Return N = dE/dnum, in an array of `kept`, and D = -dE/dden, (n, R) each."""
    N = through_ratio(x, tape, kept.array("N", x.shape, x.dtype))
    N /= den
    return N, np.multiply(N, tape.ratio, out=work.array("D", x.shape, x.dtype))


def like_rows(x, other):
    """Sum x over the samples where `other` has one row for all of them."""
    return x if other.shape[0] == x.shape[0] else x.sum(axis=0)[np.newaxis]
