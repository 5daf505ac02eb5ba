"""DeepNMFRegressor: oracles, invariants, training, and the scikit-learn API."""

import copy
import io
import pickle
import re
import signal
import threading
import time
import warnings

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.decomposition import NMF
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import (
    GridSearchCV,
    GroupShuffleSplit,
    ShuffleSplit,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skunfold import DeepNMFRegressor, SparseNMF
from skunfold._kernels.divergences import divergence
from skunfold._training import loop


@pytest.fixture
def mixtures():
    """Return (X, y): two sparse sources in 12 features, X their sum, y the first."""
    rng = np.random.default_rng(0)
    speech, noise = (
        rng.gamma(0.5, size=(80, 3)) @ rng.gamma(0.5, size=(3, 12)) for _ in range(2)
    )
    return speech + noise, speech


@pytest.fixture
def spectra():
    """Return (X, y): Poisson counts of mixed spectra, and the three concentrations."""
    rng = np.random.default_rng(0)
    y = rng.uniform(size=(120, 3))
    return rng.poisson(40 * y @ rng.gamma(0.5, size=(3, 20))).astype(float), y


def make_model(**kwargs):
    kwargs = {"n_components": 4, "n_layers": 4, "max_iter": 20, "random_state": 0} | kwargs
    return DeepNMFRegressor(**kwargs)


CONFIGURATIONS = {
    "linear": {},
    "mask": {"output": "mask"},
    "tied": {"output": "mask", "tied": True},
    "untrained": {"output": "mask", "n_trained_layers": 0},
    "relaxed": {"output": "mask", "tied": True, "relaxation": 2.0},
    "projections": {"output": "mask", "tied": True, "fit_projections": True},
    "last-two": {"output": "mask", "n_trained_layers": 2},
    "last-two-projections": {"output": "mask", "n_trained_layers": 2, "fit_projections": True},
    "mu": {"output": "mask", "solver": "mu"},
    "naive-mu": {"output": "mask", "solver": "naive-mu"},
    "early-stopping": {"output": "mask", "early_stopping": True},
    "averaging": {"output": "mask", "averaging": 0.9, "batch_size": 20},
    "itakura-saito": {"beta_loss": "itakura-saito", "training_loss": "itakura-saito"},
    "beta-3": {"beta_loss": 3.0, "training_loss": 0.5, "init": "sparse_nmf", "sparsity": 0.1},
}
every_configuration = pytest.mark.parametrize("name", CONFIGURATIONS)


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
    model = make_model(
        n_layers=depth, n_trained_layers=0, beta_loss=beta, init=nmf, sparsity=l1 * X.shape[1]
    ).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        assert_allclose(model.transform(X), nmf.transform(X), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("beta", [1.0, 1.5, 2.0])
def test_relaxed_layers_do_the_work_of_more_plain_ones(mixtures, beta):
    X, y = mixtures

    def divergence_after(n_layers, relaxation):
        model = make_model(
            n_layers=n_layers, n_trained_layers=0, relaxation=relaxation, beta_loss=beta
        ).fit(X, y)
        return divergence(X, model.transform(X) @ model.bases_[0], beta).mean()

    assert divergence_after(8, 1.8) < divergence_after(12, 1.0) < divergence_after(8, 1.0)
    assert_allclose(divergence_after(200, 1.8), divergence_after(360, 1.0), rtol=1e-3)


def test_without_trained_layers_fit_is_nmf_of_each_source(mixtures):
    X, y = mixtures
    model = make_model(output="mask", n_trained_layers=0).fit(X, y)
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


@every_configuration
def test_frames_are_independent(mixtures, name):
    X, y = mixtures
    model = make_model(**CONFIGURATIONS[name]).fit(X, y)
    rows = np.concatenate([model.predict(X[i : i + 1]) for i in range(len(X))])
    assert_allclose(rows, model.predict(X), rtol=1e-9, atol=1e-12)


def test_masks_of_all_sources_add_up_to_the_data(mixtures):
    X, y = mixtures
    both = make_model(output="mask", n_components=(4, 4, 0))
    both.fit(X, np.hstack([y, X - y]))
    assert_allclose(sum(np.hsplit(both.predict(X), 2)), X, rtol=1e-9, atol=1e-12)


def test_order_of_components_within_a_group_does_not_matter(mixtures):
    X, y = mixtures
    model = make_model(output="mask").fit(X, y)
    before = model.predict(X)
    order = [2, 0, 3, 1, 5, 4, 7, 6]
    model.bases_ = [W[order] for W in model.bases_]
    model.output_bases_ = model.output_bases_[order]
    assert_allclose(model.predict(X), before, rtol=1e-10, atol=1e-12)


def test_predictions_scale_with_the_data_for_kullback_leibler(mixtures):
    X, y = mixtures
    model = make_model(output="mask", sparsity=0.3, init="sparse_nmf").fit(X, y)
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
        model = make_model(
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


def test_a_sample_of_weight_two_is_two_samples(mixtures):
    X, y = mixtures
    weight = np.random.default_rng(0).integers(0, 3, len(X))
    model = make_model(output="mask", tied=True, init="sparse_nmf", sparsity=0.1)
    weighted = clone(model).fit(X, y, sample_weight=weight)
    repeated = clone(model).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight, axis=0))
    assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-6, atol=1e-9)


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
    model = make_model(solver=solver, n_trained_layers=n_trained_layers, output=output)
    start = clone(model).set_params(n_trained_layers=0).fit(X, y)
    model.fit(X, y)
    assert model.loss_ < start.loss_
    assert all(W.min() > 0 for W in [*model.bases_[4 - 3 :], model.output_bases_])


