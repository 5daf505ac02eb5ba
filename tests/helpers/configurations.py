"""Configurations of the estimators, and the data that they are fitted to."""

from guide import KLNMF, RandomISTA
from sklearn.base import clone, is_classifier

from skunfold import (
    DeepNMFRegressor,
    SparseNMF,
    UnfoldedBPClassifier,
    UnfoldedCRFClassifier,
    UnfoldedMeanFieldClassifier,
)
from skunfold.unfolding import (
    BetaDivergence,
    IdentityReadout,
    MaskReadout,
    UnfoldedClassifier,
    UnfoldedRegressor,
)


def deep_nmf(**params):
    """Return a small network for mixtures."""
    defaults = {"n_components": 4, "n_layers": 4, "max_iter": 20, "random_state": 0}
    return DeepNMFRegressor(**defaults | params)


DEEP_NMF = {
    "linear": deep_nmf(),
    "mask": deep_nmf(output="mask"),
    "tied": deep_nmf(output="mask", tied=True),
    "tied, sparse": deep_nmf(output="mask", tied=True, init="sparse_nmf", sparsity=0.1),
    "untrained": deep_nmf(output="mask", n_trained_layers=0),
    "relaxed": deep_nmf(output="mask", tied=True, relaxation=2.0),
    "projections": deep_nmf(output="mask", tied=True, fit_projections=True),
    "last-two": deep_nmf(output="mask", n_trained_layers=2),
    "last-two-projections": deep_nmf(output="mask", n_trained_layers=2, fit_projections=True),
    "mu": deep_nmf(output="mask", solver="mu"),
    "mu, linear": deep_nmf(solver="mu"),
    "naive-mu": deep_nmf(output="mask", solver="naive-mu"),
    "early-stopping": deep_nmf(output="mask", early_stopping=True),
    "averaging": deep_nmf(output="mask", averaging=0.9, learning_rate_decay=0.8, batch_size=20),
    "decay": deep_nmf(output="mask", learning_rate_decay=0.8, batch_size=16),
    "itakura-saito": deep_nmf(beta_loss="itakura-saito", training_loss="itakura-saito"),
    "beta-3": deep_nmf(beta_loss=3.0, training_loss=0.5, init="sparse_nmf", sparsity=0.1),
}


def field(cls, hidden_layer_sizes, **params):
    """Return a small classifier for irises."""
    return cls(hidden_layer_sizes, **{"max_iter": 20, "random_state": 0} | params)


MEAN_FIELD, BP = UnfoldedMeanFieldClassifier, UnfoldedBPClassifier
FIELDS = {
    "mean field": field(MEAN_FIELD, 5, n_layers=3),
    "mean field, tied": field(MEAN_FIELD, (4, 3), n_layers=3, tied=True, damping=0.8),
    "mean field, untied, lateral": field(
        MEAN_FIELD, (4, 3), n_layers=3, tied=False, lateral=True, damping=0.3
    ),
    "mean field, no hidden layer": field(MEAN_FIELD, ()),
    "mean field, lbfgs": field(MEAN_FIELD, 5, solver="lbfgs"),
    "BP": field(BP, (5, 4), n_layers=3),
    "BP, tied": field(BP, (5, 4), n_layers=3, tied=True),
    "BP, tied, lateral": field(BP, (5, 4), n_layers=3, tied=True, lateral=True),
    "BP, untied, lateral": field(
        BP, (4,), n_layers=3, tied=False, lateral=True, damping=0.3, power=0.7
    ),
    "BP, lbfgs": field(BP, (4, 3), solver="lbfgs"),
    "BP, sgd": field(BP, (4, 3), solver="sgd", learning_rate_init=0.3),
    "BP, early stopping": field(BP, (4, 3), early_stopping=True),
}


def unfolded(cls, iteration, **params):
    """Return a small network of an iteration that is not the package's."""
    return cls(iteration, **{"n_layers": 3, "max_iter": 20, "random_state": 0} | params)


