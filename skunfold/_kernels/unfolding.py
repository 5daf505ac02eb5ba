"""An iteration unfolded into layers: the walk over them, forward and backward.

For samples X and layers k = 1, ..., K, each with parameters theta_k::

    drive_k = drive(theta_k, X)                  what layers of the same theta share
    h_k     = step(theta_k, drive_k, h_(k-1))    from h_0, which `initial` or the caller gives
    y       = read(theta_(K+1), X, h_K)

Parameters are a flat list of arrays: those of the layers, each distinct one once, and last
those of the readout. `sets` holds for each layer the places of its theta in that list; layers
of the same places are tied. The walk only passes the states h, the drives and the tapes between
iterations and readouts.

Hershey, Le Roux and Weninger (arXiv 1409.2574), section 2.
"""

from abc import ABCMeta, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from skunfold._kernels.numerics import Workspace


class BaseIteration(metaclass=ABCMeta):
    """An iteration, with defaults of its methods; see `skunfold.unfolding.Iteration`."""

    work: Workspace | None = None  # reusable arrays, in which gradients are added up

    @abstractmethod
    def initial(self, theta, drive, n_samples):
        """Return the first state."""

    @abstractmethod
    def step(self, theta, drive, h, k):
        """Return the state after layer k, and a tape."""

    @abstractmethod
    def adjoint(self, theta, tape, g, k):
        """Return the gradients by h, by the drive and by theta of layer k."""

    def drive(self, theta, X):
        """Return the part that layers of the same theta share; by default the samples."""
        return X

    def drive_adjoint(self, theta, X, g):
        """Return the gradients by theta of what went through the drive."""
        raise NotImplementedError(
            f"{type(self).__name__}.adjoint returns gradients by the drive; write "
            "drive_adjoint, or return None in their place."
        )

    def with_workspace(self, work):
        """Return this iteration with a workspace, if it has a use for one."""
        return self

    def prepare(self, theta, n_samples, layers):
        """Return the object that the other methods get in place of theta.

        It is computed once for `n_samples` (None: any number) and for the layers that share
        theta, a list of their numbers.
        """
        return theta

    def block_size(self, theta):  # noqa: B027
        """Return how many samples to take at a time, or None for the usual number."""

    def advance(self, theta, drive, h, k):
        """Return the state after layer k where no tape is needed; h may be changed."""
        return self.step(theta, drive, h, k)[0]

    def adjoint_of_parameters(self, theta, tape, g, k):
        """Return `adjoint` without the gradient by h, which the first layer does not need."""
        return self.adjoint(theta, tape, g, k)[1:]


class BaseReadout(metaclass=ABCMeta):
    """A readout, with defaults of its methods; see `skunfold.unfolding.Readout`."""

    @abstractmethod
    def read(self, parameters, X, h):
        """Return the outputs and a tape."""

    @abstractmethod
    def adjoint(self, parameters, tape, g):
        """Return the gradients by h and by the parameters."""

    def with_workspace(self, work):
        """Return this readout with a workspace, if it has a use for one."""
        return self

    def adjoint_of_parameters(self, parameters, tape, g):
        """Return the gradients by the parameters alone."""
        return self.adjoint(parameters, tape, g)[1]


class Prepared(NamedTuple):
    """Parameters as the passes take them."""

    layers: list  # theta of each layer, as the iteration prepared it; tied ones are the same
    readout: tuple
    parameters: list


def walk(iteration, thetas, X, h=None, tape=None, first=0):
    """Yield the state after each layer, from h; tapes are added to the list `tape`.

    Layers with the same object as theta are tied. Without a tape, a state lasts until the
    next one.
    """
    before, drive = None, None
    for k, theta in enumerate(thetas, first):
        if theta is not before:
            before, drive = theta, iteration.drive(theta, X)
        if h is None:
            h = iteration.initial(theta, drive, X.shape[0])
        if tape is None:
            h = iteration.advance(theta, drive, h, k)
        else:
            h, step = iteration.step(theta, drive, h, k)
            tape.append(step)
        yield h


def prepared_layers(iteration, thetas, n_samples, first=0):
    """Return theta of each layer as the iteration prepares it; that of tied layers is one.

    Layers are tied where they have the same arrays.
    """
    keys = [tuple(map(id, theta)) for theta in thetas]
    numbers: dict = {key: [] for key in keys}
    for k, key in enumerate(keys, first):
        numbers[key].append(k)
    made = {
        key: iteration.prepare(theta, n_samples, numbers[key])
        for key, theta in dict(zip(keys, thetas)).items()
    }
    return [made[key] for key in keys]


def sets_of(sizes, tied):
    """Return for each layer the places of its theta, from the numbers of arrays in each."""
    if tied:
        return (tuple(range(sizes[0])),) * len(sizes) if sizes else ()
    ends = np.cumsum(sizes).tolist()
    return tuple(tuple(range(end - size, end)) for end, size in zip(ends, sizes))


def flattened(thetas):
    """Return the distinct arrays of several layers, and the sets of these layers.

    Layers are tied where they have the same arrays.
    """
    keys = [tuple(map(id, theta)) for theta in thetas]
    distinct = dict(zip(keys, thetas))
    places = dict(zip(distinct, sets_of([len(theta) for theta in distinct.values()], False)))
    parameters = [p for theta in distinct.values() for p in theta]
    return parameters, tuple(places[key] for key in keys)


