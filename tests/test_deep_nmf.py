"""DeepNMFRegressor: oracles, invariants, training, and the scikit-learn API."""

import io
import re
import warnings

import joblib
import numpy as np
import pytest
from configurations import DEEP_NMF, deep_nmf, make_model
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.decomposition import NMF
from sklearn.exceptions import ConvergenceWarning

from skunfold import DeepNMFRegressor
from skunfold._kernels.divergences import divergence

# Oracles


@pytest.mark.parametrize(
    ("beta", "l1"), [(1.0, 0.0), (1.5, 0.0), (2.0, 0.0), (1.5, 0.1), (2.0, 0.1)]
)
@pytest.mark.parametrize("depth", [1, 2, 25])
def test_untrained_inference_is_that_of_scikit_learn(mixtures, beta, l1, depth):
    X, y = mixtures
    nmf = NMF(
        4, solver="mu", beta_loss=beta, tol=0, max_iter=depth, init="random", random_state=0
    ).fit(X)
    nmf.set_params(alpha_W=l1, l1_ratio=1.0)
    model = deep_nmf(
        n_layers=depth, n_trained_layers=0, beta_loss=beta, init=nmf, sparsity=l1 * X.shape[1]
    ).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        assert_allclose(model.transform(X), nmf.transform(X), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("beta", [1.0, 1.5, 2.0])
def test_relaxed_layers_do_the_work_of_more_plain_ones(mixtures, beta):
    X, y = mixtures

    def divergence_after(n_layers, relaxation):
        model = deep_nmf(
            n_layers=n_layers, n_trained_layers=0, relaxation=relaxation, beta_loss=beta
        ).fit(X, y)
        return divergence(X, model.transform(X) @ model.bases_[0], beta).mean()

    assert divergence_after(8, 1.8) < divergence_after(12, 1.0) < divergence_after(8, 1.0)
    assert_allclose(divergence_after(200, 1.8), divergence_after(360, 1.0), rtol=1e-3)


def test_without_trained_layers_fit_is_nmf_of_each_source(mixtures):
    X, y = mixtures
    model = deep_nmf(output="mask", n_trained_layers=0).fit(X, y)
    assert all(W is model.bases_[0] for W in model.bases_)
    assert_array_equal(model.output_bases_, model.bases_[0])
    reconstruction = NMF(
        4, solver="mu", beta_loss=1, max_iter=200, random_state=0, init="random"
    )
    best = reconstruction.fit(y).reconstruction_err_
    speech = NMF(4, solver="mu", beta_loss=1, init="custom", max_iter=200)
    H = np.ones((len(y), 4))
    speech.fit_transform(y, W=H, H=model.bases_[0][:4])
    assert speech.reconstruction_err_ < 1.2 * best + 0.1


def test_masks_of_all_sources_add_up_to_the_data(mixtures):
    X, y = mixtures
    both = deep_nmf(output="mask", n_components=(4, 4, 0))
    both.fit(X, np.hstack([y, X - y]))
    assert_allclose(sum(np.hsplit(both.predict(X), 2)), X, rtol=1e-9, atol=1e-12)


def test_order_of_components_within_a_group_does_not_matter(mixtures):
    X, y = mixtures
    model = deep_nmf(output="mask").fit(X, y)
    before = model.predict(X)
    order = [2, 0, 3, 1, 5, 4, 7, 6]
    model.bases_ = [W[order] for W in model.bases_]
    model.output_bases_ = model.output_bases_[order]
    assert_allclose(model.predict(X), before, rtol=1e-10, atol=1e-12)


def test_predictions_scale_with_the_data_for_kullback_leibler(mixtures):
    X, y = mixtures
    model = deep_nmf(output="mask", sparsity=0.3, init="sparse_nmf").fit(X, y)
    assert_allclose(model.predict(1e3 * X), 1e3 * model.predict(X), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("init", ["nmf", "sparse_nmf", "random", "array"])
@pytest.mark.parametrize("output", ["linear", "mask"])
@pytest.mark.parametrize("beta", [0, 0.3, 1, 1.5, 2, 3])
def test_a_weight_is_repetition(mixtures, beta, output, init):
    X, y = mixtures
    weight = np.random.default_rng(0).integers(0, 4, len(X))
    if init == "array":
        init = np.random.default_rng(1).uniform(
            0.1, 1, (4 if output == "linear" else 8, X.shape[1])
        )
    for solver in ("eg", "mu", "naive-mu"):
        model = deep_nmf(
            output=output,
            beta_loss=beta,
            init=init,
            solver=solver,
            sparsity=0.1,
            batch_size=1000,
        )
        weighted = clone(model).fit(X, y, sample_weight=weight)
        repeated = clone(model).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight, axis=0))
        assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-8)
        assert_allclose(weighted.loss_, repeated.loss_, rtol=1e-8)


