"""Recordings to start with, loaders for one's own, and mixing at a given SNR."""

from skunfold.datasets._bundled import load_bundled_recordings
from skunfold.datasets._folders import load_recordings
from skunfold.datasets._mixing import make_mixtures, mix_at_snr

__all__ = ["load_bundled_recordings", "load_recordings", "make_mixtures", "mix_at_snr"]