def test_cancelled_parts_learn_more_than_naive_ones(mixtures):
    X, y = mixtures
    losses = {
        solver: make_model(solver=solver, output="mask", n_layers=12, max_iter=40)
        .fit(X, y)
        .loss_
        for solver in ("mu", "naive-mu")
    }
    assert losses["mu"] < losses["naive-mu"]


@every_configuration
def test_a_fit_never_ends_worse_than_it_began(mixtures, name):
    X, y = mixtures
    model = make_model(**CONFIGURATIONS[name], learning_rate_init=30.0)
    model.set_params(early_stopping=False)
    untrained = clone(model).set_params(n_trained_layers=0).fit(X, y)
    model.fit(X, y)
    assert model.loss_ <= untrained.loss_ * (1 + 1e-6)
    assert np.isfinite(model.predict(X)).all()


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
        model = make_model(output="mask", n_trained_layers=n_trained, tied=tied, max_iter=2)
        model.fit(X, y)
        assert len({id(W) for W in model.bases_}) == distinct
        n_output = 0 if n_trained == 0 else R * F
        assert model.n_parameters_ == distinct * R * F + n_output
        n_frozen = 4 - max((5 if n_trained == "all" else n_trained) - 1, 0)
        frozen = len({id(W) for W in model.bases_[:n_frozen]})
        assert model.n_trained_parameters_ == (distinct - frozen) * R * F + n_output


def test_projections_are_the_bases_where_they_are_not_trained(mixtures):
    X, y = mixtures
    size = 8 * X.shape[1]
    for n_trained, tied, n_distinct in [
        (1, False, 0),
        (2, False, 1),
        ("all", False, 4),
        ("all", True, 1),
    ]:
        model = make_model(output="mask", n_trained_layers=n_trained, tied=tied)
        plain = clone(model).fit(X, y)
        model.set_params(fit_projections=True).fit(X, y)
        own = {id(V) for V, W in zip(model.projections_, model.bases_) if V is not W}
        assert len(own) == n_distinct
        for name in ("n_parameters_", "n_trained_parameters_"):
            assert getattr(model, name) == getattr(plain, name) + n_distinct * size
        assert (model.loss_ < plain.loss_) == (n_distinct > 0)
    model.set_params(fit_projections=False).fit(X, y)
    assert not hasattr(model, "projections_")


@pytest.mark.parametrize("averaging", [0.0, 0.9])
def test_warm_start_goes_on_where_the_fit_stopped(mixtures, averaging):
    X, y = mixtures
    settings = {"averaging": averaging, "learning_rate_decay": 0.8}
    model = make_model(output="mask", batch_size=16, max_iter=4, tol=0, **settings)
    whole = clone(model).fit(X, y)
    parts = clone(model).set_params(max_iter=2, warm_start=True).fit(X, y).fit(X, y)
    assert_allclose(parts.predict(X), whole.predict(X), rtol=1e-10)
    assert_allclose(parts.loss_curve_, whole.loss_curve_, rtol=1e-10)
    assert (parts.n_iter_, len(parts.history_)) == (2, 4)


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
    model = make_model(beta_loss=beta, max_iter=2)

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


