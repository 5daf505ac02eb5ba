"""Probabilities of states and classes, from logits."""

import numpy as np

from skunfold._kernels.fused import fused


@fused
def row_max(x):
    """Return the largest element of each row, (n, 1).

    It uses a transposed copy, which is several times faster for short rows.
    """
    return np.ascontiguousarray(x.T).max(axis=0)[:, np.newaxis]


@fused
def exp_below(x):
    """Return exp(x - max) of each row, in the array of x."""
    x -= row_max(x)
    return np.exp(x, out=x)


def row_sums(x):
    """Return the sums of the rows, (n, 1); by BLAS, which is faster."""
    return (x @ np.ones(x.shape[1], x.dtype))[:, np.newaxis]


def column_sums(x):
    """Return the sums of the columns, (k,); by BLAS, as `row_sums`."""
    return np.ones(len(x), x.dtype) @ x


@fused
def softmax(logits):
    """Return the probabilities of classes, (n, C)."""
    p = exp_below(logits.copy())
    p /= row_sums(p)
    return p


@fused
def log_softmax(logits):
    """Return the logarithms of the probabilities of classes, (n, C)."""
    below = logits - row_max(logits)
    return below - np.log(row_sums(np.exp(below)))


def two_states(logits, log=False):
    """Return the probabilities of being off and on, or their logarithms."""
    logs = -softplus(logits), -softplus(-logits)
    return logs if log else tuple(np.exp(value) for value in logs)


@fused
def sigmoid(x):
    """Return 1 / (1 + exp(-x)), which cannot overflow; its error is that of 1 + tanh."""
    out = x * x.dtype.type(0.5)
    np.tanh(out, out=out)
    out += x.dtype.type(1)
    out *= x.dtype.type(0.5)
    return out


@fused
def sigmoid_of_sum(x, b):
    """Set x (n, k) to sigmoid(x + b), for b (k,), and return it."""
    x += b
    x[...] = sigmoid(x)
    return x


@fused
def sigmoid_adjoint(g, q):
    """Multiply g = dE/dq by the derivative q (1 - q) of a sigmoid, in place, and return it."""
    g *= q
    g *= 1 - q
    return g


def softplus(x):
    """Return log(1 + exp(x))."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))
