"""NMF by multiplicative updates as an iteration of `skunfold._kernels.unfolding`.

The update itself and its adjoint are in `skunfold._kernels.nmf_layers`.
"""

from dataclasses import dataclass, replace

import numpy as np

from skunfold._kernels.blocks import gram_matrix
from skunfold._kernels.kullback_leibler import kullback_leibler_layer
from skunfold._kernels.nmf_layers import BetaLayer, FrobeniusLayer
from skunfold._kernels.numerics import NEW_ARRAYS, Workspace
from skunfold._kernels.unfolding import BaseIteration, walk


def constant_activations(value, n_components, dtype):
    """Return the first layer's input, (1, R): the same for every sample and component."""
    return np.full((1, n_components), value, dtype=dtype)


@dataclass(frozen=True)
class NMFIteration(BaseIteration):
    """The update of activations h (n, R) as an iteration (`skunfold._kernels.unfolding`).

    theta is (W,) or (W, V), and prepared a layer; the drive is (layer, data).
    """

    beta: float = 1.0
    sparsity: float = 0.0
    start: float = 1.0  # the activation that inference begins with
    exponents: tuple[float, ...] | None = None  # of each layer of the network; None: one
    work: Workspace = NEW_ARRAYS

    def with_workspace(self, work):
        """Return this iteration with a workspace."""
        return replace(self, work=work)

    def prepare(self, theta, n_samples, layers):
        """Return the layer of theta."""
        start = self._constant(theta[0]) if layers[0] == 0 else None
        return layer_of(theta, self.beta, self.sparsity, n_samples, len(layers), start)

    def drive(self, layer, X):
        """Return the layer in the form for X, and its `data` of X."""
        layer = layer.suited_to(X)
        return layer, layer.data(X, self.work)

    def initial(self, layer, drive, n_samples):
        """Return the constant activations, (1, R)."""
        prepared = layer.first_activations
        return self._constant(layer.W) if prepared is None else prepared

    def advance(self, layer, drive, h, k):
        """Return h', without a tape; h may be changed."""
        layer, data = drive
        return layer.advance(data, h, self.work, self._exponent(k))

    def step(self, layer, drive, h, k):
        """Return h' and the tape."""
        layer, data = drive
        h, tape = layer.forward(data, h, self.work.scope(k), self._exponent(k))
        return h, (layer, tape)

    def adjoint(self, layer, tape, g, k):
        """Return the gradients by h, by the drive and by theta; g may be overwritten."""
        return self._adjoint(tape, g, k, need_h=True)

    def adjoint_of_parameters(self, layer, tape, g, k):
        """Return the gradients by the drive and by theta."""
        return self._adjoint(tape, g, k, need_h=False)[1:]

    def drive_adjoint(self, layer, X, g):
        """Return the gradients by theta of what went through the drive."""
        return tuple(part.net() for part in layer.suited_to(X).drive_adjoint(X, g))

    def _adjoint(self, tape, g, k, need_h):
        layer, tape = tape
        work, kept = self.work.scope("adjoint"), self.work.scope(("adjoint", k))
        return layer.net_adjoint(g, tape, work, kept, need_h)

    def _constant(self, W):
        return constant_activations(self.start, len(W), W.dtype)

    def _exponent(self, k):
        return 1.0 if self.exponents is None else self.exponents[k]


def layer_of(theta, beta, sparsity, n_samples=None, n_uses=1, start=None):
    """Return the layer of (W,) or (W, V), used so often in a row for that many samples.

    None samples: any number; for beta = 2 their number has to be known. `start`, (1, R) or
    None, are the activations that inference begins with, in the first layer.
    """
    W, V = theta[0], theta[-1]
    n_components, n_features = W.shape
    if beta == 1:
        return kullback_leibler_layer(W, V, sparsity, n_samples, n_uses, start)
    if beta == 2:
        # Multiplications by n_components: the Gram matrix once and it in every use, or two
        # products with the bases in every use.
        by_gram = n_components * n_features + n_uses * n_samples * n_components
        worth_it = by_gram < n_uses * 2 * n_samples * n_features
        return FrobeniusLayer(W, V, sparsity, gram_matrix(W, V) if worth_it else None)
    return BetaLayer(W, V, sparsity, beta)


def infer(X, layers, h, work=NEW_ARRAYS):
    """Yield the activations (n, R) after each layer, from h.

    It is one array, which the next layer changes.
    """
    return walk(NMFIteration(work=work), layers, X, h)
