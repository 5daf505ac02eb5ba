"""Deep NMF: the readout of unfolded NMF, and the multiplicative pass through the network.

Hershey, Le Roux and Weninger (arXiv 1409.2574), sections 3 and 4.
"""

from dataclasses import dataclass, replace

import numpy as np

from skunfold._kernels.divergences import divergence_parts
from skunfold._kernels.numerics import NEW_ARRAYS, Parts, Workspace, add
from skunfold._kernels.outputs import LinearOutput, MaskOutput
from skunfold._kernels.unfolding import BaseReadout, Unfolding


@dataclass(frozen=True)
class NMFReadout(BaseReadout):
    """The output as a readout, with the output bases U as its parameter."""

    output: LinearOutput | MaskOutput
    work: Workspace = NEW_ARRAYS

    def with_workspace(self, work):
        """Return this readout with a workspace."""
        return replace(self, work=work)

    def read(self, parameters, X, h):
        """Return y_hat (n, n_outputs) and the tape."""
        (U,) = parameters
        return self.output.forward(X, h, U, self.work)

    def adjoint(self, parameters, tape, g):
        """Return the gradients by h and by U."""
        (U,) = parameters
        dh, dU = self.output.net_adjoint(g, U, tape, self.work)
        return dh, (dU,)

    def adjoint_of_parameters(self, parameters, tape, g):
        """Return the gradient by U."""
        (U,) = parameters
        _, dU = self.output.net_adjoint(g, U, tape, self.work, need_h=False)
        return (dU,)


@dataclass(frozen=True)
class DeepNMF(Unfolding):
    """An unfolded `NMFIteration` that can carry gradients as two non-negative parts.

    Its readout is an `NMFReadout`, its criterion a beta divergence.
    """

    cancel: bool = True  # whether the parts are cancelled after each layer

    def loss_gradient_parts(self, y_hat, y):
        """Return dE/dy_hat as Parts."""
        return divergence_parts(y, y_hat, self.criterion.beta)

    def backward_parts(self, parameters, tape, parts):
        """Return dE/dparameters as a list of Parts, from the Parts of dE/dy_hat.

        Every term keeps its sign on the way, so both parts are sums of non-negative terms.
        """
        X, steps, last = tape
        (U,) = self.prepare(parameters, X.shape[0]).readout
        output, work = self.readout.output, self.readout.work

        def through_output(x, work):
            dh, dU = output.adjoint(x, U, last, work, need_h=bool(steps))
            return dh, [dU]

        dh, of_readout = _both_parts(parts, through_output, work)
        gradients = [None] * self.n_of_layers + of_readout
        through = self._through_cancelled if self.cancel else self._through_naive
        for i in reversed(range(len(steps))):
            layer, step = steps[i]
            dh, of_theta = through(dh, layer, step, i)
            for place, term in zip(self.sets[i], of_theta):
                known = gradients[place]
                gradients[place] = term if known is None else known.plus(term)
        return gradients

    def _through_naive(self, parts, layer, tape, i):
        """Return the Parts of dE/dh and those by theta: every term of both, as in the paper."""

        def adjoint(x, work):
            return layer.adjoint(x, tape, work, work, need_h=i > 0)

        return _both_parts(parts, adjoint, self.iteration.work.scope(("parts", i)))

    def _through_cancelled(self, parts, layer, tape, i):
        """Return the Parts of dE/dh and those by theta, for x = pos - neg, where one is zero.

        As p + n = |x|, the adjoints of |x| and of x give the sum and the difference of the
        parts by the bases; the activations need the difference only.
        """
        x, work = parts.net(), self.iteration.work
        of_x, of_size, scratch = (work.scope(n) for n in (("net", i), ("sum", i), "adjoint"))
        size = np.abs(x, out=scratch.array("size", x.shape, x.dtype))  # x may be written over
        dh, of_theta = layer.adjoint(x, tape, scratch, of_x, need_h=i > 0)
        differences = [part.net() for part in of_theta]
        dh = Parts(dh.net(), None) if i else None
        _, of_theta = layer.adjoint(size, tape, scratch, of_size, need_h=False)
        totals = [add(part.pos, part.neg) for part in of_theta]
        return dh, [_split(*pair) for pair in zip(totals, differences)]


def _split(total, difference):
    """Return the Parts with the given sum and difference."""
    pos, neg = total + difference, total - difference
    for part in (pos, neg):
        part *= part.dtype.type(0.5)
        np.maximum(part, 0, out=part)  # rounding may make it negative
    return Parts(pos, neg)


def _both_parts(parts, adjoint, work):
    """Return the adjoint of Parts: the Parts of dE/dh, and the list of those by theta.

    pos = rise(pos) + fall(neg), neg = rise(neg) + fall(pos).
    """
    (dh_pos, others_pos), (dh_neg, others_neg) = (
        adjoint(part, work.scope(name)) for name, part in zip(Parts._fields, parts)
    )

    def both(p, n):
        return None if p is None else Parts(add(p.pos, n.neg), add(n.pos, p.neg))

    return both(dh_pos, dh_neg), list(map(both, others_pos, others_neg))
