"""Iterations and data of the tests."""

import numpy as np
import pytest
from guide import module_of_guide


@pytest.fixture(scope="session")
def ISTA():  # noqa: N802
    return module_of_guide("unfolded_ista").ISTA


@pytest.fixture(scope="session")
def KLNMF():  # noqa: N802
    return module_of_guide("unfolded_nmf").KLNMF


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
