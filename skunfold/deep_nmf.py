"""Deep NMF as a scikit-learn regressor."""

import warnings
from collections.abc import Iterator, Sequence
from numbers import Integral, Real
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    MultiOutputMixin,
    RegressorMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import (
    _check_sample_weight,
    check_consistent_length,
    check_is_fitted,
    check_non_negative,
    validate_data,
)

from skunfold._deep_nmf.architecture import Architecture
from skunfold._deep_nmf.initialization import WarmStart
from skunfold._deep_nmf.validation import (
    check_depth,
    check_mask_targets,
    check_sources,
    check_validation_data,
    group_sizes,
)
from skunfold._fitting import restored_on_failure, rows_of
from skunfold._kernels.divergences import BETA, beta_of, divergence
from skunfold._kernels.outputs import LinearOutput, MaskOutput
from skunfold._scaling import power_of_two_scale, weighted_mean
from skunfold._training.averaging import RunningAverage
from skunfold._training.callbacks import CallbackSupportMixin, EpochCallbacks, with_callbacks
from skunfold._training.loop import LoopSettings, TrainingState, copies, fit_loop, train_epoch
from skunfold._training.objective import Objective
from skunfold._training.updates import ExponentiatedGradient, MultiplicativeUpdate

# solver: (update rule, whether parts are cancelled after each layer, learning_rate_init="auto")
SOLVERS = {
    "eg": (ExponentiatedGradient, True, 0.03),
    "mu": (MultiplicativeUpdate, True, 0.25),
    "naive-mu": (MultiplicativeUpdate, False, 1.0),
}


