"""The initial potentials, and checks of given ones."""

from numbers import Integral

import numpy as np
from sklearn import config_context
from sklearn.neural_network import BernoulliRBM
from sklearn.utils import gen_batches

RBM_EPOCHS = 10
RBM_BATCH = 10  # samples


def initial_potentials(init, architecture, X, weight, random_state):
    """Return the first potentials for `init`, which is described in the estimators."""
    if init == "random":
        return architecture.random_potentials(random_state, X.dtype)
    if isinstance(init, str):
        return _pretrained(architecture, X, weight, random_state)
    return potentials_from(init, architecture, X.dtype)


def _pretrained(architecture, X, weight, random_state):
    """Return random potentials, except that the first layer models X."""
    if not architecture.hidden_sizes:
        raise ValueError("init='rbm' needs a hidden layer; hidden_layer_sizes is empty.")
    # MinMaxScaler returns 1.0000000000000002, or more where an offset is much larger than the
    # range.
    rounding = np.sqrt(np.finfo(X.dtype).eps)
    if X.min() < -rounding or X.max() > 1 + rounding:
        raise ValueError(
            f"init='rbm' needs X between 0 and 1; it is between {X.min():.3g} and "
            f"{X.max():.3g}. Scale it (sklearn.preprocessing.MinMaxScaler), or use "
            "init='random'."
        )
    start = architecture.random_potentials(random_state, X.dtype)[0]
    rbm = _fitted_rbm(architecture.hidden_sizes[0], X, weight, random_state)
    coefs, intercepts = start["coefs"], start["intercepts"]
    coefs[0] = np.ascontiguousarray(rbm.components_.T, dtype=X.dtype)
    intercepts[0] = rbm.intercept_hidden_.astype(X.dtype)
    return architecture.repeated(coefs, intercepts)


def _fitted_rbm(n_hidden, X, weight, random_state):
    """Return a BernoulliRBM trained on samples drawn by their weights.

    It is trained by `partial_fit`, since tools that record every `fit` of scikit-learn would
    record this one as the user's.
    """
    rbm = BernoulliRBM(n_hidden, batch_size=RBM_BATCH, random_state=random_state)
    chances = None if weight is None else weight / weight.sum(dtype=np.float64)
    with config_context(assume_finite=True, skip_parameter_validation=True):
        for _ in range(RBM_EPOCHS):
            order = np.arange(X.shape[0])
            if chances is not None:
                order = random_state.choice(order, len(order), p=chances)
            for rows in gen_batches(len(order), RBM_BATCH):
                rbm.partial_fit(X[order[rows]])
    return rbm


def potentials_from(model, architecture, dtype):
    """Return potentials of a fitted MLPClassifier or unfolded classifier.

    Deeper networks repeat the last sweep of a model, and tied ones use it for all sweeps.
    """
    if hasattr(model, "potentials_"):
        given = model.potentials_
    else:
        check_logistic(model)
        lateral = [None] * len(model.coefs_)
        given = [{"coefs": model.coefs_, "intercepts": model.intercepts_, "lateral": lateral}]
    return potentials_like(given, type(model).__name__, architecture, dtype)


def potentials_like(given, name, architecture, dtype):
    """Return copies of potentials, of the sweeps that a field has; the name is for messages.

    Deeper networks repeat the last sweep, and tied ones use it for all.
    """
    needed, n_needed = architecture.shapes
    for shapes, n_biases in map(shapes_of, given):
        if shapes != needed:
            raise ValueError(
                f"{name} has couplings of shapes {shapes}; this model needs {needed}."
            )
        if n_biases != n_needed:
            raise ValueError(f"{name} has {n_biases} biases; this model needs {n_needed}.")
    parameters = []
    for index, layers in enumerate(architecture.parameter_sets):
        chosen = given[-1 if architecture.tied else min(index, len(given) - 1)]
        for layer, (_, _, J) in enumerate(layers):
            parameters += [chosen["coefs"][layer], chosen["intercepts"][layer]]
            if J is not None:
                graph = architecture.graphs[layer]
                w = chosen["lateral"][layer]
                parameters.append(np.zeros(graph.n_weights) if w is None else w)
                if len(parameters[-1]) != graph.n_weights:
                    raise ValueError(
                        f"{name} has {len(w)} couplings inside a layer; this model needs "
                        f"{graph.n_weights}."
                    )
    return architecture.potentials([np.array(p, dtype=dtype) for p in parameters])


def shapes_of(potentials):
    """Return the shapes of the couplings between adjacent layers, and the sizes of biases."""
    biases = [len(b) for b in potentials["intercepts"]]
    return [W.shape for W in potentials["coefs"]], biases


def check_logistic(model):
    """Raise a ValueError unless the hidden units of a network are sigmoids."""
    if model.activation != "logistic":
        raise ValueError(
            f"{type(model).__name__} has activation={model.activation!r}; only hidden units "
            "with activation='logistic' are those of a binary field."
        )


def layer_sizes(hidden_layer_sizes):
    """Return the sizes of the hidden layers as a tuple of int, checked."""
    one = np.ndim(hidden_layer_sizes) == 0
    sizes = (hidden_layer_sizes,) if one else tuple(hidden_layer_sizes)
    if not all(isinstance(size, Integral) and int(size) >= 1 for size in sizes):
        raise ValueError(
            f"hidden_layer_sizes={hidden_layer_sizes!r} holds something else than whole "
            "numbers of 1 or more; give one for each hidden layer, or ()."
        )
    return tuple(int(size) for size in sizes)


def check_same_network(fitted, architecture):
    """Check that the parameters of an estimator still describe its fitted potentials."""
    otherwise = "set it back, or fit again (with warm_start=False; init may be the old model)."
    sizes = tuple(W.shape[0] for W in fitted[0]["coefs"][1:])
    if sizes != architecture.hidden_sizes:
        raise ValueError(
            f"hidden_layer_sizes={architecture.hidden_sizes}, but the fit had {sizes}; "
            + otherwise
        )
    if len(fitted) != architecture.n_sweeps:
        raise ValueError(
            f"n_layers={architecture.n_sweeps}, but the fit had {len(fitted)} layers; "
            + otherwise
        )
    lateral = [None if J is None else len(J) for J in fitted[-1]["lateral"]]
    graphs = [None if graph is None else graph.n_weights for graph in architecture.graphs]
    same_places = shapes_of(fitted[0]) == architecture.shapes
    if not same_places or (architecture.n_sweeps > 1 and lateral != graphs):
        raise ValueError(
            "lateral, label_graph or coupling is not that of the fit; " + otherwise
        )
    if architecture.tied and any(
        a is not b for one in fitted for a, b in zip(one["coefs"], fitted[0]["coefs"])
    ):
        raise ValueError("tied=True, but the fit had untied sweeps; " + otherwise)
