"""Estimators that are made of given arrays, without a fit."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.feature_extraction.image import grid_to_graph

from skunfold import DeepNMFRegressor, UnfoldedBPClassifier, UnfoldedMeanFieldClassifier
from skunfold.model_files import load_model, save_model

RNG = np.random.default_rng(0)
X = RNG.gamma(0.3, size=(60, 4)) @ RNG.gamma(0.3, size=(4, 12)) + 0.01
Y = X * RNG.uniform(0.1, 0.9, size=X.shape)
SETTINGS = {"n_layers": 4, "max_iter": 5, "random_state": 0}
NETWORKS = {
    "linear": (DeepNMFRegressor(4, **SETTINGS), Y[:, :3]),
    "tied, frobenius": (DeepNMFRegressor(4, tied=True, beta_loss=2, **SETTINGS), Y[:, :3]),
    "mask": (DeepNMFRegressor(4, output="mask", **SETTINGS), Y),
    "two targets": (
        DeepNMFRegressor((3, 2, 0), output="mask", **SETTINGS),
        np.hstack([Y, X - Y]),
    ),
    "projections, recurrence": (
        DeepNMFRegressor(4, fit_projections=True, recurrence=0.5, **SETTINGS),
        Y[:, 0],
    ),
}
BASES = np.ones((2, 3))


def made_of(model):
    """Return a network of the arrays of a fitted one."""
    return DeepNMFRegressor.from_bases(
        model.bases_,
        model.output_bases_,
        projections=getattr(model, "projections_", None),
        initial_activation=model.initial_activation_,
        **model.get_params() | {"warm_start": True},
    )


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_are_made_of_their_arrays(name, dtype, tmp_path):
    model, y = NETWORKS[name]
    data = X.astype(dtype)
    model = clone(model).fit(data, y.astype(dtype))
    twin = made_of(model)
    expected = model.predict(data)
    assert twin.predict(data).dtype == dtype
    rtol = 1e-9 if dtype == np.float64 else 1e-3
    assert_allclose(twin.predict(data), expected, rtol=rtol, atol=rtol * expected.mean())
    assert twin.n_parameters_ == model.n_parameters_
    assert twin.n_outputs_ == model.n_outputs_
    assert not any(a is b for a in twin.bases_ for b in model.bases_)
    assert len(set(map(id, twin.bases_))) == len(set(map(id, model.bases_)))
    save_model(twin, tmp_path / "model")
    for copied in (load_model(tmp_path / "model"), pickle.loads(pickle.dumps(twin))):
        assert_array_equal(copied.predict(data), twin.predict(data))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_of_arrays_is_trained_further(name):
    model, y = NETWORKS[name]
    twin = made_of(clone(model).fit(X, y))
    assert twin.loss_ == np.inf
    assert twin.history_ == []
    before = np.square(y - twin.predict(X)).mean()
    assert np.square(y - twin.fit(X, y).predict(X)).mean() < before


def test_one_array_is_that_of_all_layers():
    model = DeepNMFRegressor.from_bases(BASES.tolist(), n_layers=3)
    assert model.bases_[0] is model.bases_[2]
    assert (model.n_components, model.n_layers, model.n_outputs_) == (2, 3, 3)
    assert_allclose(model.predict(np.full((1, 3), 5.0)), np.full((1, 3), 5.0))
    assert len(DeepNMFRegressor.from_bases(BASES).bases_) == DeepNMFRegressor().n_layers
    assert DeepNMFRegressor.from_bases([BASES, BASES + 1]).n_layers == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bases": -BASES}, "Negative values in data passed to bases"),
        ({"bases": BASES[0]}, r"bases has the shape \(3,\); give a matrix"),
        ({"bases": None}, r"bases has the shape \(\); give a matrix"),
        ({"bases": []}, r"bases has the shape \(0,\); give a matrix"),
        ({"bases": [[1], [1, 2]]}, r"bases is no array: its rows differ in length"),
        ({"output_bases": BASES[0]}, r"output_bases has the shape \(3,\); give a matrix"),
        ({"bases": [BASES, BASES.T]}, "bases holds arrays of different shapes"),
        ({"bases": [BASES] * 3, "n_layers": 2}, "the arrays of 3 layers, but n_layers=2"),
        ({"n_components": 3}, "bases has 2 components, but n_components=3"),
        ({"output": "mask", "n_components": (1, 2)}, r"n_components=\(1, 2\) .* ask for 3"),
        ({"output_bases": np.ones((3, 1))}, r"output_bases has the shape \(3, 1\)"),
        (
            {"output": "mask", "n_components": 1, "output_bases": np.ones((2, 4))},
            "for mask output at most as many columns",
        ),
        ({"projections": np.ones((2, 4))}, r"projections has the shape \(2, 4\)"),
        ({"projections": BASES, "fit_projections": False}, "fit_projections is False"),
        ({"bases": [BASES, BASES + 1], "tied": True}, "tied=True, but bases holds different"),
        ({"initial_activation": 0}, "initial_activation=0 is not a number above 0"),
        ({"initial_activation": None}, "initial_activation=None is not a number above 0"),
        ({"initial_activation": [1, 2]}, r"initial_activation=\[1, 2\] is not a number"),
        ({"max_iter": 0}, "The 'max_iter' parameter"),
    ],
)
def test_arrays_that_do_not_fit_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        DeepNMFRegressor.from_bases(**{"bases": BASES} | arguments)


IRIS = load_iris(return_X_y=True)
TWO = IRIS[0][:100], np.array(["no", "yes"])[IRIS[1][:100]]
LABELS = make_multilabel_classification(60, 8, n_classes=4, random_state=0)
GRID = grid_to_graph(2, 2)
FIELDS = {
    "three classes": (UnfoldedMeanFieldClassifier((4, 3)), IRIS),
    "two classes, tied": (UnfoldedBPClassifier(4, tied=True), TWO),
    "lateral": (UnfoldedBPClassifier((4, 3), lateral=True), IRIS),
    "labels": (UnfoldedMeanFieldClassifier(3, label_graph="full"), LABELS),
    "local": (UnfoldedMeanFieldClassifier((), label_graph="full", coupling="local"), LABELS),
    "shared": (UnfoldedBPClassifier((), label_graph=GRID, coupling="shared"), LABELS),
}
PAIR = {"coefs": [np.ones((2, 1))], "intercepts": [np.zeros(1)]}
DEEPER = {"coefs": [np.ones((2, 1)), np.ones((1, 1))], "intercepts": [np.zeros(1)] * 2}


@pytest.mark.parametrize("name", FIELDS)
def test_fields_are_made_of_their_potentials(name, tmp_path):
    model, (X, y) = FIELDS[name]
    model = clone(model).set_params(n_layers=3, max_iter=5, random_state=0).fit(X, y)
    classes = model.classes_ if np.ndim(y) == 1 else None
    params = model.get_params() | {"warm_start": True}
    twin = type(model).from_potentials(model.potentials_, classes, **params)
    assert_array_equal(twin.decision_function(X), model.decision_function(X))
    assert_array_equal(twin.predict(X), model.predict(X))
    assert twin.n_parameters_ == model.n_parameters_
    assert twin.potentials_[0]["coefs"][0] is not model.potentials_[0]["coefs"][0]
    assert twin.loss_ == np.inf
    save_model(twin, tmp_path / "model")
    assert_array_equal(load_model(tmp_path / "model").predict(X), model.predict(X))
    assert twin.set_params(solver="lbfgs").fit(X, y).loss_ < model.loss_


def test_the_last_sweep_is_repeated():
    model = UnfoldedBPClassifier.from_potentials([PAIR], n_layers=3)
    assert len(model.potentials_) == 3
    assert model.hidden_layer_sizes == ()
    without = UnfoldedBPClassifier.from_potentials([PAIR | {"lateral": None}], n_layers=3)
    assert_array_equal(without.potentials_[0]["coefs"], PAIR["coefs"])
    assert_array_equal(model.predict([[1.0, 1.0], [-1.0, -1.0]]), [[1], [0]])
    assert (
        UnfoldedBPClassifier.from_potentials(PAIR).n_layers == UnfoldedBPClassifier().n_layers
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"potentials": 3 * [PAIR], "n_layers": 2}, "3 sweeps, more than n_layers=2"),
        ({"potentials": [{"coefs": []}]}, "give a dict with the lists 'coefs'"),
        ({"potentials": None}, "potentials holds None; give a dict with the lists 'coefs'"),
        ({"potentials": []}, "potentials is empty"),
        ({"potentials": PAIR | {"tables": []}}, r"a dict with coefs .*, tables \(list\); give"),
        ({"potentials": PAIR | {"coefs": None}}, r"a dict with coefs \(NoneType\), inter"),
        ({"potentials": PAIR | {"coefs": np.ones(2)}}, r"coefs of potentials has the shape \("),
        (
            {"potentials": PAIR | {"coefs": [np.ones(2)]}},
            r"has the shape \(2,\); give a matrix",
        ),
        ({"potentials": [PAIR, DEEPER]}, r"potentials has couplings of shapes \[\(2, 1\), \(1"),
        (
            {"potentials": DEEPER | {"lateral": [[1.0], None]}},
            "1 couplings inside layer 0, but this model has none there; set lateral=True",
        ),
        ({"potentials": PAIR | {"intercepts": []}}, "1 couplings, 0 biases"),
        ({"potentials": PAIR | {"coefs": [[[np.nan], [1.0]]]}}, "potentials contains NaN"),
        ({"potentials": PAIR | {"intercepts": [np.ones(2)]}}, r"potentials has \[2\] biases"),
        ({"hidden_layer_sizes": 3}, "potentials has couplings of shapes"),
        ({"classes": [0, 1, 2]}, r"classes=\[0, 1, 2\] need 3 output"),
        ({"classes": ["b", "a"]}, "are not sorted"),
        ({"classes": [0, 1], "label_graph": "full"}, "couples labels, but"),
        ({"damping": 1.0}, "The 'damping' parameter"),
        (
            {
                "potentials": [PAIR, {"coefs": [[[1.0], [2.0]]], "intercepts": [[0.0]]}],
                "tied": True,
            },
            "tied=True, but potentials holds sweeps with different arrays",
        ),
    ],
)
def test_potentials_that_do_not_fit_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        UnfoldedMeanFieldClassifier.from_potentials(**{"potentials": PAIR} | arguments)
