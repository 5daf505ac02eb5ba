"""Layered MRFs: gradients against finite differences, inference against enumeration."""

from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
import pytest
from differences import finite_differences
from numpy.testing import assert_allclose, assert_array_equal

from skunfold._kernels.belief_propagation import BeliefPropagation, limit_of
from skunfold._kernels.graphs import Graph, complete_graph
from skunfold._kernels.layered_mrf import FieldIteration, FieldReadout, sets_of_sweeps
from skunfold._kernels.mean_field import MeanField
from skunfold._kernels.probabilities import sigmoid, softmax
from skunfold._kernels.ratios import sum_of_logs
from skunfold._kernels.unfolding import Unfolding
from skunfold.unfolding import CrossEntropy

N_FEATURES = 3


@dataclass(frozen=True)
class Case:
    """Hidden layers, outputs (negative: that many labels), graphs inside layers, sweeps."""

    hidden: tuple = (4, 3)
    outputs: int = 3
    lateral: bool = False
    labels: Graph | None = None
    n_sweeps: int = 3
    tied: bool = True
    local: bool = False
    n_biases: int | None = None  # of labels with features of their own


CASES = {
    "no hidden layer": Case(hidden=()),
    "one sweep": Case(n_sweeps=1),
    "star": Case(hidden=(5,)),
    "two layers": Case(),
    "three layers, untied": Case(hidden=(4, 3, 2), tied=False),
    "lateral": Case(hidden=(4,), lateral=True),
    "lateral, two layers, untied": Case(lateral=True, tied=False, n_sweeps=4),
    "lateral, two layers, tied": Case(lateral=True, n_sweeps=4),
    "lateral, one sweep": Case(lateral=True, n_sweeps=1),
    "binary": Case(outputs=-1),
    "labels": Case(outputs=-4, n_sweeps=2),
    "label chain": Case((), -9, labels=Graph(9, np.arange(8), np.arange(1, 9)), n_sweeps=4),
    "label loop, hidden": Case((3,), -3, labels=complete_graph(3), tied=False),
    "some labels, kinds of edges": Case(
        (2,),
        -12,
        labels=Graph(12, np.array([0, 4, 5]), np.array([1, 5, 6]), np.array([1, 0, 1])),
    ),
}
CASES["labels with features of their own, shared"] = Case(
    (), -3, labels=Graph(3, np.array([0, 1]), np.array([1, 2]), np.array([0, 0])), local=True
)
CASES["labels with features and biases of their own, untied"] = Case(
    (), -4, labels=complete_graph(4), tied=False, local=True, n_biases=4
)
RULES = {
    "mean field": MeanField(),
    "mean field, damped": MeanField(damping=0.3),
    "BP": BeliefPropagation(),
    "BP, damped": BeliefPropagation(damping=0.3),
    "BP, power 0.4": BeliefPropagation(power=0.4),
    "BP, power 1.5, damped": BeliefPropagation(power=1.5, damping=0.6),
}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
every_rule = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)


def layered_mrf(graphs, rule, class_node=False, n_sweeps=1, tied=True, local=False):
    iteration = FieldIteration(graphs, rule, class_node, local)
    sets = sets_of_sweeps(graphs, n_sweeps, tied)
    return Unfolding(iteration, FieldReadout(), CrossEntropy(class_node), sets)


def make_network(case, rule):
    graphs = [complete_graph(size) if case.lateral else None for size in case.hidden]
    graphs = (*graphs, case.labels)
    return layered_mrf(graphs, rule, case.outputs > 0, case.n_sweeps, case.tied, case.local)


def make_parameters(case, network, scale=1.0, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    sizes = [2, 1] if case.local else [N_FEATURES, *case.hidden, abs(case.outputs)]
    parameters = []
    for places in dict.fromkeys(network.sets):
        layers = network.iteration.by_layer(places)
        for (m, k), graph, (_, _, J) in zip(pairwise(sizes), network.iteration.graphs, layers):
            parameters += [rng.normal(size=(m, k)), rng.normal(size=case.n_biases or k)]
            if J is not None:
                parameters.append(rng.normal(size=graph.n_weights))
    return [(scale * p).astype(dtype) for p in parameters]


def make_data(case, n=5, dtype=np.float64):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(n, 2 * abs(case.outputs) if case.local else N_FEATURES))
    if case.outputs > 0:
        y = np.eye(case.outputs)[rng.integers(case.outputs, size=n)]
    else:
        y = rng.integers(2, size=(n, -case.outputs))
    return X.astype(dtype), y.astype(dtype)


