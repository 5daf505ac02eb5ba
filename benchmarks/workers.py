"""What workers gain, and what threads over blocks keep on a busy machine.

    python benchmarks/workers.py --out workers.json --markdown doc/results/workers.md

Wall times, medians of five runs by turns, one BLAS thread in each worker; run it on an idle
machine. "busy" means that two other processes keep the cores busy; then deep NMF by our threads
over blocks is compared with its own speed on the idle machine, and so are the matrix products
of the same network by threaded BLAS.
"""

import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager

import joblib
import numpy as np
from deep_nmf_cells import Products
from harness import begin, interleaved, make_parser, median_seconds, report, table
from threadpoolctl import threadpool_limits

from skunfold import DeepNMFRegressor
from skunfold._training.objective import Objective
from skunfold._training.sharded import ShardedObjective
from skunfold._training.updates import ExponentiatedGradient

N, F, R, BATCH = 16_384, 257, 200, 8192
# What Dask's profiler and the ticks of its event loops cost counts on two cores.
LEAN_DASK = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
}
BURN = "import numpy as np\na = np.ones((600, 600), np.float32)\nwhile True: a @ a"


def make_model():
    """Return an untrained mask network and the data that it is for."""
    X = np.random.default_rng(0).gamma(0.5, size=(N, F)).astype(np.float32)
    model = DeepNMFRegressor(R // 2, n_layers=8, output="mask", init="random", random_state=0)
    return model.set_params(n_trained_layers=0).fit(X[:500], X[:500] / 2), X


def make_epoch(model, X, objective_of):
    """Return (objective, a function that does an epoch of updates)."""
    model.set_params(n_trained_layers="all")
    samples = model._samples(X, X / 2, None)
    objective = objective_of(model._network(), samples)
    parameters = [W.copy() for W in model._state().parameters]
    update = ExponentiatedGradient(1e-3)

    def epoch():
        order = np.random.default_rng(0).permutation(N)
        for start in range(0, N, BATCH):
            _, gradients = objective.gradient(parameters, samples[order[start : start + BATCH]])
            update.step(parameters, gradients)

    return objective, epoch


def gain_of_workers(backend):
    """Return a row: how much faster an epoch is with two workers than with one."""
    with threadpool_limits(1, user_api="blas"), ExitStack() as stack:
        model, X = make_model()
        one, alone = make_epoch(model, X, lambda network, samples: Objective(network, None, 1))
        two, shared = make_epoch(model, X, lambda *of: ShardedObjective(*of, n_jobs=2))
        if backend == "dask":
            stack.enter_context(dask_cluster())
        stack.enter_context(one)
        stack.enter_context(joblib.parallel_config(backend=backend))
        stack.enter_context(two)
        functions = {1: alone, 2: shared}
        seconds = interleaved(functions, n_threads=2)
    return {"two workers over one": backend, "times faster": seconds[1] / seconds[2]}


@contextmanager
def dask_cluster():
    """Start two workers on this machine, each a process."""
    import dask
    from distributed import Client, LocalCluster

    options = {"dashboard_address": None, "host": "127.0.0.1"}
    with (
        dask.config.set(LEAN_DASK),
        LocalCluster(2, threads_per_worker=1, **options) as cluster,
        Client(cluster),
    ):
        yield


@contextmanager
def busy(n_processes):
    """Keep cores busy."""
    command = [sys.executable, "-c", BURN]
    environment = {"OPENBLAS_NUM_THREADS": "1"}
    others = [subprocess.Popen(command, env=environment) for _ in range(n_processes)]
    time.sleep(2)
    try:
        yield
    finally:
        for other in others:
            other.kill()


def kept_when_busy():
    """Return the speeds on a busy machine over those on an idle one."""
    model, X = make_model()
    products = Products(BATCH, F, R, F)
    objective, epoch = make_epoch(model, X, lambda network, samples: Objective(network))
    model.set_params(n_trained_layers=0)
    functions = {
        "predict": lambda: model.predict(X[:BATCH]),
        "products of predict, threaded BLAS": lambda: products.inference(1, 8, False),
        "fit (an epoch)": epoch,
    }

    def seconds(function):
        with ExitStack() as stack:
            if function is epoch:
                stack.enter_context(objective)
            return median_seconds(function, 5)

    idle = {name: seconds(f) for name, f in functions.items()}
    with busy(2):
        loaded = {name: seconds(f) for name, f in functions.items()}
    return {name: idle[name] / loaded[name] for name in functions}


def main():
    """Measure what is not there yet."""
    options, results = begin(make_parser(__doc__, "workers.json"))
    gains = {f"two {backend} workers": (backend,) for backend in ("threading", "loky", "dask")}
    results.compute(gain_of_workers, gains)
    results.compute(kept_when_busy, {"busy": ()})
    kept = results.rows.get("busy", {}).items()
    parts = [{"speed kept beside two busy processes": k, "part": v} for k, v in kept]
    tables = table(results.of(gains)), table(parts)
    report(options, results, "Workers, and a busy machine", *tables)


if __name__ == "__main__":
    main()
