"""Common to all classifiers: targets, probabilities, weights of classes."""

from abc import ABCMeta, abstractmethod
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import _check_partial_fit_first_call
from sklearn.utils.validation import check_is_fitted

from skunfold._estimator.base import trains_on_batches
from skunfold._estimator.data import Given, check_some_weight, checked_weights
from skunfold._estimator.targets import Targets, check_classes_kept, class_weights


@available_if(trains_on_batches)
@_fit_context(prefer_skip_nested_validation=True)
def partial_fit(
    self: Any,
    X: ArrayLike,
    y: ArrayLike,
    classes: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> Any:
    """Train on one batch of a stream: one pass in updates of `batch_size` samples.

    The first call initialises the network. No samples are held out, and no parameters are
    restored.

    Parameters
    ----------
    X, y, sample_weight
        As in `fit`.
    classes : array-like of shape (n_classes,), default=None
        All classes that any call can have; needed in the first call, unless y is a label
        indicator matrix. Later calls may omit them, but not change them.

    Returns
    -------
    self : estimator
    """
    return self._partial_fit(Given(X, y, sample_weight), classes)


partial_fit_to_classes = partial_fit  # scikit-learn needs the function's name, partial_fit


class ClassTargets(ClassifierMixin, metaclass=ABCMeta):
    """Mixin of an `UnfoldedEstimator` whose outputs are logits.

    The estimator has the parameter `class_weight`; `classes_`, `n_outputs_` and
    `out_activation_` are set here.

    Parameters
    ----------
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, multiplied by those of their samples; "balanced": inversely
        proportional to the frequency of each class. Not for label indicator matrices.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes; for a label indicator matrix, the numbers of its columns.
    out_activation_ : {"softmax", "logistic"}
        The function from logits to probabilities.
    """

    class_weight: dict | str | None

    @abstractmethod
    def _logits(self, X):
        """Return the outputs for data that is not yet checked."""

    @abstractmethod
    def _staged_logits(self, X):
        """Yield them after each layer."""

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
        logits = self._logits(X)
        return self._targets().predictions(logits)

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
        logits = self._logits(X)
        return self._targets().probabilities(logits)

    def predict_log_proba(self, X: ArrayLike) -> NDArray:
        """Return the logarithms of the probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes) or (n_samples, n_labels)
        """
        logits = self._logits(X)
        return self._targets().log_probabilities(logits)

    def decision_function(self, X: ArrayLike) -> NDArray:
        """Return the logits.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data.

        Returns
        -------
        logits : ndarray of shape (n_samples,), (n_samples, n_classes) or (n_samples, n_labels)
            For two classes, that of the second against the first.
        """
        logits = self._logits(X)
        return self._targets().decisions(logits)

    def staged_predict(self, X: ArrayLike) -> Iterator[NDArray]:
        """Yield the prediction after each layer; the last one is that of `predict`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data.

        Yields
        ------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
        """
        for logits in self._staged_logits(X):
            yield self._targets().predictions(logits)

    def staged_predict_proba(self, X: ArrayLike) -> Iterator[NDArray]:
        """Yield the probabilities after each layer.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data.

        Yields
        ------
        probabilities : ndarray of shape (n_samples, n_classes) or (n_samples, n_labels)
        """
        for logits in self._staged_logits(X):
            yield self._targets().probabilities(logits)

    def _targets(self):
        check_is_fitted(self)
        return Targets(self.classes_, self.n_outputs_, self.out_activation_ == "softmax")

    def _learn_targets(self, y, classes=None, first=True, stream=False):
        one_column = np.ndim(y) == 1
        if stream and one_column:
            _check_partial_fit_first_call(self, classes)
            targets = Targets.of_classes(self.classes_)
        else:
            targets = Targets.of(y)
        if first:
            self._set_targets(targets)
        elif not stream:
            check_classes_kept(targets.classes, self.classes_)

    def _set_targets(self, targets):
        self.classes_, self.n_outputs_ = targets.classes, targets.n_outputs
        self.out_activation_ = "softmax" if targets.class_node else "logistic"

    def _weights(self, X, y, sample_weight, suffix):
        weight = checked_weights(sample_weight, X, suffix)
        if self.class_weight is None:
            return weight
        ones = np.ones(X.shape[0], X.dtype)
        weight = class_weights(self.class_weight, y, ones if weight is None else weight)
        check_some_weight(weight, suffix)
        return weight

    def _encoded(self, y, dtype, suffix=""):
        return self._targets().indicators(y, dtype, suffix)

    def _score_of(self, samples, output):
        labels = replace(samples, inputs=()).loaded()
        return self._targets().accuracy(labels, output)

    def _splitter(self, y):
        return (ShuffleSplit, None) if y.ndim == 2 else (StratifiedShuffleSplit, y)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = self.class_weight is None
        return tags
