"""Mean error of marginals on random 4x4 grids: mean field, belief propagation, exact.

    python benchmarks/grid_marginals.py --out grid_marginals.json \
--markdown doc/results/grid_marginals.md

Binary units on a 4x4 grid, with fields from -1 to 1 and couplings from -strength to strength
(as between spins: a coupling does not shift the mean); 30 sweeps with damping 0.3. Exact
marginals are sums over all 65,536 states. The mean absolute error of a marginal, averaged over
grids, with its standard error.
"""

import numpy as np
from harness import begin, make_parser, report, table
from sklearn.feature_extraction.image import grid_to_graph

from skunfold._kernels.belief_propagation import BeliefPropagation
from skunfold._kernels.graphs import Graph
from skunfold._kernels.mean_field import MeanField
from skunfold._kernels.probabilities import sigmoid
from skunfold._mrf.architecture import FieldArchitecture

SIDE = 4
N_SWEEPS = 30
RULES = {
    "mean field": MeanField(damping=0.3),
    "BP": BeliefPropagation(damping=0.3),
    "BP, power 1.5": BeliefPropagation(power=1.5, damping=0.3),
}


def errors_on(strength, n_grids, seed=0):
    """Return the mean absolute errors of the marginals, (n_grids, n_rules)."""
    rng = np.random.default_rng(seed)
    n = SIDE**2
    i, j = np.triu(grid_to_graph(SIDE, SIDE).toarray(), k=1).nonzero()
    states = ((np.arange(2**n)[:, None] >> np.arange(n)) & 1).astype(np.float64)
    pairs = states[:, i] * states[:, j]
    errors = np.empty((n_grids, len(RULES)))
    for row in errors:
        J = rng.uniform(-strength, strength, len(i))
        b = rng.uniform(-1, 1, n) - (np.bincount(i, J, n) + np.bincount(j, J, n)) / 2
        energy = states @ b + pairs @ J
        p = np.exp(energy - energy.max())
        exact = p @ states / p.sum()
        for k, rule in enumerate(RULES.values()):
            field = FieldArchitecture(
                n_features=1,
                hidden_sizes=(),
                n_outputs=n,
                class_node=False,
                n_sweeps=N_SWEEPS,
                tied=True,
                lateral=False,
                rule=rule,
                label_graph=Graph(n, i, j),
            )
            logits = field.network.output([np.zeros((1, n)), b, J], np.zeros((1, 1)))
            row[k] = np.abs(sigmoid(logits[0]) - exact).mean()
    return errors


COUPLINGS = {"weak": 1.0, "middle": 3.0, "strong": 8.0}
NEARER = "BP nearer than mean field"


def row_of(name, n_grids):
    """Return a row of results: the mean error by each rule, and its standard error."""
    errors = errors_on(COUPLINGS[name], n_grids)
    row = {"couplings": name, "strength": COUPLINGS[name], "n_grids": n_grids}
    for k, rule in enumerate(RULES):
        row[rule] = errors[:, k].mean()
        row[rule + ", s.e."] = errors[:, k].std(ddof=1) / n_grids**0.5
    return row | {NEARER: np.mean(errors[:, 1] < errors[:, 0])}


def cells_of(row):
    """Return a row as the page shows it."""
    cells = {"couplings": f"{row['couplings']}, to {row['strength']:g}"}
    cells["grids"] = row["n_grids"]
    cells |= {rule: f"{row[rule]:.5f} ({row[rule + ', s.e.']:.5f})" for rule in RULES}
    return cells | {NEARER: f"{row[NEARER]:.0%}"}


def main():
    """Compute the rows that are not there yet."""
    parser = make_parser(__doc__, "grid_marginals.json")
    parser.add_argument("--grids", type=int, default=200)
    options, results = begin(parser, ["grids"])
    results.compute(row_of, {name: (name, options.grids) for name in COUPLINGS})
    rows = [cells_of(row) for row in results.of(COUPLINGS)]
    title, _, text = __doc__.strip().split("\n\n")
    report(options, results, "Marginals on grids", title, text, table(rows))


if __name__ == "__main__":
    main()
