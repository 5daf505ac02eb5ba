"""One multiplicative update of NMF activations as a layer, and its adjoint.

Rows are samples: X is (n, F), the bases W are (R, F), activations h are (n, R), or (1, R)
where every sample starts alike. With the reconstruction v = h W::

    A = X v^(beta-2)         B = v^(beta-1)
    num = A W^T              den = B W^T + sparsity
    h' = h num / den

For beta = 1, B is one and den the row sums of W plus the sparsity: no product. This is the
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
"""

from dataclasses import dataclass

import numpy as np

from skunfold._kernels.numerics import FRESH, Parts, add, floor_of, power, smallest_of


@dataclass(frozen=True)
class LayerTape:
    """What one layer keeps for its adjoint."""

    h: np.ndarray  # (n, R) or (1, R), the activations that came in
    v: np.ndarray  # (n, F) or (1, F), floored
    A: np.ndarray  # (n, F)
    B: np.ndarray | None  # (n, F) or (1, F); None where it is one
    h_over_den: np.ndarray  # (n, R) or (1, R)
    ratio: np.ndarray  # (n, R), num / den


def constant_activations(value, n_components, dtype):
    """Return the first layer's input, (1, R): the same for every sample and component."""
    return np.full((1, n_components), value, dtype=dtype)


def layer_forward(X, h, W, beta, sparsity, work=FRESH):
    """Return (h', LayerTape) of one layer; shapes and equations stand above."""
    v, A, B = weighted_data(X, h, W, beta, work)
    ratio, den = _growth(h, A, B, W, sparsity, work)
    h_next = _grown(h, ratio, out=work.array("h_next", ratio.shape, X.dtype))
    h_over_den = np.divide(h, den, out=work.array("h_over_den", h.shape, X.dtype))
    return h_next, LayerTape(h, v, A, B, h_over_den, ratio)


def infer(X, bases, h, beta, sparsity, work=FRESH):
    """Yield the activations (n, R) after each layer, from h through the list of bases.

    It is one array, which the next layer changes.
    """
    out = work.array("h", (X.shape[0], h.shape[1]), X.dtype)
    for W in bases:
        _, A, B = weighted_data(X, h, W, beta, work)
        ratio, _ = _growth(h, A, B, W, sparsity, work)
        h = _grown(h, ratio, out)
        yield h


def weighted_data(X, h, W, beta, work):
    """Return v = h W, A and B, (n, F) each; B is None where it is one."""
    v = np.matmul(h, W, out=work.array("v", (h.shape[0], W.shape[1]), X.dtype))
    np.maximum(v, floor_of(X.dtype), out=v)
    if beta == 2:
        return v, X, v
    A = work.array("A", X.shape, X.dtype)
    if beta == 1:
        return v, np.divide(X, v, out=A), None
    B = power(v, beta - 1, out=work.array("B", v.shape, X.dtype))
    return v, np.multiply(X, B / v, out=A), B


def _growth(h, A, B, W, sparsity, work):
    """Return num / den, (n, R), and den, (1, R) or like h."""
    ratio = np.matmul(A, W.T, out=work.array("ratio", (A.shape[0], W.shape[0]), A.dtype))
    if B is None:
        den = (W @ np.ones(W.shape[1], W.dtype))[None, :]  # the row sums, by BLAS
    else:
        den = np.matmul(B, W.T, out=work.array("den", h.shape, A.dtype))
    den += A.dtype.type(sparsity)
    np.maximum(den, floor_of(A.dtype), out=den)
    ratio /= den
    return ratio, den


def _grown(h, ratio, out):
    """Return h * ratio, kept clear of denormal numbers."""
    np.multiply(h, ratio, out=out)
    return np.maximum(out, smallest_of(out.dtype), out=out)


def layer_adjoint(x, W, tape, beta, work=FRESH, need_h=True):
    """Return (Parts of dE/dh, Parts of dE/dW): what rises and what falls, linear in x.

    dE/dh is None unless ``need_h``. The sum over the samples is taken in dE/dW.
    """
    N = np.multiply(x, tape.h_over_den, out=work.array("N", x.shape, x.dtype))
    D = np.multiply(N, tape.ratio, out=work.array("D", x.shape, x.dtype))
    rise_v, fall_v = _adjoint_of_v(N, D, W, tape, beta, work)
    rise_W = np.matmul(N.T, tape.A, out=work.array("rise_W", W.shape, x.dtype))
    fall_W = work.array("fall_W", W.shape, x.dtype)
    if tape.B is None:
        fall_W[:] = D.sum(axis=0)[:, None]
    else:
        np.matmul(_like_rows(D, tape.B).T, tape.B, out=fall_W)
    product = work.array("h^T dv", W.shape, x.dtype)
    if rise_v is not None:
        rise_W += np.matmul(tape.h.T, _like_rows(rise_v, tape.h), out=product)
    if fall_v is not None:
        fall_W += np.matmul(tape.h.T, _like_rows(fall_v, tape.h), out=product)
    if not need_h:
        return None, Parts(rise_W, fall_W)
    rise_h = np.multiply(x, tape.ratio, out=work.array("rise_h", x.shape, x.dtype))
    if rise_v is not None:
        rise_h += rise_v @ W.T
    fall_h = None
    if fall_v is not None:
        fall_h = np.matmul(fall_v, W.T, out=work.array("fall_h", x.shape, x.dtype))
    return Parts(rise_h, fall_h), Parts(rise_W, fall_W)


def _adjoint_of_v(N, D, W, tape, beta, work):
    """Return the (rising, falling) parts of dE/dv, (n, F) each; None where zero."""
    shape, dtype = tape.A.shape, N.dtype
    rise, fall = None, None
    if beta != 2:
        through_A = np.matmul(N, W, out=work.array("through A", shape, dtype))
        through_A *= tape.A
        through_A /= tape.v
        if abs(beta - 2) != 1:
            through_A *= dtype.type(abs(beta - 2))
        rise, fall = (through_A, None) if beta > 2 else (None, through_A)
    if beta != 1:
        through_B = np.matmul(D, W, out=work.array("through B", shape, dtype))
        if beta != 2:
            through_B *= tape.B
            through_B /= tape.v
            through_B *= dtype.type(abs(beta - 1))
        rise, fall = (rise, add(fall, through_B)) if beta > 1 else (add(rise, through_B), fall)
    return rise, fall


def _like_rows(x, other):
    """Sum x over the samples where `other` has one row for all of them."""
    return x if other.shape[0] == x.shape[0] else x.sum(axis=0, keepdims=True)