def test_zeros_that_training_cannot_change_are_told(mixtures):
    X, y = mixtures
    bases = np.eye(4, 12)
    with pytest.warns(UserWarning, match=r"init holds zeros \(44\).*np\.maximum"):
        make_model(init=bases, output="mask", n_components=2, max_iter=2).fit(X, y)
    plain = make_model(init=bases, n_trained_layers=0).fit(X, y)  # where zeros are meant
    with pytest.warns(UserWarning, match=r"init holds zeros \(44\)"):
        make_model(init=plain, max_iter=2).fit(X, y)


def test_mu_takes_a_stream_of_zeros_in_single_precision(mixtures):
    X, y = mixtures
    model = make_model(solver="mu", max_iter=3).fit(X, y)
    for factor in (0, 1e-30):
        model.partial_fit((factor * X).astype(np.float32), y.astype(np.float32))
        assert np.isfinite(model.predict(X)).all()


def test_a_column_of_targets_is_flattened_with_a_warning(spectra):
    X, y = spectra
    with pytest.warns(DataConversionWarning, match="column-vector"):
        model = make_model(max_iter=2).fit(X, y[:, :1])
    assert model.predict(X).shape == (len(X),)


def test_a_stream_follows_targets_that_a_fit_did_not_have():
    model = DeepNMFRegressor(4, random_state=0).fit([[2.0]], [4.0])
    assert model.history_[-1]["learning_rate"] < 1e-3
    for _ in range(200):
        model.partial_fit([[2.0]], [1.0])
    assert_allclose(model.predict([[2.0]]), 1, rtol=1e-3)


def test_layers_can_be_trained_one_after_the_other(mixtures):
    X, y = mixtures
    model = make_model(output="mask", n_trained_layers=1, warm_start=True).fit(X, y)
    losses = [model.loss_]
    for n_trained_layers in (2, 3):
        model.set_params(n_trained_layers=n_trained_layers).fit(X, y)
        losses.append(model.loss_)
    assert losses == sorted(losses, reverse=True)


def test_partial_fit_learns_from_a_stream(mixtures):
    X, y = mixtures
    model = make_model(output="mask", batch_size=20)
    for _ in range(30):
        model.partial_fit(X[:40], y[:40]).partial_fit(X[40:], y[40:])
    start = make_model(output="mask", n_trained_layers=0).fit(X[:40], y[:40])
    assert model.n_iter_ == 60
    assert model.loss_ == model.loss_curve_[-1]
    assert np.mean((model.predict(X) - y) ** 2) < np.mean((start.predict(X) - y) ** 2)


def test_a_stream_keeps_the_units_of_its_first_batch(spectra):
    X, y = spectra
    model = make_model(n_components=3, learning_rate_init=1e-9).partial_fit(X, y)
    before, loss = model.predict(X), model.loss_curve_[0]
    model.partial_fit(X, 3 * y)
    assert_allclose(model.predict(X), before, rtol=1e-6)
    assert model.loss_curve_[0] == loss


def test_a_warm_fit_on_other_data_does_not_get_worse(spectra):
    X, y = spectra
    model = make_model(n_components=3, warm_start=True).fit(X, 2.5 * y)
    score = model.score(X, 2.8 * y)
    assert model.fit(X, 2.8 * y).score(X, 2.8 * y) > score


def test_partial_fit_after_early_stopping_goes_on_from_the_best(mixtures):
    X, y = mixtures
    model = make_model(output="mask", early_stopping=True, max_iter=30, learning_rate_init=0.3)
    model.fit(X, y)
    n_epochs = model.n_iter_
    model.partial_fit(X, y)
    assert len(model.validation_loss_curve_) == n_epochs == model.n_iter_ - 1
    model.set_params(learning_rate_init=1e-9).fit(X, y)
    assert_allclose(model.partial_fit(X, y).score(X, y), model.score(X, y), rtol=1e-3)


def test_averaging_is_of_fits(mixtures):
    X, y = mixtures
    model = make_model(output="mask", batch_size=16, max_iter=2, averaging=0.9)
    plain = clone(model).set_params(averaging=0.0)
    assert_array_equal(
        clone(model).partial_fit(X, y).predict(X), plain.partial_fit(X, y).predict(X)
    )
    assert model.fit(X, y).loss_ != plain.fit(X, y).loss_
    model.partial_fit(X, y).set_params(warm_start=True, max_iter=1).fit(X, y)
    assert model._training_state[1].average is not None


def test_partial_fit_without_trained_layers(mixtures):
    X, y = mixtures
    model = make_model(output="mask", n_trained_layers=0).partial_fit(X, y)
    assert model.n_iter_ == 1
    assert model.n_trained_parameters_ == 0


