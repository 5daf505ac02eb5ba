"""Deep NMF inference and training steps against their products alone and against PyTorch.

    python benchmarks/throughput.py --out throughput.json --markdown doc/results/throughput.md

For every cell all implementations run by turns in one process with the same number of threads,
in float32, and the median of five such runs counts (`harness.interleaved`). "bound" are the
matrix products of the cell alone, by the same BLAS; "plain" is PyTorch as one would write it,
"tuned" PyTorch with the same tricks as ours; "eager" and "compiled" are its autograd and Adam;
"mu" is our own multiplicative step. In inference, ours, "bound" and "tuned" compute once what
follows from the bases alone, as a fitted estimator does. Ratios are frames per second of ours
over theirs: above 1, ours is faster.

Rows have names such as "training threads=1 R=200 F=257 C=4 tied=False batch=1024". Compilation
takes up to a minute a cell, so only batches of 1024 have a compiled peer::

    python benchmarks/throughput.py --only "training threads=1 R=200 .*batch=1024"
"""

from itertools import product

import numpy as np
import torch
from deep_nmf_cells import (
    RATE,
    SPARSITY,
    START,
    WIDTH,
    Products,
    make_data,
    make_network,
    step_of,
)
from deep_nmf_peers import Autograd, PlainInference, TunedInference
from harness import begin, interleaved, make_parser, report, summary, table
from threadpoolctl import threadpool_limits

from skunfold._training.objective import Objective
from skunfold._training.protocol import Samples
from skunfold._training.updates import ExponentiatedGradient, MultiplicativeUpdate

BATCHES = (128, 1024, 8192)
COMPILED_BATCH = 1024
N_LAYERS = {"inference": 3, "training": 8}


def inference(beta, n_components, n_features, n):
    """Return the functions of a cell of inference."""
    n_layers = N_LAYERS["inference"]
    X, y, (W,), U = make_data(n, n_features, n_components, 1)
    out = np.empty_like(y)
    network = make_network(n_layers, 0, False, beta, n_components)
    products = Products(n, n_features, n_components, WIDTH)
    by_gram = beta == 2 and n_components < 2 * n_features
    tX = torch.tensor(X)
    arguments = (W, U, beta, SPARSITY, START, n_layers)
    plain, tuned = PlainInference(*arguments), TunedInference(*arguments)
    layers = network.layers([(W,)] * n_layers, n)
    functions = {
        "ours": lambda: network.predictions(X, layers, U, out),
        "bound": lambda: products.inference(beta, n_layers, by_gram),
        "plain": lambda: plain(tX),
        "tuned": lambda: tuned(tX),
    }
    for name in ("plain", "tuned"):
        np.testing.assert_allclose(functions["ours"](), functions[name](), rtol=2e-3, atol=1e-4)
    return functions


def training(n_features, n_components, n_trained, tied, n, compiled):
    """Return the functions of a cell of training steps."""
    n_layers = N_LAYERS["training"]
    n_trained = n_layers + 1 if n_trained == "all" else n_trained
    network = make_network(n_layers, n_trained, tied, 1.0, n_components)
    layers = tuple(place for (place,) in network.sets)
    n_bases = max(layers, default=-1) + 1
    X, y, bases, U = make_data(n, n_features, n_components, max(n_bases, 1))
    prefix = network.n_frozen > 0
    h = np.full((n, n_components), START, np.float32) if prefix else None
    samples = Samples((X, h) if prefix else (X,), y)
    functions = {}
    for name, update in (
        ("ours", ExponentiatedGradient(RATE)),
        ("mu", MultiplicativeUpdate(0.25)),
    ):
        objective = Objective(network.network(2.0, cancel=True))
        parameters = [p.copy() for p in (*bases[:n_bases], U)]
        functions[name] = step_of(objective, update, parameters, samples)
    products = Products(n, n_features, n_components, WIDTH)
    functions["bound"] = lambda: products.training(len(layers), prefix)
    tensors = [None if a is None else torch.tensor(a) for a in (X, y, h)]
    peers = {"eager": False, "compiled": True} if compiled else {"eager": False}
    torch.compiler.reset()  # what was compiled for other cells counts to a limit
    for name, by_compiler in peers.items():
        peer = Autograd(bases[:n_bases], U, layers, SPARSITY, START, by_compiler)
        functions[name] = lambda peer=peer: peer.step(*tensors)
    for _ in range(3):
        loss, *others = (functions[name]() for name in ("ours", *peers))
        np.testing.assert_allclose(others, loss, rtol=0.05)
    return functions


