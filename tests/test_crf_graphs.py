"""From graph columns to graphs: neighbours, and messages that name what is wrong."""

from itertools import pairwise, product

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csr_array

from skunfold import UnfoldedCRFClassifier
from skunfold._crf import memory
from skunfold._crf.structure import Columns, graph_of

RNG = np.random.default_rng(0)


def edges(graph, *columns):
    """Return the components (lists of rows), and the edges as (source, target, kind)."""
    values = np.array(columns, float).T
    components, kinds = graph_of(graph, Columns(values, [f"column {i}" for i in range(3)]))
    batch = components.graph(slice(None))
    found = set()
    for kind, places in zip(kinds.values.tolist(), batch.kinds):
        for edge in range(places.start, places.stop):
            s, t = batch.sources[edge], batch.targets[edge]
            if getattr(batch, "linked", np.ones(s + 1))[s]:
                found.add((int(components.order[s]), int(components.order[t]), kind))
    bounds = components.starts.tolist()
    parts = [components.order[a:b].tolist() for a, b in pairwise(bounds)]
    return parts, found, kinds


def test_chains_in_any_order():
    columns = Columns(np.array([[7, 7, 2, 7, 2.0], [2, 0, 5, 1, 4]]).T, ["a", "b"])
    components, _ = graph_of("chain", columns)
    assert components.order.tolist() == [4, 2, 1, 3, 0]
    assert components.starts.tolist() == [0, 2, 5]


def test_the_neighbours_of_pixels():
    image = [0, 0, 0, 0, 1, 1, 0]
    row, column = [0, 0, 1, 1, 0, 1, 9], [0, 1, 0, 1, 0, 0, 9]
    parts, found, _ = edges("grid", image, row, column)
    assert parts == [[0, 1, 2, 3], [4, 5], [6]]
    assert found == {
        (0, 1, "right"),
        (2, 3, "right"),
        (0, 2, "down"),
        (1, 3, "down"),
        (4, 5, "down"),
    }


def test_kinds_and_directions_of_a_callable():
    A = np.zeros((6, 6))
    A[0, 1] = A[1, 0] = A[3, 4] = A[4, 3] = 2.5  # both ways
    A[1, 2] = A[4, 5] = 1  # one way
    A[5, 4] = 1  # as a second edge, since not all of this value go back
    A[3, 3] = 7  # ignored
    parts, found, kinds = edges(lambda ids: csr_array(A[ids][:, ids]), [5, 4, 3, 2, 1, 0])
    assert parts == [[0, 1, 2], [3, 4, 5]]
    assert kinds.values.tolist() == [1.0, 2.5]
    assert kinds.symmetric.tolist() == [False, True]
    assert found == {(1, 0, 1.0), (0, 1, 1.0), (4, 3, 1.0), (1, 2, 2.5), (4, 5, 2.5)}


def fit(X, y=None, **params):
    y = np.arange(len(X)) % 2 if y is None else y
    return UnfoldedCRFClassifier(max_iter=1, tol=0, **params).fit(X, y)


def data(*columns, dtype=float):
    return np.column_stack([RNG.normal(size=len(columns[0])), *columns]).astype(dtype)


