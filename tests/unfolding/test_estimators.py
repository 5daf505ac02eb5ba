"""Estimators of unfolded iterations: what the loop offers is there for any algorithm."""

import copy
from pathlib import Path

import numpy as np
import pytest
from guide import KLNMF, RandomISTA, module_of_guide
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, scale

from skunfold.model_files import load_model, save_model
from skunfold.unfolding import (
    BetaDivergence,
    IdentityReadout,
    LinearReadout,
    MaskReadout,
    UnfoldedClassifier,
    UnfoldedRegressor,
)


def test_the_guide_keeps_its_word():
    """ISTA takes at most 30 lines, NMF by Kullback-Leibler divergence at most 20."""
    for name, n_most in (("unfolded_ista", 30), ("unfolded_nmf", 20)):
        text = Path(module_of_guide(name).__file__).read_text()
        lines = text.split("\n\n\n")[-1].splitlines()
        assert len([line for line in lines if line.strip()]) <= n_most
        assert "._" not in text
        page = Path(module_of_guide(name).__file__).with_name("unfold_your_own.rst")
        assert f".. literalinclude:: {name}.py" in page.read_text()


@pytest.fixture
def regressor(ISTA, codes):
    _, D, _ = codes
    return UnfoldedRegressor(
        ISTA(D), readout=IdentityReadout(), n_layers=3, tied=True, max_iter=40, random_state=0
    )


def test_a_few_trained_layers_are_worth_many_of_the_algorithm(regressor, codes):
    X, _, z = codes
    algorithm = clone(regressor).set_params(n_trained_layers=0).fit(X, z)
    trained = clone(regressor).fit(X, z)
    assert trained.loss_ < algorithm.loss_ / 20
    untied = clone(regressor).set_params(tied=False).fit(X, z)
    assert untied.n_parameters_ == 3 * trained.n_parameters_
    stages = [((y - z) ** 2).sum() for y in trained.staged_predict(X)]
    assert stages == sorted(stages, reverse=True)
    assert_array_equal(list(trained.staged_predict(X))[-1], trained.predict(X))
    assert_array_equal(trained.transform(X), trained.predict(X))


@pytest.mark.parametrize("n_trained_layers", [1, 2, 3])
def test_layers_that_are_not_trained_stay(ISTA, codes, n_trained_layers):
    X, D, z = codes
    settings = {"solver": "lbfgs", "max_iter": 10, "tol": 0, "random_state": 0}
    model = UnfoldedRegressor(ISTA(D), n_layers=3, **settings)
    plain = clone(model).set_params(n_trained_layers=0).fit(X, z[:, :3])
    model.set_params(n_trained_layers=n_trained_layers).fit(X, z[:, :3])
    n_frozen = 4 - n_trained_layers
    for theta in model.theta_[:n_frozen]:
        for actual, expected in zip(theta, plain.theta_[0]):
            assert_array_equal(actual, expected)
    assert all((t[0] != plain.theta_[0][0]).any() for t in model.theta_[n_frozen:])
    if n_trained_layers == 1:  # least squares is the best that a readout alone can do
        assert_allclose(model.loss_, plain.loss_, rtol=1e-6)
    else:
        assert model.loss_ < plain.loss_


def test_it_is_searched_over(codes):
    X, _, z = codes
    grid = {
        "unfoldedregressor__iteration__n_atoms": [2, 8],
        "unfoldedregressor__n_layers": [1, 3],
        "unfoldedregressor__tied": [True],
    }
    model = UnfoldedRegressor(RandomISTA(), max_iter=5, random_state=0)
    search = GridSearchCV(make_pipeline(MaxAbsScaler(), model), grid, cv=2).fit(X, z[:, 0])
    assert search.best_params_["unfoldedregressor__iteration__n_atoms"] == 8
    assert search.best_estimator_[-1].iteration_.n_atoms == 8


