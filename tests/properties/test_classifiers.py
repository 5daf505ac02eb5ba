"""The unfolded classifiers, whatever data and parameters they are given."""

import warnings

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from strategies import ORDERS, SEEDS, in_order, real

from skunfold import UnfoldedBPClassifier, UnfoldedMeanFieldClassifier

SIZES = st.one_of(st.integers(1, 5), st.lists(st.integers(1, 4), max_size=3))
KINDS = st.sampled_from(["two classes", "classes", "labels"])


@st.composite
def classifiers(draw, **fixed):
    """Return a classifier with any parameters."""
    params = {
        "n_layers": draw(st.integers(1, 4)),
        "tied": draw(st.booleans()),
        "lateral": draw(st.booleans()),
        "label_graph": draw(st.sampled_from([None, "full"])),
        "damping": draw(st.sampled_from([0, 0.3, 0.9])),
        "alpha": draw(st.sampled_from([0, 0.0005, 1])),
        "solver": draw(st.sampled_from(["adam", "sgd", "lbfgs"])),
        "batch_size": draw(st.sampled_from(["auto", 1, 7, 1000])),
        "learning_rate_init": draw(st.sampled_from([1e-3, 0.1, 1])),
        "shuffle": draw(st.booleans()),
        "max_iter": draw(st.integers(1, 4)),
        "random_state": draw(SEEDS),
    } | fixed
    cls = draw(st.sampled_from([UnfoldedMeanFieldClassifier, UnfoldedBPClassifier]))
    if cls is UnfoldedBPClassifier:
        params["power"] = draw(st.sampled_from([0.1, 1, 2]))
    return cls(draw(SIZES), **params)


def fit(model, X, y):
    """Fit a model; plain gradient descent may leave all bounds by steps that are too large."""
    with warnings.catch_warnings():
        if model.solver == "sgd":
            warnings.simplefilter("ignore", RuntimeWarning)
        return model.fit(X, y)


def targets_for(model, X, kind, seed):
    """Return classes, or labels; a graph of labels needs labels."""
    rng = np.random.default_rng(seed)
    if kind == "labels" or model.label_graph is not None:
        return rng.integers(2, size=(len(X), rng.integers(2, 5)))
    names = np.array(["a", "b"] if kind == "two classes" else ["a", "b", "c"], dtype=object)
    return names[rng.permutation(np.arange(len(X)) % len(names))]


@given(classifiers(), real(st.integers(3, 40)), KINDS, SEEDS, ORDERS)
def test_classifiers_give_probabilities(model, X, kind, seed, order):
    y = targets_for(model, X, kind, seed)
    fit(model, in_order(X, order), y)
    probabilities = model.predict_proba(X)
    assert probabilities.dtype == X.dtype
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    if y.ndim == 1:
        assert probabilities.shape == (len(X), len(np.unique(y)))
        assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
        chosen = np.searchsorted(model.classes_, model.predict(X))
        top = probabilities[np.arange(len(X)), chosen]
        assert (top >= probabilities.max(axis=1) - 1e-6).all()
    else:
        assert probabilities.shape == y.shape
        sure = np.abs(probabilities - 0.5) > 1e-6
        assert_array_equal(model.predict(X)[sure], (probabilities > 0.5)[sure])
    assert np.isfinite(model.decision_function(X)).all()
    beliefs = model.transform(X)
    assert ((beliefs >= 0) & (beliefs <= 1)).all()
    assert np.isfinite(model.loss_)
    assert 1 <= model.n_iter_ <= model.max_iter
    logs = model.predict_log_proba(X)
    assert_allclose(np.exp(logs), probabilities, atol=1e-5)
    *_, last = model.staged_predict_proba(X)
    assert_allclose(last, probabilities, atol=1e-5)


@given(classifiers(), real(st.integers(3, 40)), KINDS, SEEDS, ORDERS)
def test_classifiers_predict_rows_whatever_their_order_in_memory(model, X, kind, seed, order):
    probabilities = fit(model, X, targets_for(model, X, kind, seed)).predict_proba(X)
    assert_allclose(model.predict_proba(in_order(X, order)), probabilities, atol=1e-4)
    one_by_one = np.concatenate([model.predict_proba(x[None]) for x in X])
    assert_allclose(one_by_one, probabilities, atol=1e-4)


@given(
    classifiers(early_stopping=True, validation_fraction=0.5), real(st.integers(12, 40)), SEEDS
)
def test_classifiers_end_with_the_best_epoch(model, X, seed):
    fit(model, X, targets_for(model, X, "two classes", seed))
    name = "final_loss" if model.validation_scores_ is None else "validation_loss"
    losses = np.array([epoch[name] for epoch in model.history_])
    assert model.loss_ <= min(losses[np.isfinite(losses)], default=np.inf)
