"""A fourth model with what the training loop asks for: the one that the user guide shows."""

import runpy
from pathlib import Path

import numpy as np
from numpy.testing import assert_allclose

MODULE = Path(__file__).parents[2] / "doc" / "user_guide" / "unfolded_ista.py"
guide = runpy.run_path(str(MODULE))
UnfoldedISTA, learn_to_infer = guide["UnfoldedISTA"], guide["learn_to_infer"]


def sparse_mixtures(rng):
    """Return 500 sparse mixtures of 8 atoms of unit norm, and the atoms."""
    D = rng.normal(size=(8, 12))
    D /= np.linalg.norm(D, axis=1, keepdims=True)
    return ((rng.random((500, 8)) < 0.3) * rng.normal(size=(500, 8))) @ D, D


def test_it_stands_in_the_guide_in_under_80_lines():
    page = MODULE.with_name("unfold_your_own.rst").read_text()
    assert f".. literalinclude:: {MODULE.name}" in page
    assert len(MODULE.read_text().splitlines()) < 80


def test_unfolded_ista_learns_to_be_faster_than_ista():
    X, D = sparse_mixtures(np.random.default_rng(0))
    _, before, after = learn_to_infer(X, D)
    assert after < before / 5


def test_its_gradient():
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(5, 4)), rng.normal(size=(5, 3))
    parameters = [rng.normal(size=(4, 3)), rng.normal(size=(3, 3)), np.full(3, 0.1)]
    directions = [rng.normal(size=p.shape) for p in parameters]
    model = UnfoldedISTA(3)

    def loss(t):
        moved = [p + t * d for p, d in zip(parameters, directions)]
        return model.loss(model.forward(moved, X)[0], y).sum()

    z, tape = model.forward(parameters, X)
    gradients = model.backward(parameters, tape, model.loss_gradient(z, y))
    slope = sum(np.vdot(g, d) for g, d in zip(gradients, directions))
    assert_allclose(slope, (loss(1e-6) - loss(-1e-6)) / 2e-6, rtol=1e-6)
