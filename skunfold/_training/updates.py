"""Update rules: from parameters and gradients to new parameters.

Each rule is made for the parameters it is going to move, keeps its running averages, and says
by ``form`` what it needs of a gradient ("net" or "parts"). ``step`` returns new parameters;
``shrink`` halves the step size and forgets the averages.
"""

import numpy as np

from skunfold._kernels.numerics import smallest_of


class MultiplicativeUpdate:
    """W <- W (neg / pos)^eta: multiplicative back-propagation.

    Parameters stay positive for ever, without projection and without a unit for the step.
    Hershey, Le Roux and Weninger (arXiv 1409.2574), section 4.2, where eta = 1.

    Parameters
    ----------
    learning_rate : float
        The exponent eta.
    """

    form = "parts"

    def __init__(self, learning_rate):
        self.learning_rate = learning_rate

    def shrink(self):
        """Halve the exponent."""
        self.learning_rate /= 2

    def step(self, parameters, gradients):
        """Return the parameters after one update, given a list of Parts."""
        return [self._moved(W, *parts) for W, parts in zip(parameters, gradients)]

    def _moved(self, W, pos, neg):
        # Where both parts vanish the parameter stays where it is.
        floor = np.finfo(W.dtype).eps * (pos.mean() + neg.mean()) + smallest_of(W.dtype)
        ratio = (neg + floor) / (pos + floor)
        np.power(ratio, W.dtype.type(self.learning_rate), out=ratio)
        ratio *= W
        return np.maximum(ratio, smallest_of(W.dtype), out=ratio)


class _Adam:
    """Running averages of gradients and their squares; Kingma and Ba (ICLR 2015)."""

    form = "net"
    decay = (0.9, 0.999)

    def __init__(self, learning_rate):
        self.learning_rate = learning_rate
        self._reset()

    def _reset(self):
        self._n_steps = 0
        self._averages = []

    def shrink(self):
        """Halve the learning rate and start the averages anew."""
        self.learning_rate /= 2
        self._reset()

    def _directions(self, gradients):
        """Yield -learning_rate m / sqrt(s), bias-corrected, each in a new array.

        The gradients' own arrays may be those of a model's workspace.
        """
        if not self._averages:
            self._averages = [(np.zeros_like(g), np.zeros_like(g)) for g in gradients]
        self._n_steps += 1
        b1, b2 = self.decay
        # The averages hold (1 - b1) g and its square: every pass over the arrays counts.
        correction = np.sqrt(1 - b2**self._n_steps) / (1 - b1**self._n_steps)
        factor = -self.learning_rate * correction * (1 - b1) / np.sqrt(1 - b2)
        for g, (m, s) in zip(gradients, self._averages):
            dtype = g.dtype.type
            g *= dtype(1 - b1)
            m *= dtype(b1)
            m += g
            s *= dtype(b2)
            s += np.square(g, out=g)
            root = np.sqrt(s, out=g)
            # Gradients that are rounding errors beside the others must not move anything.
            typical = root.sum() / max(root.size, 1)
            root += np.sqrt(np.finfo(g.dtype).eps) * typical + smallest_of(g.dtype)
            direction = m / root
            direction *= dtype(factor)
            yield direction


class Adam(_Adam):
    """W <- W - learning_rate m / sqrt(s), from averages of gradients and their squares.

    Kingma and Ba, "Adam: a method for stochastic optimization" (ICLR 2015).

    Parameters
    ----------
    learning_rate : float
        The largest typical change of a parameter in one update.
    """

    def step(self, parameters, gradients):
        """Return the parameters after one update, given a list of arrays (overwritten)."""
        steps = self._directions(gradients)
        return [np.add(step, W, out=step) for W, step in zip(parameters, steps)]


class SGD:
    """Stochastic gradient descent with Nesterov's momentum.

    With v <- momentum v - learning_rate g, W <- W + momentum v - learning_rate g; as in
    :class:`sklearn.neural_network.MLPClassifier`.

    Parameters
    ----------
    learning_rate : float
        What multiplies the gradient.
    """

    form = "net"
    momentum = 0.9

    def __init__(self, learning_rate):
        self.learning_rate = learning_rate
        self._velocities = []

    def shrink(self):
        """Halve the learning rate and forget the velocities."""
        self.learning_rate /= 2
        self._velocities = []

    def step(self, parameters, gradients):
        """Return the parameters after one update, given a list of arrays (overwritten)."""
        if not self._velocities:
            self._velocities = [np.zeros_like(g) for g in gradients]
        moved = []
        for W, v, g in zip(parameters, self._velocities, gradients):
            momentum = W.dtype.type(self.momentum)
            g *= W.dtype.type(-self.learning_rate)
            v *= momentum
            v += g
            g += momentum * v
            moved.append(W + g)
        return moved


class ExponentiatedGradient(_Adam):
    """W <- W exp(-learning_rate adam(W dE/dW)): a gradient step on log W, with Adam's scaling.

    Parameters stay positive for ever. Kivinen and Warmuth, "Exponentiated gradient versus
    gradient descent for linear predictors" (1997), with the scaling of Kingma and Ba (2015).
    A gradient is read as dE/dlog W = W dE/dW.

    Parameters
    ----------
    learning_rate : float
        The largest typical change of log W in one update.
    """

    def step(self, parameters, gradients):
        """Return the parameters after one update, given a list of arrays (overwritten)."""
        for W, g in zip(parameters, gradients):
            g *= W
        moved = []
        for W, direction in zip(parameters, self._directions(gradients)):
            np.exp(direction, out=direction)
            direction *= W
            moved.append(np.maximum(direction, smallest_of(W.dtype), out=direction))
        return moved