@every_rule
@every_case
def test_gradients_match_finite_differences(case, rule):
    network = make_network(case, rule)
    parameters = make_parameters(case, network)
    X, y = make_data(case)
    logits, tape = network.forward(parameters, X)
    gradients = network.backward(parameters, tape, network.loss_gradient(logits, y))
    numeric = finite_differences(
        lambda: network.loss(network.forward(parameters, X)[0], y).sum(), parameters
    )
    scale = max(np.abs(n).max() for n in numeric)
    for g, n in zip(gradients, numeric):
        assert g.shape == n.shape
        assert_allclose(g, n, rtol=1e-6, atol=1e-8 * scale)


@every_rule
@every_case
def test_samples_are_independent_and_dtype_is_kept(case, rule):
    network = make_network(case, rule)
    parameters = make_parameters(case, network)
    X, _ = make_data(case)
    logits, _ = network.forward(parameters, X)
    rows = [network.forward(parameters, X[i : i + 1])[0] for i in range(len(X))]
    assert_allclose(np.concatenate(rows), logits, rtol=1e-12, atol=1e-12)
    single = [p.astype(np.float32) for p in parameters]
    X, y = make_data(case, dtype=np.float32)
    output, tape = network.forward(single, X)
    gradients = network.backward(single, tape, network.loss_gradient(output, y))
    assert {a.dtype for a in (output, *gradients)} == {np.dtype(np.float32)}
    assert_allclose(output, logits, rtol=1e-4, atol=1e-4)


# Exactness


def marginals(fields, couplings, class_node=None):
    """Return the exact probabilities of binary nodes to be on, and of the states of a class.

    `fields` are those of the binary nodes, `couplings` maps pairs of them to weights, and
    `class_node` is (fields of the states, couplings (nodes, states)).
    """
    c, V = (np.zeros(1), np.zeros((len(fields), 1))) if class_node is None else class_node
    H = np.array(list(product([0.0, 1.0], repeat=len(fields))))
    energy = H @ fields
    for (i, j), w in couplings.items():
        energy += w * H[:, i] * H[:, j]
    energy = energy[:, None] + H @ V + c
    p = np.exp(energy - energy.max())
    p /= p.sum()
    return p.sum(axis=1) @ H, p.sum(axis=0)


TREES = {
    "chain": lambda rng, n: np.arange(n - 1),
    "star": lambda rng, n: np.zeros(n - 1, int),
    "random": lambda rng, n: np.array([rng.integers(i + 1) for i in range(n - 1)]),
}


@pytest.mark.parametrize("n_nodes", range(1, 13))
@pytest.mark.parametrize("shape", TREES)
def test_bp_is_exact_on_label_trees(shape, n_nodes):
    rng = np.random.default_rng(n_nodes)
    parents = TREES[shape](rng, n_nodes).astype(int)
    graph = Graph(n_nodes, parents, np.arange(1, n_nodes))
    network = layered_mrf((graph,), BeliefPropagation(), n_sweeps=n_nodes + 1)
    W, b, J = (rng.uniform(-8, 8, s) for s in [(2, n_nodes), n_nodes, n_nodes - 1])
    X = rng.uniform(-1, 1, (3, 2))
    logits, _ = network.forward([W, b, J], X)
    for x, logit in zip(X, logits):
        couplings = dict(zip(zip(parents, range(1, n_nodes)), J))
        exact, _ = marginals(x @ W + b, couplings)
        assert_allclose(sigmoid(logit), exact, atol=1e-10)


