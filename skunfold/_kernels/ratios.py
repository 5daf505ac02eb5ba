"""Passes over the ratios of belief propagation: the arithmetic of its links.

The equations and their symbols are those of `belief_propagation`. Ratios between binary units
are (n, m, k) for couplings E (m, k), with the senders in rows or, with `down`, in columns.
Those of the class node are (C, n, m) for E (C, m). Odds and fields have one axis less.
"""

from functools import lru_cache
from math import prod

import numpy as np

from skunfold._kernels.fused import fused

WORTH_A_PRODUCT = 4096  # with fewer ratios, logarithms cost less than calls of NumPy


@lru_cache(maxsize=64)
def _ones(n, dtype):
    ones = np.ones(n, dtype)
    ones.flags.writeable = False
    return ones


def sum_of(a, axis):
    """Return the sum over one of three axes, by BLAS: several times faster on short axes."""
    ones = _ones(a.shape[axis], a.dtype)
    if axis == 2:
        return a @ ones
    if axis == 1:
        return np.matmul(ones[None, :], a)[:, 0]
    return (ones @ a.reshape(len(a), prod(a.shape[1:]))).reshape(a.shape[1:])


@fused
def sum_of_logs(r, axis, n_factors):
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
    return sum_of(np.log(r), axis)


@fused
def odds_off(t, limit):
    """Return exp(-t) for totals t (n, m), the odds of being off; t is limited to +-`limit`."""
    x = np.clip(t, -limit, limit)
    return np.exp(np.negative(x, out=x), out=x)


@fused
def within(g, t, limit):
    """Return g (n, m), but zero where t was limited; g may be overwritten."""
    if max(t.max(initial=0), -t.min(initial=0)) > limit:
        g = g * (np.abs(t) <= limit)
    return g


@fused
def pair_ratios(odds, back, E, down):
    """Return the ratios (E + rho) / d, d = 1 + rho, and d for the adjoint.

    rho are the odds, times the ratios `back` unless these are None. Without them d is of one
    column, or one row. Where d is None, the adjoint computes it again.
    """
    rho, d = _rho_and_divisors(odds, back, down)
    r = E + rho if back is None else np.add(E, rho, out=rho)
    r /= d
    return r, d


def _rho_and_divisors(odds, back, down):
    odds = odds[:, None] if down else odds[:, :, None]
    rho = odds if back is None else back * odds
    return rho, rho + rho.dtype.type(1)


@fused
def pair_adjoint(g_field, g_state, odds, back, d, r, E, down):
    """Return the gradients by log rho, by a w, and by log rho summed for each sender.

    That by log rho is None if `back` is, and else may be in the array of g_state. `pair_ratios`
    returned r and d.
    """
    if d is None:
        d = _rho_and_divisors(odds, back, down)[1]
    G = g_field[:, :, None] if down else g_field[:, None]
    if g_state is not None:
        G = np.add(g_state, G, out=g_state)
    Gs = G / d if g_state is None else np.divide(G, d, out=G)
    Gp = Gs * E
    Gp /= r
    g_weight = sum_of(Gp, 0)
    g_rho = np.subtract(Gs, Gp, out=Gs)
    return None if back is None else g_rho, g_weight, sum_of(g_rho, 1 if down else 2)


@fused
def class_ratios(rho, E):
    """Return the ratios (E + rho) / (1 + rho) to the class node, (C, n, m)."""
    r = E[:, None] + rho
    r /= rho + rho.dtype.type(1)
    return r


@fused
def class_adjoint(g_field, g_state, rho, r, E):
    """Return the gradients by log rho (n, m) and by a V (C, m); g_field is (C, n)."""
    G = g_field[:, :, None]
    if g_state is not None:
        G = np.add(g_state, G, out=g_state)
    Gs = G / (rho + rho.dtype.type(1))
    Gp = Gs * E[:, None]
    Gp /= r
    g_weight = sum_of(Gp, 1)
    return sum_of(np.subtract(Gs, Gp, out=Gs), 0), g_weight


@fused
def class_shares(P, back, E):
    """Return n_jc = P_c / r_jc (C, n, m), and the sums over the classes of n and of n E.

    P is (C, n); the ratios `back` came from the units.
    """
    shares = P[:, :, None] / back
    return shares, sum_of(shares, 0), sum_of(shares * E[:, None], 0)


@fused
def class_shares_adjoint(G, shares, E, total, weighted_total):
    """Return the gradients by log back (C, n, m), a V (C, m) and u (C, n).

    G is that by log r_j, (n, m); `class_shares` returned the shares and the sums.
    """
    of_each = G / weighted_total
    g_alpha = shares * E[:, None]
    g_alpha *= of_each
    np.divide(G, total, out=of_each)
    g_back = shares * of_each
    g_back -= g_alpha
    g_u = sum_of(g_back, 2)
    return g_back, sum_of(g_alpha, 1), np.negative(g_u, out=g_u)
