"""The unfolded classifiers: oracles, invariants, training, and the scikit-learn API."""

import io
import pickle
import tracemalloc

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris, make_multilabel_classification
from sklearn.feature_extraction.image import grid_to_graph
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, scale

from skunfold import UnfoldedBPClassifier, UnfoldedMeanFieldClassifier
from skunfold.model_files import load_model, save_model

BOTH = [UnfoldedMeanFieldClassifier, UnfoldedBPClassifier]
both = pytest.mark.parametrize("cls", BOTH)


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    return scale(X)[::2], np.array(["setosa", "versicolor", "virginica"])[y[::2]]


@pytest.fixture(scope="module")
def two_classes(iris):
    X, y = iris
    return X[y != "setosa"], y[y != "setosa"]


@pytest.fixture(scope="module")
def labels():
    X, y = make_multilabel_classification(80, 8, n_classes=4, random_state=0)
    return scale(X), y


CONFIGURATIONS = {
    "mean field": UnfoldedMeanFieldClassifier(5, n_layers=3),
    "mean field, tied": UnfoldedMeanFieldClassifier((4, 3), n_layers=3, tied=True, damping=0.8),
    "mean field, untied, lateral": UnfoldedMeanFieldClassifier(
        (4, 3), n_layers=3, tied=False, lateral=True, damping=0.3
    ),
    "mean field, no hidden layer": UnfoldedMeanFieldClassifier(()),
    "mean field, lbfgs": UnfoldedMeanFieldClassifier(5, solver="lbfgs"),
    "BP": UnfoldedBPClassifier((5, 4), n_layers=3),
    "BP, tied": UnfoldedBPClassifier((5, 4), n_layers=3, tied=True, lateral=True),
    "BP, untied, lateral": UnfoldedBPClassifier(
        (4,), n_layers=3, tied=False, lateral=True, damping=0.3, power=0.7
    ),
    "BP, lbfgs": UnfoldedBPClassifier((4, 3), solver="lbfgs"),
    "BP, sgd": UnfoldedBPClassifier((4, 3), solver="sgd", learning_rate_init=0.3),
    "BP, early stopping": UnfoldedBPClassifier((4, 3), early_stopping=True),
}
every_configuration = pytest.mark.parametrize("name", CONFIGURATIONS)


def make_model(name, **params):
    return clone(CONFIGURATIONS[name]).set_params(
        **{"max_iter": 20, "random_state": 0} | params
    )


# Oracles


@pytest.mark.parametrize("hidden", [(5,), (6, 4), (5, 4, 3)])
@pytest.mark.parametrize("data", ["iris", "two_classes", "labels"])
def test_depth_one_is_the_network_of_scikit_learn(data, hidden, request):
    X, y = request.getfixturevalue(data)
    mlp = MLPClassifier(hidden, activation="logistic", max_iter=30, random_state=0).fit(X, y)
    model = UnfoldedMeanFieldClassifier(hidden, n_layers=1, init=mlp, max_iter=1)
    model.fit(X, y)
    model.potentials_ = [
        {"coefs": mlp.coefs_, "intercepts": mlp.intercepts_, "lateral": [None] * 4}
    ]
    assert_allclose(model.predict_proba(X), mlp.predict_proba(X), rtol=1e-12, atol=1e-14)
    assert_array_equal(model.predict(X), mlp.predict(X))
    assert_array_equal(model.classes_, mlp.classes_)


@pytest.mark.parametrize("solver", ["lbfgs", "adam", "sgd"])
@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_depth_one_learns_like_the_network_of_scikit_learn(iris, solver, alpha):
    X, y = iris
    params = {
        "solver": solver,
        "alpha": alpha,
        "learning_rate_init": 1e-3,
        "max_iter": 15,
        "random_state": 0,
    }
    mlp = MLPClassifier(6, activation="logistic", **params).fit(X, y)
    params["alpha"] /= len(X)  # MLPClassifier divides by the samples of an update
    model = UnfoldedMeanFieldClassifier(6, n_layers=1, **params).fit(X, y)
    assert_allclose(model.predict_proba(X), mlp.predict_proba(X), rtol=1e-4)
    if solver != "lbfgs":
        assert_allclose(model.loss_curve_, mlp.loss_curve_, rtol=1e-4)


