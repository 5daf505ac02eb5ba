"""Recordings that are read from start to end, whatever their header says of their length."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, BinaryIO, Literal, Self

import numpy as np
import soundfile

from skunfold._text import printable
from skunfold.audio._headers import Sound, find_sound, lacks_end
from skunfold.audio.waveforms import FloatArray, check_channels

_MAX_AT_ONCE = 1 << 26  # numbers that a file's header is trusted to hold
_UNKNOWN = (1 << 63) - 1  # libsndfile's number of samples where a FLAC file does not say it
_MP3_SLACK = 2 * 1152  # samples that an MP3 file may announce too many, without being cut off
_MP3_TAGS = 0.1  # of an MP3 file, at most, is no sound, but pictures and other notes at its end


class Recording:
    """An open recording.

    It is read once, from its start to its end. A context manager; closing it leaves a
    file-like object open.

    Parameters
    ----------
    file : path or file-like object
        As in `skunfold.audio.read_audio`, which documents the errors.
    """

    def __init__(self, file: str | os.PathLike[str] | BinaryIO) -> None:
        self.name = name_of(file)
        self.n_read = 0  # samples of each channel
        self._sound: Sound | None = None
        self._lacks_end = False
        self._stream: BinaryIO | None = None
        self._damaged = False
        with ExitStack() as stack:
            try:
                self._source = stack.enter_context(self._open(file, stack))
            except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: .raw
                raise self._unreadable(error) from error
            check_channels(self.name, self._source.channels)
            self._stack = stack.pop_all()
        self.sample_rate: int = self._source.samplerate
        self.n_channels: int = self._source.channels
        self.subtype: str = self._source.subtype
        n_announced = self._source.frames
        self.n_announced = n_announced if n_announced < _UNKNOWN else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def read(self, dtype: Literal["float32", "float64"]) -> FloatArray:
        """Return all samples, of shape (n_samples, n_channels)."""
        at_once = max(1, min(self._source.frames, _MAX_AT_ONCE // self.n_channels))
        blocks = list(self.blocks(at_once, dtype))
        if len(blocks) == 1:
            return blocks[0]
        return np.concatenate([np.zeros((0, self.n_channels), dtype), *blocks])

    def blocks(
        self, n_samples: int, dtype: Literal["float32", "float64"] = "float32"
    ) -> Iterator[FloatArray]:
        """Yield arrays of shape (n_samples or fewer, n_channels) up to the end."""
        while not self._damaged:
            block = np.empty((n_samples, self.n_channels), dtype)
            try:
                block = self._source.read(out=block)
            except soundfile.LibsndfileError as error:
                self._damaged = True
                block = block[: self._source.tell() - self.n_read]
                if not self.n_read + len(block):
                    raise self._unreadable(error) from error
            self.n_read += len(block)
            if not len(block):
                return
            # A copy of a short one, not a view of the array that it was read into
            yield block if len(block) == n_samples else block.copy()

    def cut_off(self) -> str | None:
        """Say, once all was read, if sound is missing at the end."""
        sound, announced = self._sound, self._source.frames
        slack = _MP3_SLACK if self._source.format == "MP3" else 0
        if sound is not None and (sound.announced or 0) > sound.there:
            reason = (
                f"its header announces {sound.announced} bytes of sound, of which there are "
                f"{sound.there}"
            )
        elif self._damaged or self.n_read + slack < announced < _UNKNOWN:
            reason = (
                f"its header announces {announced} samples, of which {self.n_read} could be "
                "read"
            )
        elif self._lacks_end:
            reason = f"its end is missing after {self.n_read} samples"
        elif self._source.format == "MP3" and self._share_left() > _MP3_TAGS:
            return (
                f"{self.name} does not say how long it is, and only its first {self.n_read} "
                "samples could be read; convert it to WAV with another program"
            )
        else:
            return None
        return f"{self.name} is cut off: {reason}; what there is was read"

    def _open(self, file: Any, stack: ExitStack) -> soundfile.SoundFile:
        if not isinstance(file, str | os.PathLike):
            self._stream = file
            return (hasattr(file, "seek") and self._open_stream(file)) or _Forward(file)
        check_readable(file)
        # Bytes, because soundfile encodes names strictly, and some are not UTF-8.
        path = os.fspath(file) if os.name == "nt" else os.fsencode(file)
        if not os.path.isfile(file):
            return _Forward(path)
        with ExitStack() as kept:
            self._stream = kept.enter_context(open(file, "rb"))
            source = self._open_stream(self._stream) or _Forward(path)
            if source.format == "MP3":  # a stream's place can be told
                source.close()
                source = _Forward(self._stream)
            stack.push(kept.pop_all())
            return source

    def _share_left(self) -> float:
        """Return which part of the file libsndfile has not looked at."""
        if self._stream is None:
            return 0.0
        place = self._stream.tell()
        self._stream.seek(0, os.SEEK_END)
        size = self._stream.tell()
        self._stream.seek(place)
        return (size - place) / size

    def _open_stream(self, stream: BinaryIO) -> soundfile.SoundFile | None:
        """Open a stream with its header repaired, if that is wrong."""
        self._sound, self._lacks_end = find_sound(stream), lacks_end(stream)
        if self._sound is None or self._sound.header is None:
            return None
        return _Forward(_Repaired(stream, self._sound))

    def _unreadable(self, error: Exception) -> ValueError:
        reason = getattr(error, "error_string", str(error)).rstrip(".")
        return ValueError(
            f"{self.name} cannot be read as audio ({reason}); convert it to WAV, FLAC or OGG"
        )


def name_of(file: object) -> str:
    """Name a file in a message."""
    return printable(file) if isinstance(file, str | os.PathLike) else f"the stream {file!r}"


def check_readable(file: str | os.PathLike[str]) -> None:
    """Raise the clearest error for a path that cannot be read."""
    name = name_of(file)
    if not os.path.exists(file):
        raise FileNotFoundError(f"there is no audio file {name}; check the path")
    if os.path.isdir(file):
        raise IsADirectoryError(f"{name} is a folder; name an audio file")
    with open(file, "rb"):  # a lack of permission is the system's error
        pass
    if os.path.getsize(file) == 0 and os.path.isfile(file):
        raise ValueError(f"{name} is empty: it holds no bytes")


class _Forward(soundfile.SoundFile):
    """A sound file that is read without seeking.

    soundfile seeks after each block that it reads. Some codecs cannot seek, and MP3 and damaged
    FLAC decode differently after it.
    """

    def seekable(self) -> bool:
        return False


class _Repaired:
    """A binary file with another header in front of its samples."""

    def __init__(self, stream: BinaryIO, sound: Sound) -> None:
        assert sound.header is not None
        self._stream, self._header = stream, sound.header
        self._shift = sound.first - len(sound.header)
        self._size = len(sound.header) + sound.there
        self._place = 0

    def read(self, n_bytes: int) -> bytes:
        data = self._header[self._place : self._place + n_bytes]
        if len(data) < n_bytes:
            self._stream.seek(self._place + len(data) + self._shift)
            data += self._stream.read(n_bytes - len(data))
        self._place += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._place = (0, self._place, self._size)[whence] + offset
        return self._place

    def tell(self) -> int:
        return self._place
