"""Compares a few measurements with stored bounds, and exits with 1 if one is beyond.

    python benchmarks/guard.py                                # compare
    python benchmarks/guard.py --out benchmarks/guard.json    # store new bounds

It guards against regressions, and is no test of the suite: it needs a machine with little other
work. Measured are, in one thread and CPU time,

- each loop of the compiled core, in ns an element, which has to be below four times what was
  measured when the bound was stored: a loop that the compiler no longer vectorises takes more;
- cells of deep NMF, as a ratio: the time of the cell's matrix products alone over that of the
  cell, which has to be above 0.7 of what was measured.

The bounds are in ``guard.json``, beside this script.
"""

import argparse
import json
import sys
from functools import partial
from pathlib import Path

import numpy as np
from deep_nmf_cells import RATE, WIDTH, Products, make_data, make_network, step_of
from harness import describe_machine, interleaved, machine_text
from threadpoolctl import threadpool_limits

import skunfold._kernels.class_messages
import skunfold._kernels.outputs
import skunfold._kernels.passes
import skunfold._kernels.ratios  # noqa: F401
from skunfold._kernels.fused import COMPILED, CORE, FUSED
from skunfold._training.objective import Objective
from skunfold._training.protocol import Samples
from skunfold._training.updates import ExponentiatedGradient

BOUNDS = Path(__file__).with_suffix(".json")
RUNS, SECONDS = 7, 0.02
ALLOWED = {"loops": 4.0, "cells": 0.7}  # times what was measured
N, M, K, C = 128, 32, 64, 10  # samples, units of two layers, classes
ROWS, LETTERS = 400, 26
FRAMES, FEATURES, COMPONENTS = 512, 257, 200
PARAMETERS = 1 << 18


def loops(dtype):
    """Return (name, arguments, number of elements) of a call of each loop."""
    rng = np.random.default_rng(0)

    def draw(*shape):
        return rng.uniform(0.5, 1.5, shape).astype(dtype)

    pairs, classes, rows = (draw(N, M, K), draw(C, N, M), draw(ROWS, LETTERS))
    features, components = (draw(FRAMES, n) for n in (FEATURES, COMPONENTS))
    E, V, P = draw(M, K), draw(C, M), draw(C, N)
    for down in (False, True):
        odds, g_field = draw(N, K if down else M), draw(N, M if down else K)
        yield "pair_ratios", (odds, pairs, E, down), pairs.size
        yield "pair_adjoint", (g_field, pairs, odds, pairs, None, pairs, E, down), pairs.size
        yield "sum_of_logs", (pairs, 2 if down else 1, 16), pairs.size
    units = draw(N, M)
    yield "odds_off", (units, 30.0), units.size
    yield "within", (units, units, 30.0), units.size
    yield "class_ratios", (units, V), classes.size
    yield "class_adjoint", (P, classes, units, classes, V), classes.size
    yield "class_shares", (P, classes, V), classes.size
    yield "class_shares_adjoint", (units, classes, V, units, units), classes.size
    for name in ("row_max", "exp_below", "softmax", "log_softmax", "sigmoid"):
        yield name, (rows,), rows.size
    yield "sigmoid_of_sum", (rows.copy(), rows[0]), rows.size
    yield "sigmoid_adjoint", (np.ones_like(rows), np.full_like(rows, 0.5)), rows.size
    yield "log_above", (rows, 1e-20, rows.copy()), rows.size
    yield "max_plus", (rows, draw(LETTERS, LETTERS)), rows.size * LETTERS
    n_links, places = ROWS - 1, np.arange(ROWS)
    route = (places, np.array([[0, 1, n_links]] * 3), places < n_links, 3)
    field, table = np.log(rows), draw(LETTERS, LETTERS) / 2
    yield "passed", (field, table, *route, True), 6 * rows.size
    x, sums = (draw(2, 3, LETTERS, ROWS) for _ in range(2))
    yield "passed_adjoint", (field, table, *route[:3], x, sums), 6 * rows.size
    yield "grown", (components, components, 0.0, components.copy()), components.size
    yield "fraction", (components, components, 0.0, components.copy()), components.size
    W, P_of_W = draw(COMPONENTS, FEATURES), draw(FEATURES, COMPONENTS)
    one = (features[:1], components[:1], W, P_of_W, 0.0, 2.0, 0.0)
    yield "updated_row", one, 2 * W.size
    yield "through_weights", (features.copy(), features, features), features.size
    yield (
        "numerator_adjoint",
        (components, components, draw(1, COMPONENTS), components, components.copy()),
        components.size,
    )
    yield "masked", (features.copy(), features, features, 1e-9), features.size
    others = [features.copy() for _ in range(3)]
    yield "mask_forward", (features, features, features, 1e-9, *others), features.size
    yield "mask_adjoint", (*[features] * 4, *others[:2]), features.size
    w, g, m, s = (draw(PARAMETERS) for _ in range(4))
    yield "log_gradient", (np.ones_like(w), g), w.size
    yield "adam", (w, g, m, s, (0.9, 0.999), 1e-3, 0.0), w.size
    yield "exponentiated", (w, g, m, s, (0.9, 0.999), 1e-3, 0.0, 10.0, 0.0), w.size
    yield "multiplicative", (w, g, g, 1e-9, 1.0, 2.0, 0.0), w.size