@pytest.mark.parametrize("n_layers", [1, 2, 5])
def test_sweeps_of_a_star_change_nothing(iris, n_layers):
    X, y = iris
    one = UnfoldedBPClassifier(6, n_layers=1, max_iter=20, random_state=0).fit(X, y)
    more = UnfoldedBPClassifier(6, n_layers=n_layers, init=one, max_iter=1).fit(X, y)
    more.potentials_ = one.potentials_ * n_layers
    assert_allclose(more.predict_proba(X), one.predict_proba(X), rtol=1e-10)


@every_configuration
def test_samples_are_independent(iris, name):
    X, y = iris
    model = make_model(name).fit(X, y)
    rows = np.concatenate([model.predict_proba(X[i : i + 1]) for i in range(len(X))])
    assert_allclose(rows, model.predict_proba(X), rtol=1e-9)


@every_configuration
def test_a_sample_of_weight_two_is_two_samples(iris, name):
    X, y = iris
    weight = np.random.default_rng(0).integers(0, 3, len(X))
    model = make_model(name, early_stopping=False)
    weighted = clone(model).fit(X, y, sample_weight=weight)
    repeated = clone(model).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-5)


def test_class_weights_are_sample_weights(two_classes):
    X, y = two_classes
    X, y = X[:35], y[:35]
    weight = np.where(y == "versicolor", 1.0, 3.0)
    model = make_model("mean field")
    by_class = clone(model).set_params(class_weight={"versicolor": 1, "virginica": 3})
    by_sample = clone(model).fit(X, y, sample_weight=weight)
    assert_allclose(by_class.fit(X, y).predict_proba(X), by_sample.predict_proba(X))
    sums = {c: (y == c).sum() for c in np.unique(y)}
    balance = {c: len(y) / (2 * n) for c, n in sums.items()}
    balanced = clone(model).set_params(class_weight="balanced").fit(X, y)
    given = clone(model).set_params(class_weight=balance).fit(X, y)
    assert_allclose(balanced.predict_proba(X), given.predict_proba(X), rtol=1e-8)


# Training


@every_configuration
def test_training_lowers_the_loss_and_never_ends_worse(iris, name):
    X, y = iris
    start = make_model(name, max_iter=1, learning_rate_init=1e-12).fit(X, y)
    model = make_model(name).fit(X, y)
    assert log_loss(y, model.predict_proba(X)) < log_loss(y, start.predict_proba(X))
    wild = make_model(name, learning_rate_init=1e4, early_stopping=False).fit(X, y)
    assert wild.loss_ <= clone(start).set_params(early_stopping=False).fit(X, y).loss_ + 1e-9


@pytest.mark.parametrize("lateral", [False, True])
@both
def test_what_is_shared_and_counted(iris, cls, lateral):
    X, y = iris
    model = cls((4, 3), n_layers=3, tied=True, lateral=lateral, max_iter=2, random_state=0)
    model.fit(X, y)
    chain = 4 * 4 + 4 + 4 * 3 + 3 + 3 * 3 + 3
    pairs = 6 + 3 if lateral else 0
    assert all(one is model.potentials_[0] for one in model.potentials_)
    assert len(model.potentials_) == 3
    assert model.n_parameters_ == chain + pairs
    model.set_params(tied=False).fit(X, y)
    assert len({id(one["coefs"][0]) for one in model.potentials_}) == 3
    assert model.n_parameters_ == 3 * chain + 2 * pairs