@pytest.mark.parametrize(
    "changed",
    [
        {"n_components": 5},
        {"output": "linear"},
        {"output": "mask", "n_components": (4, 4, 4)},
        {"n_layers": 3},
        {"n_layers": 9},
        {"fit_projections": True},
    ],
    ids=str,
)
def test_the_structure_of_a_fitted_network_cannot_change(mixtures, changed):
    X, y = mixtures
    model = make_model(output="mask", warm_start=True).fit(X, y).set_params(**changed)
    for method in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match=r"but the model was fitted with .* again"):
            method(X, y)
    with pytest.raises(ValueError, match="but the model was fitted with"):
        model.predict(X)


def test_held_out_samples_are_in_the_range_of_the_others(mixtures):
    X, y = (np.float32(a) for a in mixtures)
    held_out = ShuffleSplit(1, test_size=0.1, random_state=0).split(X)
    (_, rows), *_ = held_out
    X[rows[0]] *= 1e15
    with pytest.raises(ValueError, match=r"X holds .* too much for float32; scale it"):
        make_model(early_stopping=True).fit(X, y)


def test_a_failed_fit_leaves_the_former_one(mixtures):
    X, y = mixtures
    model = make_model(output="mask").fit(X, y)
    expected = model.predict(X)
    with pytest.raises(ValueError, match="Negative"):
        model.fit(-X[:, :4], y[:, :4])
    with pytest.raises(ValueError, match="init gives bases"):
        model.set_params(init=np.ones((3, 5))).fit(X[:, :5], y[:, :5])
    assert_array_equal(model.predict(X), expected)


@pytest.mark.parametrize("again", ["fit", "partial_fit"])
def test_a_failed_fit_leaves_the_training_where_it_was(mixtures, again, monkeypatch):
    model = make_model(output="mask", max_iter=3, tol=0, warm_start=True, batch_size=20)
    failing, undisturbed = clone(model).fit(*mixtures), clone(model).fit(*mixtures)

    def fail(state, settings, entry, seconds):
        raise RuntimeError("no more")

    with monkeypatch.context() as patch:
        patch.setattr(loop, "write_history", fail)
        with pytest.raises(RuntimeError, match="no more"):
            getattr(failing, again)(*mixtures)
    for one in (failing, undisturbed):
        getattr(one, again)(*mixtures)
    assert failing.loss_curve_ == undisturbed.loss_curve_
    assert_array_equal(failing.predict(mixtures[0]), undisturbed.predict(mixtures[0]))


def test_a_copy_trains_by_itself(mixtures):
    model = make_model(output="mask", max_iter=2, tol=0, warm_start=True).fit(*mixtures)
    twin = copy.copy(model).fit(*mixtures)
    assert (len(model.history_), len(twin.history_)) == (2, 4)
    assert model.fit(*mixtures).loss_curve_ == twin.loss_curve_


def test_ctrl_c_does_not_part_a_loss_from_its_parameters(mixtures, monkeypatch):
    model = make_model(output="mask", max_iter=5, tol=0)
    copied, copies = [], loop.copies

    def interrupt(parameters):
        copied.append(parameters)
        if len(copied) == 4:
            raise KeyboardInterrupt
        return copies(parameters)

    monkeypatch.setattr(loop, "copies", interrupt)
    with pytest.warns(UserWarning, match="interrupted after 2 epochs"):
        model.fit(*mixtures)
    y_hat = model.predict(mixtures[0])
    expected = divergence(mixtures[1], y_hat, 2.0).mean()
    assert_allclose(model.loss_, expected, rtol=1e-9)


def test_a_generator_and_a_cache_of_initialisations(mixtures, tmp_path):
    losses = []
    for _ in range(2):
        model = make_model(
            output="mask", init="random", memory=str(tmp_path), max_iter=2, batch_size=20
        )
        model.set_params(random_state=np.random.RandomState(0)).fit(*mixtures)
        losses.append(model.loss_)
    assert losses[0] == losses[1]


def test_held_out_samples_do_not_initialise(mixtures):
    X, y = mixtures
    groups = np.arange(len(X)) % 4
    model = make_model(output="mask", early_stopping=True, validation_fraction=0.25, max_iter=1)
    first = clone(model).fit(X, y, groups=groups)
    other = X.copy()
    splitter = GroupShuffleSplit(1, test_size=0.25, random_state=0)
    _, held_out = next(splitter.split(X, groups=groups))
    other[held_out] *= 5
    second = clone(model).fit(other, y, groups=groups)
    assert first.data_scale_ == second.data_scale_
    assert first.initial_activation_ == second.initial_activation_


