"""Inference by a fitted network: predictions, activations and the loss of samples in order."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils import gen_batches

from skunfold._deep_nmf.architecture import NMFArchitecture
from skunfold._deep_nmf.recurrence import in_order
from skunfold._kernels.divergences import divergence

BATCH = 8192  # samples whose predictions are held at once, where only their loss is needed


@dataclass(frozen=True)
class Inference:
    """A network with its layers, prepared for samples of one dtype."""

    architecture: NMFArchitecture
    layers: list[Any]  # as `NMFArchitecture.layers` makes them
    U: np.ndarray  # output bases
    n_outputs: int

    def predictions(self, X, lengths, earlier=None):
        """Return the outputs of sequences of these lengths, flat if there is one for a sample.

        `earlier` are the EarlierActivations, if the samples continue a sequence.
        """
        y = np.empty((X.shape[0], self.n_outputs), X.dtype)
        for rows, factors in in_order(self.architecture, X, self.layers, lengths, earlier):
            self.architecture.predictions(X[rows], self.layers, self.U, y[rows], factors)
        return self._shaped(y)

    def staged_predictions(self, X, lengths):
        """Yield the outputs after each layer."""
        factors = self.architecture.factors(X, self.layers, lengths)
        stages = self.architecture.staged_predictions(
            X, self.layers, self.U, self.n_outputs, factors
        )
        yield from map(self._shaped, stages)

    def _shaped(self, y):
        return y.ravel() if self.n_outputs == 1 else y

    def activations(self, X, lengths):
        """Return the activations (n, R) of the last layer."""
        h = np.empty((X.shape[0], len(self.U)), X.dtype)
        for rows, factors in in_order(self.architecture, X, self.layers, lengths):
            self.architecture.activations(X[rows], self.layers, h[rows], factors)
        return h

    def mean_loss(self, data, unit, beta):
        """Return the mean divergence of targets from predictions, both times the unit."""
        losses, unit = np.empty(len(data.targets)), data.targets.dtype.type(unit)
        for block, factors in in_order(self.architecture, data.X, self.layers, data.lengths):
            for part in gen_batches(block.stop - block.start, BATCH):
                rows = slice(block.start + part.start, block.start + part.stop)
                y = data.targets[rows]
                known = None if factors is None else factors[part]
                y_hat = self.architecture.predictions(
                    data.X[rows], self.layers, self.U, np.empty_like(y), known
                )
                losses[rows] = divergence(y * unit, y_hat * unit, beta)
        return float(np.average(losses, weights=data.weight))
