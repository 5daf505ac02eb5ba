"""The layer of NMF for beta = 1, whose denominator is that of the bases alone.

The equations are those of `skunfold._kernels.nmf_layers`. Here v, A, the denominator and
N = dE/dnum are kept with the sign changed. So N V A / v, what falls with the outputs through
the reconstruction v, is negative without another pass, and if the bases are the projections
the net gradient by them is one product::

    [h; N; f]^T [N V A / v; A; 1]        f: what falls through the denominator, one row

The activations h that inference begins with are the same for all samples. Then v is one row,
and A V^T is X times the projections divided by v, which is prepared; and with N^T X, no product
of the size of the data is left for N V A / v, summed over the samples.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from skunfold._kernels.fused import fused
from skunfold._kernels.nmf_layers import Layer, like_rows, through_factor, through_ratio
from skunfold._kernels.numerics import NEW_ARRAYS, Parts, floor_of, power, smallest_of
from skunfold._kernels.sparse_rows import (
    is_sparse,
    product_at,
    times,
    transposed_times,
    values_of,
    with_values,
)

WORTH_TRANSPOSING = 128  # uses by a sample that pay for storing a matrix transposed
LARGE = 1 << 20  # elements of a matrix that is never worth it: transposing leaves the caches
SMALL = 1 << 18  # elements of a matrix by which one core multiplies a row as fast as several


class Weights(NamedTuple):
    """The reconstruction of a block of samples and A = X / v, with the sign changed."""

    v: np.ndarray  # (n, F) or (1, F), floored; where X is sparse, its values there
    A: Any  # (n, F), like X
    stack: np.ndarray | None  # (2 n + 1, F): a place for N V A / v, then A, then one row


class Start(NamedTuple):
    """The activations that inference begins with, and what follows from them."""

    h: np.ndarray  # (1, R)
    v: np.ndarray  # (1, F), negative
    projections: np.ndarray  # (F, R), V^T / (den v^T)


@fused
def through_weights(g, A, v):
    """Return g A / v, in the array of g."""
    g *= A
    g /= v
    return g


@fused
def numerator_adjoint(x, h, den, ratio, out):
    """Return the sum of N ratio over the samples (R,), and N = x h / den in `out` (n, R)."""
    np.multiply(x, h, out=out)
    out /= den
    return np.einsum("nr,nr->r", out, ratio)


@fused
def updated_row(X, h, W, projections, floor, exponent, smallest):
    """Return h' (1, R) of one sample X (1, F), with the projections (F, R) over -den."""
    A = X / (-floor - h @ W)
    return h * power(A @ projections, exponent) + smallest


