"""The parameters of the training loop: what they mean, and their ranges.

Parameters
----------
learning_rate_decay : float, default=1.0
    Factor applied to the step size after every epoch, above 0 and at most 1. Ignored by
    `partial_fit`.

averaging : float, default=0.0
    Decay of a running average of the parameters, in [0, 1): about the last
    ``1 / (1 - averaging)`` updates count. The average is monitored and kept instead of the
    parameters, which allows larger steps. 0: no averaging. Ignored by `partial_fit`.

batch_size : int or "auto", default="auto"
    Samples of one update, at least 1; "auto" is ``min(200, n_samples)``.

max_iter : int, default=200
    Maximum number of epochs, at least 1; ignored if nothing is trained.

tol : float, default=1e-4
    Training stops when the monitored loss has not fallen by this fraction of itself for
    `n_iter_no_change` epochs in a row. 0 or more.

shuffle : bool, default=True
    Whether to shuffle the samples before each epoch.

early_stopping : bool, default=False
    Whether to monitor the loss of held-out samples instead of the training loss, and keep
    the parameters that are best on them. `fit` takes samples for it as `X_val`.

validation_fraction : float, default=0.1
    Fraction of the samples to hold out, between 0 and 1; only with `early_stopping` and
    without `X_val`.

n_iter_no_change : int or np.inf, default=10
    See `tol`; at least 1. With infinity training does not stop early.

warm_start : bool, default=False
    Whether `fit` continues from the last fit (parameters, step size, averages). A model
    from a model file continues with a new step size and new averages, unless it was saved
    with its training state.

random_state : int, RandomState instance or None, default=None
    Seed of the initialisation, of the held-out samples and of the shuffling.

verbose : int, default=0
    Above 0, prints a line of `history_` for every epoch.

n_jobs : int or None, default=None
    Number of joblib workers sharing each update in `fit`; -1 for all processors. They are
    threads, or what ``joblib.parallel_config`` says: processes, or a Dask cluster, all
    workers of which are then used. Samples are sent to them once. Each computes with one
    thread, those of Dask with their configured number of threads. The result is the same
    for any number of workers, up to rounding. None, or a single worker: this process, with
    as many threads as its BLAS would use.

Attributes
----------
n_parameters_ : int
    Number of distinct parameters.
n_iter_ : int
    Number of epochs of the last fit (1 if nothing is trained); earlier fits that it
    continued are in `history_`.
loss_ : float
    Monitored loss of the fitted model, per sample (with the penalty, if there is one,
    unless it is that of held-out samples); after `partial_fit` that of its batch before the
    updates.
loss_curve_ : list of float
    Training loss per sample of each epoch, each batch measured before its update.
best_loss_ : float or None
    Lowest training loss at the end of an epoch; None if samples were held out.
validation_loss_curve_ : list of float or None
    Loss of the held-out samples after each epoch; None without `early_stopping`.
validation_scores_ : list of float or None
    Their scores, R^2 for numbers and accuracy for classes; None without `early_stopping`.
best_validation_score_ : float or None
    The highest of these scores; None without `early_stopping`.
history_ : list of dict
    A dict for each epoch: "epoch"; "loss"; "final_loss", the loss of all samples at its
    end, or with held-out samples "validation_loss" and "validation_score"; "learning_rate"
    (not by "lbfgs"); "seconds".
n_features_in_ : int
    Number of features seen in `fit`.
feature_names_in_ : ndarray of shape (n_features,)
    Names of the features, where X has string names.
"""

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
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
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