UNFOLDED = {
    "ISTA": unfolded(UnfoldedRegressor, RandomISTA(8), readout=IdentityReadout()),
    "ISTA, tied": unfolded(
        UnfoldedRegressor, RandomISTA(8), readout=IdentityReadout(), tied=True
    ),
    "ISTA, sgd": unfolded(
        UnfoldedRegressor, RandomISTA(), solver="sgd", tied=True, learning_rate_init=1e-3
    ),
    "ISTA, lbfgs": unfolded(UnfoldedRegressor, RandomISTA(), solver="lbfgs", tied=True),
    "ISTA, averaging": unfolded(
        UnfoldedRegressor, RandomISTA(), averaging=0.9, learning_rate_decay=0.9
    ),
    "ISTA, early stopping": unfolded(
        UnfoldedRegressor, RandomISTA(8), readout=IdentityReadout(), early_stopping=True
    ),
    "ISTA, penalty": unfolded(UnfoldedRegressor, RandomISTA(), alpha=0.01, n_trained_layers=2),
    "KL-NMF": unfolded(UnfoldedRegressor, KLNMF(4)),
    "KL-NMF, mask": unfolded(
        UnfoldedRegressor, KLNMF(4), readout=MaskReadout((2, 2)), loss=BetaDivergence(1.0)
    ),
    "ISTA, classes": unfolded(UnfoldedClassifier, RandomISTA(8), learning_rate_init=0.03),
    "ISTA, classes, lbfgs": unfolded(UnfoldedClassifier, RandomISTA(8), solver="lbfgs"),
}
ROWS = {  # each by itself, as all data are here
    "CRF": UnfoldedCRFClassifier(5, n_layers=1, max_iter=20, random_state=0),
    "CRF, early stopping": UnfoldedCRFClassifier(
        n_layers=1, early_stopping=True, random_state=0
    ),
    "CRF, lbfgs": UnfoldedCRFClassifier(n_layers=1, solver="lbfgs", max_iter=20),
}
SPARSE_NMF = {
    "sparse NMF": SparseNMF(3, random_state=0),
    "sparse NMF, frobenius": SparseNMF(3, beta_loss=2.0, sparsity=0.1, random_state=0),
}

TRAINED = DEEP_NMF | FIELDS | UNFOLDED | ROWS
ALL = TRAINED | SPARSE_NMF
ON_BATCHES = {name: m for name, m in TRAINED.items() if m.solver != "lbfgs"}
# One of each class.
ONE_OF_EACH = {
    "deep NMF": DEEP_NMF["mask"],
    "mean field": FIELDS["mean field"],
    "BP": FIELDS["BP"],
    "CRF": ROWS["CRF"],
    "unfolded regressor": UNFOLDED["ISTA"],
    "unfolded classifier": UNFOLDED["ISTA, classes"],
}


def make_model(name, **params):
    """Return an unfitted model of a configuration."""
    return clone(ALL[name]).set_params(**params)


def outputs(model, X):
    """Return what a model predicts in numbers."""
    if isinstance(model, SparseNMF):
        return model.transform(X)
    return model.predict_proba(X) if is_classifier(model) else model.predict(X)


def staged_outputs(model, X):
    """Yield the same after every layer."""
    return model.staged_predict_proba(X) if is_classifier(model) else model.staged_predict(X)


def learned_arrays(model):
    """Return all arrays that a model has learned."""
    if isinstance(model, SparseNMF):
        return [model.components_]
    if isinstance(model, DeepNMFRegressor):
        return [*model.bases_, *getattr(model, "projections_", []), model.output_bases_]
    if hasattr(model, "potentials_"):
        arrays = [a for one in model.potentials_ for kind in one.values() for a in kind]
        return [a for a in arrays if a is not None]
    return [a for theta in (*model.theta_, model.readout_parameters_) for a in theta]


def dtypes_of(model, X):
    """Return the names of the dtypes of all that a model has learned and computes."""
    names = "transform", "predict_proba", "predict_log_proba", "decision_function"
    arrays = [getattr(model, name)(X) for name in names if hasattr(model, name)]
    if hasattr(model, "staged_predict"):
        arrays += staged_outputs(model, X)
    return {a.dtype.name for a in [*arrays, outputs(model, X), *learned_arrays(model)]}
