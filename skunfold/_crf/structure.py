"""From the graph columns of X to a graph of its rows, with checks of the columns."""

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy import sparse

from skunfold._kernels.row_graphs import Chains, Components
from skunfold._kernels.sparse_rows import dense

MAX_KINDS = 256  # of edges, each with a table
KINDS = {"chain": ("next",), "grid": ("right", "down")}
N_COLUMNS = {"chain": (1, 2), "grid": (3,)}
MEANING = {
    "chain": "the sequence of a row, or its sequence and its position there",
    "grid": "the image of a row, its row and its column there",
}


@dataclass(frozen=True)
class Kinds:
    """The kinds of edges, and which of them are symmetric."""

    values: np.ndarray
    symmetric: np.ndarray  # of bool


def places_of_columns(graph_columns, names, n_features):
    """Return the places (n_graph_columns,) of the columns that say where a row belongs."""
    if graph_columns is None:
        return np.empty(0, np.intp)
    places = []
    for column in _listed(graph_columns):
        if isinstance(column, str):
            if names is None or column not in names:
                known = "X has no column names" if names is None else f"X has {list(names)}"
                raise ValueError(
                    f"graph_columns names {column!r}, but {known}; give X as a DataFrame "
                    "with that column, or give numbers of columns."
                )
            places.append(int(np.flatnonzero(np.asarray(names) == column)[0]))
        elif _is_number(column) and -n_features <= column < n_features:
            places.append(int(column) % n_features)
        else:
            raise ValueError(
                f"graph_columns holds {column!r}; X has {n_features} columns, so give names, "
                f"or whole numbers from {-n_features} to {n_features - 1}."
            )
    if len({*places}) < len(places):
        raise ValueError(f"graph_columns={graph_columns!r} names a column twice; give it once.")
    if len(places) == n_features:
        raise ValueError(
            f"graph_columns={graph_columns!r} are all columns of X, which leaves no features; "
            "give X at least one more column."
        )
    return np.array(places, np.intp)


def check_numeric(X, graph_columns, of_rows):
    """Check that graph columns of a DataFrame hold numbers."""
    if graph_columns is None or not hasattr(X, "iloc") or X.ndim != 2:
        return
    for column in _listed(graph_columns):
        places = [column] if _is_number(column) else np.flatnonzero(X.columns == column)
        if len(places) > 1:
            raise ValueError(
                f"graph_columns names {column!r}, but {len(places)} columns of {of_rows} have "
                "this name; rename them."
            )
        for place in places:
            if -X.shape[1] <= place < X.shape[1]:
                name = f"Column {X.columns[place]!r} of {of_rows}"
                _check_numbers(name, X.iloc[:, place])


def _check_numbers(name, values):
    """Check that a column of a DataFrame holds numbers; their dtype may be another."""
    try:
        values.astype(float)
    except (TypeError, ValueError):
        text = next((v for v in values if not isinstance(v, Real)), None)
        raise ValueError(
            f"{name} holds {text!r}, which is no number; number its values, as "
            "pandas.factorize or OrdinalEncoder do."
        ) from None


def _is_number(column):
    """Return whether something is the number of a column."""
    return isinstance(column, Integral) and not isinstance(column, bool)


def _listed(graph_columns):
    one = isinstance(graph_columns, str) or np.ndim(graph_columns) == 0
    return [graph_columns] if one else list(graph_columns)


def check_number_of_columns(graph, graph_columns, n_columns):
    """Check that a kind of graph is given the columns that it needs."""
    if graph_columns is None or callable(graph):
        return
    if n_columns not in N_COLUMNS[graph]:
        numbers = " or ".join(map(str, N_COLUMNS[graph]))
        raise ValueError(
            f"graph={graph!r} with graph_columns={graph_columns!r}: give {numbers} of them, "
            f"{MEANING[graph]}."
        )


def without_columns(X, places):
    """Return the features of X, and the graph columns as an array (n_rows, n_columns)."""
    if not len(places):
        return X, np.empty((X.shape[0], 0))
    kept = np.setdiff1d(np.arange(X.shape[1]), places)
    first, end = kept[0], kept[-1] + 1
    features = X[:, first:end] if end - first == len(kept) else X[:, kept]
    return features, dense(X[:, places]).astype(np.float64)


