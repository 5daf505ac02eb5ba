"""Sweeps as the training loop sees them."""

from dataclasses import dataclass

import numpy as np

from skunfold._crf.sweep import DriveGradient
from skunfold._kernels.chains import likelihood_gradients, losses_of_rows
from skunfold._kernels.probabilities import log_softmax, softmax
from skunfold._kernels.unfolding import Unfolding

BLOCK_ELEMENTS = 1 << 15  # rows times classes, of the components that are worked on at a time
SMALLEST_BLOCK = 400  # rows


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
    fewest_rows: int = 1  # of a block

    def block_size(self, parameters):
        """Return how many components to carry through all sweeps at a time."""
        n_rows = max(BLOCK_ELEMENTS / self.iteration.n_classes, self.fewest_rows)
        return max(1, int(n_rows / self.mean_size))

    @property
    def smallest_block(self):
        """The number of components below which threads gain nothing."""
        return max(1, int(SMALLEST_BLOCK / self.mean_size))

    def output_alone(self, parameters, X):
        """Return the outputs (n_rows, K)."""
        return self.output(parameters, X)


@dataclass(frozen=True)
class LikelihoodNetwork(RowNetwork):
    """Passes along chains, trained by the likelihood of whole sequences of classes.

    Beside the totals the outputs have a column: the row's part of its chain's negative
    log-likelihood. Its gradient goes straight to the fields and tables.
    """

    def forward(self, parameters, X, y):  # type: ignore[override]
        """Return the outputs (n_rows, K + 1) and the tape, for the classes y (n_rows,)."""
        tape: list = []
        prepared = self.prepare(parameters, X.shape[0])
        [state] = self.states(prepared, X, tape=tape)
        [theta], [(drive, passes)] = prepared.layers, tape
        raw, totals = drive.tables.raw[0], state.totals
        losses = losses_of_rows(drive.field, raw, totals, passes, X.graph, y)
        output = np.hstack([totals, losses[:, np.newaxis]])
        return output, (X, y, theta, drive, totals, passes)

    def output_alone(self, parameters, X, y):  # type: ignore[override]
        """Return the outputs (n_rows, K + 1)."""
        return self.forward(parameters, X, y)[0]

    def loss(self, output, y):
        """Return the loss of each row, (n_rows,)."""
        return output[:, -1]

    def loss_gradient(self, output, y):
        """Return its derivative by the outputs."""
        g = np.zeros_like(output)
        g[:, -1] = 1
        return g

    def backward(self, parameters, tape, g):
        """Return dE/dparameters from g = dE/doutputs, of which the last column counts."""
        X, y, theta, drive, totals, passes = tape
        g_field, g_table = likelihood_gradients(
            totals, drive.tables.used[0], passes, X.graph, y, g[:, -1]
        )
        through = DriveGradient(g_field, [g_table], drive.hidden)
        return list(self.iteration.drive_adjoint(theta, X, through))
