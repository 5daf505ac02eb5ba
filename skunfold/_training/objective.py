"""Loss and gradient of a batch, as sums over blocks of samples that threads work on."""

from dataclasses import dataclass

import numpy as np

from skunfold._kernels.blocks import BlockThreads, PerThread, block_size_for, block_slices
from skunfold._kernels.numerics import Parts, Workspace

# Each shard of a batch adds up its own gradient. Their number does not depend on that of the
# threads, so neither does the result.
MAX_SHARDS = 8


@dataclass(frozen=True)
class L2Penalty:
    """strength / 2 times the sum of squares of some of the parameters."""

    strength: float
    places: tuple[int, ...]  # of the penalised parameters in their list

    def value(self, parameters):
        """Return the penalty."""
        squares = (float(np.vdot(parameters[i], parameters[i])) for i in self.places)
        return self.strength / 2 * sum(squares)

    def add_gradient(self, parameters, gradients):
        """Add the gradient of the penalty to those of the parameters, in place."""
        for i in self.places:
            gradients[i] += parameters[i].dtype.type(self.strength) * parameters[i]


class Objective:
    """The weighted mean loss of a model over samples, and its gradient.

    A context manager: it owns the threads. Gradients come as arrays (``form="net"``) or as
    `Parts` (``form="parts"``). A penalty on the parameters can only have a net gradient.
    """

    def __init__(self, model, penalty=None):
        self.model = model
        self.penalty = penalty or L2Penalty(0.0, ())
        self._threads = BlockThreads()
        self._replica = PerThread(getattr(model, "with_workspace", lambda: model))
        self._sums = [Workspace() for _ in range(MAX_SHARDS)]

    def __enter__(self):
        self._threads.__enter__()
        return self

    def __exit__(self, *exception):
        self._threads.__exit__(*exception)

    def require(self, form):
        """Raise a TypeError if the model cannot carry gradients in that form."""
        if form == "parts" and not hasattr(self.model, "backward_parts"):
            raise TypeError(
                f"{type(self.model).__name__} has no loss_gradient_parts and backward_parts; "
                "multiplicative updates need both. Use another update rule."
            )

    def gradient(self, parameters, samples, form="net"):
        """Return (mean loss with penalty, its gradient), a list like the parameters."""
        shards = self._shards(parameters, samples)
        prepared = self._prepared(parameters, samples)

        def add_up(slices, sums):
            loss, total = 0.0, None
            for rows in slices:
                block_loss, arrays = _block_gradient(
                    self._replica(), prepared, samples[rows], form
                )
                loss += block_loss
                total = _added(total, arrays, sums)
            return loss, total

        (loss, total), *others = self._threads.map(add_up, shards, self._sums[: len(shards)])
        for shard_loss, arrays in others:
            loss += shard_loss
            total = _added(total, arrays)
        scale = 1 / samples.total_weight
        for array in total:
            array *= array.dtype.type(scale)
        if form == "parts":
            return loss * scale, _as_parts(total)
        self.penalty.add_gradient(parameters, total)
        return loss * scale + self.penalty.value(parameters), total

    def evaluate(self, parameters, samples):
        """Return the mean loss with penalty, which training lowers."""
        return self._evaluate(parameters, samples)[0] + self.penalty.value(parameters)

    def evaluate_with_output(self, parameters, samples):
        """Return the mean loss, without penalty, and the outputs of all samples."""
        return self._evaluate(parameters, samples, keep_output=True)

    def _evaluate(self, parameters, samples, keep_output=False):
        shards = self._shards(parameters, samples)
        prepared = self._prepared(parameters, samples)

        def run(slices):
            model = self._replica()
            loss, outputs = 0.0, []
            for rows in slices:
                block = samples[rows]
                output, _ = model.forward(prepared, *block.inputs)
                losses = model.loss(output, block.y)
                loss += float(losses.sum() if block.weight is None else losses @ block.weight)
                if keep_output:
                    outputs.append(output.copy())
            return loss, outputs

        results = self._threads.map(run, shards)
        loss = sum(loss for loss, _ in results) / samples.total_weight
        outputs = [o for _, outputs in results for o in outputs]
        return loss, np.concatenate(outputs) if keep_output else None

    def _prepared(self, parameters, samples):
        """Return what the model's passes take: the parameters, or what it makes of them."""
        prepare = getattr(self.model, "prepare", lambda parameters, n_samples: parameters)
        return prepare(parameters, len(samples))

    def _shards(self, parameters, samples):
        """Return at most MAX_SHARDS lists of slices of consecutive samples."""
        if hasattr(self.model, "block_size"):
            size = self.model.block_size(parameters)
        else:
            size = block_size_for(len(samples), max(p.size for p in parameters))
        slices = block_slices(len(samples), size)
        return [slices[s] for s in block_slices(len(slices), -(-len(slices) // MAX_SHARDS))]


def _block_gradient(model, prepared, block, form):
    """Return the sum of the losses over a block of samples, and its gradient.

    The gradient is a list of arrays; in the form of parts, two for each parameter.
    """
    output, tape = model.forward(prepared, *block.inputs)
    losses = model.loss(output, block.y)
    loss = float(losses.sum() if block.weight is None else losses @ block.weight)
    weight = 1 if block.weight is None else block.weight[:, None]
    if form == "parts":
        seed = Parts(*(part * weight for part in model.loss_gradient_parts(output, block.y)))
        parts = model.backward_parts(prepared, tape, seed)
        return loss, [part for pair in parts for part in pair]
    return loss, model.backward(prepared, tape, model.loss_gradient(output, block.y) * weight)


def _as_parts(arrays):
    return [Parts(pos, neg) for pos, neg in zip(arrays[::2], arrays[1::2])]


def _added(total, arrays, sums=None):
    """Add arrays to the total, in place; where there is none yet, begin it in `sums`.

    The arrays themselves are the model's, which uses them again for the next block.
    """
    if total is None:
        total = [sums.array(i, a.shape, a.dtype) for i, a in enumerate(arrays)]
        for t, a in zip(total, arrays):
            np.copyto(t, a)
    else:
        for t, a in zip(total, arrays):
            t += a
    return total
