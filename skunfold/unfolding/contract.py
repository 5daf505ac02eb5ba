"""What the methods of an iteration must return, checked for a few samples before any work."""

from numbers import Integral

import numpy as np

from skunfold.unfolding.iteration import flags_of

N_SAMPLES = 2  # that the methods are tried with


def theta_of(iteration, X, y, random_state):
    """Return theta before training, a tuple of arrays of the dtype of X.

    They are in C order, and share no memory with what `parameters` returned.
    """
    name = f"{type(iteration).__name__}.parameters"
    given = iteration.parameters(X, y, random_state)
    if not isinstance(given, tuple | list):
        raise TypeError(f"{name} returned {_kind(given)}; return a tuple of arrays.")
    try:
        theta = tuple(np.array(p, dtype=X.dtype, order="C") for p in given)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} returned something else than numbers ({error}).") from error
    for i, (p, positive) in enumerate(zip(theta, flags_of(iteration.positive, len(theta)))):
        if not np.isfinite(p).all():
            raise ValueError(f"{name} returned NaN or infinity, in array {i}.")
        if positive and (p < 0).any():
            raise ValueError(
                f"{name} returned negative numbers in array {i}, which positive="
                f"{iteration.positive!r} says stays positive."
            )
    return theta


def check_iteration(iteration, theta, X, trained):
    """Check the methods of an iteration for a few samples; the adjoint if it is `trained`."""
    some = X[:N_SAMPLES].copy()
    arrays = [some, *theta]
    before = [a.copy() for a in arrays]
    check_passes(iteration, theta, some, trained)
    if not all(map(np.array_equal, before, arrays)):
        name = type(iteration).__name__
        raise ValueError(f"{name} changes X or theta; make new arrays instead.")


def check_passes(iteration, theta, X, trained):
    """Check the types and shapes of what the methods return for samples."""
    name, n = type(iteration).__name__, len(X)
    size = iteration.block_size(theta)
    if size is not None and not (isinstance(size, Integral) and int(size) >= 1):
        raise ValueError(
            f"{name}.block_size returned {size!r}; return a whole number of 1 or more, or None."
        )
    prepared = iteration.prepare(theta, n, [0])
    drive = iteration.drive(prepared, X)
    h = iteration.initial(prepared, drive, n)
    _check_state(f"{name}.initial", h, (n, None))
    before = h.copy()
    stepped = iteration.step(prepared, drive, h, 0)
    after, tape = _check_tuple(f"{name}.step", stepped, 2, "the next state and a tape")
    _check_state(f"{name}.step", after, h.shape)
    if not np.array_equal(h, before):
        raise ValueError(f"{name}.step changes h; make a new array instead.")
    _check_state(f"{name}.advance", iteration.advance(prepared, drive, h, 0), after.shape)
    if not trained:
        return
    with np.errstate(all="ignore"):  # gradients by the first state are of no use
        gradients = iteration.adjoint(prepared, tape, np.ones_like(after), 0)
    what = "the gradient by h, that by the drive and a tuple of those by theta"
    g_h, _, of_theta = _check_tuple(f"{name}.adjoint", gradients, 3, what)
    _check_array(f"{name}.adjoint, as the gradient by h,", g_h, h.shape)
    if not isinstance(of_theta, tuple | list) or len(of_theta) != len(theta):
        raise TypeError(
            f"{name}.adjoint returned {_kind(of_theta)} as the gradients by theta; return a "
            f"tuple of {len(theta)}, one for each array of theta."
        )
    for i, (p, gradient) in enumerate(zip(theta, of_theta)):
        if gradient is not None:
            of_array = f"{name}.adjoint, as the gradient by array {i} of theta,"
            _check_array(of_array, gradient, p.shape)


def _check_tuple(name, value, n, what):
    """Return a tuple that must hold n things."""
    if not isinstance(value, tuple) or len(value) != n:
        raise TypeError(f"{name} returned {_kind(value)}; return a tuple of {n}: {what}.")
    return value


def _check_array(name, value, shape):
    """Check that something is an array of a shape, where None is any number."""
    wanted = str(shape).replace("None", "n_states")
    if not isinstance(value, np.ndarray | np.generic):
        raise TypeError(
            f"{name} returned {_kind(value)}; return an array of the shape {wanted}."
        )
    fits = value.ndim == len(shape) and all(
        b is None or a == b for a, b in zip(value.shape, shape)
    )
    if not fits:
        raise ValueError(f"{name} returned the shape {value.shape}; return the shape {wanted}.")


def _check_state(name, h, shape):
    """Check that something is a state of this shape, of finite numbers."""
    _check_array(name, h, shape)
    if not np.isfinite(h).all():
        raise ValueError(f"{name} returned NaN or infinity.")


def _kind(value):
    """Return what a value is, for a message."""
    kind = type(value).__name__
    return f"a {kind} of {len(value)}" if isinstance(value, tuple | list) else f"a {kind}"
