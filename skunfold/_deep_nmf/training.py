"""How a deep NMF regressor is initialised and trained, from checked data to its attributes."""

from dataclasses import replace
from functools import partial
from numbers import Integral

import numpy as np
from joblib import effective_n_jobs
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit
from sklearn.utils import check_random_state, gen_batches
from sklearn.utils.validation import check_memory

from skunfold._deep_nmf.architecture import Architecture
from skunfold._deep_nmf.initialization import WarmStart, initial_bases, warn_of_zeros
from skunfold._deep_nmf.recurrence import RecurrentObjective, in_order
from skunfold._deep_nmf.validation import check_sources, group_sizes
from skunfold._fitting import TrainedEstimator, r2_of_samples, split_rows
from skunfold._given import check_given
from skunfold._kernels.divergences import beta_of, divergence
from skunfold._kernels.outputs import LinearOutput, MaskOutput
from skunfold._kernels.sparse_rows import values_of
from skunfold._scaling import power_of_two_scale, weighted_mean
from skunfold._storage import working_memory
from skunfold._training.averaging import RunningAverage
from skunfold._training.loop import fit_loop
from skunfold._training.objective import Objective
from skunfold._training.sharded import ShardedObjective
from skunfold._training.updates import ExponentiatedGradient, MultiplicativeUpdate

UNTRAINED_BATCH = 8192  # samples whose predictions are held at once
INITIALISATION_COPIES = 8  # arrays as large as the data that the factorisations take

# solver: (update rule, whether parts are cancelled after each layer, learning_rate_init="auto")
SOLVERS = {
    "eg": (ExponentiatedGradient, True, 0.03),
    "mu": (MultiplicativeUpdate, True, 0.25),
    "naive-mu": (MultiplicativeUpdate, False, 1.0),
}