@pytest.mark.parametrize(
    ("cls", "less"), [(UnfoldedMeanFieldClassifier, 0.8), (UnfoldedBPClassifier, 0.95)]
)
def test_damping_keeps_tied_sweeps_from_overfitting(cls, less):
    X, y = load_digits(return_X_y=True)
    X = scale(X)
    losses = []
    for damping in (0.0, 0.8):
        model = cls((16, 8), n_layers=4, tied=True, damping=damping, batch_size=50)
        model.set_params(learning_rate_init=0.03, max_iter=30, random_state=0)
        p = model.fit(X[:400], y[:400]).predict_proba(X[400:1000])
        losses.append(log_loss(y[400:1000], p))
    assert losses[1] < less * losses[0]


@both
def test_early_stopping_with_sparse_labels(iris, cls):
    X, y = iris
    labels = (y[:, None] == np.unique(y)).astype(int)
    model = cls(4, early_stopping=True, max_iter=3, random_state=0)
    dense, sparse_ = clone(model).fit(X, labels), model.fit(X, sparse.csr_array(labels))
    assert_array_equal(sparse_.predict_proba(X), dense.predict_proba(X))


def test_early_stopping_keeps_what_was_best_on_held_out_samples(iris):
    X, y = iris
    model = make_model("BP, early stopping", max_iter=60).fit(X, y)
    assert len(model.validation_loss_curve_) == len(model.validation_scores_) == model.n_iter_
    assert model.best_loss_ is None
    assert model.loss_ == min(model.validation_loss_curve_)
    assert model.best_validation_score_ == max(model.validation_scores_)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_callbacks_see_every_epoch_and_may_stop(iris, solver):
    pytest.importorskip("sklearn.callback")
    X, y = iris

    class Watch:
        def __init__(self):
            self.scores = []

        def setup(self, estimator, context):
            pass

        def teardown(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            pass

        def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
            self.scores.append(fitted_estimator.score(X, y))
            return len(self.scores) == 5

    watch = Watch()
    model = make_model("mean field", solver=solver).set_callbacks(watch).fit(X, y)
    assert model.n_iter_ == 5
    assert len(watch.scores) == 6  # five epochs and the fit
    assert_allclose(watch.scores[-1], model.score(X, y))


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_verbose_prints_a_line_an_epoch(iris, solver, capsys):
    model = make_model("mean field", solver=solver, max_iter=3, verbose=1).fit(*iris)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    for line, epoch in zip(lines, model.history_):
        losses = f"loss {epoch['loss']:.6g}, final loss {epoch['final_loss']:.6g}"
        assert line == f"Epoch {epoch['epoch']}: {losses} ({epoch['seconds']:.1f} s)"
        assert epoch["seconds"] > 0


# Initialisation


@both
def test_init_from_fitted_models(iris, cls):
    X, y = iris
    mlp = MLPClassifier((6, 4), activation="logistic", solver="lbfgs", random_state=0).fit(X, y)
    field = UnfoldedMeanFieldClassifier(
        (6, 4), n_layers=2, tied=False, max_iter=30, random_state=0
    ).fit(X, y)
    for init in (mlp, field):
        for params in ({}, {"tied": False, "n_layers": 4}, {"lateral": True, "n_layers": 3}):
            model = cls((6, 4), init=init, max_iter=1, learning_rate_init=1e-12, **params)
            W = model.fit(X, y).potentials_[-1]["coefs"][0]
            last = init.coefs_ if init is mlp else init.potentials_[-1]["coefs"]
            assert_allclose(W, last[0], atol=1e-6)


@both
def test_init_by_a_restricted_boltzmann_machine(iris, cls):
    X, y = iris
    X = MinMaxScaler(clip=True).fit_transform(X)
    model = cls((6, 4), init="rbm", solver="lbfgs", random_state=0).fit(X, y)
    assert model.score(X, y) > 0.7


# Labels


@every_configuration
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


# Numbers


def outputs_of(model, X):
    """Return the names and dtypes of all that a model computes, and of its potentials."""
    arrays = {
        name: getattr(model, name)(X)
        for name in ("predict_proba", "predict_log_proba", "decision_function", "transform")
    }
    arrays |= {f"stage {k}": p for k, p in enumerate(model.staged_predict_proba(X))}
    for k, one in enumerate(model.potentials_):
        for name, group in one.items():
            arrays |= {f"{name} {k} {i}": a for i, a in enumerate(group) if a is not None}
    return {name: a.dtype.name for name, a in arrays.items()}


@pytest.mark.parametrize("data", ["iris", "two_classes", "labels"])
@every_configuration
def test_float32_stays_float32(request, name, data):
    X, y = request.getfixturevalue(data)
    single = X.astype(np.float32)
    model, double = make_model(name).fit(single, y), make_model(name).fit(X, y)
    assert set(outputs_of(model, single).values()) == {"float32"}
    assert set(outputs_of(double, X).values()) == {"float64"}
    assert_allclose(model.predict_proba(single), double.predict_proba(X), atol=0.05)
    model.set_params(warm_start=True).fit(single, y, sample_weight=np.ones(len(X)))
    assert set(outputs_of(model, single).values()) == {"float32"}


@pytest.mark.parametrize("coupling", ["edge", "shared"])
@both
def test_float32_stays_float32_on_label_graphs(chains, cls, coupling):
    X, y = chains
    single = X.astype(np.float32)
    for hidden in ((), (3,)):
        model = cls(hidden, label_graph=CHAIN, coupling=coupling, n_layers=3, max_iter=3)
        assert set(outputs_of(model.fit(single, y), single).values()) == {"float32"}


@every_configuration
def test_logarithms_of_small_probabilities_are_finite(iris, name):
    X, y = iris
    model = make_model(name).fit(X, y)
    logs = model.predict_log_proba(1e6 * X)
    assert np.isfinite(logs).all()
    for one in model.potentials_:
        one["coefs"] = [1e3 * W for W in one["coefs"]]
    assert np.isfinite(model.predict_log_proba(X)).all()
    assert_allclose(model.predict_proba(X).sum(axis=1), 1)


# The API


@every_configuration
def test_pickle_joblib_clone_and_model_files(iris, name, tmp_path):
    X, y = iris
    model = make_model(name).fit(X, y)
    expected = model.predict_proba(X)
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(X), expected)
    assert_array_equal(clone(model).fit(X, y).predict_proba(X), expected)
    buffer = io.BytesIO()
    joblib.dump(model, buffer)
    buffer.seek(0)
    assert_array_equal(joblib.load(buffer).predict_proba(X), expected)
    save_model(model, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert_array_equal(loaded.predict_proba(X), expected)
    assert_array_equal(loaded.predict(X), model.predict(X))
    assert loaded.set_params(warm_start=True, max_iter=1).fit(X, y).score(X, y) > 0


@both
def test_grid_search_over_depth_in_a_pipeline(iris, cls):
    X, y = iris
    pipeline = make_pipeline(MinMaxScaler(), cls((4, 3), max_iter=5, random_state=0))
    grid = {f"{cls.__name__.lower()}__n_layers": [1, 3]}
    grid[f"{cls.__name__.lower()}__tied"] = [False, True]
    search = GridSearchCV(pipeline, grid, n_jobs=2, cv=2).fit(X, y)
    serial = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    assert_array_equal(search.predict(X), serial.predict(X))
    assert_array_equal(
        search.cv_results_["mean_test_score"], serial.cv_results_["mean_test_score"]
    )


@every_configuration
def test_staged_predictions_end_with_the_prediction(iris, name):
    X, y = iris
    model = make_model(name).fit(X, y)
    stages = list(model.staged_predict_proba(X))
    assert len(stages) == model.n_layers
    assert_allclose(stages[-1], model.predict_proba(X))
    *_, last = model.staged_predict(X)
    assert_array_equal(last, model.predict(X))


@both
def test_beliefs_of_hidden_units(iris, cls):
    pd = pytest.importorskip("pandas")
    X, y = iris
    model = cls((5, 3), max_iter=5).fit(X, y)
    beliefs = model.transform(X)
    assert beliefs.shape == (len(X), 8)
    assert 0 <= beliefs.min() <= beliefs.max() <= 1
    names = [f"{cls.__name__.lower()}{i}" for i in range(8)]
    assert list(model.get_feature_names_out()) == names
    frame = model.set_output(transform="pandas").transform(X)
    assert isinstance(frame, pd.DataFrame)


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"hidden_layer_sizes": (3, 0)}, r"hidden_layer_sizes=\(3, 0\) holds something else"),
        ({"hidden_layer_sizes": (3, None)}, r"hidden_layer_sizes=\(3, None\) holds something"),
        ({"hidden_layer_sizes": ["a"]}, r"hidden_layer_sizes=\['a'\] holds something else"),
        ({"hidden_layer_sizes": 0}, "The 'hidden_layer_sizes' parameter"),
        ({"n_layers": 0}, "The 'n_layers' parameter"),
        ({"damping": 1.0}, "The 'damping' parameter"),
        ({"init": "rbm"}, "init='rbm' needs X between 0 and 1; it is between"),
        ({"init": "rbm", "hidden_layer_sizes": ()}, "init='rbm' needs a hidden layer"),
    ],
)
@both
def test_bad_parameters_are_named(iris, cls, params, match):
    with pytest.raises(ValueError, match=match):
        cls(**params).fit(*iris)


