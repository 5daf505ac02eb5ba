"""Loss and gradient computed by joblib's workers, each with a shard of the samples.

Gradients (also their parts) are sums over samples, so workers only need parameters and return
sums. The samples go to the workers once.
"""

import pickle
import threading
import warnings
from contextlib import ExitStack, suppress

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from joblib.parallel import get_active_backend

from skunfold._kernels.blocks import block_slices
from skunfold._training.objective import Objective, added_sums
from skunfold._training.protocol import Samples


class ShardedObjective(Objective):
    """An `Objective` whose sums over the given samples, or a part of them, workers compute.

    The workers are those of joblib's active backend, by default `n_jobs` threads, each of
    which computes with one thread; or, where the backend is Dask's, all workers of the
    cluster, each with its own number of threads. Sums over any other samples are computed
    here.
    """

    def __init__(self, model, samples, n_jobs, penalty=None):
        super().__init__(model, penalty)
        self._samples = samples
        self._n_jobs = n_jobs

    def __enter__(self):
        with ExitStack() as context:
            super().__enter__()
            context.push(super().__exit__)
            backend, _ = get_active_backend()
            shards: _DaskShards | _JoblibShards
            if hasattr(backend, "client"):  # of Dask
                shards = _DaskShards(self.model, self._samples, backend)
            else:
                shards = _JoblibShards(self.model, self._samples, self._n_jobs)
            self._shards_of_samples = context.enter_context(shards)
            self._context = context.pop_all()
        return self

    def __exit__(self, *exception):
        self._context.__exit__(*exception)

    def gradient_sums(self, parameters, samples, form, scale):
        """Return the sum of all losses and the arrays of `scale` times its gradient."""
        if samples.y is not self._samples.y:
            return super().gradient_sums(parameters, samples, form, scale)
        shards = self._shards_of_samples
        return added_sums(shards.call("gradient_sums", samples, parameters, form, scale))

    def loss_sum(self, parameters, samples):
        """Return the sum of all losses, without penalty."""
        if samples.y is not self._samples.y:
            return super().loss_sum(parameters, samples)
        return sum(self._shards_of_samples.call("loss_sum", samples, parameters))


class _DaskShards:
    """A shard on each worker of a Dask cluster, as an actor that lasts as long as the context.

    Calling an actor needs no task of the scheduler, which would cost as much as a batch. The
    work of a lost worker is done in this process.
    """

    def __init__(self, model, samples, backend):
        self._model = model
        self._samples = samples
        self._backend = backend

    def __enter__(self):
        client = self._backend.client
        # Inside a task of Dask, such as one of a grid search, its thread is given away while
        # the actors start, which may need it.
        with self._backend.retrieval_context(), ExitStack() as undo:
            effective_n_jobs(-1)  # waits for workers
            threads = client.nthreads()
            bounds = np.cumsum([0, *threads.values()]) * len(self._samples.y)
            bounds //= sum(threads.values())
            self._slices = [slice(*b) for b in zip(bounds[:-1].tolist(), bounds[1:].tolist())]
            self._futures: list = []
            undo.callback(client.cancel, self._futures)
            for rows, (worker, n_threads) in zip(self._slices, threads.items()):
                part = _part(self._samples, rows)
                part = client.scatter(part, workers=[worker], hash=False)
                options = {"workers": [worker], "actor": True, "pure": False}
                actor = client.submit(_Shard, self._model, part, n_threads, **options)
                self._futures.append(actor)
            self._actors = client.gather(self._futures)
            undo.pop_all()
        self._here: dict = {}
        return self

    def __exit__(self, *exception):
        # Calls leave reference cycles behind, which would keep the samples alive for long.
        self._backend.client.cancel(self._futures)
        del self._futures, self._actors, self._here

    def call(self, method, samples, *arguments):
        """Return the results of a method of the shards, each for its rows."""
        rows_by_shard = enumerate(_rows_by_shard(samples, self._slices))
        tasks = [(i, method, rows, *arguments) for i, rows in rows_by_shard if rows is not None]
        calls = [self._begun(*task) for task in tasks]
        return [self._ended(call, *task) for call, task in zip(calls, tasks)]

    def _begun(self, i, method, *arguments):
        # Dask knows that the worker is lost; older versions say so by a ValueError.
        with suppress(RuntimeError, ValueError):
            return getattr(self._actors[i], method)(*arguments)

    def _ended(self, call, i, method, *arguments):
        reason = ""
        try:
            if call is not None:
                return call.result()
        except OSError as error:  # the worker does not answer
            reason = f" ({error})"
        if i not in self._here:
            part = _part(self._samples, self._slices[i])
            warnings.warn(
                f"A worker of the Dask cluster was lost{reason}; its {len(part)} samples are "
                "worked on in this process."
            )
            self._here[i] = _Shard(self._model, part, None)
        return getattr(self._here[i], method)(*arguments)


