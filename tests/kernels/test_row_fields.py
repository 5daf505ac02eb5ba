"""Sweeps over graphs of rows, against enumeration and finite differences."""

from functools import partial
from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array

from skunfold._crf.layout import Layout
from skunfold._crf.network import ClassLoss, LikelihoodNetwork, RowNetwork
from skunfold._crf.sweep import RowSweep, TotalsReadout
from skunfold._kernels.chains import most_probable
from skunfold._kernels.class_messages import (
    BeliefMessages,
    MeanFieldMessages,
    largest_messages,
)
from skunfold._kernels.passes import in_rounds, there_and_back
from skunfold._kernels.probabilities import softmax
from skunfold._kernels.row_graphs import Chains, Components, Rows

K, F = 3, 4
CHAINS = Chains(np.arange(10), np.array([0, 4, 5, 8, 10]))
# A tree of two kinds (the second symmetric) and a row on its own; an edge against the order.
TREE = Components.of(
    7,
    np.array([0, 1, 4, 3, 2]),
    np.array([1, 2, 1, 4, 5]),
    np.array([0, 1, 0, 1, 0]),
    2,
)
GRID = Components.of(
    6,
    np.array([0, 1, 3, 4, 0, 1, 2]),
    np.array([1, 2, 4, 5, 3, 4, 5]),
    np.array([0, 0, 0, 0, 1, 1, 1]),
    2,
)
GRAPHS = {
    "chains": (CHAINS, (False,)),
    "tree": (TREE, (False, True)),
    "grid": (GRID, (False,) * 2),
}
EVERYTHING = slice(None)
BP = BeliefMessages()


def network_of(
    name,
    *,
    n_layers=4,
    tied=True,
    hidden=(),
    edge_features=False,
    rule=BP,
    **settings,
):
    """Return the network and the rows of a graph, and parameters drawn at random."""
    graph, symmetric = GRAPHS[name]
    sweep = RowSweep(K, hidden, symmetric, edge_features, rule, **settings)
    n_edge_coefs = sum(2 - s for s in symmetric) if edge_features else 0
    layout = Layout(2 * len(hidden) + 2, len(symmetric), n_edge_coefs, n_layers, tied)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(len(graph.order), F))
    theta = sweep.parameters(X, None, np.random.RandomState(0))
    parameters = [p + rng.normal(size=p.shape) / 2 for p in layout.repeated(theta)]
    rows = Rows(X[graph.order], graph.graph(EVERYTHING))
    network = RowNetwork(sweep, TotalsReadout(), ClassLoss(), layout.sets)
    return network, parameters, rows, layout


def scores(field, tables, graph):
    """Return all joint states (any, n_rows) and their scores."""
    states = np.array(list(product(range(K), repeat=len(field))))
    total = field[np.arange(len(field)), states].sum(axis=1)
    mask = getattr(graph, "linked", np.ones(graph.n_edges + 1, bool))[:-1]
    for edges, table in zip(graph.kinds, tables):
        for edge in range(edges.start, edges.stop):
            A = table if table.ndim == 2 else table[edge - edges.start]
            s, t = graph.sources[edge], graph.targets[edge]
            total += mask[edge] * A[states[:, s], states[:, t]]
    return states, total


def exact(network, parameters, rows):
    """Return the field, the raw tables, all states and their probabilities, by enumeration."""
    theta = [parameters[i] for i in network.sets[-1]]
    drive = network.iteration.drive(theta, rows)
    states, total = scores(drive.field, drive.tables.raw, rows.graph)
    p = np.exp(total - total.max())
    return drive, states, p / p.sum()


def marginals(states, p):
    return np.stack([(p[:, None] * (states == c)).sum(axis=0) for c in range(K)], axis=1)


@pytest.mark.parametrize("edge_features", [False, True])
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("chains", {"n_layers": 4}),
        ("chains", {"n_layers": 7}),
        ("chains", {"n_layers": 1, "route": there_and_back}),
        ("tree", {"n_layers": 5}),
        ("tree", {"n_layers": 60, "rule": BeliefMessages(damping=0.3)}),
    ],
)
def test_marginals_of_trees_are_exact(name, settings, edge_features):
    network, parameters, rows, _ = network_of(name, edge_features=edge_features, **settings)
    _, states, p = exact(network, parameters, rows)
    totals = network.output(parameters, rows)
    assert_allclose(softmax(totals), marginals(states, p), atol=1e-10)


@pytest.mark.parametrize("n_rounds", [1, 2, 5])
def test_rounds_along_chains_are_layers_of_messages(n_rounds):
    by_layers, parameters, rows, _ = network_of("chains", n_layers=n_rounds + 1)
    route = partial(in_rounds, n_rounds=n_rounds)
    at_once, *_ = network_of("chains", n_layers=1, route=route)
    y, results = np.arange(rows.shape[0]) % K, []
    for network in (by_layers, at_once):
        output, tape = network.forward(parameters, rows)
        g = network.loss_gradient(output, y)
        results.append([output, *network.backward(parameters, tape, g)])
    assert_allclose(softmax(results[1][0]), softmax(results[0][0]), rtol=1e-12)
    for found, expected in zip(results[1][1:], results[0][1:], strict=True):
        assert_allclose(found, expected, rtol=1e-10, atol=1e-13)


