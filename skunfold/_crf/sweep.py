"""A sweep of messages over a graph of rows, as an iteration.

The state is a `State`: totals (n_rows, K) and the messages that were sent. The drive is the
field of each row, from its features, and the tables of the edges; all layers with the same
parameters share it. The first layer knows the fields alone, each later one sends messages::

    T_1 = theta_1(x),     m_k = messages(T_(k-1), m_(k-1); A_k),     T_k = theta_k(x) + sum m_k
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from skunfold._kernels.class_messages import Tables
from skunfold._kernels.numerics import add
from skunfold._kernels.passes import passed, passed_adjoint, table_gradient
from skunfold._kernels.probabilities import column_sums, sigmoid_adjoint, sigmoid_of_sum
from skunfold._kernels.row_graphs import sums_at
from skunfold.unfolding.iteration import Iteration
from skunfold.unfolding.readouts import Readout


class State(NamedTuple):
    """The state of inference after a layer, or the gradient by it."""

    totals: Any  # (n_rows, K)
    messages: Any  # (2 n_edges, K), or None where none were sent


class Drive(NamedTuple):
    """The values of the rows that layers with the same parameters share."""

    field: Any  # (n_rows, K)
    hidden: list  # the units of each hidden layer, (n_rows, size)
    tables: Tables | None
    graph: Any


@dataclass(frozen=True)
class DriveGradient:
    """The gradient by the drive; layers add theirs up."""

    field: Any
    tables: list | None  # by the tables of each kind
    hidden: list  # units of the drive

    def __add__(self, other):
        tables = self.tables or other.tables
        if self.tables and other.tables:
            tables = [a + b for a, b in zip(self.tables, other.tables)]
        return DriveGradient(self.field + other.field, tables, self.hidden)


class RowSweep(Iteration):
    """One sweep. Its theta is described by `Layout`.

    Parameters
    ----------
    n_classes : int
        The states K of each node.
    hidden_layer_sizes : tuple of int
        Units between the features and the field.
    symmetric : tuple of bool
        For each kind of edges, whether its table is symmetric.
    edge_features : bool
        Whether tables depend on the features of both ends.
    rule : BeliefMessages or MeanFieldMessages
        Computes the messages.
    route : callable or None
        From a ChainGraph to the `Route` of the messages of belief propagation: there is one
        layer, that of all of them. None: each layer after the first is a round of messages.
    """

    def __init__(
        self,
        n_classes,
        hidden_layer_sizes,
        symmetric,
        edge_features,
        rule,
        route=None,
    ):
        self.n_classes = n_classes
        self.hidden_layer_sizes = hidden_layer_sizes
        self.symmetric = symmetric
        self.edge_features = edge_features
        self.rule = rule
        self.route = route

    def shapes(self, n_features):
        """Return the shapes of the arrays of theta."""
        shapes: list = []
        for shape in pairwise((n_features, *self.hidden_layer_sizes, self.n_classes)):
            shapes += [shape, shape[1:]]
        square = (self.n_classes, self.n_classes)
        shapes += [square] * len(self.symmetric)
        if self.edge_features:
            n_ends = sum(2 - symmetric for symmetric in self.symmetric)
            shapes += [(n_features, *square)] * n_ends
        return shapes

    def parameters(self, X, y, random_state):
        """Return theta: Glorot and Bengio (2010) with hidden layers, else zeros; no tables."""
        theta = [np.zeros(shape) for shape in self.shapes(X.shape[1])]
        if self.hidden_layer_sizes:
            for W in theta[: 2 * len(self.hidden_layer_sizes) + 2 : 2]:
                bound = np.sqrt(2 / sum(W.shape))
                W[:] = random_state.uniform(-bound, bound, W.shape)
        return tuple(theta)

    def drive(self, theta, X):
        """Return the Drive of Rows."""
        n = 2 * len(self.hidden_layer_sizes)
        hidden, h = [], X.features
        for W, b in zip(theta[:n:2], theta[1:n:2]):
            h = sigmoid_of_sum(h @ W, b)
            hidden.append(h)
        field = _affine(h, *theta[n : n + 2])
        tables = self.tables(theta, X)
        return Drive(field, hidden, self.rule.prepare(tables), X.graph)

    def tables(self, theta, X):
        """Return the tables of each kind of edges, before a rule prepares them."""
        tables, coefs = self._of_edges(theta)
        made = [_symmetrised(A) if s else A.copy() for A, s in zip(tables, self.symmetric)]
        if self.edge_features:
            for kind, edges in enumerate(X.graph.kinds):
                P, Q = self._ends(coefs, kind)
                at_source = _projected(X.features, P)[X.graph.sources[edges]]
                at_source += _projected(X.features, Q)[X.graph.targets[edges]]
                made[kind] = at_source + made[kind]
        return made

    def drive_adjoint(self, theta, X, g):
        """Return the gradients by theta of what went through the drive."""
        n = 2 * len(self.hidden_layer_sizes)
        gradients: list = []
        g_field = g.field
        for layer in reversed(range(n // 2 + 1)):
            below = g.hidden[layer - 1] if layer else X.features
            gradients = [below.T @ g_field, column_sums(g_field), *gradients]
            if layer:
                g_field = sigmoid_adjoint(g_field @ theta[2 * layer].T, below)
        if not g.tables:
            return (*gradients, *(None for _ in theta[n + 2 :]))
        return (*gradients, *self._table_gradients(theta, X, g.tables))

    def _table_gradients(self, theta, X, g_tables):
        """Return the gradients by the arrays from which tables are made."""
        of_tables, of_coefs = [], []
        for kind, (edges, symmetric) in enumerate(zip(X.graph.kinds, self.symmetric)):
            g = g_tables[kind]
            of_table = g.sum(axis=0) if self.edge_features else g
            of_tables.append(_symmetrised(of_table) if symmetric else of_table)
            if self.edge_features:
                _, coefs = self._of_edges(theta)
                ends = []
                for places, P in zip(
                    (X.graph.sources, X.graph.targets), self._ends(coefs, kind)
                ):
                    at_rows = sums_at(places[edges], g.reshape(len(g), -1), X.shape[0])
                    ends.append((X.features.T @ at_rows).reshape(P.shape))
                of_coefs += [ends[0] + np.swapaxes(ends[1], 1, 2)] if symmetric else ends
        return *of_tables, *of_coefs

    def _of_edges(self, theta):
        """Return the tables and the coefficients of edge features in theta."""
        n = 2 * len(self.hidden_layer_sizes) + 2
        n_kinds = len(self.symmetric)
        return theta[n : n + n_kinds], theta[n + n_kinds :]

    def _ends(self, coefs, kind):
        """Return the coefficients (n_features, K, K) of the sources and of the targets."""
        place = sum(2 - symmetric for symmetric in self.symmetric[:kind])
        P = coefs[place]
        return P, (np.swapaxes(P, 1, 2) if self.symmetric[kind] else coefs[place + 1])

    def initial(self, theta, drive, n_samples):
        """Return no state, since the first layer needs none."""
        return State(None, None)

    def step(self, theta, drive, h, k):
        """Return the state after layer k, and a tape."""
        graph = drive.graph
        if self.route is not None:
            route = self.route(graph)
            totals, *passes = passed(drive.field, drive.tables.used[0], *route, True)
            return State(totals, None), (drive, (route, *passes))
        if k == 0:
            return State(drive.field, None), (drive, None)
        messages, tape = self.rule.send(h.totals, h.messages, drive.tables, graph)
        return State(drive.field + graph.at_receivers(messages), messages), (drive, tape)

    def advance(self, theta, drive, h, k):
        """Return the state after layer k."""
        if self.route is None:
            return super().advance(theta, drive, h, k)
        table, route = drive.tables.used[0], self.route(drive.graph)
        return State(passed(drive.field, table, *route, False)[0], None)

    def adjoint(self, theta, tape, g, k):
        """Return the gradients by the state, by the drive and by theta."""
        drive, tape = tape
        nothing = (None,) * len(theta)
        if self.route is not None:
            route, x, sums, _ = tape
            table = drive.tables.used[0]
            g_field, d = passed_adjoint(g.totals, table, *route[:3], x, sums)
            g_table = table_gradient(table, route, x, d)
            return None, DriveGradient(g_field, [g_table], drive.hidden), nothing
        if k == 0:
            return None, DriveGradient(g.totals, None, drive.hidden), nothing
        g_messages = add(drive.graph.of_receivers(g.totals), g.messages)
        g_totals, g_old, g_tables = self.rule.adjoint(g_messages, tape, drive.graph)
        through_drive = DriveGradient(g.totals, g_tables, drive.hidden)
        return State(g_totals, g_old), through_drive, nothing


class TotalsReadout(Readout):
    """The outputs are the totals."""

    def parameters(self, X, y, h, sample_weight):
        """Return no parameters."""
        return ()

    def read(self, parameters, X, h):
        """Return the totals."""
        return h.totals, None

    def adjoint(self, parameters, tape, g):
        """Return the gradient by the state."""
        return State(g, None), ()


def _affine(X, W, b):
    out = X @ W
    out += b
    return out


def _projected(X, P):
    """Return X P for coefficients (n_features, K, K): (n_rows, K, K)."""
    return (X @ P.reshape(len(P), -1)).reshape(X.shape[0], *P.shape[1:])


def _symmetrised(A):
    return A.dtype.type(0.5) * (A + A.T)
