"""Mistakes in an iteration are named before any work, and change no data."""

import copy

import numpy as np
import pytest
from sklearn.base import is_classifier, is_regressor
from sklearn.utils._param_validation import InvalidParameterError

from skunfold.unfolding import IdentityReadout, Iteration, UnfoldedRegressor, check_adjoint

X = np.random.default_rng(0).normal(size=(20, 5))


class Descent(Iteration):
    """Gradient descent on the squared distance of h D from x, with mistakes put in."""

    positive = (False, True)

    def __init__(self, method=None, change=None):
        self.method = method
        self.change = change

    def made(self, method, value):
        return self.change(value) if method == self.method else value

    def parameters(self, X, y, random_state):
        D = random_state.normal(size=(3, X.shape[1]))
        return self.made("parameters", (D, np.full(3, 0.1)))

    def initial(self, theta, X, n_samples):
        return self.made("initial", np.zeros((n_samples, 3), X.dtype))

    def step(self, theta, X, h, k):
        D, rate = theta
        if self.method == "arguments":
            self.change({"X": X, "h": h, "theta": D})
        left = X - h @ D
        return self.made("step", (h + rate * (left @ D.T), (h, left)))

    def advance(self, theta, X, h, k):
        return self.made("advance", self.step(theta, X, h, k)[0])

    def block_size(self, theta):
        return self.made("block_size", None)

    def adjoint(self, theta, tape, g, k):
        D, rate = theta
        h, left = tape
        scaled = rate * g
        g_D = scaled.T @ left - h.T @ (scaled @ D)
        of_theta = (g_D, (g * (left @ D.T)).sum(axis=0))
        return self.made("adjoint", (g - scaled @ D @ D.T, None, of_theta))


MISTAKES = [
    ("parameters", lambda theta: theta[0], "parameters returned a ndarray; return a tuple"),
    (
        "parameters",
        lambda theta: ("a", theta[1]),
        "parameters returned something else than n",
    ),
    ("parameters", lambda theta: (theta[0] * np.nan, theta[1]), "NaN or infinity, in array 0"),
    ("parameters", lambda theta: (theta[0], -theta[1]), "negative numbers in array 1, which"),
    ("parameters", lambda theta: theta[:1], r"says which of 2 arrays .* returns 1"),
    ("initial", lambda h: h[0], r"initial returned the shape \(3,\); .* n_states\)"),
    ("initial", lambda h: h.tolist(), "initial returned a list of .*; return an array"),
    ("initial", lambda h: h + np.inf, "initial returned NaN or infinity"),
    ("step", lambda made: made[0], "step returned a ndarray; .* next state and a tape"),
    ("step", lambda made: (made[0][:, :1], made[1]), r"step returned the shape .*; return"),
    ("step", lambda made: (made[0] * np.nan, made[1]), "step returned NaN or infinity"),
    ("advance", lambda h: None, r"advance returned a NoneType; return an array of"),
    ("advance", lambda h: h[:, 0], r"advance returned the shape \(\d+,\); return"),
    ("block_size", lambda size: 0, "block_size returned 0; return a whole number of 1 or more"),
    ("block_size", lambda size: 2.5, "block_size returned 2[.]5"),
    ("adjoint", lambda made: made[::2], "adjoint returned a tuple of 2; return a tuple of 3"),
    ("adjoint", lambda made: (None, *made[1:]), "gradient by h, returned a NoneType; return"),
    (
        "adjoint",
        lambda made: (*made[:2], made[2][:1]),
        "a tuple of 1 as the gradients by",
    ),
    (
        "adjoint",
        lambda made: (*made[:2], (made[2][0].T, made[2][1])),
        r"gradient by array 0 of theta, returned the shape \(5, 3\); return the shape \(3, 5\)",
    ),
    ("arguments", lambda given: given["h"].fill(1), "step changes h; make a new array"),
]


@pytest.mark.parametrize(("method", "change", "message"), MISTAKES)
def test_mistakes_are_named(method, change, message):
    iteration = Descent(method, change)
    with pytest.raises((TypeError, ValueError), match=message):
        UnfoldedRegressor(iteration, n_layers=2, random_state=0).fit(X, X[:, :2])
    with pytest.raises((TypeError, ValueError), match=message):
        check_adjoint(iteration, X)


def test_without_mistakes_it_is_trained():
    model = UnfoldedRegressor(Descent(), n_layers=2, max_iter=5, tol=0, random_state=0)
    assert model.fit(X, X[:, :2]).loss_ < model.loss_curve_[0]


def test_an_adjoint_is_not_asked_for_where_no_layer_is_trained():
    def missing(made):
        raise NotImplementedError

    model = UnfoldedRegressor(Descent("adjoint", missing), n_layers=2, n_trained_layers=0)
    assert model.fit(X, X[:, :2]).predict(X).shape == (20, 2)


@pytest.mark.parametrize("name", ["X", "theta"])
def test_a_step_that_changes_what_it_is_given(name):
    data = X.copy()
    iteration = Descent("arguments", lambda given: given[name].fill(1))
    with pytest.raises(ValueError, match="Descent changes X or theta; make new arrays"):
        UnfoldedRegressor(iteration, n_layers=2, random_state=0).fit(data, X[:, :2])
    assert (data == X).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"iteration": type("Other", (Descent,), {})()}, "iteration is a Other, .* a Descent"),
        ({"readout": IdentityReadout()}, "readout is a IdentityReadout, .* a LinearReadout"),
    ],
)
def test_a_warm_start_with_another_iteration_or_readout(changes, message):
    model = UnfoldedRegressor(
        Descent(), n_layers=2, max_iter=2, tol=0, warm_start=True, random_state=0
    ).fit(X, X[:, :3])
    expected = model.predict(X)
    with pytest.raises(ValueError, match=message):
        copy.copy(model).set_params(**changes).fit(X, X[:, :3])
    assert (model.predict(X) == expected).all()


def test_a_string_is_no_iteration():
    model = UnfoldedRegressor("ISTA")
    assert is_regressor(model)
    assert not is_classifier(model)
    with pytest.raises(InvalidParameterError, match=r"'iteration' parameter .* Got 'ISTA'"):
        model.fit(X, X)
