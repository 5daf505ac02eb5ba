"""Update rules against the formulas of those who proposed them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skunfold._kernels.numerics import Parts, floor_of
from skunfold._training.objective import L2Penalty
from skunfold._training.updates import SGD, Adam, ExponentiatedGradient, MultiplicativeUpdate


@pytest.fixture
def gradients():
    return np.random.default_rng(0).normal(size=(6, 3, 2))


def test_adam(gradients):
    update, W = Adam(0.1), np.zeros((3, 2))
    m = s = 0
    expected = W.copy()
    for t, g in enumerate(gradients, start=1):
        update.step([W], [g.copy()])
        m, s = 0.9 * m + 0.1 * g, 0.999 * s + 0.001 * g**2
        corrected = np.sqrt(s / (1 - 0.999**t))
        expected = expected - 0.1 * (m / (1 - 0.9**t)) / corrected
    assert_allclose(W, expected, rtol=1e-5)


@pytest.mark.parametrize("size", [1e-21, 1e-25, 1e-28])
@pytest.mark.parametrize("rule", [Adam, ExponentiatedGradient])
def test_gradients_whose_squares_vanish_move_nothing(rule, size):
    update, W = rule(0.1), np.ones((2, 3), np.float32)
    for _ in range(5):
        update.step([W], [np.full((2, 3), size, np.float32)])
    assert_allclose(W, 1, rtol=0.05)


def test_sgd_with_momentum(gradients):
    update, W = SGD(0.1), np.zeros((3, 2))
    expected, v = W.copy(), 0
    for g in gradients:
        update.step([W], [g.copy()])
        v = 0.9 * v - 0.1 * g
        expected = expected + 0.9 * v - 0.1 * g
    assert_allclose(W, expected)


@pytest.mark.parametrize("rule", [Adam, SGD])
def test_restart_sets_the_step_and_forgets(rule, gradients):
    used, fresh = rule(0.2), rule(0.1)
    W = np.ones((3, 2), np.float32)
    g = gradients[0].astype(np.float32)
    used.step([W.copy()], [g.copy()])
    used.restart(used.learning_rate / 2)
    a, b = W.copy(), W.copy()
    used.step([a], [g.copy()])
    fresh.step([b], [g.copy()])
    assert_allclose(a, b, rtol=0, atol=0)
    assert not np.array_equal(a, W)


def test_penalty():
    parameters = [np.array([3.0, 4.0]), np.array([1.0])]
    gradients = [np.zeros(2), np.zeros(1)]
    penalty = L2Penalty(0.5, (0,))
    penalty.add_gradient(parameters, gradients)
    assert penalty.value(parameters) == 0.25 * 25
    assert_allclose(gradients[0], [1.5, 2.0])
    assert gradients[1] == 0


def test_multiplicative_updates_stay_in_range():
    W = np.array([1.0, 2.0, 3.0], np.float32)
    for _ in range(3):
        zeros, huge = np.zeros_like(W), np.full_like(W, 1e30)
        MultiplicativeUpdate(1.0).step([W], [Parts(zeros, huge)])
    limit = 1 / floor_of(W.dtype)
    assert W.dtype == np.float32
    assert_allclose(W, limit, rtol=1e-6)
    W = np.array([1.0, 1e3 * limit], np.float32)  # what was larger before may stay
    MultiplicativeUpdate(1.0).step([W], [Parts(np.ones_like(W), np.full_like(W, 2))])
    assert_allclose(W, [2, 1e3 * limit], rtol=1e-6)
