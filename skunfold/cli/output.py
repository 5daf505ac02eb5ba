"""Writing to stdout and stderr: stdout gets everything, or an error names it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from skunfold._text import one_line, printable


class StdoutError(OSError):
    """Stdout is closed, or takes no more."""


class Stdout:
    """Stdout as a binary file that takes all it is given, or says why not.

    An unbuffered stream (PYTHONUNBUFFERED) may take a part, and tells so only by the number
    that it returns; a buffered one notices a full disk when it is flushed.

    Raises
    ------
    BrokenPipeError
        From both methods, if the program that read stdout has ended.
    StdoutError
        From both methods, if stdout is closed or takes no more.
    """

    def write(self, data: bytes) -> int:
        """Write all of the data."""
        rest = memoryview(data)
        with _naming_stdout():
            while len(rest):
                n_written = sys.stdout.buffer.write(rest)
                if not n_written:  # None: the descriptor is non-blocking
                    raise BlockingIOError(0, "it takes no data at the moment")
                rest = rest[n_written:]
        return len(data)

    def flush(self) -> None:
        """Pass on what was written."""
        with _naming_stdout():
            sys.stdout.flush()


def print_text(text: str) -> None:
    """Print text and a line break on stdout, whole or with an error as of `Stdout`.

    What the encoding of stdout lacks is escaped.
    """
    stdout = Stdout()
    stdout.flush()  # what was printed before
    if hasattr(sys.stdout, "buffer"):
        line = f"{text}\n".replace("\n", os.linesep)
        stdout.write(line.encode(sys.stdout.encoding, "backslashreplace"))
    else:  # a notebook's
        print(text)
    stdout.flush()


def sentence_of(error: Exception) -> str:
    """Return what to say about an error, in one line."""
    if isinstance(error, OSError) and error.strerror is not None:
        name = "" if error.filename is None else f"{printable(str(error.filename))}: "
        return name + one_line(error.strerror)
    return one_line(str(error)) or type(error).__name__


def tell(sentence: str) -> None:
    """Print a line on stderr; do nothing if that is closed or full."""
    try:
        if sys.stderr is not None:  # print would take None for stdout
            print(sentence, file=sys.stderr, flush=True)
    except OSError:
        discard(sys.stderr)


def discard(stream: IO[Any]) -> None:
    """Send to nowhere what a stream that failed still holds: Python writes it at exit."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):  # not a file
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


@contextmanager
def _naming_stdout() -> Iterator[None]:
    """Turn an error of stdout into one that names it; a broken pipe stays as it is."""
    if sys.stdout is None:  # as Python has it where the descriptor is closed
        raise StdoutError("stdout is closed; send it to a file or a program.")
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        discard(sys.stdout)
        reason = error.strerror or error
        raise StdoutError(f"stdout cannot be written to: {reason}.") from error