# Training


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("init", ["nmf", "sparse_nmf", "random"])
def test_samples_of_zeros_with_targets_do_not_drive_predictions_out_of_range(init):
    rng = np.random.default_rng(0)
    X, y = np.zeros((7, 3), np.float32), 1e12 * rng.exponential(size=(7, 2)).astype(np.float32)
    X[[1, 4]] = 1e-6 * rng.exponential(size=(2, 3))
    model = DeepNMFRegressor(
        3,
        n_layers=3,
        init=init,
        solver="naive-mu",
        beta_loss="itakura-saito",
        training_loss="itakura-saito",
        batch_size=1,
        max_iter=2,
        random_state=0,
    )
    predicted = model.fit(X, y).predict(X)
    assert predicted.dtype == np.float32
    assert np.isfinite(predicted).all()


@pytest.mark.parametrize("solver", ["eg", "mu", "naive-mu"])
@pytest.mark.parametrize("n_trained_layers", [1, 2, "all"])
@pytest.mark.parametrize("output", ["linear", "mask"])
def test_training_improves_on_the_warm_start(mixtures, solver, n_trained_layers, output):
    X, y = mixtures
    model = deep_nmf(solver=solver, n_trained_layers=n_trained_layers, output=output)
    start = clone(model).set_params(n_trained_layers=0).fit(X, y)
    model.fit(X, y)
    assert model.loss_ < start.loss_
    assert all(W.min() > 0 for W in [*model.bases_[4 - 3 :], model.output_bases_])


def test_cancelled_parts_learn_more_than_naive_ones(mixtures):
    X, y = mixtures
    losses = {
        solver: deep_nmf(solver=solver, output="mask", n_layers=12, max_iter=40).fit(X, y).loss_
        for solver in ("mu", "naive-mu")
    }
    assert losses["mu"] < losses["naive-mu"]


def test_what_is_trained_and_what_is_shared(mixtures):
    X, y = mixtures
    R, F = 8, X.shape[1]
    for n_trained, tied, distinct in [
        (0, False, 1),
        (1, False, 1),
        (2, False, 2),
        (4, False, 4),
        (4, True, 2),
        ("all", False, 4),
        ("all", True, 1),
    ]:
        model = deep_nmf(output="mask", n_trained_layers=n_trained, tied=tied, max_iter=2)
        model.fit(X, y)
        assert len({id(W) for W in model.bases_}) == distinct
        n_output = 0 if n_trained == 0 else R * F
        assert model.n_parameters_ == distinct * R * F + n_output
        n_frozen = 4 - max((5 if n_trained == "all" else n_trained) - 1, 0)
        frozen = len({id(W) for W in model.bases_[:n_frozen]})
        assert model.n_trained_parameters_ == (distinct - frozen) * R * F + n_output


@pytest.mark.parametrize("n_trained_layers", [0, 2])
def test_joblib_keeps_which_projections_are_bases(mixtures, n_trained_layers):
    model = deep_nmf(fit_projections=True, n_layers=4, n_trained_layers=n_trained_layers)
    model.fit(*mixtures)
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    copied = joblib.load(file)
    places = [
        [[V is W for W in one.bases_] for V in one.projections_] for one in (model, copied)
    ]
    assert np.any(places[0])
    assert_array_equal(*places)


def test_projections_are_the_bases_where_they_are_not_trained(mixtures):
    X, y = mixtures
    size = 8 * X.shape[1]
    for n_trained, tied, n_distinct in [
        (1, False, 0),
        (2, False, 1),
        ("all", False, 4),
        ("all", True, 1),
    ]:
        model = deep_nmf(output="mask", n_trained_layers=n_trained, tied=tied)
        plain = clone(model).fit(X, y)
        model.set_params(fit_projections=True).fit(X, y)
        own = {id(V) for V, W in zip(model.projections_, model.bases_) if V is not W}
        assert len(own) == n_distinct
        for name in ("n_parameters_", "n_trained_parameters_"):
            assert getattr(model, name) == getattr(plain, name) + n_distinct * size
        assert (model.loss_ < plain.loss_) == (n_distinct > 0)
    model.set_params(fit_projections=False).fit(X, y)
    assert not hasattr(model, "projections_")


