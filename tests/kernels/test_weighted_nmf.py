"""NMF with weights: the NMF of scikit-learn on repeated samples."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array
from sklearn.decomposition import non_negative_factorization

from skunfold._kernels.weighted_nmf import fit


@pytest.fixture(scope="module")
def start():
    rng = np.random.default_rng(0)
    X = rng.gamma(0.5, size=(30, 3)) @ rng.uniform(size=(3, 8)) + 0.01
    weight = rng.integers(0, 4, len(X)).astype(float)
    return X, weight, np.ones((len(X), 3)), rng.uniform(size=(3, 8))


@pytest.mark.filterwarnings("ignore:Maximum number of iterations")
@pytest.mark.parametrize("tol", [0, 0.1])
@pytest.mark.parametrize("beta", [0, 0.5, 1, 1.5, 2, 3])
def test_a_weight_is_repetition_for_scikit_learn(start, beta, tol):
    X, weight, H, W = start
    n_copies = weight.astype(int)
    actual, bases = fit(X, H, W, weight, beta, max_iter=60, tol=tol)
    expected, expected_bases, n_iter = non_negative_factorization(
        np.repeat(X, n_copies, axis=0),
        np.repeat(H, n_copies, axis=0),
        W.copy(),
        3,
        init="custom",
        solver="mu",
        beta_loss=beta,
        max_iter=60,
        tol=tol,
    )
    assert (n_iter < 60) == (tol > 0)
    assert_allclose(np.repeat(actual, n_copies, axis=0), expected, rtol=1e-9)
    assert_allclose(bases, expected_bases, rtol=1e-9)


@pytest.mark.parametrize("beta", [1, 2])
def test_sparse_data(start, beta):
    X, weight, H, W = start
    X = np.where(np.median(X) < X, X, 0)
    for actual, expected in zip(
        fit(csr_array(X), H, W, weight, beta, max_iter=30, tol=1e-4),
        fit(X, H, W, weight, beta, max_iter=30, tol=1e-4),
    ):
        assert_allclose(actual, expected, rtol=1e-9)
