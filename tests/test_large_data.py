"""Data larger than memory, workers that share it, and initialisations that are cached."""

import time

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_info

from skunfold import DeepNMFRegressor
from skunfold._deep_nmf import initialization
from skunfold._storage import large_array
from skunfold._training import sharded


@pytest.fixture
def mixtures():
    """Return (X, y): two sparse sources in 12 features, X their sum, y the first."""
    rng = np.random.default_rng(0)
    speech, noise = (
        rng.gamma(0.5, size=(900, 3)) @ rng.gamma(0.5, size=(3, 12)) for _ in range(2)
    )
    return speech + noise, speech


def make_model(**params):
    defaults = {"n_components": 3, "n_layers": 3, "output": "mask", "max_iter": 4, "tol": 0}
    return DeepNMFRegressor(**defaults | {"batch_size": 200, "random_state": 0} | params)


def assert_same_fit(one, other, rtol=0.0):
    for W, V in zip((*one.bases_, one.output_bases_), (*other.bases_, other.output_bases_)):
        assert_allclose(W, V, rtol=rtol)
    assert_allclose(one.loss_curve_, other.loss_curve_, rtol=rtol)


def test_arrays_over_the_limit_are_files():
    with config_context(working_memory=1):
        small, large = large_array((100, 10), np.float32), large_array((1000, 1000), np.float32)
    assert not isinstance(small, np.memmap)
    assert isinstance(large, np.memmap)
    large[:] = 1
    assert large.sum() == large.size