@dataclass(frozen=True)
class Columns:
    """The graph columns of some rows, with their names and that of the rows for messages."""

    values: np.ndarray  # (n_rows, n_columns), float64
    names: list[str]
    of_rows: str = "X"

    @classmethod
    def of(cls, X, values, places, feature_names, of_rows):
        """Return the columns, if the precision of X holds their numbers."""
        names = [
            f"column {i}" if feature_names is None else f"column {feature_names[i]!r}"
            for i in places
        ]
        limit, otherwise = 2**53, ""
        if X.dtype == np.float32:
            limit, otherwise = 2**24, ", or give X in float64"
        for name, value in zip(names, np.abs(values).max(axis=0, initial=0)):
            if value >= limit:
                raise ValueError(
                    f"{name} of {of_rows} holds {value:.17g}, which {X.dtype} cannot tell from "
                    f"its neighbours; number the sequences, images or nodes from 0{otherwise}."
                )
        return cls(values, names, of_rows)

    def whole(self, column):
        """Return a column as whole numbers, or raise a ValueError."""
        values = self.values[:, column]
        wrong = np.flatnonzero(values != np.round(values))
        if len(wrong):
            raise ValueError(
                f"{self.names[column]} of {self.of_rows} holds {values[wrong[0]]:.6g} in row "
                f"{wrong[0]}, but neighbours are rows whose places differ by 1; give whole "
                "numbers. If a scaler changed them, let the graph columns pass it by "
                "(ColumnTransformer)."
            )
        return values.astype(np.int64)


def graph_of(graph, columns, kinds=None):
    """Return the components of the rows, and the Kinds of their edges.

    Parameters
    ----------
    graph : {"chain", "grid"} or callable
        As in the estimator.
    columns : Columns
        The graph columns; none means that rows are independent.
    kinds : Kinds, default=None
        Those of the fit; None if this is the fit.
    """
    if columns.names and callable(graph):
        return _given(graph, columns, kinds)
    kinds = kinds_of(graph, len(columns.names))
    if not columns.names:
        return Chains.without_edges(len(columns.values)), kinds
    return (_chains if graph == "chain" else _grids)(columns), kinds


def kinds_of(graph, n_columns):
    """Return the Kinds of "chain" and "grid", which are the same whatever the rows."""
    values = np.array(KINDS[graph] if n_columns else (), dtype="U5")
    return Kinds(values, np.zeros(len(values), bool))


def fits_kinds(graph, n_columns, values):
    """Return whether edges of a graph are of the kinds of a fit, as far as that is known."""
    if callable(graph) and n_columns:
        return values.dtype.kind == "f"
    return np.array_equal(values, kinds_of(graph, n_columns).values)


def _chains(columns):
    n, sequence = len(columns.values), columns.values[:, 0]
    order = np.arange(n)
    if len(columns.names) == 2:
        position = columns.whole(1)
        order = np.lexsort((position, sequence))
        apart = np.diff(position[order])
        same = np.diff(sequence[order]) == 0
        _check_distinct(columns, order, same & (apart == 0))
        begins = ~(same & (apart == 1))
    else:
        begins = np.diff(sequence) != 0
        first = np.append(0, np.flatnonzero(begins) + 1)
        _check_contiguous(columns, first)
    return Chains(order, np.concatenate([[0], np.flatnonzero(begins) + 1, [n]]))


def _check_contiguous(columns, first):
    """Check that each sequence is one run of rows; `first` are the first rows of the runs."""
    name, sequence = columns.names[0], columns.values[:, 0]
    order = np.argsort(sequence[first], kind="stable")
    twice = np.flatnonzero(np.diff(sequence[first][order]) == 0)
    if len(twice):
        run, again = order[twice[0]], order[twice[0] + 1]
        last = first[run + 1] - 1
        raise ValueError(
            f"Rows {last} and {first[again]} of {columns.of_rows} are of the same sequence "
            f"({name} is {sequence[last]:.6g}), but other rows are between them; sort the "
            "rows, or give a second graph column, the position of each row in its sequence."
        )


