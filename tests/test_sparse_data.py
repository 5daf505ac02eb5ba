"""Sparse X in all estimators: the results of dense X, in memory for its nonzero elements."""

import tracemalloc
from functools import partial

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import sparse

from skunfold import (
    DeepNMFRegressor,
    SparseNMF,
    UnfoldedBPClassifier,
    UnfoldedMeanFieldClassifier,
)

N, F = 90, 30
CLASSIFIERS = [UnfoldedMeanFieldClassifier, UnfoldedBPClassifier]
NMF_LOSSES = ["kullback-leibler", "frobenius"]


@pytest.fixture(name="data", scope="module")
def make_data():
    """Return X (with an empty row), targets, classes and weights (some are zero)."""
    rng = np.random.default_rng(0)
    X = rng.gamma(0.5, size=(N, 3)) @ rng.gamma(0.5, size=(3, F))
    X *= rng.random((N, F)) < 0.2
    X[5] = 0
    X /= X.max()
    return X, rng.random((N, 2)), rng.integers(0, 3, N), rng.integers(0, 3, N).astype(float)


def assert_same(actual, expected):
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.dtype == expected.dtype
    rtol = 1e-4 if expected.dtype == np.float32 else 1e-9
    assert_allclose(actual, expected, rtol=rtol, atol=rtol * np.abs(expected).max(initial=0))


@pytest.mark.parametrize("beta_loss", NMF_LOSSES)
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"init": "sparse_nmf", "solver": "mu", "sparsity": 0.1, "n_jobs": 2},
        {"init": "random", "solver": "naive-mu", "tied": True, "batch_size": 25},
        {"fit_projections": True, "relaxation": 2.0, "averaging": 0.5},
        {"recurrence": 0.5, "n_trained_layers": 2, "early_stopping": True},
        {"n_trained_layers": 0},
        {"output": "mask"},
        {"output": "mask", "n_trained_layers": 1},
        {"init": np.random.default_rng(0).uniform(size=(3, F))},
    ],
    ids=str,
)
def test_deep_nmf(data, beta_loss, params):
    X, y, _, weight = data
    if "output" in params:
        y = X[:, -4:] / 2
    options = {"n_components": 3, "n_layers": 4, "max_iter": 4, "random_state": 0}
    found = []
    for x in (X, sparse.csr_array(X)):
        model = DeepNMFRegressor(beta_loss=beta_loss, **options | params)
        model.fit(x, y, sample_weight=weight)
        found.append([model.predict(x), model.transform(x), *model.staged_predict(x)])
        found[-1] += [model.loss_curve_, model.score(x, y), model.sequence().predict(x)]
        found[-1].append(model.partial_fit(x, y).predict(x))
    for of_dense, of_sparse in zip(*found):
        assert_same(of_sparse, of_dense)


def test_deep_nmf_with_data_to_monitor_sources_and_a_warm_start(data):
    X, _, _, weight = data
    y, found = X[:, -4:] / 2, []
    for kind in (np.array, sparse.csc_matrix):
        model = DeepNMFRegressor(
            (3, 2),
            n_layers=3,
            output="mask",
            early_stopping=True,
            warm_start=True,
            max_iter=3,
            random_state=0,
        )
        x, sources = kind(X), [kind(X[:40]), kind(X[40:])]
        validation = {"X_val": kind(X[:20]), "y_val": y[:20], "sample_weight_val": weight[:20]}
        for _ in range(2):
            model.fit(x, y, sources=sources, **validation)
        found.append([model.predict(x), model.validation_loss_curve_])
    for of_dense, of_sparse in zip(*found):
        assert_same(of_sparse, of_dense)


