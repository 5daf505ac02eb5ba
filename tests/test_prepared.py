"""Inference is prepared once for a fitted estimator, and again when it changes."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.utils.validation import validate_data

from skunfold import DeepNMFRegressor, UnfoldedBPClassifier, UnfoldedMeanFieldClassifier
from skunfold._kernels.belief_propagation import BeliefPropagation
from skunfold._kernels.mean_field import MeanField

X = np.random.default_rng(0).uniform(0.1, 1, size=(40, 6))
Y = (X[:, :3] > 0.5).astype(int)
GRAPH = np.ones((3, 3)) - np.eye(3)
SETTINGS = {"max_iter": 2, "random_state": 0}
MODELS = {
    "linear": DeepNMFRegressor(3, n_layers=3, **SETTINGS),
    "mask, projections": DeepNMFRegressor(
        3,
        n_layers=3,
        output="mask",
        tied=True,
        fit_projections=True,
        max_iter=2,
        random_state=0,
    ),
    "frobenius, recurrence": DeepNMFRegressor(
        3, n_layers=3, beta_loss=2.0, recurrence=0.5, **SETTINGS
    ),
    "mean field": UnfoldedMeanFieldClassifier((), label_graph=GRAPH, **SETTINGS),
    "BP": UnfoldedBPClassifier((4, 3), **SETTINGS),
}


def fitted(name):
    model = copy.deepcopy(MODELS[name])
    return model.fit(X, X if isinstance(model, DeepNMFRegressor) else Y)


def learned_arrays(model):
    if isinstance(model, DeepNMFRegressor):
        return [*model.bases_, *getattr(model, "projections_", []), model.output_bases_]
    return [a for one in model.potentials_ for a in (*one["coefs"], *one["intercepts"])]


@pytest.mark.parametrize("name", MODELS)
def test_nothing_is_prepared_twice(name, monkeypatch):
    model = fitted(name)
    expected = model.predict(X)

    def prepared_again(*arguments):
        raise AssertionError

    monkeypatch.setattr("skunfold._kernels.nmf.layer_of", prepared_again)
    for rule in (MeanField, BeliefPropagation):
        monkeypatch.setattr(rule, "up_link", prepared_again)
        monkeypatch.setattr(rule, "lateral_link", prepared_again)
    assert_array_equal(model.predict(X), expected)
    model.transform(X)
    for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        with pytest.raises(AssertionError):
            twin.predict(X)


@pytest.mark.parametrize("name", MODELS)
def test_learned_arrays_are_read_only_and_can_be_replaced(name):
    model = fitted(name)
    before = model.transform(X)
    model.predict(X)
    for array in learned_arrays(model):
        with pytest.raises(ValueError, match="read-only"):
            array *= 2
    if isinstance(model, DeepNMFRegressor):
        model.bases_[-1] = 2 * model.bases_[-1]
    else:
        model.potentials_[-1]["intercepts"][-1] = model.potentials_[-1]["intercepts"][-1] + 2
        before = model.decision_function(X) - 2
    after = model.transform if isinstance(model, DeepNMFRegressor) else model.decision_function
    assert (np.abs(after(X) - before) > 1e-6).any()
    assert all(a.flags.writeable for a in learned_arrays(copy.deepcopy(model)))


def test_parameters_and_dtypes_are_noticed():
    model = fitted("linear")
    before = model.predict(X)
    sparse = model.set_params(sparsity=0.5).predict(X)
    assert (sparse < before).any()
    single = model.predict(X.astype(np.float32))
    assert single.dtype == np.float32
    assert_allclose(single, sparse, rtol=1e-4)
    with pytest.raises(ValueError, match="n_layers=5"):
        model.set_params(n_layers=5).predict(X)
    model.set_params(n_layers=3, sparsity=0.0).fit(X, 2 * X)
    assert (model.predict(X) > before).all()


def test_rows_of_floats_are_checked_once(monkeypatch):
    model, checked = fitted("linear"), []

    def check(*arguments, **options):
        checked.append(arguments[1])
        return validate_data(*arguments, **options)

    monkeypatch.setattr("skunfold._estimator.checked_input.validate_data", check)
    expected = model.predict(X.tolist())[:1]
    assert_allclose(model.predict(X[:1]), expected)
    assert len(checked) == 1
    for bad, message in (
        (np.nan, "Input X contains NaN"),
        (np.inf, "Input X contains infinity"),
        (-1.0, "Negative values in data passed to DeepNMFRegressor"),
    ):
        row = X[:1].copy()
        row[0, 1] = bad
        with pytest.raises(ValueError, match=message):
            model.predict(row)
    with pytest.raises(
        ValueError, match="X has 5 features, but DeepNMFRegressor is expecting 6"
    ):
        model.predict(X[:1, :5])
    with pytest.raises(ValueError, match="0 sample"):
        model.predict(X[:0])
    with pytest.raises(ValueError, match="Expected 2D array, got 1D array"):
        model.predict(X[0])
    named = model.fit(pd.DataFrame(X, columns=list("abcdef")), X)
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        named.predict(X[:1])


def test_given_arrays_stay_writeable():
    bases, graph = np.full((3, 6), 0.5) + np.eye(3, 6), GRAPH.copy()
    DeepNMFRegressor(3, n_layers=2, init=bases, max_iter=2).fit(X, X).predict(X)
    UnfoldedMeanFieldClassifier((), label_graph=graph, max_iter=2).fit(X, Y).predict(X)
    assert bases.flags.writeable
    assert graph.flags.writeable
