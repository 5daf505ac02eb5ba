"""All that the unfolded fields share: everything but the rule of their messages."""

from abc import ABCMeta, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.neural_network import MLPClassifier
from sklearn.utils import check_random_state

from skunfold._estimator.base import UnfoldedEstimator
from skunfold._estimator.classifier import ClassTargets, partial_fit_to_classes
from skunfold._estimator.given_models import check_given
from skunfold._mrf.architecture import FieldArchitecture
from skunfold._mrf.arrays import check_lateral, check_sweeps, sweeps_given, targets_and_features
from skunfold._mrf.constraints import CONSTRAINTS
from skunfold._mrf.initialization import (
    check_same_network,
    initial_potentials,
    layer_sizes,
    potentials_like,
)
from skunfold._mrf.label_graph import graph_of_labels
from skunfold._training.loop import TrainingState
from skunfold._training.objective import L2Penalty
from skunfold._training.updates import SGD, Adam

USUAL_PATIENCE = 10  # epochs, where n_iter_no_change is infinite
# "lbfgs" has no update rule of ours, and its state keeps no step size.
UPDATES = {"adam": Adam, "sgd": SGD, "lbfgs": Adam}


class UnfoldedMRFClassifier(ClassTargets, UnfoldedEstimator, metaclass=ABCMeta):
    """An unfolded field with hidden layers; a subclass says what its units send.

    Training sets `potentials_`.

    Parameters
    ----------
    tied : bool, default=False
        Whether all sweeps share one parameter set: inference in one field, trained through its
        iterations. Otherwise each sweep has its own set. Tied sweeps overfit with depth unless
        they are damped.

    lateral : bool, default=False
        Whether the units of a hidden layer are coupled to each other as well, all pairs of
        them. Lateral messages count from the second sweep on; ignored for ``n_layers=1``.

    label_graph : "full", array-like or sparse matrix of shape (n_labels, n_labels), or None, \
default=None
        Which labels are coupled to each other, for a label indicator matrix y: "full" for all
        pairs; an adjacency matrix, symmetric, whose nonzero elements are edges (for pixels:
        :func:`sklearn.feature_extraction.image.grid_to_graph`, or, beyond the nearest
        neighbours, :func:`sklearn.neighbors.radius_neighbors_graph` of their coordinates); None
        for none. Messages are sent along edges only. Labels influence each other from the
        second sweep on.

    coupling : {"edge", "local", "shared"}, default="edge"
        What labels share. "edge": nothing; each edge of `label_graph` has a weight, and each
        label sees all features with its own weights. "local": each edge has a weight and each
        label a bias, but a label sees only its own features, with weights that all labels
        share. X then holds blocks side by side, each with one feature for each label (for
        pixels: the noisy image). "shared": as "local", but all labels have the same bias, and
        edges with the same value in `label_graph` the same weight: a handful of parameters for
        an image of any size. With hidden layers, each label has separate weights from the last
        of them, and a separate bias. Ignored without `label_graph`.

    damping : float, default=0.0
        Fraction of the previous sweep's messages to keep, in [0, 1). Helps where couplings are
        strong and sweeps oscillate, and against overfitting of tied sweeps (0.8); untied sweeps
        do not need it.

    init : {"random", "rbm"} or estimator, default="random"
        The initial potentials, the same for all sweeps. "random": as in
        :class:`sklearn.neural_network.MLPClassifier`; lateral couplings start at 0. "rbm": the
        first hidden layer is that of a :class:`sklearn.neural_network.BernoulliRBM` trained on
        X, which must be between 0 and 1; weighted samples are drawn by their weights. Or a
        fitted MLPClassifier with ``activation="logistic"`` or unfolded classifier with the same
        layers; a deeper network repeats its last sweep.

    alpha : float, default=0.0005
        Strength of the L2 penalty on the couplings, 0 or more: `alpha` / 2 times their sum of
        squares is added to the mean loss, as in :class:`sklearn.linear_model.SGDClassifier`.
        MLPClassifier divides its `alpha` by the number of samples of an update: 0.0005 here is
        0.1 there for updates of 200 samples.

    Attributes
    ----------
    potentials_ : list of n_layers dict
        The parameter set of each sweep; tied sweeps have one and the same. "coefs": list of
        ndarray, couplings between adjacent layers, each (units below, units above).
        "intercepts": list of ndarray, biases of each layer. "lateral": list of ndarray or None,
        couplings inside each layer, one for each pair in the order of
        ``np.triu_indices(n_units, 1)``, or of `label_edges_`; with ``coupling="shared"`` one
        for each value of `label_graph`, in increasing order.
    label_edges_ : ndarray of shape (2, n_edges) or None
        The labels that each edge of `label_graph` couples; None without.
    n_outputs_ : int
        Number of logits: 1 for two classes.
    """

    _parameter_constraints: dict = CONSTRAINTS
    _accept_sparse = "csr"
    _made = "potentials_"
    _learned = frozenset({"potentials_", "classes_"})
    potentials_: list[dict]

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = 100,
        *,
        n_layers: int = 2,
        tied: bool = False,
        lateral: bool = False,
        label_graph: Any = None,
        coupling: Literal["edge", "local", "shared"] = "edge",
        damping: float = 0.0,
        init: Any = "random",
        alpha: float = 0.0005,
        solver: Literal["adam", "sgd", "lbfgs"] = "adam",
        batch_size: int | Literal["auto"] = "auto",
        learning_rate_init: float = 0.01,
        learning_rate_decay: float = 1.0,
        averaging: float = 0.0,
        max_iter: int = 200,
        tol: float = 1e-4,
        shuffle: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        class_weight: dict | Literal["balanced"] | None = None,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        n_jobs: int | None = None,
    ) -> None:
        super().__init__(
            n_layers=n_layers,
            tied=tied,
            solver=solver,
            batch_size=batch_size,
            learning_rate_init=learning_rate_init,
            learning_rate_decay=learning_rate_decay,
            averaging=averaging,
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
        self.hidden_layer_sizes = hidden_layer_sizes
        self.lateral = lateral
        self.label_graph = label_graph
        self.coupling = coupling
        self.damping = damping
        self.init = init
        self.alpha = alpha
        self.class_weight = class_weight

    @abstractmethod
    def _rule(self):
        """Return the rule of the messages."""

    partial_fit = partial_fit_to_classes

    @classmethod
    def from_potentials(
        cls, potentials: dict | Sequence[dict], classes: ArrayLike | None = None, **params: Any
    ) -> Self:
        """Return a field of given potentials, without a fit.

        It predicts at once, and `fit` trains it further, since it has ``warm_start=True``.
        Until then its `loss_` is infinite: nothing was measured. Arrays are copied.

        Parameters
        ----------
        potentials : dict or list of dict
            The parameter set of all sweeps, or of each: "coefs", "intercepts" and "lateral",
            as in `potentials_`. Without "lateral", or where that or an element of it is
            None, couplings inside layers are 0. If `n_layers` is larger than the length of the
            list, the last sweep is repeated.
        classes : array-like of shape (n_classes,), default=None
            The classes, sorted: two for one output, otherwise one for each output. None: each
            output is a label that is on or off.
        **params
            Parameters of the estimator. `hidden_layer_sizes` follows from the potentials, and
            `n_layers` from a list of them.

        Returns
        -------
        model : estimator

        Raises
        ------
        ValueError
            If an array is not finite, or if shapes, classes or parameters do not fit each
            other.

        Examples
        --------
        >>> from skunfold import UnfoldedBPClassifier
        >>> potentials = {"coefs": [[[1.0], [-1.0]]], "intercepts": [[0.5]]}
        >>> model = UnfoldedBPClassifier.from_potentials(potentials, ["no", "yes"])
        >>> model.decision_function([[2.0, 1.0]])
        array([1.5])
        """
        sweeps = sweeps_given(potentials)
        hidden = tuple(W.shape[1] for W in sweeps[0]["coefs"][:-1])
        derived: dict[str, Any] = {"hidden_layer_sizes": hidden, "warm_start": True}
        if not isinstance(potentials, dict):
            derived["n_layers"] = len(sweeps)
        model = cls(**(derived | params))
        model._validate_params()
        model._check_settings()
        check_sweeps(sweeps, model.n_layers, model.tied)
        targets, model.n_features_in_ = targets_and_features(
            sweeps[0], classes, model.label_graph, model.coupling
        )
        model._set_targets(targets)
        dtype = sweeps[0]["coefs"][0].dtype
        architecture = model._architecture()
        check_lateral(sweeps, architecture)
        model._begin(potentials_like(sweeps, "potentials", architecture, dtype))
        return model

    def transform(self, X: ArrayLike) -> NDArray:
        """Return the beliefs of all hidden units after the last sweep.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        beliefs : ndarray of shape (n_samples, n_hidden_units)
            Probabilities of being on; first layer first. Without hidden layers no columns.
        """
        X = self._validated_data(X)
        architecture, prepared = self._inference(X)
        return architecture.beliefs(X, prepared)

    def _check_settings(self):
        layer_sizes(self.hidden_layer_sizes)

    def _check_structure(self):
        self._fitted_architecture()

    def _architecture(self):
        hidden_sizes, targets = layer_sizes(self.hidden_layer_sizes), self._targets()
        return FieldArchitecture(
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

    def _fitted_architecture(self):
        """Return the architecture, if the parameters still say what the potentials are of."""
        architecture = self._architecture()
        check_same_network(self.potentials_, architecture)
        return architecture

    def _initialise(self, X, y, weight):
        init = self.init
        if not isinstance(init, str):
            wanted = "MLPClassifier or unfolded classifier"
            init = check_given(
                init, "init", MLPClassifier, UnfoldedMRFClassifier, wanted=wanted
            )
        random_state = check_random_state(self.random_state)
        architecture = self._architecture()
        self._begin(initial_potentials(init, architecture, X, weight, random_state))

    def _begin(self, potentials):
        """Set all fitted attributes but the targets, for potentials of no training."""
        architecture = self._architecture()
        graph = architecture.label_graph
        self.label_edges_ = None if graph is None else np.stack([graph.i, graph.j])
        parameters = architecture.parameters(potentials)
        state = TrainingState(parameters, None, np.random.RandomState(), parameters)
        self._set_results(state)
        self._training_state = None  # nothing was trained yet

    def _network(self):
        return self._architecture().network

    def _penalty(self):
        return L2Penalty(self.alpha, tuple(self._architecture().coupling_places))

    def _update_rule(self):
        return UPDATES[self.solver](self.learning_rate_init)

    def _parameters_to_train(self):
        return self._architecture().parameters(self.potentials_)

    def _fitted_parameters(self, state):
        return {
            "potentials_": self._architecture().potentials(state.best_parameters),
            "n_parameters_": sum(p.size for p in state.parameters),
        }

    def _loop_settings(self, samples):
        settings = super()._loop_settings(samples)
        # A loss after one update does not fluctuate by chance; after random batches it does.
        if settings.batch_size >= len(samples):
            return settings
        n_epochs = USUAL_PATIENCE if np.isinf(self.n_iter_no_change) else self.n_iter_no_change
        return replace(settings, patience=max(1, n_epochs // 2))

    def _inference(self, X):
        """Return (architecture, prepared parameters) for samples like X; prepared once."""
        dtype = X.dtype

        def prepare():
            architecture = self._fitted_architecture()
            parameters = architecture.parameters(self.potentials_)
            return architecture, architecture.prepared(
                [p.astype(dtype, copy=False) for p in parameters]
            )

        return self._kept(dtype, prepare)

    def _logits(self, X):
        X = self._validated_data(X)
        architecture, prepared = self._inference(X)
        return architecture.logits(X, prepared)

    def _staged_logits(self, X):
        X = self._validated_data(X)
        architecture, prepared = self._inference(X)
        stages = architecture.staged_logits(X, prepared)
        return [stages[:, k] for k in range(self.n_layers)]

    @property
    def _n_features_out(self):
        return sum(layer_sizes(self.hidden_layer_sizes))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