def cells_of(task):
    """Return the cells of a task."""
    if task == "inference":
        names, shapes = ("beta", "R", "F"), product((1, 2), (200, 2000), (257, 2313))
    else:
        depths = [(C, False) for C in (1, 2, 4, "all")] + [(C, True) for C in (4, "all")]
        names = ("R", "F", "C", "tied")
        shapes = (size + depth for size, depth in product(((200, 257), (100, 1809)), depths))
    return [dict(zip(names, shape)) | {"batch": n} for shape, n in product(shapes, BATCHES)]


def name_of(task, n_threads, cell):
    """Return the name of the row of a cell."""
    return " ".join([task, *(f"{k}={v}" for k, v in {"threads": n_threads, **cell}.items())])


def measured(task, n_threads, cell, compiled):
    """Return a row: the cell, frames per second of ours, and its ratios to all others."""
    torch.set_num_threads(n_threads)
    with threadpool_limits(n_threads, user_api="blas"):
        if task == "inference":
            functions = inference(cell["beta"], cell["R"], cell["F"], cell["batch"])
        else:
            shape = (cell[name] for name in ("F", "R", "C", "tied", "batch"))
            compiled = compiled and cell["batch"] == COMPILED_BATCH
            functions = training(*shape, compiled)
        seconds = interleaved(functions, n_threads)
    ours = seconds.pop("ours")
    row = {"task": task, "threads": n_threads, **cell, "kframes/s": cell["batch"] / ours / 1e3}
    return row | {name: theirs / ours for name, theirs in seconds.items()}


PEERS = {
    "inference": ("bound", "plain", "tuned"),
    "training": ("bound", "eager", "compiled", "mu"),
}


def medians(rows):
    """Return a table of the medians of each task and number of threads."""
    names = dict.fromkeys(name for peers in PEERS.values() for name in peers)
    lines = []
    for task, n_threads in dict.fromkeys((r["task"], r["threads"]) for r in rows):
        some = [r for r in rows if (r["task"], r["threads"]) == (task, n_threads)]
        line = {"task": task, "threads": n_threads, "cells": len(some)}
        for name in names:
            if ratios := [r[name] for r in some if name in r]:
                line[name] = summary(ratios)
        lines.append(line)
    return table(lines, ["task", "threads", "cells", *names])


def main():
    """Measure the cells that are not there yet."""
    parser = make_parser(__doc__, "throughput.json")
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--no-compiled", dest="compiled", action="store_false")
    options, results = begin(parser, ["compiled"])
    cells = {
        name_of(task, n_threads, cell): (task, n_threads, cell, options.compiled)
        for task, n_threads in product(PEERS, options.threads)
        for cell in cells_of(task)
    }
    results.compute(measured, cells)
    rows = results.of(cells)
    parts = [
        (
            "Ratios are frames per second of ours over theirs: above 1, ours is faster. R is "
            "the number of bases, F of features, C of trained layers."
        ),
        "Medians over all cells, the least value in brackets:",
        medians(rows),
    ]
    for task, peers in PEERS.items():
        names = ["threads", *cells_of(task)[0], "kframes/s", *peers]
        some = [row for row in rows if row["task"] == task]
        parts += [f"All cells of {task}:", table(some, names)]
    title = "Deep NMF against its matrix products and PyTorch"
    report(options, results, title, *parts)


if __name__ == "__main__":
    main()
