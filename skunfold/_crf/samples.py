"""The samples of the training loop: whole components, whose rows are gathered."""

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit, StratifiedShuffleSplit

from skunfold._estimator.data import Data, rows_of, split_rows
from skunfold._kernels.row_graphs import Rows, members
from skunfold._training.protocol import Samples


@dataclass(frozen=True)
class ByComponent:
    """An array of rows, sorted by component, that is indexed by components."""

    values: Any
    starts: np.ndarray

    def __len__(self):
        return len(self.starts) - 1

    def __getitem__(self, components):
        return self.taken(components, members(self.starts, components))

    def taken(self, components, rows):
        """Return the values of some components, for the places of their rows."""
        return self.values[rows]


@dataclass(frozen=True)
class RowsByComponent(ByComponent):
    """Features of rows; indexing returns them with the graph of the chosen components."""

    graph: Any

    def taken(self, components, rows):
        """Return the Rows of some components."""
        return Rows(self.values[rows], self.graph.graph(components, rows))


@dataclass(frozen=True)
class ComponentSamples(Samples):
    """Samples whose arrays are `ByComponent`."""

    y: Any
    weight: Any = None

    @cached_property
    def _places(self):
        """The places of the rows of the components."""
        return members(self.y.starts, self.rows)

    def loaded(self):
        """Return the samples copied into memory."""
        arrays = (*self.inputs, self.y, self.weight)
        *inputs, y, weight = (a.taken(self.rows, self._places) for a in arrays)
        return Samples(tuple(inputs), y, weight)

    @cached_property
    def total_weight(self):
        """The sum of the weights of the rows."""
        return float(self.weight.values[self._places].sum())


@dataclass(frozen=True)
class RowData(Data):
    """Checked samples, and the components that they make."""

    samples: ComponentSamples


def samples_of(features, components, y, weight, whole=False):
    """Return the ComponentSamples that have some weight; None is a weight of 1.

    If the loss is that of whole components, the classes are a second input, and the rows of
    each component have their mean weight; none may be zero unless all are.
    """
    order, starts = components.order, components.starts
    if weight is None:
        weight = np.ones(len(y), features.dtype)
    features, y, weight = rows_of(order, features, y, weight)
    if whole:
        _check_labelled(order, starts, weight)
        sizes = np.diff(starts)
        means = np.add.reduceat(weight, starts[:-1]) / sizes
        weight = np.repeat(means, sizes).astype(weight.dtype)
    inputs: Any = (RowsByComponent(features, starts, components),)
    targets: Any = ByComponent(y, starts)
    weights: Any = ByComponent(weight, starts)
    samples = ComponentSamples((*inputs, targets) if whole else inputs, targets, weights)
    used = np.add.reduceat(weight, starts[:-1]) > 0
    return samples if used.all() else samples[np.flatnonzero(used)]


def _check_labelled(order, starts, weight):
    """Check that rows without weight are connected to none that has some."""
    largest = np.maximum.reduceat(weight, starts[:-1])
    unlabelled = np.flatnonzero((weight == 0) & (np.repeat(largest, np.diff(starts)) > 0))
    if len(unlabelled):
        raise ValueError(
            f"Row {order[unlabelled[0]]} of X has the weight 0, but other rows of its sequence "
            "have not; training_loss='likelihood' needs the classes of whole sequences. Use "
            "'marginals'."
        )


def mean_size(samples):
    """Return the mean number of rows of the components that samples are taken from."""
    starts = samples.y.starts
    return starts[-1] / (len(starts) - 1)


def split_components(estimator, samples, groups):
    """Return the numbers of the components to train on, and of those to hold out."""
    inputs = samples.inputs[0]
    starts, order = inputs.starts, inputs.graph.order
    first = starts[:-1][samples.rows]
    split = partial(split_rows, estimator, unit="components (sequences, images or graphs)")
    if groups is not None and len(np.unique(groups)) > 1:
        of_rows = groups[order]
        of_components = np.repeat(of_rows[starts[:-1]], np.diff(starts))
        apart = np.flatnonzero(of_rows != of_components)
        if len(apart):
            raise ValueError(
                f"Row {order[apart[0]]} of X is connected to a row of another group; give "
                "connected rows the same group."
            )
        return split(GroupShuffleSplit, len(samples), groups=of_rows[first])
    if len(inputs) == len(order):  # each row alone
        classes = samples.y.values[first]
        return split(StratifiedShuffleSplit, len(samples), classes)
    return split(ShuffleSplit, len(samples))
