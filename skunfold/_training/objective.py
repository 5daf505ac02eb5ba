"""Loss and gradient of a batch, as sums over blocks of samples that threads work on."""

from dataclasses import dataclass

import numpy as np

from skunfold._kernels.blocks import BlockThreads, block_size_for, block_slices
from skunfold._kernels.numerics import Parts

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
        with_workspace = getattr(model, "with_workspace", lambda: model)
        self._replicas = [with_workspace() for _ in range(MAX_SHARDS)]

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

        def work(model, slices):
            loss, total = 0.0, None
            for rows in slices:
                block_loss, gradient = _block_gradient(model, parameters, samples[rows], form)
                loss += block_loss
                total = _accumulate(total, gradient, copy=len(slices) > 1)
            return loss, total

        results = self._threads.map(work, self._replicas[: len(shards)], shards)
        loss, total = results[0]
        for shard_loss, gradient in results[1:]:
            loss += shard_loss
            total = _accumulate(total, gradient)
        scale = 1 / samples.total_weight
        gradients = [_scaled(g, scale) for g in total]
        self.penalty.add_gradient(parameters, gradients)
        return loss * scale + self.penalty.value(parameters), gradients

    def evaluate(self, parameters, samples):
        """Return the mean loss with penalty, which training lowers."""
        return self._evaluate(parameters, samples)[0] + self.penalty.value(parameters)

    def evaluate_with_output(self, parameters, samples):
        """Return the mean loss, without penalty, and the outputs of all samples."""
        return self._evaluate(parameters, samples, keep_output=True)

    def _evaluate(self, parameters, samples, keep_output=False):
        shards = self._shards(parameters, samples)

        def work(model, slices):
            loss, outputs = 0.0, []
            for rows in slices:
                block = samples[rows]
                output, _ = model.forward(parameters, *block.inputs)
                losses = model.loss(output, block.y)
                loss += float(losses.sum() if block.weight is None else losses @ block.weight)
                if keep_output:
                    outputs.append(output.copy())
            return loss, outputs

        results = self._threads.map(work, self._replicas[: len(shards)], shards)
        loss = sum(loss for loss, _ in results) / samples.total_weight
        outputs = [o for _, outputs in results for o in outputs]
        return loss, np.concatenate(outputs) if keep_output else None

    def _shards(self, parameters, samples):
        """Return at most MAX_SHARDS lists of slices of consecutive samples."""
        if hasattr(self.model, "block_size"):
            size = self.model.block_size(parameters)
        else:
            size = block_size_for(len(samples), max(p.size for p in parameters))
        slices = block_slices(len(samples), size)
        return [slices[s] for s in block_slices(len(slices), -(-len(slices) // MAX_SHARDS))]


def _block_gradient(model, parameters, block, form):
    """Return (sum of the losses, gradient of that sum) over a block of samples."""
    output, tape = model.forward(parameters, *block.inputs)
    losses = model.loss(output, block.y)
    loss = losses.sum() if block.weight is None else losses @ block.weight
    if form == "parts":
        seed = model.loss_gradient_parts(output, block.y)
        if block.weight is not None:
            seed = Parts(*(part * block.weight[:, None] for part in seed))
        return float(loss), model.backward_parts(parameters, tape, seed)
    seed = model.loss_gradient(output, block.y)
    if block.weight is not None:
        seed = seed * block.weight[:, None]
    return float(loss), model.backward(parameters, tape, seed)


def _accumulate(total, gradient, copy=False):
    """Add a list of arrays or Parts into `total`; None stands for an empty sum."""
    if total is None:
        return [_map(np.copy, g) if copy else g for g in gradient]
    for t, g in zip(total, gradient):
        _map(lambda a, b: np.add(a, b, out=a), t, g)
    return total


def _scaled(gradient, scale):
    return _map(lambda g: np.multiply(g, g.dtype.type(scale), out=g), gradient)


def _map(function, *gradients):
    """Apply a function to arrays, or to each part of Parts that is there."""
    if not isinstance(gradients[0], Parts):
        return function(*gradients)
    return Parts(*(None if parts[0] is None else function(*parts) for parts in zip(*gradients)))