@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (5, 1), (9, 1, 1), (11,)])
@pytest.mark.parametrize("outputs", [2, 5, -1])
def test_bp_is_exact_on_layers_that_are_trees(sizes, outputs):
    rng = np.random.default_rng(len(sizes) + outputs)
    case = Case(sizes, outputs, n_sweeps=8)
    network = make_network(case, BeliefPropagation())
    parameters = [rng.uniform(-8, 8, p.shape) for p in make_parameters(case, network)]
    *_, (totals, _) = network.states(parameters, np.zeros((1, N_FEATURES)))
    fields = np.concatenate(parameters[1::2][: len(sizes)])
    starts = np.cumsum([0, *sizes])
    couplings = {}
    for layer, W in enumerate(parameters[2::2][: len(sizes) - 1]):
        for i, j in np.ndindex(W.shape):
            couplings[starts[layer] + i, starts[layer + 1] + j] = W[i, j]
    V, c = parameters[-2:]
    if outputs < 0:
        V, c = np.hstack([np.zeros_like(V), V]), np.append(0, c)
    V = np.vstack([np.zeros((len(fields) - len(V), V.shape[1])), V])
    hidden, classes = marginals(fields, couplings, (c, V))
    assert_allclose(sigmoid(np.hstack(totals[:-1]))[0], hidden, atol=1e-10)
    found = softmax(totals[-1])[0] if outputs > 0 else sigmoid(totals[-1])[0]
    assert_allclose(found, classes if outputs > 0 else classes[1:], atol=1e-10)


@pytest.mark.parametrize("n_sweeps", [1, 2, 7])
@pytest.mark.parametrize("outputs", [2, 4, -1])
def test_a_star_is_the_discriminative_rbm(outputs, n_sweeps):
    case = Case((9,), outputs, n_sweeps=n_sweeps)
    network = make_network(case, BeliefPropagation())
    parameters = make_parameters(case, network, scale=3.0)
    X, _ = make_data(case)
    W, b, V, c = parameters
    found = network.forward(parameters, X)[0]
    on = X @ W + b
    exact = c + np.logaddexp(0, on[:, :, None] + V).sum(axis=1)
    if outputs == -1:  # against the state off, where nothing is coupled
        exact -= np.logaddexp(0, on).sum(axis=1, keepdims=True)
        assert_allclose(found, exact, atol=1e-10)
    else:
        assert_allclose(softmax(found), softmax(exact), atol=1e-10)


@every_case
@pytest.mark.parametrize("damping", [0.0, 0.3])
def test_a_power_of_nearly_zero_is_mean_field(case, damping):
    almost = make_network(case, BeliefPropagation(power=1e-8, damping=damping))
    network = make_network(case, MeanField(damping))
    parameters = make_parameters(case, network)
    X, _ = make_data(case)
    for mine, theirs in zip(almost.states(parameters, X), network.states(parameters, X)):
        for a, b in zip(mine.totals, theirs.totals):
            assert_allclose(a, b, atol=1e-6)


