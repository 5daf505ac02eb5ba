"""UnfoldedCRFClassifier: graphs from columns, what it learns, and scikit-learn's tools."""

import pickle
from itertools import pairwise, product

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import coo_array, csr_array
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    cross_val_predict,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skunfold import UnfoldedCRFClassifier
from skunfold.model_files import Checkpoint, load_model, save_model

NAMES = np.array(["a", "b", "c"])
SETTINGS = {"random_state": 0, "max_iter": 15, "learning_rate_init": 0.05, "batch_size": 10}


def sequences(n=60, length=6, noise=0.9, seed=0):
    """Return noisy features, sequences and positions side by side, and classes that go round.

    Of two neighbours the later one is mostly of the next class, so directions matter.
    """
    rng = np.random.default_rng(seed)
    steps = rng.choice([1, 0], p=[0.9, 0.1], size=(n, length))
    steps[:, 0] = rng.integers(3, size=n)
    y = steps.cumsum(axis=1).ravel() % 3
    X = np.eye(3)[y] + noise * rng.normal(size=(n * length, 3))
    sequence, position = np.divmod(np.arange(n * length), length)
    return np.column_stack([X, sequence, position]), NAMES[y]


X, Y = sequences()
X_TEST, Y_TEST = sequences(seed=1)
CHAIN = {"graph_columns": [3, 4], **SETTINGS}


def fitted(**params):
    return UnfoldedCRFClassifier(**{**CHAIN, **params}).fit(X, Y)


def test_neighbours_help_and_directions_are_learned():
    alone = UnfoldedCRFClassifier(**SETTINGS).fit(X[:, :3], Y).score(X_TEST[:, :3], Y_TEST)
    model = fitted()
    assert model.score(X_TEST, Y_TEST) > alone + 0.1
    [table] = model.potentials_[0]["tables"]
    assert_array_equal(table.argmax(axis=1), [1, 2, 0])
    assert model.edge_kinds_.tolist() == ["next"]
    assert model.n_parameters_ == 3 * 3 + 3 + 9


def test_probabilities_are_the_marginals_of_the_potentials():
    model = fitted(n_layers=6)
    p = model.predict_proba(X_TEST[:6])
    one = model.potentials_[0]
    field = X_TEST[:6, :3] @ one["coefs"][0] + one["intercepts"][0]
    states = np.array(list(product(range(3), repeat=6)))
    score = field[np.arange(6), states].sum(axis=1)
    score += one["tables"][0][states[:, :-1], states[:, 1:]].sum(axis=1)
    joint = np.exp(score) / np.exp(score).sum()
    expected = np.stack([joint @ (states == c) for c in range(3)], axis=1)
    assert_allclose(p, expected, atol=1e-10)
    assert_array_equal(model.decode(X_TEST[:6]), NAMES[states[score.argmax()]])


def test_the_order_of_rows_does_not_matter_with_positions():
    model = fitted()
    order = np.random.default_rng(0).permutation(len(X_TEST))
    for method in ("predict_proba", "decision_function", "predict", "decode"):
        expected = getattr(model, method)(X_TEST)[order]
        assert_array_equal(getattr(model, method)(X_TEST[order]), expected)
    refitted = UnfoldedCRFClassifier(**CHAIN).fit(X[order], Y[order])
    assert_allclose(refitted.predict_proba(X_TEST), model.predict_proba(X_TEST), rtol=1e-9)


def test_consecutive_rows_are_neighbours_without_positions():
    model = fitted()
    other = UnfoldedCRFClassifier(**{**CHAIN, "graph_columns": 3}).fit(X[:, :4], Y)
    assert_allclose(other.predict_proba(X[:, :4]), model.predict_proba(X), rtol=1e-12)


def test_a_gap_of_positions_cuts_a_sequence():
    model = fitted()
    kept = X_TEST[:, 4] != 2
    parts = X_TEST[kept].copy()
    parts[:, 3] = 2 * parts[:, 3] + (parts[:, 4] > 2)
    expected = model.predict_proba(parts)
    assert_allclose(model.predict_proba(X_TEST[kept]), expected, rtol=1e-12)


