"""Writing sound: block by block, and a complete recording or nothing."""

import math
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from numpy.typing import NDArray

from skunfold._storage import Spool, replacing
from skunfold._text import printable

_PEAK = 0.99  # what a recording that would clip is scaled to
# Samples written at once: libsndfile's Vorbis encoder keeps a block on the stack.
_BLOCK = 65536


@contextmanager
def open_sink(
    file: BinaryIO, sample_rate: int, n_channels: int, format_: str, subtype: str
) -> Iterator[Callable[[NDArray], None]]:
    """Yield a function that writes the next samples.

    Parameters
    ----------
    file : binary file
        Can seek.
    sample_rate, n_channels : int
        Of the recording.
    format_, subtype : str
        libsndfile's names of the format and of the encoding of the samples.

    Raises
    ------
    ValueError
        If they do not go together.
    Exception
        Whatever the file raises.
    """
    import soundfile

    from skunfold.audio.formats import check_sample_rate

    check_sample_rate(format_, subtype, n_channels, sample_rate)
    sink = _Sink(file)

    def write(samples: NDArray) -> None:
        for start in range(0, len(samples), _BLOCK):
            target.write(samples[start : start + _BLOCK])
            if sink.error is not None:
                raise sink.error

    try:
        with soundfile.SoundFile(
            sink, "w", sample_rate, n_channels, format=format_, subtype=subtype
        ) as target:
            yield write
    except soundfile.LibsndfileError as error:
        if sink.error is None:
            raise ValueError(
                f"{n_channels} channels at {sample_rate} Hz cannot be written as {format_} "
                f"{subtype} ({error.error_string.rstrip('.')}); use .wav, or another rate or "
                "number of channels"
            ) from error
    if sink.error is not None:
        raise sink.error


@contextmanager
def staged(file: str | os.PathLike[str] | BinaryIO) -> Iterator[BinaryIO]:
    """Yield a binary file that can seek, whose content goes to a file once the block ends.

    If the block fails, an existing file is left unchanged.
    """
    if isinstance(file, str | os.PathLike):
        path = Path(file)
        if not path.parent.is_dir():
            raise FileNotFoundError(
                f"there is no folder {printable(path.parent)}; make it first"
            )
        with replacing(path) as temporary, open(temporary, "xb") as stream:
            yield stream
        return
    with Spool("the temporary file") as spool:
        with spool.filling():
            yield cast(BinaryIO, spool)
        sink = _Sink(file)
        shutil.copyfileobj(spool, sink)
        if sink.error is not None:
            raise sink.error


def gain_without_clipping(peak: float) -> float:
    """Return what scales a recording to a peak of 0.99 if it is beyond full scale; else 1."""
    if peak <= 1.0:
        return 1.0
    gain = _PEAK / peak
    warnings.warn(
        f"the recording peaks at {peak:.3g}, beyond full scale: written "
        f"{-20.0 * math.log10(gain):.1f} dB lower so that it does not clip; "
        'subtype="FLOAT" in a .wav file keeps the level',
        UserWarning,
        stacklevel=3,
    )
    return gain


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
