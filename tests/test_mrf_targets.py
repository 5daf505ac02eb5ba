"""Targets and weights of the unfolded classifiers: what they mean, and what is refused."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.ensemble import AdaBoostClassifier
from sklearn.preprocessing import MinMaxScaler, scale

from skunfold import UnfoldedBPClassifier, UnfoldedMeanFieldClassifier
from skunfold._mrf.initialization import _fitted_rbm

CLASSIFIERS = [UnfoldedMeanFieldClassifier, UnfoldedBPClassifier]
both = pytest.mark.parametrize("cls", CLASSIFIERS)


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    return scale(X), y


@pytest.fixture(scope="module")
def labels():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    return X, (X > 0).astype(int)


@both
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize(("off", "on"), [(-1, 1), (1, 2), (0, 5), (0, -1)])
def test_indicators_other_than_0_and_1_are_refused(labels, cls, container, off, on):
    X, Y = labels
    other = container(np.where(Y == 1, on, off))
    model = cls(3, max_iter=2, random_state=0)
    match = (
        r"^y (is a label indicator matrix that holds|has .* holds values other than 0 and 1)"
    )
    with pytest.raises(ValueError, match=match):
        model.fit(X, other)
    with pytest.raises(ValueError, match=match):
        model.partial_fit(X, other)
    with pytest.raises(ValueError, match=r"^y "):
        model.partial_fit(X, Y).partial_fit(X, other)


@both
def test_indicators_may_be_truth_values_or_floating_point(labels, cls):
    X, Y = labels
    model = cls(3, max_iter=5, random_state=0)
    p = clone(model).fit(X, Y).predict_proba(X)
    for dtype in (bool, float, np.uint8):
        assert_array_equal(clone(model).fit(X, Y.astype(dtype)).predict_proba(X), p)


@both
def test_classes_without_weight_are_known(iris, cls):
    X, y = iris
    weight = (y != 2).astype(float)
    model = cls(5, max_iter=50, random_state=0).fit(X, y, sample_weight=weight)
    assert_array_equal(model.classes_, [0, 1, 2])
    assert model.score(X, y, weight) > 0.95
    by_class = cls(5, max_iter=50, random_state=0, class_weight={0: 1, 1: 1, 2: 0}).fit(X, y)
    assert_array_equal(by_class.predict_proba(X), model.predict_proba(X))
    rows, two = y < 2, cls(5, max_iter=50, random_state=0)
    two.fit(X[rows], y[rows], sample_weight=y[rows] == 1)
    assert_array_equal(two.classes_, [0, 1])
    assert_array_equal(two.predict(X[y == 1]), 1)
    model.set_params(warm_start=True, max_iter=300).fit(X, y)
    assert model.score(X, y) > 0.9


@both
@pytest.mark.parametrize("value", [7, "seven"])
def test_one_class_is_always_predicted(iris, cls, value):
    X, _ = iris
    y = np.full(len(X), value)
    model = cls((4, 3), max_iter=3, random_state=0).fit(X, y)
    assert_array_equal(model.predict(X), y)
    assert_array_equal(model.predict_proba(X), np.ones((len(X), 1)))
    assert model.loss_ >= 0


@both
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_the_unit_of_the_weights_changes_nothing(iris, cls, solver):
    X, y = iris
    rng = np.random.default_rng(0)
    weight = rng.uniform(0.5, 2, len(X))
    model = cls(5, solver=solver, batch_size=40, max_iter=30, alpha=0.01, random_state=0)
    expected = clone(model).fit(X, y, sample_weight=weight).predict_proba(X)
    for unit in (1 / weight.sum(), 1000):
        p = clone(model).fit(X, y, sample_weight=unit * weight).predict_proba(X)
        assert_allclose(p, expected, rtol=1e-3 if solver == "lbfgs" else 1e-6)


@both
@pytest.mark.parametrize("load", [load_iris, load_digits])
def test_boosting_is_no_worse_than_one(cls, load):
    X, y = load(return_X_y=True)
    X, y = scale(X)[::3], y[::3]
    one = cls(random_state=0, max_iter=30)
    boosted = AdaBoostClassifier(one, n_estimators=3, random_state=0).fit(X, y)
    assert boosted.score(X, y) >= clone(one).fit(X, y).score(X, y)


@both
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_label_graph_must_be_finite(labels, cls, value):
    X, Y = labels
    graph = np.array([[0, value, 0], [value, 0, 1], [0, 1, 0]])
    with pytest.raises(ValueError, match="label_graph holds NaN or infinity"):
        cls((), label_graph=graph).fit(X, Y)


def test_rbm_takes_what_a_scaler_has_rounded(iris):
    X = np.random.default_rng(7).normal(size=(50, 4)) * 100
    X = MinMaxScaler().fit_transform(X)
    assert X.max() > 1
    UnfoldedMeanFieldClassifier(4, init="rbm", max_iter=2).fit(X, X[:, 0] > 0.5)
    with pytest.raises(ValueError, match="between 0 and 1"):
        UnfoldedMeanFieldClassifier(4, init="rbm").fit(X + 1e-6, X[:, 0] > 0.5)


def test_rbm_draws_samples_by_their_weights():
    X = np.repeat([[0.0, 1.0], [1.0, 0.0]], 50, axis=0)
    weight = np.repeat([0.0, 1.0], 50)
    rbm = _fitted_rbm(2, X, weight, np.random.RandomState(0))
    other = _fitted_rbm(2, X, 1 - weight, np.random.RandomState(0))
    visible, otherwise = rbm.intercept_visible_, other.intercept_visible_
    assert visible[0] > visible[1]
    assert otherwise[1] > otherwise[0]


@both
@pytest.mark.parametrize("unit", [1e307, 1e-320])
def test_weights_at_the_ends_of_the_range(iris, cls, unit):
    X, y = iris
    model = cls(4, max_iter=20, random_state=0)
    expected = clone(model).fit(X, y, sample_weight=np.ones(150)).predict_proba(X)
    p = clone(model).fit(X, y, sample_weight=np.full(150, unit)).predict_proba(X)
    assert_allclose(p, expected, rtol=1e-6)
    with pytest.raises(ValueError, match="sample_weight is zero for all samples"):
        clone(model).set_params(class_weight={0: 0, 1: 0, 2: 0}).fit(X, y)


@both
@pytest.mark.parametrize("graph", [np.full((3, 3), "a"), np.zeros((2, 2, 2)), 1j * np.eye(3)])
def test_a_label_graph_must_be_a_matrix_of_numbers(labels, cls, graph):
    X, Y = labels
    with pytest.raises(ValueError, match="label_graph"):
        cls((), label_graph=graph).fit(X, Y)


def test_rbm_takes_what_a_scaler_has_rounded_beside_an_offset():
    X = np.random.default_rng(1).normal(size=(50, 4)) * 10 + 1e3
    X = MinMaxScaler().fit_transform(X)
    UnfoldedMeanFieldClassifier(2, init="rbm", max_iter=2).fit(X, np.arange(50) % 2)