def test_columns_by_name():
    frame = pd.DataFrame(X, columns=[*"uvw", "sentence", "position"])
    model = UnfoldedCRFClassifier(**{**CHAIN, "graph_columns": ["sentence", "position"]}).fit(
        frame, Y
    )
    assert_array_equal(model.graph_columns_, [3, 4])
    assert_allclose(model.predict_proba(frame), fitted().predict_proba(X))
    other = frame[["position", *"uvw", "sentence"]]
    again = clone(model).fit(other, Y)
    assert_array_equal(again.graph_columns_, [4, 0])
    assert_allclose(again.predict_proba(other), model.predict_proba(frame))


def test_negative_numbers_of_columns():
    assert_array_equal(fitted(graph_columns=[-2, -1]).graph_columns_, [3, 4])


@pytest.mark.parametrize(
    "params", [{}, {"hidden_layer_sizes": 4}, {"coupling": "features"}], ids=str
)
def test_sparse_data(params):
    model = fitted(**params)
    sparse = UnfoldedCRFClassifier(**{**CHAIN, **params}).fit(csr_array(X), Y)
    expected = model.predict_proba(X_TEST)
    assert_allclose(sparse.predict_proba(csr_array(X_TEST)), expected, rtol=1e-6)


@pytest.mark.parametrize(
    "params",
    [
        {"solver": "lbfgs"},
        {"solver": "sgd"},
        {"inference": "mean_field"},
        {"hidden_layer_sizes": (5, 4)},
        {"tied": False},
        {"coupling": "features"},
        {"power": 1.5, "damping": 0.2},
        {"schedule": "sequential"},
        {"schedule": "sequential", "training_loss": "likelihood", "early_stopping": True},
        {"averaging": 0.5},
    ],
    ids=str,
)
def test_settings_in_single_precision(params):
    model = UnfoldedCRFClassifier(**{**CHAIN, **params}).fit(X.astype(np.float32), Y)
    assert model.predict_proba(X_TEST.astype(np.float32)).dtype == np.float32
    arrays = [a for one in model.potentials_ for part in one.values() for a in part]
    assert {a.dtype for a in arrays} == {np.dtype(np.float32)}
    assert model.score(X_TEST, Y_TEST) > 0.7
    *_, last = model.staged_predict_proba(X_TEST)
    assert_allclose(last, model.predict_proba(X_TEST), rtol=1e-12)


def test_passes_along_chains_are_what_enough_rounds_are():
    flooding = fitted(n_layers=6, max_iter=5)
    sequential = fitted(schedule="sequential", max_iter=5)
    assert_allclose(sequential.predict_proba(X), flooding.predict_proba(X), rtol=1e-6)
    assert len(list(sequential.staged_predict(X))) == 1
    assert len(list(flooding.staged_predict(X))) == 6


def test_maximum_likelihood():
    exact = {"schedule": "sequential", "solver": "lbfgs", "alpha": 0.01, "tol": 1e-7}
    exact |= {"max_iter": 300, "training_loss": "likelihood"}
    weight = np.repeat(np.random.default_rng(0).uniform(0, 1, 60), 6) * (X[:, 3] > 5)
    model = UnfoldedCRFClassifier(**{**CHAIN, **exact}).fit(X, Y, sample_weight=weight)

    def loss(table):
        one = {**model.potentials_[0], "tables": [table]}
        return -log_likelihood(one, X, Y, weight) / weight.sum() + 0.005 * np.sum(table**2)

    [table] = model.potentials_[0]["tables"]
    best = loss(table)
    weights = model.potentials_[0]["coefs"][0]
    assert_allclose(model.loss_, best + 0.005 * np.sum(weights**2), rtol=1e-6)
    for direction in np.random.default_rng(1).normal(size=(5, 3, 3)):
        assert loss(table + 0.01 * direction) > best
    with pytest.raises(ValueError, match=r"Row 0 of X has the weight 0, but other rows"):
        model.fit(X, Y, sample_weight=X[:, 4] > 0)
    with pytest.raises(ValueError, match=r"'likelihood' needs exact inference along chains"):
        fitted(training_loss="likelihood")


def log_likelihood(one, X, Y, weight):
    """Return the weighted log-likelihood of sequences of six, by enumeration."""
    fields = (X[:, :3] @ one["coefs"][0] + one["intercepts"][0]).reshape(-1, 6, 3)
    states = np.array(list(product(range(3), repeat=6)))
    score = fields[:, np.arange(6), states].sum(axis=2)
    score += one["tables"][0][states[:, :-1], states[:, 1:]].sum(axis=1)
    y = np.searchsorted(NAMES, Y).reshape(-1, 6)
    place = (y * 3 ** np.arange(6)[::-1]).sum(axis=1)
    logs = score[np.arange(len(y)), place] - np.log(np.exp(score).sum(axis=1))
    return logs @ weight[::6]