@pytest.mark.parametrize("n_trained_layers", [0, 1, 2, "all"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_fit_of_files_is_that_of_arrays(mixtures, tmp_path, n_trained_layers, early_stopping):
    files = []
    for name, array in zip("Xy", mixtures):
        np.save(tmp_path / f"{name}.npy", array)
        files.append(np.load(tmp_path / f"{name}.npy", mmap_mode="r"))
    bases = np.random.default_rng(1).gamma(0.5, size=(6, 12))
    model = make_model(
        init=bases, n_trained_layers=n_trained_layers, early_stopping=early_stopping
    )
    in_memory = clone(model).fit(*mixtures)
    with config_context(working_memory=0.02):  # the activations alone take more
        from_files = model.fit(*files)
    assert_same_fit(from_files, in_memory, rtol=1e-9)
    assert_allclose(from_files.loss_, in_memory.loss_)
    assert_allclose(from_files.predict(files[0]), in_memory.predict(mixtures[0]), rtol=1e-9)


def test_much_data_is_initialised_from_some_of_it(mixtures, monkeypatch):
    seen = []
    bases = initialization.WarmStart.bases

    def spy(self, X, *arguments):
        seen.append(X)
        return bases(self, X, *arguments)

    monkeypatch.setattr(initialization.WarmStart, "bases", spy)
    with config_context(working_memory=8 * 300 * 12 * 8 / 2**20):
        make_model(max_iter=1).fit(*mixtures)
    (some,) = seen
    assert some.shape == (300, 12)
    assert len(np.unique(some, axis=0)) == 300


@pytest.mark.parametrize("solver", ["eg", "mu"])
@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_workers_change_nothing_but_rounding(mixtures, solver, backend):
    weight = np.random.default_rng(0).uniform(0.5, 2, 900)
    params = {"solver": solver, "early_stopping": True}
    alone = make_model(**params).fit(*mixtures, weight)
    with joblib.parallel_config(backend=backend):
        shared = make_model(n_jobs=2, **params).fit(*mixtures, weight)
    assert_same_fit(alone, shared, rtol=1e-9)


def test_workers_with_fewer_samples_than_workers(mixtures):
    X, y = (a[:3] for a in mixtures)
    alone, shared = make_model(batch_size=2).fit(X, y), make_model(batch_size=2, n_jobs=5)
    assert_same_fit(alone, shared.fit(X, y), rtol=1e-9)


def test_workers_of_unshuffled_batches(mixtures):
    alone = make_model(shuffle=False).fit(*mixtures)
    assert_same_fit(alone, make_model(shuffle=False, n_jobs=3).fit(*mixtures), rtol=1e-9)


def test_no_limit_of_blas_threads_stays_where_workers_fail_to_start(mixtures, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("no workers")

    before = threadpool_info()
    monkeypatch.setattr(sharded, "Parallel", fail)
    with pytest.raises(RuntimeError, match="no workers"):
        make_model(n_jobs=2).fit(*mixtures)
    assert threadpool_info() == before


def test_a_grid_search_over_depth_initialises_once(mixtures, tmp_path, monkeypatch):
    grid = {"n_layers": [1, 2, 3], "solver": ["eg", "mu"]}
    model = make_model(max_iter=2, memory=str(tmp_path))
    search = GridSearchCV(model, grid, cv=2).fit(*mixtures)
    caches = list(tmp_path.glob("**/output.pkl"))
    assert len(caches) == 3  # two splits, and all samples
    plain = GridSearchCV(make_model(max_iter=2), grid, cv=2).fit(*mixtures)
    assert_array_equal(
        search.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"]
    )
    monkeypatch.setattr(
        initialization.WarmStart, "bases", lambda *a: pytest.fail("computed again")
    )
    model.set_params(n_layers=5).fit(*mixtures)


@pytest.fixture
def dask_cluster():
    """Start a Dask cluster whose two workers, with 1 and 3 threads, are in this process."""
    distributed = pytest.importorskip("distributed")
    workers = {
        i: {"cls": distributed.Worker, "options": {"nthreads": n, "dashboard": False}}
        for i, n in enumerate((1, 3))
    }
    options = {"dashboard_address": None, "protocol": "inproc://"}
    scheduler = {"cls": distributed.Scheduler, "options": options}
    with (
        distributed.SpecCluster(workers, scheduler, asynchronous=False) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        yield cluster


@pytest.mark.filterwarnings("default")  # What Dask itself warns of is not ours.
def test_dask_workers_hold_only_their_shards(mixtures, dask_cluster, monkeypatch):
    sizes = {}
    call = sharded._DaskShards.call

    def spy(self, *arguments):
        for worker in dask_cluster.workers.values():
            (shard,) = worker.state.actors.values()
            sizes[worker.state.nthreads] = len(shard._samples)
        return call(self, *arguments)

    monkeypatch.setattr(sharded._DaskShards, "call", spy)
    make_model(n_jobs=None).fit(*mixtures)
    assert not sizes  # no workers where none are asked for
    shared = make_model(n_jobs=2, solver="mu").fit(*mixtures)
    assert sizes == {1: 225, 3: 675}
    assert_same_fit(make_model(solver="mu").fit(*mixtures), shared, rtol=1e-9)
    deadline = time.monotonic() + 10
    while any(worker.state.actors for worker in dask_cluster.workers.values()):
        assert time.monotonic() < deadline, "the shards are still there"
        time.sleep(0.01)


@pytest.mark.filterwarnings("default")
def test_what_a_lost_dask_worker_had_to_do_is_done_here(mixtures, dask_cluster, monkeypatch):
    call, n_calls = sharded._DaskShards.call, 0

    def close_one(self, *arguments):
        nonlocal n_calls
        n_calls += 1
        if n_calls == 5:
            dask_cluster.sync(dask_cluster.workers[0].close)
        return call(self, *arguments)

    monkeypatch.setattr(sharded._DaskShards, "call", close_one)
    with pytest.warns(UserWarning, match="its 225 samples are worked on in this process"):
        shared = make_model(n_jobs=-1).fit(*mixtures)
    assert n_calls > 5
    assert_same_fit(make_model().fit(*mixtures), shared, rtol=1e-9)


@pytest.mark.filterwarnings("default")
def test_a_failed_start_leaves_nothing_on_the_dask_workers(mixtures, dask_cluster, monkeypatch):
    distributed = pytest.importorskip("distributed")

    def fail(client, futures):
        distributed.wait(futures)
        raise RuntimeError("no answer")

    monkeypatch.setattr(distributed.Client, "gather", fail)
    with pytest.raises(RuntimeError, match="no answer") as error:  # holds on to all frames
        make_model(n_jobs=-1).fit(*mixtures)
    assert error.tb is not None
    deadline = time.monotonic() + 10
    while any(worker.state.actors for worker in dask_cluster.workers.values()):
        assert time.monotonic() < deadline, "the shards are still there"
        time.sleep(0.01)


# What Dask itself warns of is not ours.
@pytest.mark.filterwarnings("default")
def test_a_dask_cluster_changes_nothing_but_rounding(mixtures):
    distributed = pytest.importorskip("distributed")
    alone = make_model().fit(*mixtures)
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
    )
    with cluster, distributed.Client(cluster), joblib.parallel_config(backend="dask"):
        shared = make_model(n_jobs=-1).fit(*mixtures)
        search = GridSearchCV(make_model(max_iter=1), {"n_layers": [1, 2]}, cv=2, n_jobs=-1)
        search.fit(*mixtures)
    assert_same_fit(alone, shared, rtol=1e-9)
    plain = GridSearchCV(make_model(max_iter=1), {"n_layers": [1, 2]}, cv=2).fit(*mixtures)
    assert_allclose(
        search.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"], rtol=1e-9
    )
