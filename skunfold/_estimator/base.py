"""One estimator above the training loop: its parameters, `fit` and `partial_fit`."""

import copy
from abc import ABCMeta, abstractmethod
from typing import Self

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import ArrayLike
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.model_selection import GroupShuffleSplit
from sklearn.utils import check_random_state

from skunfold._estimator.checked_input import CheckedInput
from skunfold._estimator.data import (
    Given,
    check_groups,
    check_validation_given,
    restored_on_failure,
    results_of,
    rows_of,
    split_rows,
    warn_if_still_improving,
)
from skunfold._estimator.documentation import DocumentedEstimator
from skunfold._estimator.loop_parameters import CONSTRAINTS
from skunfold._estimator.prepared import prepared_once
from skunfold._training import resuming
from skunfold._training.averaging import RunningAverage
from skunfold._training.callbacks import CallbackSupportMixin, EpochCallbacks, with_callbacks
from skunfold._training.lbfgs import fit_lbfgs
from skunfold._training.loop import LoopSettings, TrainingState, copies, fit_loop, train_once
from skunfold._training.objective import Objective
from skunfold._training.protocol import Samples
from skunfold._training.sharded import ShardedObjective


class UnfoldedEstimator(
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    DocumentedEstimator,
    CheckedInput,
    BaseEstimator,
    metaclass=ABCMeta,
):
    """An unfolded model above the training loop.

    A subclass defines its network, its parameters and the meaning of its targets. `_made` names
    a fitted attribute that a network has from the start, and `_learned` the attributes that
    inference uses. `n_outputs_` is set by `_learn_targets`.
    """

    _parameter_constraints: dict = CONSTRAINTS
    _auto_batch_size = 200  # batch_size="auto", where there are as many samples
    _training_state: tuple | None = None  # what was trained, and the state of training
    _made: str
    _learned: frozenset[str]
    n_outputs_: int

    def __init__(
        self,
        *,
        n_layers: int,
        tied: bool,
        solver: str,
        learning_rate_init: float | str,
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
    def _score_of(self, samples, output):
        """Return the score of the outputs of validation samples, for the history."""

    @abstractmethod
    def _splitter(self, y):
        """Return the class that splits off validation samples, and what it stratifies by."""

    @abstractmethod
    def _initialise(self, X, y, weight):
        """Set the attributes of an untrained network, for encoded targets.

        A subclass may take more arguments, which `_fit` and `_partial_fit` pass on.
        """

    @abstractmethod
    def _network(self):
        """Return the trained part as the training loop sees it."""

    @abstractmethod
    def _update_rule(self):
        """Return a new update rule."""

    @abstractmethod
    def _parameters_to_train(self):
        """Return the arrays that training begins with."""

    @abstractmethod
    def _fitted_parameters(self, state):
        """Return the attributes that the parameters of a training state become.

        A state without parameters is that of a network of which nothing is trained.
        """

    @abstractmethod
    def transform(self, X):
        """Return the outputs of the last layer."""

    @property
    def _is_trained(self):
        """Whether there is anything to train."""
        return True

    @property
    def _loss_unit(self):
        """The factor from losses of the computation to losses in the units of the data."""
        return 1.0

    def _penalty(self):
        """Return the penalty on the parameters, or None."""
        return

    def _mean_loss(self, data):
        """Return the loss of a network of which nothing is trained."""
        raise NotImplementedError

    def _check_input(self, X, suffix=""):
        """Check nothing, unless a subclass does."""

    def _check_units(self, data, suffix=""):
        """Check that samples are in the range that a fitted network can compute with."""

    def _rows_to_initialise_from(self, rows, X):
        """Return the training rows that `_initialise` gets."""
        return rows

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
        X_val: ArrayLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Initialise the network and train it.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data; sparse for unfolded fields only, here and in the other methods.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets. For a classifier: classes, or a label indicator matrix of 0 and 1. A class
            whose samples all have weight 0 is in `classes_`, but is not learned.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the training loss, 0 or more, not all 0.
        groups : array-like of shape (n_samples,), default=None
            With `early_stopping`, whole groups are held out if there is more than one. Ignored
            if `X_val` is given.
        X_val, y_val : array-like, default=None
            With `early_stopping`, samples to monitor instead of a part of X; given together.
        sample_weight_val : array-like of shape (n_val,), default=None
            Weights of these in the monitored loss, 0 or more, not all 0.

        Returns
        -------
        self : estimator

        Raises
        ------
        ValueError
            If data is not finite, or negative where the model needs non-negative data; if a
            label indicator matrix holds values other than 0 and 1; if shapes or parameters do
            not fit each other or the data.
        """
        validation = Given(X_val, y_val, sample_weight_val)
        return self._fit(Given(X, y, sample_weight), groups, validation)

    def _fit(self, given, groups, validation, **for_initialisation):
        """Initialise and train, as `fit` says."""
        going_on = self.warm_start and hasattr(self, self._made)
        check_validation_given(validation, self.early_stopping)
        with restored_on_failure(self):
            data = self._checked(given, first=not going_on)
            groups = check_groups(groups, data.X.shape[0])
            valid = self._validation_data(validation, data.X.dtype)
            data, groups = self._used(data, groups)
            rows, held_out_rows = self._split(data, groups, valid)
            if not going_on:
                some = self._rows_to_initialise_from(rows, data.X)
                arrays = rows_of(some, data.X, data.targets, data.weight)
                self._initialise(*arrays, **for_initialisation)
            self._check_units(data)
            if valid is not None:
                self._check_units(valid, "_val")
            n_epochs = self.max_iter if self._is_trained else 0
            callbacks = EpochCallbacks(self, data.X, data.y, data.weight, n_epochs)
            if self._is_trained:
                samples = self._samples(data)
                if valid is not None:
                    valid = self._samples(valid)
                elif held_out_rows is not None:
                    valid = samples[held_out_rows]
                self._train(samples[rows], valid, callbacks)
            else:
                self._measure(data)
            callbacks.end_fit()
        return self

    def _partial_fit(self, given, classes=None, **for_initialisation):
        """Train for one pass, as `partial_fit` of the subclasses says."""
        first = not hasattr(self, self._made)
        with restored_on_failure(self):
            data, _ = self._used(self._checked(given, first, classes, stream=True), None)
            if first:
                self._initialise(data.X, data.targets, data.weight, **for_initialisation)
            self._check_units(data)
            if self._is_trained:
                samples, state = self._samples(data), self._state()
                state.average = None
                with self._objective(samples, n_jobs=None) as objective:
                    train_once(objective, state, samples, self._loop_settings(samples))
                self._set_results(state)
            else:
                self._measure(data)
        return self

    def _used(self, data, groups):
        """Return the Data and the groups of the rows to train on: those with a weight."""
        return data.with_weight(groups)

    def _split(self, data, groups, valid):
        """Return the rows to train on and those held out, or None where there are none."""
        if not self.early_stopping or valid is not None or self.solver == "lbfgs":
            return slice(None), None
        if groups is not None and len(np.unique(groups)) > 1:
            return split_rows(self, GroupShuffleSplit, data.y.shape[0], groups=groups)
        splitter, strata = self._splitter(data.y)
        return split_rows(self, splitter, data.y.shape[0], strata)

    def _samples(self, data):
        """Return the samples as the network takes them."""
        return Samples((data.X,), data.targets, data.weight)

    def _objective(self, samples, n_jobs):
        """Return the loss with its penalty, over samples that workers may share."""
        if n_jobs is None or effective_n_jobs(n_jobs) == 1:
            return Objective(self._network(), self._penalty())
        return ShardedObjective(self._network(), samples, n_jobs, self._penalty())

    def _train(self, samples, valid, callbacks):
        """Train from the current parameters, and set the results."""
        state, settings = self._state(), self._loop_settings(samples)
        callbacks.watch(lambda: self._results(state))
        with self._objective(samples, self.n_jobs) as objective:
            if self.solver == "lbfgs":
                fit_lbfgs(objective, state, samples, settings, callbacks)
            else:
                if self.averaging > 0 and state.average is None:
                    state.average = RunningAverage(self.averaging, state.parameters)
                fit_loop(objective, state, samples, settings, valid, self._score_of, callbacks)
        self._set_results(state)
        warn_if_still_improving(state, self.max_iter, self.tol)

    def _measure(self, data):
        """Set the attributes that training would set, for a network without trained layers."""
        state = TrainingState([], None, np.random.RandomState())
        state.best_loss = self._mean_loss(data)
        self._set_results(state)
        self.loss_curve_ = [state.best_loss * self._loss_unit]
        self._training_state = None

    def _loop_settings(self, samples):
        if self.solver == "lbfgs":
            batch_size = len(samples)
        elif isinstance(self.batch_size, str):
            batch_size = min(self._auto_batch_size, len(samples))
        else:
            batch_size = self.batch_size
        return LoopSettings(
            max_iter=self.max_iter,
            batch_size=batch_size,
            tol=self.tol,
            n_iter_no_change=self.n_iter_no_change,
            shuffle=self.shuffle,
            verbose=self.verbose,
            learning_rate_decay=self.learning_rate_decay,
            loss_unit=self._loss_unit,
        )

    def _state(self):
        """Return the state of training: that of the last fit, unless other parts were trained.

        It is a copy, so that the last fit is unchanged if this one fails.
        """
        known, state = self._training_state or (None, None)
        if known == self._trained_settings():
            return copy.deepcopy(state)
        parameters = copies(self._parameters_to_train())
        random_state = check_random_state(self.random_state)
        return TrainingState(parameters, self._update_rule(), random_state)

    def _trained_settings(self):
        return (
            self.solver,
            self._n_trained,
            self.tied,
            self.learning_rate_init,
            self.averaging,
        )

    def _results(self, state):
        """Return the attributes that training changes, for a training state."""
        results = results_of(state, self._loss_unit, self.early_stopping)
        results["_training_state"] = (self._trained_settings(), state)
        return self._fitted_parameters(state) | results

    def _set_results(self, state):
        """Set the attributes that training changes."""
        for name, value in self._results(state).items():
            setattr(self, name, value)

    @property
    def _n_trained(self):
        """How many layers are trained, the last one included."""
        return self.n_layers + 1

    def _kept(self, key, prepare):
        """Return prepare(), or its last result if that is still valid."""
        return prepared_once(self, self._learned, key, prepare)

    def __getstate__(self):
        """Return the attributes, with the state of training as plain data."""
        return resuming.pickled(super().__getstate__())

    def __setstate__(self, state):
        """Restore the state of training from data."""
        super().__setstate__(resuming.unpickled(state))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def trains_on_batches(estimator):
    """Raise an AttributeError if the solver takes all samples at once; else return True."""
    if estimator.solver == "lbfgs":
        raise AttributeError("partial_fit needs solver='adam' or 'sgd', not 'lbfgs'.")
    return True
