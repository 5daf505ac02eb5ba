"""What must hold of an estimator that comes from a model file, checked once, when it is opened.

The parts of a file are well formed before any of this is asked: this is about numbers that do
not make sense.  Parameters are in their ranges, arrays are finite, and shapes agree with each
other and with the parameters, so that prediction neither fails nor takes more memory and time
than the size of the file and of the data promises.  At the end the estimator predicts one
sample.
"""

import copy
from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import is_classifier

from skunfold._crf.layout import PARTS
from skunfold._deep_nmf.inferred_bases import check_takes_samples
from skunfold._model_files import scikit_learn_models as _scikit_learn_models
from skunfold._model_files.values import (
    check_classes,
    check_present,
    float_array,
    float_arrays,
    number,
    require,
    shown,
    whole_number,
)

_MAX_LAYERS = 4_000
_TRIED_LAYERS = 100  # by the prediction of one sample
_MAX_UPDATES = 100_000  # of SparseNMF, each as much work as a layer
_MAX_INFERRED = 10_000  # components, whose number costs a file nothing
_COUNTS = ("n_iter_", "n_parameters_", "n_trained_parameters_", "n_frames_")


def check_model(estimator: Any) -> None:
    """Raise a ValueError that says what does not fit, unless an estimator makes sense."""
    name = type(estimator).__name__
    check = _CHECKS.get(name)
    fitted = any(key.endswith("_") for key in vars(estimator))
    with np.errstate(all="ignore"):  # what overflows is found by its result
        _check_parameters(estimator)
        _check_common(estimator)
        if check is not None and (fitted or name in _ALSO_UNFITTED):
            check(estimator)


def _check_parameters(estimator):
    """Check parameters as `fit` does, and that numbers are not beyond all bounds."""
    if not hasattr(type(estimator), "_parameter_constraints"):
        return
    estimator._validate_params()
    for name, value in estimator.get_params(deep=False).items():
        if isinstance(value, Integral):
            whole_number(name, int(value), -(2**63))


def _check_common(estimator):
    """Check the attributes that estimators of several classes have."""
    attributes = vars(estimator)
    n_features = attributes.get("n_features_in_")
    if n_features is not None:
        whole_number("n_features_in_", n_features, 1)
    if (names := attributes.get("feature_names_in_")) is not None:
        text = isinstance(names, np.ndarray) and names.dtype.kind in "OU"
        require(text and names.shape == (n_features,), "its feature_names_in_ do not fit")
    for name in _COUNTS:
        value = attributes.get(name)
        if value is not None:
            whole_number(name, value)
    if (loss := attributes.get("loss_")) is not None:
        number("loss_", loss)
    for name in ("history_", "loss_curve_"):
        require(isinstance(attributes.get(name, []), list), f"its {name} is no list")


def _check_deep_nmf(model):
    check_present(model, "bases_", "output_bases_", "n_outputs_", "group_sizes_")
    bases = _non_negative("bases_", model.bases_)
    shape, dtype = bases[0].shape, bases[0].dtype
    check_present(model, "n_features_in_")
    require(shape[1] == model.n_features_in_, "its bases_ do not fit its n_features_in_")
    [U] = _non_negative("output_bases_", [model.output_bases_])
    require(len(U) == shape[0] and U.dtype == dtype, "its output_bases_ do not fit its bases_")
    require(model.output == "linear" or U.shape[1] <= shape[1], "its masks are too wide")
    _check_depth(model.n_layers)
    if model.n_trained_layers != "all":
        whole_number("n_trained_layers", model.n_trained_layers, 0, model.n_layers + 1)
    _check_groups(model, U.shape)
    model._check_structure()
    if model.fit_projections:
        projections = _non_negative("projections_", model.projections_)
        alike = [(V.shape, V.dtype) for V in projections] == [(shape, dtype)] * len(bases)
        require(alike, "its projections_ do not fit its bases_")
    for name in ("data_scale_", "target_scale_", "initial_activation_"):
        number(name, check_present(model, name), positive=True)
    sample = np.full((1, shape[1]), model.data_scale_).astype(dtype)
    _check_prediction(_shortened(model, "bases_", "projections_"), "predict", sample)