@both
def test_bad_data_is_named(iris, cls):
    X, y = iris
    with pytest.raises(ValueError, match=r"zero for all samples|at least one non-zero"):
        cls().fit(X, y, sample_weight=np.zeros(len(X)))
    mlp = MLPClassifier(5, max_iter=2).fit(X, y)
    with pytest.raises(ValueError, match=r"activation='relu'; only hidden units"):
        cls(5, init=mlp).fit(X, y)
    mlp = MLPClassifier(5, activation="logistic", max_iter=2).fit(X, y)
    with pytest.raises(ValueError, match=r"has couplings of shapes .* this model needs"):
        cls(6, init=mlp).fit(X, y)
    model = cls((5, 4), max_iter=2, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="n_layers=3, but the fit had 2 layers; set it back"):
        clone_with(model, n_layers=3).fit(X, y)
    with pytest.raises(ValueError, match=r"hidden_layer_sizes=\(6,\), but the fit had"):
        clone_with(model, hidden_layer_sizes=6).fit(X, y)
    with pytest.raises(ValueError, match=r"y holds the classes .* continues a fit to"):
        model.fit(X[y != "setosa"], y[y != "setosa"])
    model = cls((5, 4)).partial_fit(X, y, classes=np.unique(y))
    with pytest.raises(ValueError, match=r"y holds the class .*; this model knows the classes"):
        model.partial_fit(X, np.where(y == "setosa", "rose", y))
    with pytest.raises(ValueError, match="was fitted with one column of classes"):
        model.partial_fit(X, np.eye(3, dtype=int)[np.arange(len(X)) % 3])
    for weight in (-1.0, float("nan")):
        with pytest.raises(ValueError, match=r"class_weight=.* finite weights of 0 or more"):
            cls(class_weight={0: weight}).fit(X, np.arange(len(X)) % 3)
    with pytest.raises(ValueError, match="class_weight='balanced' is for classes"):
        cls(class_weight="balanced").fit(X, np.eye(3, dtype=int)[np.arange(len(X)) % 3])


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
            clone_with(model, **change).fit(X, y)
    model = cls((), label_graph="full", coupling="local", max_iter=2).fit(X, y)
    with pytest.raises(ValueError, match=r"has \[6\] biases; this model needs \[1\]"):
        cls((), label_graph="full", coupling="shared", init=model).fit(X, y)
    with pytest.raises(ValueError, match=r"has 15 couplings inside a layer; .* needs 5"):
        cls((), label_graph=CHAIN, coupling="local", init=model).fit(X, y)


def clone_with(model, **params):
    return pickle.loads(pickle.dumps(model)).set_params(**params)
