"""Blocks of samples and the threads that work on them."""

import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from skunfold._kernels import blocks
from skunfold._kernels.blocks import (
    BlockThreads,
    block_size_for,
    block_slices,
    for_threads,
    gram_matrix,
    map_samples,
    product,
)


def blas_threads():
    return max(info["num_threads"] for info in threadpool_info() if info["user_api"] == "blas")


@pytest.mark.parametrize("n_samples", [0, 1, 2, 63, 64, 65, 1000, 5000])
@pytest.mark.parametrize("n_weights", [10, 10**6])
def test_slices_cover_all_samples_once(n_samples, n_weights):
    slices = block_slices(n_samples, block_size_for(n_samples, n_weights))
    rows = np.concatenate([np.arange(n_samples)[s] for s in slices])
    np.testing.assert_array_equal(rows, np.arange(n_samples))


@pytest.mark.parametrize(
    ("block_size", "n_samples", "n_threads", "expected"),
    [
        (256, 256, 2, 128),
        (256, 65, 2, 33),
        (256, 40, 2, 32),
        (256, 10, 2, 10),
        (4, 9, 2, 4),
        (256, 600, 2, 150),  # four blocks, since one of three would be alone
        (256, 1024, 2, 256),
        (256, 256, 1, 256),
        (256, 600, 1, 200),
        (256, 600, 8, 75),
        (256, 100, 8, 32),
        (256, 0, 2, 1),
    ],
)
def test_there_is_work_for_all_threads(block_size, n_samples, n_threads, expected):
    assert for_threads(block_size, n_samples, n_threads=n_threads) == expected


@pytest.mark.parametrize("n_threads", [1, 2, 5])
@pytest.mark.parametrize("worth_blocks", [0, blocks.WORTH_BLOCKS])
def test_results_differ_by_rounding_between_numbers_of_threads(
    monkeypatch, n_threads, worth_blocks
):
    monkeypatch.setattr(blocks, "WORTH_BLOCKS", worth_blocks)
    rng = np.random.default_rng(0)
    X, W = rng.uniform(size=(700, 30)), rng.uniform(size=(30, 20))

    def product(out, work, X):
        np.matmul(X, W, out=out)

    with threadpool_limits(n_threads):
        out = map_samples(product, np.empty((700, 20)), W.size, X)
    with threadpool_limits(1):
        expected = map_samples(product, np.empty((700, 20)), W.size, X)
    np.testing.assert_allclose(out, expected, rtol=1e-14)


def test_blas_threads_come_back_when_the_last_user_leaves():
    before = blas_threads()
    with BlockThreads() as outer:
        assert blas_threads() == 1
        with BlockThreads() as inner:
            assert inner.n_threads == outer.n_threads == before
        assert blas_threads() == 1
    assert blas_threads() == before


def test_many_callers_at_once():
    before = blas_threads()

    def use(_):
        with BlockThreads() as threads:
            return threads.map(lambda i: i**2, range(5))

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(use, range(50)))
    assert results == [[0, 1, 4, 9, 16]] * 50
    assert blas_threads() == before


def _nested(i):
    with BlockThreads() as threads:
        return threads.map(lambda j: 10 * i + j, range(3))


def test_calls_within_calls():
    with threadpool_limits(2), BlockThreads() as threads:
        assert threads.map(_nested, range(4)) == [
            [10 * i + j for j in range(3)] for i in range(4)
        ]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_threads_after_a_fork():
    with threadpool_limits(2):
        _nested(0)
        with multiprocessing.get_context("fork").Pool(1) as pool:
            assert pool.apply_async(_nested, (1,)).get(timeout=20) == [10, 11, 12]


@pytest.mark.parametrize("worth_blocks", [0, blocks.WORTH_BLOCKS])
def test_an_error_in_a_block_is_raised_and_the_limit_lifted(monkeypatch, worth_blocks):
    monkeypatch.setattr(blocks, "WORTH_BLOCKS", worth_blocks)
    before = blas_threads()

    def fail(out, work):
        raise RuntimeError("broken block")

    with pytest.raises(RuntimeError, match="broken block"):
        map_samples(fail, np.empty((300, 2)), 10)
    assert blas_threads() == before


@pytest.mark.parametrize(
    ("n_samples", "n_weights", "few"),
    [(100, 10**7, True), (300, 1000, True), (300, 10**6, False)],
)
def test_few_samples_are_left_to_the_threads_of_blas(n_samples, n_weights, few):
    seen = set()

    def note(out, work):
        seen.add(blas_threads())

    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        map_samples(note, np.empty((n_samples, 2)), n_weights)
        assert seen == {before if few else 1}
        assert blas_threads() == before


@pytest.mark.parametrize("n_rows", [0, 1, 2, 7, 300])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize("worth_threads", [0, blocks.WORTH_THREADS])
def test_a_product_by_threads(monkeypatch, n_rows, dtype, worth_threads):
    monkeypatch.setattr(blocks, "WORTH_THREADS", worth_threads)
    A = np.arange(n_rows * 5).reshape(n_rows, 5).astype(dtype)
    B = np.random.default_rng(0).random((5, 4), dtype=np.float32)
    with threadpool_limits(2, user_api="blas"):
        result = product(A, B)
    np.testing.assert_allclose(result, A @ B, rtol=1e-6)
    assert result.dtype == (A @ B).dtype


@pytest.mark.parametrize("n_rows", [1, 6, 250, 1001])
@pytest.mark.parametrize("worth_threads", [0, blocks.WORTH_THREADS])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_gram_matrix_by_threads(monkeypatch, n_rows, worth_threads, dtype):
    monkeypatch.setattr(blocks, "WORTH_THREADS", worth_threads)
    A, B = np.random.default_rng(0).random((2, n_rows, 7)).astype(dtype)
    for other in (A, B, B[: n_rows // 2 + 1]):
        with threadpool_limits(3, user_api="blas"):
            result = gram_matrix(A, other)
        with threadpool_limits(1, user_api="blas"):
            np.testing.assert_array_equal(gram_matrix(A, other), result)
        np.testing.assert_allclose(result, A @ other.T, rtol=1e-5)
        assert result.dtype == dtype


def test_a_product_wakes_no_threads_of_the_blas(monkeypatch):
    matmul, seen = np.matmul, []

    def watched(*arguments, **options):
        seen.append(blas_threads())
        return matmul(*arguments, **options)

    monkeypatch.setattr(np, "matmul", watched)
    monkeypatch.setattr(blocks, "WORTH_THREADS", 0)
    with threadpool_limits(2, user_api="blas"):
        product(np.ones((100, 5)), np.ones((5, 4)))
        gram_matrix(np.ones((100, 5)), np.ones((4, 5)))
    assert set(seen) == {1}
