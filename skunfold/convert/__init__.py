"""Networks as inference, and back: conversions between fitted models.

Each function that returns an estimator returns a fitted one with ``warm_start=True``: it
predicts at once, and `fit` trains it further. Arrays are copied. Until then its `loss_` is
infinite, since no loss was computed.
"""

from skunfold.convert._fields import (
    bp_to_mean_field,
    mean_field_to_bp,
    mean_field_to_mlp,
    mlp_to_mean_field,
    rbm_to_bp,
    rbm_to_mean_field,
    tables_to_weights,
    weights_to_tables,
)
from skunfold.convert._nmf import nmf_to_deep_nmf
from skunfold.convert._rows import (
    crf_to_crfsuite,
    crf_to_logistic_regression,
    crfsuite_to_crf,
    hmm_to_crf,
    logistic_regression_to_crf,
)

__all__ = [
    "bp_to_mean_field",
    "crf_to_crfsuite",
    "crf_to_logistic_regression",
    "crfsuite_to_crf",
    "hmm_to_crf",
    "logistic_regression_to_crf",
    "mean_field_to_bp",
    "mean_field_to_mlp",
    "mlp_to_mean_field",
    "nmf_to_deep_nmf",
    "rbm_to_bp",
    "rbm_to_mean_field",
    "tables_to_weights",
    "weights_to_tables",
]
