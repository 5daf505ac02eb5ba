"""WAV from a pipe to a pipe: as it arrives, whatever its length."""

import io
import math
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import soundfile

from skunfold.audio import SpeechEnhancer
from skunfold.audio._headers import ENDLESS
from skunfold.audio.formats import UNBOUNDED, choose_subtype
from skunfold.audio.streaming import EnhancementStream
from skunfold.audio.waveforms import FloatArray, check_channels, check_waveform
from skunfold.cli.meter import Meter
from skunfold.cli.output import Stdout
from skunfold.cli.progress import PIPE_SECONDS, SOUND, Ticker

_SUBTYPES = {  # by the format tag and the bits of a sample
    (1, 8): "PCM_U8", (1, 16): "PCM_16", (1, 24): "PCM_24", (1, 32): "PCM_32",
    (3, 32): "FLOAT", (3, 64): "DOUBLE", (6, 8): "ALAW", (7, 8): "ULAW",
}  # fmt: skip
_LAYOUTS = {  # format tag and bits of a sample, of what is written
    name: layout for layout, name in _SUBTYPES.items() if name not in ("ALAW", "ULAW")
}
_EXTENSIBLE = 0xFFFE  # the tag follows later in the header
_LARGEST = 0xFFFFFFFF  # what is written here
_LONGEST_HEAD = 8 << 20  # bytes that may precede the first sample
_BLOCK = 1 << 16  # bytes read at once, at most


@dataclass(frozen=True)
class Wave:
    """What the header of a WAV file says.

    `n_bytes` of samples follow it; None: as many as come.
    """

    sample_rate: int
    n_channels: int
    subtype: str
    frame_size: int
    n_bytes: int | None

    @property
    def n_frames(self) -> int | None:
        """The number of samples of each channel."""
        return None if self.n_bytes is None else self.n_bytes // self.frame_size


def enhance_pipe(
    enhancer: SpeechEnhancer,
    source: BinaryIO,
    target: Stdout,
    subtype: str | None = None,
    **how: Any,
) -> tuple[Meter, list[str]]:
    """Denoise a WAV file while it arrives.

    Parameters
    ----------
    enhancer : SpeechEnhancer
        A fitted one.
    source : binary file
        A WAV file; is read, never sought.
    target : Stdout
        Gets as many samples at the same rate as WAV.
    subtype : str or None, default=None
        Encoding of the samples of `target`, one of PCM or floating point.  None: as `source`
        has it, or 16 bits where that is A-law or mu-law.
    **how
        ``noise_sample`` and ``strength``, as `SpeechEnhancer.stream` takes them.

    Returns
    -------
    meter : Meter
        What was heard.
    complaints : list of str
        What to warn of.

    Raises
    ------
    ValueError
        If WAV in a pipe cannot have the subtype, or `source` is no WAV file, has too many
        channels or a rate that is too odd, holds no samples, NaN or infinity, or ends before
        its header says; what came until then is denoised.
    """
    if subtype is not None and subtype not in _LAYOUTS:
        known = ", ".join(_LAYOUTS)
        raise ValueError(f"Through a pipe, subtype must be one of {known}, got {subtype!r}.")
    wave = read_header(source)
    subtype = choose_subtype(target, subtype, wave.subtype)
    meter = Meter(wave.sample_rate, wave.n_channels)
    ticker = Ticker("skunfold enhance", None, SOUND, PIPE_SECONDS)
    output = _enhance_blocks(
        _open_stream(enhancer, wave, how), _read_blocks(source, wave, meter)
    )
    n_clipped = 0
    for i, block in enumerate(output):
        if i == 0:
            target.write(_header(wave, subtype))
        if subtype not in UNBOUNDED:
            n_clipped += int((np.abs(block) > 1.0).sum())
        target.write(_encode(block, wave, subtype))
        target.flush()
        ticker.advance(len(block) / wave.sample_rate)
    if not meter.n_frames:
        raise ValueError("stdin is a WAV file without samples; pipe a recording into it.")
    if wave.n_frames is not None and meter.n_frames < wave.n_frames:
        raise ValueError(
            f"stdin ended after {meter.n_frames} of the {wave.n_frames} samples that its "
            "header announced; what came was denoised."
        )
    complaints = meter.complaints()
    if n_clipped:
        complaints.append(f"{n_clipped} samples of the output were beyond full scale: clipped")
    return meter, complaints


def read_header(source: BinaryIO) -> Wave:
    """Read up to the first sample of WAV or RF64, which ID3 tags may precede."""
    head = _Head(source)
    while (start := head.read(10)).startswith(b"ID3"):
        head.skip(sum((byte & 127) << 7 * i for i, byte in enumerate(reversed(start[6:]))))
    start += head.read(2)
    if not head.n_read:
        raise ValueError("stdin is empty; pipe a WAV file into it.")
    if start[:4] not in (b"RIFF", b"RF64") or start[8:] != b"WAVE":
        raise ValueError("stdin is no WAV file; convert it, for example by ffmpeg -f wav.")
    found = {b"fmt ": b"", b"ds64": b""}
    while len(chunk := head.read(8)) == 8:
        name, size = struct.unpack("<4sI", chunk)
        if name == b"data":
            return _wave(found[b"fmt "], _data_size(size, found[b"ds64"]))
        if name in found:
            found[name] = head.read(min(size, 40))
            size -= len(found[name])
        head.skip(size + size % 2)
    raise ValueError("stdin ends within the header of a WAV file; pipe the whole file into it.")


