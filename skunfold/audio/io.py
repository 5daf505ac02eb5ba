"""Reading, writing and resampling recordings.

A waveform is a floating-point array of shape (n_samples,) for one channel or
(n_samples, n_channels), with full scale at +-1.
"""

import math
import os
import re
import warnings
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skunfold._storage import replacing

__all__ = ["read_audio", "resample", "write_audio"]

FloatArray = NDArray[np.floating]

_PEAK = 0.99  # what a recording that would clip is scaled to
# Samples written at once: libsndfile's Vorbis encoder keeps a block on the stack.
_BLOCK = 65536
_CUT_OFF = re.compile(r"^data *: (\d+) \(should be (\d+)\)", re.MULTILINE)  # libsndfile's log
ENDLESS = 0x7FFFF000  # what sox, arecord and ffmpeg write where they know no size, or more
_MAX_AT_ONCE = 1 << 26  # numbers that a file's head is trusted to hold
_MAX_FACTOR = 100_000  # of a resampling's two; its filter has twenty times as many taps
_MAX_RATIO = 1000  # of the target rate to the source rate
_MAX_UPSAMPLING = 16  # the same, from a rate below those of speech
_LOW_RATE = 8000  # Hz
_LOUDEST = {"float32": 1e18, "float64": 1e150}  # sums of squares of such samples are finite
MAX_CHANNELS = 64  # of a recording that is read


def read_audio(
    file: str | os.PathLike[str] | BinaryIO,
    sample_rate: int | None = None,
    *,
    mono: bool = False,
    dtype: Literal["float32", "float64"] = "float32",
) -> tuple[FloatArray, int]:
    """Read a recording.

    Parameters
    ----------
    file : path or file-like object
        WAV, FLAC, OGG, MP3, AIFF, ...: whatever libsndfile reads. A file-like object is
        binary, can seek, and is left open.
    sample_rate : int or None, default=None
        Rate in Hz, above 0, that the recording is resampled to. None keeps the file's.
    mono : bool, default=False
        Whether to average the channels into one.
    dtype : {"float32", "float64"}, default="float32"
        Type of the waveform.

    Returns
    -------
    waveform : ndarray of shape (n_samples,) or (n_samples, n_channels)
        One dimension if there is one channel. Full scale of an integer format is +-1.
    sample_rate : int
        Rate of `waveform` in Hz.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is no audio, is empty, has more than 64 channels, or holds NaN, infinity
        or samples beyond 1e18 (1e150 in float64), or if a parameter is out of its range.

    Warns
    -----
    UserWarning
        If a WAV file is cut off: what there is of it is returned.

    See Also
    --------
    write_audio : Write a recording.

    Examples
    --------
    >>> import io
    >>> import numpy as np
    >>> from skunfold.audio.io import read_audio, write_audio
    >>> file = io.BytesIO()
    >>> write_audio(file, np.zeros(16000, dtype="float32"), 16000)
    >>> _ = file.seek(0)
    >>> waveform, sample_rate = read_audio(file, 8000)
    >>> waveform.shape, sample_rate
    ((8000,), 8000)
    """
    import soundfile

    if dtype not in ("float32", "float64"):
        raise ValueError(f'dtype must be "float32" or "float64", got {dtype!r}')
    if sample_rate is not None:
        check_rate("sample_rate", sample_rate)
    if isinstance(file, str | os.PathLike):
        if not os.path.exists(file):
            raise FileNotFoundError(f"there is no audio file {os.fspath(file)}; check the path")
        if os.path.isdir(file):
            raise IsADirectoryError(f"{os.fspath(file)} is a folder; name an audio file")
        with open(file, "rb"):  # a lack of permission is the system's error
            pass
        if os.path.getsize(file) == 0 and os.path.isfile(file):
            raise ValueError(f"{os.fspath(file)} is empty: it holds no bytes")
    name = _name(file)
    try:
        with soundfile.SoundFile(file) as source:
            source_rate = source.samplerate
            check_channels(name, source.channels)
            waveform = _read(source, dtype)
            _warn_if_cut_off(name, source.extra_info)
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: headerless .raw
        raise ValueError(
            f"{name} cannot be read as audio ({error}); convert it to WAV, FLAC or OGG"
        ) from error
    waveform = check_waveform(name, waveform, n_dims=(1, 2))
    if mono and waveform.ndim == 2:
        waveform = waveform.mean(axis=1)
    if sample_rate is None or sample_rate == source_rate:
        return waveform, source_rate
    try:
        return resample(waveform, source_rate, sample_rate), int(sample_rate)
    except ValueError as error:
        raise ValueError(f"{name} has an unusual sample rate: {error}") from None