class _Shard:
    """Samples of a worker, and its objective."""

    def __init__(self, model, samples, n_threads):
        self._objective = Objective(model, n_threads=n_threads)
        self._samples = samples

    def gradient_sums(self, rows, parameters, form, scale):
        """Return the sums of the objective over some of the samples."""
        with self._objective as objective:
            return objective.gradient_sums(parameters, self._samples[rows], form, scale)

    def loss_sum(self, rows, parameters):
        """Return the sum of the losses of some of the samples."""
        with self._objective as objective:
            return objective.loss_sum(parameters, self._samples[rows])


class _JoblibShards:
    """Equal shards for all jobs of joblib, which are processes or threads."""

    def __init__(self, model, samples, n_jobs):
        self._model = pickle.dumps(model)
        self._parallel = Parallel(n_jobs, prefer="threads")
        n = len(samples.y)
        self._slices = block_slices(n, -(-n // effective_n_jobs(n_jobs)))
        self._parts = [_part(samples, rows) for rows in self._slices]

    def __enter__(self):
        self._parallel.__enter__()
        return self

    def __exit__(self, *exception):
        self._parallel.__exit__(*exception)

    def call(self, method, samples, *arguments):
        """Return the results of a method of the workers' objectives, each for its rows."""
        # As bytes, since joblib would write arrays to files that are outdated after each
        # update.
        task = pickle.dumps((method, arguments, samples.units))
        return self._parallel(
            delayed(_on_shard)(self._model, task, rows, part.weight, part.y, *part.inputs)
            for rows, part in zip(_rows_by_shard(samples, self._slices), self._parts)
            if rows is not None
        )


_worker = threading.local()


def _on_shard(model, task, rows, weight, y, *inputs):
    """Call a method of this worker's objective, which is kept for each model."""
    if getattr(_worker, "model", None) != model:
        _worker.model = model
        _worker.objective = Objective(pickle.loads(model), n_threads=1)
    method, (parameters, *arguments), units = pickle.loads(task)
    samples = Samples(inputs, y, weight, rows, units)
    with _worker.objective as objective:
        result = getattr(objective, method)(parameters, samples, *arguments)
    if method == "gradient_sums":
        loss, arrays = result
        return loss, [a.copy() for a in arrays]  # the objective reuses its arrays
    return result


def _part(samples, rows):
    """Return consecutive rows of the arrays of some samples, as samples."""
    weight = None if samples.weight is None else samples.weight[rows]
    inputs = tuple(a[rows] for a in samples.inputs)
    return Samples(inputs, samples.y[rows], weight, units=samples.units)


def _rows_by_shard(samples, slices):
    """Yield the rows that each shard must use: a slice, indices, or None for none."""
    if isinstance(samples.rows, slice):
        chosen = range(*samples.rows.indices(len(samples.y)))
        for shard in slices:
            start, stop = max(chosen.start, shard.start), min(chosen.stop, shard.stop)
            yield slice(start - shard.start, stop - shard.start) if start < stop else None
    else:
        for shard in slices:
            inside = (samples.rows >= shard.start) & (samples.rows < shard.stop)
            yield samples.rows[inside] - shard.start if inside.any() else None
