"""Inference by belief propagation against PGMax.

    python -m pip install pgmax "jax<0.5"    # in a separate environment
    python benchmarks/pgmax_peer.py --out pgmax_peer.json --markdown doc/results/pgmax_peer.md

Three models of binary units with random potentials, in float32, all samples of a batch at once
(PGMax by `jax.vmap` and `jax.jit`): a grid of 16 x 16 labels; a discriminative restricted
Boltzmann machine, 256 hidden units and one node of 10 classes; and 64 hidden units with 10
binary labels. PGMax renews all messages at once. So does our rule inside a layer, after a first
sweep without messages. Between layers ours takes the newest: the classes, a tree, come out the
same, and the labels once both have converged. First all marginals must be equal to 1e-5; then
both run by turns in CPU time. Compilation is timed apart.
"""

import time

import jax
import numpy as np
from harness import begin, interleaved, make_parser, report, table
from pgmax import fgraph, fgroup, infer, vgroup
from sklearn.feature_extraction.image import grid_to_graph
from threadpoolctl import threadpool_limits

from skunfold._kernels.belief_propagation import BeliefPropagation
from skunfold._kernels.graphs import Graph
from skunfold._kernels.probabilities import sigmoid, softmax
from skunfold._mrf.architecture import FieldArchitecture

N_FEATURES, SIDE, TOLERANCE = 784, 16, 1e-5


def architecture(hidden_sizes, n_outputs, classes, n_sweeps, graph=None):
    """Return our network of tied sweeps."""
    n_features = n_outputs if graph is not None else N_FEATURES
    return FieldArchitecture(
        n_features=n_features,
        hidden_sizes=hidden_sizes,
        n_outputs=n_outputs,
        class_node=classes,
        n_sweeps=n_sweeps,
        tied=True,
        lateral=False,
        rule=BeliefPropagation(),
        label_graph=graph,
    )


def pgmax_of(nodes, factors, evidence_of, n_sweeps, answer):
    """Return a compiled function from a batch of fields to the marginals of the answer."""
    graph = fgraph.FactorGraph(variable_groups=list(nodes.values()))
    variables, potentials = factors
    group = fgroup.PairwiseFactorGroup(
        variables_for_factors=variables, log_potential_matrix=np.asarray(potentials)
    )
    graph.add_factors(group)
    bp = infer.BP(graph.bp_state, temperature=1.0)

    def marginals(fields):
        arrays = bp.init(evidence_updates=evidence_of(fields))
        arrays = bp.run(arrays, num_iters=n_sweeps, damping=0.0, temperature=1.0)
        return infer.get_marginals(bp.get_beliefs(arrays))[answer]

    compiled = jax.jit(jax.vmap(marginals))
    return lambda fields: compiled(fields).block_until_ready()


def of_binary(fields):
    """Return log potentials of the two states of units, in a new last axis."""
    return jax.numpy.stack([0 * fields, fields], axis=-1)


def grid(rng, n, n_sweeps):
    """Return our function and theirs for labels on a grid, both with their data bound."""
    size = SIDE**2
    i, j = np.triu(grid_to_graph(SIDE, SIDE).toarray(), k=1).nonzero()
    J = rng.uniform(-1, 1, len(i)).astype(np.float32)
    ours = architecture((), size, False, n_sweeps + 1, Graph(size, i, j))
    W, b = np.eye(size, dtype=np.float32), np.zeros(size, np.float32)
    fields = rng.uniform(-1, 1, (n, size)).astype(np.float32)
    units = vgroup.NDVarArray(num_states=2, shape=(size,))
    potentials = np.zeros((len(i), 2, 2), np.float32)
    potentials[:, 1, 1] = J
    factors = [[units[a], units[b]] for a, b in zip(i.tolist(), j.tolist())], potentials
    theirs = pgmax_of(
        {"labels": units}, factors, lambda f: {units: of_binary(f)}, n_sweeps, units
    )
    return (
        lambda: sigmoid(ours.logits(fields, ours.prepared([W, b, J]))),
        lambda: np.asarray(theirs(fields))[..., 1],
    )


def layered(rng, n, n_sweeps, n_hidden, n_outputs, classes):
    """Return our function and theirs for a hidden layer below classes or labels."""
    ours = architecture((n_hidden,), n_outputs, classes, n_sweeps)
    W = rng.normal(0, 1 / N_FEATURES**0.5, (N_FEATURES, n_hidden)).astype(np.float32)
    # Weak enough for labels to converge, and for single precision to agree to the tolerance.
    V = rng.uniform(-0.1, 0.1, (n_hidden, n_outputs)).astype(np.float32)
    b, c = np.zeros(n_hidden, np.float32), np.zeros(n_outputs, np.float32)
    X = rng.normal(size=(n, N_FEATURES)).astype(np.float32)
    fields = X @ W
    hidden = vgroup.NDVarArray(num_states=2, shape=(n_hidden,))
    n_states, n_nodes = (n_outputs, 1) if classes else (2, n_outputs)
    outputs = vgroup.NDVarArray(num_states=n_states, shape=(n_nodes,))
    pairs = [[hidden[j], outputs[k]] for j in range(n_hidden) for k in range(n_nodes)]
    potentials = np.zeros((len(pairs), 2, n_states), np.float32)
    if classes:
        potentials[:, 1] = V
    else:
        potentials[:, 1, 1] = V.ravel()
    theirs = pgmax_of(
        {"hidden": hidden, "outputs": outputs},
        (pairs, potentials),
        lambda f: {hidden: of_binary(f)},
        n_sweeps,
        outputs,
    )
    probabilities = softmax if classes else sigmoid

    def their_marginals():
        marginals = np.asarray(theirs(fields))
        return marginals[:, 0] if classes else marginals[..., 1]

    return lambda: probabilities(ours.logits(X, ours.prepared([W, b, V, c]))), their_marginals


CELLS = {
    "grid of 16 x 16 labels": (5, grid),
    "256 hidden units, 10 classes": (5, lambda *of: layered(*of, 256, 10, True)),
    "64 hidden units, 10 labels": (20, lambda *of: layered(*of, 64, 10, False)),
}


def measured(name, n):
    """Return a row of results."""
    n_sweeps, make = CELLS[name]
    ours, theirs = make(np.random.default_rng(0), n, n_sweeps)
    began = time.process_time()
    marginals = theirs()
    compiling = time.process_time() - began
    difference = float(np.abs(ours() - marginals).max())
    if difference > TOLERANCE:
        raise AssertionError(f"{name}: marginals differ by {difference}")
    with threadpool_limits(1, user_api="blas"):
        seconds = interleaved({"ours": ours, "PGMax": theirs}, n_threads=1)
    return {
        "model": name,
        "sweeps": n_sweeps,
        "largest difference": f"{difference:.0e}",
        "samples/s": round(n / seconds["ours"]),
        "samples/s, PGMax": round(n / seconds["PGMax"]),
        "times faster": seconds["PGMax"] / seconds["ours"],
        "compilation (s)": compiling,
    }


def main():
    """Measure the models that are not there yet."""
    parser = make_parser(__doc__, "pgmax_peer.json")
    parser.add_argument("--samples", type=int, default=256)
    options, results = begin(parser, ["samples"])
    results.compute(measured, {name: (name, options.samples) for name in CELLS})
    text = (
        f"Samples per second of CPU time, in batches of {options.samples}. All marginals are "
        f"equal to {TOLERANCE:g}. Only PGMax compiles; that time is not part of the ratio."
    )
    report(options, results, "Inference against PGMax", text, table(results.of(CELLS)))


if __name__ == "__main__":
    main()
