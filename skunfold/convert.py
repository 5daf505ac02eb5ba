"""Networks as inference, and back: conversions between fitted models.

Each function that returns an estimator returns a fitted one with ``warm_start=True``: it
predicts at once, and `fit` trains it further. Arrays are copied. Until then its `loss_` is
infinite: nothing was measured.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.decomposition import NMF, MiniBatchNMF
from sklearn.neural_network import BernoulliRBM, MLPClassifier
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils.validation import check_array

from skunfold._crf.conversion import (
    crf_to_crfsuite,
    crf_to_logistic_regression,
    crfsuite_to_crf,
    hmm_to_crf,
    logistic_regression_to_crf,
)
from skunfold._given import check_given
from skunfold._mrf.base import UnfoldedMRFClassifier
from skunfold._mrf.initialization import check_logistic, potentials_from
from skunfold._targets import Targets
from skunfold.deep_nmf import DeepNMFRegressor
from skunfold.mrf import UnfoldedBPClassifier, UnfoldedMeanFieldClassifier

__all__ = [
    "bp_to_mean_field",
    "crf_to_crfsuite",
    "crf_to_logistic_regression",
    "crfsuite_to_crf",
    "hmm_to_crf",
    "logistic_regression_to_crf",
    "mean_field_to_bp",
    "mean_field_to_mlp",
    "mlp_to_mean_field",
    "nmf_to_deep_nmf",
    "rbm_to_bp",
    "rbm_to_mean_field",
    "tables_to_weights",
    "weights_to_tables",
]


def mlp_to_mean_field(
    mlp: MLPClassifier, *, n_layers: int = 1, **params: Any
) -> UnfoldedMeanFieldClassifier:
    """Return a sigmoid network as unfolded mean field, exactly for one sweep.

    Parameters
    ----------
    mlp : MLPClassifier
        Fitted, with ``activation="logistic"``.
    n_layers : int, default=1
        Number of sweeps, all with the potentials of the network. With more than one, what
        lies above looks back down, so predictions differ.
    **params
        Further parameters of the estimator.

    Returns
    -------
    model : UnfoldedMeanFieldClassifier

    Raises
    ------
    TypeError
        If `mlp` is of another class.
    ValueError
        If it is not fitted, or has another activation.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from skunfold.convert import mlp_to_mean_field
    >>> X, y = load_iris(return_X_y=True)
    >>> mlp = MLPClassifier(5, activation="logistic", solver="lbfgs", random_state=0).fit(X, y)
    >>> np.allclose(mlp_to_mean_field(mlp).predict_proba(X), mlp.predict_proba(X))
    True
    """
    mlp = check_given(mlp, "mlp", MLPClassifier)
    check_logistic(mlp)
    targets = Targets(mlp.classes_, mlp.n_outputs_, mlp.out_activation_ == "softmax")
    sizes = tuple(W.shape[1] for W in mlp.coefs_[:-1])
    model = UnfoldedMeanFieldClassifier(sizes, n_layers=n_layers, **params)
    return _started(model, targets, mlp, params)


def mean_field_to_mlp(model: UnfoldedMeanFieldClassifier, **params: Any) -> MLPClassifier:
    """Return unfolded mean field of one sweep as the sigmoid network that it is.

    Parameters
    ----------
    model : UnfoldedMeanFieldClassifier
        Fitted, with ``n_layers=1``.
    **params
        Further parameters of the network.

    Returns
    -------
    mlp : MLPClassifier

    Raises
    ------
    TypeError
        If `model` is of another class.
    ValueError
        If it is not fitted, or has more sweeps, or labels that share weights; no MLPClassifier
        does the same.
    """
    model = check_given(model, "model", UnfoldedMeanFieldClassifier)
    if len(model.potentials_) != 1:
        raise ValueError(
            f"model has n_layers={len(model.potentials_)}; only one sweep is a conventional "
            "network, so give a model with n_layers=1."
        )
    if model._architecture().local:
        raise ValueError(
            f"model has coupling={model.coupling!r} and no hidden layers, where labels share "
            "weights; no MLPClassifier does, so give a model without."
        )
    coefs, intercepts = (_copied(model.potentials_[0][k]) for k in ("coefs", "intercepts"))
    sizes = tuple(W.shape[1] for W in coefs[:-1])
    # MLPClassifier divides its penalty by the number of samples of an update.
    batch_size: Any = model.batch_size
    alpha = model.alpha * (model._auto_batch_size if batch_size == "auto" else batch_size)
    params = {"activation": "logistic", "warm_start": True, "alpha": alpha} | params
    mlp = MLPClassifier(sizes, **params)
    mlp.coefs_, mlp.intercepts_ = coefs, intercepts
    mlp.n_layers_, mlp.n_outputs_ = len(coefs) + 1, model.n_outputs_
    mlp.out_activation_, mlp.classes_ = model.out_activation_, model.classes_
    _copy_features(mlp, model)
    multilabel = model.out_activation_ == "logistic" and model.n_outputs_ > 1
    known = np.eye(model.n_outputs_, dtype=int) if multilabel else model.classes_
    mlp._label_binarizer = LabelBinarizer().fit(known)
    mlp.n_iter_ = mlp.t_ = mlp._no_improvement_count = 0
    mlp.loss_curve_, mlp.loss_, mlp.best_loss_ = [], model.loss_, np.inf
    mlp.validation_scores_, mlp.best_validation_score_ = None, None
    if mlp.early_stopping:
        mlp.validation_scores_, mlp.best_validation_score_ = [], -np.inf
    return mlp


def mean_field_to_bp(model: UnfoldedMeanFieldClassifier, **params: Any) -> UnfoldedBPClassifier:
    """Return the same field with belief propagation; equal to first order in its couplings.

    Parameters
    ----------
    model : UnfoldedMeanFieldClassifier
        Fitted.
    **params
        Parameters of the estimator that shall differ from those of the model.

    Returns
    -------
    model : UnfoldedBPClassifier

    Raises
    ------
    TypeError
        If `model` is of another class.
    ValueError
        If it is not fitted.
    """
    model = check_given(model, "model", UnfoldedMeanFieldClassifier)
    return _with_rule(model, UnfoldedBPClassifier, params)


def bp_to_mean_field(model: UnfoldedBPClassifier, **params: Any) -> UnfoldedMeanFieldClassifier:
    """Return the same field with mean field; equal to first order in its couplings.

    Parameters
    ----------
    model : UnfoldedBPClassifier
        Fitted.
    **params
        Parameters of the estimator that shall differ from those of the model.

    Returns
    -------
    model : UnfoldedMeanFieldClassifier

    Raises
    ------
    TypeError
        If `model` is of another class.
    ValueError
        If it is not fitted.
    """
    model = check_given(model, "model", UnfoldedBPClassifier)
    return _with_rule(model, UnfoldedMeanFieldClassifier, params)


def rbm_to_mean_field(
    rbm: BernoulliRBM, classes: ArrayLike, **params: Any
) -> UnfoldedMeanFieldClassifier:
    """Return a classifier whose hidden layer is that of a restricted Boltzmann machine.

    Parameters
    ----------
    rbm : BernoulliRBM
        Fitted.
    classes : array-like of shape (n_classes,)
        The classes to tell apart. Nothing couples them to the hidden units yet, so that all
        are equally probable until `fit` goes on.
    **params
        Further parameters of the estimator.

    Returns
    -------
    model : UnfoldedMeanFieldClassifier
        Its `transform` is that of the machine.

    Raises
    ------
    TypeError
        If `rbm` is of another class.
    ValueError
        If it is not fitted.
    """
    return _from_rbm(UnfoldedMeanFieldClassifier, rbm, classes, params)


def rbm_to_bp(rbm: BernoulliRBM, classes: ArrayLike, **params: Any) -> UnfoldedBPClassifier:
    """Return a discriminative restricted Boltzmann machine that begins as a generative one.

    Parameters
    ----------
    rbm : BernoulliRBM
        Fitted.
    classes : array-like of shape (n_classes,)
        The classes to tell apart. Nothing couples them to the hidden units yet, so that all
        are equally probable until `fit` goes on.
    **params
        Further parameters of the estimator.

    Returns
    -------
    model : UnfoldedBPClassifier
        Its `transform` is that of the machine.

    Raises
    ------
    TypeError
        If `rbm` is of another class.
    ValueError
        If it is not fitted.
    """
    return _from_rbm(UnfoldedBPClassifier, rbm, classes, params)


def tables_to_weights(tables: ArrayLike) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Return couplings and biases that say the same as tables of potentials.

    Parameters
    ----------
    tables : array-like of shape (..., 2, 2)
        Positive potentials of pairs of binary units, ``tables[..., a, b]`` for the first unit
        in state a and the second in state b.

    Returns
    -------
    weights : ndarray of shape (...)
        Coupling of each pair.
    first, second : ndarray of shape (...)
        What each pair adds to the bias of its first and of its second unit.
    constants : ndarray of shape (...)
        What each pair adds to the logarithm of the potential of all units.

    Raises
    ------
    ValueError
        If a potential is not positive, or the shape does not end in (2, 2).

    Examples
    --------
    >>> from skunfold.convert import tables_to_weights
    >>> w, first, second, constant = tables_to_weights([[1.0, 1.0], [2.0, 8.0]])
    >>> round(float(w / first), 12)  # log 4 and log 2
    2.0
    """
    tables = np.asarray(tables, dtype=float)
    if tables.shape[-2:] != (2, 2):
        raise ValueError(f"tables has shape {tables.shape}; give (..., 2, 2).")
    if not (tables > 0).all() or not np.isfinite(tables).all():
        raise ValueError(
            f"tables holds {tables.min():.3g} to {tables.max():.3g}; potentials must be "
            "positive and finite."
        )
    logs = np.log(tables)
    constants = logs[..., 0, 0]
    first = logs[..., 1, 0] - constants
    second = logs[..., 0, 1] - constants
    return logs[..., 1, 1] - constants - first - second, first, second, constants


