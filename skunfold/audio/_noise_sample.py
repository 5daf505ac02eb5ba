"""Samples of noise: the bases that are inferred from them.

A sample is a recording of the noise alone. Its bases are those of NMF after a fixed number of
updates from a fixed start, so that the same sample always gives the same bases.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skunfold._deep_nmf.initialization import random_start
from skunfold._kernels import sparse_nmf
from skunfold._kernels.divergences import beta_of
from skunfold.audio.context import Context
from skunfold.audio.features import centered, recording_level, without_offset
from skunfold.audio.waveforms import FloatArray, check_waveform

MIN_SECONDS = 0.25
N_UPDATES = 40


def check_noise_sample(name: str, sample: ArrayLike, sample_rate: int) -> FloatArray:
    """Return a sample of noise without its offset, or raise a ValueError that names it."""
    waveform = check_waveform(name, sample)
    shortest = round(MIN_SECONDS * sample_rate)
    if len(waveform) < shortest:
        raise ValueError(
            f"{name} has {len(waveform)} samples, {len(waveform) / sample_rate:.3f} s at "
            f"{sample_rate} Hz; give at least {MIN_SECONDS} s of the noise alone, better 5 s."
        )
    waveform = centered(waveform)
    if not waveform.any():
        raise ValueError(
            f"{name} is silent: all its samples are equal; give a recording of the noise."
        )
    return waveform


def noise_bases(
    sample: FloatArray, context: Context, n_components: int, beta_loss: str | float
) -> NDArray:
    """Return the bases (n_components, n_features) of a checked sample, of unit norm."""
    rate = context.stft.sample_rate
    magnitudes = np.abs(context.stft.analyze(without_offset(sample, rate)))
    features = context.features(magnitudes) / recording_level(magnitudes)
    features = features[magnitudes.any(axis=1)]
    H, W = random_start(features, n_components, np.random.RandomState(0))
    W, _, _ = sparse_nmf.fit(
        features, H, W, beta_of(beta_loss), 0.0, max_iter=N_UPDATES, tol=0.0
    )
    return W