@pytest.mark.parametrize(
    ("X", "params", "message"),
    [
        (
            data([4, 4, 5, 4]),
            {"graph_columns": [1]},
            r"Rows 1 and 3 of X are of the same sequence \(column 1 is 4\).* sort the rows",
        ),
        (
            data([4, 5, 4], [2, 2, 2]),
            {"graph_columns": [1, 2]},
            r"Rows 0 and 2 of X are at the same place \(column 1 is 4, column 2 is 2\)",
        ),
        (
            data([4, 4], [0, 0.5]),
            {"graph_columns": [1, 2]},
            r"column 2 of X holds 0.5 in row 1.*whole numbers. If a scaler",
        ),
        (
            data([0, 0], [1, 1], [2, 2]),
            {"graph": "grid", "graph_columns": [1, 2, 3]},
            r"Rows 0 and 1 of X are at the same place .*column 3 is 2",
        ),
        (
            data([0, 2**24], dtype=np.float32),
            {"graph_columns": [1]},
            r"column 1 of X holds 16777216, which float32 cannot tell",
        ),
        (
            data([0, 0], [0, 2.0**53]),
            {"graph_columns": [1, 2]},
            r"column 2 of X holds 9007199254740992, which float64 cannot tell .* from 0[.]",
        ),
        (data([0, 0]), {"graph_columns": [False, True]}, "graph_columns holds False"),
        (data([0, 0]), {"graph_columns": "s"}, r"graph_columns names 's', but X has no column"),
        (
            data([0, 0]),
            {"graph_columns": [2]},
            r"graph_columns holds 2; X has 2 .*from -2 to 1",
        ),
        (data([0, 0]), {"graph_columns": [1, -1]}, r"names a column twice"),
        (
            data([0, 0]),
            {"graph_columns": [0, 1]},
            r"all columns of X, which leaves no features",
        ),
        (
            data([0, 0], [0, 1], [0, 0]),
            {"graph_columns": [1, 2, 3]},
            r"graph='chain' with graph_columns=\[1, 2, 3\]: give 1 or 2 of them, the sequence",
        ),
        (
            data([0, 0]),
            {"graph_columns": [1], "graph": lambda ids: np.eye(3)},
            r"graph returned a matrix of shape \(3, 3\) for 2 rows",
        ),
        (
            data([0, 0]),
            {"graph_columns": [1], "graph": lambda ids: "nonsense"},
            r"graph returned no matrix of real numbers",
        ),
        (
            data([0, 1]),
            {"graph_columns": [1], "graph": lambda ids: np.array([[0, np.nan], [0, 0]])},
            r"graph returned NaN or infinity",
        ),
        (
            data(np.arange(20)),
            {"graph_columns": [1], "graph": lambda ids: RNG.random((20, 20))},
            r"graph returned 380 distinct values; .* at most 256.*mode='connectivity'",
        ),
        (
            data([0, 0]),
            {"graph_columns": [1], "schedule": "sequential", "inference": "mean_field"},
            r"schedule='sequential' .* needs inference='bp', not 'mean_field'",
        ),
        (
            data([0, 0]),
            {"graph_columns": [1], "schedule": "sequential", "graph": lambda ids: np.eye(2)},
            r"needs graph='chain', not <function",
        ),
    ],
)
def test_what_is_no_graph(X, params, message):
    with pytest.raises(ValueError, match=message):
        fit(X, **params)


def test_a_name_that_is_not_there():
    frame = pd.DataFrame(data([0, 0]), columns=["x", "s"])
    with pytest.raises(ValueError, match=r"graph_columns names 't', but X has \['x', 's'\]"):
        fit(frame, graph_columns=["t"])


def test_sequences_that_have_names_instead_of_numbers():
    frame = pd.DataFrame({"x": [0.5, 1.5], "s": ["one", "two"], "n": [0, 0]})
    with pytest.raises(ValueError, match=r"Column 's' of X holds 'one', .*pandas.factorize"):
        fit(frame, graph_columns=["s"])
    frame["s"] = pd.factorize(frame["s"])[0]
    for columns in (["s", "n"], "s", 1):
        assert fit(frame, graph_columns=columns).predict(frame).shape == (2,)


def test_columns_of_a_frame():
    numbers = pd.DataFrame({"x": [0.5, 1.5], "s": pd.Categorical([7, 8])})
    assert fit(numbers, graph_columns="s").predict(numbers).shape == (2,)
    text = numbers.assign(s=["one", "two"])
    for column in (1, -1):
        with pytest.raises(ValueError, match=r"Column 's' of X holds 'one', .*factorize"):
            fit(text, graph_columns=column)
    days = numbers.assign(s=pd.to_datetime(["2020-01-01", "2020-01-02"]))
    with pytest.raises(ValueError, match=r"Column 's' of X holds Timestamp\("):
        fit(days, graph_columns="s")
    twice = pd.DataFrame([[0.5, 0, 1], [1.5, 0, 2]], columns=["x", "s", "s"])
    with pytest.raises(ValueError, match=r"names 's', but 2 columns of X have this name"):
        fit(twice, graph_columns="s")


@pytest.mark.parametrize("convert", [np.asarray, csr_array])
def test_features_beyond_the_range(convert):
    X = data([0, 0])
    X[0, 0] = 1e200
    with pytest.raises(ValueError, match=r"X holds 1e\+200, more than .* scale it"):
        fit(convert(X), [0, 1], graph_columns=[1])


