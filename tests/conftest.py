"""Data that several test files share."""

import numpy as np
import pytest
from guide import RandomISTA
from sklearn.base import is_classifier
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.preprocessing import scale


@pytest.fixture
def mixtures():
    """Return (X, y): two sparse sources in 12 features, X their sum, y the first."""
    rng = np.random.default_rng(0)
    speech, noise = (
        rng.gamma(0.5, size=(80, 3)) @ rng.gamma(0.5, size=(3, 12)) for _ in range(2)
    )
    return speech + noise, speech


@pytest.fixture
def spectra():
    """Return (X, y): Poisson counts of mixed spectra, and the three concentrations."""
    rng = np.random.default_rng(0)
    y = rng.uniform(size=(120, 3))
    return rng.poisson(40 * y @ rng.gamma(0.5, size=(3, 20))).astype(float), y


@pytest.fixture(scope="session")
def iris():
    """Return (X, y): half of the irises, and their names."""
    X, y = load_iris(return_X_y=True)
    return scale(X)[::2], np.array(["setosa", "versicolor", "virginica"])[y[::2]]


@pytest.fixture(scope="session")
def labels():
    """Return (X, y): eight features, and a matrix of four labels."""
    X, y = make_multilabel_classification(80, 8, n_classes=4, random_state=0)
    return scale(X), y


@pytest.fixture(scope="session")
def codes():
    """Return (X, atoms, codes): sparse mixtures of 8 atoms, and what ISTA converges to."""
    rng = np.random.default_rng(0)
    D = rng.normal(size=(8, 12))
    D /= np.linalg.norm(D, axis=1, keepdims=True)
    X = ((rng.random((300, 8)) < 0.3) * rng.normal(size=(300, 8))) @ D
    step, z = 1 / np.linalg.norm(D @ D.T, 2), np.zeros((300, 8))
    for _ in range(500):
        u = z + step * (X - z @ D) @ D.T
        z = np.sign(u) * np.maximum(np.abs(u) - step * 0.05, 0)
    return X, D, z


@pytest.fixture
def data_for(mixtures, iris, codes):
    """Return a function that returns (X, y) of the kind that a model is made for."""

    def data(model):
        if is_classifier(model):
            return iris
        if isinstance(getattr(model, "iteration", None), RandomISTA):
            return codes[0][:80], codes[2][:80]
        return mixtures

    return data
