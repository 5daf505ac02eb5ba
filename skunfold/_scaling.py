"""The scale at which models compute."""

import numpy as np


def weighted_mean(X, weight=None):
    """Return the mean of all elements, each row with its weight; a float."""
    means = np.asarray(X.mean(axis=1, dtype=np.float64)).ravel()
    return float(np.average(means, weights=weight))


def power_of_two_scale(X, weight=None):
    """Return the power of two next to the mean of X, a float; 1 for data of zeros.

    Data divided by it has a mean of about one, whatever its unit, so that floors and
    gradients stay within the range of the dtype; and the division is exact.
    """
    mean = weighted_mean(X, weight)
    return float(2.0 ** np.round(np.log2(mean))) if mean > 0 else 1.0
