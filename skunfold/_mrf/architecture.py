"""The unfolded field but for its potentials: shapes, inference, potentials <-> parameters.

Potentials are a list with a dict for each sweep: "coefs" are the couplings between adjacent
layers, "intercepts" the biases, "lateral" the couplings inside each layer (None without).
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from skunfold._kernels.blocks import map_samples
from skunfold._kernels.graphs import Graph, complete_graph
from skunfold._kernels.layered_mrf import FieldIteration, FieldReadout, sets_of_sweeps
from skunfold._kernels.mean_field import MeanField
from skunfold._kernels.probabilities import sigmoid
from skunfold._kernels.unfolding import Unfolding
from skunfold._mrf.label_graph import sees_own_features
from skunfold.unfolding.losses import CrossEntropy


@dataclass(frozen=True)
class FieldArchitecture:
    """Sizes and rule of an unfolded field."""

    n_features: int
    hidden_sizes: tuple[int, ...]
    n_outputs: int
    class_node: bool
    n_sweeps: int
    tied: bool
    lateral: bool
    rule: Any  # MeanField or BeliefPropagation
    label_graph: Graph | None = None
    coupling: str = "edge"

    @property
    def local(self):
        """Whether labels see their own features only, and share the weights of these."""
        return sees_own_features(self.label_graph, self.coupling, self.hidden_sizes)

    @property
    def shapes(self):
        """The shapes of the couplings between adjacent layers, and the sizes of the biases."""
        if self.local:
            n_biases = 1 if self.coupling == "shared" else self.n_outputs
            return [(self.n_features // self.n_outputs, 1)], [n_biases]
        sizes = (self.n_features, *self.hidden_sizes, self.n_outputs)
        return list(pairwise(sizes)), list(sizes[1:])

    @cached_property
    def graphs(self):
        """The graph inside each layer, or None; hidden layers first, the outputs last."""
        lateral = self.lateral and self.n_sweeps > 1  # of one sweep they carry nothing
        hidden = [
            complete_graph(size) if lateral and size > 1 else None for size in self.hidden_sizes
        ]
        return (*hidden, self.label_graph)

    @cached_property
    def network(self):
        """The network as the training loop sees it."""
        return Unfolding(
            FieldIteration(self.graphs, self.rule, self.class_node, self.local),
            FieldReadout(),
            CrossEntropy(exclusive=self.class_node),
            sets_of_sweeps(self.graphs, self.n_sweeps, self.tied),
        )

    @property
    def parameter_sets(self):
        """For each distinct theta, the places of (W, b, J or None) of each layer."""
        distinct = dict.fromkeys(self.network.sets)
        return [self.network.iteration.by_layer(places) for places in distinct]

    @property
    def coupling_places(self):
        """The places of all couplings in the list of parameters: all but the biases."""
        return tuple(
            place
            for layers in self.parameter_sets
            for W, _, J in layers
            for place in (W, J)
            if place is not None
        )

    def random_potentials(self, random_state, dtype):
        """Return potentials by Glorot and Bengio (2010), as in MLPClassifier; no laterals."""
        coefs, intercepts = [], []
        for shape, n_biases in zip(*self.shapes):
            bound = np.sqrt(2 / sum(shape))
            coefs.append(random_state.uniform(-bound, bound, shape).astype(dtype))
            intercepts.append(random_state.uniform(-bound, bound, n_biases).astype(dtype))
        return self.repeated(coefs, intercepts)

    def repeated(self, coefs, intercepts):
        """Return the potentials that are the same in every sweep, without lateral couplings."""
        dtype = coefs[0].dtype
        lateral = [
            None if graph is None else np.zeros(graph.n_weights, dtype) for graph in self.graphs
        ]
        one = {"coefs": coefs, "intercepts": intercepts, "lateral": lateral}
        return self.potentials(self.parameters([one] * self.n_sweeps))

    def parameters(self, potentials):
        """Return the flat list of distinct arrays, as training sees them."""
        parameters = []
        for chosen, layers in zip(potentials, self.parameter_sets):
            for layer, (_, _, J) in enumerate(layers):
                parameters += [chosen["coefs"][layer], chosen["intercepts"][layer]]
                if J is not None:
                    parameters.append(chosen["lateral"][layer])
        return parameters

    def potentials(self, parameters):
        """Return the potentials of each sweep, one and the same dict for tied sweeps."""
        distinct = [
            {
                "coefs": [parameters[W] for W, _, _ in layers],
                "intercepts": [parameters[b] for _, b, _ in layers],
                "lateral": [None if J is None else parameters[J] for _, _, J in layers],
            }
            for layers in self.parameter_sets
        ]
        return distinct * self.n_sweeps if self.tied else distinct

    def prepared(self, parameters):
        """Return what inference takes, for any number of samples."""
        return self.network.prepare(parameters, None)

    def logits(self, X, prepared):
        """Return the logits after the last sweep, (n, n_outputs)."""

        def fill(out, X):
            out[:] = self.network.output(prepared, X)

        return self._filled(fill, self.n_outputs, X, prepared)

    def staged_logits(self, X, prepared):
        """Return the logits after each sweep, (n, n_sweeps, n_outputs)."""

        def fill(out, X):
            for sweep, state in enumerate(self.network.states(prepared, X)):
                out[:, sweep] = state.totals[-1]

        return self._filled(fill, (self.n_sweeps, self.n_outputs), X, prepared)

    def beliefs(self, X, prepared):
        """Return the beliefs of all hidden units after the last sweep."""

        def fill(out, X):
            *_, state = self.network.states(prepared, X)
            np.concatenate([out[:, :0], *map(sigmoid, state.totals[:-1])], axis=1, out=out)

        return self._filled(fill, sum(self.hidden_sizes), X, prepared)

    def _filled(self, fill, shape, X, prepared):
        """Return an array of as many rows as X and that shape, filled block by block."""
        out = np.empty((X.shape[0], *np.atleast_1d(shape)), X.dtype)

        def fill_block(out, work, X):
            fill(out, X)

        block_size, n_weights = self.network.block_size(prepared.parameters), 0
        if isinstance(self.rule, MeanField) and all(g is None for g in self.graphs):
            # Its time is that of products, which BLAS divides well if there are few samples.
            block_size, n_weights = None, max(p.size for p in prepared.parameters)
        return map_samples(fill_block, out, n_weights, X, block_size=block_size)