def test_positive_arrays_stay_positive(KLNMF, codes):
    X, _, _ = codes
    X = np.abs(X)
    settings = {"n_layers": 4, "max_iter": 20, "random_state": 0, "learning_rate_init": 0.1}
    model = UnfoldedRegressor(
        KLNMF(6), readout=MaskReadout((3, 3)), loss=BetaDivergence(1.0), **settings
    )
    model.fit(X, X[:, 6:] / 2)
    assert all((p > 0).all() for theta in model.theta_ for p in theta)
    assert (model.readout_parameters_[0] > 0).all()
    assert (model.predict(X) <= X[:, 6:]).all()
    for solver in ("sgd", "lbfgs"):
        with pytest.raises(ValueError, match=f"solver='{solver}' cannot keep.* KLNMF and Mask"):
            clone(model).set_params(solver=solver).fit(X, X[:, 6:])
    with pytest.raises(ValueError, match=r"Negative values in data passed to .*argument X_val"):
        model.set_params(early_stopping=True).fit(X, X[:, 6:], X_val=-X, y_val=X[:, 6:])


@pytest.mark.parametrize("kind", ["two", "three", "labels", "strings"])
def test_classes_and_labels(kind):
    if kind == "labels":
        X, y = make_multilabel_classification(80, 5, n_classes=3, random_state=0)
    else:
        X, y = load_iris(return_X_y=True)
        X, y = (X[50:], y[50:]) if kind == "two" else (X, y)
        y = np.array(["a", "b", "c"])[y] if kind == "strings" else y
    X = scale(X)
    model = UnfoldedClassifier(RandomISTA(10), n_layers=3, max_iter=60, random_state=0)
    model.set_params(learning_rate_init=0.03).fit(X, y)
    assert model.score(X, y) > (0.4 if kind == "labels" else 0.9)
    p = model.predict_proba(X)
    assert p.shape == (len(X), len(model.classes_))
    assert_allclose(np.exp(model.predict_log_proba(X)), p, rtol=1e-9)
    assert_array_equal(list(model.staged_predict_proba(X))[-1], p)
    assert_array_equal(list(model.staged_predict(X))[-1], model.predict(X))
    streamed = clone(model)
    for _ in range(30):
        streamed.partial_fit(X, y, classes=None if kind == "labels" else np.unique(y))
    assert streamed.score(X, y) > (0.4 if kind == "labels" else 0.8)
    assert len(model.decision_function(X)) == len(X)


def test_weights_of_classes():
    X, y = load_iris(return_X_y=True)
    X, few = scale(X), np.r_[0:50, 50:55, 100:150]
    model = UnfoldedClassifier(RandomISTA(10), n_layers=2, max_iter=60, random_state=0)
    by_class = clone(model).set_params(class_weight="balanced").fit(X[few], y[few])
    plain = clone(model).fit(X[few], y[few])
    recall = [np.mean(m.predict(X)[y == 1] == 1) for m in (plain, by_class)]
    assert recall[1] > recall[0]


def test_what_does_not_fit_is_named(regressor, codes):
    X, _, z = codes
    with pytest.raises(ValueError, match=r"n_trained_layers=9 .* at most 4"):
        clone(regressor).set_params(n_trained_layers=9).fit(X, z)
    early = clone(regressor).set_params(early_stopping=True)
    with pytest.raises(ValueError, match=r"y_val has 1 columns; this model was fitted with"):
        early.fit(X, z, X_val=X, y_val=z[:, 0])
    with pytest.raises(ValueError, match="The 'iteration' parameter of UnfoldedRegressor"):
        UnfoldedRegressor("ISTA").fit(X, z)
    model = clone(regressor).set_params(warm_start=True, tied=False).fit(X, z)
    with pytest.raises(ValueError, match="n_layers=5, but the model was fitted with 3"):
        copy.deepcopy(model).set_params(n_layers=5).fit(X, z)
    with pytest.raises(ValueError, match="tied=True, but the layers of the fit were untied"):
        copy.deepcopy(model).set_params(tied=True).fit(X, z)
    before = model.predict(X)
    with pytest.raises(ValueError, match="y has 3 columns; this model was fitted with 8"):
        model.fit(X, z[:, :3])
    assert_array_equal(model.predict(X), before)


