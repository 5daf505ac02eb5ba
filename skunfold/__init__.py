"""Deep unfolding for scikit-learn.

Estimators and functions are imported when they are first asked for, as Scientific Python's
SPEC 1 has it: the one does not wait for the others.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from skunfold._version import __version__

if TYPE_CHECKING:
    from skunfold._show_versions import show_versions
    from skunfold.crf import UnfoldedCRFClassifier
    from skunfold.deep_nmf import DeepNMFRegressor
    from skunfold.mrf import UnfoldedBPClassifier, UnfoldedMeanFieldClassifier
    from skunfold.sparse_nmf import SparseNMF

__all__ = [
    "DeepNMFRegressor",
    "SparseNMF",
    "UnfoldedBPClassifier",
    "UnfoldedCRFClassifier",
    "UnfoldedMeanFieldClassifier",
    "__version__",
    "show_versions",
]

_MODULES = {
    "DeepNMFRegressor": "skunfold.deep_nmf",
    "SparseNMF": "skunfold.sparse_nmf",
    "UnfoldedBPClassifier": "skunfold.mrf",
    "UnfoldedCRFClassifier": "skunfold.crf",
    "UnfoldedMeanFieldClassifier": "skunfold.mrf",
    "show_versions": "skunfold._show_versions",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'skunfold' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
