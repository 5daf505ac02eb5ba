"""Unfolded ISTA for sparse coding (LISTA): a model of one's own for the training loop.

Gregor and LeCun, "Learning fast approximations of sparse coding" (ICML 2010).
"""

from dataclasses import dataclass

import numpy as np

from skunfold._training.loop import LoopSettings, TrainingState, fit_loop
from skunfold._training.objective import Objective
from skunfold._training.protocol import Samples
from skunfold._training.updates import Adam


@dataclass(frozen=True)
class UnfoldedISTA:
    """Codes of x, from z_0 = 0 by z <- soft(x W + z S, theta) in each layer.

    W is (n_features, n_atoms), S (n_atoms, n_atoms), theta (n_atoms,); shared by all layers.
    """

    n_layers: int

    def forward(self, parameters, X):
        """Return the codes, and what `backward` needs."""
        W, S, theta = parameters
        drive = X @ W
        codes = [np.zeros_like(drive)]
        for _ in range(self.n_layers):
            u = drive + codes[-1] @ S
            codes.append(np.sign(u) * np.maximum(np.abs(u) - theta, 0))
        return codes[-1], (X, codes)

    def loss(self, z, y):
        """Return the loss of each sample."""
        return 0.5 * np.sum((z - y) ** 2, axis=1)

    def loss_gradient(self, z, y):
        """Return the derivative of the losses by the codes."""
        return z - y

    def backward(self, parameters, tape, g):
        """Return the gradients by W, S and theta, for g by the codes."""
        _, S, theta = parameters
        X, codes = tape
        g_drive, g_S, g_theta = np.zeros_like(g), np.zeros_like(S), np.zeros_like(theta)
        for before, after in zip(codes[-2::-1], codes[:0:-1]):
            g = g * (after != 0)
            g_theta -= np.sum(g * np.sign(after), axis=0)
            g_drive += g
            g_S += before.T @ g
            g = g @ S.T
        return [X.T @ g_drive, g_S, g_theta]


def ista_parameters(D, sparsity):
    """Return what makes each layer a step of ISTA, for atoms D (n_atoms, n_features)."""
    step = 1 / np.linalg.norm(D @ D.T, 2)
    return [step * D.T, np.eye(len(D)) - step * D @ D.T, np.full(len(D), sparsity * step)]


def learn_to_infer(X, D, sparsity=0.05, n_layers=3, max_iter=60):
    """Train a few layers to find the codes that 500 iterations of ISTA find.

    Returns the trained parameters, and the losses before and after training.
    """
    ista = ista_parameters(D, sparsity)
    converged, _ = UnfoldedISTA(500).forward(ista, X)
    samples = Samples((X,), converged)
    state = TrainingState(ista, Adam(0.01), np.random.RandomState(0))
    with Objective(UnfoldedISTA(n_layers)) as objective:
        before = objective.evaluate(ista, samples)
        fit_loop(objective, state, samples, LoopSettings(max_iter=max_iter, batch_size=100))
    return state.best_parameters, before, state.best_loss
