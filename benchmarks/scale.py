"""How memory and time grow with the data and the model, and what keeping work saves.

    python benchmarks/scale.py --out scale.json --markdown doc/results/scale.md

Memory is what a process takes beyond files that are mapped (RssAnon), sampled every 5 ms, at
its peak over what it took before and less the output; each of these rows is a process.
Times are medians of five runs of one thread's own work; that of an hour of audio is wall time
with all threads.
"""

import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from harness import begin, in_a_process, interleaved, make_parser, report, table
from sklearn import config_context
from sklearn.feature_extraction.image import grid_to_graph
from threadpoolctl import threadpool_limits

from skunfold import DeepNMFRegressor, UnfoldedBPClassifier, UnfoldedMeanFieldClassifier
from skunfold.audio import SpeechEnhancer
from skunfold.datasets import load_bundled_recordings

F, R = 257, 50


class PeakMemory:
    """The peak of RssAnon within a block, in MB above what it was on entry."""

    def __enter__(self):
        self._before, self._done, self.peak = self._now(), threading.Event(), 0.0
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._done.set()
        self._thread.join()

    def _watch(self):
        while not self._done.wait(0.005):
            self.peak = max(self.peak, self._now() - self._before)

    @staticmethod
    def _now():
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(x.split()[1]) for x in lines if x.startswith("RssAnon")) / 1024


def make_model(**params):
    """Return a mask network of random bases."""
    defaults = {"n_components": R, "n_layers": 8, "output": "mask", "init": "random"}
    return DeepNMFRegressor(**defaults | {"random_state": 0, "max_iter": 1, "tol": 0} | params)


def make_file(path, n, n_features=F):
    """Write n frames to a file, a block at a time, and return them mapped."""
    rng = np.random.default_rng(0)
    X = np.lib.format.open_memmap(path, "w+", np.float32, (n, n_features))
    for start in range(0, n, 10_000):
        X[start : start + 10_000] = rng.gamma(0.5, size=X[start : start + 10_000].shape)
    X.flush()
    return np.load(path, mmap_mode="r")


def predict_files(n):
    """Return the peak memory (MB) of a prediction from a file of n frames, less the output."""
    small = np.random.default_rng(0).gamma(0.5, size=(500, F)).astype(np.float32)
    model = make_model(n_trained_layers=0).fit(small, small / 2)
    model.predict(small)
    with tempfile.TemporaryDirectory() as folder:
        X = make_file(f"{folder}/X.npy", n)
        with PeakMemory() as memory:
            output = model.predict(X)
    return {"what": "predict", "frames": n, "MB": memory.peak - output.nbytes / 2**20}


def fit_files(n):
    """Return the peak memory (MB) of a fit to files of n frames; working_memory=64 MB."""
    with tempfile.TemporaryDirectory() as folder, config_context(working_memory=64):
        X = make_file(f"{folder}/X.npy", n)
        model = make_model(n_layers=4, n_trained_layers=2)
        with PeakMemory() as memory:
            model.fit(X, X)
    return {"what": "fit (1 epoch, C=2)", "frames": n, "MB": memory.peak}


def enhance_hour(hours):
    """Return seconds and peak memory (MB) of the enhancement of some hours of noise.

    By a network of the size that `SpeechEnhancer` has by default.
    """
    data = load_bundled_recordings("train")
    regressor = make_model(
        n_components=100,
        n_layers=16,
        tied=True,
        relaxation=2.0,
        fit_projections=True,
        recurrence=0.5,
    )
    enhancer = SpeechEnhancer(regressor, random_state=0)
    enhancer.fit_sources(data.speech[:2], data.noise[:1])
    waveform = np.tile(data.noise[0], 10_000)[: int(hours * 3600 * 16000)]
    began = time.perf_counter()
    with PeakMemory() as memory:
        output = enhancer.enhance(waveform)
    seconds = time.perf_counter() - began
    return {
        "what": f"enhance {hours} h of audio, T=9, 40 bands, 100+100 bases, K=16, recurrent",
        "seconds": seconds,
        "real-time factor": seconds / (hours * 3600),
        "MB": memory.peak - output.nbytes / 2**20,
    }


def slope(sizes, make):
    """Return the log-log slope of the time of make(size)() by size, one thread."""
    with threadpool_limits(1, user_api="blas"):
        functions = {size: make(size) for size in sizes}
        seconds = interleaved(functions, n_threads=1)
    return float(np.polyfit(np.log(sizes), np.log([seconds[s] for s in sizes]), 1)[0])


def prediction(n=4096, n_features=F, **params):
    """Return a function that predicts n frames."""
    X = np.random.default_rng(0).gamma(0.5, size=(n, n_features)).astype(np.float32)
    model = make_model(n_trained_layers=0, **params).fit(X[:500], X[:500] / 2)
    return lambda: model.predict(X)


