"""Loss and gradient computed by joblib's workers, each with a shard of the samples.

Gradients (also their parts) are sums over samples, so workers only need parameters and return
sums. The samples go to the workers once.
"""

import pickle
import threading
from contextlib import ExitStack

from joblib import Parallel, delayed, effective_n_jobs, parallel_config
from joblib.parallel import get_active_backend

from skunfold._kernels.blocks import block_slices
from skunfold._training.objective import Objective, added_sums
from skunfold._training.protocol import Samples


class ShardedObjective(Objective):
    """An `Objective` whose sums over the given samples, or a part of them, workers compute.

    The workers are those of joblib's active backend, by default threads; each computes with
    one thread. Sums over any other samples are computed here.
    """

    def __init__(self, model, samples, n_jobs, penalty=None):
        super().__init__(model, penalty)
        self._samples = samples
        self._n_jobs = n_jobs

    def __enter__(self):
        with ExitStack() as context:
            super().__enter__()
            context.push(super().__exit__)
            self._engage_workers(context)
            self._context = context.pop_all()
        return self

    def __exit__(self, *exception):
        self._context.__exit__(*exception)

    def _engage_workers(self, context):
        """Give the workers their shards of the samples, for as long as the context lasts."""
        n = len(self._samples.y)
        self._slices = block_slices(n, -(-n // effective_n_jobs(self._n_jobs)))
        self._shards_of_data = [
            [None if a is None else a[rows] for a in _arrays(self._samples)]
            for rows in self._slices
        ]
        backend, _ = get_active_backend()
        if hasattr(backend, "client"):  # of Dask: what is not scattered is sent every time
            data = [a for arrays in self._shards_of_data for a in arrays if a is not None]
            config = parallel_config(backend="dask", client=backend.client, scatter=data)
            context.enter_context(config)
        self._parallel = context.enter_context(Parallel(self._n_jobs, prefer="threads"))

    def gradient_sums(self, parameters, samples, form):
        """Return the sum of all losses and the arrays of its gradient, without penalty."""
        if samples.y is not self._samples.y:
            return super().gradient_sums(parameters, samples, form)
        return added_sums(self._map("gradient_sums", samples, parameters, form))

    def loss_sum(self, parameters, samples):
        """Return the sum of all losses, without penalty."""
        if samples.y is not self._samples.y:
            return super().loss_sum(parameters, samples)
        return sum(self._map("loss_sum", samples, parameters))

    def _map(self, method, samples, parameters, *arguments):
        """Return the results of a method of the workers' objectives, each for its rows."""
        # As bytes, since joblib would keep arrays in files that outdate with every update.
        model = pickle.dumps(self.model)
        task = pickle.dumps((method, parameters, arguments, samples.units))
        return self._parallel(
            delayed(_on_shard)(model, task, rows, *arrays)
            for rows, arrays in zip(self._rows_by_shard(samples), self._shards_of_data)
            if rows is not None
        )

    def _rows_by_shard(self, samples):
        """Yield which of its rows each shard is to use: a slice, indices, or None for none."""
        if isinstance(samples.rows, slice):
            chosen = range(*samples.rows.indices(len(samples.y)))
            for shard in self._slices:
                start, stop = max(chosen.start, shard.start), min(chosen.stop, shard.stop)
                yield slice(start - shard.start, stop - shard.start) if start < stop else None
        else:
            for shard in self._slices:
                inside = (samples.rows >= shard.start) & (samples.rows < shard.stop)
                yield samples.rows[inside] - shard.start if inside.any() else None


def _arrays(samples):
    return [samples.weight, samples.y, *samples.inputs]


_worker = threading.local()


def _on_shard(model, task, rows, weight, y, *inputs):
    """Call a method of this worker's objective; it lasts, with its work space, for a model."""
    if getattr(_worker, "model", None) != model:
        _worker.model = model
        _worker.objective = Objective(pickle.loads(model), n_threads=1)
    method, parameters, arguments, units = pickle.loads(task)
    samples = Samples(inputs, y, weight, rows, units)
    with _worker.objective as objective:
        result = getattr(objective, method)(parameters, samples, *arguments)
    if method == "gradient_sums":
        loss, arrays = result
        return loss, [a.copy() for a in arrays]  # the objective's own are used again
    return result
