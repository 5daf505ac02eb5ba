"""A cache of prepared networks, valid until something that they depend on changes."""

import operator
from weakref import WeakKeyDictionary

import numpy as np

# By estimator; not an attribute, since predictions must not set attributes.
_prepared: WeakKeyDictionary = WeakKeyDictionary()


def prepared_once(estimator, learned, key, prepare):
    """Return prepare(), or its last result if that is still valid.

    It depends on the key, the parameters and the attributes whose names are in `learned`.
    Arrays of the latter become read-only, since changes inside them would not be noticed;
    assign new arrays instead.
    """
    values: list = []
    parameters = []
    for name, value in vars(estimator).items():
        if name in learned:
            _add_leaves(value, values)
        elif name[-1] != "_" and name[0] != "_":
            parameters.append(value)
    made_of, kept = values + parameters, _prepared.get(estimator)
    if kept is None or kept[0] != key or not _same_objects(kept[1], made_of):
        for value in values:
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
        kept = _prepared[estimator] = key, made_of, prepare()
    return kept[2]


def _add_leaves(value, found):
    """Add the items of nested lists, tuples and dicts to a list."""
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        found.append(value)
        return
    for item in value:
        _add_leaves(item, found)


def _same_objects(some, others):
    return len(some) == len(others) and all(map(operator.is_, some, others))
