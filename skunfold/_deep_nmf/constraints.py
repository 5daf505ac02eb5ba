"""The ranges of the parameters of deep NMF, and what its solvers are."""

from numbers import Integral, Real
from typing import Any

from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from skunfold._estimator.base import UnfoldedEstimator
from skunfold._kernels.divergences import BETA
from skunfold._training.updates import ExponentiatedGradient, MultiplicativeUpdate

# solver: (update rule, whether parts are cancelled after each layer, learning_rate_init="auto")
SOLVERS = {
    "eg": (ExponentiatedGradient, True, 0.03),
    "mu": (MultiplicativeUpdate, True, 0.25),
    "naive-mu": (MultiplicativeUpdate, False, 1.0),
}

CONSTRAINTS: dict[str, list[Any]] = {
    **UnfoldedEstimator._parameter_constraints,
    "n_components": [Interval(Integral, 1, None, closed="left"), "array-like"],
    "n_trained_layers": [Interval(Integral, 0, None, closed="left"), StrOptions({"all"})],
    "output": [StrOptions({"linear", "mask"})],
    "beta_loss": [StrOptions(set(BETA)), Interval(Real, 0, None, closed="left")],
    "training_loss": [StrOptions(set(BETA)), Interval(Real, 0, None, closed="left")],
    "sparsity": [Interval(Real, 0, None, closed="left")],
    "relaxation": [Interval(Real, 1, 2, closed="both")],
    "fit_projections": ["boolean"],
    "recurrence": [Interval(Real, 0, 1, closed="both"), "array-like"],
    "init": [
        StrOptions({"nmf", "sparse_nmf", "random"}),
        HasMethods(["fit", "transform"]),
        "array-like",
        list,
    ],
    "solver": [StrOptions(set(SOLVERS))],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
    "memory": [None, str, HasMethods(["cache"])],
}
