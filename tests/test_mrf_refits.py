"""The unfolded classifiers over several fits: warm starts, streams, interrupts, changes."""

import copy
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.preprocessing import scale

from skunfold import UnfoldedBPClassifier, UnfoldedMeanFieldClassifier
from skunfold._kernels.unfolding import Unfolding
from skunfold._training import loop
from skunfold._training.objective import Objective

both = pytest.mark.parametrize("cls", [UnfoldedMeanFieldClassifier, UnfoldedBPClassifier])


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    return scale(X)[::2], np.array(["setosa", "versicolor", "virginica"])[y[::2]]


CONFIGURATIONS = {
    "mean field": UnfoldedMeanFieldClassifier(5, n_layers=3),
    "mean field, tied": UnfoldedMeanFieldClassifier((4, 3), n_layers=3, tied=True, damping=0.8),
    "mean field, no hidden layer": UnfoldedMeanFieldClassifier(()),
    "mean field, lbfgs": UnfoldedMeanFieldClassifier(5, solver="lbfgs"),
    "BP, tied": UnfoldedBPClassifier((5, 4), n_layers=3, tied=True),
    "BP, lateral": UnfoldedBPClassifier(4, n_layers=3, lateral=True, damping=0.3, power=0.7),
    "BP, lbfgs": UnfoldedBPClassifier((4, 3), solver="lbfgs"),
    "BP, sgd": UnfoldedBPClassifier((4, 3), solver="sgd", learning_rate_init=0.3),
    "BP, early stopping": UnfoldedBPClassifier((4, 3), early_stopping=True),
}
every_configuration = pytest.mark.parametrize("name", CONFIGURATIONS)
ON_BATCHES = [name for name, model in CONFIGURATIONS.items() if model.solver != "lbfgs"]
on_batches = pytest.mark.parametrize("name", ON_BATCHES)


def make_model(name, **params):
    return clone(CONFIGURATIONS[name]).set_params(
        **{"max_iter": 20, "random_state": 0} | params
    )


# Going on


@on_batches
def test_a_failed_fit_leaves_the_training_where_it_was(iris, name, monkeypatch):
    model = make_model(name, max_iter=2, tol=0, warm_start=True, batch_size=20)
    failing, undisturbed = clone(model).fit(*iris), clone(model).fit(*iris)

    def fail(state, settings, entry, seconds):
        raise RuntimeError("no more")

    with monkeypatch.context() as patch:
        patch.setattr(loop, "write_history", fail)
        with pytest.raises(RuntimeError, match="no more"):
            failing.fit(*iris)
    assert failing.fit(*iris).loss_curve_ == undisturbed.fit(*iris).loss_curve_


@both
def test_classes_cannot_change_in_a_stream(iris, cls):
    X, y = iris
    model = cls(4, random_state=0).partial_fit(X, y, classes=np.unique(y))
    model.partial_fit(X, y, classes=np.unique(y))
    with pytest.raises(ValueError, match="classes"):
        model.partial_fit(X, y, classes=["setosa", "other"])


@pytest.mark.parametrize("name", ["mean field, lbfgs", "BP, lbfgs"])
def test_ctrl_c_before_the_first_iteration_of_lbfgs(iris, name, monkeypatch):
    model = make_model(name)

    def interrupt(self, parameters, samples):
        raise KeyboardInterrupt

    monkeypatch.setattr(Objective, "evaluate", interrupt)
    with pytest.warns(UserWarning, match="interrupted after 0 epochs"):
        model.fit(*iris)
    assert model.predict(iris[0]).shape == iris[1].shape


@pytest.mark.parametrize("n_first", [1, 2, 3])
@on_batches
def test_warm_start_goes_on_where_the_fit_stopped(iris, name, n_first):
    X, y = iris
    model = make_model(name, batch_size=20, learning_rate_init=0.1, max_iter=5, tol=0)
    whole = clone(model).fit(X, y)
    parts = clone(model).set_params(max_iter=n_first, warm_start=True).fit(X, y)
    parts.set_params(max_iter=5 - n_first).fit(X, y)
    assert_array_equal(parts.predict_proba(X), whole.predict_proba(X))
    assert (parts.n_iter_, len(parts.history_)) == (5 - n_first, 5)
    assert parts.loss_ == whole.loss_
    assert parts.loss_curve_ == whole.loss_curve_
    assert parts.validation_loss_curve_ == whole.validation_loss_curve_


