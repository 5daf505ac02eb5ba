"""The trained part of a deep NMF network: loss, forward, backward.

Parameters are a list of arrays: the bases of the trained layers, each distinct array once,
and last the output bases. `layers` says which of them each trained layer uses, so that tied
layers name the same one. The layers before the first trained one never change during a fit:
their activations come in as data (`h`), or as a constant where there are none.

Hershey, Le Roux and Weninger (arXiv 1409.2574), sections 3 and 4.
"""

from dataclasses import dataclass, replace

import numpy as np

from skunfold._kernels.divergences import (
    divergence,
    divergence_gradient,
    divergence_parts,
)
from skunfold._kernels.nmf import constant_activations, layers_of
from skunfold._kernels.numerics import FRESH, Parts, Workspace, add
from skunfold._kernels.outputs import LinearOutput, MaskOutput


@dataclass(frozen=True)
class DeepNMF:
    """A deep NMF network as the training loop sees it (`skunfold._training.protocol`)."""

    layers: tuple  # for each trained layer, the index of its bases in the parameters
    exponents: tuple  # of each trained layer, see `skunfold._kernels.nmf`
    output: LinearOutput | MaskOutput
    beta: float = 1.0
    training_beta: float = 2.0
    sparsity: float = 0.0
    start: float = 1.0  # the constant activation, where no `h` is given
    cancel: bool = True  # whether the parts are cancelled after each layer
    work: Workspace = FRESH

    def with_workspace(self):
        """Return this network with a workspace of its own, for one thread."""
        return replace(self, work=Workspace())

    def prepare(self, parameters, n_samples):
        """Return (the trained layers, the output bases), for `n_samples` samples."""
        *bases, U = parameters
        trained = [bases[i] for i in self.layers]
        return layers_of(trained, self.beta, self.sparsity, n_samples), U

    def forward(self, prepared, X, h=None):
        """Return y_hat (n, n_outputs) and the tape, for X (n, F) and activations h (n, R)."""
        layers, U = prepared
        layers = [layer.suited_to(X) for layer in layers]
        if h is None:
            h = constant_activations(self.start, U.shape[0], X.dtype)
        tapes, previous, data = [], None, None
        for k, (layer, exponent) in enumerate(zip(layers, self.exponents)):
            work = self.work.scope(k)
            if layer is not previous:
                previous, data = layer, layer.data(X, work)
            h, tape = layer.forward(data, h, work, exponent)
            tapes.append(tape)
        y_hat, output_tape = self.output.forward(X, h, U, self.work.scope("output"))
        return y_hat, (layers, tapes, output_tape)

    def loss(self, y_hat, y):
        """Return the divergence of each sample, (n,)."""
        return divergence(y, y_hat, self.training_beta)

    def loss_gradient(self, y_hat, y):
        """Return dE/dy_hat of each sample, (n, n_outputs)."""
        return divergence_gradient(y, y_hat, self.training_beta)

    def loss_gradient_parts(self, y_hat, y):
        """Return dE/dy_hat as Parts."""
        return divergence_parts(y, y_hat, self.training_beta)

    def backward(self, prepared, tape, g):
        """Return dE/dparameters, a list of arrays like the parameters, from g = dE/dy_hat."""
        _, U = prepared
        layers, tapes, output_tape = tape
        g, dU = self.output.net_adjoint(
            g, U, output_tape, self.work.scope("output"), need_h=bool(layers)
        )
        gradients = self._no_gradients(dU)
        for k in reversed(range(len(layers))):
            work, kept = self.work.scope("adjoint"), self.work.scope(("adjoint", k))
            dh, dW = layers[k].adjoint(g, tapes[k], work, kept, need_h=k > 0)
            self._add(gradients, k, dW.net())
            g = dh.net() if k else None
        return gradients

    def backward_parts(self, prepared, tape, parts):
        """Return dE/dparameters as a list of Parts, from the Parts of dE/dy_hat.

        Every term keeps its sign on the way, so both parts are sums of non-negative terms.
        """
        _, U = prepared
        layers, tapes, output_tape = tape

        def through_output(x, work):
            return self.output.adjoint(x, U, output_tape, work, need_h=bool(layers))

        dh, dU = _both_parts(parts, through_output, self.work.scope("output"))
        gradients = self._no_gradients(dU)
        through = self._through_cancelled if self.cancel else self._through_naive
        for k in reversed(range(len(layers))):
            dh, dW = through(layers[k], dh, tapes[k], k)
            self._add(gradients, k, dW)
        return gradients

    def _through_naive(self, layer, parts, tape, k):
        """Return the Parts of dE/dh and of dE/dW: every term of both, as in the paper."""

        def adjoint(x, work):
            return layer.adjoint(x, tape, work, work, need_h=k > 0)

        return _both_parts(parts, adjoint, self.work.scope(("parts", k)))

    def _through_cancelled(self, layer, parts, tape, k):
        """Return the Parts of dE/dh and of dE/dW, for x = pos - neg, where one part is zero.

        As p + n = |x|, what |x| does and what x does to the bases are the sum and the
        difference of their parts; the activations need the difference only.
        """
        x, work = parts.net(), self.work.scope("adjoint")
        size = np.abs(x, out=work.array("size", x.shape, x.dtype))  # x may be written over
        dh, dW = layer.adjoint(x, tape, work, self.work.scope(("net", k)), need_h=k > 0)
        difference = dW.net()
        dh = Parts(dh.net(), None) if k else None
        _, dW = layer.adjoint(size, tape, work, self.work.scope(("sum", k)), need_h=False)
        total = add(dW.pos, dW.neg)
        pos, neg = total + difference, total - difference
        for part in (pos, neg):
            part *= part.dtype.type(0.5)
            np.maximum(part, 0, out=part)  # where rounding has taken it below
        return dh, Parts(pos, neg)

    def _no_gradients(self, of_output):
        """Return the list of gradients where only that of the output bases is known."""
        return [None] * (max(self.layers, default=-1) + 1) + [of_output]

    def _add(self, gradients, k, term):
        """Add what trained layer k contributes, an array or Parts, to its gradient."""
        index = self.layers[k]
        if gradients[index] is None:
            gradients[index] = term
        elif isinstance(term, Parts):
            gradients[index] = Parts(*(add(a, b) for a, b in zip(gradients[index], term)))
        else:
            gradients[index] = add(gradients[index], term)


def _both_parts(parts, adjoint, work):
    """Return the Parts that an adjoint makes of each of its results.

    pos = rise(pos) + fall(neg), neg = rise(neg) + fall(pos).
    """
    from_pos = adjoint(parts.pos, work.scope("pos"))
    from_neg = adjoint(parts.neg, work.scope("neg"))
    return [
        None if p is None else Parts(add(p.pos, n.neg), add(n.pos, p.neg))
        for p, n in zip(from_pos, from_neg)
    ]
