"""Checks of the values in a model file: each returns the value or raises a ValueError.

The messages complete a sentence that names the file.
"""

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

_MAX_SPARSE_SIZE = 1 << 20
_FLOATS = {np.dtype(np.float32), np.dtype(np.float64)}


def require(condition: Any, reason: str) -> None:
    """Raise with the reason unless the condition holds."""
    if not condition:
        raise ValueError(reason)


def check_present(estimator: Any, *names: str) -> Any:
    """Check that a fitted estimator has attributes, and return the last of them."""
    value = None
    for name in names:
        missing = name not in vars(estimator)
        require(not missing, f"its {type(estimator).__name__} is fitted, but has no {name}")
        value = vars(estimator)[name]
    return value


def whole_number(name: str, value: Any, lowest: int = 0, highest: int = 2**63 - 1) -> int:
    """Return a value that must be a whole number in a range."""
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    require(
        whole and lowest <= value <= highest,
        f"its {name} is {shown(value)}, not a whole number from {lowest} to {highest}",
    )
    return int(value)


def number(name: str, value: Any, *, positive: bool = False) -> Any:
    """Return a value that must be a number, or one that is finite and above 0."""
    real = isinstance(value, Real) and not isinstance(value, bool)
    if positive:
        require(
            real and 0 < value < np.inf, f"its {name} is {shown(value)}, not a positive number"
        )
    require(real, f"its {name} is {shown(value)}, not a number")
    return value


def float_array(name: str, value: Any, shape: Sequence[int | None]) -> NDArray:
    """Return a value that must be an array of finite floats; None in the shape is 1 or more."""
    require(
        isinstance(value, np.ndarray) and value.dtype.kind == "f",
        f"its {name} holds {shown(value)} where an array of floats is needed",
    )
    fits = len(value.shape) == len(shape) and all(
        n == wanted if wanted is not None else n >= 1 for n, wanted in zip(value.shape, shape)
    )
    require(fits, f"an array in its {name} has the shape {value.shape}, which does not fit")
    require(np.isfinite(value).all(), f"its {name} holds numbers that are not finite")
    return value


def float_arrays(name: str, values: Any, shape: Sequence[int | None]) -> list[NDArray]:
    """Return a value that must be a list of such arrays, all float32 or all float64."""
    require(isinstance(values, list) and values, f"its {name} is no list of arrays")
    distinct = {id(value): value for value in values}  # layers may share an array
    for value in distinct.values():
        float_array(name, value, shape)
    dtypes = {value.dtype for value in distinct.values()}
    require(
        len(dtypes) == 1 and dtypes <= _FLOATS,
        f"the arrays of its {name} are not all float32 or all float64",
    )
    return values


def check_classes(
    classes: Any, n_outputs: Any, activation: Any
) -> Literal["binary", "multiclass", "multilabel"]:
    """Check classes against the outputs of a network; return what kind of targets it has."""
    require(
        isinstance(classes, np.ndarray) and classes.ndim == 1 and len(classes) >= 1,
        "its classes_ are no list of classes",
    )
    require(len(np.unique(classes)) == len(classes), "two of its classes_ are the same")
    n_outputs = whole_number("n_outputs_", n_outputs, 1)
    if activation == "softmax" and n_outputs == len(classes) > 2:
        return "multiclass"
    if activation == "logistic" and n_outputs == 1 and len(classes) == 2:
        return "binary"
    fits = activation == "logistic" and n_outputs == len(classes)
    require(
        fits and np.array_equal(classes, np.arange(n_outputs)),
        f"its {len(classes)} classes_ do not fit its {n_outputs} outputs",
    )
    return "multilabel"


def sparse_size(shape: tuple[int, ...], n_elements: int) -> int:
    """Return the numbers that a sparse matrix may take, whatever the compressed axis."""
    return sum(shape) + n_elements


def check_sparse_size(size: int, n_bytes: int) -> None:
    """Check the size of all sparse matrices together, which would else cost a file nothing."""
    if size > n_bytes + _MAX_SPARSE_SIZE:
        raise ValueError(
            f"the rows, columns and elements of its sparse matrices are {size}, too many for "
            f"{n_bytes} bytes"
        )


def shown(value: Any) -> str:
    """Show what a file holds, escaped and short."""
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} and shape {value.shape}"[:60]
    if isinstance(value, int) and abs(value) >= 2**64:
        return "a huge number"
    return ascii(value)[:60]
