"""Methods of a fitted regressor whose samples may be sequences."""

from abc import ABCMeta, abstractmethod
from collections.abc import Iterator
from typing import Any

from numpy.typing import ArrayLike, NDArray
from sklearn.base import TransformerMixin
from sklearn.metrics import r2_score

from skunfold._deep_nmf.recurrence import SequencePredictor


class SequenceMethods(TransformerMixin, metaclass=ABCMeta):
    """Mixin of an `UnfoldedEstimator`: methods that take `lengths`."""

    @abstractmethod
    def fit(self, X, y, *args, **fit_params):
        """Train."""

    @abstractmethod
    def _with_lengths(self, X, lengths=None):
        """Return checked data and lengths for inference."""

    @abstractmethod
    def _inference(self, X):
        """Return the Inference of samples like X."""

    @abstractmethod
    def _before_a_sequence(self):
        """Return the EarlierActivations before the first sample."""

    def predict(self, X: ArrayLike, lengths: ArrayLike | None = None) -> NDArray:
        """Return the predicted targets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Non-negative data.
        lengths : array-like of int of shape (n_sequences,), default=None
            As in `fit`; so in all methods.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        X, lengths = self._with_lengths(X, lengths)
        return self._inference(X).predictions(X, lengths)

    def sequence(self) -> SequencePredictor:
        """Predict the samples of one sequence while they arrive.

        Returns
        -------
        SequencePredictor
            Its ``predict(X)`` takes the next samples, one or more, and returns the same
            predictions as `predict` of the whole sequence. Without `recurrence` samples are
            independent.
        """
        return SequencePredictor(self, self._before_a_sequence())

    def staged_predict(
        self, X: ArrayLike, lengths: ArrayLike | None = None
    ) -> Iterator[NDArray]:
        """Yield the prediction after each layer.

        Parameters
        ----------
        X, lengths
            As in `predict`.

        Yields
        ------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The last one is that of `predict`.
        """
        X, lengths = self._with_lengths(X, lengths)
        yield from self._inference(X).staged_predictions(X, lengths)

    def transform(self, X: ArrayLike, lengths: ArrayLike | None = None) -> NDArray:
        """Return the activations of the last layer.

        Parameters
        ----------
        X, lengths
            As in `predict`.

        Returns
        -------
        activations : ndarray of shape (n_samples, n_components)
        """
        X, lengths = self._with_lengths(X, lengths)
        return self._inference(X).activations(X, lengths)

    def fit_transform(self, X: ArrayLike, y: ArrayLike, **fit_params: Any) -> NDArray:
        """Fit, and return the activations of the last layer.

        Parameters
        ----------
        X, y, **fit_params
            As in `fit`.

        Returns
        -------
        activations : ndarray of shape (n_samples, n_components)
        """
        return self.fit(X, y, **fit_params).transform(X, fit_params.get("lengths"))

    def score(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        lengths: ArrayLike | None = None,
    ) -> float:
        """Return the coefficient of determination of the predictions, R^2.

        Parameters
        ----------
        X, lengths
            As in `predict`.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        float
            The mean of the outputs' R^2, 1 at best.
        """
        return float(r2_score(y, self.predict(X, lengths), sample_weight=sample_weight))

    def _continued(self, X, earlier):
        """Return the predictions of the next samples of a sequence."""
        X, lengths = self._with_lengths(X)
        return self._inference(X).predictions(X, lengths, earlier)
