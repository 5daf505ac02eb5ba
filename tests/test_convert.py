"""Conversions: round trips, and what they must agree with."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.decomposition import NMF
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import BernoulliRBM, MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import minmax_scale, scale

from skunfold import DeepNMFRegressor, UnfoldedBPClassifier, UnfoldedMeanFieldClassifier
from skunfold.convert import (
    bp_to_mean_field,
    mean_field_to_bp,
    mean_field_to_mlp,
    mlp_to_mean_field,
    nmf_to_deep_nmf,
    rbm_to_bp,
    rbm_to_mean_field,
    tables_to_weights,
    weights_to_tables,
)


def make_data(kind):
    if kind == "labels":
        return make_multilabel_classification(60, 5, n_classes=3, random_state=0)
    X, y = load_iris(return_X_y=True)
    y = np.array(["setosa", "versicolor", "virginica"])[y]
    return (X, y) if kind == "three" else (X[50:], y[50:])


kinds = pytest.mark.parametrize("kind", ["two", "three", "labels"])


@kinds
@pytest.mark.parametrize("hidden", [(), (5,), (5, 4, 3)])
def test_networks_are_mean_field_and_back(kind, hidden):
    X, y = make_data(kind)
    mlp = MLPClassifier(hidden, activation="logistic", max_iter=50, random_state=0).fit(X, y)
    field = mlp_to_mean_field(mlp)
    assert_allclose(field.predict_proba(X), mlp.predict_proba(X), rtol=1e-12, atol=1e-14)
    assert_array_equal(field.predict(X), mlp.predict(X))
    back = mean_field_to_mlp(field)
    assert_array_equal(back.predict_proba(X), mlp.predict_proba(X))
    assert_array_equal(back.predict(X), mlp.predict(X))
    for a, b in zip(back.coefs_ + back.intercepts_, mlp.coefs_ + mlp.intercepts_):
        assert_array_equal(a, b)
        assert a is not b


@kinds
@pytest.mark.parametrize("params", [{}, {"solver": "lbfgs"}, {"early_stopping": True}], ids=str)
def test_a_converted_network_is_trained_further(kind, params):
    X, y = make_data(kind)
    if kind != "labels":  # MLPClassifier of scikit-learn 1.6 cannot stop early on names
        y = np.unique(y, return_inverse=True)[1]
    field = UnfoldedMeanFieldClassifier(5, n_layers=1, max_iter=30, random_state=0).fit(X, y)
    mlp = mean_field_to_mlp(field, max_iter=50, random_state=0, **params)
    expected = field.predict_proba(X)
    assert_allclose(mlp.predict_proba(X), expected, rtol=1e-12, atol=1e-14)
    mlp.fit(X, y)
    if "early_stopping" not in params:
        assert mlp.loss_ < field.loss_
    assert_allclose(field.predict_proba(X), expected)
    if "solver" not in params:
        mean_field_to_mlp(field).partial_fit(X, y)


@pytest.mark.parametrize("params", [{}, {"tied": False}, {"lateral": True}], ids=str)
@kinds
def test_mean_field_and_bp_agree_to_first_order(kind, params):
    X, y = make_data(kind)
    X = scale(X)
    field = UnfoldedMeanFieldClassifier((4, 3), n_layers=3, max_iter=30, random_state=0)
    field.set_params(**params).fit(X, y)
    differences = []
    for factor in (1e-2, 1e-3):
        small = mlp_like(field, factor)
        bp = mean_field_to_bp(small)
        assert isinstance(bp, UnfoldedBPClassifier)
        differences.append(np.abs(bp.decision_function(X) - small.decision_function(X)).max())
        back = bp_to_mean_field(bp)
        assert_array_equal(back.predict_proba(X), small.predict_proba(X))
    assert differences[0] < 1e-3
    assert differences[1] < differences[0] / 50
    bp = mean_field_to_bp(field, max_iter=5)
    loss = bp.fit(X, y).loss_curve_[0]
    assert bp.loss_ < loss


def mlp_like(field, factor):
    """Return a model with all couplings but those to the data smaller."""
    bp = mean_field_to_bp(field)
    for one in {id(p): p for p in bp.potentials_}.values():
        one["coefs"][1:] = [factor * W for W in one["coefs"][1:]]
        one["lateral"] = [None if J is None else factor * J for J in one["lateral"]]
    return bp_to_mean_field(bp)


@pytest.mark.parametrize("convert", [rbm_to_mean_field, rbm_to_bp])
def test_restricted_boltzmann_machines(convert):
    X, y = make_data("three")
    X = minmax_scale(X)
    rbm = BernoulliRBM(8, n_iter=5, random_state=0).fit(X)
    model = convert(rbm, y, learning_rate_init=0.1, random_state=0)
    assert_allclose(model.predict_proba(X), 1 / 3)
    assert_allclose(model.transform(X), rbm.transform(X), rtol=1e-10)
    assert model.fit(X, y).score(X, y) > 0.9


def test_tables_of_potentials():
    rng = np.random.default_rng(0)
    tables = rng.uniform(0.1, 3, (4, 5, 2, 2))
    w, first, second, constants = tables_to_weights(tables)
    assert w.shape == first.shape == (4, 5)
    assert_allclose(weights_to_tables(w, first, second, constants), tables)
    for a in (0, 1):
        for b in (0, 1):
            energy = w * a * b + first * a + second * b + constants
            assert_allclose(np.exp(energy), tables[..., a, b])
    assert_allclose(weights_to_tables(0.7), [[1, 1], [1, np.exp(0.7)]])
    with pytest.raises(ValueError, match=r"tables has shape \(2, 3\); give"):
        tables_to_weights(np.ones((2, 3)))
    with pytest.raises(ValueError, match="must be positive and finite"):
        tables_to_weights([[0.0, 1.0], [1.0, 1.0]])


@pytest.mark.parametrize("l1", [0.0, 0.1])
@pytest.mark.parametrize("beta", [1.5, 2.0])
def test_nmf_is_deep_nmf_without_training(beta, l1):
    rng = np.random.default_rng(0)
    X = rng.gamma(0.5, size=(40, 3)) @ rng.gamma(0.5, size=(3, 10)) + 0.01
    nmf = NMF(3, solver="mu", beta_loss=beta, tol=0, max_iter=12, init="random", random_state=0)
    nmf.fit(X).set_params(alpha_W=l1, l1_ratio=1.0)
    deep = nmf_to_deep_nmf(nmf, X, n_layers=12, max_iter=5)
    activations = nmf.transform(X)
    assert_allclose(deep.transform(X), activations, rtol=1e-10)
    assert_allclose(deep.predict(X), activations @ nmf.components_, rtol=1e-10)
    before = np.mean((deep.predict(X) - X) ** 2)
    deep.set_params(n_trained_layers="all").fit(X, X)
    assert np.mean((deep.predict(X) - X) ** 2) < before


def test_nmf_of_features_and_targets():
    rng = np.random.default_rng(0)
    y = rng.uniform(size=(60, 2))
    X = y @ rng.uniform(size=(2, 8))
    nmf = NMF(2, solver="mu", max_iter=500, init="random", random_state=0)
    nmf.fit(np.hstack([X, y]))
    deep = nmf_to_deep_nmf(nmf, X, n_outputs=2, n_layers=100)
    assert deep.predict(X).shape == y.shape
    assert deep.score(X, y) > 0.9


def test_what_cannot_be_converted_is_named():
    X, y = make_data("three")
    with pytest.raises(ValueError, match="activation='relu'; only hidden units"):
        mlp_to_mean_field(MLPClassifier(3, max_iter=2).fit(X, y))
    deep = UnfoldedMeanFieldClassifier(3, n_layers=2, max_iter=2).fit(X, y)
    with pytest.raises(ValueError, match="model has n_layers=2; only one sweep"):
        mean_field_to_mlp(deep)
    nmf = NMF(2, alpha_W=0.1, max_iter=500).fit(X)
    with pytest.raises(ValueError, match=r"alpha_W=0.1 and l1_ratio=0.0; only an L1"):
        nmf_to_deep_nmf(nmf, X)
    with pytest.raises(ValueError, match="X has 4 features; with n_outputs=1 this NMF"):
        nmf_to_deep_nmf(NMF(2, max_iter=500).fit(X), X, n_outputs=1)


FITTED = {
    "mlp": (MLPClassifier(3, activation="logistic", max_iter=2), mlp_to_mean_field),
    "model": (UnfoldedMeanFieldClassifier(3, n_layers=1, max_iter=2), mean_field_to_mlp),
    "nmf": (NMF(2), lambda model: nmf_to_deep_nmf(model, load_iris().data)),
    "rbm": (BernoulliRBM(2, n_iter=1), lambda model: rbm_to_bp(model, [0, 1])),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", FITTED)
def test_what_is_given_is_named(name):
    X, y = load_iris(return_X_y=True)
    model, convert = FITTED[name]
    with pytest.raises(
        NotFittedError, match=rf"^{name}, a \w+, is not fitted.*FrozenEstimator"
    ):
        convert(model)
    model = clone(model).fit(X, y)
    with pytest.raises(
        TypeError, match=rf"^{name} is a Pipeline; .* {type(model).__name__}.*-1"
    ):
        convert(make_pipeline(model).fit(X, y))
    with pytest.raises(TypeError, match=rf"^{name} is a LinearRegression; give a fitted"):
        convert(LinearRegression().fit(X, y))
    X_ = X[:5]
    expected, frozen = convert(model), convert(FrozenEstimator(model))
    assert_array_equal(frozen.predict(X_), expected.predict(X_))


def test_a_search_is_named():
    X, y = load_iris(return_X_y=True)
    search = GridSearchCV(FITTED["mlp"][0], {"alpha": [1]}, cv=2).fit(X, y)
    with pytest.raises(TypeError, match=r"mlp is a GridSearchCV.*best_estimator_"):
        mlp_to_mean_field(search)


GIVEN = [
    (DeepNMFRegressor(3), DeepNMFRegressor(3, max_iter=2)),
    (UnfoldedMeanFieldClassifier(3), UnfoldedMeanFieldClassifier(3, max_iter=2)),
    (UnfoldedBPClassifier(3), MLPClassifier(3, activation="logistic", max_iter=2)),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("model", "init"), GIVEN, ids=["deep NMF", "mean field", "BP, MLP"])
def test_a_search_needs_a_frozen_init(model, init):
    X, y = load_iris(return_X_y=True)
    init = clone(init).set_params(random_state=0).fit(X, y)
    grid = {"max_iter": [2]}
    search = GridSearchCV(model.set_params(init=init), grid, cv=2, error_score="raise")
    with pytest.raises(NotFittedError, match=r"^init, a \w+, is not fitted.*FrozenEstimator"):
        search.fit(X, y)
    model.set_params(init=FrozenEstimator(init), random_state=0)
    expected = clone(model).set_params(init=init, max_iter=2).fit(X, y)
    assert_array_equal(search.fit(X, y).predict(X), expected.predict(X))


@pytest.mark.parametrize("model", [DeepNMFRegressor(3), UnfoldedBPClassifier(3)])
def test_an_init_of_another_kind_is_named(model):
    X, y = load_iris(return_X_y=True)
    init = make_pipeline(LogisticRegression()).fit(X, y)
    with pytest.raises((TypeError, ValueError), match=r"^init[ ,].*Pipeline"):
        model.set_params(init=init).fit(X, y)
