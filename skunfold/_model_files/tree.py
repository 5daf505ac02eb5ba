"""Estimators as a tree of plain JSON values, and back.

Plain values are stored as they are: null, true, 1, 0.5, "text", a list.  Everything else is an
object with one key that says its kind: ``{"array": 3}`` and ``{"strings": 0}`` (numbers of
arrays kept beside the tree; one number, one array object), ``{"scalar": ["float32", 0.5]}``,
``{"float": "nan"}``, ``{"tuple": [...]}``, ``{"dict": {...}}`` or, where keys are not strings,
``{"dict": [[key, value], ...]}``, ``{"sparse": {"class": ..., "shape": [...], "row": ...,
"col": ..., "data": ...}}`` and ``{"estimator": {"class": ..., "params": {...}, "attributes":
{...}}}``; an estimator may also have ``"training"``, the state of its training as an object of
such values.
"""

import importlib
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator

from skunfold._model_files import scikit_learn_models as _scikit_learn_models
from skunfold._model_files.checks import check_model
from skunfold._model_files.former_models import translated
from skunfold._model_files.values import check_sparse_size, shown, sparse_size
from skunfold._training import resuming

# The estimators of skunfold that a tree may hold, and the modules they come from.
CLASSES = {
    "DeepNMFRegressor": "skunfold.deep_nmf",
    "SparseNMF": "skunfold.sparse_nmf",
    "SpeechEnhancer": "skunfold.audio",
    "UnfoldedBPClassifier": "skunfold.mrf",
    "UnfoldedCRFClassifier": "skunfold.crf",
    "UnfoldedMeanFieldClassifier": "skunfold.mrf",
    **dict.fromkeys(
        (
            "BetaDivergence",
            "IdentityReadout",
            "LinearReadout",
            "LogitReadout",
            "MaskReadout",
            "SquaredError",
            "UnfoldedClassifier",
            "UnfoldedRegressor",
        ),
        "skunfold.unfolding",
    ),
}

NUMERIC_TYPE = re.compile(r"[<>|](b1|[iu][1248]|f[248])")

_SPARSE_CLASS = re.compile(r"(coo|csc|csr)_(array|matrix)")
_STRING_TYPE = re.compile(r"\|O|[<>]U\d{1,9}")
_SCALARS = {"bool", "float16", "float32", "float64"} | {
    f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)
}
FITTED_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*_")
_KEYS = (type(None), bool, int, float, str, np.generic)
_MAX_DEPTH = 32
_MAX_ESTIMATORS = 100
_MAX_STRINGS_BYTES = 1 << 26


