"""Loss and gradient of a batch, as sums over blocks of samples that threads work on."""

from dataclasses import dataclass

import numpy as np

from skunfold._kernels.blocks import (
    BlockThreads,
    PerThread,
    block_size_for,
    block_slices,
    for_threads,
)
from skunfold._kernels.numerics import Parts, Workspace

# Each shard of a batch adds up its own gradient. Their number does not depend on that of the
# threads, so neither does the result.
MAX_SHARDS = 8
USUAL_BLOCK = 512  # samples: each block adds a gradient to the sum, so fewer than in inference


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

    A context manager: it holds the threads, as many as BLAS has unless their number is given.
    Gradients come as arrays (``form="net"``) or as
    `Parts` (``form="parts"``). A penalty on the parameters can only have a net gradient.
    """

    def __init__(self, model, penalty=None, n_threads=None):
        self.model = model
        self.penalty = penalty or L2Penalty(0.0, ())
        self._threads = BlockThreads(n_threads)
        self._replica = PerThread(getattr(model, "with_workspace", lambda: model))
        # Arrays of a model without work space are new ones, which can take the sums.
        reused = hasattr(model, "with_workspace")
        self._sums = [Workspace() if reused else None for _ in range(MAX_SHARDS)]

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

    def begin_epoch(self, parameters, samples):
        """Do nothing; subclasses prepare an epoch over the samples here."""

    def gradient(self, parameters, samples, form="net"):
        """Return (mean loss with penalty, its gradient), a list like the parameters."""
        scale = 1 / samples.total_weight
        loss, total = self.gradient_sums(parameters, samples, form, scale)
        if form == "parts":
            return loss * scale, _as_parts(total)
        self.penalty.add_gradient(parameters, total)
        return loss * scale + self.penalty.value(parameters), total

    def gradient_sums(self, parameters, samples, form, scale):
        """Return the sum of all losses and the arrays of `scale` times its gradient.

        The penalty is not included. The arrays are reused by the next call; in the form of
        parts, there are two for each parameter.
        """
        shards = self._shards(parameters, samples)
        prepared = self._prepared(parameters, samples)

        def add_up(slices, sums):
            loss, total = 0.0, None
            for rows in slices:
                block_loss, arrays = _block_gradient(
                    self._replica(), prepared, samples[rows].loaded(), form, scale
                )
                loss += block_loss
                total = _added(total, arrays, sums)
            return loss, total

        results = self._threads.map(add_up, shards, self._sums[: len(shards)])
        return added_sums(results)

    def loss_sum(self, parameters, samples):
        """Return the sum of all losses, without penalty."""
        return sum(loss for loss, _ in self._run(parameters, samples))

    def evaluate(self, parameters, samples):
        """Return the mean loss with penalty, which training lowers."""
        loss = self.loss_sum(parameters, samples) / samples.total_weight
        return loss + self.penalty.value(parameters)

    def evaluate_with_output(self, parameters, samples):
        """Return the mean loss, without penalty, and the outputs of all samples."""
        results = self._run(parameters, samples, keep_output=True)
        loss = sum(loss for loss, _ in results) / samples.total_weight
        return loss, np.concatenate([o for _, outputs in results for o in outputs])

    def _run(self, parameters, samples, keep_output=False):
        """Return (sum of the losses, list of outputs) of each shard."""
        shards = self._shards(parameters, samples)
        prepared = self._prepared(parameters, samples)

        def run(slices):
            model = self._replica()
            loss, outputs = 0.0, []
            for rows in slices:
                block = samples[rows].loaded()
                output = _output(model, prepared, block.inputs)
                losses = model.loss(output, block.y)
                loss += float(losses.sum() if block.weight is None else losses @ block.weight)
                if keep_output:
                    outputs.append(output.copy())
            return loss, outputs

        return self._threads.map(run, shards)

    def _prepared(self, parameters, samples):
        """Return the parameters, prepared if the model prepares them."""
        prepare = getattr(self.model, "prepare", lambda parameters, n_samples: parameters)
        return prepare(parameters, len(samples))

    def _shards(self, parameters, samples):
        """Return at most MAX_SHARDS lists of slices of consecutive samples."""
        block_size = getattr(self.model, "block_size", lambda parameters: None)(parameters)
        if block_size is None:
            n_weights = max(p.size for p in parameters)
            size = block_size_for(len(samples), n_weights, USUAL_BLOCK)
        else:
            smallest = getattr(self.model, "smallest_block", 32)
            size = for_threads(block_size, len(samples), smallest)
        slices = block_slices(len(samples), size)
        return [slices[s] for s in block_slices(len(slices), -(-len(slices) // MAX_SHARDS))]


def _output(model, prepared, inputs):
    """Return the outputs of a block of samples."""
    if hasattr(model, "output_alone"):
        return model.output_alone(prepared, *inputs)
    return model.forward(prepared, *inputs)[0]


def _block_gradient(model, prepared, block, form, scale):
    """Return the sum of the losses over a block of samples, and its gradient times `scale`.

    The gradient is a list of arrays; in the form of parts, two for each parameter.
    """
    output, tape = model.forward(prepared, *block.inputs)
    losses = model.loss(output, block.y)
    loss = float(losses.sum() if block.weight is None else losses @ block.weight)
    # The outputs are fewer than the parameters, so this is where to scale.
    factor = scale if block.weight is None else scale * block.weight[:, None]
    factor = np.asarray(factor, output.dtype)
    if form == "parts":
        seed = Parts(*(factor * part for part in model.loss_gradient_parts(output, block.y)))
        parts = model.backward_parts(prepared, tape, seed)
        return loss, [part for pair in parts for part in pair]
    return loss, model.backward(prepared, tape, factor * model.loss_gradient(output, block.y))


def added_sums(results):
    """Return the sum of pairs (loss, arrays), in the arrays of the first."""
    (loss, total), *others = results
    for other_loss, arrays in others:
        loss += other_loss
        total = _added(total, arrays)
    return loss, total


def _as_parts(arrays):
    return [Parts(pos, neg) for pos, neg in zip(arrays[::2], arrays[1::2])]


def _added(total, arrays, sums=None):
    """Add arrays to the total, in place; without a total yet, return them as the total.

    With a workspace `sums`, the total is a copy there, since the model reuses the arrays for
    the next block.
    """
    if total is None:
        if sums is None:
            return [np.ascontiguousarray(a) for a in arrays]
        total = [sums.array(i, a.shape, a.dtype) for i, a in enumerate(arrays)]
        for t, a in zip(total, arrays):
            np.copyto(t, a)
    else:
        for t, a in zip(total, arrays):
            t += a
    return total