def test_stages_hear_of_more_and_more_neighbours():
    model = fitted()
    first, second, *_ = model.staged_predict_proba(X_TEST)
    moved = X_TEST.copy()
    moved[:, 3] = np.arange(len(moved))  # each row by itself
    assert_allclose(model.predict_proba(moved), first, rtol=1e-12)
    assert abs(second - first).max() > 0.1


def test_two_classes():
    two = np.where(Y == "a", "yes", "no")
    model = UnfoldedCRFClassifier(**CHAIN).fit(X, two)
    decisions = model.decision_function(X)
    assert decisions.shape == (len(X),)
    assert_array_equal(model.predict(X), np.where(decisions > 0, "yes", "no"))
    assert_allclose(model.predict_proba(X)[:, 1], 1 / (1 + np.exp(-decisions)))
    assert_allclose(model.predict_log_proba(X), np.log(model.predict_proba(X)))


def test_without_a_graph_it_is_logistic_regression():
    model = UnfoldedCRFClassifier(alpha=1 / len(X), solver="lbfgs", tol=1e-8, max_iter=500)
    other = LogisticRegression(tol=1e-8, max_iter=500).fit(X[:, :3], Y)
    p = model.fit(X[:, :3], Y).predict_proba(X[:, :3])
    assert_allclose(p, other.predict_proba(X[:, :3]), atol=1e-4)


def test_untied_sweeps_begin_tied():
    tied, untied = fitted(max_iter=10), fitted(max_iter=20, tied=False)
    assert untied.n_iter_ == len(untied.history_) == 20
    assert [e["loss"] for e in untied.history_[:10]] == [e["loss"] for e in tied.history_]
    assert untied.loss_ < tied.loss_
    one, *others = untied.potentials_
    assert all(one["coefs"][0] is not other["coefs"][0] for other in others)
    assert one["tables"][0] is others[0]["tables"][0]  # the first sends nothing
    assert untied.n_parameters_ == 4 * 12 + 3 * 9


class Stop:
    """A callback that ends a fit after some epochs."""

    def __init__(self, n_epochs):
        self.n_epochs = n_epochs

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, *args, **kwargs):
        pass

    def on_fit_task_end(self, estimator, context):
        return context.task_name == "epoch" and context.task_id + 1 == self.n_epochs


def test_untied_sweeps_that_are_stopped_while_they_are_tied(tmp_path):
    pytest.importorskip("sklearn.callback")
    checkpoint = Checkpoint(tmp_path / "crf.model")
    model = UnfoldedCRFClassifier(**{**CHAIN, "tied": False})
    model.set_callbacks(checkpoint, Stop(3)).fit(X, Y)
    assert (model.n_iter_, len(model.history_), len(model.potentials_)) == (3, 3, 4)
    tied = fitted(max_iter=3)
    assert model.loss_ == tied.loss_
    assert_allclose(model.predict_proba(X), tied.predict_proba(X), rtol=1e-12)
    loaded = load_model(tmp_path / "crf.model").set_params(warm_start=True, max_iter=4)
    assert len(loaded.fit(X, Y).history_) == 7
    assert loaded.loss_ < tied.loss_
    first, second, *_ = loaded.potentials_
    assert abs(first["coefs"][0] - second["coefs"][0]).max() > 0


def grid_images(seed, n=8):
    """Return noisy images of stripes of different sizes, and the classes of their pixels."""
    rng = np.random.default_rng(seed)
    X, y = [], []
    for image in range(n):
        rows, columns = np.indices(rng.integers(5, 9, size=2)).reshape(2, -1)
        classes = (columns + rng.integers(2)) % 2  # alternate to the right, not down
        noise = rng.normal(size=len(rows))
        X.append(np.column_stack([classes + noise, np.full(len(rows), image), rows, columns]))
        y.append(classes)
    return np.concatenate(X), np.concatenate(y)


