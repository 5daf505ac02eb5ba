"""One estimator, used by several threads at once, gives what it gives in a row."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from threadpoolctl import threadpool_limits

from skunfold import (
    DeepNMFRegressor,
    SparseNMF,
    UnfoldedBPClassifier,
    UnfoldedCRFClassifier,
    UnfoldedMeanFieldClassifier,
)
from skunfold._kernels import blocks
from skunfold.audio import SpeechEnhancer

N_THREADS = 6
RNG = np.random.default_rng(0)
X = RNG.uniform(size=(300, 8))
SETTINGS = {"max_iter": 2, "random_state": 0}


def chained(data):
    """Return the data as sequences of five rows, whose number is the last column."""
    return np.column_stack([data, np.arange(len(data)) // 5])


def fitted_enhancer():
    regressor = DeepNMFRegressor(2, n_layers=2, output="mask", **SETTINGS)
    return SpeechEnhancer(regressor, n_context=2, random_state=0).fit(
        [X.ravel()], [X.ravel() / 2]
    )


MODELS = {
    "linear": DeepNMFRegressor(4, n_layers=4, **SETTINGS).fit(X, X[:, :2]),
    "mask": DeepNMFRegressor(3, n_layers=4, output="mask", tied=True, **SETTINGS).fit(X, X / 2),
    "sparse NMF": SparseNMF(4, max_iter=20, random_state=0).fit(X),
    "mean field": UnfoldedMeanFieldClassifier((8, 4), **SETTINGS).fit(X, X[:, 0] > 0.5),
    "BP": UnfoldedBPClassifier(5, lateral=True, n_layers=3, **SETTINGS).fit(X, X[:, 0] > 0.5),
    "labels": UnfoldedBPClassifier((), label_graph="full", **SETTINGS).fit(X, X > 0.5),
    "chains": UnfoldedCRFClassifier(4, graph_columns=[-1], **SETTINGS).fit(
        chained(X), X[:, 2] > 0.5
    ),
    "enhancer": fitted_enhancer(),
}
CALLS = [
    (name, method)
    for name, model in MODELS.items()
    for method in ("predict", "predict_proba", "transform", "staged_predict", "enhance")
    if hasattr(model, method)
]


@pytest.mark.parametrize(("name", "method"), CALLS, ids=[" ".join(call) for call in CALLS])
@pytest.mark.parametrize("n_blas_threads", [1, 2])
@pytest.mark.parametrize("worth_blocks", [0, blocks.WORTH_BLOCKS])
def test_threads_that_share_a_model(monkeypatch, name, method, n_blas_threads, worth_blocks):
    monkeypatch.setattr(blocks, "WORTH_BLOCKS", worth_blocks)

    def call(data):
        if name == "enhancer":
            data = [data.ravel()] if method == "predict" else data.ravel()
        if name == "chains":
            data = chained(data)
        result = getattr(MODELS[name], method)(data)
        return np.concatenate(list(result)) if method == "staged_predict" else result

    parts = [X[i : i + 150 + 20 * (i % 3)] for i in range(2 * N_THREADS)]
    with threadpool_limits(n_blas_threads):
        in_a_row = [call(part) for part in parts]
        with ThreadPoolExecutor(N_THREADS) as pool:
            at_once = list(pool.map(call, parts))
    for one, other in zip(at_once, in_a_row):
        assert_array_equal(one, other)
