"""Text that the docstrings of several estimators share.

A docstring has slots, such as a line ``%(tol, shuffle)s``, which `documented` fills at import
with the entries of these names. So `help`, Sphinx and IDEs that ask a running Python show it
whole.
"""

import re
from collections.abc import Callable
from textwrap import indent
from typing import Any, TypeVar

_SLOT = re.compile(r"^( *)%\(([^)]*)\)s(.*)$", re.MULTILINE)
_ENTRY = re.compile(r"^(\w[\w, ]*) : .*(?:\n(?: .*)?)*", re.MULTILINE)

T = TypeVar("T", bound=type)


def documented(shared: dict[str, str]) -> Callable[[T], T]:
    """Return a decorator of classes that fills the slots of the docstring.

    Parameters
    ----------
    shared : dict
        Entries of numpydoc sections, or paragraphs, by name.
    """

    def filled(match: re.Match) -> str:
        names = re.split(r",\s+", match[2])
        gap = "\n" if names[0].endswith("_") else "\n\n"  # attributes follow without one
        return indent(gap.join(shared[name] for name in names) + match[3], match[1])

    def fill(cls: T) -> T:
        if cls.__doc__:  # which python -OO leaves out
            cls.__doc__ = _SLOT.sub(filled, cls.__doc__)
        return cls

    return fill


def entries(text: str) -> dict[str, str]:
    """Return the entries of a text in the format of numpydoc, by their (first) names."""
    found: dict[str, Any] = {}
    for match in _ENTRY.finditer(text):
        found[match[1].split(", ")[0]] = match[0].rstrip()
    return found


# For all estimators above the training loop.
LOOP = entries(
    """
learning_rate_decay : float, default=1.0
    Factor applied to the step size after every epoch, above 0 and at most 1. Ignored by
    `partial_fit`.

averaging : float, default=0.0
    Decay of a running average of the parameters, in [0, 1): about the last
    ``1 / (1 - averaging)`` updates count. The average is monitored and kept instead of the
    parameters, which allows larger steps. 0: no averaging. Ignored by `partial_fit`.

batch_size : int or "auto", default="auto"
    Samples of one update, at least 1; "auto" is ``min(200, n_samples)``.

max_iter : int, default=200
    Maximum number of epochs, at least 1; ignored if nothing is trained.

tol : float, default=1e-4
    Training stops when the monitored loss has not fallen by this fraction of itself for
    `n_iter_no_change` epochs in a row. 0 or more.

shuffle : bool, default=True
    Whether to shuffle the samples before each epoch.

early_stopping : bool, default=False
    Whether to monitor the loss of held-out samples instead of the training loss, and keep the
    parameters that are best on them. `fit` takes samples for it as `X_val`.

validation_fraction : float, default=0.1
    Fraction of the samples to hold out, between 0 and 1; only with `early_stopping` and
    without `X_val`.

n_iter_no_change : int or np.inf, default=10
    See `tol`; at least 1. With infinity training does not stop early.

class_weight : dict, "balanced" or None, default=None
    Weights of the classes, multiplied by those of their samples; "balanced": inversely
    proportional to the frequency of each class. Not for label indicator matrices.

warm_start : bool, default=False
    Whether `fit` continues from the last fit (parameters, step size, averages). A model from a
    model file continues with a new step size and new averages, unless it was saved with its
    training state.

random_state : int, RandomState instance or None, default=None
    Seed of the initialisation, of the held-out samples and of the shuffling.

verbose : int, default=0
    Above 0, prints a line of `history_` for every epoch.

n_jobs : int or None, default=None
    Number of joblib workers sharing each update in `fit`; -1 for all processors. They are
    threads, or what ``joblib.parallel_config`` says: processes, or a Dask cluster, all workers
    of which are then used. Samples are sent to them once. Each computes with one thread, those
    of Dask with their configured number of threads. The result is the same for any number of
    workers, up to rounding. None, or a single worker: this process, with as many threads as its
    BLAS would use.

n_parameters_ : int
    Number of distinct parameters.

n_iter_ : int
    Number of epochs of the last fit (1 if nothing is trained); earlier fits that it continued
    are in `history_`.

loss_ : float
    Monitored loss of the fitted model, per sample (with the penalty, if there is one, unless
    it is that of held-out samples); after `partial_fit` that of its batch before the updates.

loss_curve_ : list of float
    Training loss per sample of each epoch, each batch measured before its update.

best_loss_ : float or None
    Lowest training loss at the end of an epoch; None if samples were held out.

validation_loss_curve_ : list of float or None
    Loss of the held-out samples after each epoch; None without `early_stopping`.

validation_scores_ : list of float or None
    Their scores, R^2 for numbers and accuracy for classes; None without `early_stopping`.

best_validation_score_ : float or None
    The highest of these scores; None without `early_stopping`.

history_ : list of dict
    A dict for each epoch: "epoch"; "loss"; "final_loss", the loss of all samples at its end, or
    with held-out samples "validation_loss" and "validation_score"; "learning_rate" (not by
    "lbfgs"); "seconds".

classes_ : ndarray of shape (n_classes,)
    The classes; for a label indicator matrix, the numbers of its columns.

out_activation_ : {"softmax", "logistic"}
    The function from logits to probabilities.

n_features_in_ : int
    Number of features seen in `fit`.

feature_names_in_ : ndarray of shape (n_features,)
    Names of the features, where X has string names.
"""
) | {
    "monitored": """\
Before training and after every epoch the monitored loss is computed. When it stops falling, the
step is halved and the best parameters are restored (see `learning_rate_init`). A fit ends with
the best parameters, so it is never worse than where it began. Ctrl-C ends training with them
and a warning.""",
    "paper": """\
J. R. Hershey, J. Le Roux and F. Weninger, "Deep unfolding: model-based inspiration of novel
deep architectures", arXiv 1409.2574 (2014)""",
}