@pytest.mark.parametrize("name", ["mean field, lbfgs", "BP, lbfgs"])
def test_warm_start_by_lbfgs_goes_on_from_the_best_potentials(iris, name):
    X, y = iris
    model = make_model(name, max_iter=5, warm_start=True).fit(X, y)
    loss = model.loss_
    assert model.fit(X, y).loss_ < loss
    assert (model.n_iter_, len(model.history_)) == (5, 10)


@both
def test_warm_start_may_untie_the_sweeps(iris, cls):
    X, y = iris
    model = cls((4, 3), lateral=True, n_layers=3, tied=True, max_iter=10, random_state=0)
    loss = model.fit(X, y).loss_
    model.set_params(tied=False, warm_start=True, alpha=0).fit(X, y)
    assert model.loss_ < loss
    with pytest.raises(ValueError, match="tied=True, but the fit had untied sweeps"):
        model.set_params(tied=True).fit(X, y)


# Streams


@on_batches
def test_a_fit_is_made_of_partial_fits(iris, name):
    X, y = iris
    model = make_model(name, batch_size=20, max_iter=4, tol=0, early_stopping=False)
    whole = clone(model).fit(X, y)
    losses = [epoch["final_loss"] for epoch in whole.history_]
    assert losses == sorted(losses, reverse=True)  # no epoch was undone
    parts = clone(model)
    for _ in range(4):
        parts.partial_fit(X, y, classes=np.unique(y))
    assert_array_equal(parts.predict_proba(X), whole.predict_proba(X))
    assert parts.n_iter_ == 4
    assert parts.loss_curve_ == whole.loss_curve_
    both_kinds = clone(model).set_params(max_iter=2, warm_start=True).fit(X, y)
    both_kinds.partial_fit(X, y).set_params(max_iter=1).fit(X, y)
    assert_array_equal(both_kinds.predict_proba(X), whole.predict_proba(X))


@on_batches
def test_partial_fit_of_a_sample_of_weight_two_is_that_of_two_samples(iris, name):
    X, y = iris
    weight = np.random.default_rng(0).integers(0, 3, len(X))
    weighted, repeated = make_model(name), make_model(name)
    for _ in range(5):
        weighted.partial_fit(X, y, classes=np.unique(y), sample_weight=weight)
        repeated.partial_fit(
            np.repeat(X, weight, axis=0), np.repeat(y, weight), classes=np.unique(y)
        )
    assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-9)


@both
def test_partial_fit_takes_batches_without_some_of_the_classes(iris, cls):
    X, y = iris
    model = cls((4, 3), random_state=0)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        model.partial_fit(X, y)
    assert not hasattr(model, "potentials_")
    model.partial_fit(X[y == "setosa"], y[y == "setosa"], classes=np.unique(y))
    assert_array_equal(model.classes_, np.unique(y))
    p = model.partial_fit(X, y).predict_proba(X)
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit(np.where(X > 0, np.nan, X), y)
    assert_array_equal(model.predict_proba(X), p)


@both
def test_partial_fit_learns_from_a_stream(iris, cls):
    X, y = iris
    model = cls((6, 4), batch_size=10, learning_rate_init=0.05, alpha=1e-4, random_state=0)
    for _ in range(40):
        model.partial_fit(X[::2], y[::2], classes=np.unique(y)).partial_fit(X[1::2], y[1::2])
    assert model.n_iter_ == 80
    assert model.score(X, y) > 0.9
    assert not hasattr(cls(solver="lbfgs"), "partial_fit")