class TreeWriter:
    """Turn an estimator into a tree, and collect the arrays that the tree refers to.

    Parameters
    ----------
    training_state : bool
        Whether the tree also holds the state of training.

    Attributes
    ----------
    arrays : list of ndarray
        The numeric arrays; ``{"array": i}`` is ``arrays[i]``.
    strings : list of dict
        The arrays of strings, as JSON.
    sparse_size : int
        `sparse_size` of all sparse matrices together.
    """

    def __init__(self, training_state: bool) -> None:
        self._training_state = training_state
        self.arrays: list[np.ndarray] = []
        self.strings: list[dict] = []
        self.sparse_size = 0
        self._n_estimators = 0
        self._strings_bytes = 0
        self._references: dict[int, dict] = {}

    def encode_estimator(self, estimator: Any, path: str, depth: int) -> dict:
        """Encode class, parameters and fitted attributes; `path` names it in errors."""
        self._n_estimators += 1
        if self._n_estimators > _MAX_ESTIMATORS:
            raise TypeError(
                f"{path} is one estimator more than the {_MAX_ESTIMATORS} of a model file."
            )
        name = type(estimator).__name__
        if type(estimator) is not _find_class(name) and not _is_part(type(estimator)):
            raise TypeError(
                f"{path} is of class {name}, which a model file cannot hold; "
                f"{_advice(estimator)}."
            )
        if getattr(estimator, "_skl_callbacks", None):
            raise TypeError(
                f"{path} has callbacks, which a model file cannot hold; "
                "call set_callbacks() without arguments first."
            )
        params = estimator.get_params(deep=False)
        if params.get("memory") is not None:
            raise TypeError(
                f"{path} has a cache (memory), which runs code of its folder and which a model "
                "file cannot hold; set_params(memory=None) first."
            )
        try:
            check_model(estimator)
        except ValueError as error:
            raise ValueError(f"{path} cannot be saved: {error}") from error
        attributes = {
            key: value
            for key, value in vars(estimator).items()
            if key not in params and _is_stored(name, key)
        }
        node = {
            "class": name,
            "params": self._encode_items(params, path, depth),
            "attributes": self._encode_items(attributes, path, depth),
        }
        state = getattr(estimator, "_training_state", None)
        if self._training_state and state is not None:
            node["training"] = self._encode_items(
                resuming.to_data(*state), f"{path}._training_state", depth
            )
        return node

    def _encode(self, value: Any, path: str, depth: int) -> Any:
        """Encode one value, or raise a TypeError that names its path."""
        kind = type(value)
        if depth > _MAX_DEPTH:
            raise TypeError(f"{path} is nested more than {_MAX_DEPTH} levels deep.")
        if value is None or kind in (bool, int, str):
            return value
        if kind is float:
            return value if math.isfinite(value) else {"float": repr(value)}
        if isinstance(value, np.generic):
            return self._encode_scalar(value, path)
        if kind in (np.ndarray, np.memmap):
            return self._encode_array(value, path)
        if kind in (list, tuple):
            items = [
                self._encode(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(value)
            ]
            return items if kind is list else {"tuple": items}
        if kind is dict:
            return {"dict": self._encode_dict(value, path, depth)}
        if sparse.issparse(value) and value.ndim == 2:
            return {"sparse": self._encode_sparse(value, path)}
        if isinstance(value, BaseEstimator):
            return {"estimator": self.encode_estimator(value, path, depth + 1)}
        advice = (
            "numbers, strings, lists, tuples, dicts, arrays, sparse matrices and estimators "
            "will do"
        )
        if isinstance(value, np.random.RandomState | np.random.Generator):
            advice = "set it to an integer or None"
        raise TypeError(
            f"{path} is of type {kind.__name__}, which a model file cannot hold; {advice}."
        )

    def _encode_dict(self, items: dict, path: str, depth: int) -> dict | list:
        if all(type(key) is str for key in items):
            return self._encode_items(items, path, depth)
        for key in items:
            if not isinstance(key, _KEYS):
                raise TypeError(
                    f"{path} has a key of type {type(key).__name__}, which a model file cannot "
                    "hold; numbers, strings, booleans and None will do."
                )
        pairs = []
        for key, value in items.items():
            name = f"{path}[{key!r}]"
            pairs.append(
                [self._encode(key, name, depth + 1), self._encode(value, name, depth + 1)]
            )
        return pairs

    def _encode_items(self, items: dict, path: str, depth: int) -> dict:
        return {
            key: self._encode(value, f"{path}.{key}", depth + 1) for key, value in items.items()
        }

    def _encode_scalar(self, value: np.generic, path: str) -> dict:
        name = "str" if isinstance(value, np.str_) else value.dtype.name
        if name not in _SCALARS and name != "str":
            raise TypeError(f"{path} is a {name} scalar, which a model file cannot hold.")
        return {"scalar": [name, self._encode(value.item(), path, 0)]}

    def _encode_array(self, array: np.ndarray, path: str) -> dict:
        if id(array) not in self._references:
            if NUMERIC_TYPE.fullmatch(array.dtype.str):
                self._references[id(array)] = {"array": len(self.arrays)}
                self.arrays.append(array)
            else:
                self._references[id(array)] = {"strings": len(self.strings)}
                self.strings.append(self._encode_strings(array, path))
        return self._references[id(array)]

    def _encode_sparse(self, matrix: Any, path: str) -> dict:
        if not _SPARSE_CLASS.fullmatch(type(matrix).__name__):
            matrix = matrix.tocsr()
        coordinates = matrix.tocoo()
        self.sparse_size += sparse_size(matrix.shape, coordinates.nnz)
        parts = {
            name: self._encode_array(np.asarray(getattr(coordinates, name)), f"{path}.{name}")
            for name in ("row", "col", "data")
        }
        return {"class": type(matrix).__name__, "shape": list(matrix.shape), **parts}

    def _encode_strings(self, array: np.ndarray, path: str) -> dict:
        values = array.ravel().tolist()
        if array.dtype.kind not in "UO" or any(type(value) is not str for value in values):
            raise TypeError(
                f"{path} is an array of {array.dtype}, which a model file cannot hold; arrays "
                "of booleans, integers, floats up to 64 bits and strings will do."
            )
        self._strings_bytes += array.nbytes
        if self._strings_bytes > _MAX_STRINGS_BYTES:
            raise TypeError(
                f"{path} brings the arrays of strings to {self._strings_bytes} bytes, more "
                f"than the {_MAX_STRINGS_BYTES} a model file may hold; use dtype object."
            )
        return {"dtype": array.dtype.str, "shape": list(array.shape), "values": values}


class TreeReader:
    """Turn a tree back into an estimator; any exception means that the tree is not sound.

    Parameters
    ----------
    read_array : callable
        Takes the number of a numeric array, returns the array.
    strings : list of dict
        The arrays of strings, as JSON.
    n_bytes : int
        The size of the file, which bounds that of sparse matrices.
    classes : sequence of type
        Classes of the caller that the tree may hold besides.
    """

    def __init__(
        self,
        read_array: Callable[[int], np.ndarray],
        strings: list,
        n_bytes: int,
        classes: Sequence[type] = (),
    ) -> None:
        self._classes = {cls.__name__: cls for cls in classes}
        self._read_array = read_array
        self._strings = strings
        self._n_bytes = n_bytes
        self._strings_bytes = 0
        self._sparse_size = 0
        self._n_estimators = 0
        self._arrays: dict[tuple[str, int], np.ndarray] = {}

    def decode_estimator(self, node: Any, depth: int) -> Any:
        """Build an estimator from its class, parameters and attributes."""
        self._n_estimators += 1
        if self._n_estimators > _MAX_ESTIMATORS:
            raise ValueError(f"it holds more than {_MAX_ESTIMATORS} estimators")
        name = _checked(_checked(node, dict)["class"], str)
        cls: Any = _find_class(name) or self._classes.get(name)
        if cls is None:
            raise ValueError(
                f"it holds a {shown(name)}, which this skunfold does not know; if it is an "
                "iteration or a readout of yours, give its class to load_model, as classes"
            )
        params = translated(name, self._decode_items(node["params"], depth))
        attributes = self._decode_items(node["attributes"], depth)
        if unknown := sorted(set(params) - set(cls._get_param_names())):
            raise ValueError(f"{name} has no parameter {shown(unknown[0])}")
        if params.get("memory") is not None:
            raise ValueError("it names a cache, whose files could run code")
        for key in attributes:
            if not _is_stored(name, key):
                raise ValueError(f"{shown(key)} is not the name of a fitted attribute")
        estimator = cls(**params)
        vars(estimator).update(attributes)
        check_model(estimator)
        if "training" in node:
            training = self._decode_items(node["training"], depth)
            estimator._training_state = resuming.from_data(training)
            resuming.check_parameters(estimator)
        return estimator

    def _decode(self, node: Any, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise ValueError(f"its values are nested more than {_MAX_DEPTH} levels deep")
        if isinstance(node, list):
            return [self._decode(item, depth + 1) for item in node]
        if not isinstance(node, dict):
            return node
        [(kind, content)] = node.items()
        match kind:
            case "array" | "strings":
                return self._decode_array(kind, _checked(content, int))
            case "scalar":
                return self._decode_scalar(_checked(content, list))
            case "float":
                return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[content]
            case "tuple":
                return tuple(self._decode(_checked(content, list), depth))
            case "dict":
                return self._decode_dict(content, depth)
            case "sparse":
                return self._decode_sparse(_checked(content, dict), depth)
            case "estimator":
                return self.decode_estimator(content, depth + 1)
        raise ValueError(f"it holds a value of unknown kind {shown(kind)}")

    def _decode_dict(self, node: Any, depth: int) -> dict:
        if isinstance(node, dict):
            return self._decode_items(node, depth)
        pairs = [_checked(pair, list) for pair in _checked(node, list)]
        decoded = {
            _checked(self._decode(key, depth + 1), _KEYS): self._decode(value, depth + 1)
            for key, value in pairs
        }
        if len(decoded) != len(pairs):
            raise ValueError("two keys of a dict are the same")
        return decoded

    def _decode_items(self, node: Any, depth: int) -> dict:
        return {
            key: self._decode(value, depth + 1) for key, value in _checked(node, dict).items()
        }

    def _decode_scalar(self, node: list) -> np.generic:
        name, value = node
        if name == "str":
            return np.str_(_checked(value, str))
        if name not in _SCALARS:
            raise ValueError(f"it holds a scalar of unknown type {shown(name)}")
        with np.errstate(over="raise"):
            return np.dtype(name).type(_checked(self._decode(value, 0), (bool, int, float)))

    def _decode_array(self, kind: str, index: int) -> np.ndarray:
        """Read an array once, and hand out the same object each time it is referred to."""
        if (kind, index) not in self._arrays:
            if index < 0:
                raise ValueError(f"it refers to an array {index}")
            if kind == "array":
                array = self._read_array(index)
            else:
                array = self._decode_strings(_checked(self._strings[index], dict))
            self._arrays[kind, index] = array
        return self._arrays[kind, index]

    def _decode_sparse(self, node: dict, depth: int) -> Any:
        name = _checked(node["class"], str)
        if not _SPARSE_CLASS.fullmatch(name):
            raise ValueError(f"it holds a sparse matrix of unknown class {shown(name)}")
        row, col, data = (
            _checked(self._decode(node[key], depth + 1), np.ndarray)
            for key in ("row", "col", "data")
        )
        kinds = row.dtype.kind + col.dtype.kind + data.dtype.kind
        if not re.fullmatch("[iu][iu][biuf]", kinds):
            raise ValueError("a sparse matrix holds something else than numbers")
        shape = tuple(_checked(n, int) for n in _checked(node["shape"], list))
        self._sparse_size += sparse_size(shape, data.size)
        check_sparse_size(self._sparse_size, self._n_bytes)
        coordinates = sparse.coo_array((data, (row, col)), shape=shape)
        return getattr(sparse, name)(coordinates)

    def _decode_strings(self, node: dict) -> np.ndarray:
        code = _checked(node["dtype"], str)
        shape = [_checked(n, int) for n in _checked(node["shape"], list)]
        values = [_checked(value, str) for value in _checked(node["values"], list)]
        if not _STRING_TYPE.fullmatch(code):
            raise ValueError(f"it holds an array of {shown(code)} among its strings")
        self._strings_bytes += np.dtype(code).itemsize * len(values)
        if self._strings_bytes > _MAX_STRINGS_BYTES:
            raise ValueError("its arrays of strings are too large")
        array = np.empty(len(values), dtype=code)
        array[:] = values
        return array.reshape(shape)


def _find_class(name: str) -> Any:
    """Import a class that a tree may hold, or return None where it may not."""
    module = CLASSES.get(name) or _scikit_learn_models.MODULE_OF.get(name)
    return module and getattr(importlib.import_module(module), name)


def _is_part(cls: type) -> bool:
    """Return whether a class is one of a user's own that a tree may hold."""
    from skunfold.unfolding import Iteration, Readout  # which only such models need

    return issubclass(cls, Iteration | Readout)


def check_classes_of_user(classes: Sequence[type]) -> None:
    """Raise a TypeError unless all classes are such that a tree may hold their objects."""
    for cls in classes:
        if not (isinstance(cls, type) and _is_part(cls)):
            raise TypeError(
                f"classes holds {shown(cls)}; give subclasses of skunfold.unfolding.Iteration "
                "and Readout."
            )
        if _find_class(cls.__name__):
            raise ValueError(
                f"classes holds a {cls.__name__}, a name that model files use already; rename "
                "the class."
            )


def _is_stored(class_name: str, key: str) -> bool:
    """Return whether an attribute is one that a tree holds of a class."""
    listed = _scikit_learn_models.ATTRIBUTES
    if class_name in listed:
        return key in listed[class_name]
    return FITTED_NAME.fullmatch(key) is not None


def _advice(estimator: Any) -> str:
    """Return what to save instead of an estimator that a model file cannot hold."""
    if hasattr(estimator, "best_estimator_"):
        return "save its best_estimator_"
    if hasattr(estimator, "components_"):
        return "give its components_, an array, instead"
    known = sorted(CLASSES) + sorted(_scikit_learn_models.MODULE_OF)
    return f"it holds {', '.join(known)}"


def _checked(value: Any, kind: type | tuple[type, ...]) -> Any:
    """Return the value if it is of the kind that the format demands here."""
    if not isinstance(value, kind):
        raise ValueError(f"it holds {shown(value)} where that is not allowed")
    return value