class DeepNMFRegressor(
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    MultiOutputMixin,
    RegressorMixin,
    BaseEstimator,
):
    """Non-negative regression and source separation by unfolded sparse NMF.

    The updates that infer the activations of a non-negative matrix factorization become the
    layers of a network; the last layers get bases of their own and are trained to predict
    non-negative targets. All quantities stay non-negative, and with mask output the estimates
    of all sources add up to the data. Without trained layers it is plain sparse NMF.

    Parameters
    ----------
    n_components : int or sequence of int, default=25
        Number of bases of each source group: an int for all groups, or one int per group,
        targets first, the residual group (everything that is no target) last; only the
        residual may have 0. With linear output there is one group.

    n_layers : int, default=8
        Unfolding depth: number of inference iterations, at least 1.

    n_trained_layers : int or "all", default="all"
        How many layers are trained, counted from the output: 0 is sparse NMF, 1 trains the
        reconstruction (discriminative NMF), 2 also the bases of the last inference layer, and
        so on, up to ``n_layers + 1`` or "all".

    tied : bool, default=False
        Whether the trained inference layers share one parameter set. It is trained through
        all of them.

    output : {"linear", "mask"}, default="linear"
        "linear": the targets are activations times output bases. "mask", for separation: the
        targets are the last ``n_outputs / n_targets`` features (with stacked context frames,
        the current frame stands last) times a mask, and the masks of all groups add up to one.

    n_targets : int, default=1
        Number of target sources in the columns of y, for mask output; ignored otherwise.

    beta_loss : {"frobenius", "kullback-leibler", "itakura-saito"} or float, \
default="kullback-leibler"
        The divergence that inference descends; as a number, its beta, 0 or more.

    training_loss : {"frobenius", "kullback-leibler", "itakura-saito"} or float, \
default="frobenius"
        The divergence of the targets from the predictions that training minimises; as a
        number, its beta, 0 or more.

    sparsity : float, default=0.0
        Weight of the L1 penalty on the activations within inference, 0 or more, in units of
        ``X ** (beta - 1)``; it supposes bases of about unit norm (``init="sparse_nmf"``).

    init : {"nmf", "sparse_nmf", "random"}, estimator, array-like, or list of these, \
default="nmf"
        The bases that training starts from. "nmf": :class:`sklearn.decomposition.NMF` of each
        source group, or of ``[X, y]`` jointly for linear output; "sparse_nmf":
        :class:`SparseNMF` likewise, with this `sparsity`. Or fitted NMFs (objects with
        `components_`), or arrays of shape (n_components, n_features), one in all or a list to
        be stacked; for linear output they may have ``n_features + n_outputs`` columns. Or a
        fitted DeepNMFRegressor of the same `n_layers` and shapes, whose layers are taken over:
        one trained with ``tied=True`` can so go on with parameters for each layer. `clone`
        (as in a grid search) forgets what an estimator has learned: give it the arrays, or a
        :class:`sklearn.frozen.FrozenEstimator`.

    solver : {"eg", "mu", "naive-mu"}, default="eg"
        "eg": exponentiated gradient with Adam's scaling. "mu": multiplicative
        back-propagation with the parts of the gradient cancelled after every layer.
        "naive-mu": the same without cancellation, as first published, where early layers of
        deep networks hardly learn. All keep parameters positive.

    learning_rate_init : float or "auto", default="auto"
        Step size, above 0: the typical change of a log parameter in one update for "eg" (auto:
        0.03), the exponent for "mu" (auto: 0.25) and "naive-mu" (auto: 1). It is halved
        whenever the monitored loss does not fall, see Notes.

    learning_rate_decay : float, default=1.0
        What the step size is multiplied by after every epoch, above 0 and at most 1;
        `partial_fit` ignores it.

    averaging : float, default=0.0
        Decay of a running average of the parameters, at least 0 and below 1: about the last
        ``1 / (1 - averaging)`` updates count. The average is monitored and is what a fit ends
        with, which allows larger steps. 0: no averaging. `partial_fit` ignores it.

    batch_size : int or "auto", default="auto"
        Samples of one update, at least 1; "auto" is ``min(1024, n_samples)``.

    max_iter : int, default=200
        Number of epochs at most, at least 1; ignored without trained layers.

    tol : float, default=1e-4
        Training stops when the monitored loss has not fallen by this part of itself for
        `n_iter_no_change` epochs in a row. 0 or more.

    shuffle : bool, default=True
        Whether to shuffle the samples before each epoch.

    early_stopping : bool, default=False
        Whether to monitor the loss of held-out samples instead of the training loss, and end
        with the parameters that were best on them. `fit` takes samples for it as `X_val`.

    validation_fraction : float, default=0.1
        Part of the samples to hold out, between 0 and 1; only with `early_stopping`, and
        ignored where `fit` is given `X_val`.

    n_iter_no_change : int, default=10
        See `tol`; at least 1.

    warm_start : bool, default=False
        Whether `fit` goes on from the last fit (bases, step size, averages) instead of
        starting anew. A model from a model file goes on with a fresh step size and averages.

    random_state : int, RandomState instance or None, default=None
        Seed of the initialisation, of the held-out samples and of the shuffling.

    verbose : int, default=0
        Above 0, prints a line for every epoch.

    Attributes
    ----------
    bases_ : list of n_layers ndarrays of shape (n_components, n_features)
        Bases of each layer; layers that share bases share the array.
    output_bases_ : ndarray of shape (n_components, n_outputs / n_targets)
        Bases of the reconstruction (``(n_components, n_outputs)`` for linear output).
    initial_activation_ : float
        The activation that inference begins with.
    group_sizes_ : tuple of int
        Components of each source group.
    data_scale_, target_scale_ : float
        The powers of two by which data and targets are divided for the computation.
    n_parameters_ : int
        Number of distinct parameters held.
    n_trained_parameters_ : int
        Number of those that training may change.
    n_iter_ : int
        Number of epochs done (1 without trained layers).
    loss_ : float
        Monitored loss of the fitted model, per sample; after `partial_fit` that of its batch
        before the updates.
    loss_curve_ : list of float
        Training loss per sample of each epoch, each batch measured before its update.
    best_loss_ : float or None
        Lowest training loss at the end of an epoch; None with `early_stopping`.
    validation_loss_curve_ : list of float or None
        Loss of the held-out samples after each epoch; None without `early_stopping`.
    validation_scores_ : list of float or None
        Their R^2; None without `early_stopping`.
    history_ : list of dict
        For each epoch its number, losses, step size and seconds.
    n_outputs_ : int
        Number of columns of y.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where X has string names.

    See Also
    --------
    SparseNMF : The model that is unfolded here, as a transformer.
    skunfold.audio.SpeechEnhancer : Noisy waveforms in, clean ones out.

    Notes
    -----
    Samples are independent: the prediction of a batch is that of its rows. For the
    Kullback-Leibler divergence, predictions scale with the data.

    Before training and after every epoch the monitored loss is computed. If an epoch does not
    lower it (with early stopping: two in a row), the step is halved and the best parameters
    come back. A fit ends with the best parameters, so never worse than its warm start; Ctrl-C
    does the same, with a warning.

    References
    ----------
    J. R. Hershey, J. Le Roux and F. Weninger, "Deep unfolding: model-based inspiration of
    novel deep architectures", arXiv 1409.2574 (2014), section 4.

    J. Le Roux, J. R. Hershey and F. Weninger, "Deep NMF for speech separation", ICASSP 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from skunfold import DeepNMFRegressor
    >>> rng = np.random.default_rng(0)
    >>> concentrations = rng.uniform(size=(200, 3))
    >>> spectra = rng.uniform(size=(3, 20))
    >>> X = rng.poisson(50 * concentrations @ spectra).astype(float)
    >>> model = DeepNMFRegressor(n_components=3, n_layers=4, max_iter=50, random_state=0)
    >>> untrained = DeepNMFRegressor(
    ...     n_components=3, n_layers=4, n_trained_layers=0, random_state=0
    ... ).fit(X, concentrations)
    >>> model.fit(X, concentrations).predict(X).shape
    (200, 3)
    >>> model.score(X, concentrations) > untrained.score(X, concentrations)
    True
    """

    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "n_layers": [Interval(Integral, 1, None, closed="left")],
        "n_trained_layers": [Interval(Integral, 0, None, closed="left"), StrOptions({"all"})],
        "tied": ["boolean"],
        "output": [StrOptions({"linear", "mask"})],
        "n_targets": [Interval(Integral, 1, None, closed="left")],
        "beta_loss": [StrOptions(set(BETA)), Interval(Real, 0, None, closed="left")],
        "training_loss": [StrOptions(set(BETA)), Interval(Real, 0, None, closed="left")],
        "sparsity": [Interval(Real, 0, None, closed="left")],
        "init": [
            StrOptions({"nmf", "sparse_nmf", "random"}),
            HasMethods(["fit", "transform"]),
            "array-like",
            list,
        ],
        "solver": [StrOptions(set(SOLVERS))],
        "learning_rate_init": [
            Interval(Real, 0, None, closed="neither"),
            StrOptions({"auto"}),
        ],
        "learning_rate_decay": [Interval(Real, 0, 1, closed="right")],
        "averaging": [Interval(Real, 0, 1, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "shuffle": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_components: int | Sequence[int] = 25,
        *,
        n_layers: int = 8,
        n_trained_layers: int | Literal["all"] = "all",
        tied: bool = False,
        output: Literal["linear", "mask"] = "linear",
        n_targets: int = 1,
        beta_loss: str | float = "kullback-leibler",
        training_loss: str | float = "frobenius",
        sparsity: float = 0.0,
        init: Any = "nmf",
        solver: Literal["eg", "mu", "naive-mu"] = "eg",
        learning_rate_init: float | Literal["auto"] = "auto",
        learning_rate_decay: float = 1.0,
        averaging: float = 0.0,
        batch_size: int | Literal["auto"] = "auto",
        max_iter: int = 200,
        tol: float = 1e-4,
        shuffle: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.n_layers = n_layers
        self.n_trained_layers = n_trained_layers
        self.tied = tied
        self.output = output
        self.n_targets = n_targets
        self.beta_loss = beta_loss
        self.training_loss = training_loss
        self.sparsity = sparsity
        self.init = init
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

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        sources: Sequence[ArrayLike] | None = None,
        groups: ArrayLike | None = None,
        X_val: ArrayLike | None = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """Initialise the bases and train them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Non-negative data; for mask output, mixtures.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Non-negative targets. For mask output, ``n_targets`` sources side by side, each
            with the columns of the last features of X.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, 0 or more, not all 0. They weigh the training loss and, by
            scaling rows, the initialisation: the same as repeated samples if `beta_loss` is
            "kullback-leibler" or there is no `sparsity`.
        sources : list of array-like of shape (n_samples_i, n_features), default=None
            For mask output: features of each source group alone, targets first, the residual
            last, to initialise the bases from. They need not be samples of X. By default the
            targets, and what they leave of X.
        groups : array-like of shape (n_samples,), default=None
            What belongs together, such as the recording that each frame is from. With
            `early_stopping`, whole groups are held out if there is more than one; samples
            like those trained on would show no overfitting. Ignored where `X_val` is given.
        X_val : array-like of shape (n_val, n_features), default=None
            With `early_stopping`, data to monitor instead of a part of X, all of which is then
            trained on.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Its targets; given together with `X_val`.
        sample_weight_val : array-like of shape (n_val,), default=None
            Its weights in the monitored loss, 0 or more, not all 0; only with `X_val`.

        Returns
        -------
        self : DeepNMFRegressor

        Raises
        ------
        ValueError
            If data is negative somewhere or not finite, if shapes do not fit each other, if a
            parameter does not fit the data, or if validation data comes without
            `early_stopping`.
        TypeError
            If data is sparse.
        """
        going_on = self.warm_start and hasattr(self, "bases_")
        validation = check_validation_data(X_val, y_val, sample_weight_val, self.early_stopping)
        with restored_on_failure(self):
            X, y, weight, groups = self._validated(X, y, sample_weight, groups, going_on)
            if validation:
                train, held_out = (X, y, weight), self._held_out(validation, X, y)
            else:
                rows, held_out_rows = self._split(np.shape(X)[0], groups)
                train = rows_of(rows, X, y, weight)
                held_out = rows_of(held_out_rows, X, y, weight) if self.early_stopping else None
            if not going_on:
                self._initialise(*train, sources=sources)
            callbacks = EpochCallbacks(self, X, self._shaped(y), weight, self._max_epochs)
            if self._n_trained == 0:
                self._set_untrained_results(X, y, weight)
            else:
                self._train(*train, held_out=held_out, callbacks=callbacks)
            callbacks.end_fit()
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        sources: Sequence[ArrayLike] | None = None,
    ) -> Self:
        """Train on one batch of a stream: one pass in updates of `batch_size` samples.

        The first call initialises the bases from its batch. Nothing is held out, and an
        update that makes the loss worse is not undone.

        Parameters
        ----------
        X, y, sample_weight, sources
            As in `fit`; `sources` are used by the first call only.

        Returns
        -------
        self : DeepNMFRegressor
        """
        going_on = hasattr(self, "bases_")
        with restored_on_failure(self):
            X, y, weight, _ = self._validated(X, y, sample_weight, None, going_on)
            if not going_on:
                self._initialise(X, y, weight, sources=sources)
            if self._n_trained == 0:
                self._set_untrained_results(X, y, weight)
                return self
            samples, state = self._training(X, y, weight)
            state.average = None
            if state.best_parameters:
                state.parameters = copies(state.best_parameters)
            with Objective(self._network()) as objective:
                settings = self._loop_settings(len(samples))
                state.best_loss = loss = train_epoch(objective, state, samples, settings)
            state.best_parameters = copies(state.parameters)
            state.history.append({"epoch": len(state.history) + 1, "loss": loss})
            self._set_results(state)
        return self

    def predict(self, X: ArrayLike) -> NDArray:
        """Return the predicted targets.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Non-negative data.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        X = self._validated_data(X)
        bases, U = self._bases_like(X)
        return self._shaped(self._architecture().predictions(X, bases, U, self.n_outputs_))

    def staged_predict(self, X: ArrayLike) -> Iterator[NDArray]:
        """Yield the prediction after each layer.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Non-negative data.

        Yields
        ------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            The last one is that of `predict`.
        """
        X = self._validated_data(X)
        bases, U = self._bases_like(X)
        for y in self._architecture().staged_predictions(X, bases, U, self.n_outputs_):
            yield self._shaped(y)

    def transform(self, X: ArrayLike) -> NDArray:
        """Return the activations of the last layer.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Non-negative data.

        Returns
        -------
        activations : ndarray of shape (n_samples, n_components)
        """
        X = self._validated_data(X)
        return self._architecture().activations(X, self._bases_like(X)[0])

    def _validated(self, X, y, sample_weight, groups, going_on):
        """Check everything before any work; return X, y (n, n_outputs), weights and groups."""
        check_depth(self.n_layers, self._n_trained, self.bases_ if going_on else None)
        self._group_sizes()
        if going_on:
            self._check_structure()
        X, y, weight = self._checked(X, y, sample_weight, self.n_outputs_ if going_on else None)
        if groups is not None:
            check_consistent_length(X, groups)
            groups = np.asarray(groups)
        if weight is None or weight.all():
            return X, y, weight, groups
        used = weight > 0
        return X[used], y[used], weight[used], groups if groups is None else groups[used]

    def _checked(self, X, y, sample_weight, n_outputs, suffix=""):
        """Check samples; return X, y of shape (n, n_outputs) and the weights or None.

        Without a number of outputs, the features are learned. The suffix is that of the names.
        """
        if issparse(y):
            raise TypeError(
                f"y{suffix} is sparse; DeepNMFRegressor needs dense targets: y.toarray()."
            )
        X, y = validate_data(
            self,
            X,
            y,
            reset=n_outputs is None,
            dtype=[np.float64, np.float32],
            multi_output=True,
            y_numeric=True,
        )
        check_non_negative(X, f"DeepNMFRegressor (argument X{suffix})")
        y = y.astype(X.dtype, copy=False).reshape(len(X), -1)
        check_non_negative(y, f"DeepNMFRegressor (argument y{suffix})")
        if n_outputs not in (None, y.shape[1]):
            raise ValueError(
                f"y{suffix} has {y.shape[1]} columns; this model was fitted with {n_outputs}."
            )
        if self.output == "mask":
            check_mask_targets(y, X, self.n_targets)
        if sample_weight is None:
            return X, y, None
        weight = _check_sample_weight(sample_weight, X, dtype=X.dtype, ensure_non_negative=True)
        if not weight.any():
            raise ValueError(
                f"sample_weight{suffix} is zero for all samples; give some a weight above 0."
            )
        return X, y, weight

    def _held_out(self, validation, X, y):
        """Check validation data against the checked (X, y); return it in their dtype."""
        X_val, y_val, weight = validation
        arrays = self._checked(X_val, y_val, weight, y.shape[1], "_val")
        return [None if a is None else a.astype(X.dtype, copy=False) for a in arrays]

    def _check_structure(self):
        """Check that what shapes the network is as it was in the fit."""
        if self._group_sizes() != tuple(self.group_sizes_):
            raise ValueError(
                f"n_components={self.n_components!r}, output={self.output!r} and n_targets="
                f"{self.n_targets} ask for source groups of {self._group_sizes()} components, "
                f"but the model was fitted with {tuple(self.group_sizes_)}; fit it anew."
            )

    def _group_sizes(self):
        return group_sizes(self.n_components, self.output, self.n_targets)

    def _validated_data(self, X):
        check_is_fitted(self)
        self._check_structure()
        return validate_data(
            self, X, dtype=[np.float64, np.float32], ensure_non_negative=True, reset=False
        )

    @property
    def _max_epochs(self):
        """How many epochs a fit may take."""
        return self.max_iter if self._n_trained else 0

    @property
    def _n_trained(self):
        """How many layers are trained, as a number."""
        return self.n_layers + 1 if self.n_trained_layers == "all" else self.n_trained_layers

    def _initialise(self, X, y, weight, *, sources):
        """Set the attributes of an untrained network."""
        sizes = self._group_sizes()
        sources = check_sources(sources, X, sizes, self.output)
        network = getattr(self.init, "estimator", self.init)  # out of a FrozenEstimator
        if isinstance(network, DeepNMFRegressor):
            self._take_over(network, X, y)
            return
        scale = power_of_two_scale(X, weight)
        start = float(np.sqrt(weighted_mean(X, weight) / sum(sizes))) or 1.0
        architecture = self._architecture(scale, start)
        y_scale = scale if self.output == "mask" else power_of_two_scale(y, weight)
        unit = architecture.output_unit(y_scale)
        warm_start = WarmStart(
            init=self.init,
            output=architecture.output,
            group_sizes=sizes,
            beta=architecture.beta,
            sparsity=architecture.scaled_sparsity,
            output_unit=unit,
            random_state=check_random_state(self.random_state),
        )
        if sources is not None:
            sources = [architecture.scaled(source) for source in sources]
        targets = y * y.dtype.type(1 / y_scale)
        W, U = warm_start.bases(architecture.scaled(X), targets, sources, weight)
        self.n_outputs_ = y.shape[1]
        self.group_sizes_ = sizes
        self.data_scale_ = scale
        self.target_scale_ = y_scale
        self.initial_activation_ = start
        self.bases_ = [W] * self.n_layers
        self.output_bases_ = U if self.output == "mask" else U / U.dtype.type(unit)
        self._training_state = None

    def _take_over(self, network, X, y):
        """Begin with the layers of another fitted network."""
        check_is_fitted(network)
        shapes = [
            (self.n_layers, self._group_sizes(), X.shape[1], y.shape[1]),
            (
                len(network.bases_),
                network.group_sizes_,
                network.n_features_in_,
                network.n_outputs_,
            ),
        ]
        if shapes[0] != shapes[1]:
            raise ValueError(
                "init, a DeepNMFRegressor, must have the n_layers, source groups, features and "
                f"outputs that are asked for here, {shapes[0]}, but has {shapes[1]}."
            )
        copied = {id(W): W.astype(X.dtype) for W in network.bases_}
        self.bases_ = [copied[id(W)] for W in network.bases_]
        self.output_bases_ = network.output_bases_.astype(X.dtype)
        for name in ("n_outputs_", "group_sizes_", "data_scale_", "target_scale_"):
            setattr(self, name, getattr(network, name))
        self.initial_activation_ = network.initial_activation_
        self._training_state = None

    def _architecture(self, scale=None, start=None):
        """Return the network but for its bases; scale and start are the fitted ones if None."""
        output: LinearOutput | MaskOutput = LinearOutput()
        if self.output == "mask":
            output = MaskOutput(self._group_sizes(), self.n_targets)
        return Architecture(
            n_layers=self.n_layers,
            n_trained_layers=self._n_trained,
            tied=self.tied,
            output=output,
            beta=beta_of(self.beta_loss),
            sparsity=self.sparsity,
            scale=self.data_scale_ if scale is None else scale,
            start=self.initial_activation_ if start is None else start,
        )

    def _train(self, X, y, weight, *, held_out, callbacks):
        """Train from where the bases stand, and set the results."""
        samples, state = self._training(X, y, weight)
        if self.averaging > 0 and state.average is None:
            state.average = RunningAverage(self.averaging, state.parameters)
        valid = self._samples(*held_out) if held_out else None
        callbacks.watch(lambda: self._fitted_bases(state))
        with Objective(self._network()) as objective:
            settings = self._loop_settings(len(samples))
            fit_loop(objective, state, samples, settings, valid, _r2, callbacks)
        self._set_results(state)
        if state.status == "running" and self.tol > 0:
            warnings.warn(
                f"Training reached max_iter={self.max_iter} epochs and was still improving; "
                "increase max_iter or tol.",
                ConvergenceWarning,
            )

    def _network(self):
        """Return the trained part as the training loop sees it."""
        _, cancel, _ = SOLVERS[self.solver]
        return self._architecture().network(beta_of(self.training_loss), cancel)

    def _loop_settings(self, n_samples):
        batch_size = min(1024, n_samples) if self.batch_size == "auto" else self.batch_size
        return LoopSettings(
            max_iter=self.max_iter,
            batch_size=batch_size,
            tol=self.tol,
            n_iter_no_change=self.n_iter_no_change,
            shuffle=self.shuffle,
            verbose=self.verbose,
            learning_rate_decay=self.learning_rate_decay,
        )

    def _split(self, n_samples, groups):
        """Return the rows to train on and, with early stopping, those held out (or None)."""
        if not self.early_stopping:
            return slice(None), None
        if groups is not None and len(np.unique(groups)) == 1:
            groups = None
        splitter = ShuffleSplit if groups is None else GroupShuffleSplit
        splits = splitter(1, test_size=self.validation_fraction, random_state=self.random_state)
        return next(splits.split(np.empty(n_samples), groups=groups))

    def _samples(self, X, y, weight):
        return self._architecture().samples(X, y, weight, self.bases_, self.target_scale_)

    def _training(self, X, y, weight):
        """Return the training samples and the state of training, which may be a former one."""
        trained = (
            self.solver,
            self._n_trained,
            self.tied,
            self.learning_rate_init,
            self.averaging,
        )
        former = getattr(self, "_training_state", None)
        if former is None or former[0] != trained:
            rule, _, default = SOLVERS[self.solver]
            rate = default if self.learning_rate_init == "auto" else self.learning_rate_init
            parameters = self._architecture().parameters(
                self.bases_, self.output_bases_, self.target_scale_
            )
            state = TrainingState(parameters, rule(rate), check_random_state(self.random_state))
            former = self._training_state = (trained, state)
        return self._samples(X, y, weight), former[1]

    def _fitted_bases(self, state):
        """Return the attributes that make the model ready to predict, for a training state."""
        bases, U = self._architecture().all_bases(
            state.best_parameters, self.bases_, self.target_scale_
        )
        return {"bases_": bases, "output_bases_": U}

    def _set_results(self, state):
        """Set the attributes that training changes."""
        for name, value in self._fitted_bases(state).items():
            setattr(self, name, value)
        unit = self.target_scale_ ** beta_of(self.training_loss)
        self.history_ = [
            {
                name: value * unit if name.endswith("loss") else value
                for name, value in epoch.items()
            }
            for epoch in state.history
        ]
        validated = [epoch for epoch in self.history_ if "validation_loss" in epoch]
        held_out = self.early_stopping and bool(validated)
        self.loss_ = state.best_loss * unit
        self.best_loss_ = None if held_out else self.loss_
        self.loss_curve_ = [epoch["loss"] for epoch in self.history_]
        self.validation_loss_curve_ = self.validation_scores_ = None
        if held_out:
            self.validation_loss_curve_ = [e["validation_loss"] for e in validated]
            self.validation_scores_ = [e["validation_score"] for e in validated]
        self.n_iter_ = max(len(self.history_), 1)
        self._count_parameters(sum(p.size for p in state.parameters))

    def _set_untrained_results(self, X, y, weight):
        """Set what training would have set."""
        y_hat = self._architecture().predictions(
            X, self.bases_, self.output_bases_, self.n_outputs_
        )
        losses = divergence(y, y_hat, beta_of(self.training_loss))
        self.loss_ = self.best_loss_ = float(np.average(losses, weights=weight))
        self.loss_curve_, self.history_, self.n_iter_ = [self.loss_], [], 1
        self.validation_loss_curve_ = self.validation_scores_ = None
        self._count_parameters(0)

    def _count_parameters(self, n_trained):
        distinct = {id(W): W.size for W in self.bases_}
        derived = np.shares_memory(self.output_bases_, self.bases_[-1])
        self.n_parameters_ = sum(distinct.values()) + (
            0 if derived else self.output_bases_.size
        )
        self.n_trained_parameters_ = n_trained

    def _bases_like(self, X):
        """Return (list of bases, output bases) in the dtype of X."""
        bases = [W.astype(X.dtype, copy=False) for W in self.bases_]
        return bases, self.output_bases_.astype(X.dtype, copy=False)

    def _shaped(self, y):
        """Return outputs as users know them: flat if there is only one."""
        return y.ravel() if self.n_outputs_ == 1 else y

    @property
    def _n_features_out(self):
        return self.output_bases_.shape[0]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        tags.target_tags.positive_only = True
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = True
        # A mask only passes on or attenuates features; it cannot fit any target.
        tags.regressor_tags.poor_score = self.output == "mask"
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def __getstate__(self):
        """Return the state with each distinct array of bases once."""
        state = dict(super().__getstate__())
        if "bases_" in state:
            distinct = list({id(W): W for W in self.bases_}.values())
            places = [next(i for i, D in enumerate(distinct) if D is W) for W in self.bases_]
            state["bases_"] = (distinct, places)
        return state

    def __setstate__(self, state):
        """Restore the list of bases, in which layers share arrays."""
        if "bases_" in state:
            distinct, places = state["bases_"]
            state = state | {"bases_": [distinct[i] for i in places]}
        super().__setstate__(state)


def _r2(samples, y_hat):
    """Return the R^2 of predictions of samples; nan for a single one."""
    if len(samples) < 2:
        return float("nan")
    return float(r2_score(samples.y, y_hat, sample_weight=samples.weight))
