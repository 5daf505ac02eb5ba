"""The estimator of sweeps over rows below its interface: data, training, inference."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skunfold._crf.inference import all_outputs, fill_rows, hidden_units, output
from skunfold._crf.layout import Layout
from skunfold._crf.memory import check_memory
from skunfold._crf.network import ClassLoss, LikelihoodNetwork, RowNetwork
from skunfold._crf.parameters import CONSTRAINTS, check_settings, check_unchanged
from skunfold._crf.samples import RowData, mean_size, samples_of, split_components
from skunfold._crf.structure import (
    Columns,
    Kinds,
    check_number_of_columns,
    check_numeric,
    graph_of,
    places_of_columns,
    without_columns,
)
from skunfold._crf.sweep import RowSweep, TotalsReadout
from skunfold._crf.targets import RowTargets
from skunfold._estimator.base import UnfoldedEstimator
from skunfold._estimator.classifier import ClassTargets
from skunfold._estimator.data import warn_if_still_improving
from skunfold._estimator.scaling import check_magnitude
from skunfold._kernels.class_messages import BeliefMessages, MeanFieldMessages
from skunfold._kernels.passes import in_rounds, there_and_back
from skunfold._kernels.sparse_rows import sparse_block_size
from skunfold._mrf.initialization import layer_sizes
from skunfold._training.averaging import RunningAverage
from skunfold._training.lbfgs import fit_lbfgs
from skunfold._training.loop import TrainingState, copies, fit_loop
from skunfold._training.objective import L2Penalty, Objective
from skunfold._training.updates import SGD, Adam

USUAL_PATIENCE = 10  # epochs, where n_iter_no_change is infinite
UPDATES = {"adam": Adam, "sgd": SGD, "lbfgs": Adam}  # the state of "lbfgs" keeps no step size
BLOCK_ELEMENTS = 1 << 15  # rows times classes, of the components of a block of inference


class RowClassifier(ClassTargets, UnfoldedEstimator):
    """Sweeps over a graph of rows; `UnfoldedCRFClassifier` is its interface.

    Training sets `potentials_`, and learning the graph `edge_kinds_` and `symmetric_kinds_`.
    """

    _parameter_constraints: dict = CONSTRAINTS
    _accept_sparse = "csr"
    _auto_batch_size = 200  # rows
    _made = "potentials_"
    potentials_: list
    edge_kinds_: np.ndarray
    symmetric_kinds_: np.ndarray
    _learned = frozenset({"potentials_", "classes_"})

    def __init__(
        self,
        hidden_layer_sizes: Any,
        *,
        graph: Any,
        graph_columns: Any,
        inference: str,
        schedule: str,
        coupling: str,
        training_loss: str,
        damping: float,
        power: float,
        alpha: float,
        class_weight: Any,
        **params: Any,
    ) -> None:
        super().__init__(n_jobs=None, **params)
        self.hidden_layer_sizes = hidden_layer_sizes
        self.graph = graph
        self.graph_columns = graph_columns
        self.inference = inference
        self.schedule = schedule
        self.coupling = coupling
        self.training_loss = training_loss
        self.damping = damping
        self.power = power
        self.alpha = alpha
        self.class_weight = class_weight

    # Properties of the parameters

    @property
    def _sequential(self):
        return self.schedule == "sequential" and self.graph_columns is not None

    @property
    def _n_sweeps(self):
        return 1 if self.graph_columns is None or self._sequential else self.n_layers

    @property
    def _by_likelihood(self):
        """Whether training maximises the likelihood of whole sequences instead of rows."""
        return self.training_loss == "likelihood" and self._sequential

    @property
    def _sends(self):
        """Whether there are any messages."""
        return self._n_sweeps > 1 or self._sequential

    def _check_settings(self):
        check_settings(self)

    def _layout(self):
        symmetric = self.symmetric_kinds_ if self._sends else ()
        n_edge_coefs = sum(2 - bool(s) for s in symmetric) if self._with_edge_features else 0
        n_unary = 2 * len(layer_sizes(self.hidden_layer_sizes)) + 2
        return Layout(n_unary, len(symmetric), n_edge_coefs, self._n_sweeps, self.tied)

    @property
    def _with_edge_features(self):
        return self.coupling == "features"

    def _route(self, tied):
        """Return how messages pass along chains in one layer; None if sweeps are layers."""
        if self._sequential:
            return there_and_back
        plain = self.inference == "bp" and self.power == 1 and self.damping == 0
        chains = self.graph == "chain" and self.coupling == "table"
        if plain and chains and tied and self._n_sweeps > 1:
            return partial(in_rounds, n_rounds=self._n_sweeps - 1)
        return None

    def _sweep(self, route=None):
        rule: Any = MeanFieldMessages(self.damping)
        if self.inference == "bp":
            rule = BeliefMessages(self.power, self.damping)
        symmetric = self.symmetric_kinds_ if self._sends else ()
        return RowSweep(
            len(self.classes_),
            layer_sizes(self.hidden_layer_sizes),
            tuple(bool(s) for s in symmetric),
            self._with_edge_features,
            rule,
            route,
        )

    # Data

    def _learn_targets(self, y, classes=None, first=True, stream=False):
        if np.ndim(y) != 1:
            raise ValueError(
                f"y has shape {np.shape(y)}; give one class for each row, an array of one "
                "dimension."
            )
        super()._learn_targets(y, classes, first, stream)

    def _validated(self, given, reset, suffix=""):
        check_numeric(given.X, self.graph_columns, f"X{suffix}")
        return super()._validated(given, reset, suffix)

    def _set_targets(self, targets):
        self.classes_, self.n_outputs_ = targets.classes, len(targets.classes)
        self.out_activation_ = "softmax"

    def _encoded(self, y, dtype, suffix=""):
        """Return the number of the class of each row."""
        return self._targets().numbers(y, suffix)

    def _score_of(self, samples, output):
        labels = replace(samples, inputs=()).loaded()
        right = output[:, : len(self.classes_)].argmax(axis=1) == labels.y
        return float(np.average(right, weights=labels.weight))

    def _learn_structure(self):
        """Set which columns of X say where a row belongs."""
        names = getattr(self, "feature_names_in_", None)
        places = places_of_columns(self.graph_columns, names, self.n_features_in_)
        check_number_of_columns(self.graph, self.graph_columns, len(places))
        self.graph_columns_ = places

    def _rows(self, X, first=False, n_kept=1, name="X"):
        """Return the features of checked data, and the components of its rows.

        `n_kept` is the number of sweeps whose messages are held at once; the name of X is for
        messages.
        """
        features, values = without_columns(X, self.graph_columns_)
        names = getattr(self, "feature_names_in_", None)
        columns = Columns.of(X, values, self.graph_columns_, names, name)
        kinds = None if first else Kinds(self.edge_kinds_, self.symmetric_kinds_)
        components, kinds = graph_of(self.graph, columns, kinds)
        if first:
            self.edge_kinds_, self.symmetric_kinds_ = kinds.values, kinds.symmetric
        if self._sends:
            n_classes, itemsize = len(self.classes_), X.dtype.itemsize
            check_memory(components, n_classes, n_kept, self._with_edge_features, itemsize)
        return features, components

    def _checked(self, given, first, classes=None, stream=False):
        data = super()._checked(given, first, classes, stream)
        if first:
            self._learn_structure()
        return self._with_samples(data, first)

    def _validation_data(self, given, dtype):
        data = super()._validation_data(given, dtype)
        return data and self._with_samples(data, name="X_val")

    def _with_samples(self, data, first=False, name="X"):
        """Return the RowData: the samples are components with rows that have some weight."""
        features, components = self._rows(data.X, first, max(1, self._n_sweeps - 1), name)
        check_magnitude(features.data if issparse(features) else features, name)
        whole = self._by_likelihood
        samples = samples_of(features, components, data.targets, data.weight, whole=whole)
        return RowData(**vars(data), samples=samples)

    def _used(self, data, groups):
        """Return the same, since rows without a weight are unlabelled nodes."""
        return data, groups

    def _samples(self, data):
        return data.samples

    # Training

    def _split(self, data, groups, valid):
        """Return the components to train on and those held out."""
        if not self.early_stopping or valid is not None or self.solver == "lbfgs":
            return slice(None), None
        return split_components(self, data.samples, groups)

    def _rows_to_initialise_from(self, rows, X):
        return slice(None)

    def _initialise(self, X, y, weight):
        n_features = X.shape[1] - len(self.graph_columns_)
        random_state = check_random_state(self.random_state)
        theta = self._sweep().parameters(np.empty((0, n_features)), y, random_state)
        self._begin([p.astype(X.dtype) for p in theta])

    def _begin(self, theta):
        """Set the attributes that training would set, for sweeps that begin with theta."""
        parameters = self._layout().repeated(theta)
        state = TrainingState(parameters, None, np.random.RandomState(), parameters)
        self._set_results(state)
        self._training_state = None  # nothing was trained yet

    def _train(self, samples, valid, callbacks):
        """Train; untied sweeps that are still equal are first trained tied."""
        settings, layout = self._loop_settings(samples), self._layout()
        state, n_before = self._state(), 0
        untrained = self._training_state is None and layout.can_begin_tied(self.potentials_)
        if untrained and settings.max_iter > 1:
            state = self._trained_tied(samples, valid, settings, callbacks)
            n_before, ended = state.n_iter, state.status in ("stopped", "interrupted")
            state.status = state.status if ended else "new"
            settings = replace(settings, max_iter=0 if ended else settings.max_iter - n_before)
        if settings.max_iter > 0:
            self._run(layout, state, samples, valid, settings, callbacks)
            state.n_iter += n_before
        self._set_results(state)
        warn_if_still_improving(state, self.max_iter, self.tol)

    def _trained_tied(self, samples, valid, settings, callbacks):
        """Train tied sweeps for half of the epochs; return the state of untied ones."""
        layout = self._layout()
        parameters = layout.tied_layout.parameters(self.potentials_)
        random_state = check_random_state(self.random_state)
        state = TrainingState(copies(parameters), self._update_rule(), random_state)

        def untied(state):
            best = layout.repeated(state.best_parameters)
            state = replace(state, parameters=copies(best), best_parameters=best)
            return replace(state, update=self._update_rule(), average=None)

        settings = replace(settings, max_iter=settings.max_iter // 2)
        self._run(layout.tied_layout, state, samples, valid, settings, callbacks, untied)
        return untied(state)

    def _run(
        self, layout, state, samples, valid, settings, callbacks, seen=lambda state: state
    ):
        """Train the parameters of a layout from where a state is; callbacks may see another."""
        callbacks.watch(lambda: self._results(seen(state)))
        with self._objective(samples, None, layout) as objective:
            if self.solver == "lbfgs":
                fit_lbfgs(objective, state, samples, settings, callbacks)
                return
            if self.averaging > 0 and state.average is None:
                state.average = RunningAverage(self.averaging, state.parameters)
            fit_loop(objective, state, samples, settings, valid, self._score_of, callbacks)

    def _objective(self, samples, n_jobs, layout=None):
        layout = layout or self._layout()
        network = replace(
            self._network_of(LikelihoodNetwork if self._by_likelihood else RowNetwork, layout),
            mean_size=mean_size(samples),
            fewest_rows=sparse_block_size(samples.inputs[0].values) or 1,
        )
        return Objective(network, L2Penalty(self.alpha, layout.penalised))

    def _loop_settings(self, samples):
        settings = super()._loop_settings(samples)
        if self.batch_size == "auto" and self.solver != "lbfgs":
            n_components = max(1, round(self._auto_batch_size / mean_size(samples)))
            settings = replace(settings, batch_size=n_components)
        if settings.batch_size >= len(samples):
            return settings
        n_epochs = USUAL_PATIENCE if np.isinf(self.n_iter_no_change) else self.n_iter_no_change
        return replace(settings, patience=max(1, n_epochs // 2))

    def _update_rule(self):
        return UPDATES[self.solver](self.learning_rate_init)

    def _parameters_to_train(self):
        return self._layout().parameters(self.potentials_)

    def _fitted_parameters(self, state):
        return {
            "potentials_": self._layout().potentials(state.best_parameters),
            "n_parameters_": sum(p.size for p in state.best_parameters),
        }

    # Inference

    def _check_structure(self):
        shapes = self._sweep().shapes(self.n_features_in_ - len(self.graph_columns_))
        check_unchanged(self, self._layout(), shapes)

    def _network_of(self, kind, layout, staged=False):
        """Return a RowNetwork or one derived from it; `staged` has a layer for each sweep."""
        route = None if staged and not self._sequential else self._route(layout.tied)
        sets = layout.sets if route is None else layout.sets[:1]
        return kind(self._sweep(route), TotalsReadout(), ClassLoss(), sets)

    def _network(self, staged=False):
        return self._network_of(RowNetwork, self._layout(), staged)

    def _inference(self, dtype, staged):
        """Return the network and its parameters in a dtype; prepared once."""

        def prepare():
            self._check_structure()
            parameters = self._layout().parameters(self.potentials_)
            return self._network(staged), [p.astype(dtype, copy=False) for p in parameters]

        return self._kept((dtype, staged), prepare)

    def _by_rows(self, X, function, shape, dtype=None, staged=False):
        """Return function(network, parameters, rows) of blocks of components, as X's rows."""
        network, parameters = self._inference(X.dtype, staged)
        features, components = self._rows(X)
        out = np.empty((X.shape[0], *shape), dtype or X.dtype)
        n_rows = max(1, BLOCK_ELEMENTS // len(self.classes_))
        return fill_rows(
            out, partial(function, network, parameters), features, components, n_rows
        )

    def _logits(self, X):
        return self._by_rows(self._validated_data(X), output, (len(self.classes_),))

    def _staged_logits(self, X):
        shape = (self._n_sweeps, len(self.classes_))
        stages = self._by_rows(self._validated_data(X), all_outputs, shape, staged=True)
        return [stages[:, k] for k in range(self._n_sweeps)]

    def _hidden_units(self, X):
        sizes = layer_sizes(self.hidden_layer_sizes)
        return self._by_rows(X, hidden_units, (sum(sizes),))

    @property
    def _n_features_out(self):
        return sum(layer_sizes(self.hidden_layer_sizes))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = False
        tags.input_tags.sparse = True
        return tags

    def _targets(self):
        check_is_fitted(self, "classes_")
        return RowTargets(self.classes_, len(self.classes_), class_node=True)
