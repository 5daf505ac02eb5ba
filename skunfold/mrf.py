"""Markov random fields with hidden layers as scikit-learn classifiers."""

from collections.abc import Sequence
from numbers import Real
from typing import Any, Literal

import numpy as np
from sklearn.utils._param_validation import Interval

from skunfold._estimator.docstrings import FIELDS, documented, entries_of
from skunfold._kernels.belief_propagation import BeliefPropagation
from skunfold._kernels.mean_field import MeanField
from skunfold._mrf.base import UnfoldedMRFClassifier

SHARED = FIELDS | entries_of(UnfoldedMRFClassifier)


@documented(SHARED)
class UnfoldedMeanFieldClassifier(UnfoldedMRFClassifier):
    """Classification by unfolded mean-field inference in a Markov random field.

    Binary hidden layers connect the data and the class. Each sweep of mean-field inference, in
    which every layer is updated from the layers below and above, is a layer of a network, and
    the network is trained. With one sweep it is a conventional sigmoid network.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=100
        Number of binary units of each hidden layer, from the data to the outputs; () for none.

    n_layers : int, default=2
        Unfolding depth: number of sweeps of inference, at least 1. With 1 it is
        the network of MLPClassifier with ``activation="logistic"``.

    %(tied, lateral, label_graph, coupling)s

    damping : float, default=0.0
        Fraction of the previous sweep's messages to keep, in [0, 1). Helps where couplings are
        strong and sweeps oscillate, and against overfitting of tied sweeps (0.8); untied sweeps
        do not need it. Units receive the sum of messages, so this is the damping of
        :class:`UnfoldedBPClassifier`.

    %(init, alpha, solver, batch_size, learning_rate_init, learning_rate_decay, averaging,
    max_iter, tol, shuffle, early_stopping, validation_fraction, n_iter_no_change,
    class_weight, warm_start, random_state, verbose, n_jobs)s

    Attributes
    ----------
    %(potentials_, label_edges_, classes_, n_outputs_, out_activation_, n_parameters_,
    n_iter_, loss_, loss_curve_, best_loss_, validation_loss_curve_, validation_scores_,
    best_validation_score_, history_, n_features_in_, feature_names_in_)s

    See Also
    --------
    UnfoldedBPClassifier : The same field, inferred by belief propagation.
    sklearn.neural_network.MLPClassifier : The conventional network, depth 1.

    Notes
    -----
    Units of layer l with total field t = b_l + q_{l-1} W_l + q_{l+1} W_{l+1}^T (+ q_l J_l)
    believe q_l = sigmoid(t); the class node q = softmax(t). In the first sweep nothing comes
    from above or from the side.

    %(monitored)s

    References
    ----------
    %(paper)s, section 3.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.preprocessing import scale
    >>> from skunfold import UnfoldedMeanFieldClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = UnfoldedMeanFieldClassifier(8, n_layers=3, solver="lbfgs", random_state=0)
    >>> model.fit(scale(X), y).score(scale(X), y) > 0.95
    True
    >>> model.transform(scale(X)).shape
    (150, 8)
    """

    def _rule(self):
        return MeanField(self.damping)


@documented(SHARED)
class UnfoldedBPClassifier(UnfoldedMRFClassifier):
    """Classification by unfolded belief propagation in a Markov random field.

    Binary hidden layers connect the data and the class. Each sweep of belief propagation is a
    layer of a network, and the network is trained; every link has its own saturating
    activation. Without loops in the field, inference is exact: one hidden layer is the
    discriminative restricted Boltzmann machine.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(64, 32)
        Number of binary units of each hidden layer, from the data to the outputs; () for none.

    n_layers : int, default=2
        Unfolding depth: number of sweeps of inference, at least 1. With one
        hidden layer and no lateral couplings more sweeps change nothing.

    %(tied, lateral, label_graph, coupling, damping)s

    power : float, default=1.0
        The power of messages, above 0: 1 is belief propagation, towards 0 mean field (tied or
        not, damped or not), above 1 (1 / edge appearance probability) tree-reweighted belief
        propagation. Rounding errors grow with its inverse.

    %(init, alpha, solver, batch_size, learning_rate_init, learning_rate_decay, averaging,
    max_iter, tol, shuffle, early_stopping, validation_fraction, n_iter_no_change,
    class_weight, warm_start, random_state, verbose, n_jobs)s

    Attributes
    ----------
    %(potentials_, label_edges_, classes_, n_outputs_, out_activation_, n_parameters_,
    n_iter_, loss_, loss_curve_, best_loss_, validation_loss_curve_, validation_scores_,
    best_validation_score_, history_, n_features_in_, feature_names_in_)s

    See Also
    --------
    UnfoldedMeanFieldClassifier : The same field, inferred by mean field.

    Notes
    -----
    Along a link with coupling w, a unit sends log(1 + sigmoid(e) (exp(w) - 1)), where e is its
    total field without the message received on that link; to first order in w this is
    w sigmoid(e). Sweeps update the layers upwards, then the class, each with the newest
    messages.

    %(monitored)s

    References
    ----------
    %(paper)s, section 3.

    H. Larochelle and Y. Bengio, "Classification using discriminative restricted Boltzmann
    machines", ICML 2008.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.preprocessing import scale
    >>> from skunfold import UnfoldedBPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = UnfoldedBPClassifier((8, 4), n_layers=3, solver="lbfgs", random_state=0)
    >>> model.fit(scale(X), y).score(scale(X), y) > 0.95
    True
    """

    _parameter_constraints: dict = {
        **UnfoldedMRFClassifier._parameter_constraints,
        "power": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (64, 32),
        *,
        n_layers: int = 2,
        tied: bool = False,
        lateral: bool = False,
        label_graph: Any = None,
        coupling: Literal["edge", "local", "shared"] = "edge",
        damping: float = 0.0,
        power: float = 1.0,
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
            hidden_layer_sizes,
            n_layers=n_layers,
            tied=tied,
            lateral=lateral,
            label_graph=label_graph,
            coupling=coupling,
            damping=damping,
            init=init,
            alpha=alpha,
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
            class_weight=class_weight,
            warm_start=warm_start,
            random_state=random_state,
            verbose=verbose,
            n_jobs=n_jobs,
        )
        self.power = power

    def _rule(self):
        return BeliefPropagation(self.power, self.damping)
