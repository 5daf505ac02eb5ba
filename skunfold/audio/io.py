"""Reading, writing and resampling recordings."""

import math
import os
import warnings
from functools import lru_cache
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import ArrayLike

from skunfold.audio._sink import gain_without_clipping, open_sink, staged
from skunfold.audio.waveforms import FloatArray, check_axes, check_rate, check_waveform

__all__ = ["read_audio", "resample", "write_audio"]

_MAX_FACTOR = 100_000  # of a resampling's two; its filter has twenty times as many taps
_MAX_RATIO = 1000  # of the target rate to the source rate
_MAX_UPSAMPLING = 16  # the same, from a rate below those of speech
_LOW_RATE = 8000  # Hz


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
        WAV, FLAC, OGG, MP3, AIFF, ...: whatever libsndfile reads, with at most 64 channels. A
        file-like object is binary, can seek, and is left open. Where the header gives a length
        of 0 bytes or an unknown one, as in streams and interrupted recordings, everything up
        to the end of the file is read.
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
        If the file is cut off (WAV, RF64, W64, AIFF, AU, CAF, FLAC, OGG, MP3): the samples that
        it holds are returned.

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
    from skunfold.audio._recording import Recording

    if dtype not in ("float32", "float64"):
        raise ValueError(f'dtype must be "float32" or "float64", got {dtype!r}')
    if sample_rate is not None:
        check_rate("sample_rate", sample_rate)
    with Recording(file) as recording:
        waveform = recording.read(dtype)
        cut_off = recording.cut_off()
    if cut_off is not None:
        warnings.warn(cut_off, stacklevel=2)
    name, source_rate = recording.name, recording.sample_rate
    waveform = check_waveform(name, waveform, n_dims=(2,))
    if waveform.shape[1] == 1:
        waveform = waveform[:, 0]
    elif mono:
        waveform = waveform.mean(axis=1)
    if sample_rate is None or sample_rate == source_rate:
        return waveform, source_rate
    try:
        waveform = polyphase(waveform, source_rate, sample_rate)
    except ValueError as error:
        raise ValueError(f"{name} has an unusual sample rate: {error}") from None
    return waveform, int(sample_rate)


def write_audio(
    file: str | os.PathLike[str] | BinaryIO,
    waveform: ArrayLike,
    sample_rate: int,
    *,
    subtype: str | None = None,
) -> None:
    """Write a recording; an existing file is replaced completely or not at all.

    Parameters
    ----------
    file : path or file-like object
        The suffix of a path names the format: ``.wav``, ``.flac``, ``.ogg``, ``.opus``,
        ``.mp3``, ``.aif``, ... A file-like object is binary, can seek, gets WAV, and is left
        open. WAV that would be larger than 4 GiB is written as RF64.
    waveform : array-like of shape (n_samples,) or (n_samples, n_channels)
        Floating-point samples, full scale at +-1, of at most 64 channels and not more channels
        than samples. If a sample is beyond full scale and `subtype` would clip it, the whole
        recording is scaled down to a peak of 0.99, with a warning.
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
        If the waveform is empty, not floating point or not finite, or has its axes swapped;
        if format, subtype, rate and number of channels do not go together; or if the format
        holds no more than 4 GiB, and is not WAV, and the recording is longer.
    OSError
        If the file cannot be written, for example on a full disk.

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
    from skunfold.audio.formats import UNBOUNDED, choose_subtype, format_of

    samples = check_waveform("waveform", waveform, n_dims=(1, 2))
    check_axes("waveform", samples)
    check_rate("sample_rate", sample_rate)
    subtype = choose_subtype(file, subtype)
    format_ = format_of(file)
    if subtype not in UNBOUNDED:
        gain = gain_without_clipping(float(np.abs(samples).max()))
        samples = samples if gain == 1.0 else samples * samples.dtype.type(gain)
    if isinstance(file, str | os.PathLike):
        with staged(file) as stream:
            _write(stream, samples, int(sample_rate), format_, subtype)
    else:
        _write(file, samples, int(sample_rate), format_, subtype)


def _write(
    file: BinaryIO, samples: FloatArray, sample_rate: int, format_: str, subtype: str
) -> None:
    """Write samples to a binary file that can seek, in a format that holds so many."""
    from skunfold.audio.formats import format_for_length

    format_ = format_for_length(format_, subtype, samples.size)
    n_channels = 1 if samples.ndim == 1 else samples.shape[1]
    with open_sink(file, sample_rate, n_channels, format_, subtype) as write:
        write(samples)


def resample(waveform: ArrayLike, source_rate: int, target_rate: int) -> FloatArray:
    """Change the sampling rate by polyphase filtering (`scipy.signal.resample_poly`).

    Parameters
    ----------
    waveform : array-like of shape (n_samples,) or (n_samples, n_channels)
        Floating-point samples, of at most 64 channels and not more channels than samples.
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
        If the waveform is empty, not floating point or not finite, or has its axes swapped, or
        a rate is no positive integer; if the rates are so odd that it would take gigabytes:
        where their ratio in lowest terms has a number above 100000, or is above 1000, or above
        16 from a rate below 8000 Hz.

    Examples
    --------
    >>> import numpy as np
    >>> from skunfold.audio.io import resample
    >>> resample(np.ones(441, dtype="float32"), 44100, 16000).shape
    (160,)
    """
    samples = check_waveform("waveform", waveform, n_dims=(1, 2))
    check_axes("waveform", samples)
    return polyphase(samples, source_rate, target_rate)


def polyphase(samples: FloatArray, source_rate: int, target_rate: int) -> FloatArray:
    """Resample without a look at the axes: a stream's block may be shorter than it is wide."""
    from scipy.signal import resample_poly

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
