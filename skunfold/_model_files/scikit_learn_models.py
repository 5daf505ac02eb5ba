"""The estimators of scikit-learn that a model file may hold beside those of skunfold.

Only what is listed here is written and read: of each class its parameters, and those of its
fitted attributes that its methods need or a user may look at.  None of these classes runs code
that it finds in a parameter or an attribute; `memory`, which could, is refused.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.preprocessing import LabelBinarizer

from skunfold._model_files.values import (
    check_classes,
    check_present,
    float_array,
    float_arrays,
    require,
    whole_number,
)

_SEEN = ("n_features_in_", "feature_names_in_")
_MODULES = {
    "sklearn.decomposition": ("NMF",),
    "sklearn.frozen": ("FrozenEstimator",),
    "sklearn.neural_network": ("BernoulliRBM", "MLPClassifier"),
    "sklearn.pipeline": ("Pipeline",),
    "sklearn.preprocessing": (
        "Binarizer",
        "FunctionTransformer",
        "MaxAbsScaler",
        "MinMaxScaler",
        "Normalizer",
        "RobustScaler",
        "StandardScaler",
    ),
}
MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

# Fitted attributes of scalers: an array with one number for each feature, or None.
_SCALER_ARRAYS = {
    "Binarizer": (),
    "FunctionTransformer": (),
    "MaxAbsScaler": ("scale_", "max_abs_"),
    "MinMaxScaler": ("scale_", "min_", "data_min_", "data_max_", "data_range_"),
    "Normalizer": (),
    "RobustScaler": ("scale_", "center_"),
    "StandardScaler": ("scale_", "mean_", "var_"),
}
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    **{name: (*arrays, "n_samples_seen_", *_SEEN) for name, arrays in _SCALER_ARRAYS.items()},
    "BernoulliRBM": (
        "components_",
        "intercept_hidden_",
        "intercept_visible_",
        "h_samples_",
        *_SEEN,
    ),
    "FrozenEstimator": (),
    "MLPClassifier": (
        "classes_",
        "coefs_",
        "intercepts_",
        "n_layers_",
        "n_outputs_",
        "out_activation_",
        "n_iter_",
        "t_",
        "loss_",
        "loss_curve_",
        "best_loss_",
        "validation_scores_",
        "best_validation_score_",
        *_SEEN,
    ),
    "NMF": ("components_", "n_components_", "reconstruction_err_", "n_iter_", *_SEEN),
    "Pipeline": (),
}


def steps_of(pipeline: Any) -> list:
    """Return the steps of a pipeline that do something, in order."""
    return [step for _, step in pipeline.steps if isinstance(step, BaseEstimator)]


def end_of(estimator: Any, place: int) -> Any:
    """Return the first (0) or the last (-1) estimator of pipelines and FrozenEstimators."""
    while True:
        name = type(estimator).__name__
        if name == "FrozenEstimator":
            estimator = estimator.estimator
        elif name == "Pipeline":
            steps = steps_of(estimator)
            require(steps, "a pipeline in it does nothing")
            estimator = steps[place]
        else:
            return estimator


def _check_pipeline(pipeline):
    for step in pipeline.steps:
        pair = isinstance(step, tuple | list) and len(step) == 2
        require(pair and isinstance(step[0], str), "a step of its pipeline is no named step")
        idle = step[1] is None or (isinstance(step[1], str) and step[1] == "passthrough")
        require(idle or isinstance(step[1], BaseEstimator), "a step of its pipeline is no step")
    names = [name for name, _ in pipeline.steps]
    require(len(names) > 0, "its pipeline has no steps")
    require(len(set(names)) == len(names), "two steps of its pipeline have the same name")
    given = last = None
    for step in steps_of(pipeline):
        passed_on = last is None or hasattr(last, "transform")
        require(passed_on, "a step of its pipeline transforms nothing")
        taken = getattr(end_of(step, 0), "n_features_in_", None)
        require(
            None in (given, taken) or given == taken,
            f"{type(step).__name__} in its pipeline takes {taken} features, but gets {given}",
        )
        last = end_of(step, -1)
        given = _n_features_out(last)


def _n_features_out(step):
    """Return how many features a step passes on, or None where it is not fitted."""
    n_features = getattr(step, "n_features_in_", None)
    if n_features is None or type(step).__name__ in _SCALER_ARRAYS:
        return n_features
    return getattr(step, "_n_features_out", None)


def _check_frozen(frozen):
    require(isinstance(frozen.estimator, BaseEstimator), "its FrozenEstimator holds nothing")


def _check_scaler(scaler):
    n_features = check_present(scaler, "n_features_in_")
    whole_number("n_features_in_", n_features, 1)
    names = _SCALER_ARRAYS[type(scaler).__name__]
    check_present(scaler, *names)
    for name in names:
        if getattr(scaler, name) is not None:
            float_array(name, getattr(scaler, name), (n_features,))
    scale = getattr(scaler, "scale_", None)
    require(scale is None or np.all(scale), "its scale_ holds zeros")


def _check_nmf(nmf):
    components = float_array("components_", check_present(nmf, "components_"), (None, None))
    check_present(nmf, "n_components_", "n_features_in_")
    require(components.min() >= 0, "its components_ are negative somewhere")
    require(
        components.shape == (nmf.n_components_, nmf.n_features_in_),
        f"its components_ have the shape {components.shape}, which does not fit the rest",
    )


def _check_rbm(rbm):
    components = float_array("components_", check_present(rbm, "components_"), (None, None))
    check_present(rbm, "intercept_hidden_", "intercept_visible_", "n_features_in_")
    float_array("intercept_hidden_", rbm.intercept_hidden_, components.shape[:1])
    float_array("intercept_visible_", rbm.intercept_visible_, components.shape[1:])
    require(rbm.n_features_in_ == components.shape[1], "its n_features_in_ fits no component")
    rbm._n_features_out = len(components)


def _check_mlp(mlp):
    """Check the weights, and make what turns outputs into classes, which is private."""
    names = ("coefs_", "intercepts_", "classes_", "n_outputs_", "n_layers_", "out_activation_")
    check_present(mlp, *names, "n_features_in_")
    coefs = float_arrays("coefs_", mlp.coefs_, (None, None))
    intercepts = float_arrays("intercepts_", mlp.intercepts_, (None,))
    sizes = [mlp.n_features_in_, *(len(b) for b in intercepts)]
    require(
        [W.shape for W in coefs] == list(pairwise(sizes)),
        "its coefs_ and intercepts_ do not fit each other",
    )
    require(
        (mlp.n_layers_, mlp.n_outputs_) == (len(sizes), sizes[-1]),
        "its n_layers_ or n_outputs_ does not fit its coefs_",
    )
    kind = check_classes(mlp.classes_, mlp.n_outputs_, mlp.out_activation_)
    binarizer = mlp._label_binarizer = LabelBinarizer()
    binarizer.classes_, binarizer.sparse_input_ = mlp.classes_, False
    binarizer.y_type_ = "multilabel-indicator" if kind == "multilabel" else kind


# What must hold of a fitted estimator of each class; of pipelines, of any.
CHECKS: dict[str, Callable[[Any], None]] = {
    **dict.fromkeys(_SCALER_ARRAYS, _check_scaler),
    "BernoulliRBM": _check_rbm,
    "FrozenEstimator": _check_frozen,
    "MLPClassifier": _check_mlp,
    "NMF": _check_nmf,
    "Pipeline": _check_pipeline,
}
