"""Estimators as a tree of plain JSON values: its form, and what it may hold.

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
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from skunfold._model_files import scikit_learn_models as _scikit_learn_models
from skunfold._model_files.values import shown

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

SPARSE_CLASS = re.compile(r"(coo|csc|csr)_(array|matrix)")
STRING_TYPE = re.compile(r"\|O|[<>]U\d{1,9}")
SCALARS = {"bool", "float16", "float32", "float64"} | {
    f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)
}
FITTED_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*_")
KEYS = (type(None), bool, int, float, str, np.generic)
MAX_DEPTH = 32
MAX_ESTIMATORS = 100
MAX_STRINGS_BYTES = 1 << 26


def find_class(name: str) -> Any:
    """Import a class that a tree may hold, or return None where it may not."""
    module = CLASSES.get(name) or _scikit_learn_models.MODULE_OF.get(name)
    return module and getattr(importlib.import_module(module), name)


def is_part(cls: type) -> bool:
    """Return whether a class is one of a user's own that a tree may hold."""
    from skunfold.unfolding import Iteration, Readout  # which only such models need

    return issubclass(cls, Iteration | Readout)


def check_classes_of_user(classes: Sequence[type]) -> None:
    """Raise a TypeError unless all classes are such that a tree may hold their objects."""
    for cls in classes:
        if not (isinstance(cls, type) and is_part(cls)):
            raise TypeError(
                f"classes holds {shown(cls)}; give subclasses of skunfold.unfolding.Iteration "
                "and Readout."
            )
        if find_class(cls.__name__):
            raise ValueError(
                f"classes holds a {cls.__name__}, a name that model files use already; rename "
                "the class."
            )


def is_stored(class_name: str, key: str) -> bool:
    """Return whether an attribute is one that a tree holds of a class."""
    listed = _scikit_learn_models.ATTRIBUTES
    if class_name in listed:
        return key in listed[class_name]
    return FITTED_NAME.fullmatch(key) is not None