def _check_groups(model, output_shape):
    """Check the source groups before anything of their number is made."""
    n_components, width = output_shape
    sizes = model.group_sizes_
    require(isinstance(sizes, tuple | list), "its group_sizes_ are no list")
    fits = len(sizes) > 1 if model.output == "mask" else len(sizes) == 1
    require(fits, f"its output, {model.output!r}, does not fit its {len(sizes)} group_sizes_")
    total = sum(whole_number("group_sizes_", size) for size in sizes)
    require(total == n_components, "its group_sizes_ do not fit its bases_")
    require(
        whole_number("n_outputs_", model.n_outputs_) == max(len(sizes) - 1, 1) * width,
        "its n_outputs_ does not fit its output_bases_",
    )


def _check_sparse_nmf(model):
    [W] = _non_negative("components_", [check_present(model, "components_")])
    check_present(model, "n_features_in_")
    asked = model.n_components if isinstance(model.n_components, Integral) else len(W)
    require(W.shape == (asked, model.n_features_in_), "its components_ do not fit")
    number("data_scale_", check_present(model, "data_scale_"), positive=True)
    whole_number("max_iter", model.max_iter, 1, _MAX_UPDATES)
    once = copy.copy(model)
    once.max_iter = 1
    sample = np.full((1, W.shape[1]), model.data_scale_).astype(W.dtype)
    _check_prediction(once, "transform", sample)


def _check_classifier(model):
    names = ("classes_", "n_outputs_", "out_activation_", "potentials_")
    check_present(model, *names, "label_edges_", "n_features_in_")
    kind = check_classes(model.classes_, model.n_outputs_, model.out_activation_)
    require(kind == "multilabel" or model.label_graph is None, "its label_graph has no labels")
    if model.label_graph is not None and not isinstance(model.label_graph, str):
        square = np.shape(model.label_graph) == (model.n_outputs_,) * 2
        require(square, "its label_graph does not fit its labels")
    _check_depth(model.n_layers)
    potentials = model.potentials_
    listed = isinstance(potentials, list) and len(potentials) == model.n_layers
    require(listed, f"its potentials_ are not those of n_layers={model.n_layers}")
    for one in potentials:
        fits = isinstance(one, dict) and {"coefs", "intercepts", "lateral"} == one.keys()
        require(fits, "its potentials_ hold something else than couplings and biases")
        _check_sweep(one)
    dtypes = {array.dtype for one in potentials for array in one["coefs"] + one["intercepts"]}
    require(len(dtypes) == 1, "its potentials_ are of different types")
    sizes = model.hidden_layer_sizes
    n_hidden = 1 if np.ndim(sizes) == 0 else len(sizes)
    require(n_hidden == len(potentials[0]["coefs"]) - 1, "its hidden_layer_sizes do not fit")
    _check_couplings(model, potentials[-1])
    model._fitted_architecture()  # compares all shapes but those of the other sweeps
    expected = model._architecture()
    network = expected.network
    for one, places in zip(potentials, network.sets):
        shapes = [W.shape for W in one["coefs"]], [len(b) for b in one["intercepts"]]
        require(shapes == expected.shapes, "its potentials_ differ in shape from each other")
        layers = network.iteration.by_layer(places)
        for w, graph, (_, _, J) in zip(one["lateral"], expected.graphs, layers):
            wanted = None if J is None else graph.n_weights
            have = None if w is None else len(w)
            require(have == wanted, "its couplings do not fit")
    sample = np.zeros((1, model.n_features_in_), *dtypes)
    _check_prediction(_shortened(model, "potentials_"), "decision_function", sample)


def _check_sweep(one):
    """Check the arrays of one sweep."""
    float_arrays("potentials_", one["coefs"], (None, None))
    float_arrays("potentials_", one["intercepts"], (None,))
    lateral = one["lateral"]
    require(
        isinstance(lateral, list) and len(lateral) == len(one["intercepts"]),
        "its potentials_ have other layers inside than between",
    )
    for w in lateral:
        require(
            w is None or (isinstance(w, np.ndarray) and w.ndim == 1 and np.isfinite(w).all()),
            "its potentials_ hold couplings that are no finite numbers",
        )


