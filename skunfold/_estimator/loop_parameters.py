"""The ranges of the parameters of the training loop."""

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils._param_validation import Interval, Options, StrOptions

CONSTRAINTS: dict[str, list[Any]] = {
    "n_layers": [Interval(Integral, 1, None, closed="left")],
    "tied": ["boolean"],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
    "learning_rate_decay": [Interval(Real, 0, 1, closed="right")],
    "averaging": [Interval(Real, 0, 1, closed="left")],
    "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "tol": [Interval(Real, 0, None, closed="left")],
    "shuffle": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [
        Interval(Integral, 1, None, closed="left"),
        Options(Real, {np.inf}),
    ],
    "warm_start": ["boolean"],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
    "n_jobs": [
        None,
        Interval(Integral, None, -1, closed="right"),
        Interval(Integral, 1, None, closed="left"),
    ],
}

# For models with a penalty, and solvers that do not keep arrays positive.
FREE_CONSTRAINTS: dict[str, list[Any]] = {
    "alpha": [Interval(Real, 0, None, closed="left")],
    "solver": [StrOptions({"adam", "sgd", "lbfgs"})],
}