@every_rule
@every_case
@pytest.mark.parametrize("scale", [30.0, 1e3, 1e6])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_strong_couplings_stay_finite(case, rule, scale, dtype):
    network = make_network(case, rule)
    parameters = make_parameters(case, network, scale=scale, dtype=dtype)
    X, y = make_data(case, dtype=dtype)
    logits, tape = network.forward(parameters, X)
    gradients = network.backward(parameters, tape, network.loss_gradient(logits, y))
    assert all(np.isfinite(a).all() for a in (logits, *gradients, network.loss(logits, y)))


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("n_factors", [2, 3, 7, 30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logarithms_of_products_of_ratios_stay_in_range(axis, n_factors, dtype):
    rng = np.random.default_rng(0)
    largest = 2 * limit_of(np.dtype(dtype)) / n_factors
    for n, sign in product([1, 2, 3, 7, 16, 33], (-1, 1)):
        logs = largest * np.where(rng.random((2000, n, 3)) < 0.2, -sign, sign).astype(dtype)
        r = np.exp(np.moveaxis(logs, 1, axis))
        expected = np.log(r).sum(axis=axis)
        found = sum_of_logs(r, axis, n_factors)
        assert found.dtype == dtype
        assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * largest)


def test_couplings_say_how_many_ratios_have_a_product_in_range():
    limit = limit_of(np.dtype(float))
    for largest, n_factors in ((0, 1024), (limit / 5, 10), (limit, 2), (9 * limit, 2)):
        for rule, expected in (
            (BeliefPropagation(), n_factors),
            (BeliefPropagation(1, 0.5), 2),
        ):
            couplings = rule.up_link(to_classes=False).prepare(np.array([[largest], [0.0]]))
            assert couplings.n_factors == expected
    assert BeliefPropagation().up_link(False).prepare(np.array([[np.nan]])).n_factors == 2


def test_nothing_comes_from_above_in_the_first_sweep():
    case = Case(hidden=(4, 3), n_sweeps=1)
    network = make_network(case, MeanField())
    parameters = make_parameters(case, network)
    W1, b1, W2, b2, V, c = parameters
    X, _ = make_data(case)
    expected = sigmoid(sigmoid(X @ W1 + b1) @ W2 + b2) @ V + c
    assert_allclose(network.forward(parameters, X)[0], expected, rtol=1e-12)


@every_rule
@every_case
def test_a_workspace_changes_nothing(case, rule):
    network = make_network(case, rule)
    reusing = network.with_workspace()
    parameters = make_parameters(case, network)
    X, y = make_data(case)

    def gradients(network, X, y):
        logits, tape = network.forward(parameters, X)
        return network.backward(parameters, tape, network.loss_gradient(logits, y))

    gradients(reusing, X[:2], y[:2])
    for fresh, reused in zip(gradients(network, X, y), gradients(reusing, X, y)):
        assert_array_equal(fresh, reused)


def test_labels_with_features_of_their_own():
    rng = np.random.default_rng(0)
    network = layered_mrf((None,), MeanField(), local=True)
    first, second = rng.normal(size=(2, 4, 5))
    W, b = np.array([[2.0], [-3.0]]), np.array([0.5])
    logits, _ = network.forward([W, b], np.hstack([first, second]))
    assert_allclose(logits, 2 * first - 3 * second + 0.5)
    logits, _ = network.forward([W, np.arange(5.0)], np.hstack([first, second]))
    assert_allclose(logits, 2 * first - 3 * second + np.arange(5.0))


@every_rule
@every_case
def test_what_is_prepared_serves_any_samples(case, rule):
    network = make_network(case, rule)
    parameters = make_parameters(case, network)
    X, y = make_data(case)
    prepared = network.prepare(parameters, len(X))
    for rows in (slice(2), slice(1, 5)):
        passes = [network.forward(p, X[rows]) for p in (parameters, prepared)]
        assert_array_equal(passes[0][0], passes[1][0])
        g = network.loss_gradient(passes[0][0], y[rows])
        gradients = [
            network.backward(p, tape, g) for p, (_, tape) in zip((parameters, prepared), passes)
        ]
        for a, b in zip(*gradients):
            assert_array_equal(a, b)


# Loops


def grid_errors(strength, n_grids, rules, n_sweeps=30, side=4):
    """Return the mean error of the marginals of random grids for each rule."""
    rng = np.random.default_rng(0)
    n = side**2
    at = np.arange(n).reshape(side, side)
    i = np.concatenate([at[:, :-1].ravel(), at[:-1].ravel()])
    j = np.concatenate([at[:, 1:].ravel(), at[1:].ravel()])
    graph = Graph(n, i, j)
    H = ((np.arange(2**n)[:, None] >> np.arange(n)) & 1).astype(np.float64)
    pairs = H[:, i] * H[:, j]
    errors = []
    for _ in range(n_grids):
        b, J = rng.uniform(-1, 1, n), rng.uniform(-strength, strength, len(i))
        # as between spins: a coupling does not shift the mean
        b -= (np.bincount(i, J, n) + np.bincount(j, J, n)) / 2
        energy = H @ b + pairs @ J
        p = np.exp(energy - energy.max())
        exact = p @ H / p.sum()
        found = []
        for rule in rules:
            network = layered_mrf((graph,), rule, n_sweeps=n_sweeps)
            logits, _ = network.forward([np.zeros((1, n)), b, J], np.zeros((1, 1)))
            found.append(np.abs(sigmoid(logits[0]) - exact).mean())
        errors.append(found)
    return np.mean(errors, axis=0)


@pytest.mark.parametrize("strength", [1.0, 3.0])
def test_bp_is_nearer_than_mean_field_on_grids(strength):
    rules = [BeliefPropagation(damping=0.3), MeanField(damping=0.3)]
    bp, mean_field = grid_errors(strength, 10, rules)
    assert bp < mean_field / 2
