"""Sparse NMF with unit-norm bases.

Minimises, over activations H (n, R) >= 0 and bases W (R, F) >= 0 with rows of unit L2 norm::

    sum over samples of weight * (D_beta(X | H W) + sparsity * sum(H))

The norm is part of the update, so that the penalty cannot be escaped by scaling. With
A = X v^(beta-2), B = v^(beta-1), v = H W, N = H^T A and P = H^T B, where the rows of H have
the weights of their samples::

    W <- W (N + W rowsum(W P)) / (P + W rowsum(W N)),   then rows to unit norm

In a stream, each batch adds its numerator W (N + ...) and its denominator to sums in which
earlier batches count less and less. W is the quotient of the two sums, which minimises the sum
of upper bounds of the objectives of the batches (Lefèvre, Bach and Févotte, "Online
algorithms for nonnegative matrix factorization with the Itakura-Saito divergence", WASPAA
2011).

Le Roux, Weninger and Hershey, "Sparse NMF - half-baked or well done?" (MERL TR2015-023),
section 4.
"""

import numpy as np
from scipy.sparse import issparse

from skunfold._kernels.blocks import (
    BlockThreads,
    PerThread,
    block_size_for,
    block_slices,
    for_threads,
)
from skunfold._kernels.nmf import infer, layer_of
from skunfold._kernels.nmf_layers import reconstruction
from skunfold._kernels.numerics import Workspace, add, floor_of, smallest_of
from skunfold._kernels.sparse_rows import (
    divergence_of_product,
    sparse_block_size,
    transposed_times,
)

CHECK_EVERY = 10  # iterations between two computations of the loss
MAX_SHARDS = 8  # each adds up its own sums; their number does not depend on that of the threads


def unit_rows(W):
    """Return W with rows of unit L2 norm; a row of zeros becomes a flat one."""
    norms, floor = np.linalg.norm(W, axis=1, keepdims=True), floor_of(W.dtype)
    if norms.min() < floor:  # their squares may have vanished
        peaks = W.max(axis=1, keepdims=True)
        relative = np.where(peaks > 0, W / np.where(peaks > 0, peaks, 1), 1)
        W = np.where(norms < floor, relative, W)
        norms = np.linalg.norm(W, axis=1, keepdims=True)
    return W / norms


def without_zeros(W):
    """Return W with zeros, which no update could change, replaced by a hundredth of its mean.

    Multiplicative updates need hundreds of iterations to grow from much smaller values.
    """
    return np.where(W > 0, W, W.dtype.type(0.01) * W.mean())


def fit(X, H, W, beta, sparsity, *, max_iter, tol, n_fixed=0, weight=None, report=None):
    """Update H, in place, and W by turns; return (W, losses, converged).

    The first `n_fixed` rows of W are not changed; the others must be of unit norm. X (n, F) may
    be sparse for beta = 1 and 2. Weights of the samples are (n,), not all zero. `losses` holds
    the objective per sample at every check, and report(number of updates, objective) is called
    then; the fit has converged when the objective fell by less than tol times its first value
    between two checks.
    """
    losses: list[float] = []
    total_weight = X.shape[0] if weight is None else weight.sum(dtype=np.float64)
    with _Sums(X, H, beta, sparsity, W.size, weight) as sums:
        for iteration in range(max_iter):
            check = iteration % CHECK_EVERY == 0
            loss, N, P = sums.update(W, check)
            if check:
                losses.append(float(loss / total_weight))
                if report is not None:
                    report(iteration, losses[-1])
                if len(losses) > 1 and losses[-2] - losses[-1] < tol * losses[0]:
                    return W, losses, True
            W = np.concatenate([W[:n_fixed], _quotient(*_terms(W, N, P))[n_fixed:]])
    return W, losses, False


def fit_batch(X, H, W, beta, sparsity, sums, *, forget_factor, n_fixed=0, weight=None):
    """Update W once, by a batch with activations H and earlier ones; return (W, loss, sums).

    H is updated once, in place. `sums` are the numerator and the denominator, (R, F), of the
    batches before, each weighing `forget_factor` times what the next one does, or None. The
    loss is the objective of the batch before the update.
    """
    with _Sums(X, H, beta, sparsity, W.size, weight) as batch:
        loss, N, P = batch.update(W, with_loss=True)
    terms = _terms(W, N, P)
    if sums is not None:
        factor = W.dtype.type(forget_factor)
        terms = tuple(factor * earlier + new for earlier, new in zip(sums, terms))
    return np.concatenate([W[:n_fixed], _quotient(*terms)[n_fixed:]]), loss, terms


