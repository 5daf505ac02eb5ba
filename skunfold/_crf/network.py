"""Sweeps as the training loop sees them."""

from dataclasses import dataclass

import numpy as np

from skunfold._kernels.class_messages import row_max, row_sums, softmax
from skunfold.unfolding.network import Unfolding

BLOCK_ELEMENTS = 1 << 16  # rows times classes, of the components that are worked on at a time
SMALLEST_BLOCK = 400  # rows


class ClassLoss:
    """The cross-entropy of the marginals, for the numbers of the classes."""

    def loss(self, output, y):
        """Return the loss of each row, (n_rows,)."""
        below = output - row_max(output)
        right = below[np.arange(len(y)), y]
        return np.log(row_sums(np.exp(below, out=below)))[:, 0] - right

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

    @property
    def smallest_block(self):
        """How many components it is not worth to share among threads."""
        return max(1, int(SMALLEST_BLOCK / self.mean_size))
