"""Warm starts: the bases that a deep NMF network begins with.

The result is always one dictionary for all layers, W (n_components, n_features), and output
bases U (n_components, n_outputs), in the units of the data that comes in here.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.decomposition import NMF
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_array, check_is_fitted

from skunfold._kernels import sparse_nmf
from skunfold._kernels.nmf import constant_activations, infer, layers_of
from skunfold._kernels.outputs import LinearOutput, MaskOutput
from skunfold._kernels.sparse_rows import beside, dense, row_means, rows_scaled, transposed

N_ITERATIONS = 100  # of a factorisation, and of bases alone where activations are given


@dataclass(frozen=True)
class WarmStart:
    """What decides the first bases of a network, besides the data.

    `init` is described in `DeepNMFRegressor`; `group_sizes` are the components of each source
    group (one group for linear output).
    """

    init: Any
    output: LinearOutput | MaskOutput
    group_sizes: tuple
    beta: float
    sparsity: float
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

        Weights of the samples scale their rows: D(c x | c v) = c^beta D(x | v). For beta = 0,
        where that is 1, the factorisations ignore them.
        """
        width = y.shape[1] // self.output.n_targets
        scale = X.dtype.type(1)
        if weight is not None and self.beta > 0:
            scale = ((weight / weight.mean()) ** (1 / self.beta)).astype(X.dtype)[:, None]
        if not isinstance(self.init, str):
            return self._from_given(X, y, width, scale)
        X, y = rows_scaled(X, scale), scale * y
        if self.init == "random":
            W = self._random(X, self.n_components)
            return W, W[:, -width:] if self.masked else self._random(y, self.n_components)
        if self.masked:
            return self._by_source(X, y, sources, width)
        return self._joint(X, y)

    def _joint(self, X, y):
        """Factorise [X | y], the two weighing the same."""
        mean = X.mean() or 1.0  # X may be all zeros
        weight = X.dtype.type(mean / max(y.mean(), np.finfo(y.dtype).tiny))
        _, components = self._factorise(beside(X, weight * y), self.n_components)
        W, U = np.hsplit(components, [X.shape[1]])
        return np.ascontiguousarray(W), U / weight

    def _by_source(self, X, y, sources, width):
        """Factorise each source by itself; the residual is what the targets leave of X."""
        if sources is None:
            targets = np.split(y, self.output.n_targets, axis=1)
            residual = np.maximum(dense(X[:, -width:]) - sum(targets), 0)
            sources = [*targets, residual]
        factors = [
            self._factorise(source, size)
            for source, size in zip(sources, self.group_sizes)
            if size
        ]
        W = np.concatenate([components for _, components in factors])
        if W.shape[1] == X.shape[1]:
            return W, W[:, -width:]
        activations = np.concatenate([h for h, _ in factors], axis=1)
        return solve_bases(X, activations, self.beta), W

    def _factorise(self, data, n_components):
        """Return (activations, components) of one source."""
        if data.max() == 0:  # a residual of nothing; any bases will do
            bases = self._random(np.ones((1, data.shape[1]), data.dtype), n_components)
            return np.zeros((data.shape[0], n_components), data.dtype), bases
        if self.beta <= 0:  # these divergences are infinite at zero
            data = np.maximum(data, np.finfo(data.dtype).eps * data.mean())
        if self.init == "sparse_nmf":
            return self._factorise_sparsely(data, n_components)
        model = NMF(
            n_components,
            init="custom",
            solver="mu",
            beta_loss=self.beta,
            max_iter=N_ITERATIONS,
        )
        # Activations start by the level of their sample alone, not at random, so that a sample
        # of weight 2 is the same as two samples.
        bases = self._random(data, n_components)
        levels = row_means(data) / np.sqrt(data.mean() * n_components)
        start = np.tile(levels.astype(data.dtype), n_components)
        # Where the start is exact, NMF divides the fall of its error, 0, by 0.
        with warnings.catch_warnings(), np.errstate(invalid="ignore"):
            warnings.simplefilter("ignore", ConvergenceWarning)
            activations = model.fit_transform(data, W=start, H=bases)
        return activations, model.components_

    def _factorise_sparsely(self, data, n_components):
        H, W = random_start(data, n_components, self.random_state)
        W, _, _ = sparse_nmf.fit(
            data, H, W, self.beta, self.sparsity, max_iter=N_ITERATIONS, tol=1e-4
        )
        return H, W

    def _random(self, data, n_components):
        scale = np.sqrt(data.mean() / n_components)
        normal = self.random_state.standard_normal((n_components, data.shape[1]))
        return (scale * np.abs(normal)).astype(data.dtype)

    def _from_given(self, X, y, width, scale):
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
                "arrays of shape (n_components, n_features), or fitted NMFs; cloning forgets "
                "what they learned, so within a search or a SpeechEnhancer give their "
                "components_, or wrap them in sklearn.frozen.FrozenEstimator."
            ) from None
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
        start = constant_activations(np.sqrt(X.mean() / len(W)), len(W), X.dtype)
        layers = layers_of([W] * N_ITERATIONS, self.beta, self.sparsity, X.shape[0])
        *_, h = infer(X, layers, start)
        return W, solve_bases(scale * y, scale * h, self.beta)


def initial_bases(warm_start, X, y, sources, weight):
    """Return `WarmStart.bases`: a function that a joblib.Memory can cache."""
    return warm_start.bases(X, y, sources, weight)


def _components_of(item, dtype):
    """Return the bases of a fitted NMF or an array, (n_components, any)."""
    if hasattr(item, "fit"):
        check_is_fitted(item)
        item = item.components_
    return check_array(item, dtype=dtype, ensure_non_negative=True, input_name="init")


def solve_bases(X, H, beta):
    """Return the bases W (R, F) that bring H W near X (n, F), for activations H (n, R).

    With data and bases transposed, this is inference of activations.
    """
    # Relative to the level of each sample, so that weights still act as scales.
    H = H + np.finfo(H.dtype).eps * H.mean(axis=1, keepdims=True)
    start = np.sqrt(X.mean()) * np.ones((1, H.shape[1]), X.dtype)
    data, basis = transposed(X), np.ascontiguousarray(H.T)
    *_, W = infer(data, layers_of([basis] * N_ITERATIONS, beta, 0, data.shape[0]), start)
    return np.ascontiguousarray(W.T)


def _is_row(item):
    """Return whether an item of a list is one row of bases, not bases of its own."""
    return not hasattr(item, "fit") and np.ndim(item) == 1


def random_start(X, n_components, random_state):
    """Return (H, W): activations by the level of each sample, random bases of unit norm."""
    W = sparse_nmf.unit_rows(
        random_state.uniform(0.1, 1, (n_components, X.shape[1])).astype(X.dtype)
    )
    levels = row_means(X) * X.dtype.type(X.shape[1] / W.sum())
    return np.tile(levels, n_components), W
