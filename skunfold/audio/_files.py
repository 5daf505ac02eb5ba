"""Enhancement of files, block by block: the memory does not grow with their length."""

import os
import warnings
from collections.abc import Callable, Iterator
from typing import BinaryIO

import numpy as np

from skunfold.audio._recording import Recording
from skunfold.audio._sink import gain_without_clipping, open_sink, staged
from skunfold.audio.formats import UNBOUNDED, choose_subtype, format_for_length, format_of
from skunfold.audio.streaming import EnhancementStream
from skunfold.audio.waveforms import FloatArray, check_waveform

File = str | os.PathLike[str] | BinaryIO
OpenStream = Callable[[int, int], EnhancementStream]
Listener = Callable[[FloatArray, int], object]

_BLOCK = 1 << 17  # numbers read at once, at most
_BLOCK_SECONDS = 5  # of sound, at most: at low rates it becomes more numbers


def enhance_file(
    open_stream: OpenStream,
    source: File,
    destination: File,
    subtype: str | None,
    on_block: Listener | None,
) -> None:
    """Enhance a recording, and write it completely or not at all.

    Parameters
    ----------
    open_stream : callable
        Makes a stream for a number of channels and a sample rate.
    source, destination, subtype, on_block
        As of `skunfold.audio.SpeechEnhancer.enhance_file`.
    """
    choose_subtype(destination, subtype)  # raises before any work
    place = 0 if isinstance(source, str | os.PathLike) else source.tell()
    with staged(destination) as target:
        with Recording(source) as recording:
            subtype = choose_subtype(destination, subtype, recording.subtype)
            n_numbers = (recording.n_announced or 0) * recording.n_channels
            format_ = format_for_length(format_of(destination), subtype, n_numbers)
            output = _enhanced(recording, open_stream, on_block)
            peak = _write(output, target, recording, format_, subtype)
            cut_off = recording.cut_off()
        if cut_off is not None:
            warnings.warn(cut_off, stacklevel=3)
        gain = 1.0 if subtype in UNBOUNDED else gain_without_clipping(peak)
        needed = format_for_length(format_, subtype, recording.n_read * recording.n_channels)
        if gain == 1.0 and needed == format_:
            return
        # Format and gain depend on the whole result, so enhance the recording again.
        if not isinstance(source, str | os.PathLike):
            source.seek(place)
        target.seek(0)
        target.truncate()
        with Recording(source) as recording:
            output = _enhanced(recording, open_stream, None)
            _write(output, target, recording, needed, subtype, gain)


def _enhanced(
    recording: Recording, open_stream: OpenStream, on_block: Listener | None
) -> Iterator[FloatArray]:
    """Yield the blocks of the enhanced recording, of shape (n_samples, n_channels)."""
    rate, n_channels = recording.sample_rate, recording.n_channels
    try:
        stream = open_stream(n_channels, rate)
    except ValueError as error:
        raise ValueError(f"{recording.name} has an unusual sample rate: {error}") from None
    for block in recording.blocks(max(1, min(_BLOCK // n_channels, _BLOCK_SECONDS * rate))):
        samples = check_waveform(recording.name, block, n_dims=(2,))
        if on_block is not None:
            on_block(samples, rate)
        yield stream.process(samples)
    if not recording.n_read:
        raise ValueError(
            f"{recording.name} holds no samples; give a recording that is not empty"
        )
    yield stream.flush()


def _write(
    output: Iterator[FloatArray],
    target: BinaryIO,
    recording: Recording,
    format_: str,
    subtype: str,
    gain: float = 1.0,
) -> float:
    """Write the enhanced recording; return its peak."""
    peak = 0.0
    rate, n_channels = recording.sample_rate, recording.n_channels
    with open_sink(target, rate, n_channels, format_, subtype) as write:
        for block in output:
            peak = max(peak, float(np.abs(block).max(initial=0.0)))
            write(block * block.dtype.type(gain))
    return peak