def test_too_few_rounds_are_not_exact():
    network, parameters, rows, _ = network_of("chains", n_layers=3)
    _, states, p = exact(network, parameters, rows)
    assert abs(softmax(network.output(parameters, rows)) - marginals(states, p)).max() > 1e-4


def test_a_power_near_zero_is_mean_field():
    network, parameters, rows, layout = network_of("grid", rule=BeliefMessages(power=1e-5))
    other = RowNetwork(
        RowSweep(K, (), (False,) * 2, False, MeanFieldMessages()),
        TotalsReadout(),
        ClassLoss(),
        layout.sets,
    )
    expected = other.output(parameters, rows)
    assert_allclose(softmax(network.output(parameters, rows)), softmax(expected), atol=2e-4)


def test_tree_reweighted_propagation_is_what_wainwright_has_it():
    """M_ts(x_s) = sum_t exp(A / rho + T_t - log M_st), T_s = theta_s + rho sum log M_ts."""
    rho, n_layers = 0.6, 5
    network, parameters, rows, _ = network_of(
        "grid", rule=BeliefMessages(power=1 / rho), n_layers=n_layers
    )
    theta = [parameters[i] for i in network.sets[-1]]
    drive = network.iteration.drive(theta, rows)
    links = {}
    for edges, A in zip(rows.graph.kinds, drive.tables.raw):
        for e in range(edges.start, edges.stop):
            s, t = rows.graph.sources[e], rows.graph.targets[e]
            links[s, t], links[t, s] = A, A.T
    logs = dict.fromkeys(links, np.zeros(K))
    for _ in range(n_layers - 1):
        T = {
            n: drive.field[n] + rho * sum(m for (_, end), m in logs.items() if end == n)
            for n in range(6)
        }
        logs = {
            (s, t): np.log(np.exp(T[s][:, None] - logs[t, s][:, None] + A / rho).sum(axis=0))
            for (s, t), A in links.items()
        }
    T = np.stack(
        [
            drive.field[n] + rho * sum(m for (_, end), m in logs.items() if end == n)
            for n in range(6)
        ]
    )
    assert_allclose(softmax(network.output(parameters, rows)), softmax(T), atol=1e-10)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("hidden", [(), (5,), (4, 3)])
@pytest.mark.parametrize("edge_features", [False, True])
@pytest.mark.parametrize(
    "rule",
    [
        BeliefMessages(),
        BeliefMessages(0.5, 0.3),
        BeliefMessages(1.5),
        MeanFieldMessages(),
        MeanFieldMessages(0.2),
    ],
)
@pytest.mark.parametrize("name", GRAPHS)
def test_gradients(name, rule, edge_features, hidden, tied):
    settings = {"tied": tied, "hidden": hidden, "edge_features": edge_features}
    check_gradients(*network_of(name, rule=rule, **settings)[:3])


@pytest.mark.parametrize("edge_features", [False, True])
def test_gradients_of_passes_along_chains(edge_features):
    settings = {"n_layers": 1, "route": there_and_back, "hidden": (5,)}
    check_gradients(*network_of("chains", edge_features=edge_features, **settings)[:3])


def check_gradients(network, parameters, rows):
    y = np.random.default_rng(1).integers(K, size=rows.shape[0])

    def loss(parameters):
        output, tape = network.forward(parameters, rows)
        return network.loss(output, y).sum(), output, tape

    _, output, tape = loss(parameters)
    gradients = network.backward(parameters, tape, network.loss_gradient(output, y))
    check_slopes(loss, parameters, gradients)


