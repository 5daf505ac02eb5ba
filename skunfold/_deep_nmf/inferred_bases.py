"""Bases of the residual that are inferred from a sample of it, instead of being trained.

A network with masks has trained arrays P (R, F): bases, projections, output bases. Inferred
bases B (k, F_in), those of data that is known to be the residual alone, are appended to each of
them, times non-negative gains g (F,) of this array, which are trained as well::

    assembled    [P; B[:, -F:] g]                                          (R + k, F)
    gradients    dP = d[:R],  dg = sum over k of B[:, -F:] d[R:]           of d (R + k, F)

The map is linear with non-negative coefficients, so gradients in two non-negative parts are
mapped part by part. Output bases belong to the last features, those of the current frame.
"""

import copy

import numpy as np

from skunfold._deep_nmf.base import DeepNMFBase


def assembled(arrays, gains, bases):
    """Return the arrays (R + k, F) with the inferred bases; the arrays where these are None."""
    if bases is None:
        return list(arrays)
    return [
        np.concatenate([P, bases[:, -P.shape[1] :] * g], dtype=P.dtype)
        for P, g in zip(arrays, gains)
    ]


def mapped_back(gradients, bases, n_rows):
    """Return new arrays, by the arrays and by the gains, from gradients by assembled arrays.

    There may be one or, in the form of parts, two gradients for each array; those by the gains
    follow in the same order. Without inferred bases they are zero.
    """
    if bases is None:
        return [d.copy() for d in gradients] + [np.zeros_like(d[0]) for d in gradients]
    of_gains = [np.einsum("kf,kf->f", bases[:, -d.shape[1] :], d[n_rows:]) for d in gradients]
    return [d[:n_rows].copy() for d in gradients] + of_gains


def start_gains(network):
    """Return gains of one for the trained arrays of a fitted network."""
    return [np.ones_like(P[0]) for P in network._parameters_to_train()]


def with_inferred(network, gains, bases):
    """Return a fitted network with inferred bases in its residual; it cannot be fitted further.

    Parameters
    ----------
    network : DeepNMFRegressor
        A fitted one with masks, all of whose layers are trained.
    gains : list of ndarrays of shape (F,)
        Those of its trained arrays: of each distinct layer's bases and projections, and last
        of the output bases.
    bases : ndarray of shape (k, n_features)
        Those of the sample.
    """
    wide = copy.copy(network)
    *sizes, residual = network._group_sizes()
    wide.n_components = wide.group_sizes_ = (*sizes, residual + len(bases))
    arrays = assembled(network._parameters_to_train(), gains, bases.astype(gains[0].dtype))
    thetas, wide.output_bases_ = network._architecture().trained(arrays, network.target_scale_)
    wide._set_bases([W for W, *_ in thetas], [V for *_, V in thetas])
    wide._training_state = None
    return wide


def check_takes_samples(regressor):
    """Raise a ValueError unless a regressor of an enhancer can be given inferred bases."""
    name = type(regressor).__name__
    if not isinstance(regressor, DeepNMFBase) or regressor.output != "mask":
        raise ValueError(
            f"n_sample_components needs a DeepNMFRegressor with output='mask' as the "
            f"regressor, got {name}; set n_sample_components=None."
        )
    if regressor.n_trained_layers not in ("all", regressor.n_layers + 1):
        raise ValueError(
            "n_sample_components needs a regressor all of whose layers are trained, but it has "
            f"n_trained_layers={regressor.n_trained_layers}; set n_trained_layers='all'."
        )
    if regressor.n_jobs not in (None, 1):
        raise ValueError(
            f"n_sample_components needs a regressor with n_jobs=None, got {regressor.n_jobs}; "
            "it uses all threads of BLAS."
        )
