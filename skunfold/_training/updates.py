"""Update rules: they move parameters, in place, by their gradients.

Each rule is made for the parameters it is going to move, keeps its running averages, and says
by ``form`` which gradient it needs ("net" or "parts"). ``step`` also overwrites the gradients;
``restart`` sets the step size, `learning_rate`, and resets the averages; `initial_rate` is the
first step size.
"""

import numpy as np

from skunfold._kernels.numerics import floor_of, smallest_of
from skunfold._training.moves import adam, exponentiated, log_gradient, multiplicative

LIMIT = 10.0  # of an exponent; only rounding errors make it larger


def _flat(*arrays):
    """Return 1-D views of arrays of one size and in C order."""
    return [a.reshape(-1) for a in arrays]


class MultiplicativeUpdate:
    """W <- W (neg / pos)^eta: multiplicative back-propagation.

    Parameters always stay positive, without projection and without a unit for the step.
    None grows beyond the inverse of the floor of models, or the largest initial parameter.
    Hershey, Le Roux and Weninger (arXiv 1409.2574), section 4.2, where eta = 1.

    Parameters
    ----------
    learning_rate : float
        The exponent eta.
    """

    form = "parts"

    def __init__(self, learning_rate):
        self.initial_rate = self.learning_rate = learning_rate

    def restart(self, learning_rate):
        """Set the exponent."""
        self.learning_rate = learning_rate

    def step(self, parameters, gradients):
        """Move the parameters by a list of Parts."""
        for W, (pos, neg) in zip(parameters, gradients):
            # Where both parts vanish the parameter does not change. The dtype of the data may
            # have a smaller range than that of the parameters.
            floor = np.finfo(W.dtype).eps * (pos.mean() + neg.mean())
            floor += max(smallest_of(W.dtype), smallest_of(pos.dtype))
            eta, smallest = W.dtype.type(self.learning_rate), smallest_of(W.dtype)
            # A sample of zeros whose target is not zero would drive it out of range.
            largest = max(1 / floor_of(W.dtype), W.max(initial=0))
            multiplicative(*_flat(W, pos, neg), floor, eta, largest, smallest)


class _Adam:
    """Running sums of gradients and of their squares; Kingma and Ba (ICLR 2015), section 2.

    The direction is m / sqrt(s) with m <- b1 m + g and s <- b2 s + g^2, normalised and
    corrected for the empty start by one factor.
    """

    form = "net"
    decay = (0.9, 0.999)

    def __init__(self, learning_rate):
        self.initial_rate = learning_rate
        self.restart(learning_rate)

    def restart(self, learning_rate):
        """Set the learning rate and forget the averages."""
        self.learning_rate = learning_rate
        self._n_steps = 0
        self._sums = []

    def step(self, parameters, gradients):
        """Move the parameters by a list of arrays."""
        if not self._sums:
            self._sums = [
                tuple(np.zeros(g.shape, g.dtype) for _ in self.decay) for g in gradients
            ]
        self._n_steps += 1
        b1, b2 = self.decay
        corrections = (1 - b**self._n_steps for b in (b1, b2))
        m_weight, s_weight = ((1 - b) / c for b, c in zip((b1, b2), corrections))
        rate = self.learning_rate * m_weight / np.sqrt(s_weight)
        noise = self._noise(gradients)
        for i, (W, g, (m, s)) in enumerate(zip(parameters, gradients, self._sums)):
            W, g, m, s = _flat(W, g, m, s)
            positive = self._is_positive(i)
            square = log_gradient(W, g) if positive else np.vdot(g, g)
            # Gradients that are only rounding errors compared with the others, or so small that
            # their squares vanish, must not move the parameters.
            info, rms = np.finfo(W.dtype), np.sqrt(square / max(g.size, 1))
            if rms < noise:
                g[...] = 0
            floor = W.dtype.type(np.sqrt(info.eps) * rms + np.sqrt(info.tiny))
            if positive:
                smallest = smallest_of(W.dtype)
                exponentiated(W, g, m, s, self.decay, floor, rate, LIMIT, smallest)
            else:
                adam(W, g, m, s, self.decay, floor, rate)

    def _noise(self, gradients):
        """Return the size below which a gradient is only a rounding error beside the others."""
        return 0.0

    def _is_positive(self, i):
        """Return whether parameter i is moved by factors, and so stays positive."""
        raise NotImplementedError


class Adam(_Adam):
    """W <- W - learning_rate m / sqrt(s), from averages of gradients and their squares.

    Kingma and Ba, "Adam: a method for stochastic optimization" (ICLR 2015).

    Parameters
    ----------
    learning_rate : float
        The largest typical change of a parameter in one update.
    """

    def _is_positive(self, i):
        return False


class SGD:
    """Stochastic gradient descent with Nesterov's momentum.

    With v <- momentum v - learning_rate g, W <- W + momentum v - learning_rate g; as in
    :class:`sklearn.neural_network.MLPClassifier`.

    Parameters
    ----------
    learning_rate : float
        Factor of the gradient.
    """

    form = "net"
    momentum = 0.9

    def __init__(self, learning_rate):
        self.initial_rate = learning_rate
        self.restart(learning_rate)

    def restart(self, learning_rate):
        """Set the learning rate and forget the velocities."""
        self.learning_rate = learning_rate
        self._velocities = []

    def step(self, parameters, gradients):
        """Move the parameters by a list of arrays."""
        if not self._velocities:
            self._velocities = [np.zeros_like(g) for g in gradients]
        for W, v, g in zip(parameters, self._velocities, gradients):
            momentum = W.dtype.type(self.momentum)
            g *= W.dtype.type(-self.learning_rate)
            v *= momentum
            v += g
            W += g
            W += momentum * v


class ExponentiatedGradient(_Adam):
    """W <- W exp(-learning_rate adam(W dE/dW)): a gradient step on log W, with Adam's scaling.

    Parameters always stay positive. Kivinen and Warmuth, "Exponentiated gradient versus
    gradient descent for linear predictors" (1997), with the scaling of Kingma and Ba (2015).
    A gradient is read as dE/dlog W = W dE/dW.

    Parameters
    ----------
    learning_rate : float
        The largest typical change of log W in one update.
    """

    def _is_positive(self, i):
        return True


class MixedAdam(_Adam):
    """Exponentiated gradient for parameters that stay positive, Adam for the others.

    Parameters
    ----------
    learning_rate : float
        The largest typical change of a free parameter, or of the log of a positive one.
    positive : sequence of bool
        Which parameters stay positive.
    """

    def __init__(self, learning_rate, positive=()):
        self.positive = tuple(positive)
        super().__init__(learning_rate)

    def _noise(self, gradients):
        # The gradient of a readout that starts at its optimum holds only rounding errors.
        largest = max(np.sqrt(np.vdot(g, g) / max(g.size, 1)) for g in gradients)
        return np.finfo(gradients[0].dtype).eps ** (2 / 3) * largest

    def _is_positive(self, i):
        return self.positive[i]
