"""Warm starts: the initial bases of a deep NMF network.

The result is always one dictionary for all layers, W (n_components, n_features), and output
bases U (n_components, n_outputs), in the units of the data that comes in here.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.decomposition import non_negative_factorization
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted

from skunfold._estimator.scaling import weighted_mean
from skunfold._kernels import sparse_nmf, weighted_nmf
from skunfold._kernels.nmf import constant_activations, infer, layer_of
from skunfold._kernels.outputs import LinearOutput, MaskOutput
from skunfold._kernels.sparse_rows import beside, dense, row_means, transposed, values_of
from skunfold._storage import working_memory

COPIES = 8  # arrays as large as the data that the factorisations take
N_ITERATIONS = 100  # of a factorisation, and of bases alone where activations are given


@dataclass(frozen=True)
class WarmStart:
    """The settings of the initial bases of a network.

    `init` is described in `DeepNMFRegressor`; `group_sizes` are the components of each source
    group (one group for linear output).
    """

    init: Any
    output: LinearOutput | MaskOutput
    group_sizes: tuple
    beta: float
    sparsity: float
    trained: bool  # whether layers are
    output_unit: float  # from output bases in the units of the data to those computed with
    random_state: np.random.RandomState

    @property
    def n_components(self):
        """All components together."""
        return sum(self.group_sizes)

    @property
    def masked(self):
        """Whether there are source groups."""
        return isinstance(self.output, MaskOutput)

    def bases(self, X, y, sources=None, weight=None):
        """Return (W, U) for X (n, F), y (n, n_outputs) and each group's own features.

        The weights (n,) are those of the samples of X and y, or None.
        """
        width = y.shape[1] // self.output.n_targets
        if not isinstance(self.init, str):
            return self._from_given(X, y, width, weight)
        if self.init == "random":
            W = self._random(X, self.n_components, weight)
            if self.masked:
                return W, W[:, -width:]
            return W, self._random(y, self.n_components, weight)
        if self.masked:
            return self._by_source(X, y, sources, width, weight)
        return self._joint(X, y, weight)

    def _joint(self, X, y, weight):
        """Factorise [X | y], with equal weight for X and y."""
        mean = weighted_mean(X, weight) or 1.0  # X may be all zeros
        unit = X.dtype.type(mean / max(weighted_mean(y, weight), np.finfo(y.dtype).tiny))
        _, components = self._factorise(beside(X, unit * y), self.n_components, weight)
        W, U = np.hsplit(components, [X.shape[1]])
        return np.ascontiguousarray(W), U / unit

    def _by_source(self, X, y, sources, width, weight):
        """Factorise each source by itself; the residual is X minus the targets."""
        if sources is not None:
            weight = None  # the weights are not for the samples of given sources
        else:
            targets = np.split(y, self.output.n_targets, axis=1)
            residual = np.maximum(dense(X[:, -width:]) - sum(targets), 0)
            sources = [*targets, residual]
        factors = [
            self._factorise(source, size, weight)
            for source, size in zip(sources, self.group_sizes)
            if size
        ]
        W = np.concatenate([components for _, components in factors])
        if W.shape[1] == X.shape[1]:
            return W, W[:, -width:]
        activations = np.concatenate([h for h, _ in factors], axis=1)
        return solve_bases(X, activations, self.beta, weight), W

    def _factorise(self, data, n_components, weight):
        """Return (activations, components) of one source."""
        if data.max() == 0:  # the residual is zero; any bases are equally good
            bases = self._random(np.ones((1, data.shape[1]), data.dtype), n_components, None)
            return np.zeros((data.shape[0], n_components), data.dtype), bases
        mean = weighted_mean(data, weight)
        if self.beta <= 0:  # these divergences are infinite at zero
            data = np.maximum(data, data.dtype.type(np.finfo(data.dtype).eps * mean))
        settings: dict = {"max_iter": N_ITERATIONS, "tol": 1e-4}
        if self.init == "sparse_nmf":
            H, W = random_start(data, n_components, self.random_state)
            settings["weight"] = weight
            W, _, _ = sparse_nmf.fit(data, H, W, self.beta, self.sparsity, **settings)
            return H, W
        # Activations start by the level of their sample alone, not at random, so that a sample
        # of weight 2 is the same as two samples.
        bases = self._random(data, n_components, weight)
        levels = row_means(data) / np.sqrt(mean * n_components)
        start = np.tile(levels.astype(data.dtype), n_components)
        if weight is not None:
            return weighted_nmf.fit(data, start, bases, weight, self.beta, **settings)
        # A function instead of NMF.fit, since tools that record every `fit` of scikit-learn
        # would record this one as the user's. Where the start is exact, it divides 0 by 0.
        with warnings.catch_warnings(), np.errstate(invalid="ignore"):
            warnings.simplefilter("ignore", ConvergenceWarning)
            activations, components, _ = non_negative_factorization(
                data,
                start,
                bases,
                n_components,
                init="custom",
                solver="mu",
                beta_loss=self.beta,
                **settings,
            )
        return activations, components

    def _random(self, data, n_components, weight):
        scale = np.sqrt(weighted_mean(data, weight) / n_components)
        normal = self.random_state.standard_normal((n_components, data.shape[1]))
        return (scale * np.abs(normal)).astype(data.dtype)

    def _from_given(self, X, y, width, weight):
        """Take bases from fitted NMFs or arrays; find output bases where they have none."""
        several = isinstance(self.init, list | tuple) and not any(map(_is_row, self.init))
        given = list(self.init) if several else [self.init]
        try:
            W = np.ascontiguousarray(
                np.concatenate([_components_of(b, X.dtype) for b in given])
            )
        except (ValueError, AttributeError) as error:
            raise ValueError(
                f"init, a {type(self.init).__name__}, holds no usable bases: {error} Give "
                "arrays of shape (n_components, n_features), or fitted NMFs; cloning drops "
                "what they learned, so within a search or a SpeechEnhancer give their "
                "components_, or wrap them in sklearn.frozen.FrozenEstimator."
            ) from None
        if self.trained:
            warn_of_zeros(W)
        n_features = X.shape[1]
        widths = [n_features] if self.masked else [n_features, n_features + width]
        if W.shape[0] != self.n_components or W.shape[1] not in widths:
            raise ValueError(
                f"init gives bases of shape {W.shape}; with n_components={self.n_components} "
                f"in all and {n_features} features, give {self.n_components} rows and "
                f"{' or '.join(map(str, widths))} columns."
            )
        if self.masked:
            return W, W[:, -width:]
        if W.shape[1] > n_features:
            U = W[:, n_features:] * X.dtype.type(self.output_unit)
            return np.ascontiguousarray(W[:, :n_features]), U
        level = np.sqrt(weighted_mean(X, weight) / len(W))
        start = constant_activations(level, len(W), X.dtype)
        layer = layer_of((W,), self.beta, self.sparsity, X.shape[0], N_ITERATIONS)
        *_, h = infer(X, [layer] * N_ITERATIONS, start)
        return W, solve_bases(y, h, self.beta, weight)


def rows_that_fit(rows, X, random_state):
    """Return the given rows of X, or some of them where all would take too much memory."""
    row_bytes = max(values_of(X).nbytes // X.shape[0], 1)
    n = max(1, working_memory() // (COPIES * row_bytes))
    n_rows = X.shape[0] if isinstance(rows, slice) else len(rows)
    if n_rows <= n:
        return rows
    chosen = np.sort(check_random_state(random_state).choice(n_rows, n, replace=False))
    return chosen if isinstance(rows, slice) else rows[chosen]


def layers_of_network(network, wanted, fit_projections, dtype):
    """Return (bases, projections or None, output bases) of a fitted DeepNMFRegressor.

    `wanted` are the n_layers, source groups, features and outputs that it must have. Arrays
    are copied.
    """
    found = (
        len(network.bases_),
        tuple(network.group_sizes_),
        network.n_features_in_,
        network.n_outputs_,
    )
    if wanted != found:
        raise ValueError(
            "init, a DeepNMFRegressor, must have the n_layers, source groups, features and "
            f"outputs that are asked for here, {wanted}, but has {found}."
        )
    projections = getattr(network, "projections_", None)
    if projections is not None and not fit_projections:
        raise ValueError(
            "init, a DeepNMFRegressor, has projections, which would be lost; "
            "set fit_projections=True here as well."
        )
    copied = {id(W): W.astype(dtype) for W in [*network.bases_, *(projections or ())]}
    bases = [copied[id(W)] for W in network.bases_]
    projections = projections and [copied[id(V)] for V in projections]
    return bases, projections, network.output_bases_.astype(dtype)


def warn_of_zeros(W):
    """Warn if given bases that are to be trained hold zeros."""
    if not W.all():
        warnings.warn(
            f"init holds zeros ({np.count_nonzero(W == 0)}), which training cannot change, "
            "since its updates multiply. If they are to be learned, replace them by small "
            "positive numbers, such as np.maximum(init, 1e-3 * init.mean())."
        )


def initial_bases(warm_start, X, y, sources, weight):
    """Return `WarmStart.bases`: a function that a joblib.Memory can cache."""
    return warm_start.bases(X, y, sources, weight)


def _components_of(item, dtype):
    """Return the bases of a fitted NMF or an array, (n_components, any)."""
    if hasattr(item, "fit"):
        check_is_fitted(item)
        item = item.components_
    return check_array(item, dtype=dtype, ensure_non_negative=True, input_name="init")


def solve_bases(X, H, beta, weight):
    """Return the bases W (R, F) that bring H W near X (n, F), for activations H (n, R).

    With data and bases transposed, this is inference of activations, and weights of the samples
    (or None) those of features, which projections carry.
    """
    H = H + np.finfo(H.dtype).eps * H.mean(axis=1, keepdims=True)
    level = np.sqrt(weighted_mean(X, weight))
    start = constant_activations(level, H.shape[1], X.dtype)
    data, basis = transposed(X), np.ascontiguousarray(H.T)
    theta = (basis,) if weight is None else (basis, weight / weight.mean() * basis)
    layer = layer_of(theta, beta, 0, data.shape[0], N_ITERATIONS)
    *_, W = infer(data, [layer] * N_ITERATIONS, start)
    return np.ascontiguousarray(W.T)


def _is_row(item):
    """Return whether an item of a list is a single row, not an array of bases."""
    return not hasattr(item, "fit") and np.ndim(item) == 1


def random_start(X, n_components, random_state):
    """Return (H, W): activations by the level of each sample, random bases of unit norm."""
    W = sparse_nmf.unit_rows(
        random_state.uniform(0.1, 1, (n_components, X.shape[1])).astype(X.dtype)
    )
    levels = row_means(X) * X.dtype.type(X.shape[1] / W.sum())
    return np.tile(levels, n_components), W
