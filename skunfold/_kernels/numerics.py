"""Floors, powers, parts of gradients, and workspaces of reusable arrays."""

from functools import cache
from math import prod
from typing import NamedTuple

import numpy as np


@cache
def floor_of(dtype):
    """Return the smallest value that models and denominators take in a dtype.

    It is the fourth root of the smallest normal number, so that its inverse cube, the
    steepest power in any gradient here, is still finite. Data is scaled to a mean of
    about one before it meets this floor.
    """
    return dtype.type(np.finfo(dtype).tiny ** 0.25)


@cache
def smallest_of(dtype):
    """Return the floor of activations and parameters, far above the denormal numbers.

    Products with denormal numbers are tens of times slower than with any other.
    """
    return dtype.type(np.finfo(dtype).tiny ** 0.75)


def power(x, exponent, out=None):
    """Return x ** exponent, by multiplication, division or square root where possible.

    It is x itself for an exponent of 1, else `out`, or a new array.
    """
    if exponent == 1:
        return x
    if exponent == 2:
        return np.multiply(x, x, out=out)
    if exponent == 0.5:
        return np.sqrt(x, out=out)
    if exponent == -1:
        return np.reciprocal(x, out=out)
    return np.power(x, x.dtype.type(exponent), out=out)


class Parts(NamedTuple):
    """A gradient as two non-negative parts: gradient = pos - neg.

    A part that is zero everywhere may be None.
    """

    pos: np.ndarray | None
    neg: np.ndarray | None

    def net(self):
        """Return pos - neg or None, in the array of the first part that there is."""
        if self.neg is None:
            return self.pos
        if self.pos is None:
            return np.negative(self.neg, out=self.neg)
        return np.subtract(self.pos, self.neg, out=self.pos)

    def plus(self, other):
        """Return the sum of two gradients, in the arrays of this one where it has any."""
        return Parts(add(self.pos, other.pos), add(self.neg, other.neg))


def add(a, b):
    """Return a + b, in the array of a; None means zero."""
    if a is None or b is None:
        return b if a is None else a
    return np.add(a, b, out=a)


class Workspace:
    """Named arrays that live from one block of samples to the next.

    A newly mapped page costs more than the arithmetic on it, so a loop over blocks asks for
    its intermediate arrays here. With ``reuse=False`` every request gives a new array, and
    what was computed before stays valid.
    """

    def __init__(self, reuse=True):
        self._reuse = reuse
        self._flat: dict = {}
        self._arrays: dict = {}
        self._scopes: dict = {}

    def array(self, name, shape, dtype):
        """Return an uninitialised array, which lasts until its name is asked for again."""
        if not self._reuse:
            return np.empty(shape, dtype)
        array = self._arrays.get(name)
        if array is None or array.shape != shape or array.dtype != dtype:
            array = self._arrays[name] = self._shaped((name, dtype), shape, dtype)
        return array

    def _shaped(self, key, shape, dtype):
        flat, size = self._flat.get(key), prod(shape)
        if flat is None or flat.size < size:
            flat = self._flat[key] = np.empty(size, dtype)
        return flat[:size].reshape(shape)

    def scope(self, name):
        """Return the workspace inside this one whose names do not meet those of others."""
        if not self._reuse:
            return self
        if name not in self._scopes:
            self._scopes[name] = Workspace()
        return self._scopes[name]


NEW_ARRAYS = Workspace(reuse=False)  # for callers that keep the arrays
