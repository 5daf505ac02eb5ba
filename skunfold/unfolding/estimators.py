"""Estimators of any unfolded iteration."""

from collections.abc import Iterator
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import _fit_context
from sklearn.utils._param_validation import HasMethods, StrOptions
from sklearn.utils.metaestimators import available_if

from skunfold._classifier import ClassTargets
from skunfold._estimator import trains_on_batches
from skunfold._fitting import Given
from skunfold._regressor import NumberTargets
from skunfold._scaling import check_magnitude
from skunfold.unfolding.base import CONSTRAINTS, UnfoldedIteration
from skunfold.unfolding.iteration import Iteration
from skunfold.unfolding.losses import CrossEntropy, SquaredError
from skunfold.unfolding.readouts import LinearReadout, LogitReadout, Readout


class UnfoldedRegressor(NumberTargets, UnfoldedIteration):
    """Regression by an unfolded iterative algorithm.

    Each iteration becomes a layer of a network. The network begins as the algorithm, and is
    trained to predict the targets.

    Parameters
    ----------
    iteration : Iteration
        One iteration of the algorithm, and its adjoint. Its own parameters can be set and
        searched over as ``iteration__NAME``.

    readout : Readout or None, default=None
        From the last state to the outputs. None: LinearReadout().

    n_layers : int, default=8
        Unfolding depth: number of iterations, at least 1.

    n_trained_layers : int or "all", default="all"
        How many layers are trained, counted from the output, of which the readout is the first:
        0 is the algorithm as it is, with an untrained readout, 1 trains the readout, 2 also the
        last iteration, and so on, up to ``n_layers + 1`` or "all".

    tied : bool, default=False
        Whether the trained iterations share one parameter set.

    loss : "squared_error" or object, default="squared_error"
        What training minimises: `SquaredError`, `BetaDivergence`, or an object with their two
        methods.

    alpha : float, default=0.0
        Strength of the L2 penalty, 0 or more: `alpha` / 2 times the sum of squares of all free
        arrays of two or more dimensions is added to the mean loss.

    solver : {"adam", "sgd", "lbfgs"}, default="adam"
        "adam": Adam for free arrays, exponentiated gradient with its scaling for those that
        stay positive. "sgd" (Nesterov's momentum) and "lbfgs" (all samples at once) need all
        arrays to be free.

    learning_rate_init : float, default=0.01
        Step size, above 0; it is halved when the monitored loss does not fall. Ignored by
        "lbfgs".

    learning_rate_decay : float, default=1.0
        Factor of the step size after every epoch, above 0 and at most 1. Ignored by "lbfgs" and
        `partial_fit`.

    averaging : float, default=0.0
        Decay of a running average of the parameters, at least 0 and below 1, which is monitored
        and kept instead of them. 0: no averaging. Ignored by "lbfgs" and `partial_fit`.

    batch_size : int or "auto", default="auto"
        Samples of one update, at least 1; "auto" is ``min(200, n_samples)``. Ignored by
        "lbfgs".

    max_iter : int, default=200
        Number of epochs (iterations of "lbfgs") at most, at least 1.

    tol : float, default=1e-4
        Training stops when the monitored loss has not fallen by this fraction of itself for
        `n_iter_no_change` epochs in a row; "lbfgs" stops when no element of the gradient is
        larger. 0 or more.

    shuffle : bool, default=True
        Whether to shuffle the samples before each epoch. Ignored by "lbfgs".

    early_stopping : bool, default=False
        Whether to monitor the loss of held-out samples and keep the parameters that are best on
        them. `fit` takes samples for it as `X_val`. Ignored by "lbfgs".

    validation_fraction : float, default=0.1
        Fraction of the samples to hold out, between 0 and 1; only with `early_stopping` and
        without `X_val`.

    n_iter_no_change : int or np.inf, default=10
        See `tol`; at least 1. Ignored by "lbfgs".

    warm_start : bool, default=False
        Whether `fit` continues from the last fit (parameters, step size, averages).

    random_state : int, RandomState instance or None, default=None
        Seed of the iteration's parameters, of the held-out samples and of the shuffling.

    verbose : int, default=0
        Above 0, prints a line of `history_` for every epoch.

    n_jobs : int or None, default=None
        Number of joblib workers sharing each update in `fit`, -1 for all processors. None: this
        process, with as many threads as its BLAS would use.

    Attributes
    ----------
    theta_ : list of n_layers tuples of ndarray
        Parameters of each layer, as the iteration knows them; layers that share parameters
        share the arrays.
    readout_parameters_ : tuple of ndarray
        Parameters of the readout.
    iteration_, readout_ : Iteration, Readout
        Copies of the iteration and the readout.
    n_states_, n_outputs_ : int
        Columns of the state and of the outputs.
    n_parameters_ : int
        Number of distinct parameters.
    n_iter_ : int
        Number of epochs of the last fit (1 if nothing is trained).
    loss_ : float
        Monitored loss of the fitted model, per sample.
    loss_curve_ : list of float
        Training loss of each epoch, each batch measured before its update.
    best_loss_ : float or None
        Lowest training loss at the end of an epoch; None if samples were held out.
    validation_loss_curve_, validation_scores_ : list of float or None
        Loss and R^2 of the held-out samples after each epoch; None without
        `early_stopping`.
    best_validation_score_ : float or None
        The highest of these scores; None without `early_stopping`.
    history_ : list of dict
        Numbers of each epoch: "epoch", "loss", "final_loss" (or "validation_loss" and
        "validation_score"), "learning_rate", "seconds".
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where X has string names.

    See Also
    --------
    Iteration : What to write to unfold an algorithm.
    UnfoldedClassifier : The same for classes.

    References
    ----------
    J. R. Hershey, J. Le Roux and F. Weninger, "Deep unfolding: model-based inspiration of novel
    deep architectures", arXiv 1409.2574 (2014), section 2.

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

        The first call takes the parameters of the algorithm. Nothing is held out, and an update
        that makes the loss worse is not undone.

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

    def _default_readout(self):
        return LinearReadout()

    def _criterion(self):
        return SquaredError() if isinstance(self.loss, str) else self.loss

    def _encoded(self, y, dtype, suffix=""):
        y = super()._encoded(y, dtype, suffix)
        check_magnitude(y, f"y{suffix}")
        return y


class UnfoldedClassifier(ClassTargets, UnfoldedIteration):
    """Classification by an unfolded iterative algorithm.

    Each iteration becomes a layer of a network. The network begins as the algorithm, and is
    trained to predict classes, or labels that are on or off, by cross-entropy.

    Parameters
    ----------
    iteration : Iteration
        One iteration of the algorithm, and its adjoint. Its own parameters can be set and
        searched over as ``iteration__NAME``.

    readout : Readout or None, default=None
        From the last state to the outputs. None: LogitReadout().

    n_layers : int, default=8
        Unfolding depth: number of iterations, at least 1.

    n_trained_layers : int or "all", default="all"
        How many layers are trained, counted from the output, of which the readout is the first:
        0 is the algorithm as it is, with an untrained readout, 1 trains the readout, 2 also the
        last iteration, and so on, up to ``n_layers + 1`` or "all".

    tied : bool, default=False
        Whether the trained iterations share one parameter set.

    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, by which those of their samples are multiplied; "balanced":
        inversely to how often each class occurs. Not for label indicator matrices.

    alpha : float, default=0.0
        Strength of the L2 penalty, 0 or more: `alpha` / 2 times the sum of squares of all free
        arrays of two or more dimensions is added to the mean loss.

    solver : {"adam", "sgd", "lbfgs"}, default="adam"
        "adam": Adam for free arrays, exponentiated gradient with its scaling for those that
        stay positive. "sgd" (Nesterov's momentum) and "lbfgs" (all samples at once) need all
        arrays to be free.

    learning_rate_init : float, default=0.01
        Step size, above 0; it is halved when the monitored loss does not fall. Ignored by
        "lbfgs".

    learning_rate_decay : float, default=1.0
        Factor of the step size after every epoch, above 0 and at most 1. Ignored by "lbfgs" and
        `partial_fit`.

    averaging : float, default=0.0
        Decay of a running average of the parameters, at least 0 and below 1, which is monitored
        and kept instead of them. 0: no averaging. Ignored by "lbfgs" and `partial_fit`.

    batch_size : int or "auto", default="auto"
        Samples of one update, at least 1; "auto" is ``min(200, n_samples)``. Ignored by
        "lbfgs".

    max_iter : int, default=200
        Number of epochs (iterations of "lbfgs") at most, at least 1.

    tol : float, default=1e-4
        Training stops when the monitored loss has not fallen by this fraction of itself for
        `n_iter_no_change` epochs in a row; "lbfgs" stops when no element of the gradient is
        larger. 0 or more.

    shuffle : bool, default=True
        Whether to shuffle the samples before each epoch. Ignored by "lbfgs".

    early_stopping : bool, default=False
        Whether to monitor the loss of held-out samples and keep the parameters that are best on
        them. `fit` takes samples for it as `X_val`. Ignored by "lbfgs".

    validation_fraction : float, default=0.1
        Fraction of the samples to hold out, between 0 and 1; only with `early_stopping` and
        without `X_val`.

    n_iter_no_change : int or np.inf, default=10
        See `tol`; at least 1. Ignored by "lbfgs".

    warm_start : bool, default=False
        Whether `fit` continues from the last fit (parameters, step size, averages).

    random_state : int, RandomState instance or None, default=None
        Seed of the iteration's parameters, of the held-out samples and of the shuffling.

    verbose : int, default=0
        Above 0, prints a line of `history_` for every epoch.

    n_jobs : int or None, default=None
        Number of joblib workers sharing each update in `fit`, -1 for all processors. None: this
        process, with as many threads as its BLAS would use.

    Attributes
    ----------
    theta_ : list of n_layers tuples of ndarray
        Parameters of each layer, as the iteration knows them; layers that share parameters
        share the arrays.
    readout_parameters_ : tuple of ndarray
        Parameters of the readout.
    iteration_, readout_ : Iteration, Readout
        Copies of the iteration and the readout.
    n_states_, n_outputs_ : int
        Columns of the state and of the outputs.
    n_parameters_ : int
        Number of distinct parameters.
    classes_ : ndarray of shape (n_classes,)
        The classes; for a label indicator matrix, the numbers of its columns.
    n_iter_ : int
        Number of epochs of the last fit (1 if nothing is trained).
    loss_ : float
        Monitored loss of the fitted model, per sample.
    loss_curve_ : list of float
        Training loss of each epoch, each batch measured before its update.
    best_loss_ : float or None
        Lowest training loss at the end of an epoch; None if samples were held out.
    validation_loss_curve_, validation_scores_ : list of float or None
        Loss and accuracy of the held-out samples after each epoch; None without
        `early_stopping`.
    best_validation_score_ : float or None
        The highest of these scores; None without `early_stopping`.
    history_ : list of dict
        Numbers of each epoch: "epoch", "loss", "final_loss" (or "validation_loss" and
        "validation_score"), "learning_rate", "seconds".
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where X has string names.

    See Also
    --------
    Iteration : What to write to unfold an algorithm.
    UnfoldedRegressor : The same for numbers, with examples.

    References
    ----------
    J. R. Hershey, J. Le Roux and F. Weninger, "Deep unfolding: model-based inspiration of novel
    deep architectures", arXiv 1409.2574 (2014), section 2.
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

    @available_if(trains_on_batches)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train on one batch of a stream: one pass in updates of `batch_size` samples.

        The first call initialises the network. Nothing is held out, and an update
        that makes the loss worse is not undone.

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
        return self._partial_fit(Given(X, y, sample_weight), classes)

    def _logits(self, X):
        return self._outputs(self._validated_data(X))

    def _staged_logits(self, X):
        return self._staged_outputs(self._validated_data(X))
