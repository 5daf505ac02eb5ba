"""The recipes of CONTRIBUTING: a model, a readout and a message rule are added, and trained."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from configurations import learned_arrays
from differences import finite_differences
from guide import KLNMF
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit
from sklearn.base import clone

from skunfold import UnfoldedMeanFieldClassifier
from skunfold._kernels.belief_propagation import BeliefPropagation
from skunfold._kernels.graphs import Graph, complete_graph
from skunfold._kernels.layered_mrf import (
    FieldIteration,
    FieldReadout,
    Message,
    sets_of_sweeps,
)
from skunfold._kernels.mean_field import MeanField
from skunfold._kernels.message_rules import Link, MessageRule
from skunfold._kernels.unfolding import Unfolding
from skunfold.model_files import load_model, save_model
from skunfold.unfolding import (
    CrossEntropy,
    IdentityReadout,
    Iteration,
    LinearReadout,
    LogitReadout,
    MaskReadout,
    Readout,
    SquaredError,
    UnfoldedRegressor,
    check_adjoint,
)

ROOT = Path(__file__).parents[1]


def test_what_the_recipes_name_is_there():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    recipes = re.findall(
        r"^## Add a (?:model|readout|message rule)\n(.*?)(?=^## )", text, re.M | re.S
    )
    assert len(recipes) == 3
    files = re.findall(r"`((?:skunfold|tests|doc)/[\w/.]+)`", "".join(recipes))
    assert len(files) > 12
    assert [name for name in files if not (ROOT / name).exists()] == []


# A model


class Damped(Iteration):
    """h <- h + rate (x - h), from h = 0: a model that only smooths."""

    positive = True

    def parameters(self, X, y, random_state):
        return (np.full(X.shape[1], 0.2),)

    def initial(self, theta, X, n_samples):
        return np.zeros_like(X)

    def step(self, theta, X, h, k):
        return h + theta[0] * (X - h), X - h

    def adjoint(self, theta, tape, g, k):
        return g * (1 - theta[0]), None, (np.sum(g * tape, axis=0),)


def test_a_model_is_added(mixtures):
    X, _ = mixtures
    check_adjoint(Damped(), X[:5])
    model = UnfoldedRegressor(Damped(), readout=IdentityReadout(), n_layers=2, tied=True)
    model.set_params(learning_rate_init=0.1, max_iter=200, random_state=0)
    rate = np.linspace(0.2, 0.6, X.shape[1])
    model.fit(X, X * (1 - (1 - rate) ** 2))
    assert_allclose(model.theta_[0][0], rate, rtol=0.05)


# A readout


class SoftplusReadout(Readout):
    """Outputs log(1 + exp(h U + c)), for targets that are not negative."""

    def parameters(self, X, y, h, sample_weight):
        return np.zeros((h.shape[1], y.shape[1])), np.log(np.expm1(y.mean(axis=0)))

    def read(self, parameters, X, h):
        U, c = parameters
        logits = h @ U + c
        return np.logaddexp(logits, 0).astype(h.dtype), (h, logits)

    def adjoint(self, parameters, tape, g):
        h, logits = tape
        g = g * expit(logits)
        return g @ parameters[0].T, (h.T @ g, g.sum(axis=0))


@pytest.mark.parametrize(
    "readout",
    [
        IdentityReadout(),
        LinearReadout(),
        LogitReadout(),
        MaskReadout((2, 2)),
        SoftplusReadout(),
    ],
    ids=str,
)
def test_readouts_are_derived_from_the_base_class(readout):
    assert isinstance(readout, Readout)
    assert not isinstance(SquaredError(), Readout)


def test_a_readout_is_added(mixtures, tmp_path):
    X, y = mixtures
    rng, readout = np.random.default_rng(0), SoftplusReadout()
    h, targets = rng.normal(size=(7, 3)), y[:7, :2]
    parameters = [p + rng.normal(size=p.shape) for p in readout.parameters(X, targets, h, None)]

    def loss():
        output, _ = readout.read(tuple(parameters), X, h)
        return 0.5 * np.sum((output - targets) ** 2)

    output, tape = readout.read(tuple(parameters), X, h)
    g_h, gradients = readout.adjoint(tuple(parameters), tape, output - targets)
    for actual, expected in zip((g_h, *gradients), finite_differences(loss, [h, *parameters])):
        assert_allclose(actual, expected, rtol=1e-6, atol=1e-9)

    model = UnfoldedRegressor(KLNMF(6), readout=readout, n_layers=4, learning_rate_init=0.05)
    model.set_params(max_iter=100, random_state=0)
    untrained = clone(model).set_params(n_trained_layers=0).fit(X, y)
    trained = clone(model).fit(X, y)
    assert trained.score(X, y) > 0.8 > untrained.score(X, y)
    assert (trained.predict(X) > 0).all()
    save_model(trained, tmp_path / "model")
    loaded = load_model(tmp_path / "model", classes=[KLNMF, SoftplusReadout])
    assert_array_equal(loaded.predict(X), trained.predict(X))


# A message rule


@dataclass(frozen=True)
class SpinLink:
    """Messages of units that are -1 or 1: the mean of a spin, tanh(t), times the couplings.

    A class node sends its probabilities minus their mean.
    """

    down: bool = False
    from_classes: bool = False
    graph: Graph | None = None

    def prepare(self, W):
        if self.graph is not None:
            return self.graph.matrix(W)
        return W.T if self.down else W

    def send(self, t, back, old, W):
        if self.from_classes:
            p = np.exp(t - t.max(axis=1, keepdims=True))
            p /= p.sum(axis=1, keepdims=True)
            sent = p - p.mean(axis=1, keepdims=True)
        else:
            p = None
            sent = np.tanh(t)
        field = sent @ W
        return Message(field, field, (sent, p))

    def adjoint(self, g_field, g_state, message, W):
        sent, p = message.tape
        g = g_field if g_state is None else g_field + g_state
        g_sent = g @ W.T
        if self.from_classes:
            g_sent = g_sent - g_sent.mean(axis=1, keepdims=True)
            g_t = p * (g_sent - np.sum(g_sent * p, axis=1, keepdims=True))
        else:
            g_t = g_sent * (1 - sent**2)
        g_W = sent.T @ g
        if self.graph is not None:
            return g_t, None, None, self.graph.gather_matrix(g_W)
        return g_t, None, None, g_W.T if self.down else g_W


@dataclass(frozen=True)
class Spins:
    """The rule of mean-field inference with spins."""

    block_elements = 1 << 17

    def up_link(self, to_classes):
        return SpinLink()

    def down_link(self, from_classes):
        return SpinLink(down=True, from_classes=from_classes)

    def lateral_link(self, graph):
        return SpinLink(graph=graph)

    def table_size(self, sizes, graphs):
        return max(sizes)


class SpinClassifier(UnfoldedMeanFieldClassifier):
    """A classifier with hidden units of -1 or 1."""

    def _rule(self):
        return Spins()


@pytest.mark.parametrize("rule", [MeanField(), BeliefPropagation(), Spins()], ids=str)
def test_rules_follow_the_protocol(rule):
    assert isinstance(rule, MessageRule)
    links = [rule.lateral_link(complete_graph(3))]
    for of_classes in (False, True):
        links += [rule.up_link(of_classes), rule.down_link(of_classes)]
    for link in links:
        assert isinstance(link, Link)
    assert not isinstance(links[0], MessageRule)


@pytest.mark.parametrize("class_node", [True, False])
@pytest.mark.parametrize("tied", [True, False])
def test_a_message_rule_is_added(class_node, tied):
    rng, sizes = np.random.default_rng(0), (3, 4, 3)
    graphs = (complete_graph(4), None if class_node else complete_graph(3))
    sets = sets_of_sweeps(graphs, 3, tied)
    network = Unfolding(
        FieldIteration(graphs, Spins(), class_node),
        FieldReadout(),
        CrossEntropy(class_node),
        sets,
    )
    parameters = []
    for places in dict.fromkeys(sets):
        layers = network.iteration.by_layer(places)
        for m, k, graph, (_, _, J) in zip(sizes, sizes[1:], graphs, layers):
            parameters += [rng.normal(size=(m, k)), rng.normal(size=k)]
            if J is not None:
                parameters.append(rng.normal(size=graph.n_weights))
    X, y = rng.normal(size=(5, 3)), np.eye(3)[rng.integers(3, size=5)]
    logits, tape = network.forward(parameters, X)
    gradients = network.backward(parameters, tape, network.loss_gradient(logits, y))
    numeric = finite_differences(
        lambda: network.loss(network.forward(parameters, X)[0], y).sum(), parameters
    )
    for actual, expected in zip(gradients, numeric, strict=True):
        assert_allclose(actual, expected, rtol=1e-6, atol=1e-8)


def test_a_classifier_with_the_rule_is_trained(iris):
    X, y = iris
    model = SpinClassifier((5, 4), n_layers=3, tied=True, lateral=True, random_state=0)
    model.set_params(learning_rate_init=0.03, batch_size=15, max_iter=60).fit(X, y)
    assert model.score(X, y) > 0.95
    single = clone(model).fit(X.astype(np.float32), y)
    assert {a.dtype.name for a in learned_arrays(single)} == {"float32"}
    assert_allclose(model.predict_proba(X).sum(axis=1), 1)
