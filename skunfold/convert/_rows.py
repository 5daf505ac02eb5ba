"""Conditional random fields from other models, and back."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.linear_model import LogisticRegression

from skunfold._crf.structure import kinds_of
from skunfold._crf.targets import RowTargets
from skunfold._estimator.given_arrays import array_given
from skunfold._estimator.given_models import check_given
from skunfold.crf import UnfoldedCRFClassifier

LOWEST_PROBABILITY = 1e-12  # what zeros count as, whose logarithms are not finite
SUM_TOLERANCE = 1e-3  # of probabilities, which may be rounded


def logistic_regression_to_crf(
    model: LogisticRegression, **params: Any
) -> UnfoldedCRFClassifier:
    """Return a logistic regression as a field whose rows do not influence each other yet.

    Parameters
    ----------
    model : LogisticRegression
        Fitted.
    **params
        Parameters of the estimator. Without `graph_columns` it takes the same X. With them it
        takes an X that has these columns besides, and tables of zeros: a start for `fit`.

    Returns
    -------
    model : UnfoldedCRFClassifier
        With ``warm_start=True``; it predicts the same probabilities.

    Raises
    ------
    TypeError
        If `model` is of another class.
    NotFittedError
        If it is not fitted.
    """
    model = check_given(model, "model", LogisticRegression)
    V, c = model.coef_.T, model.intercept_
    if V.shape[1] == 1 and len(model.classes_) == 2:
        V, c = np.hstack([np.zeros_like(V), V]), np.append(0.0, c)
    field = _field(V, c, model.classes_, None, params)
    if field.graph_columns is None and hasattr(model, "feature_names_in_"):
        field.feature_names_in_ = model.feature_names_in_
    return field


def crf_to_logistic_regression(
    model: UnfoldedCRFClassifier, **params: Any
) -> LogisticRegression:
    """Return a field without a graph as a logistic regression.

    Parameters
    ----------
    model : UnfoldedCRFClassifier
        Fitted, without hidden layers and without graph columns.
    **params
        Parameters of LogisticRegression.

    Returns
    -------
    model : LogisticRegression
        With ``warm_start=True``; it predicts the same probabilities.

    Raises
    ------
    TypeError
        If `model` is of another class.
    ValueError
        If it is not fitted, has hidden layers or a graph.
    """
    model = check_given(model, "model", UnfoldedCRFClassifier)
    one = model.potentials_[0]
    if len(one["coefs"]) > 1 or model.graph_columns is not None:
        raise ValueError(
            "model has hidden layers or graph_columns, which no logistic regression has; give "
            "a model without."
        )
    V, c = one["coefs"][0], one["intercepts"][0]
    if len(c) == 2:
        V, c = V[:, 1:] - V[:, :1], c[1:] - c[:1]
    regression = LogisticRegression(**{"warm_start": True} | params)
    regression.coef_, regression.intercept_ = np.ascontiguousarray(V.T), c.copy()
    regression.classes_, regression.n_features_in_ = model.classes_, model.n_features_in_
    regression.n_iter_ = np.array([model.n_iter_], np.int32)
    if hasattr(model, "feature_names_in_"):
        regression.feature_names_in_ = model.feature_names_in_
    return regression


def crfsuite_to_crf(
    info: Any, feature_names: Sequence[str], **params: Any
) -> UnfoldedCRFClassifier:
    """Return a model of CRFsuite as a field.

    Parameters
    ----------
    info : object
        What ``pycrfsuite.Tagger.info()`` returns: anything with `state_features`, a dict from
        (attribute, label) to a weight, and `transitions`, a dict from (label, next label).
    feature_names : sequence of str
        The attribute of each feature of X, such as the names of a
        :class:`~sklearn.feature_extraction.DictVectorizer`.
    **params
        Parameters of the estimator, such as `graph_columns`. Default, in any case:
        ``graph_columns=[-1]``, the number of the sequence behind the features, and
        ``schedule="sequential"``, which is exact.

    Returns
    -------
    model : UnfoldedCRFClassifier
        With ``warm_start=True``; `decode` and `predict_proba` return what the tagger does.

    Raises
    ------
    TypeError
        If `info` is something else.
    ValueError
        If the model has an attribute that is none of the features, or if two of these have the
        same name.
    """
    if not hasattr(info, "state_features") or not hasattr(info, "transitions"):
        raise TypeError(
            f"info is a {type(info).__name__}; give what pycrfsuite.Tagger.info() returns, "
            "with state_features and transitions."
        )
    place = {name: i for i, name in enumerate(feature_names)}
    if len(place) < len(feature_names):
        raise ValueError("feature_names holds a name twice; give each feature its own.")
    labels = {label for _, label in info.state_features}
    labels |= {label for pair in info.transitions for label in pair}
    classes = np.array(sorted(labels))
    number = {label: i for i, label in enumerate(classes.tolist())}
    V, table = np.zeros((len(place), len(classes))), np.zeros((len(classes),) * 2)
    for (attribute, label), weight in info.state_features.items():
        if attribute not in place:
            raise ValueError(
                f"The model has a weight for {attribute!r}, which is none of feature_names; "
                "give names for all its attributes, in the order of the columns of X."
            )
        V[place[attribute], number[label]] = weight
    for (before, after), weight in info.transitions.items():
        table[number[before], number[after]] = weight
    return _field(V, np.zeros(len(classes)), classes, table, _exact(params))


def crf_to_crfsuite(
    model: UnfoldedCRFClassifier, feature_names: Sequence[str]
) -> tuple[Mapping, Mapping]:
    """Return the weights of a field of chains as CRFsuite names them.

    Parameters
    ----------
    model : UnfoldedCRFClassifier
        Fitted with ``graph="chain"``, tied or sequential, without hidden layers and edge
        features.
    feature_names : sequence of str
        The attribute of each feature.

    Returns
    -------
    state_features : dict
        From (attribute, class) to a weight; the biases are those of the attribute "bias".
    transitions : dict
        From (class, next class) to a weight.

    Raises
    ------
    TypeError
        If `model` is of another class.
    ValueError
        If it is not fitted, is no such field, or if the number of names is another.
    """
    model = check_given(model, "model", UnfoldedCRFClassifier)
    one, classes = model.potentials_[0], model.classes_.tolist()
    tied = all(other["coefs"][0] is one["coefs"][0] for other in model.potentials_)
    if len(one["coefs"]) > 1 or len(one["tables"]) != 1 or one["edge_coefs"] or not tied:
        raise ValueError(
            "model is no linear chain with one table; give one with graph='chain', "
            "graph_columns and tied=True, without hidden layers and with coupling='table'."
        )
    if model.graph != "chain":
        raise ValueError(f"model has graph={model.graph!r}; give one with graph='chain'.")
    if len(feature_names) != len(one["coefs"][0]):
        raise ValueError(
            f"feature_names are {len(feature_names)}; give one for each of the "
            f"{len(one['coefs'][0])} features."
        )
    rows = [*zip(feature_names, one["coefs"][0]), ("bias", one["intercepts"][0])]
    state_features = {
        (name, label): float(w) for name, weights in rows for label, w in zip(classes, weights)
    }
    transitions = {
        (before, after): float(w)
        for before, weights in zip(classes, one["tables"][0])
        for after, w in zip(classes, weights)
    }
    return state_features, transitions


def hmm_to_crf(
    start: ArrayLike,
    transitions: ArrayLike,
    emissions: ArrayLike,
    *,
    classes: ArrayLike | None = None,
    **params: Any,
) -> UnfoldedCRFClassifier:
    """Return a hidden Markov model of symbols as a field, which can be trained further.

    The features of a row are its symbol, one-hot, and then one that is 1 in the first row of a
    sequence and else 0.

    Parameters
    ----------
    start : array-like of shape (n_states,)
        Probabilities of the states of first rows; hmmlearn's ``startprob_``. Zeros count as
        1e-12, here and below.
    transitions : array-like of shape (n_states, n_states)
        Probabilities of the next state; hmmlearn's ``transmat_``.
    emissions : array-like of shape (n_states, n_symbols)
        Probabilities of the symbols; hmmlearn's ``emissionprob_``.
    classes : array-like of shape (n_states,), default=None
        What the states are called, in increasing order; None for their numbers.
    **params
        Parameters of the estimator. Default: ``graph_columns=[-1]``, the number of the sequence
        behind the features, and ``schedule="sequential"``, which is exact.

    Returns
    -------
    model : UnfoldedCRFClassifier
        With ``warm_start=True``; its probabilities are the posteriors of the states.

    Raises
    ------
    ValueError
        If shapes do not fit, probabilities are negative or do not add up to 1, or classes are
        not in order.
    """
    given = {"start": start, "transitions": transitions, "emissions": emissions}
    logs = {}
    for name, p in given.items():
        n_dims = 1 if name == "start" else 2
        p = np.atleast_2d(array_given(name, p, n_dims, ensure_non_negative=True))
        if not np.allclose(sums := p.sum(axis=1), 1, atol=SUM_TOLERANCE):
            raise ValueError(
                f"{name} holds probabilities that add up to "
                f"{sums[np.abs(sums - 1).argmax()]:.6g}; those of a row must add up to 1."
            )
        logs[name] = np.log(np.maximum(p.astype(np.float64), LOWEST_PROBABILITY))
    n_states = logs["emissions"].shape[0]
    for name, shape in (("start", (1, n_states)), ("transitions", (n_states, n_states))):
        if logs[name].shape != shape:
            raise ValueError(
                f"{name} are of {logs[name].shape[-1]} states, and emissions of {n_states}; "
                "give the same number."
            )
    names = np.arange(n_states) if classes is None else np.asarray(classes)
    if names.shape != (n_states,) or not np.array_equal(np.unique(names), names):
        raise ValueError(
            f"classes={names.tolist()} are no {n_states} classes in increasing order; sort "
            "them, and with them the states."
        )
    V = np.vstack([logs["emissions"].T, logs["start"]])
    return _field(V, np.zeros(n_states), names, logs["transitions"], _exact(params))


def _exact(params):
    return {"graph_columns": [-1], "schedule": "sequential"} | params


def _field(V, c, classes, table, params):
    """Return a linear field with the weights, biases and table, or None: zeros."""
    field = UnfoldedCRFClassifier(**{"warm_start": True} | params)
    field._validate_params()
    field._check_settings()
    if field.hidden_layer_sizes not in ((), []) or field.coupling != "table":
        raise ValueError(
            "A linear field has hidden_layer_sizes=() and coupling='table'; leave these out."
        )
    if field.graph_columns is not None and field.graph != "chain" and table is not None:
        raise ValueError(f"The model is one of chains; leave out graph={field.graph!r}.")
    if callable(field.graph):
        raise ValueError(
            "graph is a callable, whose kinds of edges are not known before there are rows; "
            "use 'chain' or 'grid'."
        )
    n_columns = 0 if field.graph_columns is None else np.size(field.graph_columns)
    field.n_features_in_ = len(V) + n_columns
    field._set_targets(RowTargets(classes, len(classes), class_node=True))
    field._learn_structure()
    kinds = kinds_of(field.graph, n_columns)
    field.edge_kinds_, field.symmetric_kinds_ = kinds.values, kinds.symmetric
    tables = [np.zeros((len(c),) * 2) if table is None else table] * field._layout().n_tables
    field._begin([a.astype(np.float64) for a in (V, c, *tables)])
    return field
