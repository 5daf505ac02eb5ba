"""A fitted NMF as a deep NMF network."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.decomposition import NMF, MiniBatchNMF
from sklearn.utils.validation import check_array

from skunfold._estimator.given_models import check_given
from skunfold.deep_nmf import DeepNMFRegressor


def nmf_to_deep_nmf(
    nmf: NMF | MiniBatchNMF,
    X: ArrayLike,
    *,
    n_outputs: int | None = None,
    n_layers: int = 25,
    **params: Any,
) -> DeepNMFRegressor:
    """Return a fitted NMF as an untrained deep NMF network.

    Parameters
    ----------
    nmf : NMF or MiniBatchNMF
        Fitted; with an L1 penalty or none. `transform` of the network is `n_layers` of its
        multiplicative updates.
    X : array-like of shape (n_samples, n_features)
        Data whose mean sets the activation that inference begins with.
    n_outputs : int, default=None
        How many of the last features of the NMF are targets, which the network predicts from
        the others. None: the network reconstructs its features.
    n_layers : int, default=25
        Number of iterations.
    **params
        Further parameters of the estimator.

    Returns
    -------
    model : DeepNMFRegressor
        With ``n_trained_layers=0``; set that to "all", or any number, to train it.

    Raises
    ------
    TypeError
        If `nmf` is of another class.
    ValueError
        If it is not fitted or has an L2 penalty, or X does not have its features.
    """
    nmf = check_given(nmf, "nmf", NMF, MiniBatchNMF)
    if nmf.alpha_W > 0 and nmf.l1_ratio < 1:
        raise ValueError(
            f"nmf has alpha_W={nmf.alpha_W} and l1_ratio={nmf.l1_ratio}; only an L1 penalty "
            "can be unfolded, so use l1_ratio=1."
        )
    components = nmf.components_
    data = check_array(X, dtype=components.dtype, ensure_non_negative=True, input_name="X")
    n_features = components.shape[1] - (n_outputs or 0)
    if data.shape[1] != n_features or n_features < 1:
        raise ValueError(
            f"X has {data.shape[1]} features; with n_outputs={n_outputs} this NMF of "
            f"{components.shape[1]} features needs {n_features}."
        )
    return DeepNMFRegressor.from_bases(
        components[:, :n_features],
        components[:, -(n_outputs or n_features) :],
        initial_activation=float(np.sqrt(data.mean() / len(components))) or 1.0,
        n_layers=n_layers,
        n_trained_layers=0,
        beta_loss=nmf.beta_loss,
        sparsity=nmf.alpha_W * n_features,
        **params,
    )
