"""All that the unfolded classifiers share: everything but the rule of their messages."""

from abc import ABCMeta
from collections.abc import Iterator
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import (
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from skunfold._fitting import restored_on_failure, rows_of
from skunfold._kernels.sparse_rows import canonical
from skunfold._mrf.constraints import CONSTRAINTS
from skunfold._mrf.initialization import (
    check_classes_kept,
    check_same_network,
    layer_sizes,
)
from skunfold._mrf.targets import Targets, class_weights
from skunfold._mrf.training import MRFTraining
from skunfold._training.callbacks import CallbackSupportMixin, with_callbacks
from skunfold._training.loop import train_once


def _trains_on_batches(estimator):
    if estimator.solver == "lbfgs":
        raise AttributeError("partial_fit needs solver='adam' or 'sgd', not 'lbfgs'.")
    return True


def _with_weight(X, y, weight):
    """Return the samples whose weight is not zero."""
    if weight is None or weight.all():
        return X, y, weight
    return rows_of(weight > 0, X, y, weight)


class UnfoldedMRFClassifier(
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    ClassifierMixin,
    MRFTraining,
    metaclass=ABCMeta,
):
    """An unfolded field with hidden layers; a subclass says what its units send."""

    _parameter_constraints: dict = CONSTRAINTS
    _learned = frozenset({"potentials_", "classes_"})

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Initialise the potentials and train them.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, of any range.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Classes, or a label indicator matrix of 0 and 1. A class whose samples all weigh 0
            is known to the model, but nothing is learned of it.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the training loss, 0 or more, not all 0.

        Returns
        -------
        self : estimator

        Raises
        ------
        ValueError
            If data is not finite, if a label indicator matrix holds something else than 0 and
            1, or if a parameter does not fit the data.
        """
        going_on = self.warm_start and hasattr(self, "potentials_")
        with restored_on_failure(self):
            X, y, weight = self._validated(X, y, sample_weight, reset=not going_on)
            targets = Targets.of(y)
            if going_on:
                check_classes_kept(targets.classes, self.classes_)
                self._fitted_architecture()
            else:
                self._initialise(X, weight, targets)
            self._train(*_with_weight(X, y, weight))
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
            indicator matrix. Later they may be left out, but not change.

        Returns
        -------
        self : estimator
        """
        first = not hasattr(self, "potentials_")
        with restored_on_failure(self):
            X, y, weight = self._validated(X, y, sample_weight, reset=first)
            if np.ndim(y) == 1:
                _check_partial_fit_first_call(self, classes)
            if first and np.ndim(y) == 1:
                self._initialise(X, weight, Targets.of_classes(self.classes_))
            elif first:
                self._initialise(X, weight, Targets.of(y))
            else:
                self._fitted_architecture()
            samples, state = self._samples(*_with_weight(X, y, weight)), self._state()
            with self._objective() as objective:
                train_once(objective, state, samples, self._loop_settings(len(samples)))
            self._set_results(state)
        return self

    def predict(self, X: ArrayLike) -> NDArray:
        """Return the most probable class of each sample, or the labels that are on.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
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
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
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
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
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
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
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
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
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
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
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
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        beliefs : ndarray of shape (n_samples, n_hidden_units)
            Probabilities of being on; first layer first. Without hidden layers no columns.
        """
        X = self._validated_data(X)
        architecture, prepared = self._inference(X)
        return architecture.beliefs(X, prepared)

    def _validated(self, X, y, sample_weight, reset):
        """Check and return X, y and the weights, which are None if all are one."""
        layer_sizes(self.hidden_layer_sizes)
        X, y = validate_data(
            self,
            X,
            y,
            reset=reset,
            accept_sparse="csr",
            dtype=[np.float64, np.float32],
            multi_output=True,
        )
        X = canonical(X)
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
        return X, y, weight

    def _validated_data(self, X):
        check_is_fitted(self)
        options = {"accept_sparse": "csr", "dtype": [np.float64, np.float32]}
        return canonical(validate_data(self, X, reset=False, **options))

    def _fitted_architecture(self):
        """Return the architecture, if the parameters still say what the potentials are of."""
        architecture = self._architecture()
        check_same_network(self.potentials_, architecture)
        return architecture

    def _inference(self, X):
        """Return (architecture, prepared parameters) for samples like X; prepared once."""
        dtype = X.dtype

        def prepare():
            architecture = self._fitted_architecture()
            parameters = architecture.parameters(self.potentials_)
            return architecture, architecture.prepared(
                [p.astype(dtype, copy=False) for p in parameters]
            )

        return self._kept(dtype, prepare)

    def _logits(self, X):
        X = self._validated_data(X)
        architecture, prepared = self._inference(X)
        return architecture.logits(X, prepared)

    def _staged_logits(self, X):
        X = self._validated_data(X)
        architecture, prepared = self._inference(X)
        stages = architecture.staged_logits(X, prepared)
        return [stages[:, k] for k in range(self.n_layers)]

    @property
    def _n_features_out(self):
        return sum(layer_sizes(self.hidden_layer_sizes))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.classifier_tags.multi_label = self.class_weight is None
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
