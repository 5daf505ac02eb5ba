"""All that the unfolded classifiers share: everything but the rule of their messages."""

import warnings
from abc import ABCMeta, abstractmethod
from collections.abc import Iterator
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from skunfold._fitting import restored_on_failure, rows_of, split_rows
from skunfold._mrf.architecture import Architecture
from skunfold._mrf.constraints import CONSTRAINTS
from skunfold._mrf.initialization import (
    check_classes_kept,
    check_same_network,
    initial_potentials,
    layer_sizes,
)
from skunfold._mrf.label_graph import graph_of_labels
from skunfold._mrf.targets import Targets, class_weights
from skunfold._training.callbacks import CallbackSupportMixin, EpochCallbacks, with_callbacks
from skunfold._training.lbfgs import fit_lbfgs
from skunfold._training.loop import LoopSettings, TrainingState, copies, fit_loop, train_epoch
from skunfold._training.objective import L2Penalty, Objective
from skunfold._training.protocol import Samples
from skunfold._training.updates import SGD, Adam

# "lbfgs" has no update rule of ours, and its state keeps no step size.
UPDATES = {"adam": Adam, "sgd": SGD, "lbfgs": Adam}


def _trains_on_batches(estimator):
    if estimator.solver == "lbfgs":
        raise AttributeError("partial_fit needs solver='adam' or 'sgd', not 'lbfgs'.")
    return True


