"""Start values of a factorisation, and checks of given ones."""

import warnings

import numpy as np
from sklearn.utils.validation import check_array

from skunfold._deep_nmf.initialization import random_start
from skunfold._kernels.sparse_nmf import unit_rows, without_zeros


def bases_given(init, W, H):
    """Return (the given start bases, or None; whether they are H).

    They are `init`, or H if `init` is "custom"; otherwise W and H are ignored with a warning.
    """
    custom = isinstance(init, str) and init == "custom"
    if custom and (W is None or H is None):
        missing = "H" if H is None else "W"
        raise ValueError(
            f"init='custom' needs start values W and H in fit, but {missing} is missing; to "
            "start from bases alone, give them as init, an array."
        )
    if not custom and not (W is None and H is None):
        warnings.warn(
            "W and H are ignored unless init='custom'; set it to start from them.",
            RuntimeWarning,
        )
    if custom:
        return H, True
    return None if isinstance(init, str) else init, False


def start(X, bases, activations, fixed, n_components, random_state):
    """Return (activations, bases) to start from, for scaled data X.

    `activations` belong to the given bases before these are normalised. Both may be None. The
    fixed bases come first.
    """
    H, W = random_start(X, n_components, random_state)
    if bases is not None:
        bases = without_zeros(bases)
        W = unit_rows(bases)
    if activations is not None:
        H = without_zeros(activations * np.linalg.norm(bases, axis=1))
    W[: len(fixed)] = fixed
    return H, W


def valid_bases(name, bases, X, n_components, exactly=True):
    """Return rows of bases from a parameter or argument; none for None."""
    if bases is None:
        return np.empty((0, X.shape[1]), X.dtype)
    bases = check_array(bases, dtype=X.dtype, ensure_non_negative=True, input_name=name)
    rows_fit = len(bases) == n_components if exactly else len(bases) <= n_components
    if not rows_fit or bases.shape[1] != X.shape[1]:
        at_most = "" if exactly else "at most "
        raise ValueError(
            f"{name} has shape {bases.shape}; give {at_most}n_components={n_components} rows, "
            f"and {X.shape[1]} columns, one a feature."
        )
    return bases


def valid_activations(W, X, n_components):
    """Return activations from the argument W."""
    W = check_array(W, dtype=X.dtype, ensure_non_negative=True, input_name="W")
    if W.shape != (X.shape[0], n_components):
        raise ValueError(
            f"W has shape {W.shape}; give {X.shape[0]} rows, one a sample, and "
            f"n_components={n_components} columns."
        )
    return W