def test_edges_that_the_fit_did_not_meet():
    A = np.zeros((8, 8))
    A[0, 1] = A[1, 0] = 1
    model = fit(data([0, 1]), graph_columns=[1], graph=lambda ids: A[ids][:, ids])
    A[2, 3] = 1
    A[4, 5] = 3
    with pytest.raises(ValueError, match=r"edge from row 0 to row 1 one way only.* value 1 "):
        model.predict(data([2, 3]))
    with pytest.raises(ValueError, match=r"returned the value 3, a kind .* it knows 1[.]"):
        model.predict(data([4, 5]))
    assert model.predict(data([6, 7])).shape == (2,)


def test_another_graph_than_that_of_the_fit():
    def path(ids):
        return np.eye(len(ids), k=1)

    X = data([0, 0, 0])
    for graphs in (("chain", path), (path, "chain")):
        model = fit(X, graph_columns=[1], graph=graphs[0]).set_params(graph=graphs[1])
        with pytest.raises(ValueError, match=r"graph, .* is not that of the fit; set it back"):
            model.predict(X)


def test_targets_and_classes_that_are_none():
    X = data([0, 0])
    with pytest.raises(ValueError, match=r"y has shape \(2, 2\); give one class for each row"):
        fit(X, np.eye(2, dtype=int), graph_columns=[1])
    model = fit(X, graph_columns=[1])
    with pytest.raises(ValueError, match=r"transitions holds \(0, 5\); give pairs of the cl"):
        model.decode(X, [(0, 5)])
    for nonsense in (5, [0, 1], "ab", [[[0], [1]]]):
        with pytest.raises(
            ValueError, match=r"transitions holds .*; give pairs of the classes"
        ):
            model.decode(X, nonsense)
    with pytest.raises(ValueError, match=r"array of float64 and shape \(2, 2\); give booleans"):
        model.decode(X, np.eye(2))
    with pytest.raises(
        ValueError, match=r"forbids every sequence of classes for one of 2 rows"
    ):
        model.decode(X, np.ones((2, 2), bool))
    with pytest.raises(ValueError, match=r"decode needs tied=True"):
        fit(X, graph_columns=[1], tied=False).decode(X)
    with pytest.raises(ValueError, match=r"which needs graph='chain' and graph_columns"):
        fit(X).decode(X, [(0, 1)])


def test_decoding_a_tree_is_exact_and_of_a_loop_no_worse_than_each_by_itself():
    nodes = np.arange(6)
    for extra in (False, True):
        A = np.zeros((6, 6))
        for i, j, kind in ((0, 1, 1), (2, 1, 2), (1, 3, 1), (4, 3, 2), (3, 5, 1)):
            A[i, j] = kind
        if extra:
            A[5, 0] = 2
        model = UnfoldedCRFClassifier(
            graph=lambda ids, A=A: A[ids][:, ids], graph_columns=[1], solver="lbfgs"
        )
        X, y = data(nodes), np.array([0, 1, 2, 0, 1, 2])
        model.set_params(alpha=0.05).fit(X, y)
        one = model.potentials_[0]
        field = X[:, :1] @ one["coefs"][0] + one["intercepts"][0]
        states = np.array(list(product(range(3), repeat=6)))
        score = field[nodes, states].sum(axis=1)
        for table, kind in zip(one["tables"], (1, 2)):
            for i, j in zip(*np.nonzero(kind == A)):
                score += table[states[:, i], states[:, j]]
        found = score[(states == model.decode(X)).all(axis=1)][0]
        if extra:
            assert found >= score[(states == field.argmax(axis=1)).all(axis=1)][0]
        else:
            assert found == score.max()


def test_a_component_that_does_not_fit_is_refused_with_its_size(monkeypatch):
    X = data([0] * 100)
    model = fit(X, graph_columns=[1])
    monkeypatch.setattr(memory, "physical_memory", lambda: 10_000)
    message = (
        "component has 100 rows and 99 edges. With 2 classes and the messages of %d sweeps"
    )
    with pytest.raises(MemoryError, match=message % 1):
        model.predict(X)
    with pytest.raises(MemoryError, match=message % 3):
        fit(X, graph_columns=[1])
    assert model.predict(X[:10]).shape == (10,)
    monkeypatch.setattr(memory, "physical_memory", lambda: None)
    assert_array_equal(model.predict(X).shape, (100,))


def test_this_machine_has_some_memory():
    assert memory.physical_memory() is None or memory.physical_memory() > 1 << 28