def thetas_of(parameters, sets):
    """Return theta of each layer, a tuple of arrays; that of tied layers is the same object."""
    made = {places: _theta_of(parameters, places) for places in sets}
    return [made[places] for places in sets]


def _theta_of(parameters, places):
    return tuple(parameters[i] for i in places)


@dataclass(frozen=True)
class Unfolding:
    """The trained layers of an unfolded algorithm (`skunfold._training.protocol`).

    Layers before the first trained one never change during a fit, so the state after them is an
    input. The passes take parameters, or the result of `prepare`.
    """

    iteration: Any
    readout: Any
    criterion: Any  # a loss of `skunfold.unfolding.losses`
    sets: tuple[tuple[int, ...], ...]
    first: int = 0  # the number of the first of these layers

    def with_workspace(self, work=None):
        """Return this network with a workspace, for one thread."""
        work = Workspace() if work is None else work
        return replace(
            self,
            iteration=self.iteration.with_workspace(work.scope("layers")),
            readout=self.readout.with_workspace(work.scope("readout")),
        )

    @cached_property
    def n_of_layers(self):
        """How many of the parameters are those of layers."""
        return 1 + max((place for places in self.sets for place in places), default=-1)

    def prepare(self, parameters, n_samples):
        """Return the Prepared parameters, for passes over about `n_samples` samples."""
        if isinstance(parameters, Prepared):
            return parameters
        thetas = thetas_of(parameters, self.sets)
        layers = prepared_layers(self.iteration, thetas, n_samples, self.first)
        return Prepared(layers, tuple(parameters[self.n_of_layers :]), list(parameters))

    def block_size(self, parameters):
        """Return how many samples to take at a time, or None for the usual number."""
        if not self.sets:
            return None
        return self.iteration.block_size(_theta_of(parameters, self.sets[0]))

    def states(self, parameters, X, h=None, tape=None):
        """Yield the state after each layer; see `walk`."""
        layers = self.prepare(parameters, X.shape[0]).layers
        return walk(self.iteration, layers, X, h, tape, self.first)

    def read(self, parameters, X, h):
        """Return the outputs (n, n_outputs) for a last state, and the tape of the readout."""
        return self.readout.read(self.prepare(parameters, X.shape[0]).readout, X, h)

    def output(self, parameters, X, h=None):
        """Return the outputs alone."""
        prepared = self.prepare(parameters, X.shape[0])
        for state in self.states(prepared, X, h):
            h = state
        return self.read(prepared, X, h)[0]

    def forward(self, parameters, X, h=None):
        """Return the outputs (n, n_outputs) and the tape, for X (n, F) and a first state."""
        steps: list = []
        prepared = self.prepare(parameters, X.shape[0])
        for state in self.states(prepared, X, h, steps):
            h = state
        output, last = self.read(prepared, X, h)
        return output, (X, steps, last)

    def loss(self, output, y):
        """Return the loss of each sample, (n,)."""
        return self.criterion.loss(output, y)

    def loss_gradient(self, output, y):
        """Return its derivative by the output."""
        return self.criterion.gradient(output, y)

    def backward(self, parameters, tape, g):
        """Return dE/dparameters from g = dE/doutput, summed over the samples."""
        X, steps, last = tape
        layers, readout, arrays = self.prepare(parameters, X.shape[0])
        if steps:
            g, of_readout = self.readout.adjoint(readout, last, g)
        else:
            of_readout = self.readout.adjoint_of_parameters(readout, last, g)
        gradients = [None] * self.n_of_layers + list(of_readout)
        g_drive = None
        for i in reversed(range(len(steps))):
            k, theta = self.first + i, layers[i]
            if i == 0:
                through_drive, of_theta = self.iteration.adjoint_of_parameters(
                    theta, steps[i], g, k
                )
            else:
                g, through_drive, of_theta = self.iteration.adjoint(theta, steps[i], g, k)
            self._add_at(gradients, self.sets[i], of_theta)
            g_drive = self._sum(g_drive, through_drive)
            if g_drive is not None and (i == 0 or layers[i - 1] is not theta):
                of_theta = self.iteration.drive_adjoint(theta, X, g_drive)
                self._add_at(gradients, self.sets[i], of_theta)
                g_drive = None
        return [np.zeros_like(p) if d is None else d for p, d in zip(arrays, gradients)]

    def _add_at(self, gradients, places, terms):
        """Add a term, or nothing where it is None, to the gradient at each place."""
        for place, term in zip(places, terms, strict=True):
            if term is not None:
                gradients[place] = self._sum(gradients[place], term)

    def _sum(self, a, b):
        """Return a + b, where None is zero and tuples are added item by item.

        Arrays of an iteration without a workspace may be used elsewhere, and are left alone.
        """
        if a is None or b is None:
            return b if a is None else a
        if isinstance(a, tuple):
            return tuple(map(self._sum, a, b))
        return a + b if self.iteration.work is None else np.add(a, b, out=a)
