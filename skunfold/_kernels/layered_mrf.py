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
from skunfold._kernels.numerics import FRESH, Workspace, add
from skunfold._kernels.sparse_rows import dense, transposed_times


class Message(NamedTuple):
    """What one link sends: its part of the field, and what later messages need of it."""

    field: np.ndarray  # (n, units of the receiving layer)
    state: np.ndarray  # opaque; gradients by it are in the rule's own coordinate
    tape: Any


@dataclass(frozen=True)
class Layout:
    """Where the parameters of each sweep and layer stand in the flat list.

    A parameter set is W, b and, for layers with a graph, J for every layer. J is first needed
    in the second sweep; the first set of untied sweeps has none.
    """

    graphs: tuple[Graph | None, ...]  # for each layer, the outputs last
    n_sweeps: int = 1
    tied: bool = True

    @property
    def n_layers(self):
        """Hidden layers and the outputs."""
        return len(self.graphs)

    @property
    def n_sets(self):
        """The number of distinct parameter sets."""
        return 1 if self.tied else self.n_sweeps

    def has_lateral(self, layer, index):
        """Return whether a parameter set holds J for a layer."""
        later = index > 0 or (self.tied and self.n_sweeps > 1)
        return later and self.graphs[layer] is not None

    @cached_property
    def places(self):
        """For each parameter set and layer, the places of W, b and J (or None)."""
        places: list = []
        n = 0
        for index in range(self.n_sets):
            places.append([])
            for layer in range(self.n_layers):
                lateral = self.has_lateral(layer, index)
                places[-1].append((n, n + 1, n + 2 if lateral else None))
                n += 3 if lateral else 2
        return places

    def set_of(self, sweep):
        """Return the number of the parameter set of a sweep."""
        return 0 if self.tied else sweep


class Prepared(NamedTuple):
    """Parameters, and for each set of them and each layer the weights as links use them."""

    parameters: list
    weights: list


