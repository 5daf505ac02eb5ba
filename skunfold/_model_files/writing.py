"""An estimator becomes a tree (`skunfold._model_files.tree`)."""

import math
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator

from skunfold._model_files.checks import check_model
from skunfold._model_files.scikit_learn_models import MODULE_OF
from skunfold._model_files.tree import (
    CLASSES,
    KEYS,
    MAX_DEPTH,
    MAX_ESTIMATORS,
    MAX_STRINGS_BYTES,
    NUMERIC_TYPE,
    SCALARS,
    SPARSE_CLASS,
    find_class,
    is_part,
    is_stored,
)
from skunfold._model_files.values import sparse_size
from skunfold._training import resuming


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
        if self._n_estimators > MAX_ESTIMATORS:
            raise TypeError(
                f"{path} is one estimator more than the {MAX_ESTIMATORS} of a model file."
            )
        name = type(estimator).__name__
        if type(estimator) is not find_class(name) and not is_part(type(estimator)):
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
            if key not in params and is_stored(name, key)
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
        if depth > MAX_DEPTH:
            raise TypeError(f"{path} is nested more than {MAX_DEPTH} levels deep.")
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
            if not isinstance(key, KEYS):
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
        if name not in SCALARS and name != "str":
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
        if not SPARSE_CLASS.fullmatch(type(matrix).__name__):
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
        if self._strings_bytes > MAX_STRINGS_BYTES:
            raise TypeError(
                f"{path} brings the arrays of strings to {self._strings_bytes} bytes, more "
                f"than the {MAX_STRINGS_BYTES} a model file may hold; use dtype object."
            )
        return {"dtype": array.dtype.str, "shape": list(array.shape), "values": values}


def _advice(estimator: Any) -> str:
    """Return what to save instead of an estimator that a model file cannot hold."""
    if hasattr(estimator, "best_estimator_"):
        return "save its best_estimator_"
    if hasattr(estimator, "components_"):
        return "give its components_, an array, instead"
    known = sorted(CLASSES) + sorted(MODULE_OF)
    return f"it holds {', '.join(known)}"
