"""L-BFGS against SciPy's, and where nothing is lower."""

from itertools import islice

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import rosen, rosen_der

from skunfold._training.lbfgs import Point, iterates


def of_rosenbrock(x):
    return Point(x, rosen(x), rosen_der(x))


def quadratic(dtype):
    """Return a function to points of 1/2 (x - b) A (x - b), and b."""
    rng = np.random.default_rng(0)
    root = rng.normal(size=(30, 30))
    A, b = (root @ root.T + np.eye(30)).astype(dtype), rng.normal(size=30).astype(dtype)

    def point(x):
        g = A @ (x - b)
        return Point(x, 0.5 * float((x - b) @ g), g)

    return point, b


def test_the_valley_of_rosenbrock():
    *_, last = iterates(of_rosenbrock, np.array([-1.2, 1.0, -0.5, 2.0]), 1e-9)
    assert_allclose(last.x, 1, rtol=1e-4)  # it ends where the loss hardly changes


@pytest.mark.parametrize(("dtype", "atol"), [(np.float64, 1e-4), (np.float32, 1e-2)])
def test_a_quadratic_in_its_dtype(dtype, atol):
    point, b = quadratic(dtype)
    points = list(islice(iterates(point, np.zeros(30, dtype), 1e-6), 200))
    assert {p.x.dtype for p in points} == {np.dtype(dtype)}
    assert np.all(np.diff([p.loss for p in points]) < 0)
    assert_allclose(points[-1].x, b, atol=atol)


def test_few_evaluations():
    """As from SciPy, about one for each iteration."""
    n = [0]
    point, _ = quadratic(np.float64)

    def counted(x):
        n[0] += 1
        return point(x)

    iterations = list(iterates(counted, np.zeros(30), 1e-6))
    assert len(iterations) < 60
    assert n[0] <= 1.3 * len(iterations) + 2


def test_steps_beyond_which_nothing_is_finite():
    def point(x):
        if x[0] >= 1.5:
            return Point(x, np.nan, np.full(1, np.nan))
        return Point(x, 1 / (1.5 - x[0]) - 10 * x[0], 1 / (1.5 - x) ** 2 - 10)

    *_, last = iterates(point, np.array([-1.0]), 1e-6)
    assert_allclose(last.x, 1.5 - 10**-0.5, atol=1e-4)


def test_a_gradient_that_is_wrong_ends_it():
    def point(x):
        return Point(x, float(np.abs(x).sum()), -np.sign(x))

    assert list(iterates(point, np.array([1.0, -2.0]), 1e-6)) == []


def test_a_minimum_stays():
    assert list(iterates(of_rosenbrock, np.ones(4), 1e-9)) == []


def test_no_minimum():
    """The loss falls without end: each search takes its longest step."""
    points = list(islice(iterates(lambda x: Point(x, -x[0], -np.ones(1)), np.zeros(1), 0), 3))
    assert len(points) == 3
    assert points[2].x > points[1].x > points[0].x > 1e6
