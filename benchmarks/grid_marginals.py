"""Mean error of marginals on random 4x4 grids: mean field, belief propagation, exact.

    python benchmarks/grid_marginals.py --out grid_marginals.json \
--markdown doc/results/grid_marginals.md

Binary units on a 4x4 grid, with fields from -1 to 1 and couplings from -strength to strength
(as between spins: a coupling does not shift the mean); 30 sweeps with damping 0.3. Exact
marginals are sums over all 65,536 states. The mean absolute error of a marginal, averaged over
grids, with its standard error.
"""

import argparse
import json
from pathlib import Path

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


def markdown_of(rows):
    """Return the table, with the command that makes it."""
    title, command, about = __doc__.strip().split("\n\n")
    columns = [*RULES, "BP nearer than mean field"]
    lines = ["# Marginals on grids", "", title, "", "```", command.strip(), "```", ""]
    lines += [*about.splitlines(), ""]
    lines += ["| couplings | grids | " + " | ".join(columns) + " |"]
    lines += ["|---|" + "---:|" * (len(columns) + 1)]
    for row in rows:
        cells = [f"{row['couplings']}, to {row['strength']:g}", f"{row['n_grids']}"]
        cells += [f"{row[rule]:.5f} ({row[rule + ', s.e.']:.5f})" for rule in RULES]
        cells += [f"{row['BP nearer than mean field']:.0%}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main():
    """Print a table and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="grid_marginals.json")
    parser.add_argument("--markdown", help="also write the table as Markdown to this file")
    parser.add_argument("--grids", type=int, default=200)
    options = parser.parse_args()
    rows = []
    for name, strength in (("weak", 1.0), ("middle", 3.0), ("strong", 8.0)):
        errors = errors_on(strength, options.grids)
        row = {"couplings": name, "strength": strength, "n_grids": options.grids}
        for k, rule in enumerate(RULES):
            row[rule] = float(errors[:, k].mean())
            row[rule + ", s.e."] = float(errors[:, k].std(ddof=1) / options.grids**0.5)
        row["BP nearer than mean field"] = float(np.mean(errors[:, 1] < errors[:, 0]))
        rows.append(row)
    print(markdown_of(rows))
    Path(options.out).write_text(json.dumps({"rows": rows}, indent=2))
    if options.markdown:
        Path(options.markdown).parent.mkdir(parents=True, exist_ok=True)
        Path(options.markdown).write_text(markdown_of(rows))


if __name__ == "__main__":
    main()
