"""Threads over blocks of samples, each with one BLAS thread.

BLAS threads wait for each other after every product, and spin while they wait; blocks do not
wait. The limit of one BLAS thread holds for the process, so its users are counted: it is set
for the first one and lifted after the last one.
"""

import os
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise

import numpy as np
from threadpoolctl import ThreadpoolController

from skunfold._kernels.numerics import Workspace

WORTH_THREADS = 1 << 24  # in a product of fewer multiplications, threads gain nothing
# In a layer of fewer multiplications, threads over blocks of samples wait for the interpreter
# more than they gain.
WORTH_BLOCKS = 1 << 26

_lock = threading.Lock()
_users = 0
_former: list = []  # each BLAS and how many threads it had
_n_threads = 1


@cache
def _pool(n_threads):
    """Return threads that last as long as the process; new ones cost as much as a block."""
    return ThreadPoolExecutor(n_threads, thread_name_prefix="skunfold")


# Threads do not survive a fork.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)


@cache
def _blas():
    """Return what controls each BLAS of the process."""
    return ThreadpoolController().select(user_api="blas").lib_controllers


def _enter_limit():
    """Limit BLAS to one thread and return how many threads it had."""
    global _users, _former, _n_threads
    with _lock:
        if _users == 0:
            _former = [(blas, blas.get_num_threads()) for blas in _blas()]
            _n_threads = max((n for _, n in _former), default=1)
            _set_threads((blas, 1) for blas, n in _former if n > 1)
        _users += 1
        return _n_threads


def _leave_limit():
    global _users
    with _lock:
        _users -= 1
        if _users == 0:
            _set_threads((blas, n) for blas, n in _former if n > 1)


def _set_threads(numbers):
    """Set the number of threads of each BLAS, from any thread of ours.

    Since version 3.8, threadpoolctl lets only the thread that was the first to set the number
    set it again.
    """
    for blas, n in numbers:
        forget_the_first = getattr(blas, "clear_controlling_thread", lambda force: None)
        forget_the_first(force=True)
        blas.set_num_threads(n)
        forget_the_first(force=True)


class BlockThreads:
    """As many threads as BLAS would use, for functions that release the GIL.

    Entered once per fit or predict::

        with BlockThreads() as threads:
            results = threads.map(function, blocks)

    Unless it is given, the number of threads is BLAS's own: set it by
    ``threadpoolctl.threadpool_limits`` or the environment (``OMP_NUM_THREADS``,
    ``OPENBLAS_NUM_THREADS``).
    """

    def __init__(self, n_threads=None):
        self._wanted = n_threads

    def __enter__(self):
        n_blas_threads = _enter_limit()
        self.n_threads = self._wanted or n_blas_threads
        # The thread that calls works too.
        self._pool = _pool(self.n_threads - 1) if self.n_threads > 1 else None
        return self

    def __exit__(self, *exception):
        _leave_limit()

    def map(self, function, *arguments):
        """Return [function(*a) for a in zip(*arguments)], computed by the threads."""
        tasks = list(zip(*arguments))
        if len(tasks) == 1 or self._pool is None:
            return [function(*task) for task in tasks]
        results = [None] * len(tasks)
        places = deque(range(len(tasks)))  # shared: each place goes to one thread
        failed = False

        def work():
            nonlocal failed
            while not failed:
                try:
                    i = places.popleft()
                except IndexError:
                    return
                try:
                    results[i] = function(*tasks[i])
                except BaseException:
                    failed = True
                    raise

        n_helpers = min(self.n_threads, len(tasks)) - 1
        helpers = [self._pool.submit(work) for _ in range(n_helpers)]
        try:
            work()
        finally:
            for helper in helpers:
                # Do not wait for a helper that has not begun (the pool may be busy with another
                # caller's tasks, or this may run in the pool): all tasks are done.
                if not helper.cancel():
                    helper.result()
        return results