class _Head:
    """What precedes the first sample: read from a source in turn, up to a limit."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self.n_read = 0

    def read(self, n_bytes: int) -> bytes:
        """Return the next bytes; fewer at the end."""
        data = self._source.read(n_bytes)
        self.n_read += len(data)
        if self.n_read > _LONGEST_HEAD:
            raise ValueError(
                f"stdin holds no sound in its first {_LONGEST_HEAD >> 20} MiB; pipe a WAV file "
                "into it."
            )
        return data

    def skip(self, n_bytes: int) -> None:
        """Pass over the next bytes."""
        while n_bytes and (read := self.read(min(n_bytes, _BLOCK))):
            n_bytes -= len(read)


def _data_size(n_bytes: int, sizes: bytes) -> int | None:
    """Return the number of bytes of samples, or None if it is not known.

    RF64 has it in a chunk "ds64", after the size of the file.
    """
    if n_bytes == _LARGEST and len(sizes) >= 16:
        (n_bytes,) = struct.unpack("<8xQ", sizes[:16])
        return n_bytes if 0 < n_bytes < 1 << 62 else None
    return n_bytes if 0 < n_bytes < ENDLESS else None


def _wave(layout: bytes, n_bytes: int | None) -> Wave:
    """Return what a fmt chunk means."""
    if len(layout) < 16:
        raise ValueError("stdin is a WAV file that does not say its format; convert it.")
    tag, n_channels, sample_rate, _, _, bits = struct.unpack("<HHIIHH", layout[:16])
    if tag == _EXTENSIBLE and len(layout) >= 26:
        (tag,) = struct.unpack("<H", layout[24:26])
    if (tag, bits) not in _SUBTYPES or not n_channels or not sample_rate:
        raise ValueError(
            f"stdin is a WAV file of format {tag} with {bits} bits, {n_channels} channels and "
            f"{sample_rate} Hz, which cannot be read; convert it to 16-bit PCM."
        )
    check_channels("stdin", n_channels)
    frame_size = n_channels * bits // 8
    return Wave(sample_rate, n_channels, _SUBTYPES[tag, bits], frame_size, n_bytes)


def _read_blocks(source: BinaryIO, wave: Wave, meter: Meter) -> Iterator[FloatArray]:
    """Yield arrays of shape (n_frames, n_channels) as soon as there is something to read."""
    n_left = math.inf if wave.n_bytes is None else wave.n_bytes
    read = getattr(source, "read1", source.read)  # does not wait for the block to be full
    rest = b""
    while n_left and (data := read(int(min(n_left, _BLOCK)))):
        n_left -= len(data)
        data = rest + data
        n_whole = len(data) - len(data) % wave.frame_size
        rest = data[n_whole:]
        if n_whole:
            block = check_waveform("stdin", _decode(data[:n_whole], wave), n_dims=(2,))
            meter.update(block)
            yield block


def _open_stream(
    enhancer: SpeechEnhancer, wave: Wave, how: dict[str, Any]
) -> EnhancementStream:
    try:
        return enhancer.stream(wave.n_channels, sample_rate=wave.sample_rate, **how)
    except ValueError as error:
        raise ValueError(f"stdin has an unusual sample rate: {error}") from None


def _enhance_blocks(
    stream: EnhancementStream, blocks: Iterable[FloatArray]
) -> Iterator[FloatArray]:
    """Yield what `SpeechEnhancer.enhance_file` would write, in blocks."""
    for block in blocks:
        if len(output := stream.process(block)):
            yield output
    if len(output := stream.flush()):
        yield output


def _decode(data: bytes, wave: Wave) -> FloatArray:
    """Return samples of shape (n_frames, n_channels)."""
    samples, _ = soundfile.read(
        io.BytesIO(data),
        dtype="float32",
        always_2d=True,
        format="RAW",
        subtype=wave.subtype,
        samplerate=wave.sample_rate,
        channels=wave.n_channels,
        endian="LITTLE",
    )
    return samples


def _encode(block: FloatArray, wave: Wave, subtype: str) -> bytes:
    """Return the bytes of samples of shape (n_frames, n_channels)."""
    data = io.BytesIO()
    soundfile.write(data, block, wave.sample_rate, subtype, "LITTLE", "RAW")
    return data.getvalue()


def _header(wave: Wave, subtype: str) -> bytes:
    """Return the header of a WAV file; where the length is not known, the largest.

    Sound beyond 4 GiB makes it RF64.
    """
    tag, n_bits = _LAYOUTS[subtype]
    frame_size = n_bits // 8 * wave.n_channels
    n_bytes = None if wave.n_frames is None else wave.n_frames * frame_size
    layout = struct.pack(
        "<HHIIHH",
        tag,
        wave.n_channels,
        wave.sample_rate,
        min(wave.sample_rate * frame_size, _LARGEST),
        frame_size,
        n_bits,
    )
    magic, sizes = b"RIFF", b""
    riff_size, data_size = (_LARGEST, _LARGEST) if n_bytes is None else (n_bytes + 36, n_bytes)
    if riff_size > _LARGEST:
        sizes = struct.pack(
            "<4sIQQQI", b"ds64", 28, riff_size + 36, data_size, wave.n_frames, 0
        )
        magic, riff_size, data_size = b"RF64", _LARGEST, _LARGEST
    return (
        struct.pack("<4sI4s", magic, riff_size, b"WAVE")
        + sizes
        + struct.pack("<4sI", b"fmt ", len(layout))
        + layout
        + struct.pack("<4sI", b"data", data_size)
    )
