"""An iteration unfolded into layers, as the training loop sees it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from skunfold._kernels.numerics import add


@dataclass(frozen=True)
class Unfolding:
    """The trained layers of an unfolded algorithm (`skunfold._training.protocol`).

    Parameters are a flat list of arrays: those of the layers, each distinct one once, and last
    those of the readout. Layers before the first trained one never change during a fit: the
    state that they end with comes in as data.
    """

    iteration: Any
    readout: Any
    criterion: Any  # a loss of `skunfold.unfolding.losses`
    sets: tuple[tuple[int, ...], ...]  # for each layer, the places of its theta in the list
    first: int = 0  # the number of the first of these layers

    @property
    def n_of_layers(self):
        """How many of the parameters are those of layers."""
        return 1 + max((place for places in self.sets for place in places), default=-1)

    def states(self, parameters, X, h=None, tape=None):
        """Yield the state after each layer; what each step leaves is added to the tape."""
        before, drive = None, None
        for k, places in enumerate(self.sets, self.first):
            theta = tuple(parameters[i] for i in places)
            if places != before:
                before, drive = places, self.iteration.drive(theta, X)
            if h is None:
                h = self.iteration.initial(theta, drive, X.shape[0])
            h, step = self.iteration.step(theta, drive, h, k)
            if tape is not None:
                tape.append((theta, step))
            yield h

    def read(self, parameters, X, h):
        """Return the outputs (n, n_outputs) for a last state, and the tape of the readout."""
        return self.readout.read(tuple(parameters[self.n_of_layers :]), X, h)

    def output(self, parameters, X):
        """Return the outputs alone."""
        *_, h = self.states(parameters, X)
        return self.read(parameters, X, h)[0]

    def forward(self, parameters, X, h=None):
        """Return the outputs (n, n_outputs) and the tape, for X (n, F) and a first state."""
        tape: list = []
        for state in self.states(parameters, X, h, tape):
            h = state
        output, last = self.read(parameters, X, h)
        return output, (X, tape, last)

    def loss(self, output, y):
        """Return the loss of each sample, (n,)."""
        return self.criterion.loss(output, y)

    def loss_gradient(self, output, y):
        """Return its derivative by the output."""
        return self.criterion.gradient(output, y)

    def backward(self, parameters, tape, g):
        """Return dE/dparameters from g = dE/doutput, summed over the samples."""
        X, steps, last = tape
        n = self.n_of_layers
        g, of_readout = self.readout.adjoint(tuple(parameters[n:]), last, g)
        gradients: list = [None] * n + list(of_readout)
        g_drive = None
        for k in reversed(range(len(self.sets))):
            places, (theta, step) = self.sets[k], steps[k]
            g, through_drive, of_theta = self.iteration.adjoint(theta, step, g, self.first + k)
            _add_at(gradients, places, of_theta)
            if (
                through_drive is not None
            ):  # which the iteration may go on using: no in-place sum
                g_drive = through_drive if g_drive is None else g_drive + through_drive
            if g_drive is not None and (k == 0 or self.sets[k - 1] != places):
                _add_at(gradients, places, self.iteration.drive_adjoint(theta, X, g_drive))
                g_drive = None
        return [np.zeros_like(p) if d is None else d for p, d in zip(parameters, gradients)]


def _add_at(gradients, places, terms):
    """Add a term, or nothing where it is None, to the gradient at each place."""
    for place, term in zip(places, terms, strict=True):
        if gradients[place] is None and term is not None:
            gradients[place] = np.array(term)  # which may be a view that the iteration keeps
        else:
            gradients[place] = add(gradients[place], term)
