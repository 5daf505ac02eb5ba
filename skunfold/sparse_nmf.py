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

from skunfold._deep_nmf.architecture import Architecture
from skunfold._deep_nmf.initialization import random_start
from skunfold._documentation import DocumentedEstimator
from skunfold._fitting import restored_on_failure
from skunfold._kernels import sparse_nmf
from skunfold._kernels.divergences import BETA, beta_of
from skunfold._kernels.outputs import LinearOutput
from skunfold._scaling import power_of_two_scale


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
    n_components : int, default=10
        Number of bases, those in `fixed_components` included.

    sparsity : float, default=0.0
        Weight of the L1 penalty on the activations, 0 or more, in units of
        ``X ** (beta - 1)``: for the Kullback-Leibler divergence it does not depend on the
        scale of the data.

    beta_loss : {"frobenius", "kullback-leibler", "itakura-saito"} or float, \
default="kullback-leibler"
        The divergence; as a number, its beta (2, 1 and 0 for the three names), 0 or more.

    init : {"random"} or array-like of shape (n_components, n_features), default="random"
        The bases that the fit starts from. An array is brought to unit norm.

    fixed_components : array-like of shape (n_fixed, n_features), default=None
        Bases that the fit keeps exactly as given, the first rows of `components_`. For the
        penalty to weigh all bases alike, give them unit norm.

    max_iter : int, default=200
        Number of updates in `fit`, at most, and in `transform`, exactly; at least 1.

    tol : float, default=1e-4
        `fit` stops when the objective falls by less than ``tol`` times its first value within
        ten updates. 0 or more.

    random_state : int, RandomState instance or None, default=None
        Seed of the start.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        The bases.
    n_iter_ : int
        Number of updates done.
    loss_curve_ : list of float
        The objective per sample, at every tenth update.
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
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "sparsity": [Interval(Real, 0, None, closed="left")],
        "beta_loss": [StrOptions(set(BETA)), Interval(Real, 0, None, closed="left")],
        "init": [StrOptions({"random"}), "array-like"],
        "fixed_components": ["array-like", None],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_components: int = 10,
        *,
        sparsity: float = 0.0,
        beta_loss: str | float = "kullback-leibler",
        init: Literal["random"] | ArrayLike = "random",
        fixed_components: ArrayLike | None = None,
        max_iter: int = 200,
        tol: float = 1e-4,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_components = n_components
        self.sparsity = sparsity
        self.beta_loss = beta_loss
        self.init = init
        self.fixed_components = fixed_components
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: None = None) -> Self:
        """Learn the bases.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Non-negative data.
        y : None
            Ignored.

        Returns
        -------
        self : SparseNMF

        Raises
        ------
        ValueError
            If X is negative somewhere or not finite, or `init` or `fixed_components` do not
            fit it.
        TypeError
            If X is sparse.
        """
        with restored_on_failure(self):
            self._fit(X)
        return self

    def _fit(self, X):
        """Learn the bases, and set the fitted attributes."""
        data: NDArray = validate_data(
            self, X, dtype=[np.float64, np.float32], ensure_non_negative=True
        )
        fixed = self._bases("fixed_components", self.fixed_components, data)
        random_state = check_random_state(self.random_state)
        self.data_scale_ = power_of_two_scale(data)
        network = self._network()
        data = network.scaled(data)
        H, W = random_start(data, self.n_components, random_state)
        if not isinstance(self.init, str):
            W = sparse_nmf.unit_rows(self._bases("init", self.init, data, exactly=True))
        W[: len(fixed)] = fixed
        W, losses, converged = sparse_nmf.fit(
            data,
            H,
            W,
            network.beta,
            network.scaled_sparsity,
            max_iter=self.max_iter,
            tol=self.tol,
            n_fixed=len(fixed),
        )
        if not converged and self.tol > 0:
            warnings.warn(
                f"SparseNMF did not converge in max_iter={self.max_iter} updates; "
                "increase max_iter or tol.",
                ConvergenceWarning,
            )
        self.components_ = W
        self.loss_curve_ = [loss * network.scale**network.beta for loss in losses]
        self.n_iter_ = self.max_iter
        if converged:
            self.n_iter_ = (len(losses) - 1) * sparse_nmf.CHECK_EVERY

    def transform(self, X: ArrayLike) -> NDArray:
        """Return the activations of new data after `max_iter` updates.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Non-negative data.

        Returns
        -------
        activations : ndarray of shape (n_samples, n_components)
        """
        check_is_fitted(self)
        data = validate_data(
            self, X, dtype=[np.float64, np.float32], ensure_non_negative=True, reset=False
        )
        W = self.components_.astype(data.dtype, copy=False)
        return self._network().activations(data, [W] * self.max_iter)

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
        activations = check_array(X, dtype=[np.float64, np.float32])
        if activations.shape[1] != len(self.components_):
            raise ValueError(
                f"X has {activations.shape[1]} columns; give {len(self.components_)} "
                "activations, one a component."
            )
        return np.matmul(activations, self.components_)

    def _bases(self, name, bases, X, exactly=False):
        """Return valid rows of bases, from a parameter."""
        if bases is None:
            return np.empty((0, X.shape[1]), X.dtype)
        bases = check_array(bases, dtype=X.dtype, ensure_non_negative=True, input_name=name)
        rows_fit = (
            len(bases) == self.n_components if exactly else len(bases) <= self.n_components
        )
        if not rows_fit or bases.shape[1] != X.shape[1]:
            at_most = "" if exactly else "at most "
            raise ValueError(
                f"{name} has shape {bases.shape}; give {at_most}n_components="
                f"{self.n_components} rows, and {X.shape[1]} columns, one a feature."
            )
        return bases

    def _network(self):
        """Return the inference of `transform` as an untrained network."""
        return Architecture(
            n_layers=self.max_iter,
            n_trained_layers=0,
            tied=True,
            output=LinearOutput(),
            beta=beta_of(self.beta_loss),
            sparsity=self.sparsity,
            scale=self.data_scale_,
            start=self.data_scale_ / self.n_components,
        )

    @property
    def _n_features_out(self):
        return self.components_.shape[0]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