@on_batches
def test_float32_stays_float32_in_partial_fit(iris, name):
    X, y = iris
    single = X.astype(np.float32)
    model = make_model(name).partial_fit(single, y, classes=np.unique(y))
    model.partial_fit(single, y)
    arrays = [a for one in model.potentials_ for kind in one.values() for a in kind]
    arrays = [*arrays, model.predict_proba(single), model.transform(single)]
    assert {a.dtype.name for a in arrays if a is not None} == {"float32"}


@both
def test_a_model_goes_on_in_the_precision_that_it_began_in(iris, cls):
    X, y = iris
    model = cls((4, 3), max_iter=3, warm_start=True, random_state=0)
    model.fit(X.astype(np.float32), y).fit(X, y)
    assert {a.dtype.name for a in model.potentials_[-1]["coefs"]} == {"float32"}


# Interrupts


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_ctrl_c_keeps_the_best_model(iris, solver, monkeypatch):
    X, y = iris

    def interrupt(entry):
        if entry["epoch"] == 8:
            raise KeyboardInterrupt
        return ""

    monkeypatch.setattr(loop, "line_of", interrupt)
    model = UnfoldedMeanFieldClassifier(5, solver=solver, verbose=1, random_state=0)
    with pytest.warns(UserWarning, match=r"interrupted after .* best parameters"):
        model.fit(X, y)
    assert model.n_iter_ == 8
    model.set_params(warm_start=True, verbose=0).fit(X, y)
    assert model.score(X, y) > 0.9


def interrupt_after(n_gradients, monkeypatch):
    """Let Ctrl-C come while that many batches later the next gradient is computed."""
    calls = iter(range(n_gradients))
    original = Unfolding.loss_gradient

    def loss_gradient(self, logits, y):
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return original(self, logits, y)

    monkeypatch.setattr(Unfolding, "loss_gradient", loss_gradient)


@pytest.mark.parametrize("n_gradients", [0, 1, 13])
@every_configuration
def test_ctrl_c_in_the_midst_of_an_epoch(iris, name, n_gradients, monkeypatch):
    X, y = iris
    model = make_model(name, batch_size=20, warm_start=True)
    with monkeypatch.context() as patch:
        interrupt_after(n_gradients, patch)
        with pytest.warns(UserWarning, match="interrupted after"):
            model.fit(X, y)
    loss = model.loss_
    assert np.isfinite(loss)
    assert np.isfinite(model.predict_proba(X)).all()
    assert model.fit(X, y).loss_ <= loss


@on_batches
def test_an_interrupted_partial_fit_leaves_the_model_as_it_was(iris, name, monkeypatch):
    X, y = iris
    model = make_model(name, batch_size=20).partial_fit(X, y, classes=np.unique(y))
    p, n_iter = model.predict_proba(X), model.n_iter_
    with monkeypatch.context() as patch:
        interrupt_after(2, patch)
        with pytest.raises(KeyboardInterrupt):
            model.partial_fit(X, y)
    assert_array_equal(model.predict_proba(X), p)
    assert model.partial_fit(X, y).n_iter_ == n_iter + 1


# Changed parameters


CHANGED = {
    "n_layers": ({"n_layers": 4}, "n_layers=4, but the fit had 3 layers"),
    "fewer sweeps": ({"n_layers": 1}, "n_layers=1, but the fit had 3 layers"),
    "sizes": ({"hidden_layer_sizes": (5, 3)}, r"hidden_layer_sizes=\(5, 3\), but the fit had"),
    "no hidden layer": (
        {"hidden_layer_sizes": ()},
        r"hidden_layer_sizes=\(\), but the fit had",
    ),
    "lateral": ({"lateral": True}, "lateral, label_graph or coupling is not that of the fit"),
    "tied": ({"tied": True}, "tied=True, but the fit had untied sweeps"),
}