def _check_distinct(columns, order, same):
    """Check that no two rows, neighbours in an order, are at the same place."""
    where = np.flatnonzero(same)
    if len(where):
        one, other = sorted(order[where[0] : where[0] + 2].tolist())
        place = ", ".join(
            f"{name} is {value:.6g}" for name, value in zip(columns.names, columns.values[one])
        )
        raise ValueError(
            f"Rows {one} and {other} of {columns.of_rows} are at the same place ({place}); "
            "give each row another place."
        )


def _grids(columns):
    image = columns.values[:, 0]
    row, column = columns.whole(1), columns.whole(2)
    sources, targets = [], []
    for place, line in ((column, row), (row, column)):  # to the right, then down
        order = np.lexsort((place, line, image))
        same_line = (np.diff(line[order]) == 0) & (np.diff(image[order]) == 0)
        apart = np.diff(place[order])
        _check_distinct(columns, order, same_line & (apart == 0))
        linked = np.flatnonzero(same_line & (apart == 1))
        sources.append(order[linked])
        targets.append(order[linked + 1])
    kinds = np.repeat([0, 1], [len(s) for s in sources])
    ends = np.concatenate(sources), np.concatenate(targets)
    return Components.of(len(image), *ends, kinds, 2)


def _given(graph, columns, kinds):
    """Return the components of the graph that a callable returns for the columns."""
    ids = columns.values
    if (ids == np.round(ids)).all():
        ids = ids.astype(np.intp)
    if ids.shape[1] == 1:
        ids = ids[:, 0]
    i, j, values = _entries(graph(ids), len(ids))
    found = np.unique(values)
    if kinds is None:
        if len(found) > MAX_KINDS:
            raise ValueError(
                f"graph returned {len(found)} distinct values; they are kinds of edges, each "
                f"with a table, at most {MAX_KINDS}. Give the same value to edges of the same "
                "kind, such as 1 (mode='connectivity')."
            )
        known = found
    else:
        known = kinds.values
    if len(unknown := np.setdiff1d(found, known)):
        raise ValueError(
            f"graph returned the value {unknown[0]:.6g}, a kind of edge that the fit did not "
            f"meet; it knows {', '.join(f'{v:.6g}' for v in known) or 'none'}."
        )
    kind = np.searchsorted(known, values)
    symmetric, kept = np.zeros(len(known), bool), np.ones(len(i), bool)
    for number in range(len(known)):
        here = np.flatnonzero(kind == number)
        one_way = _one_way(i[here], j[here], len(ids))
        symmetric[number] = one_way is None if kinds is None else kinds.symmetric[number]
        if symmetric[number]:
            if one_way is not None:
                raise ValueError(
                    f"graph returned the edge from row {i[here][one_way]} to row "
                    f"{j[here][one_way]} one way only, but in the fit edges of the value "
                    f"{known[number]:.6g} went both ways; return a symmetric matrix."
                )
            kept[here] = i[here] < j[here]
    components = Components.of(len(ids), i[kept], j[kept], kind[kept], len(known))
    return components, Kinds(known, symmetric)


def _entries(matrix: Any, n):
    """Return row, column and value of the nonzero entries outside the diagonal."""
    try:
        adjacency = sparse.csr_array(matrix).astype(np.float64, casting="same_kind")
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"graph returned no matrix of real numbers ({error}); return an array or a sparse "
            f"matrix of shape ({n}, {n})."
        ) from error
    if adjacency.shape != (n, n):
        raise ValueError(
            f"graph returned a matrix of shape {adjacency.shape} for {n} rows; return one of "
            f"shape ({n}, {n})."
        )
    if not np.isfinite(adjacency.data).all():
        raise ValueError("graph returned NaN or infinity; return 0 where there is no edge.")
    adjacency.sum_duplicates()
    entries = adjacency.tocoo()
    kept = (entries.data != 0) & (entries.row != entries.col)
    i, j = (ends[kept].astype(np.intp) for ends in (entries.row, entries.col))
    return i, j, entries.data[kept]


def _one_way(i, j, n):
    """Return the number of an edge without its reverse, or None where there is none."""
    missing = np.flatnonzero(~np.isin(i * n + j, j * n + i))
    return missing[0] if len(missing) else None
