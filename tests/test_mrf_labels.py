"""Label matrices and label graphs of the unfolded classifiers."""

import copy
import pickle
import tracemalloc

import numpy as np
import pytest
from configurations import FIELDS, dtypes_of, make_model
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.feature_extraction.image import grid_to_graph

from skunfold import UnfoldedBPClassifier, UnfoldedMeanFieldClassifier
from skunfold.model_files import load_model, save_model

both = pytest.mark.parametrize("cls", [UnfoldedMeanFieldClassifier, UnfoldedBPClassifier])


@pytest.mark.parametrize("name", FIELDS)
def test_label_matrices(labels, name):
    X, y = labels
    model = make_model(name, max_iter=100, learning_rate_init=0.1).fit(X, y)
    p = model.predict_proba(X)
    assert p.shape == model.decision_function(X).shape == y.shape
    assert_array_equal(model.predict(X), p > 0.5)
    if name not in ("BP, early stopping", "BP, sgd"):  # these learn little in so few epochs
        assert np.mean(model.predict(X) == y) > 0.7
    assert_allclose(np.exp(model.predict_log_proba(X)), p, rtol=1e-10)
    if name != "BP, early stopping":
        other = clone(model).fit(X, sparse.csr_array(y))
        assert_allclose(other.predict_proba(X), p)


@pytest.fixture(scope="module")
def chains():
    """Return (X, y): noisy views of chains of six labels, where neighbours mostly agree."""
    rng = np.random.default_rng(0)
    y = np.cumsum(rng.random((300, 6)) < 0.15, axis=1) + rng.integers(2, size=(300, 1))
    y %= 2
    return y + rng.normal(size=y.shape), y


CHAIN = sparse.diags_array([np.ones(5), np.ones(5)], offsets=[-1, 1])


@pytest.mark.parametrize("n_layers", [2, 7])
@both
def test_coupled_labels_know_more_than_labels_alone(chains, cls, n_layers):
    X, y = chains
    params = {"solver": "lbfgs", "tied": True, "label_graph": CHAIN, "random_state": 0}
    losses = {}
    for name, more in {
        "alone": {"coupling": "shared", "n_layers": 1},
        "shared": {"coupling": "shared", "n_layers": n_layers},
        "local": {"coupling": "local", "n_layers": n_layers},
        "edge": {"n_layers": n_layers},
    }.items():
        model = cls((), **params, **more).fit(X[:200], y[:200])
        p = model.predict_proba(X[200:])
        losses[name] = -np.mean(np.log(np.where(y[200:], p, 1 - p)))
        expected = {"alone": 2, "shared": 3, "local": 1 + 6 + 5, "edge": 36 + 6 + 5}
        assert model.n_parameters_ == expected[name]
        assert_array_equal(model.label_edges_, [range(5), range(1, 6)])
    assert losses["shared"] < 0.95 * losses["alone"]
    assert losses["local"] < 0.95 * losses["alone"]


KINDS = sparse.diags_array([[7.0, 2, 7, 2, 7]] * 2, offsets=[-1, 1])


@pytest.mark.parametrize(
    ("coupling", "graph", "edges"),
    [
        ("edge", CHAIN, range(5)),
        ("local", KINDS, range(5)),
        ("shared", CHAIN, [0] * 5),
        ("shared", KINDS, [1, 0, 1, 0, 1]),  # weights by increasing value
    ],
)
def test_label_trees_are_exact_once_messages_have_travelled(chains, coupling, graph, edges):
    X, y = chains
    model = UnfoldedBPClassifier((), n_layers=6, tied=True, label_graph=graph, solver="lbfgs")
    model.set_params(coupling=coupling, random_state=0).fit(X, y)
    [W], [b], [J] = (model.potentials_[0][name] for name in ("coefs", "intercepts", "lateral"))
    assert W.shape == ((6, 6) if coupling == "edge" else (1, 1))
    assert b.shape == ((1,) if coupling == "shared" else (6,))
    assert J.shape == (max(edges) + 1,)
    states = np.array(np.meshgrid(*[[0, 1]] * 6)).reshape(6, -1).T
    pairs = (states[:, :-1] * states[:, 1:]) @ J[list(edges)]
    fields = (X @ W if coupling == "edge" else X * W) + b
    for field, p in zip(fields[:20], model.predict_proba(X[:20])):
        weight = np.exp(states @ field + pairs)
        assert_allclose(p, weight @ states / weight.sum(), atol=1e-10)


