"""SparseNMF: its objective, its norm, fixed components."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import NMF

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


@pytest.mark.parametrize("beta_loss", LOSSES)
def test_whole_weights_are_copies(X, beta_loss):
    weight = np.random.default_rng(1).integers(0, 4, len(X))
    options = {"beta_loss": beta_loss, "sparsity": 0.1, "random_state": 0, "max_iter": 50}
    weighted, repeated = SparseNMF(4, **options), SparseNMF(4, **options)
    copies = np.repeat(X, weight, axis=0)
    for method in ("fit", "partial_fit", "partial_fit"):
        getattr(weighted, method)(X, sample_weight=weight)
        getattr(repeated, method)(copies)
        assert_allclose(weighted.components_, repeated.components_, rtol=1e-9)
        assert_allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-9)
        assert_allclose(weighted.reconstruction_err_, repeated.reconstruction_err_, rtol=1e-9)


@pytest.mark.parametrize("beta_loss", [2.0, 1.0, 0.0, 1.5])
def test_reconstruction_err_is_that_of_scikit_learn(X, beta_loss):
    H = np.random.default_rng(1).uniform(0.5, 1, size=(3, 15))
    W = np.random.default_rng(2).uniform(0.5, 1, size=(60, 3))
    theirs = NMF(3, init="custom", solver="mu", beta_loss=beta_loss, max_iter=1, tol=0)
    theirs.fit(X, W=W, H=H)
    # Without a penalty, the first update is that of the unconstrained factorisation.
    ours = SparseNMF(3, init="custom", beta_loss=beta_loss, max_iter=400, tol=0)
    ours.fit(X, W=W, H=H)
    activations = ours.transform(X)
    total = divergence(X, activations @ ours.components_, beta_loss).sum()
    assert_allclose(ours.reconstruction_err_, np.sqrt(2 * total), rtol=0.02)
    assert ours.reconstruction_err_ < theirs.reconstruction_err_
    if beta_loss == 2:
        residual = np.linalg.norm(X - activations @ ours.components_)
        assert_allclose(ours.reconstruction_err_, residual, rtol=0.02)


@pytest.mark.parametrize("scale", [1.0, 1e6])
def test_the_start_is_what_is_given(X, scale):
    W = np.random.default_rng(2).uniform(size=(60, 3))
    H = scale * np.random.default_rng(1).uniform(size=(3, 15))
    model = SparseNMF("auto", init="custom", max_iter=1, tol=0, sparsity=0.2)
    activations = model.fit_transform(scale * X, W=W, H=H)
    assert activations.shape == (60, 3)
    assert model.n_components_ == 3
    # The bases are brought to unit norm, and their norm goes into the activations.
    penalty = 0.2 * np.sum(W * np.linalg.norm(H, axis=1))
    objective = divergence(scale * X, W @ H, 1).sum() + penalty
    assert_allclose(model.loss_curve_[0], objective / 60, rtol=1e-9)


def test_number_of_components_by_the_data_or_the_start(X):
    H = np.random.default_rng(1).uniform(size=(3, 15))
    assert SparseNMF("auto", max_iter=2, tol=0).fit(X).components_.shape == (15, 15)
    assert SparseNMF("auto", init=H, max_iter=2, tol=0).fit(X).n_components_ == 3
    assert SparseNMF("auto", init=H.tolist(), max_iter=2).fit(X).transform(X).shape == (60, 3)


def test_zeros_of_a_given_start_can_grow():
    rng = np.random.default_rng(3)
    X = rng.gamma(0.3, 1, (300, 4)) @ rng.gamma(1, 1, (4, 12)) + 0.01
    full, with_zeros = (
        SparseNMF(4, init=init, max_iter=200, tol=0).fit(X).reconstruction_err_
        for init in (np.eye(4, 12) + 0.1, np.eye(4, 12))
    )
    assert with_zeros < 1.3 * full


@pytest.mark.parametrize(
    ("params", "start", "match"),
    [
        ({}, {"H": np.ones((3, 15))}, "needs start values W and H in fit, but W is missing"),
        ({}, {"W": np.ones((60, 3))}, "needs start values W and H in fit, but H is missing"),
        ({}, {"W": np.ones((60, 3)), "H": np.ones((2, 15))}, "H has shape .*=3 rows"),
        ({}, {"W": np.ones((9, 3)), "H": np.ones((3, 15))}, "W has shape .* give 60 rows"),
        ({}, {"W": -np.ones((60, 3)), "H": np.ones((3, 15))}, "Negative values"),
        (
            {"fixed_components": np.ones((4, 15))},
            {"W": np.ones((60, 3)), "H": np.ones((3, 15))},
            "fixed_components has shape",
        ),
    ],
)
def test_bad_start_values_are_named(X, params, start, match):
    with pytest.raises(ValueError, match=match):
        SparseNMF(3, init="custom", **params).fit(X, **start)


def test_start_values_that_are_not_used_are_warned_of(X):
    with pytest.warns(RuntimeWarning, match="W and H are ignored unless init='custom'"):
        SparseNMF(3, max_iter=2, tol=0).fit(X, H=np.ones((3, 15)))


def test_verbose(X, capsys):
    model = SparseNMF(3, max_iter=21, tol=0, verbose=1, random_state=0).fit(X)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["Update 0", "Update 10", "Update 20"]
    assert lines[2].endswith(f"objective {model.loss_curve_[2]:.6g} per sample")
    model.partial_fit(X)
    assert capsys.readouterr().out.startswith("Batch 1: objective ")
    model.set_params(verbose=0).fit(X).partial_fit(X)
    assert not capsys.readouterr().out


@pytest.mark.parametrize("beta_loss", LOSSES)
def test_a_stream_is_learned(beta_loss):
    rng = np.random.default_rng(0)
    bases = rng.gamma(0.5, size=(4, 15))
    X = rng.gamma(0.5, size=(2000, 4)) @ bases + 1e-3
    stream, first_batch = (
        SparseNMF(4, beta_loss=beta_loss, random_state=0, sparsity=0.01) for _ in range(2)
    )
    for batch in np.split(X, 40):
        stream.partial_fit(batch)
    first_batch.partial_fit(X[:50])
    after, before = (
        divergence(X, m.transform(X) @ m.components_, beta_of(beta_loss)).sum()
        for m in (stream, first_batch)
    )
    assert after < 0.25 * before
    assert stream.n_iter_ == len(stream.loss_curve_) == 40
    assert_allclose(np.linalg.norm(stream.components_, axis=1), 1, rtol=1e-12)


def test_one_batch_is_one_update_and_earlier_ones_count_less(X):
    one, all_forgotten, none = (
        SparseNMF(3, random_state=0, forget_factor=factor) for factor in (0.5, 0.0, 1.0)
    )
    for model in (one, all_forgotten, none):
        model.partial_fit(X[:30])
    assert_array_equal(one.components_, none.components_)
    first = one.components_numerator_
    for model in (one, all_forgotten, none):
        model.partial_fit(X[30:])
    second = all_forgotten.components_numerator_
    assert_allclose(one.components_numerator_, 0.5 * first + second, rtol=1e-12)
    assert_allclose(none.components_numerator_, first + second, rtol=1e-12)
    refitted = one.set_params(max_iter=3, tol=0).fit(X)
    assert not hasattr(refitted, "components_numerator_")
    expected = refitted.components_
    again = refitted.set_params(fixed_components=expected[:1].copy()).partial_fit(X)
    assert_array_equal(again.components_[:1], expected[:1])
    assert again.n_iter_ == len(again.loss_curve_) == 1


def test_a_stream_keeps_its_type(X):
    model = SparseNMF(3, random_state=0).partial_fit(X.astype(np.float32)).partial_fit(X)
    assert model.components_.dtype == model.components_numerator_.dtype == np.float32
    with pytest.raises(ValueError, match="to start from bases alone, give them as init"):
        SparseNMF(3, init="custom").partial_fit(X)
    with pytest.raises(ValueError, match="Negative values"):
        model.partial_fit(-X)
    assert model.n_iter_ == 2


@pytest.mark.parametrize("beta", [0, 1, 2, 3])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_data_at_the_ends_of_the_range_is_refused(beta, dtype):
    X = np.random.default_rng(0).uniform(0.1, 1, size=(20, 5)).astype(dtype)
    model = SparseNMF(2, beta_loss=beta, max_iter=10, tol=0, random_state=0).fit(X)
    huge = X * dtype(np.finfo(dtype).max / 10)
    for call in (model.transform, model.partial_fit):
        with pytest.raises(ValueError, match=r"^X holds .* too much for float"):
            call(huge)
    tiny = X * np.finfo(dtype).tiny / 1000
    with pytest.raises(ValueError, match=r"^X has a mean of .* too near to the end"):
        SparseNMF(2, beta_loss=beta).fit(tiny.astype(dtype))
