"""Checks and copies of the arrays from which a network is made without a fit."""

from numbers import Real

import numpy as np

from skunfold._estimator.given_arrays import array_given


def layers_given(name, arrays):
    """Return a list of copied arrays; arrays that are the same object have the same copy.

    One array (n_components, n_features) makes a list of one.
    """
    given = list(arrays) if is_list_of_layers(arrays) else [arrays]
    checked = {id(W): bases_given(name, W) for W in given}
    shapes = sorted({W.shape for W in checked.values()})
    if len(shapes) > 1:
        raise ValueError(
            f"{name} holds arrays of different shapes, {shapes[0]} and {shapes[1]}; all layers "
            "have the same components and features."
        )
    return [checked[id(W)] for W in given]


def is_list_of_layers(arrays):
    """Return whether something is a list of matrices rather than one of them."""
    if isinstance(arrays, list | tuple):
        return len(arrays) > 0 and np.ndim(arrays[0]) == 2
    return getattr(arrays, "ndim", 2) == 3


def bases_given(name, array):
    """Return a copy of a non-negative matrix."""
    return array_given(name, array, order="C", copy=True, ensure_non_negative=True)


def of_all_layers(name, arrays, n_layers):
    """Return a list with the array of each layer; a single array is repeated for all."""
    if len(arrays) not in (1, n_layers):
        raise ValueError(
            f"{name} holds the arrays of {len(arrays)} layers, but n_layers={n_layers}; give "
            "one for each layer, or one for all."
        )
    return arrays * n_layers if len(arrays) == 1 else arrays


def check_arrays(model, bases, projections, U, sizes, start):
    """Check that given arrays fit each other, and the parameters of the model."""
    shape = bases[-1].shape
    if sum(sizes) != shape[0]:
        raise ValueError(
            f"bases has {shape[0]} components, but n_components={model.n_components!r} and "
            f"output={model.output!r} ask for {sum(sizes)}."
        )
    if U.shape[0] != shape[0] or (model.output == "mask" and U.shape[1] > shape[1]):
        raise ValueError(
            f"output_bases has the shape {U.shape}, which does not fit bases of {shape}: give "
            "as many components, and for mask output at most as many columns."
        )
    if projections is not None and projections[-1].shape != shape:
        raise ValueError(
            f"projections has the shape {projections[-1].shape}; give that of bases, {shape}."
        )
    if projections is not None and not model.fit_projections:
        raise ValueError("projections is given, but fit_projections is False; leave it out.")
    trained = bases[model.n_layers - max(model._n_trained - 1, 0) :]
    if model.tied and len({id(W) for W in trained}) > 1:
        raise ValueError(
            "tied=True, but bases holds different arrays for the layers that are trained; give "
            "one for all of them, or tied=False."
        )
    if not (isinstance(start, Real) and 0 < float(start) < np.inf):
        raise ValueError(f"initial_activation={start!r} is not a number above 0.")
