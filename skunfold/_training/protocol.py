"""What the training loop trains: models of the protocol below, and their samples.

A model is unfolded to a network of fixed depth. Samples are the first axis of every input,
output and target, and are independent. Parameters are a list of arrays::

    forward(parameters, *inputs)       the output, and a tape that `backward` reads
    loss(output, y)                    the loss of each sample, (n_samples,)
    loss_gradient(output, y)           its derivative by the output, shaped like the output
    backward(parameters, tape, g)      the gradient, like the parameters, for g like the
                                       output; summed over the samples

The arrays of gradients are new, unless the model is a copy made by ``with_workspace()``, which
a model may also offer: a copy that may reuse its arrays, for one thread. So are
``block_size(parameters)``, how many samples to take at a time, or None, and
``smallest_block``, below which threads gain nothing; ``prepare(parameters, n_samples)``, which
is called once for all blocks of a batch of `n_samples`, and whose result the passes get in
place of the parameters; ``output_alone(parameters, *inputs)``, which is `forward` without a
tape; and for multiplicative updates ``loss_gradient_parts(output, y)`` and
``backward_parts(parameters, tape, parts)``, which carry gradients as two non-negative parts
(`skunfold._kernels.numerics.Parts`).
"""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Samples:
    """Rows of some arrays: inputs of the model, targets and weights, as a model sees them.

    The arrays may be larger than memory (memory-mapped): choosing rows copies nothing, and
    what is loaded is copied and brought to the units of the computation only then.
    """

    inputs: tuple[np.ndarray, ...]
    y: np.ndarray
    weight: np.ndarray | None = None
    rows: slice | np.ndarray = field(default_factory=lambda: slice(None))  # of the arrays
    units: tuple[float, ...] | None = None  # what multiplies each input, and last the targets
    sequences: tuple | None = None  # (X, lengths) that the last input is inferred from, again

    def __len__(self):
        if isinstance(self.rows, slice):
            return len(range(*self.rows.indices(len(self.y))))
        return len(self.rows)

    def __getitem__(self, rows):
        """Return some of the samples, by a slice or an array of indices."""
        if isinstance(rows, slice) and rows.indices(len(self)) == (0, len(self), 1):
            return self
        if not isinstance(self.rows, slice):
            return replace(self, rows=self.rows[rows])
        chosen = range(*self.rows.indices(len(self.y)))
        if isinstance(rows, slice):
            chosen = chosen[rows]
            return replace(self, rows=slice(chosen.start, chosen.stop))
        return replace(self, rows=rows + chosen.start)

    def loaded(self):
        """Return the samples copied into memory; views where no copy is needed."""
        arrays = [a[self.rows] for a in (*self.inputs, self.y)]
        if self.units is not None:
            arrays = [
                a if unit == 1 else a * a.dtype.type(unit)
                for a, unit in zip(arrays, self.units)
            ]
        weight = None if self.weight is None else self.weight[self.rows]
        return Samples(tuple(arrays[:-1]), arrays[-1], weight)

    @cached_property
    def total_weight(self):
        """The sum of the weights, or the number of samples."""
        return float(len(self)) if self.weight is None else float(self.weight[self.rows].sum())
