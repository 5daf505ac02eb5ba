"""Potentials that a field is made of without a fit: they are checked here."""

import numpy as np

from skunfold._estimator.given_arrays import array_given
from skunfold._estimator.targets import Targets
from skunfold._mrf.label_graph import sees_own_features

KEYS = ("coefs", "intercepts", "lateral")


def sweeps_given(potentials):
    """Return a list of the potentials of each sweep, with all keys and arrays of one dtype.

    Sweeps that have the same arrays become one and the same dict.
    """
    given = list(potentials) if isinstance(potentials, list | tuple) else [potentials]
    if not given:
        raise ValueError("potentials is empty; give the dict of each sweep, or of all.")
    distinct = {_arrays_of(one): one for one in given}
    checked = {key: _checked(one) for key, one in distinct.items()}
    return [checked[_arrays_of(one)] for one in given]


def _arrays_of(one):
    """Return what tells the potentials of sweeps apart."""
    is_dict = isinstance(one, dict) and {"coefs", "intercepts"} <= one.keys() <= {*KEYS}
    lists: list = [None]
    if is_dict:
        keys = KEYS if one.get("lateral") is not None else KEYS[:2]
        lists = [one[key] for key in keys]
    if not all(isinstance(arrays, list | tuple | np.ndarray) for arrays in lists):
        shown = f"{one!r:.100}"
        if isinstance(one, dict):
            items = [f"{key} ({type(value).__name__})" for key, value in one.items()]
            shown = f"a dict with {', '.join(items) or 'nothing'}"
        raise ValueError(
            f"potentials holds {shown}; give a dict with the lists 'coefs' and "
            "'intercepts', and 'lateral' where there is one, or a list of such dicts."
        )
    return tuple(id(array) for arrays in lists for array in arrays)


def _checked(one):
    coefs = [array_given("coefs of potentials", W) for W in one["coefs"]]
    intercepts = [array_given("intercepts of potentials", b, 1) for b in one["intercepts"]]
    lateral = one.get("lateral")
    lateral = [
        None if w is None else array_given("lateral of potentials", w, 1, ensure_min_samples=0)
        for w in ([None] * len(coefs) if lateral is None else lateral)
    ]
    if not len(coefs) == len(intercepts) == len(lateral) > 0:
        raise ValueError(
            f"potentials holds {len(coefs)} couplings, {len(intercepts)} biases and "
            f"{len(lateral)} lateral couplings in a sweep; give one of each for each layer."
        )
    return {"coefs": coefs, "intercepts": intercepts, "lateral": lateral}


def check_lateral(sweeps, architecture):
    """Check that couplings inside layers have a place in the field."""
    for one in sweeps if architecture.n_sweeps > 1 else ():
        for layer, (w, graph) in enumerate(zip(one["lateral"], architecture.graphs)):
            if graph is None and w is not None and len(w):
                raise ValueError(
                    f"potentials has {len(w)} couplings inside layer {layer}, but this model "
                    "has none there; set lateral=True for hidden layers and label_graph for "
                    "labels, or leave them out."
                )


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