def test_grids_of_different_sizes():
    X, y = grid_images(0)
    X_test, y_test = grid_images(1)
    settings = {**SETTINGS, "batch_size": 1, "max_iter": 30}
    model = UnfoldedCRFClassifier(graph="grid", graph_columns=[1, 2, 3], **settings).fit(X, y)
    alone = UnfoldedCRFClassifier(**SETTINGS).fit(X[:, :1], y)
    assert model.edge_kinds_.tolist() == ["right", "down"]
    assert model.score(X_test, y_test) > alone.score(X_test[:, :1], y_test) + 0.15
    right, down = (
        A[0, 0] + A[1, 1] - A[0, 1] - A[1, 0] for A in model.potentials_[0]["tables"]
    )
    assert right < 0 < down
    order = np.random.default_rng(0).permutation(len(X))
    assert_allclose(model.predict_proba(X[order]), model.predict_proba(X)[order], rtol=1e-9)


def test_edge_features():
    """Whether neighbours agree depends on a feature of theirs."""
    rng = np.random.default_rng(0)
    sequence, place = np.divmod(np.arange(600), 4)
    same = np.repeat(rng.integers(2, size=150), 4)
    y = (np.repeat(rng.integers(2, size=150), 4) + np.where(same, 0, place)) % 2
    X = np.column_stack([2 * y - 1 + 2 * rng.normal(size=600), same, sequence, place])
    scores = {
        coupling: UnfoldedCRFClassifier(
            graph_columns=[2, 3], coupling=coupling, **{**SETTINGS, "max_iter": 40}
        )
        .fit(X[:400], y[:400])
        .score(X[400:], y[400:])
        for coupling in ("table", "features")
    }
    assert scores["features"] > scores["table"] + 0.05


def ring(n=40):
    return coo_array((np.ones(n), (np.arange(n), (np.arange(n) + 1) % n)))


def node_graph(kind):
    """Return a callable from node numbers to the adjacency of a ring of blocks."""
    A = ring().tocsr()
    A = A + A.T if kind == "symmetric" else A

    def graph(ids):
        assert ids.dtype == np.intp
        return A[ids][:, ids]

    return graph


def test_a_symmetric_graph_has_a_symmetric_table():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2, 1], 10)
    X = np.column_stack([np.eye(3)[y] + rng.normal(size=(40, 3)), np.arange(40)])
    settings = {"graph_columns": [3], **SETTINGS, "max_iter": 30}
    model = UnfoldedCRFClassifier(graph=node_graph("symmetric"), **settings).fit(X, y)
    [table] = model.potentials_[0]["tables"]
    assert model.symmetric_kinds_.tolist() == [True]
    assert_array_equal(table, table.T)
    assert np.diag(table).min() > table[~np.eye(3, dtype=bool)].max()
    directed = UnfoldedCRFClassifier(graph=node_graph("directed"), **settings).fit(X, y)
    [table] = directed.potentials_[0]["tables"]
    assert directed.symmetric_kinds_.tolist() == [False]
    assert abs(table - table.T).max() > 0.01


def test_rows_without_weight_are_heard_and_not_looked_at():
    """Transductive use: half of the rows are unlabelled."""
    known = np.random.default_rng(0).random(len(X)) < 0.5
    model = UnfoldedCRFClassifier(**CHAIN).fit(X, Y, sample_weight=known)
    other = np.where(known, Y, NAMES[0])
    again = UnfoldedCRFClassifier(**CHAIN).fit(X, other, sample_weight=known)
    assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    moved = np.where(known[:, None] | (np.arange(5) > 2), X, 0)
    silent = UnfoldedCRFClassifier(**CHAIN).fit(moved, Y, sample_weight=known)
    assert abs(silent.predict_proba(X) - model.predict_proba(X)).max() > 0.01
    assert model.score(X[~known], Y[~known]) > 0.7


def test_sequences_without_any_weight_are_left_out():
    weight = (X[:, 3] < 40).astype(float)
    model = UnfoldedCRFClassifier(**CHAIN).fit(X, Y, sample_weight=weight)
    kept = weight > 0
    other = UnfoldedCRFClassifier(**CHAIN).fit(X[kept], Y[kept])
    assert_allclose(model.predict_proba(X), other.predict_proba(X), rtol=1e-9)


def test_weights_of_classes():
    model = fitted(class_weight={"a": 10.0, "b": 1.0, "c": 1.0})
    assert np.mean(model.predict(X) == "a") > np.mean(fitted().predict(X) == "a") + 0.02


