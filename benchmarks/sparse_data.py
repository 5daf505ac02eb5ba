"""Fits and predictions on sparse data, against the same data dense and against scikit-learn.

    python benchmarks/sparse_data.py --markdown doc/results/sparse_data.md

Counts of 4,000 samples and 5,000 features, of which a part is not zero. Each row is a
separate process with one BLAS thread; seconds are the process's own work, the median of some
runs. Memory is the peak of what Python and NumPy allocate in a call (tracemalloc), so without
the data itself. All models of one kind make the same number of epochs or updates: five epochs
of Adam with 200 samples in a batch, or of the deep NMF, and 20 multiplicative updates.
"""

import time
import tracemalloc
import warnings
from itertools import product

import numpy as np
from harness import begin, in_a_process, make_parser, median_seconds, report, table
from scipy import sparse
from sklearn.decomposition import NMF
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from skunfold import (
    DeepNMFRegressor,
    SparseNMF,
    UnfoldedBPClassifier,
    UnfoldedMeanFieldClassifier,
)

N_SAMPLES, N_FEATURES, N_CLASSES = 4_000, 5_000, 10
DENSITIES = 0.001, 0.01, 0.1
EPOCHS = {"max_iter": 5, "tol": 0, "random_state": 0}
UPDATES = {"max_iter": 20, "tol": 0, "random_state": 0}
LOSSES = {"KL": "kullback-leibler", "squared error": "frobenius"}
MODELS = {
    "mean field 100": lambda: UnfoldedMeanFieldClassifier(100, batch_size=200, **EPOCHS),
    "BP (32, 16)": lambda: UnfoldedBPClassifier((32, 16), batch_size=200, **EPOCHS),
    "MLPClassifier 100": lambda: MLPClassifier(
        100, activation="logistic", batch_size=200, n_iter_no_change=100, **EPOCHS
    ),
}
for name, loss in LOSSES.items():
    MODELS |= {
        f"SparseNMF 20, {name}": lambda loss=loss: SparseNMF(20, beta_loss=loss, **UPDATES),
        f"NMF 20, {name}": lambda loss=loss: NMF(
            20, solver="mu", init="random", beta_loss=loss, **UPDATES
        ),
        f"deep NMF 20, {name}": lambda loss=loss: DeepNMFRegressor(
            20, n_layers=4, init="random", beta_loss=loss, **EPOCHS
        ),
    }


def make_data(density):
    """Return sparse counts in float64, and a class of each sample, on which they depend."""
    rng = np.random.default_rng(0)
    n_values = int(density * N_FEATURES)
    y = rng.integers(N_CLASSES, size=N_SAMPLES)
    # Each class prefers a tenth of the features, which is where half of its values are.
    own = y[:, None] * (N_FEATURES // N_CLASSES)
    own = own + rng.integers(N_FEATURES // N_CLASSES, size=(N_SAMPLES, n_values))
    anywhere = rng.integers(N_FEATURES, size=own.shape)
    features = np.where(rng.random(own.shape) < 0.5, own, anywhere)
    samples = np.repeat(np.arange(N_SAMPLES), n_values)
    values = rng.geometric(0.5, size=samples.size).astype(float)
    X = sparse.csr_array((values, (samples, features.ravel())), (N_SAMPLES, N_FEATURES))
    return X, y


def measure(name, density, form, runs):
    """Return seconds and peak memory (MB) of the fit and the prediction of a model."""
    X, y = make_data(density)
    if form == "dense":
        X = X.toarray()
    row: dict = {"model": name, "density": f"{density:g}", "X": form}

    def run(task, function):
        tracemalloc.start()
        function()
        row[f"{task} MB"] = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
        row[f"{task} s"] = median_seconds(function, runs, time.process_time)

    warnings.simplefilter("ignore")
    with threadpool_limits(1):
        # What is compiled or loaded on the first call is not counted.
        model = MODELS[name]().fit(X[:200], y[:200])
        run("fit", lambda: MODELS[name]().fit(X, y))
        model.fit(X, y)
        task = "predict" if hasattr(model, "predict") else "transform"
        run("predict", lambda: getattr(model, task)(X))
    return row


def with_ratios(rows):
    """Return the rows with the time of the same data dense, if known, over that of each."""
    dense = {(r["model"], r["density"]): r for r in rows if r["X"] == "dense"}
    ratios = []
    for row in rows:
        whole = dense.get((row["model"], row["density"]), {})
        times = {task: whole.get(f"{task} s") for task in ("fit", "predict")}
        ratios.append(
            row | {f"dense / this, {k}": v and v / row[f"{k} s"] for k, v in times.items()}
        )
    return ratios


def main():
    """Measure the rows that are not there yet."""
    parser = make_parser(__doc__, "sparse_data.json")
    parser.add_argument("--runs", type=int, default=3)
    options, results = begin(parser, ["runs"])
    cells = {
        f"{model}, density {density:g}, {form}": (measure, model, density, form, options.runs)
        for density, model, form in product(DENSITIES, MODELS, ("sparse", "dense"))
    }
    results.compute(in_a_process, cells)
    dense_mb = N_SAMPLES * N_FEATURES * 8 / 2**20
    note = (
        f"{N_SAMPLES} samples of {N_FEATURES} features ({dense_mb:.0f} MB as a dense\n"
        "array), one thread. Ratios above 1: faster than the same data dense."
    )
    report(options, results, "Sparse data", note, table(with_ratios(results.of(cells))))


if __name__ == "__main__":
    main()
