"""Products with samples that may be sparse, where only their nonzero elements are touched.

Samples X (n, F) are an ndarray, or a csr_array in canonical format; then "the values of X" are
its stored elements, (n_stored,), and a matrix "like X" has the same pattern. For a dense X they
are all elements, (n, F). An update with beta = 1 needs the reconstruction v = h W only where X
has values; with beta = 2 it needs X W^T and Gram matrices, but not v. So no array here is as
large as a dense X, unless X is dense.

Bases W are (R, F). Products with sparse data select their columns, so W is best in Fortran
order; otherwise each call makes such a copy first.
"""

import numpy as np
from scipy.sparse import csr_array, hstack
from scipy.special import kl_div

from skunfold._kernels.divergences import divergence
from skunfold._kernels.numerics import NEW_ARRAYS, floor_of

CHUNK = 1 << 15  # elements of activations, and of bases, that are gathered at a time
FEWEST_ROWS, MOST_ROWS = 256, 8192  # in a block of sparse samples


def is_sparse(X):
    """Return whether X is sparse: samples are that, or ndarrays."""
    return not isinstance(X, np.ndarray)  # a tenth of the time that scipy.sparse.issparse takes


def canonical(X):
    """Return sparse X, of any format, as a csr_array with sorted indices; dense X as it is.

    The caller's matrix is left as it is, and shares its arrays with the result if it can.
    """
    if not is_sparse(X):
        return X
    X = csr_array(X)
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    if not X.data.all():  # stored zeros, which scikit-learn's NMF does not take
        X = X.copy()
        X.eliminate_zeros()
    return X


def dense(X):
    """Return X as an ndarray."""
    return X.toarray() if is_sparse(X) else X


def values_of(X):
    """Return the values of X, not copied: (n, F), or (n_stored,) if it is sparse."""
    return X.data if is_sparse(X) else X


def with_values(X, values):
    """Return a matrix like X with other values, which are not copied."""
    if not is_sparse(X):
        return values
    return csr_array((values, X.indices, X.indptr), shape=X.shape)


def row_means(X):
    """Return the means of the rows of X as a column, (n, 1)."""
    return X.mean(axis=1).astype(X.dtype, copy=False).reshape(-1, 1)


def transposed(X):
    """Return X^T, as samples."""
    return X.T.tocsr() if is_sparse(X) else np.ascontiguousarray(X.T)


def beside(X, Y):
    """Return [X | Y], sparse if X is."""
    return hstack([X, csr_array(Y)], format="csr") if is_sparse(X) else np.hstack([X, Y])


def product_at(X, h, W, name, work=NEW_ARRAYS):
    """Return h W where X has values, shaped like these: an array of the workspace.

    Dense X: (n, F), or (1, F) where h (1, R) is the same for all samples.
    """
    if not is_sparse(X):
        out = work.array(name, (h.shape[0], W.shape[1]), X.dtype)
        return np.matmul(h, W, out=out)
    values = work.array(name, X.data.shape, X.dtype)
    h = np.ascontiguousarray(np.broadcast_to(h, (X.shape[0], h.shape[1])))
    by_feature = np.ascontiguousarray(W.T)
    samples, features = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr)), X.indices
    step = max(1, CHUNK // W.shape[0])
    of_samples, of_features = np.empty((2, min(step, len(values)), W.shape[0]), X.dtype)
    for start in range(0, len(values), step):
        chunk = slice(start, start + step)
        n = len(values[chunk])
        np.take(h, samples[chunk], axis=0, out=of_samples[:n], mode="clip")
        np.take(by_feature, features[chunk], axis=0, out=of_features[:n], mode="clip")
        np.einsum("kr,kr->k", of_samples[:n], of_features[:n], out=values[chunk])
    return values


def times(X, P, out):
    """Return X P (n, R), in `out`."""
    if not is_sparse(X):
        return np.matmul(X, P, out=out)
    out[:] = X @ P
    return out


def times_transposed(X, W, out):
    """Return X W^T (n, R), in `out`."""
    return times(X, W.T, out)


def transposed_times(A, B, out):
    """Return A^T B in `out`, for two matrices (n, any) of which one may be sparse."""
    if is_sparse(A):
        out[:] = A.T @ B
    elif is_sparse(B):
        out[:] = (B.T @ A).T
    else:
        np.matmul(A.T, B, out=out)
    return out


def divergence_of_product(X, h, W, beta):
    """Return D(X | h W) summed over features: (n,), in float64.

    Where X is sparse, beta is 1 or 2. The terms outside the pattern of X are the sum over all
    elements of v = h W minus the sum inside the pattern: for beta = 2 of the squares, whose sum
    over all is h (W W^T) h^T, for beta = 1 of the values, whose sum over all is h rowsum(W).
    """
    if not is_sparse(X):
        return divergence(X, h @ W, beta)
    h64, W64 = h.astype(np.float64, copy=False), W.astype(np.float64, copy=False)
    v = np.maximum(product_at(X, h, W, "v"), floor_of(X.dtype)).astype(np.float64, copy=False)
    if beta == 1:
        inside, of_v = kl_div(X.data, v), v
        of_all = h64 @ W64.sum(axis=1)
    else:
        inside, of_v = 0.5 * (X.data - v) ** 2, 0.5 * v**2
        of_all = 0.5 * np.einsum("nr,nr->n", h64 @ (W64 @ W64.T), h64)
    samples = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    inside, of_v = (np.bincount(samples, a, minlength=X.shape[0]) for a in (inside, of_v))
    return inside + np.maximum(of_all - of_v, 0)


def sparse_block_size(X):
    """Return how many samples to take at a time if X is sparse, else None.

    Sums over blocks are arrays (R, F), and each costs as much as F values of X do; so blocks
    have a few times as many, but not so many rows that activations fill the memory.
    """
    if not is_sparse(X):
        return None
    values_per_row = max(X.nnz / max(X.shape[0], 1), 1)
    return int(np.clip(4 * X.shape[1] / values_per_row, FEWEST_ROWS, MOST_ROWS))
