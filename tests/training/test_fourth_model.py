"""A fourth model with what the training loop asks for: unfolded ISTA for sparse coding (LISTA).

Gregor and LeCun, "Learning fast approximations of sparse coding" (ICML 2010).
"""

from dataclasses import dataclass

import numpy as np
from numpy.testing import assert_allclose

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
        W, S, theta = parameters
        drive = X @ W
        codes = [np.zeros_like(drive)]
        for _ in range(self.n_layers):
            u = drive + codes[-1] @ S
            codes.append(np.sign(u) * np.maximum(np.abs(u) - theta, 0))
        return codes[-1], (X, codes)

    def loss(self, z, y):
        return 0.5 * np.sum((z - y) ** 2, axis=1)

    def loss_gradient(self, z, y):
        return z - y

    def backward(self, parameters, tape, g):
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


def test_unfolded_ista_learns_to_be_faster_than_ista():
    rng = np.random.default_rng(0)
    D = rng.normal(size=(8, 12))
    D /= np.linalg.norm(D, axis=1, keepdims=True)
    X = ((rng.random((500, 8)) < 0.3) * rng.normal(size=(500, 8))) @ D
    step = 1 / np.linalg.norm(D @ D.T, 2)
    ista = [step * D.T, np.eye(8) - step * D @ D.T, np.full(8, 0.05 * step)]
    converged, _ = UnfoldedISTA(500).forward(ista, X)
    samples = Samples((X,), converged)
    state = TrainingState(ista, Adam(0.01), np.random.RandomState(0))
    with Objective(UnfoldedISTA(3)) as objective:
        before = objective.evaluate(ista, samples)
        fit_loop(objective, state, samples, LoopSettings(max_iter=60, batch_size=100))
    assert state.best_loss < before / 5


def test_its_gradient():
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(5, 4)), rng.normal(size=(5, 3))
    parameters = [rng.normal(size=(4, 3)), rng.normal(size=(3, 3)), np.full(3, 0.1)]
    directions = [rng.normal(size=p.shape) for p in parameters]
    model = UnfoldedISTA(3)

    def loss(t):
        moved = [p + t * d for p, d in zip(parameters, directions)]
        return model.loss(model.forward(moved, X)[0], y).sum()

    z, tape = model.forward(parameters, X)
    gradients = model.backward(parameters, tape, model.loss_gradient(z, y))
    slope = sum(np.vdot(g, d) for g, d in zip(gradients, directions))
    assert_allclose(slope, (loss(1e-6) - loss(-1e-6)) / 2e-6, rtol=1e-6)
