"""The ranges of the parameters that the unfolded classifiers share."""

from numbers import Integral, Real
from typing import Any

from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from skunfold._estimator.base import UnfoldedEstimator
from skunfold._estimator.loop_parameters import FREE_CONSTRAINTS

CONSTRAINTS: dict[str, list[Any]] = {
    **UnfoldedEstimator._parameter_constraints,
    **FREE_CONSTRAINTS,
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "lateral": ["boolean"],
    "label_graph": [StrOptions({"full"}), "array-like", "sparse matrix", None],
    "coupling": [StrOptions({"edge", "local", "shared"})],
    "damping": [Interval(Real, 0, 1, closed="left")],
    "init": [StrOptions({"random", "rbm"}), HasMethods(["fit", "predict_proba"])],
    "class_weight": [StrOptions({"balanced"}), dict, None],
}
