"""Parameters, network and parts of the training of a deep NMF regressor."""

from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral
from typing import Any, Literal

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, check_memory

from skunfold._deep_nmf.architecture import NMFArchitecture
from skunfold._deep_nmf.arrays import check_arrays, of_all_layers
from skunfold._deep_nmf.constraints import CONSTRAINTS, SOLVERS
from skunfold._deep_nmf.inference import Inference
from skunfold._deep_nmf.initialization import (
    WarmStart,
    initial_bases,
    layers_of_network,
    rows_that_fit,
    warn_of_zeros,
)
from skunfold._deep_nmf.recurrence import RecurrentObjective, RecurrentStart
from skunfold._deep_nmf.sequences import SequenceMethods
from skunfold._deep_nmf.sharing import distinct_arrays, shared_arrays
from skunfold._deep_nmf.validation import (
    check_depth,
    check_mask_targets,
    check_numbers,
    check_same_structure,
    check_sources,
    group_sizes,
    power_and_length,
)
from skunfold._estimator.base import UnfoldedEstimator
from skunfold._estimator.data import check_lengths, check_signs
from skunfold._estimator.given_models import check_given
from skunfold._estimator.regressor import NumberTargets
from skunfold._estimator.scaling import (
    check_range,
    nearest_power_of_two,
    power_of_two_scale,
    weighted_mean,
)
from skunfold._estimator.sparse_input import sparse_format, takes_sparse
from skunfold._kernels.divergences import beta_of
from skunfold._kernels.outputs import LinearOutput, MaskOutput
from skunfold._training.loop import TrainingState

_LISTS = ("bases_", "projections_")  # attributes with an array for each layer