def test_early_stopping_holds_out_whole_groups(mixtures):
    X, y = mixtures
    groups = np.arange(len(X)) // 10
    model = make_model(
        output="mask", early_stopping=True, validation_fraction=0.25, max_iter=30
    )
    model.fit(X, y, groups=groups)
    assert len(model.validation_loss_curve_) == len(model.validation_scores_) == model.n_iter_
    assert model.best_loss_ is None
    assert_allclose(model.loss_, min(model.validation_loss_curve_), rtol=1e-12)
    held_out = [
        np.mean([0.5 * np.sum((model.predict(X[g]) - y[g]) ** 2, axis=1) for g in pair])
        for pair in _pairs_of_groups(groups)
    ]
    assert np.isclose(held_out, model.loss_, rtol=1e-9).sum() == 1


def test_validation_data_of_ones_own_decide_when_to_stop(mixtures):
    X, y = mixtures
    model = make_model(output="mask", early_stopping=True, max_iter=30)
    weight = np.linspace(0, 2, 20)
    validation = {"X_val": X[60:], "y_val": y[60:], "sample_weight_val": weight}
    model.fit(X[:60], y[:60], **validation)
    losses = 0.5 * np.sum((model.predict(X[60:]) - y[60:]) ** 2, axis=1)
    assert_allclose(model.loss_, np.average(losses, weights=weight), rtol=1e-9)
    assert_allclose(model.loss_, min(model.validation_loss_curve_), rtol=1e-12)
    # All of X is trained on: one epoch is that of a fit without early stopping.
    model.set_params(max_iter=1).fit(X[:60], y[:60], **validation)
    plain = make_model(output="mask", max_iter=1).fit(X[:60], y[:60])
    assert_allclose(model.bases_[0], plain.bases_[0], rtol=1e-12)


def test_validation_data_take_the_dtype_of_the_training_data(mixtures):
    X, y = mixtures
    model = make_model(output="mask", early_stopping=True, max_iter=3)
    model.fit(X.astype(np.float32), y.astype(np.float32), X_val=X, y_val=y)
    assert model.bases_[0].dtype == np.float32


def test_validation_data_of_a_single_output(spectra):
    X, y = spectra
    model = make_model(early_stopping=True, max_iter=5)
    model.fit(X[:80], y[:80, 0], X_val=X[80:], y_val=y[80:, 0])
    assert model.predict(X).shape == (len(X),)


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"X_val": None}, "X_val is missing; give X_val and y_val together"),
        ({"y_val": None}, "y_val is missing"),
        ({"X_val": None, "y_val": None, "sample_weight_val": np.ones(80)}, "X_val is missing"),
        ({"early_stopping": False}, "early_stopping is False; set early_stopping=True"),
        ({"y_val": np.ones((80, 2))}, "y_val has 2 columns"),
        ({"y_val": np.full((80, 12), -1.0)}, "Negative values in data .*argument y_val"),
        ({"X_val": np.full((80, 12), -1.0)}, "Negative values in data .*argument X_val"),
        ({"X_val": np.ones((80, 3))}, "X has 3 features"),
        ({"y_val": np.ones((79, 12))}, "inconsistent numbers of samples"),
        ({"sample_weight_val": np.zeros(80)}, "zero for all samples|at least one non-zero"),
    ],
)
def test_bad_validation_data_are_named(mixtures, changed, match):
    X, y = mixtures
    validation = {"early_stopping": True, "X_val": X, "y_val": y} | changed
    model = make_model(output="mask", early_stopping=validation.pop("early_stopping"))
    with pytest.raises(ValueError, match=match):
        model.fit(X, y, **validation)
    assert not hasattr(model, "bases_")


def _pairs_of_groups(groups):
    names = np.unique(groups)
    return [[groups == a, groups == b] for i, a in enumerate(names) for b in names[i + 1 :]]


def test_ctrl_c_keeps_the_best_model(mixtures):
    X, y = mixtures
    model = make_model(output="mask", max_iter=100_000, tol=0, n_iter_no_change=10**9)

    def interrupt():
        while not hasattr(model, "bases_"):
            time.sleep(0.01)
        time.sleep(0.3)
        signal.raise_signal(signal.SIGINT)

    # A process in the background may have been started with the signal ignored.
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Thread(target=interrupt).start()
        with pytest.warns(UserWarning, match="interrupted after .* best parameters"):
            model.fit(X, y)
    finally:
        signal.signal(signal.SIGINT, former)
    assert model.loss_ < make_model(output="mask", n_trained_layers=0).fit(X, y).loss_
    assert model.predict(X).shape == y.shape


