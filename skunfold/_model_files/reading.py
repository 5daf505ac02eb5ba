"""A tree (`skunfold._model_files.tree`) becomes an estimator."""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import sparse

from skunfold._model_files.checks import check_model
from skunfold._model_files.former_models import translated
from skunfold._model_files.tree import (
    KEYS,
    MAX_DEPTH,
    MAX_ESTIMATORS,
    MAX_STRINGS_BYTES,
    SCALARS,
    SPARSE_CLASS,
    STRING_TYPE,
    find_class,
    is_stored,
)
from skunfold._model_files.values import check_sparse_size, shown, sparse_size
from skunfold._training import resuming


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
        if self._n_estimators > MAX_ESTIMATORS:
            raise ValueError(f"it holds more than {MAX_ESTIMATORS} estimators")
        name = _checked(_checked(node, dict)["class"], str)
        cls: Any = find_class(name) or self._classes.get(name)
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
            if not is_stored(name, key):
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
        if depth > MAX_DEPTH:
            raise ValueError(f"its values are nested more than {MAX_DEPTH} levels deep")
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
            _checked(self._decode(key, depth + 1), KEYS): self._decode(value, depth + 1)
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
        if name not in SCALARS:
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
        if not SPARSE_CLASS.fullmatch(name):
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
        if not STRING_TYPE.fullmatch(code):
            raise ValueError(f"it holds an array of {shown(code)} among its strings")
        self._strings_bytes += np.dtype(code).itemsize * len(values)
        if self._strings_bytes > MAX_STRINGS_BYTES:
            raise ValueError("its arrays of strings are too large")
        array = np.empty(len(values), dtype=code)
        array[:] = values
        return array.reshape(shape)


def _checked(value: Any, kind: type | tuple[type, ...]) -> Any:
    """Return the value if it is of the kind that the format demands here."""
    if not isinstance(value, kind):
        raise ValueError(f"it holds {shown(value)} where that is not allowed")
    return value