@dataclass(frozen=True)
class LayeredMRF:
    """The unfolded network as the training loop sees it (`skunfold._training.protocol`).

    The outputs are total fields: logits of the classes (n, C), or of each label being on.
    The passes take parameters, or what `prepare` made of them.
    """

    layout: Layout
    rule: Any  # MeanField or BeliefPropagation
    classes: bool  # one class node, or binary labels
    local: bool = False  # labels see only their own features; see `input_field`
    work: Workspace = FRESH

    def with_workspace(self):
        """Return this network with a workspace of its own, for one thread."""
        return replace(self, work=Workspace())

    def prepare(self, parameters, n_samples):
        """Return what depends on the parameters alone, which serves any number of samples."""
        weights: list = []
        for index, places in enumerate(self.layout.places):
            last_sweep = self.layout.n_sweeps - 1 if self.layout.tied else index
            weights.append([])
            for layer, links in enumerate(self._links):
                here = {}
                for kind, _, _ in self._inputs(layer, last_sweep):
                    place = self._place(places, layer, kind)
                    here[kind] = links[kind].prepare(parameters[place])
                weights[-1].append(here)
        return Prepared(parameters, weights)

    def forward(self, parameters, X):
        """Return the logits after the last sweep, (n, n_outputs), and the tape."""
        tape: list = []
        *_, totals = self.sweeps(parameters, X, tape)
        return totals[-1], (X, tape)

    def sweeps(self, parameters, X, tape=None):
        """Yield the totals of all layers, a list of arrays, after each sweep.

        What each step sent is added to `tape`, a list, if there is one.
        """
        parameters, prepared = self._prepared(parameters, X)
        n = self.layout.n_layers
        links = self._links
        totals: list = [None] * n
        sent: list = [dict.fromkeys(("up", "down", "lateral")) for _ in range(n)]
        for sweep in range(self.layout.n_sweeps):
            index = self.layout.set_of(sweep)
            weights = prepared[index]
            if sweep == 0 or not self.layout.tied:
                bases = self._constant_fields(parameters, X, index)
            for layer in range(n):
                messages = {}
                for kind, source, back in self._inputs(layer, sweep):
                    link, w = links[layer][kind], weights[layer][kind]
                    back = None if back is None else sent[back[0]][back[1]]
                    old = sent[layer][kind]
                    messages[kind] = link.send(
                        totals[source],
                        None if back is None else back.state,
                        None if old is None else old.state,
                        w,
                    )
                fields = [m.field for m in messages.values()]
                totals[layer] = _sum(bases[layer], fields, X.shape[0])
                sent[layer].update(messages)
                if tape is not None:
                    tape.append((weights[layer], messages))
            yield totals

    def backward(self, parameters, tape, g):
        """Return dE/dparameters from g = dE/dlogits, summed over the samples."""
        X, steps = tape
        steps = list(steps)
        parameters, _ = self._prepared(parameters, X)
        gradients: list = [None] * len(parameters)
        n = self.layout.n_layers
        links = self._links
        g_totals: list = [None] * (n - 1) + [g.copy()]
        g_states: list = [dict.fromkeys(("up", "down", "lateral")) for _ in range(n)]
        first: list = [None] * self.layout.n_sets
        for sweep in reversed(range(self.layout.n_sweeps)):
            places = self.layout.places[self.layout.set_of(sweep)]
            for layer in reversed(range(n)):
                weights, messages = steps.pop()
                g_total, g_totals[layer] = g_totals[layer], None
                if g_total is None:
                    continue
                if layer == 0:
                    _accumulate(first, self.layout.set_of(sweep), g_total)
                else:
                    _accumulate(gradients, places[layer][1], g_total.sum(axis=0))
                for kind, source, back in self._inputs(layer, sweep):
                    g_source, g_back, g_old, g_weight = links[layer][kind].adjoint(
                        g_total, g_states[layer][kind], messages[kind], weights[kind]
                    )
                    g_states[layer][kind] = g_old
                    g_totals[source] = add(g_totals[source], g_source)
                    if back is not None and g_back is not None:
                        states = g_states[back[0]]
                        states[back[1]] = add(states[back[1]], g_back)
                    _accumulate(gradients, self._place(places, layer, kind), g_weight)
        for index, g_total in enumerate(first):
            W, b, _ = self.layout.places[index][0]
            if g_total is not None:
                gradients[W], gradients[b] = input_adjoint(
                    X, g_total, parameters[W], parameters[b], self.local, self.work.scope(W)
                )
        return [
            np.zeros_like(p) if gradient is None else gradient
            for p, gradient in zip(parameters, gradients)
        ]

    def loss(self, logits, y):
        """Return the cross-entropy of each sample, (n,), for indicators y like the logits."""
        if self.classes:
            return -np.einsum("nc,nc->n", log_softmax(logits), y)
        return np.sum(softplus(logits) - y * logits, axis=1)

    def loss_gradient(self, logits, y):
        """Return dE/dlogits, (n, n_outputs): probabilities minus indicators."""
        return (softmax(logits) if self.classes else sigmoid(logits)) - y

    def block_size(self, parameters):
        """Return how many samples to carry through all sweeps at a time."""
        sizes = [
            len(parameters[b]) if graph is None else graph.n_nodes
            for (_, b, _), graph in zip(self.layout.places[0], self.layout.graphs)
        ]
        widest = self.rule.table_size(sizes, self.layout.graphs)
        return int(np.clip(self.rule.block_elements // max(widest, 1), 4, 256))

    @cached_property
    def _links(self):
        """For each layer, the links by which messages arrive."""
        last = self.layout.n_layers - 1
        links = []
        for layer, graph in enumerate(self.layout.graphs):
            here: dict = {}
            if layer > 0:
                here["up"] = self.rule.up_link(self.classes and layer == last)
            if layer < last:
                here["down"] = self.rule.down_link(self.classes and layer + 1 == last)
            if graph is not None:
                here["lateral"] = self.rule.lateral_link(graph)
            links.append(here)
        return links

    def _inputs(self, layer, sweep):
        """Yield (kind, source layer, (layer, kind) of the opposite message) of a step."""
        if layer > 0:
            yield "up", layer - 1, (layer - 1, "down") if sweep > 0 else None
        if sweep > 0 and layer + 1 < self.layout.n_layers:
            yield "down", layer + 1, (layer + 1, "up")
        if sweep > 0 and self.layout.graphs[layer] is not None:
            yield "lateral", layer, (layer, "lateral") if sweep > 1 else None

    @staticmethod
    def _place(places, layer, kind):
        """Return the place of the parameter that a link uses."""
        return {
            "up": places[layer][0],
            "down": places[layer + 1][0] if kind == "down" else None,
            "lateral": places[layer][2],
        }[kind]

    def _prepared(self, parameters, X):
        if isinstance(parameters, Prepared):
            return parameters
        return self.prepare(parameters, X.shape[0])

    def _constant_fields(self, parameters, X, index):
        """Return for each layer the part of its field that no message changes."""
        (W, b, _), *above = self.layout.places[index]
        field = input_field(X, parameters[W], parameters[b], self.local)
        return [field, *(parameters[b] for _, b, _ in above)]


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


def softmax(logits):
    """Return the probabilities of classes, (n, C)."""
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return p


def log_softmax(logits):
    """Return the logarithms of the probabilities of classes, (n, C)."""
    below = logits - logits.max(axis=1, keepdims=True)
    return below - np.log(np.exp(below).sum(axis=1, keepdims=True))


def two_states(logits, log=False):
    """Return the probabilities of being off and on, or their logarithms."""
    logs = -softplus(logits), -softplus(-logits)
    return logs if log else tuple(np.exp(value) for value in logs)


def sigmoid(x):
    """Return 1 / (1 + exp(-x)), which cannot overflow; its error is that of 1 + tanh."""
    out = x * x.dtype.type(0.5)
    np.tanh(out, out=out)
    out += x.dtype.type(1)
    out *= x.dtype.type(0.5)
    return out


def softplus(x):
    """Return log(1 + exp(x))."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _sum(base, fields, n_samples):
    """Return a new array (n_samples, units): the constant part plus all fields."""
    if not fields:
        return np.array(np.broadcast_to(base, (n_samples, base.shape[-1])))
    total = fields[0] + base
    for field in fields[1:]:
        total += field
    return total


def _accumulate(sums, place, term):
    """Add a term to one of the sums, in the array of its first term."""
    sums[place] = add(sums[place], term)
