"""The unfolded classifiers over several fits: warm starts, streams, interrupts, changes."""

import copy

import numpy as np
import pytest
from configurations import FIELDS, make_model
from numpy.testing import assert_array_equal

from skunfold import UnfoldedBPClassifier, UnfoldedMeanFieldClassifier
from skunfold._kernels.unfolding import Unfolding

both = pytest.mark.parametrize("cls", [UnfoldedMeanFieldClassifier, UnfoldedBPClassifier])
every_configuration = pytest.mark.parametrize("name", FIELDS)
on_batches = pytest.mark.parametrize(
    "name", [n for n, m in FIELDS.items() if m.solver != "lbfgs"]
)


# Going on


@both
def test_classes_cannot_change_in_a_stream(iris, cls):
    X, y = iris
    model = cls(4, random_state=0).partial_fit(X, y, classes=np.unique(y))
    model.partial_fit(X, y, classes=np.unique(y))
    with pytest.raises(ValueError, match="classes"):
        model.partial_fit(X, y, classes=["setosa", "other"])


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
def test_a_model_goes_on_in_the_precision_that_it_began_in(iris, cls):
    X, y = iris
    model = cls((4, 3), max_iter=3, warm_start=True, random_state=0)
    model.fit(X.astype(np.float32), y).fit(X, y)
    assert {a.dtype.name for a in model.potentials_[-1]["coefs"]} == {"float32"}


# Interrupts


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
    with pytest.raises(ValueError, match=match + ".*; set it back, or fit again"):
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