# For unfolded fields.
FIELDS = LOOP | entries(
    """
tied : bool, default=False
    Whether all sweeps share one parameter set: inference in one field, trained through its
    iterations. Otherwise each sweep has its own set. Tied sweeps overfit with depth unless they
    are damped.

lateral : bool, default=False
    Whether the units of a hidden layer are coupled to each other as well, all pairs of them.
    Lateral messages count from the second sweep on; ignored for
    ``n_layers=1``.

label_graph : "full", array-like or sparse matrix of shape (n_labels, n_labels), or None, \
default=None
    Which labels are coupled to each other, for a label indicator matrix y: "full" for all
    pairs; an adjacency matrix, symmetric, whose nonzero elements are edges (for pixels:
    :func:`sklearn.feature_extraction.image.grid_to_graph`, or, beyond the nearest neighbours,
    :func:`sklearn.neighbors.radius_neighbors_graph` of their coordinates); None for none.
    Messages are sent along edges only. Labels influence each other from the second sweep on.

coupling : {"edge", "local", "shared"}, default="edge"
    What labels share. "edge": nothing; each edge of `label_graph` has a weight, and each
    label sees all features with its own weights. "local": each edge has a weight and each
    label a bias, but a label sees only its own features, with weights that all labels share.
    X then holds blocks side by side, each with one feature for each label (for pixels: the
    noisy image). "shared": as "local", but all labels have the same bias, and edges with the
    same value in `label_graph` the same weight: a handful of parameters for an image of any
    size. With hidden layers, each label has separate weights from the last of them, and a
    separate bias. Ignored without `label_graph`.

damping : float, default=0.0
    Fraction of the previous sweep's messages to keep, in [0, 1). Helps where couplings are
    strong and sweeps oscillate, and against overfitting of tied sweeps (0.8); untied sweeps
    do not need it.

init : {"random", "rbm"} or estimator, default="random"
    The initial potentials, the same for all sweeps. "random": as in
    :class:`sklearn.neural_network.MLPClassifier`; lateral couplings start at 0. "rbm": the
    first hidden layer is that of a :class:`sklearn.neural_network.BernoulliRBM` trained on X,
    which must be between 0 and 1; weighted samples are drawn by their weights. Or a fitted
    MLPClassifier with ``activation="logistic"`` or unfolded classifier with the same layers;
    a deeper network repeats its last sweep.

alpha : float, default=0.0005
    Strength of the L2 penalty on the couplings, 0 or more: `alpha` / 2 times their sum of
    squares is added to the mean loss, as in :class:`sklearn.linear_model.SGDClassifier`.
    MLPClassifier divides its `alpha` by the number of samples of an update: 0.0005 here is
    0.1 there for updates of 200 samples.

solver : {"adam", "sgd", "lbfgs"}, default="adam"
    "adam": Kingma and Ba (2015). "sgd": gradient descent with Nesterov's momentum. "lbfgs":
    quasi-Newton steps on all samples, for small data; it takes up to `max_iter` iterations,
    stops when no element of the gradient is larger than `tol` or the loss hardly changes, and
    ignores batches, step sizes, averaging and early stopping.

learning_rate_init : float, default=0.01
    Step size, above 0; it is halved when the monitored loss has not fallen for half of
    `n_iter_no_change` epochs (5 if that is infinite), or for one, where all samples are one
    batch.

potentials_ : list of n_layers dict
    The parameter set of each sweep; tied sweeps have one and the same. "coefs": list of
    ndarray, couplings between adjacent layers, each (units below, units above).
    "intercepts": list of ndarray, biases of each layer. "lateral": list of ndarray or None,
    couplings inside each layer, one for each pair in the order of
    ``np.triu_indices(n_units, 1)``, or of `label_edges_`; with ``coupling="shared"`` one for
    each value of `label_graph`, in increasing order.

label_edges_ : ndarray of shape (2, n_edges) or None
    The labels that each edge of `label_graph` couples; None without.

n_outputs_ : int
    Number of logits: 1 for two classes.
"""
)