@pytest.mark.parametrize("classifier", CLASSIFIERS)
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"hidden_layer_sizes": (5, 4), "lateral": True, "tied": True, "warm_start": True},
        {"early_stopping": True, "batch_size": 20, "class_weight": "balanced"},
        {"solver": "lbfgs", "hidden_layer_sizes": ()},
        {"init": "rbm"},
    ],
    ids=str,
)
def test_classifiers(data, classifier, params):
    X, _, y, weight = data
    options = {"hidden_layer_sizes": 6, "max_iter": 4, "random_state": 0}
    found = []
    for x in (X, sparse.csr_array(X)):
        model = classifier(**options | params).fit(x, y, sample_weight=weight)
        model.fit(x, y, sample_weight=weight)
        found.append([model.predict_proba(x), model.transform(x), model.predict(x)])
        found[-1] += [model.loss_curve_, *model.staged_predict_proba(x)]
        if model.solver != "lbfgs":
            found[-1].append(model.partial_fit(x, y).decision_function(x))
    for of_dense, of_sparse in zip(*found):
        assert_same(of_sparse, of_dense)


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_labels_that_see_their_own_features(data, classifier):
    X, _, _, _ = data
    y, neighbours = (X[:, :15] > 0).astype(int), np.eye(15, k=1) + np.eye(15, k=-1)
    params = {"label_graph": neighbours, "coupling": "shared", "max_iter": 3, "random_state": 0}
    model = classifier((), **params)
    expected = model.fit(X, y).predict_proba(X)
    x = sparse.csr_array(X)
    assert_same(model.fit(x, y).predict_proba(x), expected)


@pytest.mark.parametrize("beta_loss", NMF_LOSSES)
def test_sparse_nmf(data, beta_loss):
    X, _, _, weight = data
    found = []
    for x in (X, sparse.csr_array(X)):
        options = {"sparsity": 0.1, "beta_loss": beta_loss, "random_state": 0, "max_iter": 30}
        model = SparseNMF(3, **options).fit(x, sample_weight=weight)
        found.append([model.components_, model.transform(x), model.loss_curve_])
        found[-1].append(model.reconstruction_err_)
        for batch in (slice(0, 50), slice(50, N)):
            model.partial_fit(x[batch])
            found[-1] += [model.components_, model.reconstruction_err_]
    for of_dense, of_sparse in zip(*found):
        assert_same(of_sparse, of_dense)


ALL = {
    "classifier": partial(UnfoldedMeanFieldClassifier, 5, max_iter=2, random_state=0),
    "regressor": partial(DeepNMFRegressor, 3, n_layers=3, max_iter=2, random_state=0),
    "transformer": partial(SparseNMF, 3, max_iter=5, random_state=0),
}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
@pytest.mark.parametrize("format_", ["csr", "csc", "coo", "lil"])
@pytest.mark.parametrize("container", [sparse.csr_array, sparse.csr_matrix])
def test_formats_and_types(data, name, dtype, format_, container):
    X, _, y, _ = data
    X = np.ceil(10 * X).astype(dtype)
    x = container(X).asformat(format_)
    method = "predict_proba" if name == "classifier" else "transform"
    of_dense, of_sparse = (getattr(ALL[name]().fit(a, y), method)(a) for a in (X, x))
    assert_same(of_sparse, of_dense)
    assert of_sparse.dtype == (np.float32 if dtype == np.float32 else np.float64)


@pytest.mark.parametrize("name", ALL)
def test_long_indices_in_any_order_and_elements_in_parts(data, name):
    X, _, y, _ = data
    x = sparse.csr_array(X)
    halves = np.repeat(x.data / 2, 2)[::-1]
    indices = np.repeat(x.indices.astype(np.int64), 2)[::-1]
    indptr = np.r_[0, np.cumsum(2 * np.diff(x.indptr)[::-1])].astype(np.int64)
    awkward = sparse.csr_array((halves, indices, indptr), shape=x.shape)
    kept = awkward.copy()
    backwards = ALL[name]().fit(X[::-1].copy(), y[::-1])
    method = "predict_proba" if name == "classifier" else "transform"
    expected = getattr(backwards, method)(X[::-1].copy())
    assert_same(getattr(ALL[name]().fit(awkward, y[::-1]), method)(awkward), expected)
    for attribute in ("data", "indices", "indptr"):
        assert np.array_equal(getattr(awkward, attribute), getattr(kept, attribute))


