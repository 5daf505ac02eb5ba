"""Potentials that a field is made of without a fit: they are checked here."""

import numpy as np
from sklearn.utils.validation import check_array

from skunfold._estimator.targets import Targets
from skunfold._mrf.label_graph import sees_own_features


def sweeps_given(potentials):
    """Return a list of the potentials of each sweep, with all keys and arrays of one dtype.

    Sweeps that have the same arrays become one and the same dict.
    """
    given = [potentials] if isinstance(potentials, dict) else list(potentials)
    distinct = {_arrays_of(one): one for one in given}
    checked = {key: _checked(one) for key, one in distinct.items()}
    return [checked[_arrays_of(one)] for one in given]


def _arrays_of(one):
    """Return what tells the potentials of sweeps apart."""
    if not isinstance(one, dict) or not {"coefs", "intercepts"} <= one.keys():
        raise ValueError(
            f"potentials holds {one!r:.100}; give a dict with the lists 'coefs' and "
            "'intercepts', and 'lateral' where there is one, or a list of such dicts."
        )
    lists = (one["coefs"], one["intercepts"], one.get("lateral", ()))
    return tuple(id(array) for arrays in lists for array in arrays)


def _checked(one):
    floats = {"dtype": [np.float64, np.float32], "input_name": "potentials"}
    coefs = [check_array(W, **floats) for W in one["coefs"]]
    intercepts = [check_array(b, ensure_2d=False, **floats) for b in one["intercepts"]]
    lateral = [
        None if J is None else check_array(J, ensure_2d=False, ensure_min_samples=0, **floats)
        for J in one.get("lateral", [None] * len(coefs))
    ]
    if not len(coefs) == len(intercepts) == len(lateral) > 0:
        raise ValueError(
            f"potentials holds {len(coefs)} couplings, {len(intercepts)} biases and "
            f"{len(lateral)} lateral couplings in a sweep; give one of each for each layer."
        )
    return {"coefs": coefs, "intercepts": intercepts, "lateral": lateral}


def targets_and_features(one, classes, label_graph, coupling):
    """Return (Targets, number of features) of a sweep; classes is None for labels."""
    coefs, hidden = one["coefs"], one["coefs"][:-1]
    n_outputs, n_features = coefs[-1].shape[1], coefs[0].shape[0]
    if sees_own_features(label_graph, coupling, hidden):
        if isinstance(label_graph, str):
            n_outputs = len(one["intercepts"][-1])
        else:
            n_outputs = np.shape(label_graph)[0]
        n_features *= n_outputs
    if classes is None:
        return Targets(np.arange(n_outputs), n_outputs, class_node=False), n_features
    targets = Targets.of_classes(np.asarray(classes))
    if not np.array_equal(np.unique(targets.classes), targets.classes):
        raise ValueError(
            f"classes={classes!r} are not sorted, or not all different; give them as "
            "np.unique(classes) does, and the outputs in that order."
        )
    if targets.n_outputs != n_outputs:
        raise ValueError(
            f"classes={classes!r} need {targets.n_outputs} output(s), but potentials have "
            f"{n_outputs}; for labels that are on or off leave classes out."
        )
    return targets, n_features


def check_sweeps(sweeps, n_layers, tied):
    """Check that there are no more sweeps than layers, and one alone of tied ones."""
    if len(sweeps) > n_layers:
        raise ValueError(
            f"potentials holds {len(sweeps)} sweeps, more than n_layers={n_layers}; give fewer."
        )
    if tied and len({id(one) for one in sweeps}) > 1:
        raise ValueError(
            "tied=True, but potentials holds sweeps with different arrays; give one dict, or "
            "tied=False."
        )
