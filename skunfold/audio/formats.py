"""Formats of sound files: their suffixes, and the encodings of their samples.

Formats and subtypes (the encodings of samples) are named as libsndfile names them.
"""

import io
import os
from functools import cache
from pathlib import PurePath

import numpy as np
import soundfile

from skunfold._text import printable

_FORMATS = {  # of suffixes that are not libsndfile's name of the format
    "aif": "AIFF", "aifc": "AIFF", "afc": "AIFF", "snd": "AU", "wave": "WAV", "bwf": "WAV",
    "oga": "OGG", "opus": "OGG", "sph": "NIST", "sf": "IRCAM", "8svx": "SVX", "16svx": "SVX",
    "iff": "SVX", "fap": "PAF", "mpga": "MP3",
}  # fmt: skip
_ONLY_READ = {"gsm", "vox", "mp1", "mp2", "sd2"}  # suffixes
_NEAREST = {  # subtypes to write where the source has another, the best one first
    "PCM_S8": ("PCM_S8", "PCM_U8"),
    "PCM_U8": ("PCM_U8", "PCM_S8"),
    "PCM_16": ("PCM_16",),
    "PCM_24": ("PCM_24", "PCM_32"),
    "PCM_32": ("PCM_32", "PCM_24"),
    "FLOAT": ("FLOAT", "PCM_32", "PCM_24"),
    "DOUBLE": ("DOUBLE", "FLOAT", "PCM_32", "PCM_24"),
    "ALAC_16": ("ALAC_16", "PCM_16"),
    "ALAC_20": ("ALAC_20", "PCM_24", "PCM_32"),
    "ALAC_24": ("ALAC_24", "PCM_24", "PCM_32"),
    "ALAC_32": ("ALAC_32", "PCM_32", "PCM_24"),
    "DWVW_24": ("PCM_24", "PCM_32"),
    "VORBIS": ("VORBIS",),
    "OPUS": ("OPUS",),
}
_N_BYTES = {"PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}  # others: 1 at most
_LONG = {"CAF", "FLAC", "MP3", "OGG", "RF64", "W64"}  # formats for more than 4 GiB
_LONGEST_SDS = (1 << 21) - 1  # samples
_LONGEST = (1 << 32) - 1 - 4096  # bytes of sound in other formats, which count with 32 bits

UNBOUNDED = ("FLOAT", "DOUBLE")  # subtypes that hold samples beyond full scale


def can_be_read(file: str | os.PathLike[str]) -> bool:
    """Return whether the suffix of a name is that of a format that can be read."""
    return _suffix(file) in _ONLY_READ or can_be_written(file)


def can_be_written(file: str | os.PathLike[str]) -> bool:
    """Return whether the suffix of a name is that of a format that can be read and written."""
    return _format(file) is not None


def format_of(file: object) -> str:
    """Return the format that the suffix of a path names, WAV for a file-like object.

    Raises
    ------
    ValueError
        If it names none that can be written.
    """
    if not isinstance(file, str | os.PathLike):
        return "WAV"
    format_ = _format(file)
    if format_ is None:
        raise ValueError(
            f"{printable(file)} has no suffix that names an audio format; use .wav, .flac or "
            ".ogg"
        )
    return format_


def choose_subtype(file: object, subtype: str | None, source: str | None = None) -> str:
    """Return how the samples of a file are to be written.

    Parameters
    ----------
    file : path or file-like object
        What is to be written.
    subtype : str or None
        What was asked for. None: as the source has it, or as nearly as the format can.
    source : str or None, default=None
        The subtype of the recording that the samples are from. None, or a lossy codec (ADPCM,
        GSM, MP3, ...): the default of the format.

    Raises
    ------
    ValueError
        If the format does not know the subtype that was asked for, or there is no format.
    """
    format_ = format_of(file)
    known = soundfile.available_subtypes(format_)
    if subtype is not None:
        if str(subtype).upper() not in known:
            where = _suffix(file) if isinstance(file, str | os.PathLike) else "wav"
            raise ValueError(
                f"subtype must be one of {', '.join(known)} for .{where}, got {subtype!r}"
            )
        return str(subtype).upper()
    if isinstance(file, str | os.PathLike) and _suffix(file) == "opus":
        return "OPUS"
    near = [name for name in _NEAREST.get(source or "", ()) if name in known]
    return near[0] if near else soundfile.default_subtype(format_)


def format_for_length(format_: str, subtype: str, n_numbers: int) -> str:
    """Return the format that holds so many samples (of all channels): of WAV perhaps RF64.

    Raises
    ------
    ValueError
        If the format cannot, because it counts bytes with 32 bits, or fewer.
    """
    if format_ == "SDS" and n_numbers > _LONGEST_SDS:
        raise ValueError(
            f"{n_numbers} samples cannot be written as SDS, which holds {_LONGEST_SDS}; use "
            ".wav or .flac"
        )
    n_bytes = n_numbers * _N_BYTES.get(subtype, 1)
    if format_ in _LONG or n_bytes <= _LONGEST:
        return format_
    if format_ in ("WAV", "WAVEX") and subtype in soundfile.available_subtypes("RF64"):
        return "RF64"
    raise ValueError(
        f"{n_bytes / 2**30:.1f} GiB of sound cannot be written as {format_} {subtype}, which "
        "ends at 4 GiB; use .wav (which becomes RF64), .w64, .caf or .flac"
    )


@cache
def check_sample_rate(format_: str, subtype: str, n_channels: int, sample_rate: int) -> None:
    """Check that a format stores the rate exactly: some store it as a period, or in 16 bits.

    Raises
    ------
    ValueError
        If a recording of that rate would be read with another one.
    """
    file = io.BytesIO()
    layout = {"format": format_, "subtype": subtype}
    try:
        with soundfile.SoundFile(file, "w", sample_rate, n_channels, **layout) as target:
            target.write(np.zeros((16, n_channels), np.float32))
        file.seek(0)
        with soundfile.SoundFile(file) as source:
            written = source.samplerate
    except (soundfile.LibsndfileError, TypeError):  # told by who opens the file itself
        return
    if written != sample_rate:
        raise ValueError(
            f"{format_} cannot hold a sample rate of {sample_rate} Hz (it would become "
            f"{written}); use .wav or .flac"
        )


def _suffix(file: str | os.PathLike[str]) -> str:
    return PurePath(file).suffix[1:].lower()


def _format(file: str | os.PathLike[str]) -> str | None:
    """Return the format that can be written under a name."""
    suffix = _suffix(file)
    format_ = _FORMATS.get(suffix, suffix.upper())
    known = format_ in soundfile.available_formats() and format_ != "RAW"
    return format_ if known and suffix not in _ONLY_READ else None