class DeepNMFTraining(TrainedEstimator):
    """Initialisation, training, and the fitted attributes that they set."""

    _auto_batch_size = 1024

    def _group_sizes(self):
        return group_sizes(self.n_components, self.output, self.n_targets)

    @property
    def _max_epochs(self):
        """How many epochs a fit may take."""
        return self.max_iter if self._n_trained else 0

    @property
    def _n_trained(self):
        """How many layers are trained, as a number."""
        return self.n_layers + 1 if self.n_trained_layers == "all" else self.n_trained_layers

    def _rows_to_initialise_from(self, rows, X):
        """Return the rows of X to train on, or some of them where they take too much memory."""
        row_bytes = max(values_of(X).nbytes // X.shape[0], 1)
        n = max(1, working_memory() // (INITIALISATION_COPIES * row_bytes))
        n_rows = X.shape[0] if isinstance(rows, slice) else len(rows)
        if n_rows <= n:
            return rows
        chosen = check_random_state(self.random_state).choice(n_rows, n, replace=False)
        return np.sort(chosen) if isinstance(rows, slice) else rows[np.sort(chosen)]

    def _initialise(self, X, y, weight, *, sources):
        """Set the attributes of an untrained network."""
        sizes = self._group_sizes()
        sources = check_sources(sources, X, sizes, self.output, self.beta_loss)
        if isinstance(getattr(self.init, "estimator", self.init), DeepNMFTraining):
            wanted = "DeepNMFRegressor"
            self._take_over(
                check_given(self.init, "init", DeepNMFTraining, wanted=wanted), X, y
            )
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
        # From a cache, a generator would not be left as it is after computing.
        memory = self.memory if isinstance(self.random_state, Integral) else None
        initialise = check_memory(memory).cache(initial_bases)
        W, U = initialise(warm_start, architecture.scaled(X), targets, sources, weight)
        self.n_outputs_ = y.shape[1]
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
        """Return theta of each layer, as `Architecture` takes them."""
        if self.fit_projections:
            return list(zip(self.bases_, self.projections_))
        return [(W,) for W in self.bases_]

    def _take_over(self, network, X, y):
        """Begin with the layers of another fitted network."""
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
        projections = getattr(network, "projections_", None)
        if projections is not None and not self.fit_projections:
            raise ValueError(
                "init, a DeepNMFRegressor, has projections of its own, which would be lost; "
                "set fit_projections=True here as well."
            )
        if self._n_trained:
            warn_of_zeros(network.bases_[-1])
        copied = {id(W): W.astype(X.dtype) for W in [*network.bases_, *(projections or ())]}
        self._set_bases(
            [copied[id(W)] for W in network.bases_],
            projections and [copied[id(V)] for V in projections],
        )
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
            relaxation=self.relaxation,
            recurrence=self.recurrence,
            recurrence_length=self.recurrence_length,
            projections=self.fit_projections,
        )

    def _train(self, samples, valid, callbacks, sequences):
        """Train from where the bases stand, and set the results; see `_objective`."""
        state = self._state()
        if self.averaging > 0 and state.average is None:
            state.average = RunningAverage(self.averaging, state.parameters)
        callbacks.watch(lambda: self._results(state))
        with self._shared_objective(samples, sequences) as objective:
            settings = self._loop_settings(len(samples))
            fit_loop(objective, state, samples, settings, valid, r2_of_samples, callbacks)
        self._set_results(state)
        self._warn_if_still_improving(state)

    def _objective(self, sequences):
        """Return the loss and its gradient, computed in this process.

        `sequences` is a list of (what the trained layers begin with, X, lengths of sequences),
        of the samples and of those for validation.
        """
        if self.recurrence:
            return RecurrentObjective(self._network(), partial(self._restart, sequences))
        return Objective(self._network())

    def _shared_objective(self, samples, sequences):
        """Return the loss and its gradient, over samples that may be shared among workers."""
        if self.recurrence or self.n_jobs is None or effective_n_jobs(self.n_jobs) == 1:
            return self._objective(sequences)
        return ShardedObjective(self._network(), samples, self.n_jobs)

    def _restart(self, sequences, parameters, samples, **options):
        """Infer anew what the trained layers begin with, for other parameters."""
        architecture = self._architecture()
        trained, _ = architecture.trained(parameters, self.target_scale_)
        thetas = [*self._thetas()[: architecture.n_frozen], *trained]
        for h, X, lengths in sequences:
            if samples.inputs[-1] is h:
                architecture.restart(X, lengths, thetas, h, **options)

    def _network(self):
        """Return the trained part as the training loop sees it."""
        _, cancel, _ = SOLVERS[self.solver]
        return self._architecture().network(beta_of(self.training_loss), cancel)

    def _loop_settings(self, n_samples):
        settings = super()._loop_settings(n_samples)
        return replace(settings, learning_rate_decay=self.learning_rate_decay)

    @property
    def _loss_unit(self):
        return self.target_scale_ ** beta_of(self.training_loss)

    def _split(self, n_samples, groups):
        """Return the rows to train on and, with early stopping, those held out (or None)."""
        if not self.early_stopping:
            return slice(None), None
        if groups is not None and len(np.unique(groups)) == 1:
            groups = None
        splitter = ShuffleSplit if groups is None else GroupShuffleSplit
        return split_rows(self, splitter, n_samples, groups=groups)

    def _samples(self, X, y, weight):
        return self._architecture().samples(X, y, weight, self._thetas(), self.target_scale_)

    def _trained_settings(self):
        return (
            self.solver,
            self._n_trained,
            self.tied,
            self.learning_rate_init,
            self.averaging,
        )

    def _update_rule(self):
        rule, _, default = SOLVERS[self.solver]
        return rule(default if self.learning_rate_init == "auto" else self.learning_rate_init)

    def _parameters_to_train(self):
        return self._architecture().parameters(
            self._thetas(), self.output_bases_, self.target_scale_
        )

    def _fitted_parameters(self, state):
        architecture = self._architecture()
        trained, U = architecture.trained(state.best_parameters, self.target_scale_)
        n_frozen = architecture.n_frozen
        held = {"bases_": self.bases_[:n_frozen] + [W for W, *_ in trained]}
        if self.fit_projections:
            held["projections_"] = self.projections_[:n_frozen] + [V for _, V in trained]
        return held | {
            "output_bases_": U,
            "n_parameters_": _n_parameters([W for list_ in held.values() for W in list_], U),
            "n_trained_parameters_": sum(p.size for p in state.parameters),
        }

    def _set_untrained_results(self, X, y, weight, lengths):
        """Set what training would have set."""
        architecture, beta = self._architecture(), beta_of(self.training_loss)
        losses, unit = np.empty(X.shape[0]), y.dtype.type(1 / self.target_scale_)
        layers = architecture.layers(self._thetas(), X.shape[0])
        for block, factors in in_order(architecture, X, layers, lengths):
            for part in gen_batches(block.stop - block.start, UNTRAINED_BATCH):
                rows = slice(block.start + part.start, block.start + part.stop)
                y_hat = architecture.predictions(
                    X[rows],
                    layers,
                    self.output_bases_,
                    np.empty_like(y[rows]),
                    None if factors is None else factors[part],
                )
                losses[rows] = divergence(y[rows] * unit, y_hat * unit, beta)
        loss = float(np.average(losses, weights=weight)) * self.target_scale_**beta
        self.loss_ = self.best_loss_ = loss
        self.loss_curve_, self.history_, self.n_iter_ = [self.loss_], [], 1
        self.validation_loss_curve_ = self.validation_scores_ = None
        self.best_validation_score_ = None
        arrays = [W for theta in self._thetas() for W in theta]
        self.n_parameters_ = _n_parameters(arrays, self.output_bases_)
        self.n_trained_parameters_ = 0


def _n_parameters(bases, U):
    """Return how many distinct parameters the layers and the output have."""
    distinct = sum({id(W): W.size for W in bases}.values())
    return distinct + (0 if np.shares_memory(U, bases[-1]) else U.size)
