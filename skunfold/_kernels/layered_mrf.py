"""A layered Markov random field, unfolded: sweeps of inference as the layers of a network.

Binary hidden layers h_1, ..., h_L between observed x (n, n_features) and the outputs y, which
are one class node of C states, or binary labels::

    log p(h, y | x) = sum_l h_{l-1} W_l h_l + b_l h_l + ... + h_L V y + c y + const     h_0 = x
    optional, on the edges of a graph inside a layer:  + sum_ij J_ij h_li h_lj

One sweep renews h_1, ..., h_L, then y. The field ("total") of a layer is its bias and what all
its neighbours send, each with its newest state::

    total_l = b_l + up_l + down_l + lateral_l
    up_l       from total_{l-1} of this sweep (x W_1 + b_1 for the first layer)
    down_l     from total_{l+1} of the sweep before
    lateral_l  from total_l of the sweep before

In the first sweep nothing comes from above or from the side, so it is a conventional network.
theta of a sweep is (W_1, b_1, W_2, b_2, ..., V, c); b_l is followed by J_l where layer l has a
graph, but not in a first sweep with a theta of its own.

What is sent is the matter of a rule (`mean_field`, `belief_propagation`). A message leaves out
what came back on its own link, and that is the message which the sender's total holds: so on
trees the totals are exact once every message has travelled the longest path, and on a star
(one hidden layer) the outputs are exact after one sweep.

Hershey, Le Roux and Weninger (arXiv 1409.2574), section 3.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from skunfold._kernels.graphs import Graph
from skunfold._kernels.numerics import NEW_ARRAYS, Workspace, add
from skunfold._kernels.sparse_rows import dense, transposed_times
from skunfold._kernels.unfolding import BaseIteration, BaseReadout, sets_of


class Message(NamedTuple):
    """What one link sends: its part of the field, and what later messages need of it."""

    field: np.ndarray  # (n, units of the receiving layer)
    state: np.ndarray  # opaque; gradients by it are in the rule's own coordinate
    tape: Any


class FieldState(NamedTuple):
    """What a sweep leaves to the next one; gradients by it have the same form."""

    totals: list  # of each layer, (n, units)
    sent: list  # for each layer a dict: the state of the message that came on each kind of link

    @classmethod
    def empty(cls, n_layers):
        """Return the state before the first sweep."""
        return cls([None] * n_layers, [{} for _ in range(n_layers)])

    def copy(self):
        """Return a state whose lists can be changed."""
        return FieldState([*self.totals], [dict(sent) for sent in self.sent])


class PreparedSweep(NamedTuple):
    """theta of a sweep, and the weights as links use them."""

    number: int  # of the first sweep with this theta
    layers: list  # (W, b, J or None) of each layer
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
        """Return the PreparedSweep of theta, which serves any number of samples."""
        layers = self.by_layer(theta)
        weights = [
            {
                kind: self._links[layer][kind].prepare(_weights_of(layers, layer, kind))
                for kind, _, _ in self._inputs(layer, max(sweeps))
            }
            for layer in range(len(layers))
        ]
        return PreparedSweep(sweeps[0], layers, weights)

    def block_size(self, theta):
        """Return how many samples to carry through all sweeps at a time."""
        sizes = [
            len(b) if graph is None else graph.n_nodes
            for (_, b, _), graph in zip(self.by_layer(theta), self.graphs)
        ]
        widest = self.rule.table_size(sizes, self.graphs)
        return int(np.clip(self.rule.block_elements // max(widest, 1), 4, 256))

    def drive(self, theta, X):
        """Return for each layer the part of its field that no message changes."""
        (W, b, _), *above = theta.layers
        return [input_field(X, W, b, self.local), *(b for _, b, _ in above)]

    def drive_adjoint(self, theta, X, g):
        """Return the gradients by theta, from that by the constant field of the first layer."""
        (W, b, _), *_ = theta.layers
        work = self.work.scope(theta.number)
        of_theta = self._no_gradients(theta)
        of_theta[0][:2] = input_adjoint(X, g, W, b, self.local, work)
        return _flat(of_theta, theta)

    def initial(self, theta, drive, n_samples):
        """Return the state without any message."""
        return FieldState.empty(len(self.graphs))

    def step(self, theta, drive, h, k):
        """Return the FieldState after sweep k, and the messages of each layer."""
        totals, sent = h.copy()
        tape = []
        for layer, weights in enumerate(theta.weights):
            messages = {}
            for kind, source, back in self._inputs(layer, k):
                messages[kind] = self._links[layer][kind].send(
                    totals[source],
                    None if back is None else sent[back[0]][back[1]],
                    sent[layer].get(kind),
                    weights[kind],
                )
            fields = [m.field for m in messages.values()]
            totals[layer] = _sum(drive[layer], fields, len(drive[0]))
            sent[layer].update({kind: m.state for kind, m in messages.items()})
            tape.append(messages)
        return FieldState(totals, sent), tape

    def adjoint(self, theta, tape, g, k):
        """Return the gradients by the state, by the first layer's constant field, by theta."""
        g_totals, g_sent = g.copy()
        of_theta = self._no_gradients(theta)
        g_drive = None
        for layer in reversed(range(len(tape))):
            g_total, g_totals[layer] = g_totals[layer], None
            if g_total is None:
                continue
            if layer == 0:
                g_drive = g_total
            else:
                of_theta[layer][1] = g_total.sum(axis=0)
            for kind, source, back in self._inputs(layer, k):
                g_source, g_back, g_old, g_weight = self._links[layer][kind].adjoint(
                    g_total,
                    g_sent[layer].get(kind),
                    tape[layer][kind],
                    theta.weights[layer][kind],
                )
                g_sent[layer][kind] = g_old
                g_totals[source] = add(g_totals[source], g_source)
                if back is not None and g_back is not None:
                    at, back_kind = back
                    g_sent[at][back_kind] = add(g_sent[at].get(back_kind), g_back)
                at, which = _place_of(layer, kind)
                of_theta[at][which] = add(of_theta[at][which], g_weight)
        return FieldState(g_totals, g_sent), g_drive, _flat(of_theta, theta)

    @cached_property
    def _links(self):
        """For each layer, the links by which messages arrive."""
        last = len(self.graphs) - 1
        links = []
        for layer, graph in enumerate(self.graphs):
            here: dict = {}
            if layer > 0:
                here["up"] = self.rule.up_link(self.class_node and layer == last)
            if layer < last:
                here["down"] = self.rule.down_link(self.class_node and layer + 1 == last)
            if graph is not None:
                here["lateral"] = self.rule.lateral_link(graph)
            links.append(here)
        return links

    def _inputs(self, layer, sweep):
        """Yield (kind, source layer, (layer, kind) of the opposite message) of a step."""
        if layer > 0:
            yield "up", layer - 1, (layer - 1, "down") if sweep > 0 else None
        if sweep > 0 and layer + 1 < len(self.graphs):
            yield "down", layer + 1, (layer + 1, "up")
        if sweep > 0 and self.graphs[layer] is not None:
            yield "lateral", layer, (layer, "lateral") if sweep > 1 else None

    def _no_gradients(self, theta):
        return [[None, None, None] for _ in theta.layers]


