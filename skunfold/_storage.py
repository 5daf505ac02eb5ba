"""Arrays that may be larger than memory; the limit is scikit-learn's ``working_memory``."""

import tempfile

import numpy as np
from sklearn import get_config


def working_memory():
    """Return the limit, in bytes: ``sklearn.set_config(working_memory=MiB)``; else 1 GiB."""
    return int(get_config()["working_memory"] * 2**20)


def large_array(shape, dtype):
    """Return an uninitialised array: in memory, or in a temporary file if it is over the limit.

    The file is gone as soon as the array is.
    """
    if np.prod(shape) * np.dtype(dtype).itemsize <= working_memory():
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile(prefix="skunfold-") as file:
        return np.memmap(file, dtype, "w+", shape=shape)