def weights_to_tables(
    weights: ArrayLike,
    first: ArrayLike = 0.0,
    second: ArrayLike = 0.0,
    constants: ArrayLike = 0.0,
) -> NDArray:
    """Return the tables of potentials that say the same as couplings and biases.

    Parameters
    ----------
    weights : array-like of shape (...)
        Coupling of each pair of binary units.
    first, second, constants : array-like, default=0.0
        As returned by `tables_to_weights`; they are broadcast.

    Returns
    -------
    tables : ndarray of shape (..., 2, 2)
        ``tables[..., a, b]`` is the potential of the first unit in state a and the second in
        state b.
    """
    w, first, second, constants = np.broadcast_arrays(weights, first, second, constants)
    rows = [
        [constants, constants + second],
        [constants + first, constants + first + second + w],
    ]
    return np.exp(np.moveaxis(np.array(rows, dtype=float), (0, 1), (-2, -1)))


def nmf_to_deep_nmf(
    nmf: NMF | MiniBatchNMF,
    X: ArrayLike,
    *,
    n_outputs: int | None = None,
    n_layers: int = 25,
    **params: Any,
) -> DeepNMFRegressor:
    """Return a fitted NMF as a deep NMF network of which nothing is trained yet.

    Parameters
    ----------
    nmf : NMF or MiniBatchNMF
        Fitted; with an L1 penalty or none. `transform` of the network is `n_layers` of its
        multiplicative updates.
    X : array-like of shape (n_samples, n_features)
        Data whose mean sets the activation that inference begins with.
    n_outputs : int, default=None
        How many of the last features of the NMF are targets, which the network predicts from
        the others. None: the network reconstructs its features.
    n_layers : int, default=25
        Number of iterations.
    **params
        Further parameters of the estimator.

    Returns
    -------
    model : DeepNMFRegressor
        With ``n_trained_layers=0``; set that to "all", or any number, to train it.

    Raises
    ------
    TypeError
        If `nmf` is of another class.
    ValueError
        If it is not fitted or has an L2 penalty, or X does not have its features.
    """
    nmf = check_given(nmf, "nmf", NMF, MiniBatchNMF)
    if nmf.alpha_W > 0 and nmf.l1_ratio < 1:
        raise ValueError(
            f"nmf has alpha_W={nmf.alpha_W} and l1_ratio={nmf.l1_ratio}; only an L1 penalty "
            "can be unfolded, so l1_ratio=1 will do."
        )
    components = nmf.components_
    data = check_array(X, dtype=components.dtype, ensure_non_negative=True, input_name="X")
    n_features = components.shape[1] - (n_outputs or 0)
    if data.shape[1] != n_features or n_features < 1:
        raise ValueError(
            f"X has {data.shape[1]} features; with n_outputs={n_outputs} this NMF of "
            f"{components.shape[1]} features needs {n_features}."
        )
    model = DeepNMFRegressor(
        len(components),
        n_layers=n_layers,
        n_trained_layers=0,
        beta_loss=nmf.beta_loss,
        sparsity=nmf.alpha_W * n_features,
        init=components[:, :n_features],
        warm_start=True,
        **params,
    )
    n_outputs = n_outputs or n_features
    model.fit(data, np.ones((len(data), n_outputs), data.dtype))
    model.output_bases_ = components[:, -n_outputs:].copy()
    model.loss_ = model.best_loss_ = np.inf
    model.loss_curve_ = []
    return model


