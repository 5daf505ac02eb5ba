"""Unfolded ISTA for sparse coding (LISTA): an iteration for skunfold.unfolding."""

import numpy as np

from skunfold.unfolding import Iteration


class ISTA(Iteration):
    """z <- soft(x W + z S, t), from z = 0; Gregor and LeCun (ICML 2010)."""

    def __init__(self, atoms, sparsity=0.05):
        self.atoms = atoms
        self.sparsity = sparsity

    def parameters(self, X, y, random_state):
        D = np.asarray(self.atoms)
        step = 1 / np.linalg.norm(D @ D.T, 2)
        return (
            step * D.T,
            np.eye(len(D)) - step * D @ D.T,
            np.full(len(D), step * self.sparsity),
        )

    def drive(self, theta, X):
        return X @ theta[0]

    def drive_adjoint(self, theta, X, g):
        return X.T @ g, None, None

    def initial(self, theta, drive, n_samples):
        return np.zeros_like(drive)

    def step(self, theta, drive, z, k):
        u = drive + z @ theta[1]
        after = np.sign(u) * np.maximum(np.abs(u) - theta[2], 0)
        return after, (z, after)

    def adjoint(self, theta, tape, g, k):
        z, after = tape
        g = g * (after != 0)
        return g @ theta[1].T, g, (None, z.T @ g, -np.sum(g * np.sign(after), axis=0))
