"""Look for what makes a recording hard to denoise."""

from pathlib import Path
from typing import BinaryIO

import numpy as np

from skunfold.audio._recording import Recording
from skunfold.audio.waveforms import FloatArray

_FULL_SCALE = 1.0 - 2.0**-15  # the largest sample of 16 bits
_SILENCE = 1e-4  # -80 dB
_BLOCK = 65536  # samples looked at together


class Meter:
    """Count clipped samples, and notice silence.

    A sample counts as clipped if it and a neighbour in time are at full scale. Where samples
    are beyond it, as those of floating-point files may be, nothing was cut off there.
    """

    def __init__(self, sample_rate: int, n_channels: int) -> None:
        self.sample_rate = sample_rate
        self.n_channels = n_channels
        self.n_frames = 0
        self._n_clipped = 0
        self._peak = 0.0

    def update(self, block: FloatArray) -> None:
        """Take the next samples, of shape (n_frames, n_channels)."""
        level = np.abs(block)
        full = level >= _FULL_SCALE
        pairs = full[1:] & full[:-1]
        clipped = np.zeros_like(full)
        clipped[1:] |= pairs
        clipped[:-1] |= pairs
        self.n_frames += len(block)
        self._n_clipped += int(clipped.sum())
        self._peak = max(self._peak, float(level.max(initial=0.0)))

    @property
    def seconds(self) -> float:
        """How long the recording is."""
        return self.n_frames / self.sample_rate

    @property
    def clipped(self) -> float:
        """The share of clipped samples, between 0 and 1."""
        if self._peak > 1.0:
            return 0.0
        return self._n_clipped / max(self.n_frames * self.n_channels, 1)

    @property
    def silent(self) -> bool:
        """Whether no sample is louder than -80 dB of full scale."""
        return self._peak <= _SILENCE

    def complaints(self) -> list[str]:
        """Return what is wrong with the recording, in sentences."""
        if self.silent:
            return ["the recording is silent: it stays 80 dB below full scale"]
        if self.clipped:
            share = f"{100 * self.clipped:.2g} % of its samples are at full scale"
            return [f"the recording is clipped: {share}, and what was cut off is lost"]
        return []


def measure(source: Path | BinaryIO) -> Meter:
    """Look at a recording in a file, from its start."""
    if not isinstance(source, Path):
        source.seek(0)
    with Recording(source) as recording:
        meter = Meter(recording.sample_rate, recording.n_channels)
        for block in recording.blocks(_BLOCK):
            meter.update(block)
    return meter
