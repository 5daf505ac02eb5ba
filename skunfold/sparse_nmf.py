"""Sparse NMF as a scikit-learn transformer."""

import warnings
from numbers import Integral, Real
from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from skunfold._deep_nmf.architecture import NMFArchitecture
from skunfold._deep_nmf.start_values import bases_given, start, valid_activations, valid_bases
from skunfold._estimator.data import checked_weights, restored_on_failure
from skunfold._estimator.documentation import DocumentedEstimator
from skunfold._estimator.scaling import check_range, power_of_two_scale
from skunfold._estimator.sparse_input import sparse_format, takes_sparse
from skunfold._kernels import sparse_nmf
from skunfold._kernels.divergences import BETA, beta_of
from skunfold._kernels.outputs import LinearOutput
from skunfold._kernels.sparse_rows import canonical

BATCH_UPDATES = 30  # of the activations of a batch of a stream, before the bases are updated
_SUMS = ("components_numerator_", "components_denominator_")
_DTYPES = [np.float64, np.float32]


class SparseNMF(
    DocumentedEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """Non-negative matrix factorization with sparse activations and unit-norm bases.

    Minimises the beta-divergence of the data from ``activations @ components_``, plus
    ``sparsity`` times the sum of the activations. The bases are held at unit L2 norm inside
    the updates, so that the penalty cannot be escaped by scaling the bases up; scikit-learn's
    `NMF` has no such option. Some bases can be held fixed while the others are learned.

    Parameters
    ----------
    n_components : int or "auto", default=10
        Number of bases, those in `fixed_components` included. "auto": the number in the given
        start values, or without these the number of features.

    sparsity : float, default=0.0
        Weight of the L1 penalty on the activations, 0 or more, in units of
        ``X ** (beta - 1)``: for the Kullback-Leibler divergence it does not depend on the
        scale of the data.

    beta_loss : {"frobenius", "kullback-leibler", "itakura-saito"} or float, \
default="kullback-leibler"
        The divergence; as a number, its beta (2, 1 and 0 for the three names), 0 or more. For
        2 and 1, data may be sparse, and only its nonzero elements take time and memory.

    init : {"random", "custom"} or array-like of shape (n_components, n_features), \
default="random"
        The bases that the fit starts from. The rows of an array are scaled to unit norm.
        "custom": `fit` is given bases and activations. Zeros in a given start, which no update
        could change, are replaced by a hundredth of the mean.

    fixed_components : array-like of shape (n_fixed, n_features), default=None
        Bases that the fit keeps exactly as given, the first rows of `components_`. For the
        penalty to weigh all bases alike, give them unit norm.

    max_iter : int, default=200
        Maximum number of updates in `fit`, and exact number in `transform`; at least 1.

    tol : float, default=1e-4
        `fit` stops when the objective falls by less than ``tol`` times its first value within
        ten updates. 0 or more.

    forget_factor : float, default=0.7
        Weight of earlier batches in `partial_fit`, from 0 to 1: each new batch multiplies the
        weights of all batches before it by this factor. Ignored by `fit`.

    random_state : int, RandomState instance or None, default=None
        Seed of the start.

    verbose : int, default=0
        Above 0, prints the objective at every tenth update, and of every batch.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        The bases.
    n_components_ : int
        Number of bases.
    reconstruction_err_ : float
        Square root of twice the divergence of the data from its reconstruction, as in
        :class:`sklearn.decomposition.NMF`: for ``beta_loss="frobenius"`` the Frobenius norm of
        their difference. After `partial_fit` that of its batch.
    n_iter_ : int
        Number of updates done; in a stream, of batches.
    loss_curve_ : list of float
        The objective per sample at every tenth update; in a stream, that of each batch before
        its update.
    components_numerator_, components_denominator_ : ndarray of shape (n_components, n_features)
        Sums over the batches so far, only after `partial_fit`.
    data_scale_ : float
        The power of two by which data is divided for the computation.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where X has string names.

    See Also
    --------
    DeepNMFRegressor : The unfolded and trained form; ``init="sparse_nmf"`` starts from this.
    sklearn.decomposition.NMF : Without unit norm and fixed components, with other solvers.
    sklearn.decomposition.MiniBatchNMF : Likewise, for streams.

    References
    ----------
    J. Le Roux, F. Weninger and J. R. Hershey, "Sparse NMF - half-baked or well done?",
    MERL TR2015-023 (2015), section 4.

    Examples
    --------
    >>> import numpy as np
    >>> from skunfold import SparseNMF
    >>> X = np.random.default_rng(0).uniform(size=(50, 8))
    >>> model = SparseNMF(n_components=3, sparsity=0.1, random_state=0).fit(X)
    >>> model.transform(X).shape
    (50, 3)
    >>> float(np.linalg.norm(model.components_[0]).round(6))
    1.0
    """

    _parameter_constraints: dict = {
        "n_components": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "sparsity": [Interval(Real, 0, None, closed="left")],
        "beta_loss": [StrOptions(set(BETA)), Interval(Real, 0, None, closed="left")],
        "init": [StrOptions({"random", "custom"}), "array-like"],
        "fixed_components": ["array-like", None],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "forget_factor": [Interval(Real, 0, 1, closed="both")],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_components: int | Literal["auto"] = 10,
        *,
        sparsity: float = 0.0,
        beta_loss: str | float = "kullback-leibler",
        init: Literal["random", "custom"] | ArrayLike = "random",
        fixed_components: ArrayLike | None = None,
        max_iter: int = 200,
        tol: float = 1e-4,
        forget_factor: float = 0.7,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.sparsity = sparsity
        self.beta_loss = beta_loss
        self.init = init
        self.fixed_components = fixed_components
        self.max_iter = max_iter
        self.tol = tol
        self.forget_factor = forget_factor
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike,
        y: None = None,
        sample_weight: ArrayLike | None = None,
        *,
        W: ArrayLike | None = None,
        H: ArrayLike | None = None,
    ) -> Self:
        """Learn the bases.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Non-negative data. Sparse for ``beta_loss`` "kullback-leibler" or "frobenius".
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the objective, 0 or more, not all 0; a whole number is
            the same as that many copies of the sample.
        W : array-like of shape (n_samples, n_components), default=None
            The activations to start from, with ``init="custom"``.
        H : array-like of shape (n_components, n_features), default=None
            The bases to start from, with ``init="custom"``. They are scaled to unit norm, and
            the activations are scaled so that the product does not change.

        Returns
        -------
        self : SparseNMF

        Warns
        -----
        RuntimeWarning
            If W or H is given, but `init` is not "custom": they are ignored.
        ConvergenceWarning
            If `max_iter` updates were too few for `tol`.

        Raises
        ------
        ValueError
            If X is negative somewhere or not finite, or `init`, `fixed_components`, W or H do
            not fit it.
        TypeError
            If X is sparse for any other `beta_loss`.
        """
        with restored_on_failure(self):
            data, weight = self._checked(X, sample_weight, reset=True)
            self._fit(data, weight, W, H)
        return self

    def fit_transform(
        self,
        X: ArrayLike,
        y: None = None,
        sample_weight: ArrayLike | None = None,
        *,
        W: ArrayLike | None = None,
        H: ArrayLike | None = None,
    ) -> NDArray:
        """Fit, and return the activations of the same data.

        Parameters
        ----------
        X, y, sample_weight, W, H
            As in `fit`.

        Returns
        -------
        activations : ndarray of shape (n_samples, n_components)
            Those of `transform`.
        """
        return self.fit(X, y, sample_weight, W=W, H=H).transform(X)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: ArrayLike, y: None = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Learn from one batch of a stream.

        Its activations are inferred by 30 updates, and the bases are then updated once, for
        this batch and, with decreasing weights, those before it (see `forget_factor`). The
        first call sets the start and the scale; after `fit`, it starts from the fitted bases.

        Parameters
        ----------
        X, y, sample_weight
            As in `fit`.

        Returns
        -------
        self : SparseNMF
        """
        first = not hasattr(self, "components_")
        with restored_on_failure(self):
            data, weight = self._checked(X, sample_weight, reset=first)
            if first:
                _, _, self.components_ = self._start(data, weight)
            self._fit_batch(data, weight)
        return self

    def transform(self, X: ArrayLike) -> NDArray:
        """Return the activations of new data after `max_iter` updates.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Non-negative data; sparse as in `fit`.

        Returns
        -------
        activations : ndarray of shape (n_samples, n_components)
        """
        check_is_fitted(self)
        data = self._valid(X, reset=False)
        bases = self.components_.astype(data.dtype, copy=False)
        network = self._network(len(bases))
        return _inferred(network, data, bases, self.max_iter)

    def inverse_transform(self, X: ArrayLike) -> NDArray:
        """Return data from activations.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Activations.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
        """
        check_is_fitted(self)
        activations = check_array(X, dtype=_DTYPES)
        if activations.shape[1] != len(self.components_):
            raise ValueError(
                f"X has {activations.shape[1]} columns; give {len(self.components_)} "
                "activations, one a component."
            )
        return np.matmul(activations, self.components_)

    def _fit(self, data, weight, W, H):
        """Learn the bases from checked data, and set the fitted attributes."""
        data, activations, bases = self._start(data, weight, W, H)
        network = self._network(len(bases))
        unit = network.scale**network.beta  # of the objective

        def report(n_updates, loss):
            if self.verbose:
                print(f"Update {n_updates}: objective {loss * unit:.6g} per sample")

        bases, losses, converged = sparse_nmf.fit(
            data,
            activations,
            bases,
            network.beta,
            network.scaled_sparsity,
            max_iter=self.max_iter,
            tol=self.tol,
            n_fixed=len(self._fixed(data, len(bases))),
            weight=weight,
            report=report,
        )
        if not converged and self.tol > 0:
            warnings.warn(
                f"SparseNMF did not converge in max_iter={self.max_iter} updates; "
                "increase max_iter or tol.",
                ConvergenceWarning,
            )
        for name in _SUMS:
            self.__dict__.pop(name, None)
        self.components_ = bases
        self.loss_curve_ = [loss * unit for loss in losses]
        self.n_iter_ = (
            (len(losses) - 1) * sparse_nmf.CHECK_EVERY if converged else self.max_iter
        )
        self._set_reconstruction_err(data, activations, weight, network)

    def _fit_batch(self, data, weight):
        """Learn from checked data, and set the fitted attributes."""
        bases: NDArray = self.components_
        network, n_fixed = self._network(len(bases)), len(self._fixed(data, len(bases)))
        activations = _inferred(network, data, bases, BATCH_UPDATES)
        data, activations = network.scaled(data), network.scaled(activations)
        sums = tuple(getattr(self, name) for name in _SUMS if hasattr(self, name))
        if not sums:
            self.n_iter_, self.loss_curve_ = 0, []
        self.components_, loss, sums = sparse_nmf.fit_batch(
            data,
            activations,
            bases,
            network.beta,
            network.scaled_sparsity,
            sums or None,
            forget_factor=self.forget_factor,
            n_fixed=n_fixed,
            weight=weight,
        )
        for name, value in zip(_SUMS, sums):
            setattr(self, name, value)
        loss *= network.scale**network.beta
        loss /= data.shape[0] if weight is None else weight.sum(dtype=np.float64)
        self.n_iter_ += 1
        self.loss_curve_ = [*self.loss_curve_, float(loss)]
        self._set_reconstruction_err(data, activations, weight, network)
        if self.verbose:
            print(f"Batch {self.n_iter_}: objective {loss:.6g} per sample")

    def _set_reconstruction_err(self, data, activations, weight, network):
        bases, beta = self.components_, network.beta
        total = sparse_nmf.total_divergence(data, activations, bases, beta, weight)
        self.reconstruction_err_ = float(np.sqrt(2 * max(total, 0))) * network.scale ** (
            beta / 2
        )

    def _checked(self, X, sample_weight, reset):
        """Return valid samples and their weights, or None."""
        data = self._valid(X, reset, _DTYPES if reset else self.components_.dtype)
        return data, checked_weights(sample_weight, data)

    def _valid(self, X, reset, dtype=_DTYPES):
        """Return valid samples."""
        data = validate_data(
            self,
            X,
            reset=reset,
            accept_sparse=sparse_format(X, "X", self.beta_loss),
            dtype=dtype,
            ensure_non_negative=True,
        )
        data = canonical(data)
        if not reset:
            check_range(data, self.data_scale_, "X")
        return data

    def _start(self, data, weight, W=None, H=None):
        """Set the scale; return data, activations and bases to start from.

        All are in the units of the computation.
        """
        given, custom = bases_given(self.init, W, H)
        n, activations = self.n_components, None
        if n == "auto":
            n = data.shape[1] if given is None else len(np.atleast_2d(given))
        self.data_scale_ = power_of_two_scale(data, weight)
        network, fixed = self._network(n), self._fixed(data, n)
        if given is not None:
            given = valid_bases("H" if custom else "init", given, data, n)
        if custom:
            activations = network.scaled(valid_activations(W, data, n))
        data, random_state = network.scaled(data), check_random_state(self.random_state)
        return data, *start(data, given, activations, fixed, n, random_state)

    def _fixed(self, data, n_components):
        """Return the fixed bases, which may be none."""
        fixed = self.fixed_components
        return valid_bases("fixed_components", fixed, data, n_components, exactly=False)

    def _network(self, n_components):
        """Return the inference of `transform` as an untrained network."""
        return NMFArchitecture(
            n_layers=self.max_iter,
            n_trained_layers=0,
            tied=True,
            output=LinearOutput(),
            beta=beta_of(self.beta_loss),
            sparsity=self.sparsity,
            scale=self.data_scale_,
            start=self.data_scale_ / n_components,
        )

    @property
    def n_components_(self) -> int:
        """The number of bases."""
        return len(self.components_)

    @property
    def _n_features_out(self):
        return self.components_.shape[0]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        tags.input_tags.sparse = takes_sparse(self.beta_loss)
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _inferred(network, data, bases, n_updates):
    """Return the activations of data after so many updates."""
    return network.activations(data, network.layers([(bases,)] * n_updates, data.shape[0]))