def _with_rule(model: UnfoldedMRFClassifier, cls: type, params: dict) -> Any:
    """Return the field of a fitted model with the messages of another class."""
    own = model.get_params(deep=False)
    names = cls._get_param_names()  # type: ignore[attr-defined]
    shared = {name: own[name] for name in names if name in own}
    other = cls(**(shared | params))
    return _started(other, model._targets(), model, params)


def _from_rbm(cls: type, rbm: BernoulliRBM, classes: ArrayLike, params: dict) -> Any:
    """Return the hidden layer of a machine below a class node that is not coupled to it."""
    rbm = check_given(rbm, "rbm", BernoulliRBM)
    n_hidden = len(rbm.components_)
    model = cls(n_hidden, **params)
    targets = Targets.of_classes(np.unique(classes))
    _copy_features(model, rbm)
    model._set_targets(targets)
    architecture = model._architecture()
    V = np.zeros((n_hidden, targets.n_outputs), rbm.components_.dtype)
    coefs = [np.ascontiguousarray(rbm.components_.T), V]
    intercepts = [rbm.intercept_hidden_.copy(), V[0].copy()]
    model._begin(architecture.repeated(coefs, intercepts))
    return model.set_params(**({"warm_start": True} | params))


def _started(model: Any, targets: Targets, source: Any, params: dict) -> Any:
    """Return a model fitted to the potentials of another one, or of a network."""
    _copy_features(model, source)
    dtype = (source.coefs_ if hasattr(source, "coefs_") else _first_coefs(source))[0].dtype
    model._set_targets(targets)
    model._begin(potentials_from(source, model._architecture(), dtype))
    return model.set_params(**({"warm_start": True} | params))


def _first_coefs(model):
    return model.potentials_[0]["coefs"]


def _copied(arrays):
    return [array.copy() for array in arrays]


def _copy_features(model, source):
    """Give a model the features of another one."""
    for name in ("n_features_in_", "feature_names_in_"):
        if hasattr(source, name):
            setattr(model, name, getattr(source, name))