def is_finite_or_refused(call):
    """Return whether the result of a call is finite, or the range of the data was refused."""
    try:
        return np.isfinite(call()).all()
    except ValueError as error:
        return re.search("too near to the end of the range|too much for float", str(error))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("beta", [0, 0.5, 1, 2, 3])
def test_data_at_the_ends_of_the_range_are_fitted_or_refused(mixtures, beta, dtype):
    X, y = (a.astype(dtype) for a in mixtures)
    info = np.finfo(dtype)
    model = deep_nmf(beta_loss=beta, max_iter=2)

    def results_of_fit(X, y):
        one = clone(model).fit(X, y)
        return np.append(one.predict(X), one.loss_)

    for unit in (info.max / 100, info.max**0.5, info.tiny**0.5, info.tiny, info.tiny / 1000):
        for X_unit, y_unit in ((unit, 1), (1, unit), (unit, unit)):
            data = X * dtype(X_unit), y * dtype(y_unit)
            assert is_finite_or_refused(lambda data=data: results_of_fit(*data))
    model.fit(X, y)
    for factor in (info.max / 100, info.max**0.5, info.tiny):
        other = X * dtype(factor)
        assert is_finite_or_refused(lambda other=other: model.predict(other))
        assert is_finite_or_refused(lambda other=other: model.partial_fit(other, y).predict(X))
    with pytest.raises(ValueError, match=r"^y holds .* too much for float"):
        model.partial_fit(X, y * dtype(info.max**0.5))


# Numbers


@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1e6, 1e12])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", DEEP_NMF)
def test_scales_and_zeros_give_finite_results(mixtures, name, scale, dtype):
    X, y = (a.copy() for a in mixtures)
    X[::7], y[::7], y[:, 3] = 0, 0, 0
    X, y = (X * scale).astype(dtype), (y * scale).astype(dtype)
    model = make_model(name, max_iter=5).fit(X, y)
    y_hat = model.predict(X)
    assert np.isfinite(y_hat).all()
    assert np.isfinite(model.loss_)
    reference = make_model(name, max_iter=5).fit(X / scale, y / scale)
    if not model.sparsity:
        assert_allclose(y_hat / scale, reference.predict(X / scale), rtol=0.05, atol=0.05)


@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_targets_in_other_units(spectra, unit):
    X, y = spectra
    model = deep_nmf(n_components=3, max_iter=60).fit(X, y * unit)
    assert_allclose(
        model.score(X, y * unit),
        deep_nmf(n_components=3, max_iter=60).fit(X, y).score(X, y),
        rtol=1e-2,
    )


# The API


def test_one_target_gives_a_flat_prediction(spectra):
    X, y = spectra
    assert deep_nmf().fit(X, y[:, 0]).predict(X).shape == (len(X),)


def test_bad_data_is_named(mixtures):
    X, y = mixtures
    with pytest.raises(ValueError, match=r"Negative values in data passed to .*argument X"):
        deep_nmf().fit(-X, y)
    with pytest.raises(ValueError, match=r"Negative values in data passed to .*argument y"):
        deep_nmf().fit(X, -y)
    with pytest.raises(TypeError, match=r"X is sparse, but beta_loss=0.5 needs dense data"):
        deep_nmf(beta_loss=0.5).fit(sparse.csr_array(X), y)
    with pytest.raises(TypeError, match="y is sparse"):
        deep_nmf().fit(X, sparse.csr_array(y))
    with pytest.raises(ValueError, match="sources holds 1 arrays"):
        deep_nmf(output="mask").fit(X, y, sources=[y])
    with pytest.raises(ValueError, match=r"sources\[1\] has the shape \(\); give a matrix"):
        make_model("mask").fit(X, X, sources=[X, None])
    with pytest.raises(ValueError, match="An array of sources has 3 features; X has 12"):
        deep_nmf(output="mask").fit(X, y, sources=[y, y[:, :3]])
    model = deep_nmf(warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="this model was fitted with 12"):
        model.fit(X, y[:, :2])
    with pytest.raises(ValueError, match=r"n_layers=5, but the model was fitted with 4 layers"):
        model.set_params(n_layers=5).fit(X, y)
