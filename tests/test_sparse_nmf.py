"""SparseNMF: its objective, its norm, fixed components."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skunfold import SparseNMF
from skunfold._deep_nmf.initialization import random_start
from skunfold._kernels.divergences import beta_of, divergence
from skunfold._kernels.sparse_nmf import fit

LOSSES = ["frobenius", "kullback-leibler", "itakura-saito", 0.5, 1.5, 3.0]


@pytest.fixture(name="X")
def make_data():
    rng = np.random.default_rng(0)
    return rng.gamma(0.5, size=(60, 4)) @ rng.gamma(0.5, size=(4, 15)) + 1e-3


def test_each_update_of_the_squared_error_lowers_the_objective(X):
    H, W = random_start(X, 4, np.random.RandomState(0))
    objectives = []
    for _ in range(60):
        objectives.append(0.5 * np.sum((X - H @ W) ** 2) + 0.3 * H.sum())
        W, _, _ = fit(X, H, W, 2.0, 0.3, max_iter=1, tol=0.0)
    assert np.all(np.diff(objectives) < 1e-9 * objectives[0])


@pytest.mark.parametrize("beta_loss", LOSSES)
@pytest.mark.parametrize("sparsity", [0.0, 0.2])
def test_fit_lowers_the_objective_with_unit_norm_bases(X, beta_loss, sparsity):
    model = SparseNMF(4, beta_loss=beta_loss, sparsity=sparsity, random_state=0).fit(X)
    assert model.loss_curve_[-1] < 0.6 * model.loss_curve_[0]
    assert_allclose(np.linalg.norm(model.components_, axis=1), 1, rtol=1e-12)
    H = model.transform(X)
    objective = divergence(X, H @ model.components_, beta_of(beta_loss)).sum()
    assert_allclose(
        (objective + sparsity * H.sum()) / len(X), model.loss_curve_[-1], rtol=0.1, atol=0.02
    )


def test_the_penalty_makes_activations_small_and_sparse(X):
    dense, sparse = (
        SparseNMF(8, sparsity=s, random_state=0).fit(X).transform(X) for s in (0.0, 1.0)
    )
    assert sparse.sum() < 0.9 * dense.sum()
    assert np.mean(sparse < 1e-3) > np.mean(dense < 1e-3)


def test_fixed_components_stay(X):
    fixed = np.random.default_rng(1).uniform(size=(2, 15)).round(3)
    model = SparseNMF(5, fixed_components=fixed, sparsity=0.1, random_state=0).fit(X)
    assert_array_equal(model.components_[:2], fixed)
    assert_allclose(np.linalg.norm(model.components_[2:], axis=1), 1, rtol=1e-12)
    alone = SparseNMF(2, fixed_components=fixed, max_iter=50).fit(X)
    assert_array_equal(alone.components_, fixed)
    assert model.loss_curve_[-1] < alone.loss_curve_[-1]


def test_init_by_an_array(X):
    init = np.random.default_rng(1).uniform(size=(3, 15))
    model = SparseNMF(3, init=init, max_iter=1, tol=0).fit(X)
    again = SparseNMF(3, init=7 * init, max_iter=1, tol=0).fit(X)
    assert_allclose(model.components_, again.components_, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_dtype_and_scale(X, dtype, scale):
    data = (X * scale).astype(dtype)
    data[::9] = 0
    model = SparseNMF(4, random_state=0).fit(data)
    activations = model.transform(data)
    assert activations.dtype == model.components_.dtype == dtype
    assert_allclose(model.inverse_transform(activations) / scale, data / scale, atol=1.0)
    assert np.all(activations[::9] < 1e-9 * scale)


def test_inverse_transform_checks_the_width(X):
    with pytest.raises(ValueError, match="X has 3 columns; give 4 activations"):
        SparseNMF(4).fit(X).inverse_transform(X[:, :3])


@pytest.mark.parametrize(
    ("params", "match"),
    [
        (
            {"fixed_components": np.ones((6, 15))},
            "fixed_components has shape .* at most n_comp",
        ),
        ({"fixed_components": np.ones((2, 3))}, "fixed_components has shape"),
        ({"fixed_components": -np.ones((2, 15))}, "Negative values"),
        ({"init": np.ones((4, 15))}, "init has shape .*n_components=5 rows"),
        ({"sparsity": -1.0}, "The 'sparsity' parameter"),
    ],
)
def test_bad_parameters_are_named(X, params, match):
    with pytest.raises(ValueError, match=match):
        SparseNMF(5, **params).fit(X)


def test_a_failed_fit_leaves_the_former_one(X):
    model = SparseNMF(3, max_iter=10, tol=0, random_state=0).fit(X)
    expected = model.transform(X)
    with pytest.raises(ValueError, match="fixed_components"):
        model.set_params(fixed_components=np.ones((1, 2))).fit(X[:, :-1])
    assert_allclose(model.transform(X), expected)
