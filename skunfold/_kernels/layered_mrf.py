"""A layered Markov random field, unfolded: sweeps of inference as the layers of a network.

Binary hidden layers h_1, ..., h_L between observed x (n, n_features) and the outputs y, which
are one class node of C states, or binary labels::

    log p(h, y | x) = sum_l h_{l-1} W_l h_l + b_l h_l + ... + h_L V y + c y + const     h_0 = x
    optional, on the edges of a graph inside a layer:  + sum_ij J_ij h_li h_lj

One sweep updates h_1, ..., h_L, then y. The field ("total") of a layer is its bias plus the
messages of all its neighbours, each with its newest state::

    total_l = b_l + up_l + down_l + lateral_l
    up_l       from total_{l-1} of this sweep (x W_1 + b_1 for the first layer)
    down_l     from total_{l+1} of the sweep before
    lateral_l  from total_l of the sweep before

The first sweep has no messages from above or from the side, so it is a conventional network.
theta of a sweep is (W_1, b_1, W_2, b_2, ..., V, c); b_l is followed by J_l where layer l has a
graph, except in an untied first sweep.

A rule (`mean_field`, `belief_propagation`) computes the messages. A message leaves out the
message received on the same link, which is part of the sender's total. So on trees the totals
are exact once every message has travelled the longest path, and on a star (one hidden layer)
the outputs are exact after one sweep.

Hershey, Le Roux and Weninger (arXiv 1409.2574), section 3.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from skunfold._kernels.graphs import Graph
from skunfold._kernels.numerics import NEW_ARRAYS, Workspace, add
from skunfold._kernels.probabilities import column_sums
from skunfold._kernels.sparse_rows import dense, transposed_times
from skunfold._kernels.unfolding import BaseIteration, BaseReadout, sets_of


class Message(NamedTuple):
    """A message on one link: its part of the field, and the state for later messages."""

    field: np.ndarray  # (n, units of the receiving layer)
    state: np.ndarray  # opaque; gradients by it are in the rule's own coordinate
    tape: Any


class FieldState(NamedTuple):
    """The state between sweeps; gradients by it have the same form."""

    totals: list  # of each layer, (n, units)
    sent: list  # for each layer a dict: the state of the message that came on each kind of link


class Input(NamedTuple):
    """A link into a layer in a sweep."""

    kind: str  # "up", "down" or "lateral"
    link: Any
    source: int  # the layer that sends
    back: tuple[int, str] | None  # layer and kind of the last message the opposite way
    owner: int  # the layer whose theta holds the weights of the link
    which: int  # their place in its (W, b, J)


class PreparedSweep(NamedTuple):
    """theta of a sweep, and the weights as links use them."""

    number: int  # of the first sweep with this theta
    theta: tuple
    places: list  # of (W, b, J or None) of each layer in theta
    weights: list  # for each layer a dict: of each kind of link


@dataclass(frozen=True)
class FieldIteration(BaseIteration):
    """A sweep of inference as an iteration (`skunfold._kernels.unfolding`)."""

    graphs: tuple[Graph | None, ...]  # inside each layer, the outputs last
    rule: Any  # MeanField or BeliefPropagation
    class_node: bool  # whether the outputs are one class node, or binary labels
    local: bool = False  # labels see only their own features; see `input_field`
    work: Workspace = NEW_ARRAYS

    def with_workspace(self, work):
        """Return this iteration with a workspace."""
        return replace(self, work=work)

    def by_layer(self, theta):
        """Return (W, b, J or None) of each layer; theta may hold anything in their places."""
        n = len(self.graphs)
        has_lateral = len(theta) > 2 * n
        items = iter(theta)
        return [
            (next(items), next(items), next(items) if has_lateral and graph else None)
            for graph in self.graphs
        ]

    def prepare(self, theta, n_samples, sweeps):
        """Return the PreparedSweep of theta, for any number of samples."""
        places = self.by_layer(range(len(theta)))
        weights = [
            {i.kind: i.link.prepare(theta[places[i.owner][i.which]]) for i in inputs}
            for inputs in self._inputs(max(sweeps))
        ]
        return PreparedSweep(sweeps[0], theta, places, weights)

    def block_size(self, theta):
        """Return how many samples to carry through all sweeps at a time."""
        sizes = [
            len(b) if graph is None else graph.n_nodes
            for (_, b, _), graph in zip(self.by_layer(theta), self.graphs)
        ]
        widest = self.rule.table_size(sizes, self.graphs)
        return int(np.clip(self.rule.block_elements // max(widest, 1), 4, 256))

    def drive(self, sweep, X):
        """Return for each layer the part of its field that does not depend on messages."""
        W, *biases = (sweep.theta[i] for i in (0, *(b for _, b, _ in sweep.places)))
        return [input_field(X, W, biases[0], self.local), *biases[1:]]

    def drive_adjoint(self, sweep, X, g):
        """Return the gradients by theta, from that by the constant field of the first layer."""
        W, b, *others = sweep.theta
        work = self.work.scope(sweep.number)
        return (*input_adjoint(X, g, W, b, self.local, work), *(None for _ in others))

    def initial(self, sweep, drive, n_samples):
        """Return the state without any message."""
        n = len(self.graphs)
        return FieldState([None] * n, [{}] * n)

    def step(self, sweep, drive, h, k):
        """Return the FieldState after sweep k, and the messages of each layer."""
        totals, sent, tape = [*h.totals], [*h.sent], []
        for layer, inputs in enumerate(self._inputs(k)):
            weights, old = sweep.weights[layer], sent[layer]
            messages = {
                kind: link.send(
                    totals[source],
                    None if back is None else sent[back[0]][back[1]],
                    old.get(kind),
                    weights[kind],
                )
                for kind, link, source, back, _, _ in inputs
            }
            fields = [m.field for m in messages.values()]
            totals[layer] = _sum(drive[layer], fields, len(drive[0]))
            sent[layer] = {kind: m.state for kind, m in messages.items()}
            tape.append(messages)
        return FieldState(totals, sent), tape

    def adjoint(self, sweep, tape, g, k):
        """Return the gradients by the state, by the first layer's constant field, by theta.

        The gradient by the state after the sweep is overwritten.
        """
        (g_totals, g_sent), g_drive = g, None
        of_theta: list = [None] * len(sweep.theta)
        inputs = self._inputs(k)
        for layer in reversed(range(len(tape))):
            g_total, g_totals[layer] = g_totals[layer], None
            if g_total is None:
                continue
            if layer == 0:
                g_drive = g_total
            else:
                of_theta[sweep.places[layer][1]] = column_sums(g_total)
            g_here, weights = g_sent[layer], sweep.weights[layer]
            for kind, link, source, back, owner, which in inputs[layer]:
                g_source, g_back, g_here[kind], g_weight = link.adjoint(
                    g_total, g_here.get(kind), tape[layer][kind], weights[kind]
                )
                g_totals[source] = add(g_totals[source], g_source)
                if back is not None and g_back is not None:
                    g_there = g_sent[back[0]]
                    g_there[back[1]] = add(g_there.get(back[1]), g_back)
                place = sweep.places[owner][which]
                of_theta[place] = add(of_theta[place], g_weight)
        return g, g_drive, tuple(of_theta)

    def _inputs(self, sweep):
        """Return for each layer its inputs in a sweep, which are the same from the third on."""
        return self._inputs_of_sweeps[min(sweep, 2)]

    @cached_property
    def _inputs_of_sweeps(self):
        layers = range(len(self.graphs))
        return [[[*self._arriving(layer, sweep)] for layer in layers] for sweep in range(3)]

    def _arriving(self, layer, sweep):
        """Yield the inputs of a layer in a sweep."""
        last, graph = len(self.graphs) - 1, self.graphs[layer]
        if layer > 0:
            link = self.rule.up_link(self.class_node and layer == last)
            back = (layer - 1, "down") if sweep > 0 else None
            yield Input("up", link, layer - 1, back, layer, 0)
        if sweep > 0 and layer < last:
            link = self.rule.down_link(self.class_node and layer + 1 == last)
            yield Input("down", link, layer + 1, (layer + 1, "up"), layer + 1, 0)
        if sweep > 0 and graph is not None:
            back = (layer, "lateral") if sweep > 1 else None
            yield Input("lateral", self.rule.lateral_link(graph), layer, back, layer, 2)


@dataclass(frozen=True)
class FieldReadout(BaseReadout):
    """The outputs are the totals of the last layer: logits of the classes, or of each label."""

    def read(self, parameters, X, h):
        """Return the logits (n, n_outputs), and the number of layers."""
        return h.totals[-1], len(h.totals)

    def adjoint(self, parameters, tape, g):
        """Return the gradient by the state; there are no parameters."""
        g_totals = [None] * (tape - 1) + [g.copy()]
        return FieldState(g_totals, [{} for _ in range(tape)]), ()


def sets_of_sweeps(graphs, n_sweeps, tied):
    """Return for each sweep the places of its theta in the list of parameters.

    Couplings inside a layer are first needed in the second sweep.
    """
    n_arrays, n_lateral = 2 * len(graphs), sum(graph is not None for graph in graphs)
    later = n_arrays + n_lateral
    first = later if tied and n_sweeps > 1 else n_arrays
    return sets_of([first] + [later] * (n_sweeps - 1), tied)


def input_field(X, W, b, local):
    """Return x W + b, (n, units); X may be sparse.

    With `local`, X holds f blocks side by side, each with one feature for each label. A label
    sees its own ones, by weights W (f, 1) that all labels share; b is (n_labels,), or (1,).
    """
    if local:
        return np.einsum("nfl,f->nl", _blocks(X, len(W)), W[:, 0]) + b
    field = X @ W
    field += b
    return field


def input_adjoint(X, g, W, b, local, work):
    """Return dE by W and b from g = dE/dfield (n, units)."""
    if not local:
        g_W = work.array("input", W.shape, np.result_type(X.dtype, g))
        return transposed_times(X, g, out=g_W), column_sums(g)
    g_W = np.einsum("nfl,nl->f", _blocks(X, len(W)), g)[:, None]
    return g_W, g.sum(keepdims=True)[0] if len(b) == 1 else g.sum(axis=0)


def _blocks(X, n_blocks):
    return dense(X).reshape(X.shape[0], n_blocks, -1)


def _sum(base, fields, n_samples):
    """Return a new array (n_samples, units): the constant part plus all fields."""
    if not fields:
        return np.array(np.broadcast_to(base, (n_samples, base.shape[-1])))
    total = fields[0] + base
    for field in fields[1:]:
        total += field
    return total
