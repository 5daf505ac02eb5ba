"""What training does for every estimator: epochs, warm starts, streams, interrupts."""

import pickle
from itertools import pairwise

import numpy as np
import pytest
from callbacks import Watch
from configurations import (
    FIELDS,
    ON_BATCHES,
    ONE_OF_EACH,
    ROWS,
    TRAINED,
    learned_arrays,
    make_model,
    outputs,
)
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone, is_classifier

from skunfold._training import loop
from skunfold._training.objective import Objective

every_trained = pytest.mark.parametrize("name", TRAINED)
one_of_each = pytest.mark.parametrize("name", ONE_OF_EACH)
on_batches = pytest.mark.parametrize("name", ON_BATCHES)
by_lbfgs = pytest.mark.parametrize("name", sorted(TRAINED.keys() - ON_BATCHES.keys()))
of_each_kind = pytest.mark.parametrize(
    "name",
    ["mask", "mean field", "mean field, lbfgs", "BP", "ISTA", "ISTA, lbfgs", "ISTA, classes"],
)
# Averages and decay are of fits, not of streams.
IN_STREAMS = [
    name
    for name, m in ON_BATCHES.items()
    if not m.averaging and m.learning_rate_decay == 1 and name != "untrained"
]
# Those that minimise the squared error or the cross-entropy.
USUAL_LOSS = [
    name
    for name, m in ON_BATCHES.items()
    if getattr(m, "training_loss", "frobenius") == "frobenius"
    and getattr(m, "loss", "squared_error") == "squared_error"
    and name != "untrained"
]


def stream(model, X, y, **params):
    """Feed a batch to `partial_fit`, with all classes where there are any."""
    if is_classifier(model):
        params["classes"] = np.unique(y)
    return model.partial_fit(X, y, **params)


# Epochs


@every_trained
def test_a_fit_never_ends_worse_than_it_began(data_for, name):
    model = make_model(name, early_stopping=False)
    X, y = data_for(model)
    model.set_params(learning_rate_init=1e4 if name in FIELDS else 30.0)
    start = clone(model).set_params(max_iter=1, learning_rate_init=1e-12).fit(X, y)
    model.fit(X, y)
    assert model.loss_ <= start.loss_ * (1 + 1e-6)
    assert np.isfinite(outputs(model, X)).all()


@of_each_kind
def test_callbacks_see_every_epoch_and_may_stop(data_for, name):
    pytest.importorskip("sklearn.callback")
    watch, model = Watch(), make_model(name)
    X, y = data_for(model)
    model.set_callbacks(watch).fit(X, y)
    assert model.n_iter_ == 5
    assert len(watch.scores) == 6  # five epochs and the fit
    assert_allclose(watch.scores[-1], model.score(X, y))


@of_each_kind
def test_verbose_prints_a_line_an_epoch(data_for, name, capsys):
    model = make_model(name, max_iter=3, verbose=1)
    model.fit(*data_for(model))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    for line, epoch in zip(lines, model.history_):
        losses = f"loss {epoch['loss']:.6g}, final loss {epoch['final_loss']:.6g}"
        assert line == f"Epoch {epoch['epoch']}: {losses} ({epoch['seconds']:.1f} s)"
        assert epoch["seconds"] > 0


@one_of_each
def test_infinite_patience_never_stops_early(data_for, name):
    model = clone(ONE_OF_EACH[name]).set_params(n_iter_no_change=np.inf, tol=1.0, max_iter=40)
    X, y = data_for(model)
    assert clone(model).fit(X, y).n_iter_ == 40
    assert clone(model).set_params(n_iter_no_change=3).fit(X, y).n_iter_ == 3


@on_batches
def test_steps_decay_and_parameters_are_averaged(data_for, name):
    settings = {"averaging": 0.9, "learning_rate_decay": 0.5, "batch_size": 20}
    model = make_model(name, max_iter=4, tol=0, **settings)
    rates = [epoch["learning_rate"] for epoch in model.fit(*data_for(model)).history_]
    assert len(rates) == (0 if name == "untrained" else 4)
    assert all(b <= a / 2 for a, b in pairwise(rates))


@pytest.mark.parametrize("name", sorted(ON_BATCHES.keys() - ROWS.keys()))
def test_workers_share_the_samples(data_for, name):
    model = make_model(name, max_iter=4, tol=0, early_stopping=False)
    X, y = data_for(model)
    alone, shared = (clone(model).set_params(n_jobs=n).fit(X, y) for n in (None, 2))
    assert_allclose(outputs(shared, X), outputs(alone, X), rtol=1e-9, atol=1e-12)


# Held-out samples


def losses_of(model, X, y):
    """Return the loss of each sample without penalties."""
    if is_classifier(model):
        p = model.predict_proba(X)
        return -np.log(p[np.arange(len(X)), np.searchsorted(model.classes_, y)])
    return 0.5 * np.sum((model.predict(X) - y) ** 2, axis=1)