@pytest.mark.parametrize("coupling", ["edge", "local", "shared"])
def test_the_form_of_a_label_graph_makes_no_difference(chains, coupling):
    X, y = chains
    i, j = np.array([[0, 1, 2, 3, 4, 0], [1, 2, 3, 4, 5, 5]])
    with_zero = sparse.csr_array(
        (np.array([7.0, 2, 7, 2, 7, 0] * 2), (np.append(i, j), np.append(j, i)))
    )
    parts = KINDS.tocoo()
    halves = sparse.coo_array((np.tile(parts.data / 2, 2), np.tile([parts.row, parts.col], 2)))
    expected = None
    for graph in (KINDS, KINDS.toarray(), KINDS.toarray().tolist(), with_zero, halves):
        model = UnfoldedBPClassifier(
            (), label_graph=graph, coupling=coupling, max_iter=3, random_state=0
        ).fit(X, y)
        assert_array_equal(model.label_edges_, [range(5), range(1, 6)])
        expected = model.predict_proba(X) if expected is None else expected
        assert_array_equal(model.predict_proba(X), expected)
    assert with_zero.nnz == 12  # a caller's matrix stays as it is


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("hidden", [(), (4,)])
@both
def test_every_kind_of_label_graph(chains, cls, hidden, tied, tmp_path):
    X, y = chains
    for graph, n_edges in (("full", 15), (CHAIN.toarray(), 5), (np.zeros((6, 6)), 0)):
        for coupling in ("edge", "local", "shared"):
            model = cls(
                hidden, tied=tied, label_graph=graph, coupling=coupling, n_layers=3, max_iter=3
            )
            model.set_params(random_state=0).fit(X, y)
            assert model.label_edges_.shape == (2, n_edges)
            n_weights = min(n_edges, 1) if coupling == "shared" else n_edges
            assert model.potentials_[-1]["lateral"][-1].shape == (n_weights,)
            p = model.predict_proba(X)
            assert_array_equal(model.predict(X), p > 0.5)
            assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(X), p)
            save_model(model, tmp_path / "model")
            assert_array_equal(load_model(tmp_path / "model").predict_proba(X), p)
            assert len(model.set_params(warm_start=True).fit(X, y).history_) == 6


@both
def test_memory_grows_with_edges_not_with_labels_squared(cls):
    side = 100
    graph = grid_to_graph(side, side)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(8, side**2)).astype(np.float32)
    model = cls((), tied=True, label_graph=graph, coupling="shared", max_iter=1, batch_size=4)
    tracemalloc.start()
    model.fit(X, (X > 0).astype(int))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert model.n_parameters_ == 3
    assert peak < 4 * side**4 / 4  # a quarter of one matrix of pairs


@pytest.mark.parametrize("coupling", ["edge", "shared"])
@both
def test_float32_stays_float32_on_label_graphs(chains, cls, coupling):
    X, y = chains
    single = X.astype(np.float32)
    for hidden in ((), (3,)):
        model = cls(hidden, label_graph=CHAIN, coupling=coupling, n_layers=3, max_iter=3)
        assert dtypes_of(model.fit(single, y), single) == {"float32"}


@both
def test_bad_label_graphs_are_named(chains, cls):
    X, y = chains
    with pytest.raises(ValueError, match="couples labels, but y holds classes"):
        cls((), label_graph="full").fit(X, y[:, 0])
    with pytest.raises(ValueError, match=r"label_graph has shape \(2, 2\); y has 6 labels"):
        cls((), label_graph=np.eye(2)).fit(X, y)
    with pytest.raises(ValueError, match="label_graph is not symmetric"):
        cls((), label_graph=np.triu(np.ones((6, 6)))).fit(X, y)
    values = np.triu(np.ones((6, 6))) + 1
    cls((), label_graph=values, max_iter=2).fit(X, y)  # all edges there, both ways
    with pytest.raises(ValueError, match=r"label_graph has other values below the diagonal"):
        cls((), label_graph=values, coupling="shared").fit(X, y)
    for coupling in ("local", "shared"):
        with pytest.raises(ValueError, match=f"X has 5 features; with coupling='{coupling}'"):
            cls((), label_graph="full", coupling=coupling).fit(X[:, :5], y)
    model = cls((), label_graph="full", max_iter=2, warm_start=True).fit(X, y)
    for change in ({"label_graph": CHAIN}, {"coupling": "local"}):
        with pytest.raises(ValueError, match="lateral, label_graph or coupling is not that of"):
            copy.deepcopy(model).set_params(**change).fit(X, y)
    model = cls((), label_graph="full", coupling="local", max_iter=2).fit(X, y)
    with pytest.raises(ValueError, match=r"has \[6\] biases; this model needs \[1\]"):
        cls((), label_graph="full", coupling="shared", init=model).fit(X, y)
    with pytest.raises(ValueError, match=r"has 15 couplings inside a layer; .* needs 5"):
        cls((), label_graph=CHAIN, coupling="local", init=model).fit(X, y)