def label_prediction(side):
    """Return a function that infers the labels of images with a grid of side x side edges."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(64, side * side)).astype(np.float32)
    y = (X > 0).astype(int)
    model = UnfoldedBPClassifier(
        (),
        n_layers=4,
        label_graph=grid_to_graph(side, side),
        coupling="shared",
        max_iter=1,
        tol=0,
    ).fit(X, y)
    return lambda: model.predict_proba(X)


def hidden_prediction(cls, n):
    """Return a function that classifies n samples."""
    X = np.random.default_rng(0).normal(size=(n, 64)).astype(np.float32)
    y = np.arange(n) % 10
    model = cls((64, 32), n_layers=4, max_iter=1, tol=0).fit(X[:500], y[:500])
    return lambda: model.predict_proba(X)


GRIDS = {2 * s * (s - 1): s for s in (16, 32, 64)}
SLOPES = {  # sizes, and what makes the function that is timed
    "samples, deep NMF": ([2048, 8192, 32768], prediction),
    "components, deep NMF": ([50, 200, 800], lambda r: prediction(n_components=r)),
    "layers, deep NMF": ([4, 16, 64], lambda k: prediction(n_layers=k)),
    "samples, mean field": (
        [1000, 4000, 16000],
        lambda n: hidden_prediction(UnfoldedMeanFieldClassifier, n),
    ),
    "samples, BP": (
        [500, 1000, 2000],
        lambda n: hidden_prediction(UnfoldedBPClassifier, n),
    ),
    "edges, BP on a grid of labels": (
        list(GRIDS),
        lambda edges: label_prediction(GRIDS[edges]),
    ),
}


def prefix_gain(n=8192, epochs=4):
    """Return how many times faster an epoch is when the frozen layers' output is kept."""
    rng = np.random.default_rng(0)
    X = rng.gamma(0.5, size=(n, F)).astype(np.float32)
    params = {"n_layers": 25, "n_trained_layers": 2, "shuffle": False}
    model = make_model(**params, max_iter=epochs).fit(X, X / 2)
    frozen = make_model(n_layers=24, n_trained_layers=0).fit(X[:500], X[:500] / 2)
    began = time.perf_counter()
    for _ in range(epochs):
        frozen.transform(X)
    prefix = (time.perf_counter() - began) / epochs
    epoch = np.median([e["seconds"] for e in model.history_])
    # An epoch goes through the frozen layers twice: for the update, and for the loss after it.
    return (epoch + 2 * prefix) / epoch


SCIKIT_LEARN = "import sklearn.decomposition, sklearn.neural_network"


def import_ratio(statement, runs=9):
    """Return the time of an import over that of the parts of scikit-learn that we need."""

    def seconds(statement):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", statement], check=True)
        return time.perf_counter() - began

    pairs = [(seconds(statement), seconds(SCIKIT_LEARN)) for _ in range(runs)]
    ours, theirs = np.median(pairs, axis=0)
    return float(ours / theirs)


MEMORY = {
    "memory: predict, 100,000 frames": (predict_files, 100_000),
    "memory: predict, 1,000,000 frames": (predict_files, 1_000_000),
    "memory: fit, 100,000 frames": (fit_files, 100_000),
    "memory: fit, 1,000,000 frames": (fit_files, 1_000_000),
    "memory: enhance an hour": (enhance_hour, 1),
}
IMPORTS = ("import skunfold", "from skunfold import DeepNMFRegressor")


def slope_row(name):
    """Return a row of the slopes."""
    return {"time by number of": name, "slope": slope(*SLOPES[name])}


def prefix_row():
    """Return the row of what keeping the prefix gains."""
    with threadpool_limits(1, user_api="blas"):
        ratio = prefix_gain()
    return {"what": "epoch of C=2, K=25 with the prefix kept, times faster", "ratio": ratio}


def import_row(statement):
    """Return the row of an import."""
    return {"what": f"`{statement}` over `{SCIKIT_LEARN}`", "ratio": import_ratio(statement)}


def main():
    """Measure what is not there yet."""
    options, results = begin(make_parser(__doc__, "scale.json"))
    slopes = {f"slope: {name}": (name,) for name in SLOPES}
    imports = {f"ratio: {statement}": (statement,) for statement in IMPORTS}
    results.compute(in_a_process, MEMORY)
    results.compute(slope_row, slopes)
    results.compute(prefix_row, {"ratio: prefix": ()})
    results.compute(import_row, imports)
    note = (
        "MB is memory beyond the file of the data and the output. Data have 257 float32\n"
        "features (1 GB for 1,000,000 frames); fits have `working_memory=64`."
    )
    tables = [
        table(results.of(MEMORY), ["what", "frames", "seconds", "real-time factor", "MB"]),
        table(results.of(slopes)),
        table(results.of(["ratio: prefix", *imports])),
    ]
    report(options, results, "Memory, growth, and work that is kept", note, *tables)


if __name__ == "__main__":
    main()
