"""Losses of outputs that training can minimise, and their derivatives."""

import numpy as np
from sklearn.base import BaseEstimator

from skunfold._kernels.divergences import divergence, divergence_gradient
from skunfold._kernels.probabilities import log_softmax, sigmoid, softmax, softplus


class SquaredError(BaseEstimator):
    """Half the squared error, summed over the outputs of a sample."""

    def loss(self, output, y):
        """Return the loss of each sample, (n_samples,)."""
        difference = output - y
        return 0.5 * np.einsum("no,no->n", difference, difference)

    def gradient(self, output, y):
        """Return its derivative by the output, shaped like it."""
        return output - y


class BetaDivergence(BaseEstimator):
    """The beta divergence of non-negative targets from non-negative outputs.

    Parameters
    ----------
    beta : float, default=1.0
        0 or more: 0 is Itakura-Saito, 1 Kullback-Leibler, 2 half the squared error. Févotte
        and Idier, Neural Computation 23 (2011), section 2.
    """

    def __init__(self, beta: float = 1.0) -> None:
        self.beta = beta

    def loss(self, output, y):
        """Return the loss of each sample, (n_samples,)."""
        return divergence(y, output, self.beta)

    def gradient(self, output, y):
        """Return its derivative by the output, shaped like it."""
        return divergence_gradient(y, output, self.beta)


class CrossEntropy(BaseEstimator):
    """The cross-entropy of indicators from logits.

    Parameters
    ----------
    exclusive : bool, default=True
        Whether the outputs are the classes of one variable (softmax), or each is a label that
        may be on by itself (sigmoid).
    """

    def __init__(self, exclusive: bool = True) -> None:
        self.exclusive = exclusive

    def loss(self, output, y):
        """Return the loss of each sample, (n_samples,)."""
        if self.exclusive:
            return -np.einsum("nc,nc->n", log_softmax(output), y)
        return np.sum(softplus(output) - y * output, axis=1)

    def gradient(self, output, y):
        """Return its derivative by the output, shaped like it."""
        return (softmax(output) if self.exclusive else sigmoid(output)) - y