class PerThread:
    """One object for each thread, made when it first asks: ``per_thread()``."""

    def __init__(self, make):
        self._make = make
        self._local = threading.local()

    def __call__(self):
        if not hasattr(self._local, "value"):
            self._local.value = self._make()
        return self._local.value


def map_samples(function, out, n_weights, *inputs, block_size=None):
    """Fill `out` and return it: function(out[rows], workspace, *rows of inputs), in threads.

    The block size follows from the number of weights unless it is given. It is smaller where
    threads would otherwise have nothing to do. The blocks of few samples are computed by this
    thread alone: BLAS divides its products among its own threads then.
    """
    if block_size is None and (len(out) < 128 or len(out) * n_weights < WORTH_BLOCKS):
        work = Workspace()
        for rows in block_slices(len(out), block_size_for(len(out), n_weights, n_threads=1)):
            function(out[rows], work, *(a[rows] for a in inputs))
        return out
    workspace = PerThread(Workspace)

    def fill(rows):
        function(out[rows], workspace(), *(a[rows] for a in inputs))

    with BlockThreads() as threads:
        n = threads.n_threads
        if block_size is None:
            size = block_size_for(len(out), n_weights, n_threads=n)
        else:
            size = for_threads(block_size, len(out), n_threads=n)
        threads.map(fill, block_slices(len(out), size))
    return out


def product(A, B):
    """Return A @ B, computed by threads that share the rows of A if there is enough to do.

    Threads of the BLAS keep spinning for a tenth of a second after a product, on processors
    that the next blocks of samples need.
    """
    out = np.empty((len(A), B.shape[1]), np.result_type(A, B))
    with BlockThreads() as threads:
        n_threads = threads.n_threads if A.size * B.shape[1] >= WORTH_THREADS else 1
        slices = block_slices(len(A), max(1, -(-len(A) // n_threads)))
        threads.map(lambda rows: np.matmul(A[rows], B, out=out[rows]), slices)
    return out


def gram_matrix(A, B):
    """Return A B^T, (n, m), computed by threads if there is enough to do.

    They share pairs of blocks of rows. Where B is A, the product is symmetric: pairs above the
    diagonal are copied. The result does not depend on the number of threads.
    """
    out = np.empty((len(A), len(B)), np.result_type(A, B))
    n_blocks = 4 if A.size * len(B) >= WORTH_THREADS else 1
    rows, columns = (block_slices(n, max(100, -(-n // n_blocks))) for n in out.shape)
    pairs = [(i, j) for i in rows for j in columns if A is not B or j.start <= i.start]

    def fill(i, j):
        np.matmul(A[i], B[j].T, out=out[i, j])
        if A is B and i != j:
            out[j, i] = out[i, j].T

    with BlockThreads() as threads:
        threads.map(fill, *zip(*pairs))
    return out


def block_slices(n_samples, block_size):
    """Return slices of at most `block_size` samples, as equal as possible."""
    n_blocks = max(1, -(-n_samples // block_size))
    bounds = [i * n_samples // n_blocks for i in range(n_blocks + 1)]
    return [slice(a, b) for a, b in pairwise(bounds)]


def block_size_for(n_samples, n_weights, usual=256, n_threads=2):
    """Return how many samples to carry through all layers at a time.

    Few enough to stay in the caches, as a rule the `usual` number; enough to be worth packing
    weights of `n_weights` elements in every product; then reduced by `for_threads`.
    """
    size = usual if n_weights <= 500_000 else 1024
    return for_threads(size, n_samples, 64 if n_weights >= 50_000 else 128, n_threads)


def for_threads(block_size, n_samples, smallest=32, n_threads=2):
    """Return the block size, or a smaller one that gives all threads equally many blocks.

    Blocks of fewer than `smallest` samples cost more than a thread that waits. Sums over
    blocks, which must not depend on the number of threads, are always made for two.
    """
    n_rounds = max(1, -(-n_samples // (block_size * n_threads)))
    even = -(-n_samples // (n_rounds * n_threads))
    return max(even, min(smallest, n_samples, block_size), 1)
