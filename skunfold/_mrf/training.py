"""How an unfolded classifier is initialised and trained, from data to its attributes."""

from abc import abstractmethod
from dataclasses import replace

import numpy as np
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit
from sklearn.neural_network import MLPClassifier
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skunfold._fitting import TrainedEstimator, rows_of, split_rows
from skunfold._given import check_given
from skunfold._mrf.architecture import Architecture
from skunfold._mrf.initialization import initial_potentials, layer_sizes
from skunfold._mrf.label_graph import graph_of_labels
from skunfold._mrf.targets import Targets
from skunfold._training.callbacks import EpochCallbacks
from skunfold._training.lbfgs import fit_lbfgs
from skunfold._training.loop import TrainingState, fit_loop
from skunfold._training.objective import L2Penalty, Objective
from skunfold._training.protocol import Samples
from skunfold._training.updates import SGD, Adam

USUAL_PATIENCE = 10  # epochs, where n_iter_no_change is infinite
# "lbfgs" has no update rule of ours, and its state keeps no step size.
UPDATES = {"adam": Adam, "sgd": SGD, "lbfgs": Adam}


class MRFTraining(TrainedEstimator):
    """Initialisation, training, and the fitted attributes that they set."""

    _auto_batch_size = 200

    @abstractmethod
    def _rule(self):
        """Return the rule of the messages."""

    def _targets(self):
        check_is_fitted(self)
        return Targets(self.classes_, self.n_outputs_, self.out_activation_ == "softmax")

    def _architecture(self, targets=None):
        targets = targets or self._targets()
        hidden_sizes = layer_sizes(self.hidden_layer_sizes)
        return Architecture(
            n_features=self.n_features_in_,
            hidden_sizes=hidden_sizes,
            n_outputs=targets.n_outputs,
            class_node=targets.class_node,
            n_sweeps=self.n_layers,
            tied=self.tied,
            lateral=self.lateral,
            rule=self._rule(),
            label_graph=graph_of_labels(
                self.label_graph, self.coupling, targets, self.n_features_in_, hidden_sizes
            ),
            coupling=self.coupling,
        )

    def _initialise(self, X, weight, targets):
        """Set the attributes of an untrained network."""
        init = self.init
        if not isinstance(init, str):
            wanted = "MLPClassifier or unfolded classifier"
            init = check_given(init, "init", MLPClassifier, MRFTraining, wanted=wanted)
        architecture = self._architecture(targets)
        random_state = check_random_state(self.random_state)
        potentials = initial_potentials(init, architecture, X, weight, random_state)
        self._begin(targets, potentials)

    def _begin(self, targets, potentials):
        """Set all fitted attributes, for potentials that are not trained yet."""
        self.classes_ = targets.classes
        self.n_outputs_ = targets.n_outputs
        self.out_activation_ = "softmax" if targets.class_node else "logistic"
        graph = self._architecture().label_graph
        self.label_edges_ = None if graph is None else np.stack([graph.i, graph.j])
        parameters = self._architecture().parameters(potentials)
        state = TrainingState(parameters, None, np.random.RandomState(), parameters)
        self._set_results(state)
        self._training_state = None  # nothing was trained yet

    def _train(self, X, y, weight):
        """Train from where the potentials stand, and set the results."""
        train, held_out = self._split(y)
        samples, state = self._samples(*rows_of(train, X, y, weight)), self._state()
        valid = None
        if held_out is not None:
            valid = self._samples(*rows_of(held_out, X, y, weight))
        callbacks = EpochCallbacks(self, X, y, weight, self.max_iter)
        callbacks.watch(lambda: self._results(state))
        settings = self._loop_settings(len(samples))
        with self._objective() as objective:
            if self.solver == "lbfgs":
                fit_lbfgs(objective, state, samples, settings, callbacks)
            else:
                score = self._targets().accuracy
                fit_loop(objective, state, samples, settings, valid, score, callbacks)
        self._set_results(state)
        callbacks.end_fit()
        self._warn_if_still_improving(state)

    def _samples(self, X, y, weight):
        return Samples((X,), self._targets().indicators(y, X.dtype), weight)

    def _trained_settings(self):
        return (self.solver, self.tied, self.learning_rate_init)

    def _update_rule(self):
        return UPDATES[self.solver](self.learning_rate_init)

    def _parameters_to_train(self):
        return self._architecture().parameters(self.potentials_)

    def _fitted_parameters(self, state):
        return {
            "potentials_": self._architecture().potentials(state.best_parameters),
            "n_parameters_": sum(p.size for p in state.parameters),
        }

    def _objective(self):
        """Return the mean loss with its penalty."""
        architecture = self._architecture()
        penalty = L2Penalty(self.alpha, architecture.coupling_places)
        return Objective(architecture.network, penalty)

    def _loop_settings(self, n_samples):
        settings = super()._loop_settings(n_samples)
        if self.solver == "lbfgs":
            settings = replace(settings, batch_size=n_samples)
        # A loss after one update does not fluctuate by chance; after random batches it does.
        if settings.batch_size >= n_samples:
            return settings
        n_epochs = USUAL_PATIENCE if np.isinf(self.n_iter_no_change) else self.n_iter_no_change
        return replace(settings, patience=max(1, n_epochs // 2))

    def _split(self, y):
        """Return the rows to train on and, with early stopping, those held out (or None)."""
        if not self.early_stopping or self.solver == "lbfgs":
            return slice(None), None
        splitter = ShuffleSplit if y.ndim == 2 else StratifiedShuffleSplit
        return split_rows(self, splitter, y.shape[0], y)