def check_slopes(loss, parameters, gradients):
    rng = np.random.default_rng(2)
    assert [g.shape for g in gradients] == [p.shape for p in parameters]
    for place, gradient in enumerate(gradients):
        direction, step = rng.normal(size=gradient.shape), 1e-6
        ahead, behind = ([*parameters], [*parameters])
        ahead[place] = parameters[place] + step * direction
        behind[place] = parameters[place] - step * direction
        expected = (loss(ahead)[0] - loss(behind)[0]) / (2 * step)
        assert_allclose(np.vdot(gradient, direction), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("edge_features", [False, True])
def test_the_likelihood_of_chains_and_its_gradient(edge_features):
    settings = {"n_layers": 1, "route": there_and_back, "hidden": (5,)}
    network, parameters, rows, _ = network_of("chains", edge_features=edge_features, **settings)
    network = LikelihoodNetwork(network.iteration, TotalsReadout(), ClassLoss(), network.sets)
    y = np.random.default_rng(1).integers(K, size=rows.shape[0])
    weight = np.repeat([1.0, 2.0, 0.5, 3.0], np.diff(CHAINS.starts))

    def loss(parameters):
        output, tape = network.forward(parameters, rows, y)
        return network.loss(output, y) @ weight, output, tape

    _, output, tape = loss(parameters)
    _, states, p = exact(network, parameters, rows)
    [place] = np.flatnonzero((states == y).all(axis=1))
    assert_allclose(network.loss(output, y).sum(), -np.log(p[place]), rtol=1e-10)
    assert_allclose(softmax(output[:, :-1]), marginals(states, p), atol=1e-10)
    g = weight[:, None] * network.loss_gradient(output, y)
    check_slopes(loss, parameters, network.backward(parameters, tape, g))


def test_all_parameters_of_untied_sweeps_are_used():
    network, parameters, rows, _ = network_of("chains", tied=False)
    y = np.arange(rows.shape[0]) % K
    output, tape = network.forward(parameters, rows)
    gradients = network.backward(parameters, tape, network.loss_gradient(output, y))
    assert all(np.abs(g).max() > 1e-6 for g in gradients)


@pytest.mark.parametrize("edge_features", [False, True])
def test_viterbi(edge_features):
    network, parameters, rows, _ = network_of("chains", edge_features=edge_features)
    drive, states, p = exact(network, parameters, rows)
    found, of_chain = most_probable(drive.field, drive.tables.raw[0], rows.graph)
    assert_array_equal(found, states[p.argmax()])
    _, total = scores(drive.field, drive.tables.raw, rows.graph)
    assert_allclose(of_chain[CHAINS.starts[:-1]].sum(), total.max())


def test_largest_messages_of_a_tree():
    network, parameters, rows, _ = network_of("tree")
    drive, states, p = exact(network, parameters, rows)
    totals, messages = drive.field, None
    for _ in range(5):
        messages = largest_messages(totals, messages, drive.tables.raw, rows.graph)
        totals = drive.field + rows.graph.at_receivers(messages)
    assert_array_equal(totals.argmax(axis=1), states[p.argmax()])


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("components", [[2, 0], [1], [0, 1]])
def test_components_side_by_side_do_not_meet(name, components):
    if name == "grid":
        components = [0]
    network, parameters, rows, _ = network_of(name)
    graph, _ = GRAPHS[name]
    whole = network.output(parameters, rows)
    components = [c for c in components if c < len(graph.starts) - 1]
    places = np.concatenate(
        [np.arange(graph.starts[c], graph.starts[c + 1]) for c in components]
    )
    part = Rows(rows.features[places], graph.graph(np.array(components)))
    assert_allclose(network.output(parameters, part), whole[places], rtol=1e-12)


@pytest.mark.parametrize("rule", [BeliefMessages(0.5, 0.1), MeanFieldMessages(0.1)])
@pytest.mark.parametrize("name", GRAPHS)
def test_single_precision_stays(name, rule):
    for edge_features in (False, True):
        network, parameters, rows, _ = network_of(
            name, rule=rule, edge_features=edge_features, hidden=(3,)
        )
        expected = network.output(parameters, rows)
        parameters = [p.astype(np.float32) for p in parameters]
        rows = Rows(rows.features.astype(np.float32), rows.graph)
        output, tape = network.forward(parameters, rows)
        y = np.arange(rows.shape[0]) % K
        gradients = network.backward(parameters, tape, network.loss_gradient(output, y))
        assert {a.dtype for a in [output, *gradients]} == {np.dtype(np.float32)}
        assert_allclose(softmax(output), softmax(expected), atol=1e-4)


@pytest.mark.parametrize("scale", [1e2, 1e4])
@pytest.mark.parametrize(
    ("rule", "settings"),
    [
        (BeliefMessages(), {}),
        (BeliefMessages(0.5), {}),
        (MeanFieldMessages(), {}),
        (BeliefMessages(), {"n_layers": 1, "route": there_and_back}),
        (BeliefMessages(), {"n_layers": 1, "route": partial(in_rounds, n_rounds=3)}),
    ],
)
def test_extreme_tables_stay_finite(rule, settings, scale):
    """Also where the right classes are as good as impossible."""
    network, parameters, rows, _ = network_of("chains", rule=rule, **settings)
    n = rows.shape[0]
    parameters = [np.zeros_like(p, np.float32) for p in parameters]
    parameters[0] += scale * np.eye(F, K, dtype=np.float32)
    parameters[2] -= scale * (1 - np.eye(K, dtype=np.float32))
    rows = Rows(np.eye(F, dtype=np.float32)[np.arange(n) % 2 * 2], rows.graph)
    for y in (np.ones(n, int), np.arange(n) % K):
        output, tape = network.forward(parameters, rows)
        gradients = network.backward(parameters, tape, network.loss_gradient(output, y))
        assert all(np.isfinite(a).all() for a in [output, *gradients])


def test_sparse_features():
    for settings in ({}, {"hidden": (5,)}, {"edge_features": True}):
        network, parameters, rows, _ = network_of("tree", **settings)
        X = np.where(np.abs(rows.features) > 0.5, rows.features, 0)
        y = np.arange(len(X)) % K
        results = []
        for features in (X, csr_array(X)):
            output, tape = network.forward(parameters, Rows(features, rows.graph))
            g = network.loss_gradient(output, y)
            results.append([output, *network.backward(parameters, tape, g)])
        for dense, sparse in zip(*results):
            assert_allclose(sparse, dense, atol=1e-12)
