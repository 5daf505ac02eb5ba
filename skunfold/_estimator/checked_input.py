"""Checks of an estimator's samples, before any work."""

from abc import ABCMeta, abstractmethod

import numpy as np
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from skunfold._estimator.data import Data, check_lengths, checked_weights
from skunfold._kernels.sparse_rows import canonical


class CheckedInput(metaclass=ABCMeta):
    """The checks of an estimator's samples; a base class before BaseEstimator."""

    _accept_sparse: str | bool = False
    n_features_in_: int  # set by `validate_data`

    @abstractmethod
    def _check_settings(self):
        """Check parameters against each other."""

    @abstractmethod
    def _check_structure(self):
        """Check that parameters that shape the network are unchanged since the fit."""

    @abstractmethod
    def _learn_targets(self, y, classes=None, first=True, stream=False):
        """Set attributes from checked targets, or check that these attributes are unchanged."""

    @abstractmethod
    def _encoded(self, y, dtype, suffix=""):
        """Return targets as an array (n_samples, n_outputs)."""

    @abstractmethod
    def _check_input(self, X, suffix=""):
        """Check data beyond what scikit-learn checks."""

    def _accepted_sparse(self, X, suffix=""):
        """Return the sparse formats that are taken; raise a TypeError if X has another."""
        return self._accept_sparse

    def _checked(self, given, first, classes=None, stream=False):
        """Check parameters and samples before any work; return the Data."""
        self._check_settings()
        if not first:
            self._check_structure()
        X, y, weight = self._validated(given, reset=first)
        self._learn_targets(y, classes, first, stream)
        lengths = check_lengths(given.lengths, X.shape[0])
        return Data(X, y, self._encoded(y, X.dtype), weight, lengths)

    def _validated(self, given, reset, suffix=""):
        """Check and return X, y and the weights; the suffix is that of their names."""
        X, y = validate_data(
            self,
            given.X,
            given.y,
            reset=reset,
            accept_sparse=self._accepted_sparse(given.X, suffix),
            dtype=[np.float64, np.float32],
            multi_output=True,
        )
        X = canonical(X)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        self._check_input(X, suffix)
        return X, y, self._weights(X, y, given.sample_weight, suffix)

    def _weights(self, X, y, sample_weight, suffix):
        """Return the checked weights, or None."""
        return checked_weights(sample_weight, X, suffix)

    def _validation_data(self, given, dtype):
        """Return the Data for validation in a dtype, or None."""
        if given.is_nothing:
            return None
        X, y, weight = self._validated(given, reset=False, suffix="_val")
        lengths = check_lengths(given.lengths, X.shape[0], "lengths_val")
        X, weight = (a if a is None else a.astype(dtype, copy=False) for a in (X, weight))
        return Data(X, y, self._encoded(y, dtype, "_val"), weight, lengths)

    def _validated_data(self, X):
        """Return checked data for inference."""
        check_is_fitted(self)
        if not self._is_plain(X):
            X = validate_data(
                self,
                X,
                reset=False,
                accept_sparse=self._accepted_sparse(X),
                dtype=[np.float64, np.float32],
            )
            X = canonical(X)
        self._check_input(X)
        return X

    def _is_plain(self, X):
        """Return whether scikit-learn would take X as it is; its checks of a row cost more."""
        return (
            type(X) is np.ndarray
            and X.dtype in (np.float32, np.float64)
            and X.ndim == 2
            and X.shape[0] > 0
            and X.shape[1] == self.n_features_in_
            and not hasattr(self, "feature_names_in_")
            and bool(-np.inf < X.min() and X.max() < np.inf)
        )
