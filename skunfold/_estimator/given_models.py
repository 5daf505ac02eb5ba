"""Checks of fitted models from which another model is made."""

from typing import Any

from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted


def check_given(model: Any, name: str, *classes: type, wanted: str | None = None) -> Any:
    """Return a fitted model of one of the classes, taken out of a FrozenEstimator if needed.

    The name of the argument and `wanted` (default: the names of the classes) are for the
    message of a TypeError or NotFittedError.
    """
    if isinstance(model, FrozenEstimator):
        model = model.estimator
    own = type(model).__name__
    if not isinstance(model, classes):
        wanted = wanted or " or ".join(cls.__name__ for cls in classes)
        raise TypeError(f"{name} is a {own}; give a fitted {wanted}{_advice(model)}.")
    try:
        check_is_fitted(model)
    except NotFittedError:
        raise NotFittedError(
            f"{name}, a {own}, is not fitted. Fit it first; within a search or another "
            "estimator, which clone it and so forget what it has learned, wrap it in "
            "sklearn.frozen.FrozenEstimator."
        ) from None
    return model


def _advice(model):
    """Return a hint where in the model the wanted one may be."""
    if isinstance(model, Pipeline):
        return ", such as the last step of the pipeline, pipeline[-1]"
    if hasattr(model, "best_estimator_"):
        return ", such as the best_estimator_ of the search"
    return ""
