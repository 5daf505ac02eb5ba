"""Recordings to start with, loaders for one's own, mixing at a given SNR, synthetic noise."""

from skunfold.audio.bundled import load_bundled_recordings
from skunfold.audio.folders import load_recordings
from skunfold.audio.mixing import make_mixtures, mix_at_snr
from skunfold.audio.synthetic_noise import make_noise

__all__ = [
    "load_bundled_recordings",
    "load_recordings",
    "make_mixtures",
    "make_noise",
    "mix_at_snr",
]
