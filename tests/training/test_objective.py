"""The objective: gradients added up over blocks are those of all samples at once."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from threadpoolctl import threadpool_limits

from skunfold._training.objective import Objective
from skunfold._training.protocol import Samples
from skunfold._training.updates import Adam


class Linear:
    """y = X W, whose gradients are not in C order."""

    def forward(self, parameters, X):
        return X @ parameters[0], X

    def loss(self, output, y):
        return 0.5 * ((output - y) ** 2).sum(axis=1)

    def loss_gradient(self, output, y):
        return output - y

    def backward(self, parameters, X, g):
        return [(g.T @ X).T]


@pytest.fixture
def problem():
    """Return X, W, y and weights of samples that make several blocks."""
    rng = np.random.default_rng(0)
    shapes = (3000, 5), (5, 3), (3000, 3)
    return *(rng.normal(size=shape) for shape in shapes), rng.uniform(0.5, 2, 3000)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_blocks_add_up(problem, weighted, n_threads):
    X, W, y, weight = problem
    used = weight if weighted else np.ones(3000)
    with threadpool_limits(n_threads, user_api="blas"), Objective(Linear()) as objective:
        samples = Samples((X,), y, weight if weighted else None)
        loss, (gradient,) = objective.gradient([W], samples)
        again = objective.gradient([W], samples)[1][0]
    error = X @ W - y
    assert_allclose(loss, np.average(0.5 * (error**2).sum(axis=1), weights=used))
    assert_allclose(gradient, X.T @ (used[:, None] * error) / used.sum())
    assert_allclose(again, gradient, rtol=1e-14)


def test_the_gradient_does_not_depend_on_the_number_of_threads(problem):
    X, W, y, _ = problem
    found = []
    for n_threads in (1, 2, 3):
        with threadpool_limits(n_threads, user_api="blas"), Objective(Linear()) as objective:
            found.append(objective.gradient([W], Samples((X,), y)))
    for loss, (gradient,) in found[1:]:
        assert loss == found[0][0]
        assert_array_equal(gradient, found[0][1][0])


def test_steps_keep_their_averages_whatever_the_order_of_gradients_in_memory(problem):
    X, W, y, _ = problem
    moved = []
    for order in "CF":
        update, parameters = Adam(0.1), [W.copy()]
        with Objective(Linear()) as objective:
            for _ in range(5):
                gradient = objective.gradient(parameters, Samples((X,), y))[1][0]
                update.step(parameters, [np.array(gradient, order=order)])
        moved.append(parameters[0])
    assert_allclose(*moved, rtol=1e-12)