# For any unfolded iteration.
ITERATIONS = LOOP | entries(
    """
iteration : Iteration
    One iteration of the algorithm, and its adjoint. Its parameters can be set and searched over
    as ``iteration__NAME``.

n_layers : int, default=8
    Unfolding depth: number of iterations, at least 1.

n_trained_layers : int or "all", default="all"
    How many layers are trained, counted from the output; the readout is the first. 0 is the
    unmodified algorithm with an untrained readout, 1 trains the readout, 2 also the last
    iteration, and so on, up to ``n_layers + 1`` or "all".

tied : bool, default=False
    Whether the trained iterations share one parameter set.

alpha : float, default=0.0
    Strength of the L2 penalty, 0 or more: `alpha` / 2 times the sum of squares of all free
    arrays of two or more dimensions is added to the mean loss.

solver : {"adam", "sgd", "lbfgs"}, default="adam"
    "adam": Adam for free arrays, exponentiated gradient with its scaling for those that stay
    positive. "sgd" (Nesterov's momentum) and "lbfgs" (all samples at once) need all arrays to
    be free. "lbfgs" takes up to `max_iter` iterations, stops when no element of the gradient
    is larger than `tol`, and ignores batches, step sizes, averaging and early stopping.

learning_rate_init : float, default=0.01
    Step size, above 0; it is halved when the monitored loss does not fall.

theta_ : list of n_layers tuples of ndarray
    Parameters of each layer, as the iteration knows them; layers that share parameters share
    the arrays.

readout_parameters_ : tuple of ndarray
    Parameters of the readout.

iteration_, readout_ : Iteration, Readout
    Copies of the iteration and the readout.

n_states_, n_outputs_ : int
    Columns of the state and of the outputs.
"""
)
