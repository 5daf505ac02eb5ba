"""Deep unfolding for scikit-learn."""

from skunfold._version import __version__
from skunfold.deep_nmf import DeepNMFRegressor
from skunfold.sparse_nmf import SparseNMF

__all__ = ["DeepNMFRegressor", "SparseNMF", "__version__"]
