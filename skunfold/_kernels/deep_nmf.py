"""The trained part of a deep NMF network: loss, forward, backward.

Parameters are a list of arrays: the bases of the trained layers, each distinct array once,
and last the output bases. `layers` says which of them each trained layer uses, so that tied
layers name the same one. The layers before the first trained one never change during a fit:
their activations come in as data (`h`), or as a constant where there are none.

Hershey, Le Roux and Weninger (arXiv 1409.2574), sections 3 and 4.
"""

from dataclasses import dataclass, replace

from skunfold._kernels.divergences import divergence, divergence_parts
from skunfold._kernels.nmf import constant_activations, layer_adjoint, layer_forward
from skunfold._kernels.numerics import FRESH, Parts, Workspace, add
from skunfold._kernels.outputs import LinearOutput, MaskOutput


@dataclass(frozen=True)
class DeepNMF:
    """A deep NMF network as the training loop sees it (`skunfold._training.protocol`)."""

    layers: tuple  # for each trained layer, the index of its bases in the parameters
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

    def forward(self, parameters, X, h=None):
        """Return y_hat (n, n_outputs) and the tape, for X (n, F) and activations h (n, R)."""
        *bases, U = parameters
        if h is None:
            h = constant_activations(self.start, U.shape[0], X.dtype)
        tapes = []
        for k, index in enumerate(self.layers):
            h, tape = layer_forward(
                X, h, bases[index], self.beta, self.sparsity, self.work.scope(k)
            )
            tapes.append(tape)
        y_hat, output_tape = self.output.forward(X, h, U, self.work.scope("output"))
        return y_hat, (tapes, output_tape)

    def loss(self, y_hat, y):
        """Return the divergence of each sample, (n,)."""
        return divergence(y, y_hat, self.training_beta)

    def loss_gradient(self, y_hat, y):
        """Return dE/dy_hat of each sample, (n, n_outputs)."""
        return self.loss_gradient_parts(y_hat, y).net()

    def loss_gradient_parts(self, y_hat, y):
        """Return dE/dy_hat as Parts."""
        return divergence_parts(y, y_hat, self.training_beta)

    def backward(self, parameters, tape, g):
        """Return dE/dparameters, a list of arrays like the parameters, from g = dE/dy_hat."""
        gradients = [None] * len(parameters)
        for name, index, adjoint, need_h in self._reverse(parameters, tape):
            dh, dW = adjoint(g, self.work.scope(("net", name)), need_h)
            gradients[index] = add(gradients[index], dW.net())
            g = dh.net() if need_h else None
        return gradients

    def backward_parts(self, parameters, tape, parts):
        """Return dE/dparameters as a list of Parts, from the Parts of dE/dy_hat.

        Every term keeps its sign on the way, so both parts are sums of non-negative terms.
        """
        gradients = [Parts(None, None)] * len(parameters)
        for name, index, adjoint, need_h in self._reverse(parameters, tape):
            from_pos = adjoint(parts.pos, self.work.scope(("pos", name)), need_h)
            from_neg = adjoint(parts.neg, self.work.scope(("neg", name)), need_h)
            dW = _cross(from_pos[1], from_neg[1])
            gradients[index] = Parts(*(add(a, b) for a, b in zip(gradients[index], dW)))
            if need_h:
                parts = _cross(from_pos[0], from_neg[0])
                parts = parts.cancelled() if self.cancel else parts
        return gradients

    def _reverse(self, parameters, tape):
        """Yield (name, parameter index, adjoint(x, work, need_h), need_h), last layer first."""
        layer_tapes, output_tape = tape
        *bases, U = parameters

        def through_output(x, work, need_h):
            return self.output.adjoint(x, U, output_tape, work)

        yield "output", len(bases), through_output, bool(self.layers)
        for k in reversed(range(len(self.layers))):
            index = self.layers[k]

            def through_layer(x, work, need_h, k=k, index=index):
                return layer_adjoint(x, bases[index], layer_tapes[k], self.beta, work, need_h)

            yield k, index, through_layer, k > 0


def _cross(from_pos, from_neg):
    """Return pos = rise(pos) + fall(neg), neg = rise(neg) + fall(pos)."""
    return Parts(add(from_pos.pos, from_neg.neg), add(from_neg.pos, from_pos.neg))
