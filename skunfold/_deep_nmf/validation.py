"""Checks of `DeepNMFRegressor`'s arguments against each other and the data."""

from numbers import Integral

import numpy as np
from joblib import effective_n_jobs

from skunfold._estimator.given_arrays import array_given
from skunfold._estimator.sparse_input import sparse_format
from skunfold._kernels.sparse_rows import canonical

RECURRENCE_LENGTH = 300.0  # samples, where only the power of recurrence is given


def group_sizes(n_components, output):
    """Return the components of each source group, a tuple of int.

    Groups of mask output are those of the targets, and last the residual; an int is for one
    target and the residual.
    """
    masked = output == "mask"
    if isinstance(n_components, Integral):
        sizes = (n_components,) * (2 if masked else 1)
    else:
        sizes = tuple(n_components)
    needed = sizes[:-1] if masked else sizes
    whole = all(isinstance(size, Integral) and int(size) >= 0 for size in sizes)
    if not (whole and min(map(int, needed), default=0) >= 1 and (masked or len(sizes) == 1)):
        several = ", or one for each target, and last one for the residual, which may be 0"
        raise ValueError(
            f"n_components={n_components!r} does not fit output={output!r}: give an int of at "
            f"least 1{several if masked else ''}."
        )
    return tuple(int(size) for size in sizes)


def power_and_length(recurrence):
    """Return the power and the time constant, in samples, of `recurrence`."""
    values = np.ravel(recurrence)
    numbers = values.dtype.kind in "iuf" and 1 <= len(values) <= 2
    power, length = (*values, RECURRENCE_LENGTH)[:2] if numbers else (-1, 0)
    if not (0 <= power <= 1 and 0 < length < np.inf):
        raise ValueError(
            f"recurrence={recurrence!r} is neither a power from 0 to 1 nor a pair of that and "
            "a number of samples above 0; give something like 0.5 or (0.5, 300)."
        )
    return float(power), float(length)


def check_depth(n_layers, n_trained):
    """Check the number of trained layers."""
    if n_trained > n_layers + 1:
        raise ValueError(
            f"n_trained_layers={n_trained} is more than there are; with n_layers={n_layers} "
            f"give at most {n_layers + 1}, or 'all'."
        )


def check_numbers(y, name, dtype):
    """Return targets as an array of the dtype."""
    try:
        return y.astype(dtype, copy=False)
    except ValueError as error:
        raise ValueError(
            f"{name} must hold numbers of 0 and more ({error}); for classes take "
            "UnfoldedMeanFieldClassifier or UnfoldedBPClassifier."
        ) from error


def check_mask_targets(y, X, n_components, n_targets):
    """Check that the columns of y are those of `n_targets` sources in X."""
    width, rest = divmod(y.shape[1], n_targets)
    if rest or width > X.shape[1]:
        raise ValueError(
            f"y has {y.shape[1]} columns; with output='mask' and n_components={n_components!r} "
            f"(targets: {n_targets}) it needs the same number for each target, and X at least "
            f"that many features (it has {X.shape[1]}). For several targets side by side give "
            "n_components a number for each, and last one for the residual."
        )


def check_sources(sources, X, sizes, output, beta_loss):
    """Return the list of source features in the dtype of X, or None."""
    if sources is None:
        return None
    if output != "mask" or len(sources) != len(sizes):
        raise ValueError(
            f"sources holds {len(sources)} arrays for output={output!r}; give one for each of "
            f"the {len(sizes)} source groups of output='mask', targets first, the residual "
            "last; or None."
        )
    sources = [
        canonical(
            array_given(
                f"sources[{i}]",
                source,
                accept_sparse=sparse_format(source, "An array of sources", beta_loss),
                dtype=X.dtype,
                ensure_non_negative=True,
            )
        )
        for i, source in enumerate(sources)
    ]
    for source in sources:
        if source.shape[1] != X.shape[1]:
            raise ValueError(
                f"An array of sources has {source.shape[1]} features; X has {X.shape[1]}."
            )
    return sources


def check_recurrence(recurrence, n_trained, n_jobs):
    """Check that samples whose start depends on trained parameters stay in this process."""
    power, _ = power_and_length(recurrence)
    if power and n_trained and n_jobs is not None and effective_n_jobs(n_jobs) > 1:
        raise ValueError(
            f"recurrence={recurrence} cannot be trained by the workers of n_jobs={n_jobs}, to "
            "which samples are sent only once; set n_jobs=None, which uses all threads of BLAS."
        )


def check_same_structure(model, group_sizes):
    """Check that parameters that shape the network are unchanged since the fit."""
    n_layers = len(model.bases_)
    otherwise = "set it back, or fit again with warm_start=False."
    if model.n_layers != n_layers:
        raise ValueError(
            f"n_layers={model.n_layers}, but the model was fitted with {n_layers} layers; "
            + otherwise
        )
    if model.fit_projections != hasattr(model, "projections_"):
        raise ValueError(
            f"fit_projections={model.fit_projections}, but the model was fitted with "
            f"{not model.fit_projections}; " + otherwise
        )
    if group_sizes != tuple(model.group_sizes_):
        raise ValueError(
            f"n_components={model.n_components!r} and output={model.output!r} ask for source "
            f"groups of {group_sizes} components, but the model was fitted with "
            f"{tuple(model.group_sizes_)}; " + otherwise
        )