def test_a_model_that_still_improves_says_so(regressor, codes):
    X, _, z = codes
    with pytest.warns(ConvergenceWarning, match="max_iter=2"):
        clone(regressor).set_params(max_iter=2).fit(X, z)


class Reversed(LinearReadout):
    """A readout that the package does not have: the states in reverse."""

    def read(self, parameters, X, h):
        return super().read(parameters, X, h[:, ::-1])

    def adjoint(self, parameters, tape, g):
        g_h, gradients = super().adjoint(parameters, tape, g)
        return g_h[:, ::-1], gradients


@pytest.mark.parametrize("tied", [True, False])
def test_model_files(tmp_path, codes, tied):
    X, _, z = codes
    settings = {"n_layers": 3, "tied": tied, "max_iter": 3, "tol": 0, "random_state": 0}
    model = UnfoldedRegressor(RandomISTA(), readout=Reversed(), warm_start=True, **settings)
    model.fit(X, z)
    file = tmp_path / "model"
    save_model(model, file, training_state=True)
    loaded = load_model(file, classes=[RandomISTA, Reversed])
    assert_array_equal(loaded.predict(X), model.predict(X))
    assert loaded.n_parameters_ == model.n_parameters_
    assert_array_equal(loaded.fit(X, z).predict(X), model.fit(X, z).predict(X))
    for classes in ((), (RandomISTA,), (Reversed,)):
        with pytest.raises(ValueError, match="give its class to load_model, as classes"):
            load_model(file, classes=classes)
    with pytest.raises(TypeError, match=r"classes holds .*subclasses of skunfold.unfolding"):
        load_model(file, classes=[dict])
    named = type("MaskReadout", (Reversed,), {})
    with pytest.raises(ValueError, match="classes holds a MaskReadout, a name that"):
        load_model(file, classes=[named])
    y = np.array(["a", "b"])[(z[:, 0] > 0).astype(int)]
    classifier = UnfoldedClassifier(RandomISTA(), **settings).fit(X, y)
    save_model(classifier, file)
    loaded = load_model(file, classes=[RandomISTA])
    assert_array_equal(loaded.predict(X), classifier.predict(X))
    divergence = UnfoldedRegressor(KLNMF(3), loss=BetaDivergence(0.5), max_iter=2)
    save_model(divergence, file)
    assert load_model(file, classes=[KLNMF]).loss.beta == 0.5
    classifier.theta_[0][0].flags.writeable = True
    classifier.theta_[0][0][0] = np.nan
    with pytest.raises(ValueError, match="cannot be saved: its theta_ are not finite"):
        save_model(classifier, file)


def test_a_readout_at_its_optimum_is_not_moved_by_rounding_errors(codes):
    X, _, _ = codes
    X, weight = np.abs(X) + 0.1, np.arange(300) % 3
    y = X[:, :2] ** 2
    weighted, repeated = (UnfoldedRegressor(KLNMF(3), random_state=0) for _ in range(2))
    for model in (weighted, repeated):
        model.set_params(batch_size=1000)
    weighted.partial_fit(X, y, sample_weight=weight)
    repeated.partial_fit(np.repeat(X, weight, 0), np.repeat(y, weight, 0))
    for one, other in zip(weighted.readout_parameters_, repeated.readout_parameters_):
        assert_allclose(one, other, rtol=1e-6, atol=1e-9)


def test_data_beyond_the_range_are_named(codes):
    X, _, _ = codes
    X = np.abs(X) + 0.1
    model = UnfoldedRegressor(KLNMF(3), max_iter=2, random_state=0)
    with pytest.raises(ValueError, match=r"^y holds 1e\+160, more than"):
        model.fit(X, np.full(300, 1e160))
    with pytest.raises(ValueError, match=r"^X holds .* more than"):
        model.fit(X, X).predict(X * 1e200)
