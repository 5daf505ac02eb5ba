"""Sweeps as the training loop sees them."""

from dataclasses import dataclass

import numpy as np

from skunfold._kernels.layered_mrf import log_softmax, softmax
from skunfold.unfolding.network import Unfolding

BLOCK_ELEMENTS = 1 << 16  # rows times classes, of the components that are worked on at a time


class ClassLoss:
    """The cross-entropy of the marginals, for the numbers of the classes."""

    def loss(self, output, y):
        """Return the loss of each row, (n_rows,)."""
        return -log_softmax(output)[np.arange(len(y)), y]

    def gradient(self, output, y):
        """Return its derivative by the totals, (n_rows, K)."""
        g = softmax(output)
        g[np.arange(len(y)), y] -= 1
        return g


@dataclass(frozen=True)
class RowNetwork(Unfolding):
    """The unfolded sweeps; samples are components."""

    mean_size: float = 1.0  # rows of a component

    def block_size(self, parameters):
        """Return how many components to carry through all sweeps at a time."""
        n_rows = BLOCK_ELEMENTS / self.iteration.n_classes
        return max(1, int(n_rows / self.mean_size))
