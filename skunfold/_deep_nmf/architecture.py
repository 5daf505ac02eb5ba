"""The network without its bases: how data goes through it, and which layers are trained.

theta of a layer is (W,), its bases (R, F), or (W, V) if projections are learned as well
(`skunfold._kernels.nmf_layers`).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from skunfold._deep_nmf.recurrence import EarlierActivations, in_order
from skunfold._kernels.blocks import map_samples
from skunfold._kernels.deep_nmf import DeepNMF, NMFReadout
from skunfold._kernels.nmf import NMFIteration, constant_activations
from skunfold._kernels.numerics import NEW_ARRAYS
from skunfold._kernels.outputs import LinearOutput, MaskOutput
from skunfold._kernels.sparse_rows import sparse_block_size, values_of, with_values
from skunfold._kernels.unfolding import prepared_layers, sets_of, thetas_of, walk
from skunfold._storage import large_array
from skunfold._training.protocol import Samples
from skunfold.unfolding.losses import BetaDivergence


@dataclass(frozen=True)
class NMFArchitecture:
    """A deep NMF network without its bases, for data divided by `scale`.

    Activations are also divided by `scale`; the bases have no unit.
    """

    n_layers: int
    n_trained_layers: int  # counted from the output; the reconstruction is the first of them
    tied: bool
    output: LinearOutput | MaskOutput
    beta: float
    sparsity: float
    scale: float
    start: float  # the activation that inference begins with
    relaxation: float = 1.0  # the exponent of all updates but the first
    recurrence: float = 0.0  # see `skunfold._deep_nmf.recurrence`
    recurrence_length: float = 1.0
    projections: bool = False  # whether theta of a layer has projections

    @property
    def n_frozen(self):
        """How many layers, from the first, are not trained."""
        return self.n_layers - max(self.n_trained_layers - 1, 0)

    @property
    def sets(self):
        """For each trained layer, the places of its theta in the list of parameters."""
        n_arrays = 2 if self.projections else 1
        return sets_of([n_arrays] * (self.n_layers - self.n_frozen), self.tied)

    def scaled(self, X, work=NEW_ARRAYS):
        """Return X in the units of the computation, X itself if these are its own."""
        if self.scale == 1:
            return X
        values = values_of(X)
        out = work.array("scaled", values.shape, X.dtype)
        return with_values(X, np.multiply(values, X.dtype.type(1 / self.scale), out=out))

    @property
    def exponents(self):
        """The exponent of each layer's update, or None for one.

        That of the first is one: it brings the activations to the level of the data. With an
        exponent of two, they would oscillate about that level without end.
        """
        if self.relaxation == 1:
            return None
        return (1.0,) + (self.relaxation,) * (self.n_layers - 1)

    @cached_property
    def iteration(self):
        """The update of the activations, in the units of the computation."""
        start = self.start / self.scale
        return NMFIteration(self.beta, self.scaled_sparsity, start, self.exponents)

    def layers(self, thetas, n_samples):
        """Return the layers of these thetas, prepared for inference of `n_samples` samples."""
        return prepared_layers(self.iteration, thetas, n_samples)

    def _start(self, n_components, dtype, factors, work=NEW_ARRAYS):
        """Return the activations that inference begins with, in the computation's units.

        They are factors (n, R) of the constant; None for the constant itself.
        """
        if factors is None:
            return None
        constant = constant_activations(self.start / self.scale, n_components, dtype)
        return np.multiply(factors, constant, out=work.array("start", factors.shape, dtype))

    def before_a_sequence(self, n_components):
        """Return the EarlierActivations before the first sample, which hold none."""
        return EarlierActivations(self.recurrence, self.recurrence_length, n_components)

    @property
    def scaled_sparsity(self):
        """The penalty in the units of the computation."""
        return self.sparsity * self.scale ** (1 - self.beta)

    def activations(self, X, layers, out=None, factors=None):
        """Return the activations (n, R) after the given layers, in the units of the data.

        They are written to `out` if it is given. `factors` (n, R) multiply the first
        activations, which are otherwise constant.
        """
        n_components = len(layers[0].W)

        def fill(out, work, X, factors=None):
            start = self._start(n_components, X.dtype, factors, work)
            h = self._inferred(self.scaled(X, work), layers, start, work)
            np.multiply(h, X.dtype.type(self.scale), out=out)

        if out is None:
            out = np.empty((X.shape[0], n_components), X.dtype)
        return _map(fill, out, layers, X, *_given(factors))

    def relative_activations(self, X, layers):
        """Return the activations (n, R), begun with the constant, over their mean."""
        n_components = len(layers[0].W)

        def fill(out, work, X):
            h = self._inferred(self.scaled(X, work), layers, None, work)
            sums = h.sum(axis=1, keepdims=True, dtype=np.float64)
            np.divide(h, sums / n_components, out=out)

        out = np.empty((X.shape[0], n_components), X.dtype)
        return _map(fill, out, layers, X)

    def predictions(self, X, layers, U, out, factors=None):
        """Return the outputs (n, n_outputs) of the network of the given layers, in `out`."""

        def fill(out, work, X, factors=None):
            start = self._start(len(U), X.dtype, factors, work)
            h = self._inferred(self.scaled(X, work), layers, start, work)
            self.output.write(X, h, U, self.scale, out, work)

        return _map(fill, out, layers, X, *_given(factors))

    def staged_predictions(self, X, layers, U, n_outputs, factors=None):
        """Yield the outputs after each layer."""
        H = np.empty((X.shape[0], len(U)), X.dtype)
        if factors is not None:
            H[:] = self._start(len(U), X.dtype, factors)
        for k, layer in enumerate(layers):

            def fill(out, work, X, h, layer=layer, k=k):
                start = None if k == 0 and factors is None else h
                h[:] = self._inferred(self.scaled(X, work), [layer], start, work, first=k)
                self.output.write(X, h, U, self.scale, out, work)

            out = np.empty((X.shape[0], n_outputs), X.dtype)
            yield _map(fill, out, layers, X, H)

    def _inferred(self, X, layers, h, work, first=0):
        """Return the activations after the layers, of which the first has that number.

        They begin with h (n, R), or for None with the constant.
        """
        iteration = self.iteration.with_workspace(work)
        for state in walk(iteration, layers, X, h, first=first):
            h = state
        return h

    def network(self, training_beta, cancel):
        """Return the trained part, as the training loop sees it."""
        return DeepNMF(
            self.iteration,
            NMFReadout(self.output),
            BetaDivergence(training_beta),
            self.sets,
            self.n_frozen,
            cancel,
        )

    def samples(self, X, y, weight, thetas, y_scale):
        """Return the samples for training, with the outputs of the frozen layers.

        X and y are not copied; they may be larger than memory. In a recurrent network, a
        `RecurrentStart` infers the first activations of the samples.
        """
        units = (1 / self.scale, 1 / y_scale)
        if self.n_frozen == 0 and not self.recurrence:
            return Samples((X,), y, weight, units=units)
        h = large_array((X.shape[0], len(thetas[0][0])), X.dtype)
        if not self.recurrence:
            self.activations(X, self.layers(thetas[: self.n_frozen], X.shape[0]), out=h)
        if self.n_trained_layers == 1 and isinstance(self.output, MaskOutput):
            X = X[:, -(y.shape[1] // self.output.n_targets) :]
        return Samples((X, h), y, weight, units=(1 / self.scale, *units))

    def factors(self, X, layers, lengths):
        """Return the factors (n, R) of the samples' first activations; None if there are none.

        The lengths are those of the sequences that X consists of.
        """
        if not self.recurrence:
            return None
        return np.concatenate([factors for _, factors in in_order(self, X, layers, lengths)])

    def parameters(self, thetas, U, y_scale):
        """Return the list of trained arrays: distinct ones of the layers, and output bases."""
        trained = thetas[self.n_frozen :]
        arrays = [p for theta in (trained[:1] if self.tied else trained) for p in theta]
        return [*map(_lifted, arrays), _lifted(U * U.dtype.type(self.output_unit(y_scale)))]

    def trained(self, parameters, y_scale):
        """Return (theta of the trained layers, output bases), shared arrays being the same."""
        U = parameters[-1]
        with np.errstate(over="ignore"):  # large targets of tiny data may overflow
            U = np.minimum(U / U.dtype.type(self.output_unit(y_scale)), np.finfo(U.dtype).max)
        return thetas_of(parameters, self.sets), U

    def output_unit(self, y_scale):
        """Return the factor that brings output bases to the units of the computation."""
        return 1.0 if isinstance(self.output, MaskOutput) else self.scale / y_scale


def _map(fill, out, layers, X, *inputs):
    """Fill `out` and return it, by blocks of X and other inputs; see `map_samples`."""
    n_weights = layers[0].n_weights
    return map_samples(fill, out, n_weights, X, *inputs, block_size=sparse_block_size(X))


def _given(factors):
    """Return the factors in a tuple, which is empty if there are none."""
    return () if factors is None else (factors,)


def _lifted(W):
    """Return W without zeros, which no multiplicative update could change."""
    floor = np.finfo(W.dtype).eps * max(W.mean(), np.finfo(W.dtype).tiny)
    return np.maximum(W, W.dtype.type(floor), order="C")
