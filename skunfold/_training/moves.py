"""What updates do to one array of parameters, in place.

All arrays are 1-D and of one size: the parameters w, their gradient, and Adam's sums m and s.
They are processed in chunks that fit into the caches.
"""

import numpy as np

from skunfold._kernels.fused import fused

CHUNK = 65_536  # elements


def _chunks(*arrays):
    """Yield the arrays as tuples of short views."""
    for start in range(0, arrays[0].size, CHUNK):
        yield tuple(a[start : start + CHUNK] for a in arrays)


@fused
def multiplicative(w, pos, neg, floor, exponent, largest, smallest):
    """Set w to min(w ((neg + floor) / (pos + floor))^exponent, largest) + smallest.

    The gradient's parts, pos and neg, may be overwritten.
    """
    for w_part, p, n in _chunks(w, pos, neg):
        p += floor
        n += floor
        n /= p
        w_part *= np.power(n, exponent, out=n)
        np.minimum(w_part, largest, out=w_part)
        w_part += smallest


@fused
def log_gradient(w, g):
    """Turn the gradient g by w into that by log w, and return the sum of its squares."""
    g *= w
    return np.vdot(g, g)


@fused
def adam(w, g, m, s, decay, floor, rate):
    """Set m to b1 m + g, s to b2 s + g^2, and w to w - rate m / (sqrt(s) + floor)."""
    for w_part, g_part, m_part, s_part in _chunks(w, g, m, s):
        w_part += _step(g_part, m_part, s_part, decay, floor, rate)


@fused
def exponentiated(w, g, m, s, decay, floor, rate, limit, smallest):
    """Set m and s as `adam`, and w to w exp(-rate m / (sqrt(s) + floor)) + smallest.

    The exponent is within +-limit.
    """
    for w_part, g_part, m_part, s_part in _chunks(w, g, m, s):
        d = _step(g_part, m_part, s_part, decay, floor, rate)
        np.clip(d, -limit, limit, out=d)
        w_part *= np.exp(d, out=d)
        w_part += smallest


def _step(g, m, s, decay, floor, rate):
    """Bring Adam's sums up to date, and return the step."""
    dtype = g.dtype.type
    b1, b2 = decay
    m *= dtype(b1)
    m += g
    d = np.square(g)
    s *= dtype(b2)
    s += d
    np.sqrt(s, out=d)
    d += floor
    np.divide(m, d, out=d)
    d *= dtype(-rate)
    return d