def _check_couplings(model, last):
    """Check that graphs of all pairs are as large as the arrays of their couplings.

    Only then may they be built: of few units they make many edges.
    """
    sizes = [W.shape[0] for W in last["coefs"][1:]]
    if model.lateral and model.n_layers > 1:
        for size, w in zip(sizes, last["lateral"]):
            n_pairs = size * (size - 1) // 2
            fits = n_pairs == 0 if w is None else n_pairs == len(w)
            require(fits, "its lateral couplings do not fit its hidden layers")
    edges, n = model.label_edges_, model.n_outputs_
    require((edges is None) == (model.label_graph is None), "its label_edges_ do not fit")
    if edges is None:
        return
    whole = isinstance(edges, np.ndarray) and edges.dtype.kind in "iu" and edges.ndim == 2
    require(whole and len(edges) == 2, "its label_edges_ are no pairs of labels")
    require(edges.size == 0 or 0 <= edges.min() <= edges.max() < n, "its edges have no labels")
    if isinstance(model.label_graph, str):
        require(edges.shape[1] == n * (n - 1) // 2, "its label_edges_ do not fit its graph")


def _check_unfolded(model):
    check_present(model, "iteration_", "readout_", "theta_", "readout_parameters_")
    check_present(model, "n_states_", "n_outputs_", "n_features_in_")
    _check_depth(model.n_layers)
    require(isinstance(model.theta_, list), "its theta_ is no list")
    for name, thetas in (
        ("theta_", model.theta_),
        ("readout_parameters_", [model.readout_parameters_]),
    ):
        for theta in {id(theta): theta for theta in thetas}.values():
            require(isinstance(theta, tuple), f"its {name} holds something else than tuples")
            for array in theta:
                floats = isinstance(array, np.ndarray) and array.dtype.kind == "f"
                require(
                    floats and np.isfinite(array).all(), f"its {name} are not finite arrays"
                )
    model._check_structure()
    if is_classifier(model):
        check_present(model, "classes_", "out_activation_")
        check_classes(model.classes_, model.n_outputs_, model.out_activation_)
    dtype = next((array.dtype for array in model.theta_[0]), np.dtype(np.float64))
    sample = np.ones((1, model.n_features_in_), dtype)
    method = "decision_function" if is_classifier(model) else "predict"
    _check_prediction(_shortened(model, "theta_"), method, sample)


def _check_rows(model):
    names = ("classes_", "potentials_", "edge_kinds_", "symmetric_kinds_", "graph_columns_")
    check_present(model, *names, "n_outputs_", "n_features_in_")
    _check_depth(model.n_layers)
    n_classes = whole_number("n_outputs_", model.n_outputs_, 1)
    classes, kinds = model.classes_, model.edge_kinds_
    listed = isinstance(classes, np.ndarray) and classes.shape == (n_classes,)
    require(listed, "its classes_ do not fit its n_outputs_")
    require(len(np.unique(classes)) == n_classes, "two of its classes_ are the same")
    symmetric, columns = model.symmetric_kinds_, model.graph_columns_
    for name, array in (("edge_kinds_", kinds), ("symmetric_kinds_", symmetric)):
        listed = isinstance(array, np.ndarray) and array.shape == kinds.shape
        require(listed and array.ndim == 1, f"its {name} are no list of kinds")
    require(symmetric.dtype == bool, "its symmetric_kinds_ are not true or false")
    whole = isinstance(columns, np.ndarray) and columns.dtype.kind in "iu"
    require(whole and columns.ndim == 1, "its graph_columns_ are no numbers of columns")
    inside = columns.size == 0 or 0 <= columns.min() <= columns.max() < model.n_features_in_
    require(inside, "its graph_columns_ are no columns of its data")
    require(isinstance(model.potentials_, list), "its potentials_ are no list")
    dtypes: set = set()
    for one in model.potentials_:
        parts = isinstance(one, dict) and list(one) == list(PARTS)
        require(parts, "its potentials_ hold something else than weights and tables")
        for name, arrays in one.items():
            require(isinstance(arrays, list), f"its {name} are no list of arrays")
            dtypes |= {float_array(name, a, np.shape(a)).dtype for a in arrays}
    require(len(dtypes) == 1, "its potentials_ are of different types")
    model._check_structure()
    sample = np.zeros((1, model.n_features_in_), dtypes.pop())
    short = _shortened(model, "potentials_")
    if short.graph_columns is not None:
        short.graph_columns = columns.tolist()  # numbers, since the sample has no names
    _check_prediction(short, "decision_function", sample)


def _check_enhancer(model):
    context = model._context()
    if "regressor_" not in vars(model):
        return
    regressor = model.regressor_
    final = _scikit_learn_models.end_of(regressor, -1)
    usable = hasattr(final, "predict") and not is_classifier(final)
    require(usable, f"its regressor_, {shown(type(final).__name__)}, predicts no magnitudes")
    first = _scikit_learn_models.end_of(regressor, 0)
    n_features = getattr(first, "n_features_in_", None)
    whole_number("n_context", model.n_context, 1, n_features or 0)
    require(
        n_features == context.n_features,
        f"its regressor_ takes {shown(n_features)} features, but its frames have "
        f"{context.n_features}",
    )
    n_outputs, n_bins = getattr(final, "n_outputs_", None), context.stft.n_bins
    require(
        n_outputs == n_bins,
        f"its regressor_ has {shown(n_outputs)} outputs, but its spectra have {n_bins} bins",
    )
    if "sample_gains_" in vars(model):
        _check_sample_gains(model)


def _check_sample_gains(model):
    regressor = model.regressor_
    try:
        check_takes_samples(regressor)
    except ValueError as error:
        raise ValueError(f"it has sample_gains_, but {error}") from error
    whole_number("n_sample_components", model.n_sample_components, 1, _MAX_INFERRED)
    gains = float_arrays("sample_gains_", model.sample_gains_, (None,))
    arrays = regressor._parameters_to_train()
    alike = [(P.shape[1], P.dtype) for P in arrays] == [(len(g), g.dtype) for g in gains]
    require(alike, "its sample_gains_ do not fit the arrays of its regressor_")
    require(min(g.min() for g in gains) >= 0, "its sample_gains_ are negative somewhere")


def _check_depth(n_layers):
    whole_number("n_layers", n_layers, 1, _MAX_LAYERS)


def _non_negative(name, values):
    """Return a list that must be of non-negative 2-D arrays of one shape."""
    arrays = float_arrays(name, values, (None, None))
    require({array.shape for array in arrays} == {arrays[0].shape}, f"its {name} do not fit")
    for array in {id(array): array for array in arrays}.values():
        require(array.min() >= 0, f"its {name} is negative somewhere")
    return arrays


def _shortened(model, *lists):
    """Return a copy with the first layers alone, of which each list has one element."""
    short = copy.copy(model)
    short.n_layers = min(model.n_layers, _TRIED_LAYERS)
    for name in lists:
        if hasattr(model, name):
            setattr(short, name, getattr(model, name)[: short.n_layers])
    return short


def _check_prediction(model, method, sample):
    """Check that a method takes one sample and returns finite numbers."""
    nameless = copy.copy(model)
    vars(nameless).pop("feature_names_in_", None)  # the sample has none
    try:
        finite = np.isfinite(getattr(nameless, method)(sample)).all()
    except Exception as error:
        raise ValueError(f"it cannot predict: {error}") from error
    require(finite, "its predictions are not finite")


_CHECKS: dict[str, Callable[[Any], None]] = {
    **_scikit_learn_models.CHECKS,
    "DeepNMFRegressor": _check_deep_nmf,
    "SparseNMF": _check_sparse_nmf,
    "SpeechEnhancer": _check_enhancer,
    "UnfoldedBPClassifier": _check_classifier,
    "UnfoldedCRFClassifier": _check_rows,
    "UnfoldedMeanFieldClassifier": _check_classifier,
    "UnfoldedClassifier": _check_unfolded,
    "UnfoldedRegressor": _check_unfolded,
}
_ALSO_UNFITTED = ("FrozenEstimator", "Pipeline", "SpeechEnhancer")
