"""The noise in a recording of speech: where a first enhancement finds least speech."""

import os
from collections.abc import Callable
from typing import BinaryIO, Final

import numpy as np
from scipy.ndimage import uniform_filter1d

from skunfold.audio._noise_sample import MIN_SECONDS
from skunfold.audio._recording import Recording
from skunfold.audio.features import without_offset
from skunfold.audio.io import resample
from skunfold.audio.waveforms import FloatArray, check_waveform

AUTO: Final = "auto"
SEARCHED_SECONDS = 60  # of a file
BLOCK_SECONDS = 0.01
N_SMOOTHED = 11  # blocks that the share of speech is averaged over
SHARE = 0.1  # of the blocks are taken for noise


def noise_in(
    waveform: FloatArray, sample_rate: int, enhance: Callable[[FloatArray], FloatArray]
) -> FloatArray | None:
    """Return a sample of the noise in a recording of one or more channels, if it has one."""
    mono = waveform if waveform.ndim == 1 else waveform.mean(axis=1)
    if len(mono) < 2 * MIN_SECONDS * sample_rate:
        return None
    return find_noise(without_offset(mono, sample_rate), enhance(mono), sample_rate)


def beginning(source: str | os.PathLike[str] | BinaryIO, sample_rate: int) -> FloatArray:
    """Return the first minute of a file at a rate, channels averaged; its place is kept."""
    place = 0 if isinstance(source, str | os.PathLike) else source.tell()
    blocks = [np.empty(0, np.float32)]
    with Recording(source) as recording:
        n_left = SEARCHED_SECONDS * recording.sample_rate
        for block in recording.blocks(recording.sample_rate):
            samples = check_waveform(recording.name, block[:n_left], n_dims=(2,))
            blocks.append(samples.mean(axis=1))
            n_left -= len(blocks[-1])
            if not n_left:
                break
    if not isinstance(source, str | os.PathLike):
        source.seek(place)
    waveform = np.concatenate(blocks)
    return resample(waveform, recording.sample_rate, sample_rate) if len(waveform) else waveform


def find_noise(noisy: FloatArray, enhanced: FloatArray, sample_rate: int) -> FloatArray | None:
    """Return those parts of a recording in which there is least speech, one after the other.

    Parameters
    ----------
    noisy, enhanced : ndarrays of shape (n_samples,)
        The recording, and what is left of it without a sample of its noise.
    sample_rate : int
        Their rate in Hz.

    Returns
    -------
    ndarray of shape (n_sample_samples,) or None
        A tenth of the recording, 0.25 s at least; digital silence is left out. None if the
        recording is shorter than half a second, or mostly silent.
    """
    n_block = round(BLOCK_SECONDS * sample_rate)
    n_blocks = len(noisy) // n_block
    blocks, left = (x[: n_blocks * n_block].reshape(-1, n_block) for x in (noisy, enhanced))
    n_needed = -(-round(MIN_SECONDS * sample_rate) // n_block)
    sounding = blocks.any(axis=1)
    if sounding.sum() < 2 * n_needed:
        return None
    energies = (np.square(x, dtype=np.float64).mean(axis=1) for x in (left, blocks))
    speech, whole = (uniform_filter1d(energy, N_SMOOTHED) for energy in energies)
    shares = np.where(sounding, speech / np.maximum(whole, np.finfo(float).tiny), np.inf)
    n_chosen = max(n_needed, round(SHARE * sounding.sum()))
    chosen = np.sort(np.argsort(shares, kind="stable")[:n_chosen])
    return blocks[chosen].ravel()
