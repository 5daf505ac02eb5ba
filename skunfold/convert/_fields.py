"""Networks, Boltzmann machines and tables as unfolded fields, and back."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.neural_network import BernoulliRBM, MLPClassifier
from sklearn.preprocessing import LabelBinarizer

from skunfold._estimator.given_models import check_given
from skunfold._estimator.targets import Targets
from skunfold._mrf.base import UnfoldedMRFClassifier
from skunfold._mrf.initialization import check_logistic
from skunfold.mrf import UnfoldedBPClassifier, UnfoldedMeanFieldClassifier


def mlp_to_mean_field(
    mlp: MLPClassifier, *, n_layers: int = 1, **params: Any
) -> UnfoldedMeanFieldClassifier:
    """Return a sigmoid network as unfolded mean field, exactly for one sweep.

    Parameters
    ----------
    mlp : MLPClassifier
        Fitted, with ``activation="logistic"``.
    n_layers : int, default=1
        Number of sweeps, all with the potentials of the network. From the second sweep on,
        each layer is also updated from the layer above, so predictions differ.
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
    potentials = {"coefs": mlp.coefs_, "intercepts": mlp.intercepts_}
    labels = mlp.out_activation_ == "logistic" and mlp.n_outputs_ > 1
    model = UnfoldedMeanFieldClassifier.from_potentials(
        potentials, None if labels else mlp.classes_, n_layers=n_layers, **params
    )
    return _with_names(model, mlp)


def mean_field_to_mlp(model: UnfoldedMeanFieldClassifier, **params: Any) -> MLPClassifier:
    """Return unfolded mean field of one sweep as the equivalent sigmoid network.

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
    one = model.potentials_[0]
    coefs, intercepts = ([a.copy() for a in one[key]] for key in ("coefs", "intercepts"))
    sizes = tuple(W.shape[1] for W in coefs[:-1])
    # MLPClassifier divides its penalty by the number of samples of an update.
    batch_size: Any = model.batch_size
    alpha = model.alpha * (model._auto_batch_size if batch_size == "auto" else batch_size)
    params = {"activation": "logistic", "warm_start": True, "alpha": alpha} | params
    mlp = MLPClassifier(sizes, **params)
    mlp.coefs_, mlp.intercepts_ = coefs, intercepts
    mlp.n_layers_, mlp.n_outputs_ = len(coefs) + 1, model.n_outputs_
    mlp.out_activation_, mlp.classes_ = model.out_activation_, model.classes_
    mlp.n_features_in_ = model.n_features_in_
    _with_names(mlp, model)
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
        are equally probable until `fit` trains the model further.
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
        are equally probable until `fit` trains the model further.
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
    """Return the couplings and biases equivalent to tables of potentials.

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
    """Return the tables of potentials equivalent to couplings and biases.

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


def _with_rule(model: UnfoldedMRFClassifier, cls: type, params: dict) -> Any:
    """Return the field of a fitted model with the messages of another class."""
    own = model.get_params(deep=False)
    names = cls._get_param_names()  # type: ignore[attr-defined]
    shared = {name: own[name] for name in names if name in own} | {"warm_start": True} | params
    potentials = model.potentials_[: shared["n_layers"]]
    if shared["tied"]:
        potentials = model.potentials_[-1:]
    classes = None if model._targets().multilabel else model.classes_
    other = cls.from_potentials(potentials, classes, **shared)  # type: ignore[attr-defined]
    return _with_names(other, model)


def _from_rbm(cls: type, rbm: BernoulliRBM, classes: ArrayLike, params: dict) -> Any:
    """Return the hidden layer of a machine below a class node that is not coupled to it."""
    rbm = check_given(rbm, "rbm", BernoulliRBM)
    classes = np.unique(classes)
    n_outputs = Targets.of_classes(classes).n_outputs
    V = np.zeros((len(rbm.components_), n_outputs), rbm.components_.dtype)
    potentials = {
        "coefs": [rbm.components_.T, V],
        "intercepts": [rbm.intercept_hidden_, np.zeros(n_outputs, V.dtype)],
    }
    model = cls.from_potentials(potentials, classes, **params)  # type: ignore[attr-defined]
    return _with_names(model, rbm)


def _with_names(model: Any, source: Any) -> Any:
    """Return a model with the names of the features of another one, if it has any."""
    if hasattr(source, "feature_names_in_"):
        model.feature_names_in_ = source.feature_names_in_
    return model