def write_audio(
    file: str | os.PathLike[str] | BinaryIO,
    waveform: ArrayLike,
    sample_rate: int,
    *,
    subtype: str | None = None,
) -> None:
    """Write a recording; an existing file is replaced whole or not at all.

    Parameters
    ----------
    file : path or file-like object
        The suffix of a path names the format: ``.wav``, ``.flac``, ``.ogg``, ... A file-like
        object is binary, can seek, gets WAV, and is left open.
    waveform : array-like of shape (n_samples,) or (n_samples, n_channels)
        Floating-point samples, full scale at +-1. If a sample is beyond and `subtype` would
        clip it, the whole recording is scaled down to a peak of 0.99, with a warning.
    sample_rate : int
        Rate in Hz, above 0.
    subtype : str or None, default=None
        Encoding of the samples, such as "PCM_16", "PCM_24" or "FLOAT". None means the
        format's default, "PCM_16" for WAV and FLAC.

    Raises
    ------
    FileNotFoundError
        If the folder of `file` does not exist.
    ValueError
        If the waveform is empty, not floating point or not finite, or if format, subtype,
        rate and number of channels do not go together.
    OSError
        If the file cannot be written, for want of disk space perhaps.

    Warns
    -----
    UserWarning
        If the recording was scaled down, saying by how many dB.

    See Also
    --------
    read_audio : Read a recording.

    Notes
    -----
    A path is first written to a hidden file in the same folder, which then takes its place; a
    link is followed.

    Examples
    --------
    >>> import io
    >>> import numpy as np
    >>> from skunfold.audio.io import write_audio
    >>> file = io.BytesIO()
    >>> write_audio(file, np.zeros(16000), 16000, subtype="PCM_24")
    >>> len(file.getvalue()) > 48000
    True
    """
    samples = check_waveform("waveform", waveform, n_dims=(1, 2))
    check_rate("sample_rate", sample_rate)
    format_, subtype = _format_of(file, subtype)
    if subtype not in ("FLOAT", "DOUBLE"):
        samples = _without_clipping(samples)
    if not isinstance(file, str | os.PathLike):
        _write(file, samples, int(sample_rate), format_, subtype)
        return
    path = Path(file)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent}; make it first")
    with replacing(path) as temporary, open(temporary, "xb") as stream:
        _write(stream, samples, int(sample_rate), format_, subtype)


def resample(waveform: ArrayLike, source_rate: int, target_rate: int) -> FloatArray:
    """Change the sampling rate by polyphase filtering (`scipy.signal.resample_poly`).

    Parameters
    ----------
    waveform : array-like of shape (n_samples,) or (n_samples, n_channels)
        Floating-point samples.
    source_rate : int
        Rate of `waveform` in Hz, above 0.
    target_rate : int
        Rate wanted in Hz, above 0.

    Returns
    -------
    resampled : ndarray of shape (ceil(n_samples * target_rate / source_rate), ...)
        A new array with the channels and the dtype of `waveform`.

    Raises
    ------
    ValueError
        If the waveform is empty, not floating point or not finite, or a rate is no positive
        integer; if the rates are so odd that it would take gigabytes: where their ratio in
        lowest terms has a number above 100000, or is above 1000, or above 16 from a rate below
        8000 Hz.

    Examples
    --------
    >>> import numpy as np
    >>> from skunfold.audio.io import resample
    >>> resample(np.ones(441, dtype="float32"), 44100, 16000).shape
    (160,)
    """
    from scipy.signal import resample_poly

    samples = check_waveform("waveform", waveform, n_dims=(1, 2))
    check_rate("source_rate", source_rate)
    check_rate("target_rate", target_rate)
    if source_rate == target_rate:
        return samples.copy()
    up, down = check_resampling(source_rate, target_rate)
    window = _low_pass(max(up, down)).astype(samples.dtype)
    resampled = resample_poly(samples, up, down, axis=0, window=window)
    return resampled.astype(samples.dtype, copy=False)


