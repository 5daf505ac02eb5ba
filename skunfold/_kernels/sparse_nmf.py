"""Sparse NMF with unit-norm bases.

Minimises, over activations H (n, R) >= 0 and bases W (R, F) >= 0 with rows of unit L2 norm::

    sum over samples of D_beta(X | H W) + sparsity * sum(H)

The norm is part of the update, so that the penalty cannot be escaped by scaling. With
A = X v^(beta-2), B = v^(beta-1), v = H W, N = H^T A and P = H^T B::

    W <- W (N + W rowsum(W P)) / (P + W rowsum(W N)),   then rows to unit norm

Le Roux, Weninger and Hershey, "Sparse NMF - half-baked or well done?" (MERL TR2015-023),
section 4.
"""

import numpy as np

from skunfold._kernels.blocks import BlockThreads, PerThread, block_size_for, block_slices
from skunfold._kernels.divergences import divergence
from skunfold._kernels.nmf import infer, layers_of, reconstruction
from skunfold._kernels.numerics import Workspace, floor_of, smallest_of

CHECK_EVERY = 10  # iterations between two looks at the loss


def unit_rows(W):
    """Return W with rows of unit L2 norm; a row of zeros becomes a flat one."""
    norms, floor = np.linalg.norm(W, axis=1, keepdims=True), floor_of(W.dtype)
    if norms.min() < floor:  # their squares may have vanished
        peaks = W.max(axis=1, keepdims=True)
        relative = np.where(peaks > 0, W / np.where(peaks > 0, peaks, 1), 1)
        W = np.where(norms < floor, relative, W)
        norms = np.linalg.norm(W, axis=1, keepdims=True)
    return W / norms


def fit(X, H, W, beta, sparsity, *, max_iter, tol, n_fixed=0):
    """Update H, in place, and W by turns; return (W, losses, converged).

    The first `n_fixed` rows of W stay as they are; the others must be of unit norm. `losses`
    holds the objective per sample at every check; the fit has converged when it fell by less
    than tol times its first value between two checks.
    """
    slices = block_slices(len(X), block_size_for(len(X), W.size))
    workspace = PerThread(Workspace)
    losses: list[float] = []
    with BlockThreads() as threads:
        for iteration in range(max_iter):
            check = iteration % CHECK_EVERY == 0

            def update(rows, W=W, check=check):
                return _update_block(X[rows], H[rows], W, beta, sparsity, workspace(), check)

            results = threads.map(update, slices)
            if check:
                losses.append(sum(loss for loss, _, _ in results) / len(X))
                if len(losses) > 1 and losses[-2] - losses[-1] < tol * losses[0]:
                    return W, losses, True
            N = np.sum([N for _, N, _ in results], axis=0)
            P = np.sum([P for _, _, P in results], axis=0)
            W = np.concatenate([W[:n_fixed], _updated(W, N, P)[n_fixed:]])
    return W, losses, False


def _update_block(X, H, W, beta, sparsity, work, with_loss):
    """Update H in place; return the objective before that (or None), H^T A and H^T B after."""
    loss = None
    if with_loss:
        loss = divergence(X, H @ W, beta).sum() + sparsity * H.sum(dtype=np.float64)
    for h in infer(X, layers_of([W], beta, sparsity, len(X)), H, work):
        H[:] = h
    _, A, B = reconstruction(X, H, W, beta, work)
    N = H.T @ A
    P = np.broadcast_to(H.sum(axis=0)[:, None], W.shape) if B is None else H.T @ B
    return loss, N, P


def _updated(W, N, P):
    """Return the bases after the update above, rows normalised."""
    numerator = N + W * np.sum(W * P, axis=1, keepdims=True)
    denominator = P + W * np.sum(W * N, axis=1, keepdims=True)
    W = W * numerator / np.maximum(denominator, floor_of(W.dtype))
    return unit_rows(np.maximum(W, smallest_of(W.dtype)))