@dataclass(frozen=True)
class KullbackLeiblerLayer(Layer):
    """A layer for beta = 1."""

    den: np.ndarray  # (1, R), negative
    projections: np.ndarray  # (F, R), V^T / den
    start: Start | None  # of the first layer

    def growth(self, data, h, work=NEW_ARRAYS):
        """Return num / den (n, R), and the Weights; the Start for its activations."""
        ratio = work.array("ratio", (data.shape[0], len(self.W)), data.dtype)
        if self.start is not None and h is self.start.h:
            return times(data, self.start.projections, out=ratio), self.start
        terms = self._weights(data, h, work)
        return times(terms.A, self.projections, out=ratio), terms

    def advance(self, data, h, work=NEW_ARRAYS, exponent=1.0):
        """Return h' alone; h may be changed."""
        one = data.shape[0] == 1 and self.W.size <= SMALL and not is_sparse(data)
        if not one or (self.start is not None and h is self.start.h):
            return super().advance(data, h, work, exponent)
        floor, smallest = floor_of(h.dtype), smallest_of(h.dtype)
        return updated_row(data, h, self.W, self.projections, floor, exponent, smallest)

    @property
    def first_activations(self):
        """Those that inference begins with, (1, R); None except in the first layer."""
        return None if self.start is None else self.start.h

    def net_adjoint(self, x, tape, work=NEW_ARRAYS, kept=NEW_ARRAYS, need_h=True):
        """Return (dE/dh or None, None, tuple of the gradients by theta)."""
        terms, n = tape.terms, len(x)
        if isinstance(terms, Start) or terms.stack is None or len(tape.h) < n:
            return super().net_adjoint(x, tape, work, kept, need_h)
        right, left = terms.stack, work.array("left", (2 * n + 1, x.shape[1]), x.dtype)
        left[:n], right[-1] = tape.h, 1
        left[-1] = self._through_numerator(x, tape, out=left[n:-1])
        fall_v = self._through_v(left[n:-1], terms, work)
        of_theta = self._by_stacks(left, right, n, kept)
        if not need_h:
            return None, None, of_theta
        product = work.array("product", x.shape, x.dtype)
        dh = through_factor(x, tape, work, product)
        dh += np.matmul(fall_v, self._bases_by_feature, out=product)
        return dh, None, of_theta

    def _by_stacks(self, left, right, n, kept):
        """Return the tuple of the gradients by theta, from the stacks of the module's head."""
        if self._has_projections:
            of_W, of_V = (self._array(name, kept, left.dtype) for name in ("dW", "dV"))
            np.matmul(left[:n].T, right[:n], out=of_W)
            return of_W, np.matmul(left[n:].T, right[n:], out=of_V)
        return (np.matmul(left.T, right, out=self._array("dW", kept, left.dtype)),)

    def _adjoint_of_bases(self, x, tape, work, kept):
        h, terms, dtype = tape.h, tape.terms, x.dtype
        N = work.array("N", x.shape, dtype)
        of_den = self._through_numerator(x, tape, out=N)
        rise_V = self._array("rise_V", kept, dtype)
        if isinstance(terms, Start):
            transposed_times(N, tape.data, out=rise_V)
            rise_V /= terms.v
            of_v = fall_v = -np.einsum("rf,rf->f", rise_V, self.V) / terms.v
        else:
            transposed_times(N, terms.A, out=rise_V)
            fall_v = self._through_v(N, terms, work)
            np.negative(values_of(fall_v), out=values_of(fall_v))
            of_v = like_rows(fall_v, h)
        fall_W = self._array("fall_W", kept if self._has_projections else work, dtype)
        transposed_times(h, of_v, out=fall_W)
        of_V = Parts(rise_V, -of_den[:, np.newaxis])
        return self._by_theta(Parts(None, fall_W), of_V), None, (None, fall_v), self.W

    @cached_property
    def _bases_by_feature(self):
        """W^T (F, R), transposed in memory if that is worth it."""
        return np.asarray(self.W.T, order="C" if self.projections.flags.c_contiguous else None)

    def _feature_by_feature(self):
        projections, start = np.ascontiguousarray(self.projections), self.start
        if start is not None:
            start = start._replace(projections=np.ascontiguousarray(start.projections))
        layer = super()._feature_by_feature()
        return replace(layer, projections=projections, start=start)

    def _weights(self, X, h, work):
        """Return the Weights of X for the activations h."""
        v = product_at(X, h, self.W, "v", work)
        np.subtract(-floor_of(X.dtype), v, out=v)
        if is_sparse(X):
            A = np.divide(X.data, v, out=work.array("A", v.shape, X.dtype))
            return Weights(v, with_values(X, A), None)
        n = len(X)
        stack = work.array("stack", (2 * n + 1, X.shape[1]), X.dtype)
        return Weights(v, np.divide(X, v, out=stack[n:-1]), stack)

    def _through_numerator(self, x, tape, out):
        """Return what falls through the denominator, (R,), and N in `out`: both negative."""
        if tape.exponent == 1:
            return numerator_adjoint(x, tape.h, self.den, tape.ratio, out)
        N = through_ratio(x, tape, out)
        N /= self.den
        return np.einsum("nr,nr->r", N, tape.ratio)

    def _through_v(self, N, terms, work):
        """Return N V A / v, like A: negative."""
        if terms.stack is None:
            fall_v = product_at(terms.A, N, self.V, "fall_v", work)
        else:
            fall_v = np.matmul(N, self.V, out=terms.stack[: len(N)])
        through_weights(fall_v, values_of(terms.A), terms.v)
        return with_values(terms.A, fall_v)


def kullback_leibler_layer(W, V, sparsity, n_samples, n_uses, start):
    """Return the layer of these matrices, used so often in a row for that many samples.

    None samples: many. `start`, (1, R) or None, are the activations that inference begins
    with, in the first layer; it is not prepared for them where there are fewer samples than
    components.
    """
    den = -V.sum(axis=1)[np.newaxis]
    den -= V.dtype.type(sparsity) + floor_of(V.dtype)
    often = n_samples is None or n_samples * n_uses >= WORTH_TRANSPOSING
    projections = np.divide(V.T, den, order="C" if often and V.size < LARGE else "K")
    prepared = None
    if start is not None and (n_samples is None or n_samples >= len(W)):
        # Not by BLAS, whose threads would spin on processors that blocks of samples need next.
        v = -np.einsum("kr,rf->kf", start, W) - floor_of(W.dtype)
        prepared = Start(start, v, projections / v.T)
    return KullbackLeiblerLayer(W, V, sparsity, den, projections, prepared)