@pytest.mark.parametrize("what", ["predict", "transform", "staged", "partial_fit", "fit"])
@pytest.mark.parametrize("change", CHANGED)
@both
def test_changed_parameters_are_named(iris, cls, change, what):
    X, y = iris
    params, match = CHANGED[change]
    model = cls((5, 4), n_layers=3, max_iter=2, warm_start=True, random_state=0).fit(X, y)
    p = model.predict_proba(X)
    kept = model.get_params()
    model.set_params(**params)
    calls = {
        "predict": lambda: model.predict(X),
        "transform": lambda: model.transform(X),
        "staged": lambda: list(model.staged_predict(X)),
        "partial_fit": lambda: model.partial_fit(X, y),
        "fit": lambda: model.fit(X, y),
    }
    with pytest.raises(ValueError, match=match + ".*; set it back, or fit anew"):
        calls[what]()
    assert_array_equal(model.set_params(**kept).predict_proba(X), p)
    model.set_params(**params, warm_start=False).fit(X, y).predict(X)


@pytest.mark.parametrize(
    "params",
    [
        {"alpha": 0.01},
        {"learning_rate_init": 0.1},
        {"solver": "sgd"},
        {"solver": "lbfgs"},
        {"batch_size": 7},
        {"early_stopping": True},
        {"damping": 0.5},
        {"class_weight": "balanced"},
    ],
    ids=str,
)
@both
def test_what_may_change_between_fits(iris, cls, params):
    X, y = iris
    model = cls((5, 4), n_layers=3, max_iter=5, warm_start=True, random_state=0).fit(X, y)
    model.set_params(**params).fit(X, y)
    assert np.isfinite(model.predict_proba(X)).all()
    assert len(model.loss_curve_) == len(model.history_) >= model.n_iter_


@both
def test_other_data_reset_a_step_that_a_fit_has_reduced(iris, cls):
    X, y = iris
    model = cls((6, 4), learning_rate_init=0.3, batch_size=20, max_iter=60, random_state=0)
    model.fit(X, y)
    n_epochs = len(model.history_)
    assert model.history_[-1]["learning_rate"] < 0.3
    classes, index = np.unique(y, return_inverse=True)
    renamed = classes[(index + 1) % 3]
    streamed, refitted = copy.deepcopy(model), copy.deepcopy(model)
    for _ in range(60):
        streamed.partial_fit(X, renamed)
    refitted.set_params(warm_start=True, max_iter=60).fit(X, renamed)
    for one in (streamed, refitted):
        assert one.history_[n_epochs]["learning_rate"] == 0.3
        assert model.score(X, renamed) < 0.1
        assert one.score(X, renamed) > 0.9


def test_the_same_data_keep_a_step_that_a_fit_has_reduced(iris):
    X, y = iris
    model = UnfoldedBPClassifier(4, learning_rate_init=1.0, max_iter=20, warm_start=True, tol=0)
    model.set_params(random_state=0).fit(X, y)
    last = model.history_[-1]["learning_rate"]
    assert last < 1.0
    assert model.fit(X, y).history_[20]["learning_rate"] <= last


@on_batches
def test_what_the_loop_offers_is_there_for_fields(iris, name):
    X, y = iris
    model = make_model(name, early_stopping=True, max_iter=5, tol=0)
    held = np.arange(75) % 3 == 0
    model.fit(X[~held], y[~held], X_val=X[held], y_val=y[held])
    p, index = model.predict_proba(X[held]), np.searchsorted(model.classes_, y[held])
    assert_allclose(model.loss_, -np.log(p[np.arange(25), index]).mean(), rtol=1e-9)
    assert model.validation_scores_[-1] is not None
    model.fit(X, y, groups=np.arange(75) // 5)
    with pytest.raises(ValueError, match="y_val is missing"):
        model.fit(X, y, X_val=X)
    averaged = clone(model).set_params(averaging=0.9, learning_rate_decay=0.5, batch_size=20)
    rates = [epoch["learning_rate"] for epoch in averaged.fit(X, y).history_]
    assert all(b <= a / 2 for a, b in pairwise(rates))
    alone = clone(model).set_params(early_stopping=False).fit(X, y)
    shared = clone(model).set_params(early_stopping=False, n_jobs=2).fit(X, y)
    assert_allclose(shared.predict_proba(X), alone.predict_proba(X), rtol=1e-9)
