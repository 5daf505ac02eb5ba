"""Finite-difference checks of a user's iteration."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_array, check_random_state

from skunfold._kernels.unfolding import Unfolding, sets_of
from skunfold.unfolding.contract import check_passes, theta_of
from skunfold.unfolding.iteration import Iteration, flags_of
from skunfold.unfolding.losses import SquaredError
from skunfold.unfolding.readouts import IdentityReadout

# Steps of the finite differences, relative to the parameters. Near a kink, as thresholds have,
# only smaller steps are right.
STEPS = (1e-5, 1e-6, 1e-7)


def check_adjoint(
    iteration: Iteration,
    X: ArrayLike,
    y: ArrayLike | None = None,
    *,
    n_layers: int = 3,
    rtol: float = 1e-5,
    random_state: int | np.random.RandomState | None = 0,
) -> None:
    """Compare the adjoint of an iteration with finite differences, in double precision.

    A network of `n_layers` layers is made from the iteration, tied and untied. The gradient of
    half its squared states is compared with central differences along a random direction of
    each array of theta. If a slope differs, smaller steps are tried, since finite differences
    across a kink are wrong.

    Parameters
    ----------
    iteration : Iteration
        The iteration to check.
    X : array-like of shape (n_samples, n_features)
        Some samples; a few are enough.
    y : array-like of shape (n_samples, n_outputs), default=None
        Targets, for the `parameters` of the iteration. None: X.
    n_layers : int, default=3
        Number of layers, at least 1.
    rtol : float, default=1e-5
        Largest difference, relative to the larger of the two slopes, above 0.
    random_state : int, RandomState instance or None, default=0
        Seed of the parameters and the directions.

    Raises
    ------
    TypeError, ValueError
        If a method returns something else than it should, such as an array of another shape.
    AssertionError
        If a slope differs (the message says by which array of theta, in which layer), or if a
        method changes an array that it is given.
    """
    data: NDArray = check_array(X, dtype=np.float64)
    targets = data if y is None else np.asarray(y, dtype=np.float64).reshape(len(data), -1)
    rng = check_random_state(random_state)
    theta = theta_of(iteration, data, targets, rng)
    check_passes(iteration, theta, data.copy(), trained=True)
    for tied in (True, False):
        sets = sets_of([len(theta)] * n_layers, tied)
        network = Unfolding(iteration, IdentityReadout(), SquaredError(), sets)
        # With equal parameters, the gradient of one layer could pass for that of another.
        parameters = [
            p * np.exp(0.05 * rng.standard_normal(p.shape)) for p in theta * len({*sets})
        ]
        _check_unchanged(network, parameters, data)
        _check_slopes(network, parameters, data, rtol, rng)


def _check_unchanged(network, parameters, X):
    """Check that neither pass changes its arguments."""
    given = [X, *parameters]
    before = [a.copy() for a in given]
    h, tape = network.forward(parameters, X)
    network.backward(parameters, tape, h)
    if not all(map(np.array_equal, before, given)):
        name = type(network.iteration).__name__
        raise AssertionError(f"{name} changes X or theta; make new arrays instead.")


def _check_slopes(network, parameters, X, rtol, rng):
    """Compare the gradient by each parameter with central differences."""
    h, tape = network.forward(parameters, X)
    gradients = network.backward(parameters, tape, h)
    n_theta = len(network.sets[0])
    positive = flags_of(network.iteration.positive, n_theta)
    for place, (p, gradient) in enumerate(zip(parameters, gradients)):
        layer, which = divmod(place, n_theta)
        size = p if positive[which] else np.sqrt(np.mean(p**2))
        for step in STEPS:
            direction = size * rng.standard_normal(p.shape)
            expected, tolerance = _slope(network, parameters, X, place, direction, step)
            actual = np.vdot(gradient, direction)
            if abs(actual - expected) <= rtol * max(abs(actual), abs(expected)) + tolerance:
                break
        else:
            where = f"layer {layer}" if len({*network.sets}) > 1 else "tied layers"
            raise AssertionError(
                f"{type(network.iteration).__name__}.adjoint: by array {which} of theta of "
                f"{where}, a slope of the loss is {expected:.9g} by finite differences, but "
                f"{actual:.9g} by the adjoint."
            )


def _slope(network, parameters, X, place, direction, step):
    """Return the slope of the loss along a direction of one parameter, and its rounding."""
    losses = []
    for distance in (step, -step):
        moved = [*parameters]
        moved[place] = parameters[place] + distance * direction
        h, _ = network.forward(moved, X)
        losses.append(network.loss(h, np.zeros_like(h)).sum())
    slope = (losses[0] - losses[1]) / (2 * step)
    return slope, np.finfo(np.float64).eps * abs(losses[0]) / step
