"""NMF by multiplicative updates as an iteration of `skunfold._kernels.unfolding`.

The update itself and its adjoint are in `skunfold._kernels.nmf_layers`.
"""

from dataclasses import dataclass, replace

import numpy as np

from skunfold._kernels.nmf_layers import grown, layer_of
from skunfold._kernels.numerics import NEW_ARRAYS, Workspace, power
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
        return layer_of(theta, self.beta, self.sparsity, n_samples, len(layers))

    def drive(self, layer, X):
        """Return the layer in the form for X, and its `data` of X."""
        layer = layer.suited_to(X)
        return layer, layer.data(X, self.work)

    def initial(self, layer, drive, n_samples):
        """Return the constant activations, (1, R)."""
        return constant_activations(self.start, len(layer.W), layer.W.dtype)

    def advance(self, layer, drive, h, k):
        """Return h' in one array for all layers; h may be that array."""
        layer, data = drive
        ratio, _ = layer.growth(data, h, self.work)
        out = self.work.array("h", ratio.shape, ratio.dtype)
        return grown(h, power(ratio, self._exponent(k), out=ratio), out)

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
        dh, g_drive, parts = layer.deferred_adjoint(g, tape, work, kept, need_h)
        return dh and dh.net(), g_drive, tuple(part.net() for part in parts)

    def _exponent(self, k):
        return 1.0 if self.exponents is None else self.exponents[k]


def infer(X, layers, h, work=NEW_ARRAYS):
    """Yield the activations (n, R) after each layer, from h.

    It is one array, which the next layer changes.
    """
    return walk(NMFIteration(work=work), layers, X, h)
