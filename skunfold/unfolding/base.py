"""What the estimators of unfolded iterations share: fitting, streams, inference."""

from abc import ABCMeta, abstractmethod
from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone
from sklearn.model_selection import GroupShuffleSplit
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
    check_non_negative,
    column_or_1d,
    validate_data,
)

from skunfold._fitting import TrainedEstimator, restored_on_failure, rows_of, split_rows
from skunfold._kernels.blocks import map_samples
from skunfold._training.averaging import RunningAverage
from skunfold._training.callbacks import CallbackSupportMixin, EpochCallbacks
from skunfold._training.lbfgs import fit_lbfgs
from skunfold._training.loop import TrainingState, fit_loop, train_once
from skunfold._training.objective import L2Penalty, Objective
from skunfold._training.protocol import Samples
from skunfold._training.sharded import ShardedObjective
from skunfold._training.updates import SGD, MixedAdam
from skunfold.unfolding.iteration import Iteration, flags_of
from skunfold.unfolding.network import Unfolding
from skunfold.unfolding.readouts import Readout

PATIENCE = 5  # epochs without a lower loss before the step is halved

CONSTRAINTS: dict[str, list[Any]] = {
    "iteration": [Iteration],
    "readout": [Readout, None],
    "n_layers": [Interval(Integral, 1, None, closed="left")],
    "n_trained_layers": [Interval(Integral, 0, None, closed="left"), StrOptions({"all"})],
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
    "n_jobs": [None, Integral],
}


