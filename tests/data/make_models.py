"""Write model files of every kind, and what they predict, with the installed skunfold.

    python tests/data/make_models.py

At each release they go into a folder of its version beside this script, and stay there:
``tests/test_old_models.py`` reads all of them with the skunfold of its day.
"""

import warnings
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array
from sklearn.decomposition import NMF
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.neural_network import BernoulliRBM, MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    RobustScaler,
    StandardScaler,
)

from skunfold import (
    DeepNMFRegressor,
    SparseNMF,
    UnfoldedBPClassifier,
    UnfoldedCRFClassifier,
    UnfoldedMeanFieldClassifier,
    __version__,
)
from skunfold.audio import SpeechEnhancer
from skunfold.model_files import save_model
from skunfold.unfolding import (
    BetaDivergence,
    IdentityReadout,
    Iteration,
    LinearReadout,
    LogitReadout,
    MaskReadout,
    SquaredError,
    UnfoldedClassifier,
    UnfoldedRegressor,
)

SETTINGS = {"max_iter": 3, "random_state": 0}


class Smoothing(Iteration):
    """An iteration that the package does not have: h <- h + rate * (x - h)."""

    positive = True

    def __init__(self, rate=0.5):
        self.rate = rate

    def parameters(self, X, y, random_state):
        """Return the rate of each state."""
        return (np.full(X.shape[1], self.rate),)

    def initial(self, theta, X, n_samples):
        """Return ones."""
        return np.ones_like(X)

    def step(self, theta, X, h, k):
        """Return h after a step, and what is left of x before it."""
        return h + theta[0] * (X - h), X - h

    def adjoint(self, theta, tape, g, k):
        """Return the gradients."""
        return g * (1 - theta[0]), None, (np.sum(g * tape, axis=0),)


def in_sequences(X):
    """Return the data with the number of a sequence of four rows as the last column."""
    return np.column_stack([X[:, :-1], np.arange(len(X)) // 4])


def make_models():
    """Return fitted models by name, data for any of them but the enhancer, and a waveform."""
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(40, 4))
    y, labels = X[:, 2:] * [0.5, 2.0], (X > 0.5).astype(int)
    classes = np.array(["high", "low", "middle"], dtype=object)[(3 * X[:, 0]).astype(int)]
    graph = csr_array(np.eye(4, k=1) + np.eye(4, k=-1))
    waveform, noise = 0.1 * rng.normal(size=(2, 4000)).astype(np.float32)
    mask = DeepNMFRegressor(2, n_layers=3, output="mask", tied=True, **SETTINGS)
    enhancer = SpeechEnhancer(
        mask, window_length=0.004, hop_length=0.002, n_context=2, random_state=0
    )
    nmf = NMF(2, random_state=0).fit(np.hstack([X, y]))
    pipeline = make_pipeline(
        MaxAbsScaler(),
        "passthrough",
        DeepNMFRegressor(2, n_layers=2, init=FrozenEstimator(nmf), **SETTINGS),
    )
    network = MLPClassifier(3, activation="logistic", max_iter=3, random_state=0)
    scaled_classifier = make_pipeline(
        make_pipeline(StandardScaler(), RobustScaler(), MinMaxScaler(), Normalizer()),
        FunctionTransformer(),
        Binarizer(threshold=0.4),
        BernoulliRBM(3, n_iter=2, random_state=0),
        UnfoldedMeanFieldClassifier(
            3,
            init=network.fit(X[:, :3], labels[:, 0]),
            class_weight={0: 1.0, 1: 2.0},
            **SETTINGS,
        ),
    )
    models = {
        "deep_nmf": DeepNMFRegressor(3, n_layers=3, averaging=0.9, **SETTINGS).fit(X, y),
        "deep_nmf_float32": DeepNMFRegressor(
            [2, 1], n_layers=2, output="mask", beta_loss=0.5, early_stopping=True, **SETTINGS
        ).fit(X.astype(np.float32), y.astype(np.float32) / 4),
        "sparse_nmf": SparseNMF(
            2, sparsity=0.1, fixed_components=np.ones((1, 4)), random_state=0
        ).fit(X),
        "mean_field": UnfoldedMeanFieldClassifier((3, 2), lateral=True, **SETTINGS).fit(
            X, classes
        ),
        "belief_propagation": UnfoldedBPClassifier(
            (), label_graph=graph, coupling="shared", tied=True, solver="sgd", **SETTINGS
        ).fit(X, labels),
        "enhancer": enhancer.fit([waveform + noise], [waveform]),
        "pipeline": pipeline.fit(X, y),
        "scaled_classifier": scaled_classifier.fit(X, labels[:, 0]),
        "crf": UnfoldedCRFClassifier(
            2, graph_columns=[3], coupling="features", tied=False, **SETTINGS
        ).fit(in_sequences(X), classes),
        "unfolded_classifier": UnfoldedClassifier(
            Smoothing(), readout=LogitReadout(), n_layers=3, **SETTINGS
        ).fit(X, classes),
        **{
            f"unfolded_{name}": UnfoldedRegressor(
                Smoothing(), readout=readout, loss=loss, n_layers=2, tied=True, **SETTINGS
            ).fit(X, targets)
            for name, readout, loss, targets in (
                ("identity", IdentityReadout(), "squared_error", X**2),
                ("linear", LinearReadout(), SquaredError(), y),
                ("mask", MaskReadout((2, 2)), BetaDivergence(1.0), y / 4),
            )
        },
    }
    return models, X, waveform + noise


def predict(model, X, waveform):
    """Return what a model makes of the data."""
    if isinstance(model, SpeechEnhancer):
        return model.enhance(waveform)
    if isinstance(model, SparseNMF):
        return model.transform(X)
    if isinstance(model, Pipeline | UnfoldedRegressor) and not hasattr(model, "predict_proba"):
        return model.predict(X)
    if isinstance(model, UnfoldedCRFClassifier):
        return model.predict_proba(in_sequences(X))
    if isinstance(model, DeepNMFRegressor):
        return model.predict(X.astype(model.bases_[0].dtype))
    return model.predict_proba(X)


def main():
    """Write the files; those of a version are written once."""
    folder = Path(__file__).parent / f"models-{__version__}"
    folder.mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        models, X, waveform = make_models()
    for name, model in models.items():
        save_model(model, folder / f"{name}.model", training_state=True)
    predictions = {name: predict(model, X, waveform) for name, model in models.items()}
    np.savez(folder / "predictions.npz", X=X, waveform=waveform, **predictions)


if __name__ == "__main__":
    main()
