"""Samples that DeepNMFRegressor holds out, and validation data that is given to it."""

import numpy as np
import pytest
from configurations import deep_nmf
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit


def test_held_out_samples_do_not_initialise(mixtures):
    X, y = mixtures
    groups = np.arange(len(X)) % 4
    model = deep_nmf(output="mask", early_stopping=True, validation_fraction=0.25, max_iter=1)
    first = clone(model).fit(X, y, groups=groups)
    other = X.copy()
    splitter = GroupShuffleSplit(1, test_size=0.25, random_state=0)
    _, held_out = next(splitter.split(X, groups=groups))
    other[held_out] *= 5
    second = clone(model).fit(other, y, groups=groups)
    assert first.data_scale_ == second.data_scale_
    assert first.initial_activation_ == second.initial_activation_


def test_held_out_samples_are_in_the_range_of_the_others(mixtures):
    X, y = (np.float32(a) for a in mixtures)
    held_out = ShuffleSplit(1, test_size=0.1, random_state=0).split(X)
    (_, rows), *_ = held_out
    X[rows[0]] *= 1e15
    with pytest.raises(ValueError, match=r"X holds .* too much for float32; scale it"):
        deep_nmf(early_stopping=True).fit(X, y)


def test_early_stopping_holds_out_whole_groups(mixtures):
    X, y = mixtures
    groups = np.arange(len(X)) // 10
    model = deep_nmf(output="mask", early_stopping=True, validation_fraction=0.25, max_iter=30)
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
    model = deep_nmf(output="mask", early_stopping=True, max_iter=30)
    weight = np.linspace(0, 2, 20)
    validation = {"X_val": X[60:], "y_val": y[60:], "sample_weight_val": weight}
    model.fit(X[:60], y[:60], **validation)
    losses = 0.5 * np.sum((model.predict(X[60:]) - y[60:]) ** 2, axis=1)
    assert_allclose(model.loss_, np.average(losses, weights=weight), rtol=1e-9)
    assert_allclose(model.loss_, min(model.validation_loss_curve_), rtol=1e-12)
    # All of X is trained on: one epoch is that of a fit without early stopping.
    model.set_params(max_iter=1).fit(X[:60], y[:60], **validation)
    plain = deep_nmf(output="mask", max_iter=1).fit(X[:60], y[:60])
    assert_allclose(model.bases_[0], plain.bases_[0], rtol=1e-12)


def test_validation_data_take_the_dtype_of_the_training_data(mixtures):
    X, y = mixtures
    model = deep_nmf(output="mask", early_stopping=True, max_iter=3)
    model.fit(X.astype(np.float32), y.astype(np.float32), X_val=X, y_val=y)
    assert model.bases_[0].dtype == np.float32


def test_validation_data_of_a_single_output(spectra):
    X, y = spectra
    model = deep_nmf(early_stopping=True, max_iter=5)
    model.fit(X[:80], y[:80, 0], X_val=X[80:], y_val=y[80:, 0])
    assert model.predict(X).shape == (len(X),)


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"y_val": np.ones((80, 2))}, "y_val has 2 columns"),
        ({"y_val": np.full((80, 12), -1.0)}, "Negative values in data .*argument y_val"),
        ({"X_val": np.full((80, 12), -1.0)}, "Negative values in data .*argument X_val"),
        ({"sample_weight_val": np.zeros(80)}, "zero for all samples|at least one non-zero"),
    ],
)
def test_bad_validation_data_are_named(mixtures, changed, match):
    X, y = mixtures
    model = deep_nmf(output="mask", early_stopping=True)
    with pytest.raises(ValueError, match=match):
        model.fit(X, y, **{"X_val": X, "y_val": y} | changed)
    assert not hasattr(model, "bases_")


def _pairs_of_groups(groups):
    names = np.unique(groups)
    return [[groups == a, groups == b] for i, a in enumerate(names) for b in names[i + 1 :]]
