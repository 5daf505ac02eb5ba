"""Estimators of any unfolded iteration."""

from collections.abc import Iterator
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import _fit_context
from sklearn.utils._param_validation import HasMethods, StrOptions
from sklearn.utils.metaestimators import available_if

from skunfold._estimator.base import trains_on_batches
from skunfold._estimator.classifier import ClassTargets, partial_fit_to_classes
from skunfold._estimator.data import Given
from skunfold._estimator.docstrings import LOOP, documented, entries_of
from skunfold._estimator.regressor import NumberTargets
from skunfold._estimator.scaling import check_magnitude
from skunfold.unfolding.base import CONSTRAINTS, UnfoldedIteration
from skunfold.unfolding.iteration import Iteration
from skunfold.unfolding.losses import CrossEntropy, SquaredError
from skunfold.unfolding.readouts import LinearReadout, LogitReadout, Readout

SHARED = LOOP | entries_of(UnfoldedIteration)


@documented(SHARED)
class UnfoldedRegressor(NumberTargets, UnfoldedIteration):
    """Regression by an unfolded iterative algorithm.

    Each iteration becomes a layer of a network. The network begins as the algorithm, and is
    trained to predict the targets.

    Parameters
    ----------
    %(iteration)s

    readout : Readout or None, default=None
        From the last state to the outputs. None: LinearReadout().

    %(n_layers, n_trained_layers, tied)s

    loss : "squared_error" or object, default="squared_error"
        The loss to minimise: "squared_error", a `BetaDivergence`, or any object with the
        methods ``loss`` and ``gradient`` of these classes.

    %(alpha, solver, learning_rate_init, learning_rate_decay, averaging, batch_size,
    max_iter, tol, shuffle, early_stopping, validation_fraction, n_iter_no_change,
    warm_start, random_state, verbose, n_jobs)s

    Attributes
    ----------
    %(theta_, readout_parameters_, iteration_, n_states_, n_parameters_, n_iter_, loss_,
    loss_curve_, best_loss_, validation_loss_curve_, validation_scores_,
    best_validation_score_, history_, n_features_in_, feature_names_in_)s

    See Also
    --------
    Iteration : What to write to unfold an algorithm.
    UnfoldedClassifier : The same for classes.

    References
    ----------
    %(paper)s, section 2.

    Examples
    --------
    Exponential smoothing, h <- h + rate (x - h), with a rate for each state and layer:

    >>> import numpy as np
    >>> from skunfold.unfolding import Iteration, UnfoldedRegressor
    >>> class Smoothing(Iteration):
    ...     positive = True
    ...
    ...     def parameters(self, X, y, random_state):
    ...         return (np.full(X.shape[1], 0.5),)
    ...
    ...     def initial(self, theta, X, n_samples):
    ...         return np.zeros_like(X)
    ...
    ...     def step(self, theta, X, h, k):
    ...         return h + theta[0] * (X - h), X - h
    ...
    ...     def adjoint(self, theta, tape, g, k):
    ...         return g * (1 - theta[0]), None, ((g * tape).sum(axis=0),)
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> model = UnfoldedRegressor(Smoothing(), n_layers=3, random_state=0)
    >>> bool(model.fit(X, X[:, :2]).score(X, X[:, :2]) > 0.99)
    True
    >>> model.transform(X).shape
    (100, 3)
    """

    _parameter_constraints: dict = CONSTRAINTS | {
        "loss": [StrOptions({"squared_error"}), HasMethods(["loss", "gradient"])]
    }

    def __init__(
        self,
        iteration: Iteration,
        *,
        readout: Readout | None = None,
        n_layers: int = 8,
        n_trained_layers: int | Literal["all"] = "all",
        tied: bool = False,
        loss: Any = "squared_error",
        alpha: float = 0.0,
        solver: Literal["adam", "sgd", "lbfgs"] = "adam",
        learning_rate_init: float = 0.01,
        learning_rate_decay: float = 1.0,
        averaging: float = 0.0,
        batch_size: int | Literal["auto"] = "auto",
        max_iter: int = 200,
        tol: float = 1e-4,
        shuffle: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int | float = 10,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        n_jobs: int | None = None,
    ) -> None:
        super().__init__(
            iteration,
            readout=readout,
            n_layers=n_layers,
            n_trained_layers=n_trained_layers,
            tied=tied,
            alpha=alpha,
            solver=solver,
            learning_rate_init=learning_rate_init,
            learning_rate_decay=learning_rate_decay,
            averaging=averaging,
            batch_size=batch_size,
            max_iter=max_iter,
            tol=tol,
            shuffle=shuffle,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            warm_start=warm_start,
            random_state=random_state,
            verbose=verbose,
            n_jobs=n_jobs,
        )
        self.loss = loss

    @available_if(trains_on_batches)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Train on one batch of a stream: one pass in updates of `batch_size` samples.

        The first call starts from the parameters of the algorithm. No samples are held out, and
        no parameters are restored.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        self : UnfoldedRegressor
        """
        return self._partial_fit(Given(X, y, sample_weight))

    def predict(self, X: ArrayLike) -> NDArray:
        """Return the predicted targets.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        return self._shaped(self._outputs(self._validated_data(X)))

    def staged_predict(self, X: ArrayLike) -> Iterator[NDArray]:
        """Yield the prediction after each layer; the last one is that of `predict`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data.

        Yields
        ------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        for output in self._staged_outputs(self._validated_data(X)):
            yield self._shaped(output)

    def _shaped(self, y):
        """Return outputs as users know them: flat if there is only one."""
        return y.ravel() if self.n_outputs_ == 1 else y

    def _default_readout(self):
        return LinearReadout()

    def _criterion(self):
        return SquaredError() if isinstance(self.loss, str) else self.loss

    def _encoded(self, y, dtype, suffix=""):
        y = super()._encoded(y, dtype, suffix)
        check_magnitude(y, f"y{suffix}")
        return y


@documented(SHARED)
class UnfoldedClassifier(ClassTargets, UnfoldedIteration):
    """Classification by an unfolded iterative algorithm.

    Each iteration becomes a layer of a network. The network begins as the algorithm, and is
    trained to predict classes, or labels that are on or off, by cross-entropy.

    Parameters
    ----------
    %(iteration)s

    readout : Readout or None, default=None
        From the last state to the outputs. None: LogitReadout().

    %(n_layers, n_trained_layers, tied, class_weight, alpha, solver, learning_rate_init,
    learning_rate_decay, averaging, batch_size, max_iter, tol, shuffle, early_stopping,
    validation_fraction, n_iter_no_change, warm_start, random_state, verbose, n_jobs)s

    Attributes
    ----------
    %(theta_, readout_parameters_, iteration_, n_states_, n_parameters_, classes_, n_iter_,
    loss_, loss_curve_, best_loss_, validation_loss_curve_, validation_scores_,
    best_validation_score_, history_, n_features_in_, feature_names_in_)s

    See Also
    --------
    Iteration : What to write to unfold an algorithm.
    UnfoldedRegressor : The same for numbers, with examples.

    References
    ----------
    %(paper)s, section 2.
    """

    _parameter_constraints: dict = CONSTRAINTS | {
        "class_weight": [StrOptions({"balanced"}), dict, None]
    }

    def __init__(
        self,
        iteration: Iteration,
        *,
        readout: Readout | None = None,
        n_layers: int = 8,
        n_trained_layers: int | Literal["all"] = "all",
        tied: bool = False,
        class_weight: dict | Literal["balanced"] | None = None,
        alpha: float = 0.0,
        solver: Literal["adam", "sgd", "lbfgs"] = "adam",
        learning_rate_init: float = 0.01,
        learning_rate_decay: float = 1.0,
        averaging: float = 0.0,
        batch_size: int | Literal["auto"] = "auto",
        max_iter: int = 200,
        tol: float = 1e-4,
        shuffle: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int | float = 10,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        n_jobs: int | None = None,
    ) -> None:
        super().__init__(
            iteration,
            readout=readout,
            n_layers=n_layers,
            n_trained_layers=n_trained_layers,
            tied=tied,
            alpha=alpha,
            solver=solver,
            learning_rate_init=learning_rate_init,
            learning_rate_decay=learning_rate_decay,
            averaging=averaging,
            batch_size=batch_size,
            max_iter=max_iter,
            tol=tol,
            shuffle=shuffle,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            warm_start=warm_start,
            random_state=random_state,
            verbose=verbose,
            n_jobs=n_jobs,
        )
        self.class_weight = class_weight

    def _default_readout(self):
        return LogitReadout()

    def _criterion(self):
        return CrossEntropy(self.out_activation_ == "softmax")

    partial_fit = partial_fit_to_classes

    def _logits(self, X):
        return self._outputs(self._validated_data(X))

    def _staged_logits(self, X):
        return self._staged_outputs(self._validated_data(X))