class DeepNMFBase(SequenceMethods, NumberTargets, UnfoldedEstimator):
    """All of `DeepNMFRegressor` but the methods that train it or make one of arrays."""

    _parameter_constraints: dict = CONSTRAINTS
    _auto_batch_size = 1024
    _made = "bases_"
    _learned = frozenset(_LISTS) | {"output_bases_", "initial_activation_", "data_scale_"}

    def __init__(
        self,
        n_components: int | Sequence[int] = 25,
        *,
        n_layers: int = 8,
        n_trained_layers: int | Literal["all"] = "all",
        tied: bool = False,
        output: Literal["linear", "mask"] = "linear",
        beta_loss: str | float = "kullback-leibler",
        training_loss: str | float = "frobenius",
        sparsity: float = 0.0,
        relaxation: float = 1.0,
        fit_projections: bool = False,
        recurrence: float | tuple[float, float] = 0.0,
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
        n_jobs: int | None = None,
        memory: Any = None,
    ) -> None:
        super().__init__(
            n_layers=n_layers,
            tied=tied,
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
        self.n_components = n_components
        self.n_trained_layers = n_trained_layers
        self.output = output
        self.beta_loss = beta_loss
        self.training_loss = training_loss
        self.sparsity = sparsity
        self.relaxation = relaxation
        self.fit_projections = fit_projections
        self.recurrence = recurrence
        self.init = init
        self.memory = memory

    def _before_a_sequence(self):
        check_is_fitted(self)
        return self._architecture().before_a_sequence(len(self.output_bases_))

    def _check_settings(self):
        check_depth(self.n_layers, self._n_trained)
        self._group_sizes()
        power_and_length(self.recurrence)

    def _group_sizes(self):
        return group_sizes(self.n_components, self.output)

    def _is_recurrent(self):
        return power_and_length(self.recurrence)[0] > 0

    @property
    def _n_trained(self):
        return self.n_layers + 1 if self.n_trained_layers == "all" else self.n_trained_layers

    @property
    def _is_trained(self):
        return self._n_trained > 0

    def _accepted_sparse(self, X, suffix=""):
        return sparse_format(X, f"X{suffix}", self.beta_loss)

    def _check_input(self, X, suffix=""):
        check_signs(X, "DeepNMFRegressor", f"X{suffix}")

    def _validated(self, given, reset, suffix=""):
        if issparse(given.y):
            raise TypeError(
                f"y{suffix} is sparse; DeepNMFRegressor needs dense targets: y.toarray()."
            )
        X, y, weight = super()._validated(given, reset, suffix)
        y = check_numbers(y, f"y{suffix}", X.dtype)
        check_signs(y, "DeepNMFRegressor", f"y{suffix}")
        if self.output == "mask":
            n_targets = len(self._group_sizes()) - 1
            check_mask_targets(y.reshape(len(y), -1), X, self.n_components, n_targets)
        return X, y, weight

    def _check_units(self, data, suffix=""):
        check_range(data.X, self.data_scale_, f"X{suffix}")
        check_range(data.targets, self.target_scale_, f"y{suffix}")

    def _check_structure(self):
        check_same_structure(self, self._group_sizes())

    def _with_lengths(self, X, lengths=None):
        X = self._validated_data(X)
        self._check_structure()
        check_range(X, self.data_scale_, "X")
        return X, check_lengths(lengths, X.shape[0])

    def _inference(self, X):
        """Return the Inference of samples like X, prepared once.

        For the Frobenius norm it depends on the number of samples.
        """
        n_samples = X.shape[0] if beta_of(self.beta_loss) == 2 else None
        key = (X.dtype, n_samples)
        return self._kept(key, lambda: self._new_inference(X, n_samples))

    def _new_inference(self, X, n_samples):
        architecture, thetas = self._architecture(), self._thetas()
        like_X = {id(W): W.astype(X.dtype, copy=False) for theta in thetas for W in theta}
        thetas = [tuple(like_X[id(W)] for W in theta) for theta in thetas]
        layers = architecture.layers(thetas, n_samples)
        U = self.output_bases_.astype(X.dtype, copy=False)
        return Inference(architecture, layers, U, self.n_outputs_)

    def _rows_to_initialise_from(self, rows, X):
        return rows_that_fit(rows, X, self.random_state)

    def _initialise(self, X, y, weight, sources=None):
        """Set the attributes of an untrained network."""
        sizes = self._group_sizes()
        sources = check_sources(sources, X, sizes, self.output, self.beta_loss)
        if isinstance(getattr(self.init, "estimator", self.init), DeepNMFBase):
            self._take_over(X, y)
            return
        scale = power_of_two_scale(X, weight)
        start = float(np.sqrt(weighted_mean(X, weight) / sum(sizes))) or 1.0
        architecture = self._architecture(scale, start)
        y_scale = scale if self.output == "mask" else power_of_two_scale(y, weight, "y")
        unit = architecture.output_unit(y_scale)
        warm_start = WarmStart(
            init=self.init,
            output=architecture.output,
            group_sizes=sizes,
            beta=architecture.beta,
            sparsity=architecture.scaled_sparsity,
            trained=self._n_trained > 0,
            output_unit=unit,
            random_state=check_random_state(self.random_state),
        )
        if sources is not None:
            sources = [architecture.scaled(source) for source in sources]
        targets = y * y.dtype.type(1 / y_scale)
        # A result from the cache would not advance a random generator as computing it does.
        memory = self.memory if isinstance(self.random_state, Integral) else None
        initialise = check_memory(memory).cache(initial_bases)
        W, U = initialise(warm_start, architecture.scaled(X), targets, sources, weight)
        self.group_sizes_ = sizes
        self.data_scale_ = scale
        self.target_scale_ = y_scale
        self.initial_activation_ = start
        self._set_bases([W] * self.n_layers)
        self.output_bases_ = U if self.output == "mask" else U / U.dtype.type(unit)
        self._training_state = None

    def _set_bases(self, bases, projections=None):
        """Set the bases of all layers, and projections, which are the bases if none are given.

        Without `fit_projections` there are none.
        """
        self.bases_ = bases
        if self.fit_projections:
            self.projections_ = list(bases if projections is None else projections)
        else:
            self.__dict__.pop("projections_", None)

    def _thetas(self):
        """Return theta of each layer, as `NMFArchitecture` takes them."""
        if self.fit_projections:
            return list(zip(self.bases_, self.projections_))
        return [(W,) for W in self.bases_]

    def _take_over(self, X, y):
        """Start from the layers of another fitted network."""
        network = check_given(self.init, "init", DeepNMFBase, wanted="DeepNMFRegressor")
        wanted = (self.n_layers, self._group_sizes(), X.shape[1], y.shape[1])
        arrays = layers_of_network(network, wanted, self.fit_projections, X.dtype)
        if self._n_trained:
            warn_of_zeros(network.bases_[-1])
        bases, projections, self.output_bases_ = arrays
        self._set_bases(bases, projections)
        for name in ("group_sizes_", "data_scale_", "target_scale_", "initial_activation_"):
            setattr(self, name, getattr(network, name))
        self._training_state = None

    def _begin(self, bases, projections, U, start):
        """Set all fitted attributes for given arrays (or None), without training."""
        self._validate_params()
        self._check_settings()
        bases = of_all_layers("bases", bases, self.n_layers)
        if projections is not None:
            projections = of_all_layers("projections", projections, self.n_layers)
        sizes, W = self._group_sizes(), bases[-1]
        U = W if U is None else U.astype(W.dtype, copy=False)
        check_arrays(self, bases, projections, U, sizes, start)
        self.n_features_in_ = W.shape[1]
        self.n_outputs_ = U.shape[1] * max(len(sizes) - 1, 1)
        self.group_sizes_, self.initial_activation_ = sizes, float(start)
        # The mean of data for which inference would begin there, and the prediction for it.
        mean = len(W) * self.initial_activation_**2
        self.data_scale_ = self.target_scale_ = nearest_power_of_two(mean)
        if self.output == "linear" and U.any() and W.any():
            self.target_scale_ = nearest_power_of_two(mean * U.mean() / W.mean())
        self._set_bases(bases, projections)
        self.output_bases_ = U
        self._set_results(TrainingState([], None, np.random.RandomState()))
        self._training_state = None

    def _architecture(self, scale=None, start=None):
        """Return the network without its bases; scale and start are the fitted ones if None."""
        output: LinearOutput | MaskOutput = LinearOutput()
        if self.output == "mask":
            sizes = self._group_sizes()
            output = MaskOutput(sizes, n_targets=len(sizes) - 1)
        power, length = power_and_length(self.recurrence)
        return NMFArchitecture(
            n_layers=self.n_layers,
            n_trained_layers=self._n_trained,
            tied=self.tied,
            output=output,
            beta=beta_of(self.beta_loss),
            sparsity=self.sparsity,
            scale=self.data_scale_ if scale is None else scale,
            start=self.initial_activation_ if start is None else start,
            relaxation=self.relaxation,
            recurrence=power,
            recurrence_length=length,
            projections=self.fit_projections,
        )

    def _samples(self, data):
        samples = self._architecture().samples(
            data.X, data.targets, data.weight, self._thetas(), self.target_scale_
        )
        if not self._is_recurrent():
            return samples
        return replace(samples, sequences=(data.X, data.lengths))

    def _objective(self, samples, n_jobs):
        if self._is_recurrent():
            architecture = self._architecture()
            frozen = self._thetas()[: architecture.n_frozen]
            start = RecurrentStart(architecture, frozen, self.target_scale_)
            return RecurrentObjective(self._network(), start)
        return super()._objective(samples, n_jobs)

    def _train(self, samples, valid, callbacks):
        if valid is not None and not self._is_recurrent():  # which changes where they begin
            valid = valid.loaded()
        super()._train(samples, valid, callbacks)

    def _network(self):
        _, cancel, _ = SOLVERS[self.solver]
        return self._architecture().network(beta_of(self.training_loss), cancel)

    @property
    def _loss_unit(self):
        return self.target_scale_ ** beta_of(self.training_loss)

    def _update_rule(self):
        rule, _, default = SOLVERS[self.solver]
        return rule(default if self.learning_rate_init == "auto" else self.learning_rate_init)

    def _parameters_to_train(self):
        return self._architecture().parameters(
            self._thetas(), self.output_bases_, self.target_scale_
        )

    def _fitted_parameters(self, state):
        U, held = self.output_bases_, {"bases_": self.bases_}
        if self.fit_projections:
            held["projections_"] = self.projections_
        if state.best_parameters:
            architecture = self._architecture()
            trained, U = architecture.trained(state.best_parameters, self.target_scale_)
            n_frozen = architecture.n_frozen
            held = {
                name: held[name][:n_frozen] + [theta[place] for theta in trained]
                for place, name in enumerate(held)
            }
        distinct = {id(W): W.size for list_ in held.values() for W in list_}
        shared = np.shares_memory(U, held["bases_"][-1])
        return held | {
            "output_bases_": U,
            "n_parameters_": sum(distinct.values()) + (0 if shared else U.size),
            "n_trained_parameters_": sum(p.size for p in state.parameters),
        }

    def _mean_loss(self, data):
        beta = beta_of(self.training_loss)
        inference = self._new_inference(data.X, data.X.shape[0])
        return inference.mean_loss(data, 1 / self.target_scale_, beta)

    @property
    def _n_features_out(self):
        return self.output_bases_.shape[0]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        tags.input_tags.sparse = takes_sparse(self.beta_loss)
        tags.target_tags.positive_only = True
        # A mask only passes on or attenuates features; it cannot fit any target.
        tags.regressor_tags.poor_score = self.output == "mask"
        return tags

    def __getstate__(self):
        """Return the state with each distinct array of bases and projections once."""
        state = dict(super().__getstate__())
        return state | distinct_arrays({name: state[name] for name in _LISTS if name in state})

    def __setstate__(self, state):
        """Restore the lists of arrays, in which layers share them."""
        found = {name: state[name] for name in _LISTS if name in state}
        super().__setstate__(state | shared_arrays(found))