@dataclass(frozen=True)
class FieldReadout(BaseReadout):
    """The outputs are the totals of the last layer: logits of the classes, or of each label."""

    def read(self, parameters, X, h):
        """Return the logits (n, n_outputs), and the number of layers."""
        return h.totals[-1], len(h.totals)

    def adjoint(self, parameters, tape, g):
        """Return the gradient by the state; there are no parameters."""
        of_state = FieldState.empty(tape)
        of_state.totals[-1] = g.copy()
        return of_state, ()


def sets_of_sweeps(graphs, n_sweeps, tied):
    """Return for each sweep the places of its theta in the list of parameters.

    Couplings inside a layer are first needed in the second sweep.
    """
    n_arrays, n_lateral = 2 * len(graphs), sum(graph is not None for graph in graphs)
    later = n_arrays + n_lateral
    first = later if tied and n_sweeps > 1 else n_arrays
    return sets_of([first] + [later] * (n_sweeps - 1), tied)


def _place_of(layer, kind):
    """Return the layer whose theta holds the weights of a link, and their place in it."""
    return layer + (kind == "down"), 2 if kind == "lateral" else 0


def _weights_of(layers, layer, kind):
    """Return the weights of a link, from (W, b, J) of each layer."""
    at, which = _place_of(layer, kind)
    return layers[at][which]


def _flat(of_theta, theta):
    """Return gradients as theta has its arrays, from those by (W, b, J) of each layer."""
    return tuple(
        g
        for gradients, arrays in zip(of_theta, theta.layers)
        for g, array in zip(gradients, arrays)
        if array is not None
    )


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
        return transposed_times(X, g, out=g_W), g.sum(axis=0)
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
