"""Unfolded Kullback-Leibler NMF: an iteration for skunfold.unfolding."""

import numpy as np

from skunfold.unfolding import Iteration


class KLNMF(Iteration):
    """h <- h ((x / h W) W^T) / rowsum(W); Lee and Seung (2001)."""

    positive = non_negative_input = True

    def __init__(self, n_components=8):
        self.n_components = n_components

    def parameters(self, X, y, random_state):
        return (random_state.uniform(0.1, 1, (self.n_components, X.shape[1])),)

    def initial(self, theta, X, n_samples):
        return np.ones((n_samples, self.n_components), X.dtype)

    def step(self, theta, X, h, k):
        v = h @ theta[0] + 1e-9
        return h * ((X / v) @ theta[0].T) / theta[0].sum(axis=1), (X, h, v)

    def adjoint(self, theta, tape, g, k):
        (W,), (X, h, v), den = theta, tape, theta[0].sum(axis=1)
        n, ratio = g * h / den, X / v
        growth, g_v = ratio @ W.T / den, -(n @ W) * ratio / v
        g_W = n.T @ ratio - np.sum(n * growth, axis=0)[:, np.newaxis] + h.T @ g_v
        return g * growth + g_v @ W.T, None, (g_W,)
