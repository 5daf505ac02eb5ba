"""Well-formed model files in which some numbers, types, arrays or shapes are forged."""

import io
import json
import math
import zipfile
from copy import deepcopy

import numpy as np

_VALUES = [
    0,
    -1,
    1,
    2,
    3,
    257,
    10**4,
    10**6,
    16 * 10**6,
    10**9,
    2**63,
    10**30,
    10**400,
    0.0,
    -0.5,
    0.5,
    1.5,
    5e-324,
    1e-300,
    1e-30,
    1e-5,
    1e5,
    1e30,
    1e300,
    1.7e308,
    math.nan,
    math.inf,
    -math.inf,
    True,
    False,
    None,
    "",
    "auto",
    "all",
    "full",
    "mask",
    "linear",
    "softmax",
    "logistic",
    "passthrough",
    [],
    {"tuple": []},
    {"tuple": [1, 1]},
    {"tuple": [10**9]},
    {"dict": {}},
    {"dict": [[1, 1.0]]},
    {"array": 0},
    {"array": 1},
    {"strings": 0},
    {"scalar": ["float32", 1e30]},
    {"scalar": ["int64", 2**62]},
    {"estimator": {"class": "NMF", "params": {}, "attributes": {}}},
]
_ELEMENTS = [math.nan, math.inf, -math.inf, -1.0, 0.0, 1e-300, 1e-40, 1e30, 3e38, 1e300]
_TYPES = ["<f2", "<f4", "<f8", ">f8", "<i4", "<u8", "|b1"]


def _numbers(node, found):
    """Collect (container, key) of every value of a tree, but for what holds others."""
    for key in list(node) if isinstance(node, dict) else range(len(node)):
        if isinstance(node[key], dict | list) and "array" not in node[key]:
            _numbers(node[key], found)
        if not isinstance(node[key], dict) or "array" in node[key]:
            found.append((node, key))
    return found


def _estimators(node, found):
    """Collect every estimator of a tree."""
    if isinstance(node, dict) and "class" in node and "params" in node:
        found.append(node)
    for child in node.values() if isinstance(node, dict) else node:
        if isinstance(child, dict | list):
            _estimators(child, found)
    return found


def _replace_value(tree, arrays, rng):
    node, key = _pick(_numbers(tree, []), rng)
    node[key] = deepcopy(_pick(_VALUES, rng))


def _change_number(tree, arrays, rng):
    """Change a number a little, or by much, and perhaps all that equal it."""
    places = [(n, k) for n, k in _numbers(tree, []) if type(n[k]) in (int, float)]
    if not places:
        return
    node, key = _pick(places, rng)
    old = node[key]
    new = _pick([old + 1, old - 1, 2 * old, old / 2, 1000 * old, -old, 10**6 * old], rng)
    new = type(old)(new)
    everywhere = rng.integers(2)
    for other, place in places:
        if (other is node and place == key) or (everywhere and other[place] == old):
            other[place] = new


def _replace_parameter(tree, arrays, rng):
    params = _pick(_estimators(tree, []), rng)["params"]
    if params:
        params[_pick(list(params), rng)] = deepcopy(_pick(_VALUES, rng))


def _replace_attribute(tree, arrays, rng):
    attributes = _pick(_estimators(tree, []), rng)["attributes"]
    if attributes:
        attributes[_pick(list(attributes), rng)] = deepcopy(_pick(_VALUES, rng))


def _remove(tree, arrays, rng):
    items = _pick(_estimators(tree, []), rng)[_pick(["params", "attributes"], rng)]
    if items:
        del items[_pick(list(items), rng)]


def _exchange_classes(tree, arrays, rng):
    """Give an estimator the name of another one's class."""
    names = ["DeepNMFRegressor", "SparseNMF", "UnfoldedBPClassifier", "SpeechEnhancer", "NMF"]
    _pick(_estimators(tree, []), rng)["class"] = _pick(names, rng)


def _resize_list(tree, arrays, rng):
    lists = [(n, k) for n, k in _numbers(tree, []) if isinstance(n[k], list)]
    if lists:
        node, key = _pick(lists, rng)
        node[key] = _pick([node[key][:-1], node[key] * 2, node[key] * 1000, []], rng)


def _exchange_arrays(tree, arrays, rng):
    first, second = _pick(list(arrays), rng), _pick(list(arrays), rng)
    arrays[first], arrays[second] = arrays[second], arrays[first]


def _change_elements(tree, arrays, rng):
    name = _pick(list(arrays), rng)
    array = arrays[name] = arrays[name].copy()
    if array.size and array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            where = slice(None) if rng.integers(3) == 0 else rng.integers(array.size)
            array.reshape(-1)[where] = _pick(_ELEMENTS, rng)


def _change_type(tree, arrays, rng):
    name = _pick(list(arrays), rng)
    with np.errstate(all="ignore"):
        arrays[name] = arrays[name].astype(_pick(_TYPES, rng))


def _change_shape(tree, arrays, rng):
    name = _pick(list(arrays), rng)
    array = np.atleast_1d(arrays[name])
    arrays[name] = _pick(
        [
            array.T,
            array.reshape(-1),
            array[None],
            array[:-1],
            array[..., :-1],
            array[:0],
            np.concatenate([array, array]),
            np.repeat(array, 100, axis=0),
            array.reshape(-1)[:1].reshape(()) if array.size else array,
            np.zeros((0, 10**9), array.dtype),
        ],
        rng,
    )


_FORGERIES = [
    _replace_value,
    _change_number,
    _replace_parameter,
    _replace_attribute,
    _remove,
    _exchange_classes,
    _resize_list,
    _exchange_arrays,
    _change_elements,
    _change_type,
    _change_shape,
]


def _pick(items, rng):
    return items[rng.integers(len(items))]


def forged_model(data, rng):
    """Return the bytes of a model file with one or two forgeries; it stays well formed."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        document = json.loads(archive.read("model.json"))
        arrays = {
            name: np.load(io.BytesIO(archive.read(name)))
            for name in archive.namelist()
            if name != "model.json"
        }
    for _ in range(1 + int(rng.integers(3) == 0)):
        _pick(_FORGERIES, rng)(document["model"], arrays, rng)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(zipfile.ZipInfo("model.json"), json.dumps(document))
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asarray(array), version=(1, 0))
            archive.writestr(zipfile.ZipInfo(name), member.getvalue())
    return stream.getvalue()
