"""Markov random fields with hidden layers as scikit-learn classifiers."""

from collections.abc import Sequence
from numbers import Real
from typing import Any, Literal

import numpy as np
from sklearn.utils._param_validation import Interval

from skunfold._kernels.belief_propagation import BeliefPropagation
from skunfold._kernels.mean_field import MeanField
from skunfold._mrf.base import UnfoldedMRFClassifier


class UnfoldedMeanFieldClassifier(UnfoldedMRFClassifier):
    """Classification by unfolded mean-field inference in a Markov random field.

    Binary hidden layers stand between the data and the class. Each sweep of mean-field
    inference, up through the layers and with what lies above looking back down, is a layer of
    a network, and the network is trained. With one sweep it is a conventional sigmoid network.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=100
        Number of binary units of each hidden layer, from the data to the outputs; () for none.

    n_layers : int, default=2
        Unfolding depth: number of sweeps of inference, at least 1. With 1 it is
        the network of MLPClassifier with ``activation="logistic"``.

    tied : bool, default=False
        Whether all sweeps share one parameter set: inference in one field, trained through
        its iterations. Otherwise each sweep has its own. Tied sweeps overfit with depth unless
        they are damped.

    lateral : bool, default=False
        Whether the units of a hidden layer are coupled to each other as well, all pairs of
        them. Lateral messages travel between sweeps, from the second one on; ignored for
        ``n_layers=1``.

    label_graph : "full", array-like or sparse matrix of shape (n_labels, n_labels), or None, \
default=None
        Which labels are coupled to each other, for a label indicator matrix y: "full" for all
        pairs; an adjacency matrix, symmetric, whose nonzero elements are edges (for pixels:
        :func:`sklearn.feature_extraction.image.grid_to_graph`, or, farther than the next ones,
        :func:`sklearn.neighbors.radius_neighbors_graph` of their coordinates); None for none.
        Messages live on the edges only. Labels hear of each other from the second sweep on.

    coupling : {"edge", "local", "shared"}, default="edge"
        What labels share. "edge": nothing; each edge of `label_graph` has a weight, and each
        label sees all features with weights of its own. "local": each edge has a weight and
        each label a bias, but a label sees only its own features, with weights that all labels
        share. X then holds blocks side by side, each with one feature for each label (for
        pixels: the noisy image). "shared": as "local", but all labels have the same bias, and
        edges with the same value in `label_graph` the same weight: a handful of parameters for
        an image of any size. Labels above hidden layers see these with weights of their own in
        any case, and have their own biases. Ignored without `label_graph`.

    damping : float, default=0.0
        Part of the messages of the sweep before that is kept, from 0 to below 1. Helps where
        couplings are strong and sweeps oscillate, and against overfitting of tied sweeps
        (0.8); untied ones do without. What units receive is the sum of messages, so this is
        the damping of :class:`UnfoldedBPClassifier`.

    init : {"random", "rbm"} or estimator, default="random"
        The potentials that training starts from, the same for all sweeps. "random": as in
        :class:`sklearn.neural_network.MLPClassifier`; lateral couplings start at 0. "rbm": the
        first hidden layer is that of a :class:`sklearn.neural_network.BernoulliRBM` trained on
        X, which must be between 0 and 1; weighted samples are drawn by their weights. Or a
        fitted MLPClassifier with ``activation="logistic"`` or unfolded classifier with the
        same layers; a deeper network repeats its last sweep.

    alpha : float, default=0.0005
        Strength of the L2 penalty on the couplings, 0 or more: `alpha` / 2 times their sum of
        squares is added to the mean loss, as in :class:`sklearn.linear_model.SGDClassifier`.
        MLPClassifier divides its `alpha` by the number of samples of an update: 0.0005 here is
        0.1 there for updates of 200 samples.

    solver : {"adam", "sgd", "lbfgs"}, default="adam"
        "adam": Kingma and Ba (2015). "sgd": gradient descent with Nesterov's momentum. "lbfgs":
        quasi-Newton steps on all samples, for small data.

    batch_size : int or "auto", default="auto"
        Samples of one update, at least 1; "auto" is ``min(200, n_samples)``. Ignored by
        "lbfgs".

    learning_rate_init : float, default=0.01
        Step size, above 0; it is halved when the monitored loss has not fallen for half of
        `n_iter_no_change` epochs, or for one, where all samples are one batch. Ignored by
        "lbfgs".

    learning_rate_decay : float, default=1.0
        Factor of the step size after every epoch, above 0 and at most 1. Ignored by "lbfgs" and
        `partial_fit`.

    averaging : float, default=0.0
        Decay of a running average of the parameters, at least 0 and below 1: about the last
        ``1 / (1 - averaging)`` updates count. The average is monitored and kept. 0: no
        averaging. Ignored by "lbfgs" and `partial_fit`.

    max_iter : int, default=200
        Number of epochs (iterations of "lbfgs") at most, at least 1.

    tol : float, default=1e-4
        Training stops when the monitored loss has not fallen by this part of itself for
        `n_iter_no_change` epochs in a row; "lbfgs" stops when no element of the gradient is
        larger, or when the loss falls by less than scipy's ``ftol``. 0 or more.

    shuffle : bool, default=True
        Whether to shuffle the samples before each epoch. Ignored by "lbfgs".

    early_stopping : bool, default=False
        Whether to monitor the loss of held-out samples and keep the parameters that are best on
        them. `fit` takes samples for it as `X_val`. Ignored by "lbfgs".

    validation_fraction : float, default=0.1
        Part of the samples to hold out, between 0 and 1; only with `early_stopping`.

    n_iter_no_change : int or np.inf, default=10
        See `tol` and `learning_rate_init`; at least 1. With infinity training does not stop
        early, and the step is halved as for the default. Ignored by "lbfgs".

    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, by which those of their samples are multiplied; "balanced":
        inversely to how often each class occurs.

    warm_start : bool, default=False
        Whether `fit` goes on from the last fit (potentials, step size, averages) instead of
        starting anew.

    random_state : int, RandomState instance or None, default=None
        Seed of the initialisation, of the held-out samples and of the shuffling.

    verbose : int, default=0
        Above 0, prints a line of `history_` for every epoch.

    n_jobs : int or None, default=None
        Number of joblib workers sharing each update in `fit`, -1 for all processors. None: this
        process, with as many threads as its BLAS would use.

    Attributes
    ----------
    potentials_ : list of n_layers dict
        The parameter set of each sweep; tied sweeps have one and the same. "coefs": list of
        ndarray, couplings between adjacent layers, each (units below, units above).
        "intercepts": list of ndarray, biases of each layer. "lateral": list of ndarray or
        None, couplings inside each layer, one for each pair in the order of
        ``np.triu_indices(n_units, 1)``, or of `label_edges_`; with ``coupling="shared"`` one
        for each value of `label_graph`, in increasing order.
    label_edges_ : ndarray of shape (2, n_edges) or None
        The labels that each edge of `label_graph` couples; None without.
    classes_ : ndarray of shape (n_classes,)
        The classes; for a label indicator matrix, the numbers of its columns.
    n_outputs_ : int
        Number of logits: 1 for two classes.
    out_activation_ : {"softmax", "logistic"}
        What makes probabilities of the logits.
    n_parameters_ : int
        Number of distinct parameters.
    n_iter_ : int
        Number of epochs of the last fit; those of fits that were continued are in `history_`.
    loss_ : float
        Monitored loss of the fitted model (mean cross-entropy, with the penalty unless it is
        that of held-out samples); after `partial_fit` that of its batch before the updates.
    loss_curve_ : list of float
        Training loss of each epoch, each batch measured before its update.
    best_loss_ : float or None
        Lowest training loss at the end of an epoch; None with `early_stopping`.
    validation_loss_curve_ : list of float or None
        Loss of the held-out samples after each epoch; None without `early_stopping`.
    validation_scores_ : list of float or None
        Their accuracy; None without `early_stopping`.
    best_validation_score_ : float or None
        The highest of these; None without `early_stopping`.
    history_ : list of dict
        For each epoch: "epoch", its number; "loss"; "final_loss", that of all samples at its
        end, or with `early_stopping` "validation_loss" and "validation_score";
        "learning_rate" (not by "lbfgs"); "seconds".
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where X has string names.

    See Also
    --------
    UnfoldedBPClassifier : The same field, inferred by belief propagation.
    sklearn.neural_network.MLPClassifier : The conventional network, depth 1.

    Notes
    -----
    Units of layer l with total field t = b_l + q_{l-1} W_l + q_{l+1} W_{l+1}^T (+ q_l J_l)
    believe q_l = sigmoid(t); the class node q = softmax(t). In the first sweep nothing comes
    from above or from the side.

    Before training and after every epoch the monitored loss is computed. If it does not fall
    any more, the step is halved and the best parameters come back (see `learning_rate_init`);
    a fit ends with the best ones, never worse than it began. Ctrl-C ends training with them
    and a warning.

    References
    ----------
    J. R. Hershey, J. Le Roux and F. Weninger, "Deep unfolding: model-based inspiration of
    novel deep architectures", arXiv 1409.2574 (2014), section 3.

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

    def _rule(self):
        return MeanField(self.damping)


class UnfoldedBPClassifier(UnfoldedMRFClassifier):
    """Classification by unfolded belief propagation in a Markov random field.

    Binary hidden layers stand between the data and the class. Each sweep of belief propagation
    is a layer of a network, and the network is trained; every link has a saturating activation
    of its own. Without loops in the field, inference is exact: one hidden layer is the
    discriminative restricted Boltzmann machine.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int, default=(64, 32)
        Number of binary units of each hidden layer, from the data to the outputs; () for none.

    n_layers : int, default=2
        Unfolding depth: number of sweeps of inference, at least 1. With one
        hidden layer and no lateral couplings more sweeps change nothing.

    tied : bool, default=False
        Whether all sweeps share one parameter set: inference in one field, trained through
        its iterations. Otherwise each sweep has its own. Tied sweeps overfit with depth unless
        they are damped.

    lateral : bool, default=False
        Whether the units of a hidden layer are coupled to each other as well, all pairs of
        them. Lateral messages travel between sweeps, from the second one on; ignored for
        ``n_layers=1``.

    label_graph : "full", array-like or sparse matrix of shape (n_labels, n_labels), or None, \