def test_warm_start_and_partial_fit():
    model = fitted(warm_start=True, max_iter=5)
    loss = model.loss_
    model.fit(X, Y)
    assert len(model.history_) == 10
    assert model.loss_ < loss
    stream = UnfoldedCRFClassifier(**CHAIN)
    for _ in range(15):
        stream.partial_fit(X, Y, classes=NAMES)
    assert stream.score(X_TEST, Y_TEST) > 0.75
    with pytest.raises(ValueError, match=r"n_layers.* is not that of the fit"):
        model.set_params(n_layers=7).fit(X, Y)
    with pytest.raises(AttributeError, match="no attribute 'partial_fit'"):
        UnfoldedCRFClassifier(solver="lbfgs").partial_fit(X, Y)


def test_early_stopping_holds_out_whole_sequences(monkeypatch):
    held_out = []
    original = UnfoldedCRFClassifier._run

    def run(self, layout, state, samples, valid, *others):
        held_out.append((samples.loaded().inputs[0], valid.loaded().inputs[0]))
        return original(self, layout, state, samples, valid, *others)

    monkeypatch.setattr(UnfoldedCRFClassifier, "_run", run)
    model = fitted(early_stopping=True)
    assert len(model.validation_scores_) == len(model.history_)
    for rows in held_out[0]:
        assert rows.shape[0] % 6 == 0
        assert rows.graph.linked.reshape(-1, 6).sum(axis=1).tolist() == [5] * (
            rows.shape[0] // 6
        )
    groups = (X[:, 3] // 2).astype(int)
    fitted(early_stopping=True)
    UnfoldedCRFClassifier(early_stopping=True, **CHAIN).fit(X, Y, groups=groups)
    features = held_out[-1][1].features
    first = np.flatnonzero((X[:, None, :3] == features[0]).all(axis=2))[0]
    assert len(features) % 12 == 0
    assert first % 12 == 0
    with pytest.raises(ValueError, match=r"of 1 components \(sequences, .* another fraction"):
        UnfoldedCRFClassifier(early_stopping=True, **CHAIN).fit(X[:6], Y[:6])
    with pytest.raises(ValueError, match=r"Row 3 of X is connected to a row of another group"):
        UnfoldedCRFClassifier(early_stopping=True, **CHAIN).fit(
            X, Y, groups=np.arange(360) // 3
        )


def test_rows_to_monitor():
    model = UnfoldedCRFClassifier(early_stopping=True, **CHAIN)
    model.fit(X, Y, X_val=X_TEST, y_val=Y_TEST)
    assert_allclose(max(model.validation_scores_), model.best_validation_score_)
    best = np.argmin(model.validation_loss_curve_)
    assert_allclose(model.validation_scores_[best], model.score(X_TEST, Y_TEST))
    with pytest.raises(ValueError, match=r"^y_val holds the class 'd'; this model knows"):
        model.fit(X, Y, X_val=X_TEST, y_val=np.where(Y_TEST == "a", "d", Y_TEST))
    with pytest.raises(ValueError, match=r"^Rows 0 and 360 of X_val are at the same place"):
        model.fit(X, Y, X_val=np.vstack([X_TEST, X_TEST]), y_val=np.tile(Y_TEST, 2))


def test_a_transform_is_the_hidden_units():
    model = fitted(hidden_layer_sizes=(4, 2))
    units = model.transform(X)
    assert units.shape == (len(X), 6)
    one = model.potentials_[0]
    first = 1 / (1 + np.exp(-(X[:, :3] @ one["coefs"][0] + one["intercepts"][0])))
    assert_allclose(units[:, :4], first)
    assert list(model.get_feature_names_out())[:1] == ["unfoldedcrfclassifier0"]


TOOLS = {"graph_columns": [-2, -1], "solver": "lbfgs", "max_iter": 30}


def test_a_search_uses_the_graph():
    """Structure is in X, so scorers and searches predict with it, without any routing."""
    pipeline = make_pipeline(
        make_column_transformer(
            (make_pipeline(StandardScaler(), PCA(3)), slice(0, 3)), remainder="passthrough"
        ),
        UnfoldedCRFClassifier(**TOOLS),
    )
    scores = {}
    for scoring in ("accuracy", "f1_macro", "neg_log_loss"):
        grid = {"unfoldedcrfclassifier__n_layers": [1, 4]}
        search = GridSearchCV(pipeline, grid, scoring=scoring, cv=GroupKFold(3))
        search.fit(X, Y, groups=X[:, 3])
        assert search.best_params_ == {"unfoldedcrfclassifier__n_layers": 4}
        scores[scoring] = search.cv_results_["mean_test_score"]
        assert search.score(X_TEST, Y_TEST) > scores[scoring][0]
    assert scores["accuracy"][1] > scores["accuracy"][0] + 0.1
    p = cross_val_predict(
        pipeline, X, Y, groups=X[:, 3], cv=GroupKFold(3), method="predict_proba"
    )
    assert np.mean(NAMES[p.argmax(axis=1)] == Y) > scores["accuracy"][0] + 0.1


def test_plain_folds_of_shuffled_rows():
    model = UnfoldedCRFClassifier(**TOOLS)
    cv = KFold(5, shuffle=True, random_state=0)
    with_graph = cross_val_score(model, X, Y, cv=cv).mean()
    # The folds cut sequences: rows that are alone are classified by their features.
    alone = cross_val_score(clone(model).set_params(n_layers=1), X, Y, cv=cv).mean()
    assert with_graph > alone - 0.05


def test_pickles_and_clones():
    model = fitted(tied=False, hidden_layer_sizes=3, max_iter=4)
    for copied in (pickle.loads(pickle.dumps(model)), clone(model).fit(X, Y)):
        assert_array_equal(copied.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize(
    "params",
    [{}, {"tied": False}, {"schedule": "sequential"}, {"coupling": "features"}],
    ids=str,
)
def test_model_files(params, tmp_path):
    model = fitted(hidden_layer_sizes=3, max_iter=4, warm_start=True, **params)
    save_model(model, tmp_path / "crf.model", training_state=True)
    loaded = load_model(tmp_path / "crf.model")
    for method in ("predict_proba", "transform"):
        assert_array_equal(getattr(loaded, method)(X), getattr(model, method)(X))
    assert_allclose(loaded.fit(X, Y).predict_proba(X), model.fit(X, Y).predict_proba(X))


@pytest.mark.parametrize("columns", [["sequence", "position"], "sequence", None])
def test_model_files_with_names_of_columns(columns, tmp_path):
    frame = pd.DataFrame(X, columns=["x", "y", "z", "sequence", "position"])
    model = UnfoldedCRFClassifier(graph_columns=columns, **SETTINGS).fit(frame, Y)
    save_model(model, tmp_path / "crf.model")
    loaded = load_model(tmp_path / "crf.model")
    assert loaded.graph_columns == columns
    assert_array_equal(loaded.predict_proba(frame), model.predict_proba(frame))


def test_a_callable_is_no_part_of_a_model_file(tmp_path):
    model = UnfoldedCRFClassifier(graph=node_graph("directed"), graph_columns=[1], max_iter=1)
    model.fit(np.column_stack([np.ones(40), np.arange(40)]), np.arange(40) % 3)
    with pytest.raises(TypeError, match="graph is of type function, which a model file cannot"):
        save_model(model, tmp_path / "crf.model")


@pytest.mark.parametrize(
    "transitions",
    [
        [("a", "a"), ("b", "b"), (None, "a"), ("c", None)],
        np.eye(3, dtype=bool),
    ],
    ids=["pairs", "array"],
)
def test_forbidden_transitions(transitions):
    model = fitted()
    found = model.decode(X_TEST, transitions).reshape(-1, 6)
    pairs = {*zip(found[:, :-1].ravel(), found[:, 1:].ravel())}
    assert ("a", "a") in {*pairwise(Y_TEST)}
    assert not pairs & {("a", "a"), ("b", "b")}
    if isinstance(transitions, list):
        assert "a" not in found[:, 0]
        assert "c" not in found[:, -1]
    else:
        assert ("c", "c") not in pairs
    one = model.potentials_[0]
    forbidden = -np.inf * np.ones((3, 3))
    for states, rows in zip(found[:5], X_TEST[:, :3].reshape(-1, 6, 3)):
        best = max(
            path_score(one, rows, path, transitions, forbidden)
            for path in product(range(3), repeat=6)
        )
        path = np.searchsorted(NAMES, states)
        assert_allclose(path_score(one, rows, path, transitions, forbidden), best)


def path_score(one, rows, path, transitions, forbidden):
    path = np.array(path)
    field = rows @ one["coefs"][0] + one["intercepts"][0]
    score = field[np.arange(6), path].sum() + one["tables"][0][path[:-1], path[1:]].sum()
    if isinstance(transitions, np.ndarray):
        return score - np.inf if transitions[path[:-1], path[1:]].any() else score
    names = [None, *NAMES[path], None]
    return score - np.inf if {*pairwise(names)} & {*transitions} else score