class Watch:
    """A callback that scores every task and asks to stop after the fifth."""

    def __init__(self):
        self.scores = []

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        self.scores.append(fitted_estimator.score(X, y))
        return len(self.scores) == 5


def test_callbacks_see_a_fit_without_epochs(mixtures):
    pytest.importorskip("sklearn.callback")
    X, y = mixtures
    watch = Watch()
    model = make_model(output="mask", n_trained_layers=0).set_callbacks(watch).fit(X, y)
    assert watch.scores == [model.score(X, y)]


def test_callbacks_see_every_epoch_and_may_stop(mixtures):
    pytest.importorskip("sklearn.callback")
    X, y = mixtures
    watch = Watch()
    model = make_model(output="mask").set_callbacks(watch).fit(X, y)
    assert model.n_iter_ == 5
    assert len(watch.scores) == 6  # five epochs and the fit
    assert_allclose(watch.scores[-1], model.score(X, y))


def test_verbose_prints_the_history_in_the_units_of_the_data(mixtures, capsys):
    X, y = mixtures
    model = make_model(max_iter=3, verbose=1, early_stopping=True).fit(X, 1000 * y)
    assert model.target_scale_ > 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    curves = zip(model.loss_curve_, model.validation_loss_curve_)
    for i, (line, (loss, validation_loss)) in enumerate(zip(lines, curves)):
        start = f"Epoch {i + 1}: loss {loss:.6g}, validation loss {validation_loss:.6g}, "
        assert line.startswith(start)
        assert line.endswith(f"({model.history_[i]['seconds']:.1f} s)")


def test_history_keeps_the_units_of_the_loss_that_was_trained(mixtures):
    X, y = mixtures
    model = make_model(max_iter=2, warm_start=True).fit(X, 1000 * y)
    first = model.history_
    model.set_params(training_loss="kullback-leibler").fit(X, 1000 * y)
    assert model.history_[:2] == first
    assert [epoch["epoch"] for epoch in model.history_] == [1, 2, 3, 4]


def test_seconds_of_every_epoch(mixtures):
    model = make_model(max_iter=3).fit(*mixtures).partial_fit(*mixtures)
    assert len(model.history_) == 4
    assert all(epoch["seconds"] > 0 for epoch in model.history_)
    assert sum(epoch["seconds"] for epoch in model.history_) < 60


# Initialisation


@pytest.mark.parametrize("init", ["nmf", "sparse_nmf", "random"])
@pytest.mark.parametrize("output", ["linear", "mask"])
def test_every_init(mixtures, init, output):
    X, y = mixtures
    model = make_model(init=init, output=output, max_iter=100).fit(X, y)
    assert model.score(X, y) > 0.5


def test_init_from_fitted_models_and_arrays(mixtures, spectra):
    X, y = mixtures
    sources = [SparseNMF(4, random_state=0).fit(s) for s in (y, X - y)]
    W = np.concatenate([s.components_ for s in sources])
    by_models = make_model(output="mask", init=sources).fit(X, y)
    by_arrays = make_model(output="mask", init=[s.components_ for s in sources]).fit(X, y)
    by_array = make_model(output="mask", init=W).fit(X, y)
    assert_array_equal(by_models.predict(X), by_arrays.predict(X))
    assert_array_equal(by_models.predict(X), by_array.predict(X))
    X, y = spectra
    joint = NMF(4, solver="mu", beta_loss=1, init="random", random_state=0)
    joint.fit(np.hstack([X, y]))
    alone = NMF(4, solver="mu", beta_loss=1, init="random", random_state=0).fit(X)
    for init in (joint, alone, joint.components_):
        assert make_model(init=init, max_iter=60).fit(X, y).score(X, y) > 0.8


def test_init_by_a_frozen_model_survives_cloning(mixtures):
    X, y = mixtures
    fitted = SparseNMF(8, random_state=0).fit(X)
    model = make_model(init=FrozenEstimator(fitted), output="mask")
    assert np.isfinite(cross_val_score(model, X, y, error_score="raise")).all()
    with pytest.raises(ValueError, match=r"init, a SparseNMF, .*FrozenEstimator"):
        clone(make_model(init=fitted, output="mask")).fit(X, y)
    nested = fitted.components_.tolist()
    assert_array_equal(
        make_model(init=nested, output="mask").fit(X, y).predict(X),
        make_model(init=fitted, output="mask").fit(X, y).predict(X),
    )


