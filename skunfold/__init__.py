"""Deep unfolding for scikit-learn."""

from skunfold._version import __version__
from skunfold.deep_nmf import DeepNMFRegressor
from skunfold.mrf import UnfoldedBPClassifier, UnfoldedMeanFieldClassifier
from skunfold.sparse_nmf import SparseNMF

__all__ = [
    "DeepNMFRegressor",
    "SparseNMF",
    "UnfoldedBPClassifier",
    "UnfoldedMeanFieldClassifier",
    "__version__",
]
