"""What measurements of deep NMF share: the network, its data, its products alone."""

import numpy as np

from skunfold._deep_nmf.architecture import NMFArchitecture
from skunfold._kernels.outputs import MaskOutput

SPARSITY, START, RATE = 1.0, 0.1, 0.03
WIDTH = 201


def make_network(n_layers, n_trained, tied, beta, n_components):
    """Return the architecture of a mask network."""
    half = n_components // 2
    return NMFArchitecture(
        n_layers=n_layers,
        n_trained_layers=n_trained,
        tied=tied,
        output=MaskOutput((half, n_components - half), 1),
        beta=beta,
        sparsity=SPARSITY,
        scale=1.0,
        start=START,
    )


def make_data(n, n_features, n_components, n_bases):
    """Return (X, y, list of bases, output bases)."""
    rng = np.random.default_rng(0)
    bases = list(rng.uniform(0.1, 1, (n_bases, n_components, n_features)).astype(np.float32))
    U = rng.uniform(0.1, 1, (n_components, WIDTH)).astype(np.float32)
    X = rng.gamma(0.5, size=(n, n_features)).astype(np.float32)
    return X, X[:, -WIDTH:] * np.float32(0.5), bases, U


def step_of(objective, update, parameters, samples):
    """Return a function that does a step of training."""

    def step():
        with objective:  # the peers need the threads of BLAS between two steps
            loss, gradients = objective.gradient(parameters, samples, update.form)
        update.step(parameters, gradients)
        return loss

    return step


class Products:
    """Matrix products of the shapes of a network, into arrays that are used again.

    Shapes: X (n, F), h (n, R), W (R, F), output bases U (R, width).
    """

    def __init__(self, n, n_features, n_components, width):
        rng = np.random.default_rng(0)
        shapes = {
            "X": (n, n_features),
            "h": (n, n_components),
            "W": (n_components, n_features),
            "U": (n_components, width),
            "y": (n, width),
            "G": (n_components, n_components),
        }
        self.given = {k: rng.uniform(0.1, 1, s).astype(np.float32) for k, s in shapes.items()}
        self.out = {k: np.empty(s, np.float32) for k, s in shapes.items()}

    def _multiply(self, a, b, out):
        """Multiply given arrays by name, "t" behind it for the transpose."""
        a, b = (self.given[x[0]].T if x.endswith("t") else self.given[x] for x in (a, b))
        np.matmul(a, b, out=self.out[out])

    def inference(self, beta, n_layers, by_gram):
        """Do the products of inference; layers have the same bases, their Gram matrix known."""
        if beta == 2:
            self._multiply("X", "Wt", "h")
        for _ in range(n_layers):
            if by_gram:
                self._multiply("h", "G", "h")
            else:
                self._multiply("h", "W", "X")
                self._multiply("X", "Wt", "h")
        self._multiply("h", "U", "y")

    def training(self, n_layers, prefix):
        """Do the products of a step for beta = 1; the first layer may have no prefix."""
        for k in range(n_layers):
            if k or prefix:
                self._multiply("h", "W", "X")
            self._multiply("X", "Wt", "h")
        self._multiply("h", "U", "y")
        self._multiply("ht", "y", "U")
        if n_layers:
            self._multiply("y", "Ut", "h")
        for k in range(n_layers):
            self._multiply("ht", "X", "W")
            self._multiply("h", "W", "X")
            if k or prefix:
                self._multiply("ht", "X", "W")
            if k:
                self._multiply("X", "Wt", "h")