class UnfoldedEstimator(
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    TrainedEstimator,
    metaclass=ABCMeta,
):
    """An unfolded iteration above the training loop; a subclass says what its targets are."""

    _parameter_constraints: dict = CONSTRAINTS
    _auto_batch_size = 200
    _learned = frozenset({"iteration_", "readout_", "theta_", "readout_parameters_"})

    def __init__(
        self,
        iteration: Iteration,
        *,
        readout: Readout | None,
        n_layers: int,
        n_trained_layers: int | str,
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
        self.iteration = iteration
        self.readout = readout
        self.n_layers = n_layers
        self.n_trained_layers = n_trained_layers
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
    def _default_readout(self):
        """Return the readout where none is given."""

    @abstractmethod
    def _criterion(self):
        """Return the loss that training minimises."""

    @abstractmethod
    def _learn_targets(self, y, classes=None, first=True):
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

    def _fit(self, X, y, sample_weight, groups, validation):
        """Initialise and train, as `fit` of the subclasses says."""
        going_on = self.warm_start and hasattr(self, "theta_")
        with restored_on_failure(self):
            X, y, weight = self._validated(X, y, sample_weight, reset=not going_on)
            if going_on:
                self._check_structure()
            self._learn_targets(y, first=not going_on)
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
        first = not hasattr(self, "theta_")
        with restored_on_failure(self):
            X, y, weight = self._validated(X, y, sample_weight, reset=first)
            self._learn_targets(y, classes, first)
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
            self, X, y, reset=reset, dtype=[np.float64, np.float32], multi_output=True
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        self._check_sign(X, suffix)
        return X, y, self._weights(X, y, sample_weight, suffix)

    def _check_sign(self, X, suffix=""):
        if self.iteration.non_negative_input:
            check_non_negative(X, f"{type(self).__name__} (argument X{suffix})")

    def _weights(self, X, y, sample_weight, suffix):
        """Return the checked weights, or None."""
        if sample_weight is None:
            return None
        weight = _check_sample_weight(sample_weight, X, dtype=X.dtype, ensure_non_negative=True)
        if not weight.any():
            raise ValueError(
                f"sample_weight{suffix} is zero for all samples; give some a weight above 0."
            )
        return weight

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
            return split_rows(self, GroupShuffleSplit, len(y), groups=groups)
        splitter, strata = self._splitter(y)
        return split_rows(self, splitter, len(y), strata)

    @property
    def _n_trained(self):
        """How many layers are trained, the readout among them."""
        return self.n_layers + 1 if self.n_trained_layers == "all" else self.n_trained_layers

    @property
    def _n_frozen(self):
        """How many layers, from the first, are not trained."""
        return self.n_layers - max(self._n_trained - 1, 0)

    @property
    def _is_trained(self):
        """Whether there is anything to train."""
        return self._n_trained > 0 and len(self._parameters_to_train()) > 0

    @property
    def _sets(self):
        """For each trained layer of the iteration, the places of its theta in the flat list."""
        n, n_layers = len(self.theta_[0]), self.n_layers - self._n_frozen
        starts = [0] * n_layers if self.tied else range(0, n * n_layers, n)
        return tuple(tuple(range(start, start + n)) for start in starts)

    def _flags(self):
        """Return for each trained parameter whether it stays positive."""
        of_theta = flags_of(self.iteration_.positive, len(self.theta_[0]))
        of_readout = flags_of(self.readout_.positive, len(self.readout_parameters_))
        return of_theta * len({*self._sets}) + of_readout

    def _initialise(self, X, y, weight):
        """Set the attributes of an untrained network."""
        if self._n_trained > self.n_layers + 1:
            raise ValueError(
                f"n_trained_layers={self.n_trained_layers} is more than there are; with "
                f"n_layers={self.n_layers} give at most {self.n_layers + 1}, or 'all'."
            )
        rng = check_random_state(self.random_state)
        self.iteration_ = clone(self.iteration)
        self.readout_ = clone(self.readout or self._default_readout())
        theta = _as_arrays(self.iteration_.parameters(X, y, rng), X.dtype)
        self.theta_ = [theta] * self.n_layers
        h = self._states(X)
        given = self.readout_.parameters(X, y, h, weight)
        self.readout_parameters_ = _as_arrays(given, X.dtype)
        self.n_states_ = h.shape[1]
        self._training_state = None

    def _check_structure(self):
        """Check that what shapes the network is as it was in the fit."""
        otherwise = "set it back, or fit again with warm_start=False."
        if self.n_layers != len(self.theta_):
            raise ValueError(
                f"n_layers={self.n_layers}, but the model was fitted with {len(self.theta_)} "
                "layers; " + otherwise
            )
        _, sets = _flat(self.theta_[self._n_frozen :])
        if self.tied and len({*sets}) > 1:
            raise ValueError("tied=True, but the layers of the fit were untied; " + otherwise)

    def _samples(self, X, y, weight):
        """Return the samples, with the state that the layers that are not trained end with."""
        if self._n_frozen == 0:
            return Samples((X,), y, weight)
        return Samples((X, self._states(X, self._n_frozen)), y, weight)

    def _network(self):
        """Return the trained part as the training loop sees it."""
        return Unfolding(
            self.iteration_, self.readout_, self._criterion(), self._sets, self._n_frozen
        )

    def _objective(self, samples, n_jobs):
        """Return the loss with its penalty, over samples that workers may share."""
        parameters, positive = self._parameters_to_train(), self._flags()
        matrices = [i for i, p in enumerate(parameters) if p.ndim > 1 and not positive[i]]
        penalty = L2Penalty(self.alpha, tuple(matrices))
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

    def _measure(self, X, y, weight):
        """Set what training would have set, for a network of which nothing is trained."""
        network, parameters = self._fitted_network(X.dtype)
        state = TrainingState([], None, np.random.RandomState())
        with Objective(network) as objective:
            state.best_loss = objective.evaluate(parameters, Samples((X,), y, weight))
        self._set_results(state)
        self._training_state = None

    def _loop_settings(self, n_samples):
        settings = super()._loop_settings(n_samples)
        if self.solver == "lbfgs":
            settings = replace(settings, batch_size=n_samples)
        return replace(
            settings, learning_rate_decay=self.learning_rate_decay, patience=PATIENCE
        )

    def _trained_settings(self):
        return (
            self.solver,
            self._n_trained,
            self.tied,
            self.learning_rate_init,
            self.averaging,
        )

    def _update_rule(self):
        positive = self._flags()
        if self.solver == "adam":
            return MixedAdam(self.learning_rate_init, positive)
        if any(positive):
            raise ValueError(
                f"solver={self.solver!r} cannot keep parameters positive, as those of "
                f"{type(self.iteration_).__name__} and {type(self.readout_).__name__} must "
                "stay; use 'adam'."
            )
        return SGD(self.learning_rate_init)  # which "lbfgs" does not use

    def _parameters_to_train(self):
        trained = self.theta_[self._n_frozen :]
        distinct = trained[:1] if self.tied else trained
        return [*(p for theta in distinct for p in theta), *self.readout_parameters_]

    def _fitted_parameters(self, state):
        theta_, of_readout = self.theta_, self.readout_parameters_
        if best := state.best_parameters:
            sets = self._sets
            n = Unfolding(None, None, None, sets).n_of_layers
            made = {places: tuple(best[i] for i in places) for places in sets}
            theta_ = theta_[: self._n_frozen] + [made[places] for places in sets]
            of_readout = tuple(best[n:])
        parameters, _ = _flat(theta_)
        return {
            "theta_": theta_,
            "readout_parameters_": of_readout,
            "n_parameters_": sum(p.size for p in [*parameters, *of_readout]),
        }

    def _fitted_network(self, dtype):
        """Return the network of all layers and its parameters in a dtype; prepared once."""

        def prepare():
            parameters, sets = _flat(self.theta_)
            parameters = [*parameters, *self.readout_parameters_]
            network = Unfolding(self.iteration_, self.readout_, self._criterion(), sets)
            return network, [p.astype(dtype, copy=False) for p in parameters]

        return self._kept(dtype, prepare)

    def _states(self, X, n_layers=None):
        """Return the state (n_samples, n_states) after the first layers, all by default."""
        parameters, sets = _flat(self.theta_[:n_layers])
        parameters = [p.astype(X.dtype, copy=False) for p in parameters]
        network = Unfolding(self.iteration_, None, None, sets)

        def last(X):
            *_, h = network.states(parameters, X)
            return h

        def fill(out, work, X):
            out[:] = last(X)

        out = np.empty((len(X), last(X[:1]).shape[1]), X.dtype)
        return map_samples(fill, out, _largest(parameters), X)

    def _outputs(self, X):
        """Return the outputs (n_samples, n_outputs) of checked data."""
        network, parameters = self._fitted_network(X.dtype)

        def fill(out, work, X):
            out[:] = network.output(parameters, X)

        out = np.empty((len(X), self.n_outputs_), X.dtype)
        return map_samples(fill, out, _largest(parameters), X)

    def _staged_outputs(self, X):
        """Yield the outputs (n_samples, n_outputs) of checked data after each layer."""
        network, parameters = self._fitted_network(X.dtype)
        for h in network.states(parameters, X):
            yield network.read(parameters, X, h)[0]

    def _validated_data(self, X):
        check_is_fitted(self)
        self._check_structure()
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        self._check_sign(X)
        return X

    def transform(self, X: ArrayLike) -> NDArray:
        """Return the state after the last layer.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data.

        Returns
        -------
        h : ndarray of shape (n_samples, n_states)
        """
        return self._states(self._validated_data(X))

    @property
    def _n_features_out(self):
        return self.n_states_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = self.iteration.non_negative_input
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _as_arrays(values, dtype):
    """Return a tuple of arrays in C order that share no memory with what was given."""
    return tuple(np.array(value, dtype=dtype, order="C") for value in values)


def _flat(thetas):
    """Return the distinct arrays of several layers, and the places of each layer's in them."""
    places: dict = {}
    for theta in thetas:
        places.setdefault(tuple(map(id, theta)), theta)
    parameters = [p for theta in places.values() for p in theta]
    starts = dict(zip(places, np.cumsum([0, *map(len, places)])))
    of_layers = (tuple(map(id, theta)) for theta in thetas)
    sets = tuple(tuple(range(starts[key], starts[key] + len(key))) for key in of_layers)
    return parameters, sets


def _largest(parameters):
    return max((p.size for p in parameters), default=0)


def _with_weight(X, y, weight, *others):
    """Return the samples whose weight is not zero."""
    if weight is None or weight.all():
        return X, y, weight, *others
    return rows_of(weight > 0, X, y, weight, *others)