@pytest.mark.parametrize("name", USUAL_LOSS)
def test_validation_data_of_ones_own_decide_when_to_stop(data_for, name):
    model = make_model(name, early_stopping=True, max_iter=15, tol=0)
    X, y = data_for(model)
    held = np.arange(len(X)) % 3 == 0
    weight = np.linspace(0, 2, held.sum())
    validation = {"X_val": X[held], "y_val": y[held]}
    model.fit(X[~held], y[~held], **validation)
    losses = losses_of(model, X[held], y[held])
    assert_allclose(model.loss_, losses.mean(), rtol=1e-9)
    assert model.loss_ <= min(model.validation_loss_curve_)
    assert len(model.validation_loss_curve_) == len(model.validation_scores_) == model.n_iter_
    assert model.best_loss_ is None
    assert model.best_validation_score_ == max(model.validation_scores_)
    model.fit(X[~held], y[~held], **validation, sample_weight_val=weight)
    losses = losses_of(model, X[held], y[held])
    assert_allclose(model.loss_, np.average(losses, weights=weight), rtol=1e-9)


@pytest.mark.parametrize("name", USUAL_LOSS)
def test_samples_are_held_out_by_groups_or_weights(data_for, name):
    model = make_model(name, early_stopping=True, max_iter=3, tol=0)
    X, y = data_for(model)
    for more in (
        {"groups": np.arange(len(X)) // 5},
        {"sample_weight": np.arange(len(X)) % 3 + 0.0},
    ):
        assert len(model.fit(X, y, **more).validation_scores_) == 3


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"X_val": None}, "X_val is missing; give X_val and y_val together"),
        ({"y_val": None}, "y_val is missing"),
        ({"X_val": None, "y_val": None, "sample_weight_val": True}, "X_val is missing"),
        ({"early_stopping": False}, "early_stopping is False; set early_stopping=True"),
        ({"X_val": np.ones((80, 3))}, "X has 3 features"),
        ({"y_val": np.ones((7, 12))}, "inconsistent numbers of samples"),
    ],
)
@one_of_each
def test_bad_validation_data_are_named(data_for, name, changed, match):
    model = clone(ONE_OF_EACH[name])
    X, y = data_for(model)
    validation = {"early_stopping": True, "X_val": X, "y_val": y} | changed
    if "sample_weight_val" in validation:
        validation["sample_weight_val"] = np.ones(len(X))
    if changed.get("y_val") is not None:
        validation["y_val"] = y[:7]
    if changed.get("X_val") is not None:
        validation["X_val"] = X[:, :3]
    model.set_params(early_stopping=validation.pop("early_stopping"))
    with pytest.raises(ValueError, match=match):
        model.fit(X, y, **validation)
    assert not {"bases_", "potentials_", "theta_", "loss_"}.intersection(vars(model))


# Warm starts


@pytest.mark.parametrize(("n_first", "pickled"), [(1, False), (2, True), (3, False)])
@on_batches
def test_warm_start_goes_on_where_the_fit_stopped(data_for, name, n_first, pickled):
    model = make_model(name, batch_size=20, max_iter=5, tol=0)
    X, y = data_for(model)
    whole = clone(model).fit(X, y)
    parts = clone(model).set_params(max_iter=n_first, warm_start=True).fit(X, y)
    parts = pickle.loads(pickle.dumps(parts)) if pickled else parts
    parts.set_params(max_iter=5 - n_first).fit(X, y)
    assert_array_equal(outputs(parts, X), outputs(whole, X))
    n_epochs = 0 if name == "untrained" else 5
    assert len(parts.history_) == n_epochs
    if n_epochs:
        assert parts.n_iter_ == 5 - n_first
    assert parts.loss_ == whole.loss_
    assert parts.loss_curve_ == whole.loss_curve_
    assert parts.validation_loss_curve_ == whole.validation_loss_curve_


@by_lbfgs
def test_warm_start_by_lbfgs_goes_on_from_the_best_parameters(data_for, name):
    model = make_model(name, max_iter=5, tol=0, warm_start=True)
    X, y = data_for(model)
    loss = model.fit(X, y).loss_
    assert model.fit(X, y).loss_ < loss
    assert (model.n_iter_, len(model.history_)) == (5, 10)


