"""Recordings to start with, loaders for one's own, and mixing at a given SNR."""

from skunfold.audio.bundled import load_bundled_recordings
from skunfold.audio.folders import load_recordings
from skunfold.audio.mixing import make_mixtures, mix_at_snr

__all__ = ["load_bundled_recordings", "load_recordings", "make_mixtures", "mix_at_snr"]