def measured_loops():
    """Return ns an element of each loop and of its twin of NumPy, by name."""
    found = {}
    for dtype in ("float32", "float64"):
        for name, arguments, size in loops(dtype):
            functions = {
                "compiled": partial(getattr(COMPILED, name), *arguments),
                "numpy": partial(FUSED[name].__wrapped__, *arguments),
            }
            with np.errstate(all="ignore"):
                seconds = interleaved(functions, 1, RUNS, SECONDS)
            row = {core: 1e9 * value / size for core, value in seconds.items()}
            key = f"{name} {dtype}"
            if key not in found or row["compiled"] > found[key]["compiled"]:
                found[key] = row
    return found


def inference(beta):
    """Return the functions of a cell of inference: ours, and its products alone."""
    n_layers, n = 3, 1024
    X, _, (W,), U = make_data(n, FEATURES, COMPONENTS, 1)
    out = np.empty((n, WIDTH), np.float32)
    network = make_network(n_layers, 0, False, beta, COMPONENTS)
    layers = network.layers([(W,)] * n_layers, n)
    products = Products(n, FEATURES, COMPONENTS, WIDTH)
    return {
        "ours": lambda: network.predictions(X, layers, U, out),
        "bound": lambda: products.inference(beta, n_layers, beta == 2),
    }


def measured_cells():
    """Return the time of the products over that of each cell, by name."""
    found = {}
    for beta in (1, 2):
        seconds = interleaved(inference(beta), 1, RUNS, 10 * SECONDS)
        found[f"inference beta={beta}"] = seconds["bound"] / seconds["ours"]
    n_layers, n = 8, 1024
    network = make_network(n_layers, n_layers + 1, True, 1.0, COMPONENTS)
    X, y, bases, U = make_data(n, FEATURES, COMPONENTS, 1)
    products = Products(n, FEATURES, COMPONENTS, WIDTH)
    objective = Objective(network.network(2.0, cancel=True))
    update, parameters = ExponentiatedGradient(RATE), [*bases, U]
    functions = {
        "ours": step_of(objective, update, parameters, Samples((X,), y)),
        "bound": lambda: products.training(n_layers, False),
    }
    seconds = interleaved(functions, 1, RUNS, 10 * SECONDS)
    found["training, tied"] = seconds["bound"] / seconds["ours"]
    return found


def faults(loops, cells, bounds):
    """Return a sentence for each measurement that is beyond its bound, or has none."""
    missing = {*loops, *cells} ^ {*bounds["loops"], *bounds["cells"]}
    found = [f"{name} is measured or bounded, but not both." for name in sorted(missing)]
    for name in loops.keys() & bounds["loops"].keys():
        value, bound = loops[name]["compiled"], bounds["loops"][name]
        if not value <= bound:
            found.append(f"{name} takes {value:.2f} ns an element; at most {bound:.2f}.")
    for name in cells.keys() & bounds["cells"].keys():
        value, bound = cells[name], bounds["cells"][name]
        if not value >= bound:
            found.append(f"{name} is {value:.2f} of its products; at least {bound:.2f}.")
    return found


def main():
    """Measure and compare, or store bounds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="store new bounds in this JSON file instead")
    options = parser.parse_args()
    if COMPILED is None:
        sys.exit(f"The compiled core is not in use: {CORE}.")
    print(f"{machine_text(describe_machine())}; core: {CORE}")
    with threadpool_limits(1, user_api="blas"):
        loops, cells = measured_loops(), measured_cells()
    for name, row in loops.items():
        print(f"{name:30} {row['compiled']:6.2f} ns an element, NumPy {row['numpy']:6.2f}")
    for name, ratio in cells.items():
        print(f"{name:30} {ratio:6.2f} of its products")
    if options.out:
        stored = {name: ALLOWED["loops"] * row["compiled"] for name, row in loops.items()}
        ratios = {name: ALLOWED["cells"] * ratio for name, ratio in cells.items()}
        rounded = [{k: round(v, 2) for k, v in part.items()} for part in (stored, ratios)]
        bounds = dict(zip(("loops", "cells"), rounded))
        options.out.write_text(json.dumps(bounds, indent=2) + "\n")
        return
    found = faults(loops, cells, json.loads(BOUNDS.read_text()))
    sys.exit("\n".join(found) or None)


if __name__ == "__main__":
    main()
