"""Unfold your own iterative algorithm into a network, and train it.

Write one iteration of the algorithm and its adjoint, an `Iteration`, for an estimator::

    h_0 = initial(theta_1, drive_1, n),     drive_k = drive(theta_k, X)
    h_k = step(theta_k, drive_k, h_(k-1))               k = 1, ..., n_layers
    y   = read(theta_(n_layers+1), X, h_(n_layers))

Hershey, Le Roux and Weninger, "Deep unfolding: model-based inspiration of novel deep
architectures", arXiv 1409.2574 (2014), section 2.
"""

from skunfold.unfolding.checks import check_adjoint
from skunfold.unfolding.estimators import UnfoldedClassifier, UnfoldedRegressor
from skunfold.unfolding.iteration import Iteration
from skunfold.unfolding.losses import BetaDivergence, CrossEntropy, SquaredError
from skunfold.unfolding.readouts import (
    IdentityReadout,
    LinearReadout,
    LogitReadout,
    MaskReadout,
    Readout,
)

__all__ = [
    "BetaDivergence",
    "CrossEntropy",
    "IdentityReadout",
    "Iteration",
    "LinearReadout",
    "LogitReadout",
    "MaskReadout",
    "Readout",
    "SquaredError",
    "UnfoldedClassifier",
    "UnfoldedRegressor",
    "check_adjoint",
]
