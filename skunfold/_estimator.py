"""One estimator above the training loop: its parameters, `fit` and `partial_fit`."""

from abc import ABCMeta, abstractmethod
from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.model_selection import GroupShuffleSplit
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import (
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from skunfold._fitting import (
    TrainedEstimator,
    checked_weights,
    restored_on_failure,
    rows_of,
    split_rows,
)
from skunfold._kernels.sparse_rows import canonical
from skunfold._training.averaging import RunningAverage
from skunfold._training.callbacks import CallbackSupportMixin, EpochCallbacks
from skunfold._training.lbfgs import fit_lbfgs
from skunfold._training.loop import fit_loop, train_once
from skunfold._training.objective import L2Penalty, Objective
from skunfold._training.protocol import Samples
from skunfold._training.sharded import ShardedObjective

CONSTRAINTS: dict[str, list[Any]] = {
    "n_layers": [Interval(Integral, 1, None, closed="left")],
    "tied": ["boolean"],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "solver": [StrOptions({"adam", "sgd", "lbfgs"})],
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


class UnfoldedEstimator(
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    TrainedEstimator,
    metaclass=ABCMeta,
):
    """An unfolded model above the training loop.

    A subclass says what its network and its parameters are, and what its targets mean.
    """

    _parameter_constraints: dict = CONSTRAINTS
    _auto_batch_size = 200
    _accept_sparse: str | bool = False
    _made: str  # the fitted attribute that a network has from the start

    def __init__(
        self,
        *,
        n_layers: int,
        tied: bool,
        alpha: float,
        solver: str,
        learning_rate_init: float,
        learning_rate_decay: float,
        averaging: float,
        batch_size: int | str,
        max_iter: int,
        tol: float,
        shuffle: bool,
        early_stopping: bool,
        validation_fraction: float,
        n_iter_no_change: int | float,
        warm_start: bool,
        random_state: int | np.random.RandomState | None,
        verbose: int,
        n_jobs: int | None,
    ) -> None:
        self.n_layers = n_layers
        self.tied = tied
        self.alpha = alpha
        self.solver = solver
        self.learning_rate_init = learning_rate_init
        self.learning_rate_decay = learning_rate_decay
        self.averaging = averaging
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tol = tol
        self.shuffle = shuffle
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose
        self.n_jobs = n_jobs

    @abstractmethod
    def _check_settings(self):
        """Check parameters against each other."""

    @abstractmethod
    def _learn_targets(self, y, classes=None, first=True, stream=False):
        """Set what is known of checked targets, or check that it is what was known."""

    @abstractmethod
    def _encoded(self, y, dtype):
        """Return targets as an array (n_samples, n_outputs)."""

    @abstractmethod
    def _score_of(self, samples, output):
        """Return the score of the outputs of validation samples, for the history."""

    @abstractmethod
    def _splitter(self, y):
        """Return the class that splits off validation samples, and what it stratifies by."""

    @abstractmethod
    def _initialise(self, X, y, weight):
        """Set the attributes of an untrained network, for encoded targets."""

    @abstractmethod
    def _check_structure(self):
        """Check that what shapes the network is as it was in the fit."""

    @abstractmethod
    def _network(self):
        """Return the trained part as the training loop sees it."""

    @abstractmethod
    def _penalised_places(self):
        """Return the places, in the list of parameters, of those with a penalty."""

    @abstractmethod
    def transform(self, X):
        """Return what the last layer has inferred."""

    @property
    def _is_trained(self):
        """Whether there is anything to train."""
        return True

    def _measure(self, X, y, weight):
        """Set what training would have set, for a network of which nothing is trained."""
        raise NotImplementedError

    def _check_input(self, X, suffix=""):
        """Check data beyond what scikit-learn checks."""

    def _fit(self, X, y, sample_weight, groups, validation):
        """Initialise and train, as `fit` of the subclasses says."""
        going_on = self.warm_start and hasattr(self, self._made)
        with restored_on_failure(self):
            self._check_settings()
            X, y, weight = self._validated(X, y, sample_weight, reset=not going_on)
            groups = _checked_groups(groups, X.shape[0])
            self._learn_targets(y, first=not going_on)
            if going_on:
                self._check_structure()
            valid = self._held_out(validation, X)
            data = _with_weight(X, self._encoded(y, X.dtype), weight, y, groups)
            X, targets, weight, y, groups = data
            rows, held_out_rows = self._split(y, groups, valid)
            if not going_on:
                self._initialise(*rows_of(rows, X, targets, weight))
            callbacks = EpochCallbacks(self, X, y, weight, self.max_iter)
            if self._is_trained:
                samples = self._samples(X, targets, weight)
                if valid is not None:
                    valid = self._samples(*valid)
                elif held_out_rows is not None:
                    valid = samples[held_out_rows]
                self._train(samples[rows], valid, callbacks)
            else:
                self._measure(X, targets, weight)
            callbacks.end_fit()
        return self

    def _partial_fit(self, X, y, sample_weight, classes=None):
        """Train for one pass, as `partial_fit` of the subclasses says."""
        first = not hasattr(self, self._made)
        with restored_on_failure(self):
            self._check_settings()
            X, y, weight = self._validated(X, y, sample_weight, reset=first)
            self._learn_targets(y, classes, first, stream=True)
            data = _with_weight(X, self._encoded(y, X.dtype), weight)
            if first:
                self._initialise(*data)
            else:
                self._check_structure()
            if self._is_trained:
                samples, state = self._samples(*data), self._state()
                state.average = None
                with self._objective(samples, n_jobs=None) as objective:
                    train_once(objective, state, samples, self._loop_settings(len(samples)))
                self._set_results(state)
            else:
                self._measure(*data)
        return self

    def _validated(self, X, y, sample_weight, reset, suffix=""):
        """Check and return X, y and the weights."""
        X, y = validate_data(
            self,
            X,
            y,
            reset=reset,
            accept_sparse=self._accept_sparse,
            dtype=[np.float64, np.float32],
            multi_output=True,
        )
        X = canonical(X)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        self._check_input(X, suffix)
        return X, y, self._weights(X, y, sample_weight, suffix)

    def _weights(self, X, y, sample_weight, suffix):
        """Return the checked weights, or None."""
        return checked_weights(sample_weight, X, suffix)

    def _held_out(self, validation, X):
        """Return checked (X, targets, weights) for validation in the dtype of X, or None."""
        X_val, y_val, weight = validation
        if all(given is None for given in validation):
            return None
        if X_val is None or y_val is None:
            raise ValueError(
                f"{'X_val' if X_val is None else 'y_val'} is missing; give X_val and y_val "
                "together, and sample_weight_val only with both."
            )
        if not self.early_stopping:
            raise ValueError(
                "X_val and y_val were given, but early_stopping is False; set "
                "early_stopping=True."
            )
        X_val, y_val, weight = self._validated(X_val, y_val, weight, reset=False, suffix="_val")
        return X_val.astype(X.dtype, copy=False), self._encoded(y_val, X.dtype), weight

    def _split(self, y, groups, valid):
        """Return the rows to train on and those held out, or None where there are none."""
        if not self.early_stopping or valid is not None or self.solver == "lbfgs":
            return slice(None), None
        if groups is not None and len(np.unique(groups)) > 1:
            return split_rows(self, GroupShuffleSplit, y.shape[0], groups=groups)
        splitter, strata = self._splitter(y)
        return split_rows(self, splitter, y.shape[0], strata)

    def _samples(self, X, y, weight):
        """Return the samples as the network takes them."""
        return Samples((X,), y, weight)

    def _objective(self, samples, n_jobs):
        """Return the loss with its penalty, over samples that workers may share."""
        penalty = L2Penalty(self.alpha, tuple(self._penalised_places()))
        if n_jobs is None or effective_n_jobs(n_jobs) == 1:
            return Objective(self._network(), penalty)
        return ShardedObjective(self._network(), samples, n_jobs, penalty)

    def _train(self, samples, valid, callbacks):
        """Train from where the parameters stand, and set the results."""
        state, settings = self._state(), self._loop_settings(len(samples))
        callbacks.watch(lambda: self._results(state))
        with self._objective(samples, self.n_jobs) as objective:
            if self.solver == "lbfgs":
                fit_lbfgs(objective, state, samples, settings, callbacks)
            else:
                if self.averaging > 0 and state.average is None:
                    state.average = RunningAverage(self.averaging, state.parameters)
                fit_loop(objective, state, samples, settings, valid, self._score_of, callbacks)
        self._set_results(state)
        self._warn_if_still_improving(state)

    def _loop_settings(self, n_samples):
        settings = super()._loop_settings(n_samples)
        if self.solver == "lbfgs":
            settings = replace(settings, batch_size=n_samples)
        return replace(settings, learning_rate_decay=self.learning_rate_decay)

    def _trained_settings(self):
        return (
            self.solver,
            self._n_trained,
            self.tied,
            self.learning_rate_init,
            self.averaging,
        )

    @property
    def _n_trained(self):
        """How many layers are trained, the last one among them."""
        return self.n_layers + 1

    def _validated_data(self, X):
        """Return checked data for inference."""
        check_is_fitted(self)
        X = validate_data(
            self,
            X,
            reset=False,
            accept_sparse=self._accept_sparse,
            dtype=[np.float64, np.float32],
        )
        X = canonical(X)
        self._check_input(X)
        return X

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def trains_on_batches(estimator):
    """Raise an AttributeError if the solver takes all samples at once; else return True."""
    if estimator.solver == "lbfgs":
        raise AttributeError("partial_fit needs solver='adam' or 'sgd', not 'lbfgs'.")
    return True


def _checked_groups(groups, n_samples):
    """Return the groups of the samples as an array, or None."""
    if groups is None:
        return None
    groups = np.asarray(groups)
    if groups.shape != (n_samples,):
        raise ValueError(
            f"groups has the shape {groups.shape}; give one for each of the {n_samples} "
            "samples."
        )
    return groups


def _with_weight(X, y, weight, *others):
    """Return the samples whose weight is not zero."""
    if weight is None or weight.all():
        return X, y, weight, *others
    return rows_of(weight > 0, X, y, weight, *others)