@pytest.mark.parametrize(
    ("output", "before", "after"),
    [
        ("linear", False, False),
        ("mask", False, False),
        ("mask", False, True),
        ("mask", True, True),
    ],
)
def test_a_tied_network_goes_on_untied(mixtures, output, before, after):
    X, y = mixtures
    tied = make_model(output=output, tied=True, fit_projections=before).fit(X, y)
    model = clone(make_model(output=output, init=FrozenEstimator(tied), averaging=0.5))
    model.set_params(fit_projections=after)
    model.set_params(learning_rate_init=1e-9, max_iter=1).fit(X, y)
    assert_allclose(model.predict(X), tied.predict(X), rtol=1e-5)
    model.set_params(learning_rate_init=0.03, max_iter=20).fit(X, y)
    assert model.loss_ < tied.loss_
    assert len({id(W) for W in model.bases_}) == 4
    assert tied.n_parameters_ < model.n_parameters_
    model.set_params(n_layers=3)
    with pytest.raises(ValueError, match=r"asked for here, \(3, .* but has \(4, "):
        model.fit(X, y)
    with pytest.raises(ValueError, match="not fitted"):
        model.set_params(init=make_model()).fit(X, y)


def test_projections_that_are_taken_over_and_not_trained(mixtures):
    X, y = mixtures
    fitted = make_model(output="mask", fit_projections=True).fit(X, y)
    model = make_model(output="mask", fit_projections=True, n_trained_layers=0, init=fitted)
    model.fit(X, y)
    assert_array_equal(model.predict(X), fitted.predict(X))
    assert model.loss_ == pytest.approx(fitted.loss_)
    assert model.n_parameters_ == fitted.n_parameters_


def test_projections_are_not_lost_on_the_way(mixtures):
    X, y = mixtures
    fitted = make_model(fit_projections=True).fit(X, y)
    with pytest.raises(ValueError, match="set fit_projections=True here"):
        make_model(init=fitted).fit(X, y)


def test_sources_and_context(mixtures):
    X, y = mixtures
    stacked = np.hstack([np.roll(X, 1, axis=0), X])
    speech = np.hstack([np.roll(y, 1, axis=0), y])
    model = make_model(output="mask", n_trained_layers=0)
    without = clone(model).fit(stacked, y)
    given = clone(model).fit(stacked, y, sources=[speech, stacked - speech])
    assert given.bases_[0].shape == without.bases_[0].shape == (8, 24)
    assert given.output_bases_.shape == (8, 12)
    for fitted in (given, without):
        assert fitted.score(stacked, y) > 0.3


def test_no_residual_group_when_there_is_nothing_else(mixtures):
    X, _ = mixtures
    model = make_model(output="mask", n_components=(3, 0), max_iter=3).fit(X, X)
    assert_allclose(model.predict(X), X, rtol=1e-9)


# Numbers


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("solver", ["eg", "mu"])
@pytest.mark.parametrize("output", ["linear", "mask"])
def test_dtype_is_kept(mixtures, dtype, solver, output):
    X, y = (a.astype(dtype) for a in mixtures)
    model = make_model(solver=solver, output=output).fit(X, y)
    arrays = [*model.bases_, model.output_bases_, model.predict(X), model.transform(X)]
    assert {a.dtype for a in arrays} == {np.dtype(dtype)}


@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1e6, 1e12])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@every_configuration
def test_scales_and_zeros_give_finite_results(mixtures, name, scale, dtype):
    X, y = (a.copy() for a in mixtures)
    X[::7], y[::7], y[:, 3] = 0, 0, 0
    X, y = (X * scale).astype(dtype), (y * scale).astype(dtype)
    model = make_model(**CONFIGURATIONS[name], max_iter=5).fit(X, y)
    y_hat = model.predict(X)
    assert np.isfinite(y_hat).all()
    assert np.isfinite(model.loss_)
    reference = make_model(**CONFIGURATIONS[name], max_iter=5).fit(X / scale, y / scale)
    if "sparsity" not in CONFIGURATIONS[name]:
        assert_allclose(y_hat / scale, reference.predict(X / scale), rtol=0.05, atol=0.05)


@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_targets_in_other_units(spectra, unit):
    X, y = spectra
    model = make_model(n_components=3, max_iter=60).fit(X, y * unit)
    assert_allclose(
        model.score(X, y * unit),
        make_model(n_components=3, max_iter=60).fit(X, y).score(X, y),
        rtol=1e-2,
    )


# The API


