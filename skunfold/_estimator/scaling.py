"""The scale at which models compute."""

import numpy as np

SMALLEST, LARGEST = 1e-100, 1e100  # means of data


def weighted_mean(X, weight=None):
    """Return the mean of all elements, each row with its weight; a float."""
    means = np.asarray(X.mean(axis=1, dtype=np.float64)).ravel()
    return float(np.average(means, weights=weight))


def power_of_two_scale(X, weight=None, name="X"):
    """Return the power of two nearest to the mean of X, a float; 1 for data of zeros.

    Data divided by it has a mean of about one, whatever its unit, so that floors and
    gradients stay within the range of the dtype; and the division is exact. Means are refused
    if their powers, the units of losses, would leave the range.
    """
    with np.errstate(over="ignore"):
        mean = weighted_mean(X, weight)
    info = np.finfo(X.dtype)
    smallest, largest = max(SMALLEST, float(info.tiny)), min(LARGEST, float(info.max) * 1e-4)
    if mean and not smallest <= mean <= largest:
        raise ValueError(
            f"{name} has a mean of {mean:.3g}, too near to the end of the range of {X.dtype}; "
            f"scale it to a mean between {smallest:.3g} and {largest:.3g}."
        )
    scale = nearest_power_of_two(mean) if mean > 0 else 1.0
    check_range(X, scale, name)
    return scale


def nearest_power_of_two(x):
    """Return the power of two that is nearest to a positive number, by their ratio."""
    return float(2.0 ** np.round(np.log2(x)))


def check_range(X, scale, name):
    """Check that no element is so much larger than the scale that its powers leave the range.

    The bound leaves room for fourth powers: losses hold squares, and gradients products of
    these.
    """
    largest, bound = float(X.max()), float(np.finfo(X.dtype).max) ** 0.25
    if largest / scale > bound:
        raise ValueError(
            f"{name} holds {largest:.3g}, which is more than {bound:.2g} times the mean of the "
            f"training data, {scale:.3g}, and too much for {X.dtype}; scale it."
        )


def check_magnitude(X, name):
    """Check that products of three elements stay in the range of the dtype."""
    largest = max(float(X.max(initial=0)), -float(X.min(initial=0)))
    bound = float(np.finfo(X.dtype).max) ** (1 / 3)
    if largest > bound:
        raise ValueError(
            f"{name} holds {largest:.3g}, more than the {bound:.2g} that can be computed with "
            f"in {X.dtype}; scale it."
        )