@lru_cache(maxsize=2)
def _low_pass(factor: int) -> FloatArray:
    """Return the filter of `resample_poly`: that of a large factor takes long to design."""
    from scipy.signal import firwin

    return firwin(20 * factor + 1, 1.0 / factor, window=("kaiser", 5.0))


def check_resampling(source_rate: int, target_rate: int) -> tuple[int, int]:
    """Return the ratio of two rates in lowest terms, target first, if `resample` takes them."""
    divisor = math.gcd(source_rate, target_rate)
    up, down = target_rate // divisor, source_rate // divisor
    largest = _MAX_UPSAMPLING if source_rate < _LOW_RATE else _MAX_RATIO
    if max(up, down) > _MAX_FACTOR or up > largest * down:
        raise ValueError(
            f"cannot resample from {source_rate} to {target_rate} Hz, a ratio of {up}:{down}; "
            f"give rates with a ratio of numbers up to {_MAX_FACTOR}, and at most {largest} "
            f"from {source_rate} Hz"
        )
    return up, down


def check_channels(name: str, n_channels: int) -> None:
    """Raise a ValueError that names the recording if it has more channels than a recording."""
    if n_channels > MAX_CHANNELS:
        raise ValueError(
            f"{name} has {n_channels} channels, more than the {MAX_CHANNELS} that a recording "
            "may have; split it"
        )


def check_rate(name: str, rate: int) -> None:
    """Raise a ValueError that names the parameter unless the rate is a positive integer."""
    if not isinstance(rate, int | np.integer) or rate <= 0:
        raise ValueError(f"{name} must be a positive integer in Hz, got {rate!r}; try 16000")


def check_waveform(
    name: str, waveform: ArrayLike, n_dims: tuple[int, ...] = (1,)
) -> FloatArray:
    """Return the waveform as an array, or raise a ValueError that names the parameter.

    Parameters
    ----------
    name : str
        What the waveform is called in the message.
    waveform : array-like
        Finite samples, at least one: float32 up to 1e18, or float64 up to 1e150.
    n_dims : tuple of int, default=(1,)
        Allowed numbers of dimensions: 1 for (n_samples,), 2 for (n_samples, n_channels).

    Returns
    -------
    waveform : ndarray
        The same array where it was one.
    """
    array = np.asarray(waveform)
    if array.dtype.kind == "U":
        raise ValueError(
            f"{name} must hold samples, got {waveform!r}; read_audio returns those of a file"
        )
    if array.dtype not in (np.float32, np.float64):
        raise ValueError(
            f"{name} must be float32 or float64 with full scale at +-1, got dtype "
            f"{array.dtype}; divide 16-bit integers by 32768"
        )
    if array.ndim not in n_dims:
        shapes = " or ".join(["(n_samples,)", "(n_samples, n_channels)"][: max(n_dims)])
        raise ValueError(f"{name} must have shape {shapes}, got {array.shape}")
    if array.size == 0:
        raise ValueError(f"{name} holds no samples; give a recording that is not empty")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, but holds NaN or infinity; remove them")
    largest = max(float(array.max()), -float(array.min()))
    if largest > _LOUDEST[array.dtype.name]:
        raise ValueError(
            f"{name} holds a sample of size {largest:.3g}, too large to compute with; full "
            "scale is +-1, so scale it down"
        )
    return array


def _name(file: object) -> str:
    """Name a file in a message."""
    return str(file) if isinstance(file, str | os.PathLike) else f"the stream {file!r}"