@pytest.mark.parametrize("again", ["fit", "partial_fit"])
@pytest.mark.parametrize("name", [name for name in ON_BATCHES if name != "untrained"])
def test_a_failed_fit_leaves_the_training_where_it_was(data_for, name, again, monkeypatch):
    model = make_model(name, max_iter=2, tol=0, warm_start=True, batch_size=20)
    data = data_for(model)
    failing, undisturbed = clone(model).fit(*data), clone(model).fit(*data)

    def fail(state, settings, entry, seconds):
        raise RuntimeError("no more")

    with monkeypatch.context() as patch:
        patch.setattr(loop, "write_history", fail)
        with pytest.raises(RuntimeError, match="no more"):
            getattr(failing, again)(*data)
    for one in (failing, undisturbed):
        getattr(one, again)(*data)
    assert failing.loss_curve_ == undisturbed.loss_curve_
    assert_array_equal(outputs(failing, data[0]), outputs(undisturbed, data[0]))


# Streams


@pytest.mark.parametrize("name", IN_STREAMS)
def test_a_fit_is_made_of_partial_fits(data_for, name):
    model = make_model(name, batch_size=20, max_iter=4, tol=0, early_stopping=False)
    X, y = data_for(model)
    if not is_classifier(model):
        model.set_params(learning_rate_init=1e-4 if model.solver == "sgd" else 1e-3)
    whole, parts = clone(model).fit(X, y), clone(model)
    losses = [epoch["final_loss"] for epoch in whole.history_]
    assert losses == sorted(losses, reverse=True)  # no epoch was undone
    for _ in range(4):
        stream(parts, X, y)
    assert_array_equal(outputs(parts, X), outputs(whole, X))
    assert parts.n_iter_ == 4
    assert parts.loss_curve_ == whole.loss_curve_
    both_kinds = clone(model).set_params(max_iter=2, warm_start=True).fit(X, y)
    both_kinds.partial_fit(X, y).set_params(max_iter=1).fit(X, y)
    assert_array_equal(outputs(both_kinds, X), outputs(whole, X))


@pytest.mark.parametrize("name", IN_STREAMS)
def test_partial_fit_of_a_sample_of_weight_two_is_that_of_two_samples(data_for, name):
    weighted, repeated = make_model(name), make_model(name)
    X, y = data_for(weighted)
    weight = np.random.default_rng(0).integers(0, 3, len(X))
    for _ in range(5):
        stream(weighted, X, y, sample_weight=weight)
        stream(repeated, np.repeat(X, weight, axis=0), np.repeat(y, weight, axis=0))
    assert_allclose(outputs(weighted, X), outputs(repeated, X), rtol=1e-9)


@one_of_each
def test_partial_fit_learns_from_a_stream(data_for, name):
    rates = {} if name == "deep NMF" else {"learning_rate_init": 0.05}
    model = clone(ONE_OF_EACH[name]).set_params(batch_size=10, **rates)
    X, y = data_for(model)
    first = stream(clone(model), X[::2], y[::2]).score(X, y)
    for _ in range(40):
        stream(model, X[::2], y[::2])
        model.partial_fit(X[1::2], y[1::2])
    assert model.n_iter_ == 80
    assert model.loss_ == model.loss_curve_[-1]
    assert model.score(X, y) > (0.9 if is_classifier(model) else first)


@by_lbfgs
def test_lbfgs_takes_no_streams(name):
    with pytest.raises(AttributeError, match="has no attribute 'partial_fit'"):
        _ = make_model(name).partial_fit


@on_batches
def test_a_stream_keeps_the_precision_that_it_began_in(data_for, name):
    model = make_model(name)
    X, y = data_for(model)
    single = X.astype(np.float32)
    stream(model, single, y if is_classifier(model) else y.astype(np.float32))
    model.partial_fit(X, y)
    arrays = [*learned_arrays(model), outputs(model, single), model.transform(single)]
    assert {a.dtype.name for a in arrays} == {"float32"}


# Interrupts


@of_each_kind
def test_ctrl_c_keeps_the_best_model(data_for, name, monkeypatch):
    model = make_model(name, verbose=1, max_iter=30, tol=0)
    X, y = data_for(model)

    def interrupt(entry):
        if entry["epoch"] == 8:
            raise KeyboardInterrupt
        return ""

    monkeypatch.setattr(loop, "line_of", interrupt)
    with pytest.warns(UserWarning, match=r"interrupted after .* best parameters"):
        model.fit(X, y)
    assert model.n_iter_ == 8
    loss = model.loss_
    model.set_params(warm_start=True, max_iter=200, verbose=0).fit(X, y)
    assert model.loss_ <= loss
    if name.startswith("mean field"):
        assert model.score(X, y) > 0.9


@by_lbfgs
def test_ctrl_c_before_the_first_iteration_of_lbfgs(data_for, name, monkeypatch):
    model = make_model(name)
    X, y = data_for(model)

    def interrupt(self, parameters, samples):
        raise KeyboardInterrupt

    monkeypatch.setattr(Objective, "evaluate", interrupt)
    with pytest.warns(UserWarning, match="interrupted after 0 epochs"):
        model.fit(X, y)
    assert model.predict(X).shape == y.shape
