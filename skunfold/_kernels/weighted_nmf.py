"""NMF of samples with weights, by the multiplicative updates of scikit-learn.

Minimises the sum over samples of weight * D_beta(X | H W), over activations H (n, R) >= 0 and
bases W (R, F) >= 0. With A = X v^(beta-2), B = v^(beta-1) and v = H W::

    H <- H (A W^T / B W^T)^gamma
    W <- W ((weight H)^T A / (weight H)^T B)^gamma

gamma = 1 / (2 - beta) below beta = 1, 1 / (beta - 1) above 2, else 1: Févotte and Idier,
"Algorithms for nonnegative matrix factorization with the beta-divergence" (2011), section 4.
Floors, order and stopping are those of ``sklearn.decomposition.NMF(solver="mu")``, which has no
weights, so that a sample of weight 2 is the same as two samples there.
"""

import numpy as np

from skunfold._kernels.sparse_rows import (
    divergence_of_product,
    product_at,
    times_transposed,
    transposed_times,
    values_of,
    with_values,
)

CHECK_EVERY = 10  # updates between two computations of the error
FLOOR = np.finfo(np.float32).eps  # of reconstructions and denominators
ZERO = np.finfo(np.float64).eps  # smaller values are zero, for small beta


def fit(X, H, W, weight, beta, *, max_iter, tol):
    """Return (H, W) after updates of both; X may be sparse for beta 1 and 2.

    The weights are (n,), 0 or more. Updates end when the square root of the objective falls by
    less than tol times its first value between two checks.
    """
    first = last = _error(X, H, W, weight, beta)
    for n_updates in range(1, max_iter + 1):
        H = H * _growth(_terms_of_activations(X, H, W, beta), beta)
        if beta < 1:
            H[H < ZERO] = 0
        W = W * _growth(_terms_of_bases(X, H, W, weight, beta), beta)
        if beta <= 1:
            W[W < ZERO] = 0
        if n_updates % CHECK_EVERY == 0:
            error = _error(X, H, W, weight, beta)
            if last - error < tol * first:
                break
            last = error
    return H, W


def _error(X, H, W, weight, beta):
    divergence = divergence_of_product(X, H, W, beta) @ weight
    return np.sqrt(max(2 * divergence, 0))  # rounding may make it negative


def _growth(terms, beta):
    """Return the factor of an update, for its numerator and denominator."""
    numerator, denominator = terms
    gamma = 1 / (2 - beta) if beta < 1 else 1 / max(beta - 1, 1)
    ratio = numerator / np.where(denominator == 0, FLOOR, denominator)
    return ratio if gamma == 1 else ratio**gamma


def _terms_of_activations(X, H, W, beta):
    """Return A W^T (n, R) and B W^T, (n, R) or (R,)."""
    A, B = _matrices(X, H, W, beta)
    numerator = times_transposed(A, W, out=np.empty_like(H))
    if beta == 2:
        return numerator, H @ (W @ W.T)
    return numerator, W.sum(axis=1) if B is None else B @ W.T


def _terms_of_bases(X, H, W, weight, beta):
    """Return (weight H)^T A (R, F) and (weight H)^T B, (R, F) or (R, 1)."""
    A, B = _matrices(X, H, W, beta)
    weighted = weight[:, np.newaxis] * H
    numerator = transposed_times(weighted, A, out=np.empty_like(W))
    if beta == 2:
        return numerator, (weighted.T @ H) @ W
    return numerator, weighted.sum(axis=0)[:, np.newaxis] if B is None else weighted.T @ B


def _matrices(X, H, W, beta):
    """Return A, like X, and B (n, F), which is None where it is one or not needed."""
    if beta == 2:
        return X, None
    v = product_at(X, H, W, "v")
    floored = np.maximum(v, FLOOR)
    if beta == 1:
        return with_values(X, values_of(X) / floored), None
    A = X * (floored if beta < 2 else v) ** (beta - 2)
    return A, (floored if beta < 1 else v) ** (beta - 1)