def total_divergence(X, H, W, beta, weight=None):
    """Return D(X | H W) summed over features and, each with its weight, samples."""
    slices = block_slices(X.shape[0], _block_size(X, W.size))
    W = np.asfortranarray(W) if issparse(X) else W

    def of_block(rows):
        losses = divergence_of_product(X[rows], H[rows], W, beta)
        return losses.sum() if weight is None else losses @ weight[rows]

    with BlockThreads() as threads:
        return float(sum(threads.map(of_block, slices)))


def _block_size(X, n_weights):
    """Return how many samples to take at a time."""
    n, sparse_size = X.shape[0], sparse_block_size(X)
    return for_threads(sparse_size, n) if sparse_size else block_size_for(n, n_weights)


class _Sums:
    """Sums over blocks of samples, while their activations H are updated in place."""

    def __init__(self, X, H, beta, sparsity, n_weights, weight):
        self._X, self._H, self._weight = X, H, weight
        self._beta, self._sparsity = beta, sparsity
        slices = block_slices(X.shape[0], _block_size(X, n_weights))
        n_slices = -(-len(slices) // MAX_SHARDS)
        self._shards = [slices[s] for s in block_slices(len(slices), n_slices)]
        self._workspace = PerThread(Workspace)
        self._threads = BlockThreads()

    def __enter__(self):
        self._threads.__enter__()
        return self

    def __exit__(self, *exception):
        self._threads.__exit__(*exception)

    def update(self, W, with_loss):
        """Update H once; return the objective before (0 without), H^T A and H^T B after."""
        layer = layer_of((W,), self._beta, self._sparsity, self._X.shape[0])

        def of_shard(slices):
            return _added(self._update_block(rows, layer, with_loss) for rows in slices)

        loss, N, P = _added(self._threads.map(of_shard, self._shards))
        return loss, N, P @ W if self._beta == 2 else P

    def _update_block(self, rows, layer, with_loss):
        X, H, loss, work = self._X[rows], self._H[rows], 0.0, self._workspace()
        W = layer.suited_to(X).W
        weight = None if self._weight is None else self._weight[rows]
        if with_loss:
            losses = divergence_of_product(X, H, W, self._beta)
            losses += self._sparsity * H.sum(axis=1, dtype=np.float64)
            loss = losses.sum() if weight is None else losses @ weight
        for h in infer(X, [layer], H, work):
            H[:] = h
        weighted = H if weight is None else weight[:, np.newaxis] * H
        return loss, *self._products(X, H, weighted, W, work)

    def _products(self, X, H, weighted, W, work):
        """Return H^T A and H^T B of weighted H, (R, F).

        The latter is (R, 1) where B is one; for beta = 2 it is H^T H, (R, R), from which W is
        left out.
        """
        N = np.empty(W.shape, W.dtype)
        if self._beta == 2:
            return transposed_times(weighted, X, out=N), weighted.T @ H
        _, A, B = reconstruction(X, H, W, self._beta, work)
        transposed_times(weighted, A, out=N)
        return N, weighted.sum(axis=0)[:, np.newaxis] if B is None else weighted.T @ B


def _added(results):
    """Return the sums of (loss, N, P), in the arrays of the first of them."""
    loss, N, P = 0.0, None, None
    for other_loss, other_N, other_P in results:
        loss += other_loss
        N, P = add(N, other_N), add(P, other_P)
    return loss, N, P


def _terms(W, N, P):
    """Return the numerator and the denominator of the update above, (R, F)."""
    numerator = W * (N + W * np.sum(W * P, axis=1, keepdims=True))
    return numerator, P + W * np.sum(W * N, axis=1, keepdims=True)


def _quotient(numerator, denominator):
    """Return the bases after the update, rows normalised."""
    W = numerator / np.maximum(denominator, floor_of(numerator.dtype))
    return unit_rows(np.maximum(W, smallest_of(W.dtype)))