@pytest.mark.parametrize("estimator", [DeepNMFRegressor, SparseNMF])
@pytest.mark.parametrize("beta_loss", ["itakura-saito", 1.5])
def test_other_divergences_ask_for_dense_data(data, estimator, beta_loss):
    X, y, _, _ = data
    x = sparse.csr_array(X)
    model = estimator(3, beta_loss=beta_loss, max_iter=2, random_state=0)
    assert not model.__sklearn_tags__().input_tags.sparse
    match = rf"X is sparse, but beta_loss={beta_loss!r} needs dense data; give X.toarray\(\)"
    with pytest.raises(TypeError, match=match):
        model.fit(x, y)
    with pytest.raises(TypeError, match=match):
        model.fit(X + 0.1, y).transform(x)
    model.set_params(beta_loss="frobenius")
    assert model.__sklearn_tags__().input_tags.sparse


def test_frames_with_sparse_columns(data):
    X, y, _, _ = data
    frame = pd.DataFrame.sparse.from_spmatrix(sparse.csr_matrix(X))
    model = SparseNMF(3, max_iter=5, tol=0, random_state=0)
    assert_same(model.fit(frame).transform(frame), model.fit(X).transform(X))
    model = DeepNMFRegressor(3, n_layers=2, max_iter=2, random_state=0)
    assert_same(model.fit(frame, y).predict(frame), model.fit(X, y).predict(X))
    with pytest.raises(TypeError, match="dense data is required"):
        model.set_params(beta_loss=1.5).fit(frame, y)


def test_sources_of_other_divergences_are_dense(data):
    X, _, _, _ = data
    model = DeepNMFRegressor(3, output="mask", beta_loss=1.5)
    with pytest.raises(TypeError, match="An array of sources is sparse, but"):
        model.fit(X, X[:, -4:], sources=[sparse.csr_array(X), X])


@pytest.mark.parametrize(
    "make",
    [
        partial(UnfoldedMeanFieldClassifier, 4),
        partial(UnfoldedBPClassifier, 4),
        partial(DeepNMFRegressor, 3, n_layers=3),
        partial(DeepNMFRegressor, 3, n_layers=3, beta_loss="frobenius"),
        SparseNMF,
        partial(SparseNMF, beta_loss="frobenius"),
    ],
    ids=lambda make: make.func.__name__ if isinstance(make, partial) else make.__name__,
)
def test_memory_is_for_nonzero_elements(make):
    rng = np.random.default_rng(0)
    X = sparse.random_array((8_000, 8_000), density=5e-4, rng=rng, format="csr")
    y = rng.integers(0, 2, X.shape[0])
    tracemalloc.start()
    try:
        make(max_iter=1, tol=0, random_state=0).fit(X, y).transform(X)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 0.06 * 8 * X.shape[0] * X.shape[1]  # 512 MB as a dense array


@pytest.mark.parametrize("form", ["stored zeros", "blocks"])
def test_stored_zeros_are_no_elements(form):
    dense = np.array([[1.0, 0, 2, 0], [0, 3, 0, 1], [1, 1, 0, 0], [0, 0, 2, 2]])
    if form == "blocks":
        stored = sparse.bsr_array(dense, blocksize=(2, 2))
    else:
        stored = sparse.csr_array(dense + (dense == 0))
        stored.data[stored.data == 1] = dense[dense + (dense == 0) == 1]
    n_stored = stored.nnz
    settings = {"n_layers": 2, "max_iter": 2, "random_state": 0}
    actual, expected = (
        DeepNMFRegressor(2, **settings).fit(X, np.ones((4, 2))).predict(X)
        for X in (stored, sparse.csr_array(dense))
    )
    np.testing.assert_allclose(actual, expected, rtol=1e-12)
    assert stored.nnz == n_stored