default=None
        Which labels are coupled to each other, for a label indicator matrix y: "full" for all
        pairs; an adjacency matrix, symmetric, whose nonzero elements are edges (for pixels:
        :func:`sklearn.feature_extraction.image.grid_to_graph`, or, farther than the next ones,
        :func:`sklearn.neighbors.radius_neighbors_graph` of their coordinates); None for none.
        Messages live on the edges only. Labels hear of each other from the second sweep on.

    coupling : {"edge", "local", "shared"}, default="edge"
        What labels share. "edge": nothing; each edge of `label_graph` has a weight, and each
        label sees all features with weights of its own. "local": each edge has a weight and
        each label a bias, but a label sees only its own features, with weights that all labels
        share. X then holds blocks side by side, each with one feature for each label (for
        pixels: the noisy image). "shared": as "local", but all labels have the same bias, and
        edges with the same value in `label_graph` the same weight: a handful of parameters for
        an image of any size. Labels above hidden layers see these with weights of their own in
        any case, and have their own biases. Ignored without `label_graph`.

    damping : float, default=0.0
        Part of the messages of the sweep before that is kept, from 0 to below 1. Helps where
        couplings are strong and sweeps oscillate, and against overfitting of tied sweeps
        (0.8); untied ones do without.

    power : float, default=1.0
        The power of messages, above 0: 1 is belief propagation, towards 0 mean field (tied or
        not, damped or not), above 1 (1 / edge appearance probability) tree-reweighted belief
        propagation. Rounding errors grow with its inverse.

    init : {"random", "rbm"} or estimator, default="random"
        The potentials that training starts from, the same for all sweeps. "random": as in
        :class:`sklearn.neural_network.MLPClassifier`; lateral couplings start at 0. "rbm": the
        first hidden layer is that of a :class:`sklearn.neural_network.BernoulliRBM` trained on
        X, which must be between 0 and 1; weighted samples are drawn by their weights. Or a
        fitted MLPClassifier with ``activation="logistic"`` or unfolded classifier with the
        same layers; a deeper network repeats its last sweep.

    alpha : float, default=0.0005
        Strength of the L2 penalty on the couplings, 0 or more: `alpha` / 2 times their sum of
        squares is added to the mean loss, as in :class:`sklearn.linear_model.SGDClassifier`.
        MLPClassifier divides its `alpha` by the number of samples of an update: 0.0005 here is
        0.1 there for updates of 200 samples.

    solver : {"adam", "sgd", "lbfgs"}, default="adam"
        "adam": Kingma and Ba (2015). "sgd": gradient descent with Nesterov's momentum. "lbfgs":
        quasi-Newton steps on all samples, for small data.

    batch_size : int or "auto", default="auto"
        Samples of one update, at least 1; "auto" is ``min(200, n_samples)``. Ignored by
        "lbfgs".

    learning_rate_init : float, default=0.01
        Step size, above 0; it is halved when the monitored loss has not fallen for half of
        `n_iter_no_change` epochs, or for one, where all samples are one batch. Ignored by
        "lbfgs".

    learning_rate_decay : float, default=1.0
        Factor of the step size after every epoch, above 0 and at most 1. Ignored by "lbfgs" and
        `partial_fit`.

    averaging : float, default=0.0
        Decay of a running average of the parameters, at least 0 and below 1: about the last
        ``1 / (1 - averaging)`` updates count. The average is monitored and kept. 0: no
        averaging. Ignored by "lbfgs" and `partial_fit`.

    max_iter : int, default=200
        Number of epochs (iterations of "lbfgs") at most, at least 1.

    tol : float, default=1e-4
        Training stops when the monitored loss has not fallen by this part of itself for
        `n_iter_no_change` epochs in a row; "lbfgs" stops when no element of the gradient is
        larger, or when the loss falls by less than scipy's ``ftol``. 0 or more.

    shuffle : bool, default=True
        Whether to shuffle the samples before each epoch. Ignored by "lbfgs".

    early_stopping : bool, default=False
        Whether to monitor the loss of held-out samples and keep the parameters that are best on
        them. `fit` takes samples for it as `X_val`. Ignored by "lbfgs".

    validation_fraction : float, default=0.1
        Part of the samples to hold out, between 0 and 1; only with `early_stopping`.

    n_iter_no_change : int or np.inf, default=10
        See `tol` and `learning_rate_init`; at least 1. With infinity training does not stop
        early, and the step is halved as for the default. Ignored by "lbfgs".

    class_weight : dict, "balanced" or None, default=None
        Weights of the classes, by which those of their samples are multiplied; "balanced":
        inversely to how often each class occurs.

    warm_start : bool, default=False
        Whether `fit` goes on from the last fit (potentials, step size, averages) instead of
        starting anew.

    random_state : int, RandomState instance or None, default=None
        Seed of the initialisation, of the held-out samples and of the shuffling.

    verbose : int, default=0
        Above 0, prints a line of `history_` for every epoch.

    n_jobs : int or None, default=None
        Number of joblib workers sharing each update in `fit`, -1 for all processors. None: this
        process, with as many threads as its BLAS would use.

    Attributes
    ----------
    potentials_ : list of n_layers dict
        The parameter set of each sweep; tied sweeps have one and the same. "coefs": list of
        ndarray, couplings between adjacent layers, each (units below, units above).
        "intercepts": list of ndarray, biases of each layer. "lateral": list of ndarray or
        None, couplings inside each layer, one for each pair in the order of
        ``np.triu_indices(n_units, 1)``, or of `label_edges_`; with ``coupling="shared"`` one
        for each value of `label_graph`, in increasing order.
    label_edges_ : ndarray of shape (2, n_edges) or None
        The labels that each edge of `label_graph` couples; None without.
    classes_ : ndarray of shape (n_classes,)
        The classes; for a label indicator matrix, the numbers of its columns.
    n_outputs_ : int
        Number of logits: 1 for two classes.
    out_activation_ : {"softmax", "logistic"}
        What makes probabilities of the logits.
    n_parameters_ : int
        Number of distinct parameters.
    n_iter_ : int
        Number of epochs of the last fit; those of fits that were continued are in `history_`.
    loss_ : float
        Monitored loss of the fitted model (mean cross-entropy, with the penalty unless it is
        that of held-out samples); after `partial_fit` that of its batch before the updates.
    loss_curve_ : list of float
        Training loss of each epoch, each batch measured before its update.
    best_loss_ : float or None
        Lowest training loss at the end of an epoch; None with `early_stopping`.
    validation_loss_curve_ : list of float or None
        Loss of the held-out samples after each epoch; None without `early_stopping`.
    validation_scores_ : list of float or None
        Their accuracy; None without `early_stopping`.
    best_validation_score_ : float or None
        The highest of these; None without `early_stopping`.
    history_ : list of dict
        For each epoch: "epoch", its number; "loss"; "final_loss", that of all samples at its
        end, or with `early_stopping` "validation_loss" and "validation_score";
        "learning_rate" (not by "lbfgs"); "seconds".
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where X has string names.

    See Also
    --------
    UnfoldedMeanFieldClassifier : The same field, inferred by mean field.

    Notes
    -----
    Along a link with coupling w, a unit whose total field without what came back on that link
    is e sends log(1 + sigmoid(e) (exp(w) - 1)), which is w sigmoid(e) to first order in w.
    Sweeps renew the layers upwards, then the class, each with the newest messages.

    Before training and after every epoch the monitored loss is computed. If it does not fall
    any more, the step is halved and the best parameters come back (see `learning_rate_init`);
    a fit ends with the best ones, never worse than it began. Ctrl-C ends training with them
    and a warning.

    References
    ----------
    J. R. Hershey, J. Le Roux and F. Weninger, "Deep unfolding: model-based inspiration of
    novel deep architectures", arXiv 1409.2574 (2014), section 3.

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
