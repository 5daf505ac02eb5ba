"""Sweeps as the training loop sees them, and its samples: whole components."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from skunfold._kernels.layered_mrf import log_softmax, softmax
from skunfold._kernels.row_graphs import Rows, members
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


@dataclass(frozen=True)
class ByComponent:
    """An array of rows, sorted by component, that is indexed by components."""

    values: Any
    starts: np.ndarray

    def __len__(self):
        return len(self.starts) - 1

    def __getitem__(self, components):
        return self.values[members(self.starts, components)]


@dataclass(frozen=True)
class RowsByComponent(ByComponent):
    """Features of rows, which come with the graph of the components that are asked for."""

    graph: Any

    def __getitem__(self, components):
        return Rows(super().__getitem__(components), self.graph.graph(components))
