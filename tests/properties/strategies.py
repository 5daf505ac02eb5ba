"""Data of any size, unit, dtype and order in memory, with zeros where it hurts."""

import numpy as np
from hypothesis import strategies as st

DTYPES = (np.float32, np.float64)
N_SAMPLES = st.integers(1, 40)
N_FEATURES = st.integers(1, 7)
LENGTHS = st.integers(1, 3000)  # of waveforms
SEEDS = st.integers(0, 2**32 - 1)
SCALES = st.integers(-12, 12).map(lambda exponent: 10.0**exponent)
ORDERS = st.sampled_from(["C", "F", "strided", "reversed"])


def in_order(array, order):
    """Return an equal array that lies otherwise in memory."""
    if order == "strided":
        wide = np.zeros((2 * len(array), 3 * array.shape[1]), array.dtype)
        wide[::2, ::3] = array
        return wide[::2, ::3]
    if order == "reversed":
        return np.ascontiguousarray(array[::-1, ::-1])[::-1, ::-1]
    return np.asarray(array, order=order)


@st.composite
def non_negative(draw, n_samples=N_SAMPLES):
    """Return (n_samples, n_features) of numbers from 0 on, some rows and columns all 0."""
    shape = draw(n_samples), draw(N_FEATURES)
    rng = np.random.default_rng(draw(SEEDS))
    X = rng.exponential(size=shape) * (rng.uniform(size=shape) >= draw(st.floats(0, 1)))
    if draw(st.booleans()):
        X[rng.integers(shape[0])] = 0
    if draw(st.booleans()):
        X[:, rng.integers(shape[1])] = 0
    return (draw(SCALES) * X).astype(draw(st.sampled_from(DTYPES)))


@st.composite
def real(draw, n_samples=N_SAMPLES):
    """Return (n_samples, n_features) of numbers of either sign."""
    shape = draw(n_samples), draw(N_FEATURES)
    rng = np.random.default_rng(draw(SEEDS))
    X = rng.normal(size=shape) * (rng.uniform(size=shape) >= draw(st.floats(0, 1)))
    if draw(st.booleans()):
        X[rng.integers(shape[0])] = 0
    return (draw(SCALES) * X).astype(draw(st.sampled_from(DTYPES)))


@st.composite
def waveforms(draw, lengths=LENGTHS, scales=SCALES):
    """Return (n_samples,) of noise with silence in it, but not of silence alone."""
    n = draw(lengths)
    rng = np.random.default_rng(draw(SEEDS))
    waveform = rng.normal(size=n)
    begin, end = sorted(draw(st.tuples(st.integers(0, n), st.integers(0, n))))
    if end - begin < n:
        waveform[begin:end] = 0
    return (draw(scales) * waveform).astype(draw(st.sampled_from(DTYPES)))
