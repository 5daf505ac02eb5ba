"""Mean error of marginals on random 4x4 grids: mean field, belief propagation, exact.

    python benchmarks/grid_marginals.py --out grid_marginals.json

Binary units on a 4x4 grid, with fields from -1 to 1 and couplings from -strength to strength
(as between spins: a coupling does not shift the mean); 30 sweeps with damping 0.3. Exact
marginals are sums over all 65,536 states.
"""

import argparse
import json

import numpy as np
from sklearn.feature_extraction.image import grid_to_graph

from skunfold._kernels.belief_propagation import BeliefPropagation
from skunfold._kernels.graphs import Graph
from skunfold._kernels.layered_mrf import LayeredMRF, Layout, sigmoid
from skunfold._kernels.mean_field import MeanField

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
            network = LayeredMRF(Layout((Graph(n, i, j),), N_SWEEPS), rule, classes=False)
            logits, _ = network.forward([np.zeros((1, n)), b, J], np.zeros((1, 1)))
            row[k] = np.abs(sigmoid(logits[0]) - exact).mean()
    return errors


def main():
    """Print a table and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="grid_marginals.json")
    parser.add_argument("--grids", type=int, default=200)
    options = parser.parse_args()
    rows = []
    for name, strength in (("weak", 1.0), ("middle", 3.0), ("strong", 8.0)):
        errors = errors_on(strength, options.grids)
        row = {"couplings": name, "strength": strength, "n_grids": options.grids}
        for k, rule in enumerate(RULES):
            row[rule] = float(errors[:, k].mean())
        row["BP nearer than mean field"] = float(np.mean(errors[:, 1] < errors[:, 0]))
        rows.append(row)
        print(*(f"{v:.5f}" if isinstance(v, float) else v for v in row.values()), sep="  ")
    with open(options.out, "w") as file:
        json.dump({"rows": rows}, file, indent=2)


if __name__ == "__main__":
    main()
