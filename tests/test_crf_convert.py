"""Fields over rows from other models, and back."""

from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression

from skunfold import UnfoldedCRFClassifier
from skunfold.convert import (
    crf_to_crfsuite,
    crf_to_logistic_regression,
    crfsuite_to_crf,
    hmm_to_crf,
    logistic_regression_to_crf,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
Y = np.array(["a", "b", "c"])[(X[:, 0] + RNG.normal(size=60) > 0).astype(int) + (X[:, 1] > 0)]
SEQUENCE = np.arange(60) // 6


@pytest.mark.parametrize("y", [Y, Y == "a"], ids=["three classes", "two"])
def test_logistic_regression_and_back(y):
    regression = LogisticRegression().fit(X, y)
    field = logistic_regression_to_crf(regression)
    expected = regression.predict_proba(X)
    assert_allclose(field.predict_proba(X), expected)
    back = crf_to_logistic_regression(field)
    assert_allclose(back.predict_proba(X), expected)
    assert_allclose(back.decision_function(X), regression.decision_function(X))
    assert_array_equal(back.fit(X, y).classes_, regression.classes_)


def test_a_regression_is_a_start_for_a_field():
    regression = LogisticRegression().fit(X, Y)
    field = logistic_regression_to_crf(regression, graph_columns=[-1], max_iter=5)
    rows = np.column_stack([X, SEQUENCE])
    assert_allclose(field.predict_proba(rows), regression.predict_proba(X))
    p = field.predict_proba(rows)[np.arange(60), np.searchsorted(field.classes_, Y)]
    loss = field.fit(rows, Y).loss_
    assert loss < -np.log(p).mean()


START, MOVES = (
    np.array([0.7, 0.3, 0.0]),
    np.array([[0.8, 0.2, 0], [0.1, 0.6, 0.3], [0, 0.5, 0.5]]),
)
SYMBOLS = np.array([[0.5, 0.3, 0.1, 0.1], [0.0, 0.2, 0.4, 0.4], [0.25] * 4])


def test_the_posteriors_of_a_hidden_markov_model():
    field = hmm_to_crf(START, MOVES, SYMBOLS, classes=["down", "flat", "up"])
    symbols, first = np.array([3, 0, 2, 2, 1]), np.eye(5, 1)
    rows = np.hstack([np.eye(4)[symbols], first, np.zeros((5, 1))])
    states = np.array(list(product(range(3), repeat=5)))
    joint = START[states[:, 0]] * SYMBOLS[states, symbols].prod(axis=1)
    joint *= MOVES[states[:, :-1], states[:, 1:]].prod(axis=1)
    posterior = np.stack([joint @ (states == k) for k in range(3)], axis=1) / joint.sum()
    assert_allclose(field.predict_proba(rows), posterior, atol=1e-9)
    assert_array_equal(field.decode(rows), field.classes_[states[joint.argmax()]])


def test_weights_of_crfsuite_and_back():
    rows = np.column_stack([X, SEQUENCE])
    field = UnfoldedCRFClassifier(graph_columns=[-1], solver="lbfgs", max_iter=10).fit(rows, Y)
    state, moves = crf_to_crfsuite(field, list("uvwx"))
    info = SimpleNamespace(state_features=state, transitions=moves)
    again = crfsuite_to_crf(info, [*"uvwx", "bias"])
    with_bias = np.column_stack([X, np.ones(60), SEQUENCE])
    exact = field.set_params(schedule="sequential")
    exact.potentials_ = field.potentials_[:1]
    assert_allclose(again.predict_proba(with_bias), exact.predict_proba(rows), rtol=1e-9)
    with pytest.raises(ValueError, match="weight for 'bias', which is none of feature_names"):
        crfsuite_to_crf(info, list("uvwx"))


def test_a_tagger_of_python_crfsuite(tmp_path):
    pycrfsuite = pytest.importorskip("pycrfsuite")
    on, names = X > 0, list("uvwx")
    items = [[n for n, is_on in zip(names, row) if is_on] for row in on]
    trainer = pycrfsuite.Trainer(verbose=False)
    for k in range(10):
        trainer.append(items[6 * k : 6 * k + 6], Y[6 * k : 6 * k + 6])
    trainer.train(str(tmp_path / "model"))
    tagger = pycrfsuite.Tagger()
    tagger.open(str(tmp_path / "model"))
    field = crfsuite_to_crf(tagger.info(), names)
    rows = np.column_stack([on, SEQUENCE])
    p, tags = field.predict_proba(rows), field.decode(rows)
    for k in range(10):
        assert_array_equal(tagger.tag(items[6 * k : 6 * k + 6]), tags[6 * k : 6 * k + 6])
        for i in range(6):
            expected = [tagger.marginal(c, i) for c in field.classes_]
            assert_allclose(p[6 * k + i], expected, atol=1e-5)


def test_what_cannot_be_converted():
    rows = np.column_stack([X, SEQUENCE])
    deep = UnfoldedCRFClassifier(3, graph_columns=[-1], max_iter=1).fit(rows, Y)
    with pytest.raises(ValueError, match="which no logistic regression has"):
        crf_to_logistic_regression(deep)
    with pytest.raises(ValueError, match="no linear chain with one table"):
        crf_to_crfsuite(deep, list("uvwx"))
    plain = UnfoldedCRFClassifier(graph_columns=[-1], max_iter=1).fit(rows, Y)
    with pytest.raises(ValueError, match="feature_names are 2; give one for each of the 4"):
        crf_to_crfsuite(plain, list("uv"))
    regression = LogisticRegression().fit(X, Y)
    with pytest.raises(ValueError, match=r"A linear field has hidden_layer_sizes=\(\)"):
        logistic_regression_to_crf(regression, hidden_layer_sizes=3)
    with pytest.raises(ValueError, match="graph is a callable, whose kinds"):
        logistic_regression_to_crf(regression, graph=np.outer, graph_columns=[-1])
    with pytest.raises(ValueError, match=r"start are of 2 states, and emissions of 3"):
        hmm_to_crf(START[:2], MOVES, SYMBOLS)
    with pytest.raises(ValueError, match=r"^transitions holds probabilities .* up to 3; those"):
        hmm_to_crf(START, 3 * np.asarray(MOVES), SYMBOLS)
    with pytest.raises(ValueError, match=r"start has the shape \(\); give"):
        hmm_to_crf(None, MOVES, SYMBOLS)
    with pytest.raises(TypeError, match=r"info is a str; give what pycrfsuite.Tagger.info"):
        crfsuite_to_crf("model.crfsuite", ["a"])
    info = SimpleNamespace(state_features={("a", "x"): 1.0}, transitions={})
    with pytest.raises(ValueError, match=r"feature_names holds a name twice"):
        crfsuite_to_crf(info, ["a", "a"])
    with pytest.raises(ValueError, match=r"are no 3 classes in increasing order"):
        hmm_to_crf(START, MOVES, SYMBOLS, classes=["c", "b", "a"])
    with pytest.raises(ValueError, match=r"The model is one of chains; leave out graph='grid'"):
        hmm_to_crf(
            START, MOVES, SYMBOLS, graph="grid", graph_columns=[-3, -2, -1], schedule="flooding"
        )
