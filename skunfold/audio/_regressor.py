"""The regressor of an enhancer: the one it has by default, and how it learns from mixtures."""

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import has_fit_parameter

from skunfold._estimator.data import was_interrupted
from skunfold.deep_nmf import DeepNMFRegressor

_MAX_MAGNITUDE = 1e18  # of frames at a level of 1; sums of larger ones leave single precision


class RegressorError(ValueError):
    """The regressor of an enhancer failed; the recording is not the cause."""


def estimated(predictor: Any, features: NDArray, n_bins: int) -> NDArray:
    """Return the magnitudes (n_frames, n_bins) that a regressor predicts, not below zero."""
    try:
        magnitudes = np.maximum(predictor.predict(features), 0)
    except Exception as error:
        raise RegressorError(f"The enhancer's regressor failed to predict: {error}") from error
    if magnitudes.shape != (len(features), n_bins):
        raise RegressorError(
            f"The enhancer's regressor returned the shape {magnitudes.shape} for "
            f"{len(features)} frames of {n_bins} bins; fit the enhancer again."
        )
    if not (magnitudes < _MAX_MAGNITUDE).all():  # nor NaN
        raise RegressorError(
            "The enhancer's regressor predicted magnitudes that are not finite, or above "
            f"{_MAX_MAGNITUDE:g} times the level of the recording; fit the enhancer again."
        )
    return magnitudes


def default_regressor(rng: np.random.RandomState) -> Any:
    """Return the default regressor of an enhancer."""
    return DeepNMFRegressor(
        n_components=100,
        n_layers=16,
        n_trained_layers="all",
        tied=True,
        output="mask",
        init="sparse_nmf",
        sparsity=2.0,
        relaxation=2.0,
        fit_projections=True,
        recurrence=0.5,
        learning_rate_init=0.05,
        averaging=0.995,
        batch_size=256,
        early_stopping=True,
        random_state=rng.randint(2**31 - 1),
    )


def fit_to_draws(
    regressor: Any,
    draws: Iterable[tuple[NDArray, NDArray, dict[str, Any]]],
    n_draws: int,
    known: dict,
) -> int:
    """Fit a regressor to one draw of mixtures after the other.

    Parameters
    ----------
    regressor : estimator
        Continues from draw to draw, if there are several.
    draws : iterable of tuples
        Features, targets, and what else `fit` is given, as far as it takes it: "sources",
        features of each source, for mask output only; "groups", the group of each frame;
        "lengths", the numbers of frames of the recordings.
    n_draws : int
        How many there are.
    known : dict
        What else `fit` of the regressor is given.

    Returns
    -------
    int
        Number of frames of the last draw that it learned from. Ctrl-C ends its fit with the
        best of it, and there is no other draw.
    """
    for X, y, offered in draws:
        offered = known | offered
        if getattr(regressor, "output", "mask") != "mask":
            del offered["sources"]
        taken = {k: v for k, v in offered.items() if has_fit_parameter(regressor, k)}
        if n_draws == 1:
            regressor.fit(X, y, **taken)
        else:
            _fit_on(regressor, X, y, taken)
        if was_interrupted(regressor):
            break
    return len(X)


def _fit_on(regressor: Any, X: NDArray, y: NDArray, fit_params: dict) -> None:
    """Let a regressor continue its last fit, if there is one, with other data."""
    warm_start = regressor.warm_start
    regressor.set_params(warm_start=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # other data follow
            regressor.fit(X, y, **fit_params)
    finally:
        regressor.set_params(warm_start=warm_start)
