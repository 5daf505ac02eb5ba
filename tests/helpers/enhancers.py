"""Recordings, and small regressors, for the tests of enhancers."""

import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin

from skunfold import DeepNMFRegressor


class WienerLike(RegressorMixin, BaseEstimator):
    """A mask that depends on the level, the context and a fitted noise floor."""

    def __init__(self, strength=1.0):
        self.strength = strength

    def fit(self, X, y, *, sources=None):
        self.n_bins_ = y.shape[1]
        self.floor_ = (self.strength * sources[1][:, -self.n_bins_ :].mean(axis=0)).astype(
            X.dtype
        )
        self.shapes_ = (X.shape, y.shape, *(source.shape for source in sources))
        return self

    def predict(self, X):
        smooth = X[:, -self.n_bins_ :] + X.mean(axis=1, keepdims=True) / 16
        return X[:, -self.n_bins_ :] * smooth / (smooth + self.floor_ + X.dtype.type(1e-6))


def make_recordings(n_recordings=3, dtype="float32", n_samples=6000):
    """Amplitude-modulated tones, and white noise."""
    rng = np.random.default_rng(0)
    clean, noisy = [], []
    for i in range(n_recordings):
        time = np.arange(n_samples + 100 * i) / 16000
        tone = np.sin(2 * np.pi * (300 + 200 * i) * time) * (1 + np.sin(20 * time))
        clean.append((0.1 * tone).astype(dtype))
        noise = 0.05 * rng.standard_normal(len(time)).astype(dtype)
        noisy.append(clean[-1] + noise)
    return noisy, clean


def small_network(**settings):
    return DeepNMFRegressor(
        **{"n_components": 8, "n_layers": 4, "output": "mask", "tied": True, "max_iter": 3}
        | settings,
        init="sparse_nmf",
        sparsity=1.0,
        random_state=0,
    )