@every_configuration
def test_pickle_joblib_and_clone(mixtures, name):
    X, y = mixtures
    model = make_model(**CONFIGURATIONS[name]).fit(X, y)
    expected = model.predict(X)
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), expected)
    assert_array_equal(clone(model).fit(X, y).predict(X), expected)
    buffer = io.BytesIO()
    joblib.dump(model, buffer)
    buffer.seek(0)
    loaded = joblib.load(buffer)
    assert_array_equal(loaded.predict(X), expected)
    assert len({id(W) for W in loaded.bases_}) == len({id(W) for W in model.bases_})
    loaded.partial_fit(X, y)


def test_grid_search_over_depth_in_a_pipeline(spectra):
    X, y = spectra
    pipeline = make_pipeline(MinMaxScaler(clip=True), make_model(n_components=3, max_iter=10))
    grid = {
        "deepnmfregressor__n_layers": [1, 3],
        "deepnmfregressor__n_trained_layers": [0, 2],
        "deepnmfregressor__tied": [False, True],
    }
    search = GridSearchCV(pipeline, grid, n_jobs=2, cv=2).fit(X, y)
    alone = clone(pipeline).set_params(**search.best_params_).fit(X, y)
    assert_array_equal(search.predict(X), alone.predict(X))
    serial = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    assert_array_equal(
        search.cv_results_["mean_test_score"], serial.cv_results_["mean_test_score"]
    )


@every_configuration
def test_staged_predictions_end_with_the_prediction(mixtures, name):
    X, y = mixtures
    model = make_model(**CONFIGURATIONS[name]).fit(X, y)
    stages = list(model.staged_predict(X))
    assert len(stages) == 4
    assert_allclose(stages[-1], model.predict(X), rtol=1e-12)


def test_outputs_of_transform(mixtures):
    pd = pytest.importorskip("pandas")
    X, y = mixtures
    model = make_model().fit(X, y)
    assert list(model.get_feature_names_out()) == [f"deepnmfregressor{i}" for i in range(4)]
    frame = model.set_output(transform="pandas").transform(X)
    assert isinstance(frame, pd.DataFrame)
    assert_allclose(frame, clone(model).fit_transform(X, y))


def test_one_target_gives_a_flat_prediction(spectra):
    X, y = spectra
    assert make_model().fit(X, y[:, 0]).predict(X).shape == (len(X),)


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"n_trained_layers": 6}, "n_trained_layers=6 .* at most 5, or 'all'"),
        ({"n_components": (3, 2)}, r"n_components=\(3, 2\) does not fit output='linear'"),
        ({"n_components": (0, 2), "output": "mask"}, "the residual, which may be 0"),
        ({"output": "mask", "n_components": (4,) * 6}, "y has 12 columns; with output='mask'"),
        ({"init": np.ones((3, 12))}, r"init gives bases of shape \(3, 12\)"),
        ({"init": np.full((4, 12), -1.0)}, "Negative values"),
        ({"init": []}, "init, a list, holds no usable bases"),
        ({"n_layers": 0}, "The 'n_layers' parameter"),
        ({"solver": "adam"}, "The 'solver' parameter"),
    ],
)
def test_bad_parameters_are_named(mixtures, params, match):
    with pytest.raises(ValueError, match=match):
        make_model(**params).fit(*mixtures)


def test_bad_data_is_named(mixtures):
    X, y = mixtures
    with pytest.raises(ValueError, match=r"Negative values in data passed to .*argument X"):
        make_model().fit(-X, y)
    with pytest.raises(ValueError, match=r"Negative values in data passed to .*argument y"):
        make_model().fit(X, -y)
    with pytest.raises(TypeError, match=r"X is sparse, but beta_loss=0.5 needs dense data"):
        make_model(beta_loss=0.5).fit(sparse.csr_array(X), y)
    with pytest.raises(TypeError, match="y is sparse"):
        make_model().fit(X, sparse.csr_array(y))
    with pytest.raises(ValueError, match=r"zero for all samples|at least one non-zero"):
        make_model().fit(X, y, sample_weight=np.zeros(len(X)))
    with pytest.raises(ValueError, match="sources holds 1 arrays"):
        make_model(output="mask").fit(X, y, sources=[y])
    with pytest.raises(ValueError, match="An array of sources has 3 features; X has 12"):
        make_model(output="mask").fit(X, y, sources=[y, y[:, :3]])
    model = make_model(warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="this model was fitted with 12"):
        model.fit(X, y[:, :2])
    with pytest.raises(ValueError, match=r"n_layers=5, but the model was fitted with 4 layers"):
        model.set_params(n_layers=5).fit(X, y)