class UnfoldedMRFClassifier(
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    ClassifierMixin,
    BaseEstimator,
    metaclass=ABCMeta,
):
    """An unfolded field with hidden layers; a subclass says what its units send."""

    _parameter_constraints: dict = CONSTRAINTS

    @abstractmethod
    def _rule(self):
        """Return the rule of the messages."""

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Initialise the potentials and train them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training data, of any range.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Classes (two or more), or a label indicator matrix of 0 and 1.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the training loss, 0 or more, not all 0.

        Returns
        -------
        self : estimator

        Raises
        ------
        ValueError
            If data is sparse, not finite or of one class only, or a parameter does not fit it.
        """
        going_on = self.warm_start and hasattr(self, "potentials_")
        with restored_on_failure(self):
            X, y, weight = self._validated(X, y, sample_weight, reset=not going_on)
            targets = Targets.of(y)
            if going_on:
                check_classes_kept(targets.classes, self.classes_)
                self._fitted_architecture()
            else:
                self._initialise(X, targets)
            self._train(X, y, weight)
        return self

    @available_if(_trains_on_batches)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train on one batch of a stream: one pass in updates of `batch_size` samples.

        The first call initialises the potentials. Nothing is held out, and an update that
        makes the loss worse is not undone.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.
        classes : array-like of shape (n_classes,), default=None
            All classes that will ever come; needed in the first call, unless y is a label
            indicator matrix, and only there.

        Returns
        -------
        self : estimator
        """
        first = not hasattr(self, "potentials_")
        with restored_on_failure(self):
            X, y, weight = self._validated(X, y, sample_weight, reset=first)
            if first and np.ndim(y) == 1:
                _check_partial_fit_first_call(self, classes)
                self._initialise(X, Targets.of_classes(self.classes_))
            elif first:
                self._initialise(X, Targets.of(y))
            else:
                self._fitted_architecture()
            samples, state = self._training(X, y, weight)
            if state.best_parameters:
                state.parameters = copies(state.best_parameters)
            settings = self._loop_settings(len(samples))
            with self._objective(samples, settings) as objective:
                state.best_loss = loss = train_epoch(objective, state, samples, settings)
            state.best_parameters = copies(state.parameters)
            state.history.append({"epoch": len(state.history) + 1, "loss": loss})
            self._set_results(state)
        return self

    def predict(self, X: ArrayLike) -> NDArray:
        """Return the most probable class of each sample, or the labels that are on.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
        """
        return self._targets().predictions(self._logits(X))

    def predict_proba(self, X: ArrayLike) -> NDArray:
        """Return the probabilities of the classes, or of each label being on.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes) or (n_samples, n_labels)
            In the order of `classes_`.
        """
        return self._targets().probabilities(self._logits(X))

    def predict_log_proba(self, X: ArrayLike) -> NDArray:
        """Return the logarithms of the probabilities, also where these are too small to hold.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes) or (n_samples, n_labels)
        """
        return self._targets().log_probabilities(self._logits(X))

    def decision_function(self, X: ArrayLike) -> NDArray:
        """Return the total fields of the outputs: logits.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data.

        Returns
        -------
        logits : ndarray of shape (n_samples,), (n_samples, n_classes) or (n_samples, n_labels)
            For two classes, that of the second against the first.
        """
        return self._targets().decisions(self._logits(X))

    def staged_predict_proba(self, X: ArrayLike) -> Iterator[NDArray]:
        """Yield the probabilities after each sweep; the last ones are those of `predict_proba`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data.

        Yields
        ------
        probabilities : ndarray of shape (n_samples, n_classes) or (n_samples, n_labels)
        """
        targets = self._targets()
        for logits in self._staged_logits(X):
            yield targets.probabilities(logits)

    def staged_predict(self, X: ArrayLike) -> Iterator[NDArray]:
        """Yield the prediction after each sweep; the last one is that of `predict`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data.

        Yields
        ------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
        """
        targets = self._targets()
        for logits in self._staged_logits(X):
            yield targets.predictions(logits)

    def transform(self, X: ArrayLike) -> NDArray:
        """Return the beliefs of all hidden units after the last sweep.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data.

        Returns
        -------
        beliefs : ndarray of shape (n_samples, n_hidden_units)
            Probabilities of being on; first layer first. Without hidden layers no columns.
        """
        X = self._validated_data(X)
        return self._fitted_architecture().beliefs(X, self._parameters_like(X))

    def _validated(self, X, y, sample_weight, reset):
        """Check X, y and the weights; return those of samples that have a weight."""
        layer_sizes(self.hidden_layer_sizes)
        X, y = validate_data(
            self, X, y, reset=reset, dtype=[np.float64, np.float32], multi_output=True
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if sample_weight is None and self.class_weight is None:
            return X, y, None
        weight = _check_sample_weight(sample_weight, X, dtype=X.dtype, ensure_non_negative=True)
        if self.class_weight is not None:
            weight = class_weights(self.class_weight, y, weight)
        if not weight.any():
            raise ValueError(
                "sample_weight is zero for all samples; give some a weight above 0."
            )
        used = weight > 0
        return X[used], y[used], weight[used]

    def _validated_data(self, X):
        check_is_fitted(self)
        return validate_data(self, X, dtype=[np.float64, np.float32], reset=False)

    def _targets(self):
        check_is_fitted(self)
        return Targets(self.classes_, self.n_outputs_, self.out_activation_ == "softmax")

    def _architecture(self, targets=None):
        targets = targets or self._targets()
        hidden_sizes = layer_sizes(self.hidden_layer_sizes)
        return Architecture(
            n_features=self.n_features_in_,
            hidden_sizes=hidden_sizes,
            n_outputs=targets.n_outputs,
            class_node=targets.class_node,
            n_sweeps=self.n_layers,
            tied=self.tied,
            lateral=self.lateral,
            rule=self._rule(),
            label_graph=graph_of_labels(
                self.label_graph, self.coupling, targets, self.n_features_in_, hidden_sizes
            ),
            coupling=self.coupling,
        )

    def _fitted_architecture(self):
        """Return the architecture, if the parameters still say what the potentials are of."""
        architecture = self._architecture()
        check_same_network(self.potentials_, architecture)
        return architecture

    def _parameters_like(self, X):
        parameters = self._architecture().parameters(self.potentials_)
        return [p.astype(X.dtype, copy=False) for p in parameters]

    def _logits(self, X):
        X = self._validated_data(X)
        return self._fitted_architecture().logits(X, self._parameters_like(X))

    def _staged_logits(self, X):
        X = self._validated_data(X)
        stages = self._fitted_architecture().staged_logits(X, self._parameters_like(X))
        return [stages[:, k] for k in range(self.n_layers)]

    def _initialise(self, X, targets):
        """Set the attributes of an untrained network."""
        architecture = self._architecture(targets)
        random_state = check_random_state(self.random_state)
        potentials = initial_potentials(self.init, architecture, X, random_state)
        self._begin(targets, potentials)

    def _begin(self, targets, potentials):
        """Set all fitted attributes, for potentials that are not trained yet."""
        self.classes_ = targets.classes
        self.n_outputs_ = targets.n_outputs
        self.out_activation_ = "softmax" if targets.class_node else "logistic"
        graph = self._architecture().label_graph
        self.label_edges_ = None if graph is None else np.stack([graph.i, graph.j])
        self._training_state = None
        parameters = self._architecture().parameters(potentials)
        state = TrainingState(parameters, None, np.random.RandomState(), parameters)
        self._set_results(state)

    def _train(self, X, y, weight):
        """Train from where the potentials stand, and set the results."""
        train, held_out = self._split(y)
        samples, state = self._training(*rows_of(train, X, y, weight))
        valid = None
        if held_out is not None:
            valid, _ = self._training(*rows_of(held_out, X, y, weight))
        callbacks = EpochCallbacks(self, X, y, weight, self.max_iter)
        callbacks.watch(lambda: self._fitted_potentials(state))
        settings = self._loop_settings(len(samples))
        with self._objective(samples, settings) as objective:
            if self.solver == "lbfgs":
                fit_lbfgs(objective, state, samples, settings, callbacks)
            else:
                score = self._targets().accuracy
                fit_loop(objective, state, samples, settings, valid, score, callbacks)
        self._set_results(state)
        callbacks.end_fit()
        if state.status == "running" and self.tol > 0:
            warnings.warn(
                f"Training reached max_iter={self.max_iter} epochs and was still improving; "
                "increase max_iter or tol.",
                ConvergenceWarning,
            )

    def _training(self, X, y, weight):
        """Return the samples and the state of training."""
        samples = Samples((X,), self._targets().indicators(y, X.dtype), weight)
        trained = (self.solver, self.tied, self.learning_rate_init)
        known, state = getattr(self, "_training_state", None) or (None, None)
        if known != trained:
            parameters = copies(self._architecture().parameters(self.potentials_))
            update = UPDATES[self.solver](self.learning_rate_init)
            state = TrainingState(parameters, update, check_random_state(self.random_state))
            self._training_state = (trained, state)
        return samples, state

    def _objective(self, samples, settings):
        """Return the loss with its penalty, which counts once for every batch."""
        architecture = self._architecture()
        n_batches = -(-len(samples) // settings.batch_size)
        strength = self.alpha * n_batches / samples.total_weight
        penalty = L2Penalty(strength, architecture.coupling_places)
        return Objective(architecture.network, penalty)

    def _loop_settings(self, n_samples):
        batch_size = min(200, n_samples) if self.batch_size == "auto" else self.batch_size
        if self.solver == "lbfgs":
            batch_size = n_samples
        # A loss after one update does not fluctuate by chance; after random batches it does.
        patience = 1 if batch_size >= n_samples else max(1, self.n_iter_no_change // 2)
        return LoopSettings(
            max_iter=self.max_iter,
            batch_size=batch_size,
            tol=self.tol,
            n_iter_no_change=self.n_iter_no_change,
            shuffle=self.shuffle,
            verbose=self.verbose,
            patience=patience,
        )

    def _split(self, y):
        """Return the rows to train on and, with early stopping, those held out (or None)."""
        if not self.early_stopping or self.solver == "lbfgs":
            return slice(None), None
        splitter = ShuffleSplit if y.ndim == 2 else StratifiedShuffleSplit
        return split_rows(self, splitter, len(y), y)

    def _fitted_potentials(self, state):
        """Return the attributes that make the model ready to predict, for a training state."""
        return {"potentials_": self._architecture().potentials(state.best_parameters)}

    def _set_results(self, state):
        """Set the attributes that training changes."""
        self.potentials_ = self._fitted_potentials(state)["potentials_"]
        self.n_parameters_ = sum(p.size for p in state.parameters)
        self.history_ = list(state.history)
        held_out = any("validation_loss" in epoch for epoch in self.history_)
        self.loss_ = state.best_loss
        self.best_loss_ = None if held_out else self.loss_
        self.loss_curve_ = [epoch["loss"] for epoch in self.history_]
        self.validation_loss_curve_ = self.validation_scores_ = None
        self.best_validation_score_ = None
        if held_out:
            scored = [epoch for epoch in self.history_ if "validation_loss" in epoch]
            self.validation_loss_curve_ = [e["validation_loss"] for e in scored]
            self.validation_scores_ = [e["validation_score"] for e in scored]
            self.best_validation_score_ = max(self.validation_scores_)
        self.n_iter_ = max(len(self.history_), 1)

    @property
    def _n_features_out(self):
        return sum(layer_sizes(self.hidden_layer_sizes))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = self.class_weight is None
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
