"""The choice between functions of NumPy and their compiled twins.

``@fused`` above a function of NumPy puts the function of the same name of the compiled module
`skunfold._kernels._fused` in its place, where there is one. A twin computes in one pass over
memory what NumPy does in several. The function of NumPy states the equations, and computes what
its twin does not take: arrays that are not all float32 or all float64, or not in C order.

The module is built where there is a C compiler. The environment variable SKUNFOLD_FUSED says
whether it is used: 0 never, 1 always (an ImportError if it is missing), and where there is one
if the variable is not set.
"""

import os
from functools import wraps
from importlib import import_module
from typing import Any

MODULE = "skunfold._kernels._fused"


def _load():
    """Return the compiled module or None, and one line on which core computes, and why."""
    wanted = os.environ.get("SKUNFOLD_FUSED", "")
    if wanted not in ("", "0", "1"):
        raise ValueError(f"SKUNFOLD_FUSED is {wanted!r} in the environment; give 0 or 1.")
    if wanted == "0":
        return None, "NumPy (SKUNFOLD_FUSED=0)"
    try:
        module = import_module(MODULE)
        return module, f"compiled ({module.PROCESSOR})"
    except ImportError as error:
        if wanted == "1":
            raise ImportError(
                f"{MODULE} cannot be imported ({error}), and SKUNFOLD_FUSED=1 demands it; "
                "install skunfold with a C compiler, or unset the variable."
            ) from error
        if isinstance(error, ModuleNotFoundError):
            return None, "NumPy (the compiled core was not built)"
        return None, f"NumPy (the compiled core cannot be loaded: {error})"


COMPILED, CORE = _load()
FUSED: dict[str, Any] = {}  # the decorated functions that have a twin, by name


def fused(function):
    """Return a function that calls the compiled twin where it can; see the module."""
    twin = getattr(COMPILED, function.__name__, None)
    if twin is None:
        return function

    @wraps(function)
    def either(*arguments):
        try:
            return twin(*arguments)
        except (TypeError, ValueError):  # arrays that the twin does not take
            return function(*arguments)

    FUSED[function.__name__] = either
    return either