def _read(source: Any, dtype: str) -> FloatArray:
    """Return all samples of an open file, however many its head says that there are."""
    if source.frames * source.channels <= _MAX_AT_ONCE:
        return source.read(dtype=dtype)
    blocks = []
    while len(block := source.read(_MAX_AT_ONCE // source.channels, dtype=dtype)):
        blocks.append(block.copy())  # of a short block, not the array it was read into
    return np.concatenate(blocks) if blocks else block


def _warn_if_cut_off(name: str, log: str) -> None:
    """Warn if the head of a WAV file announces more sound than there is."""
    found = _CUT_OFF.search(log)
    if found is None:
        return
    announced, there = map(int, found.groups())
    if there < announced < ENDLESS:
        warnings.warn(
            f"{name} is cut off: its head announces {announced} bytes of sound, of which there "
            f"are {there}; what there is was read",
            stacklevel=3,
        )


def _format_of(file: object, subtype: str | None) -> tuple[str, str]:
    """Return libsndfile's names of the format and of the encoding of the samples."""
    import soundfile

    suffix = Path(file).suffix if isinstance(file, str | os.PathLike) else ".wav"
    format_ = suffix[1:].upper()
    if format_ == "RAW" or format_ not in soundfile.available_formats():
        raise ValueError(
            f"{_name(file)} has no suffix that names an audio format; use .wav, .flac or .ogg"
        )
    subtype = soundfile.default_subtype(format_) if subtype is None else subtype
    if subtype not in soundfile.available_subtypes(format_):
        known = ", ".join(soundfile.available_subtypes(format_))
        raise ValueError(f"subtype must be one of {known} for {suffix}, got {subtype!r}")
    return format_, subtype


def _without_clipping(samples: FloatArray) -> FloatArray:
    """Scale the samples to a peak of 0.99 if one is beyond full scale."""
    peak = float(np.abs(samples).max())
    if peak <= 1.0:
        return samples
    gain = _PEAK / peak
    warnings.warn(
        f"the recording peaks at {peak:.3g}, beyond full scale: written "
        f"{-20.0 * math.log10(gain):.1f} dB lower so that it does not clip; "
        'subtype="FLOAT" in a .wav file keeps the level',
        UserWarning,
        stacklevel=3,
    )
    return samples * samples.dtype.type(gain)


def _write(
    file: BinaryIO, samples: FloatArray, sample_rate: int, format_: str, subtype: str
) -> None:
    """Write samples of shape (n_samples,) or (n_samples, n_channels) in blocks."""
    import soundfile

    n_channels = 1 if samples.ndim == 1 else samples.shape[1]
    sink = _Sink(file)
    try:
        with soundfile.SoundFile(
            sink, "w", sample_rate, n_channels, format=format_, subtype=subtype
        ) as target:
            for start in range(0, len(samples), _BLOCK):
                target.write(samples[start : start + _BLOCK])
    except soundfile.LibsndfileError as error:
        if sink.error is None:
            raise ValueError(
                f"{n_channels} channels at {sample_rate} Hz cannot be written as {format_} "
                f"{subtype} ({error}); a waveform has shape (n_samples, n_channels)"
            ) from error
    if sink.error is not None:
        raise sink.error


class _Sink:
    """A binary file for libsndfile that keeps its first error: libsndfile loses some.

    What is written after an error is dropped.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: Exception | None = None

    def write(self, data: bytes) -> int:
        rest = memoryview(data)
        while len(rest) and self.error is None:
            n_written = self._try(self._file.write, rest)
            if n_written == 0 and self.error is None:
                self.error = OSError("the file that the waveform is written to takes no data")
            # Raw files may take a part; some file-like objects do not say how much they took.
            rest = rest[len(rest) if n_written is None else n_written :]
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._try(self._file.seek, offset, whence)

    def tell(self) -> int:
        return self._try(self._file.tell)

    def _try(self, function: Callable[..., Any], *arguments: Any) -> Any:
        if self.error is None:
            try:
                return function(*arguments)
            except Exception as error:
                self.error = error
        return 0
