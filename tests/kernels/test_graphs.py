"""Sums over the edges of a graph, against loops and matrices."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skunfold._kernels.graphs import Graph, complete_graph


def random_graph(n_nodes, n_edges):
    i, j = np.triu_indices(n_nodes, 1)
    chosen = np.random.default_rng(0).permutation(len(i))[:n_edges]
    return Graph(n_nodes, i[chosen], j[chosen])


GRAPHS = {
    "no edges": Graph(3, np.array([], int), np.array([], int)),
    "one edge": Graph(4, np.array([1]), np.array([3])),
    "a star": Graph(50, np.zeros(49, int), np.arange(1, 50)),
    "two stars": Graph(60, np.repeat([1, 0], [40, 18]), np.arange(2, 60)),
    "a chain": Graph(30, np.arange(29), np.arange(1, 30)),
    "random": random_graph(40, 150),
    "complete": complete_graph(11),
    "complete, of few nodes": complete_graph(3),
    "many stars": Graph(220, np.repeat(np.arange(10), 20), np.arange(10, 210)),
}
every_graph = pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)


@every_graph
def test_directed_edges(graph):
    source, end, edge, opposite = graph.directed
    both_ways = [*zip(graph.i, graph.j), *zip(graph.j, graph.i)]
    assert sorted(zip(source, end)) == sorted(both_ways)
    assert_array_equal(source[opposite], end)
    assert_array_equal(end[opposite], source)
    assert_array_equal(np.minimum(graph.i, graph.j)[edge], np.minimum(source, end))
    assert_array_equal(np.maximum(graph.i, graph.j)[edge], np.maximum(source, end))


@every_graph
def test_sums_over_the_edges_of_a_node(graph):
    source, end, _, _ = graph.directed
    values = np.random.default_rng(0).uniform(0.5, 2, (len(end), 3)).astype(np.float32)
    for ends, sums in (
        (end, graph.at_ends(values)),
        (source, graph.at_sources(values)),
    ):
        expected = [values[ends == node].sum(axis=0) for node in range(graph.n_nodes)]
        assert sums.dtype == np.float32
        assert_allclose(sums, np.reshape(expected, (-1, 3)), rtol=1e-5)


@every_graph
@pytest.mark.parametrize("n_factors", [1, 2, 3, 100])
def test_sums_of_logarithms_over_the_edges_of_a_node(graph, n_factors):
    values = np.random.default_rng(0).uniform(0.5, 2, (2 * len(graph.i), 3))
    before = values.copy()
    found = graph.logs_at_ends(values, n_factors)
    assert_allclose(found, graph.at_ends(np.log(values)), atol=1e-12)
    assert_array_equal(values, before)


def test_products_of_values_stay_in_range():
    graph = complete_graph(30)
    values = np.full((2 * len(graph.i), 2), 1e60)
    assert_allclose(graph.logs_at_ends(values, 5), 29 * np.log(1e60))


@pytest.mark.parametrize("kinds", [None, np.zeros(4, int), np.array([0, 1, 1, 2])])
def test_dense_and_sparse_sums_over_edges_agree(kinds):
    rng = np.random.default_rng(0)
    n = 12
    graph = Graph(n, np.array([0, 2, 2, 5]), np.array([3, 3, 7, 6]), kinds)
    w = rng.normal(size=graph.n_weights)
    q, g = rng.normal(size=(2, 4, n))
    J = graph.matrix(w)
    source, end, _, _ = graph.directed
    assert not graph.is_dense
    assert_allclose(graph.at_ends(q.T[source] * graph.spread(w)).T, q @ J)
    per_edge = np.einsum("en,en->e", g.T[end], q.T[source])
    assert_allclose(graph.gather(per_edge), graph.gather_matrix(q.T @ g))


def test_a_sum_is_one_of_few_slices():
    for name, n_slices in (("a star", 2), ("many stars", 11), ("a chain", 2), ("complete", 10)):
        arrangement = GRAPHS[name]._arrangement
        assert len(arrangement.rounds) + len(arrangement.others) == n_slices
