"""Products with sparse samples equal those with the same samples dense."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from skunfold._kernels import sparse_rows
from skunfold._kernels.divergences import divergence
from skunfold._kernels.nmf import infer, layer_of
from skunfold._kernels.sparse_nmf import fit, total_divergence
from skunfold._kernels.sparse_rows import (
    beside,
    canonical,
    dense,
    divergence_of_product,
    product_at,
    row_means,
    sparse_block_size,
    times_transposed,
    transposed,
    transposed_times,
    values_of,
    with_values,
)

N, F, R = 30, 12, 4


@pytest.fixture(name="data", params=[np.float64, np.float32])
def make_data(request):
    """Return sparse X with an empty row and column, activations and bases."""
    rng = np.random.default_rng(0)
    X = rng.gamma(1, size=(N, F)) * (rng.random((N, F)) < 0.3)
    X[3], X[:, 5] = 0, 0
    arrays = X, rng.uniform(0.1, 1, (N, R)), rng.uniform(0.1, 1, (R, F))
    X, h, W = (a.astype(request.param) for a in arrays)
    return canonical(sparse.coo_matrix(X)), h, W


def assert_close(actual, expected):
    assert actual.dtype == expected.dtype
    rtol = 1e-12 if expected.dtype == np.float64 else 1e-5
    assert_allclose(actual, expected, rtol=rtol, atol=rtol * np.abs(expected).max())


@pytest.mark.parametrize("n_rows", [N, 1], ids=["each its own", "one for all"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_products(data, n_rows, order, monkeypatch):
    monkeypatch.setattr(sparse_rows, "CHUNK", 20)  # several chunks, the last one not full
    X, h, W = data
    h, W = h[:n_rows], np.asarray(W, order=order)
    expected = np.where(dense(X) > 0, h @ W, 0)
    product = product_at(X, h, W, "v")
    assert product.shape == X.data.shape
    assert_close(dense(with_values(X, product)), expected)


def test_sums(data):
    X, h, W = data
    D = dense(X)
    assert_close(times_transposed(X, W, np.empty((N, R), W.dtype)), D @ W.T)
    assert_close(transposed_times(h, X, np.empty((R, F), W.dtype)), h.T @ D)
    assert_close(transposed_times(X, h, np.empty((F, R), W.dtype)), D.T @ h)
    assert_close(row_means(X), D.mean(axis=1, keepdims=True))
    assert_close(dense(transposed(X)), D.T)
    assert_close(dense(beside(X, h)), np.hstack([D, h]))
    for same in (beside(D, h), row_means(D), transposed(D)):
        assert isinstance(same, np.ndarray)


@pytest.mark.parametrize("beta", [1.0, 2.0])
def test_divergence(data, beta):
    X, h, W = data
    of_samples = divergence_of_product(X, h, W, beta)
    expected = divergence(dense(X), h @ W, beta)
    rtol = 1e-12 if W.dtype == np.float64 else 1e-5
    assert_allclose(of_samples, expected, rtol=rtol)
    weight = np.arange(N, dtype=W.dtype)
    assert_allclose(total_divergence(X, h, W, beta), expected.sum(), rtol=rtol)
    assert_allclose(total_divergence(X, h, W, beta, weight), expected @ weight, rtol=rtol)


@pytest.mark.parametrize("beta", [1.0, 2.0])
@pytest.mark.parametrize("n_samples", [1, 10_000], ids=["no Gram matrix", "Gram matrix"])
def test_inference(data, beta, n_samples):
    X, h, W = data
    thetas = [(W,), (W.copy(),), (W, W[::-1].copy())]  # with a copy, and with projections
    layers = [layer_of(theta, beta, 0.1, n_samples) for theta in thetas]
    both = [[a.copy() for a in infer(x, [layers[0], *layers], h)] for x in (X, dense(X))]
    for of_sparse, of_dense in zip(*both):
        assert_close(of_sparse, of_dense)


@pytest.mark.parametrize("beta", [1.0, 2.0])
def test_fit(data, beta):
    X, h, W = data
    W /= np.linalg.norm(W, axis=1, keepdims=True)
    weight = np.arange(N, dtype=W.dtype)
    options = {"max_iter": 30, "tol": 0.0, "n_fixed": 1, "weight": weight}
    H, H_dense = h.copy(), h.copy()
    of_sparse, losses, _ = fit(X, H, W, beta, 0.1, **options)
    of_dense, expected_losses, _ = fit(dense(X), H_dense, W, beta, 0.1, **options)
    assert_close(of_sparse, of_dense)
    assert_close(H, H_dense)
    assert_allclose(losses, expected_losses, rtol=1e-12 if W.dtype == np.float64 else 1e-5)


def test_any_format_is_brought_to_rows_without_touching_it():
    D = np.array([[0, 3.0, 0], [1, 0, 2]])
    for format_ in ("csr", "csc", "coo", "lil", "dok", "bsr"):
        for kind in (sparse.csr_array, sparse.csr_matrix):
            X = canonical(kind(D).asformat(format_))
            assert type(X) is sparse.csr_array
            assert_array_equal(X.toarray(), D)
    twice = sparse.csr_array(([1.0, 2, 1, 2], [1, 1, 2, 0], [0, 2, 4]), shape=(2, 3))
    X = canonical(twice)
    assert_array_equal(values_of(X), [3, 2, 1])
    assert_array_equal(twice.data, [1, 2, 1, 2])
    shared = sparse.csr_matrix(D)
    assert np.shares_memory(canonical(shared).data, shared.data)
    assert canonical(D) is D


def test_blocks_of_sparse_samples_have_as_many_values_as_features():
    X = sparse.csr_array((np.ones(5000), np.arange(5000), np.arange(5001)), shape=(5000, 5000))
    assert sparse_block_size(X[:, :1000]) == 4000
    assert sparse_block_size(X) == sparse_rows.MOST_ROWS
    assert sparse_block_size(sparse.csr_array((0, 3))) == sparse_rows.FEWEST_ROWS
    assert sparse_block_size(np.ones((3, 3))) is None
