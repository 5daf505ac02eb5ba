"""Probabilities of states and classes, from logits."""

import numpy as np


def softmax(logits):
    """Return the probabilities of classes, (n, C)."""
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return p


def log_softmax(logits):
    """Return the logarithms of the probabilities of classes, (n, C)."""
    below = logits - logits.max(axis=1, keepdims=True)
    return below - np.log(np.exp(below).sum(axis=1, keepdims=True))


def two_states(logits, log=False):
    """Return the probabilities of being off and on, or their logarithms."""
    logs = -softplus(logits), -softplus(-logits)
    return logs if log else tuple(np.exp(value) for value in logs)


def sigmoid(x):
    """Return 1 / (1 + exp(-x)), which cannot overflow; its error is that of 1 + tanh."""
    out = x * x.dtype.type(0.5)
    np.tanh(out, out=out)
    out += x.dtype.type(1)
    out *= x.dtype.type(0.5)
    return out


def softplus(x):
    """Return log(1 + exp(x))."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))
