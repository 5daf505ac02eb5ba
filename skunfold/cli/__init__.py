"""The command line: ``skunfold demo | train | enhance | evaluate | app``."""

import io
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from skunfold._text import one_line
from skunfold.cli.parser import parse

FAILED = 1
INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, default=None
        The arguments.  None takes those of the process.

    Returns
    -------
    int
        0 if all went well; 1 after a failure, which one sentence on stderr explains, also if
        only some of several recordings failed; 130 after Ctrl-C.

    Raises
    ------
    SystemExit
        With code 2 if the arguments make no sense, with code 0 after --help and --version.
    """
    options = parse(argv)
    with warnings.catch_warnings(), _any_name_printed():
        warnings.showwarning = _show_warning
        try:
            from skunfold.cli import commands

            code = commands.run(options)
            sys.stdout.flush()
            return code
        except KeyboardInterrupt:
            print("skunfold: interrupted", file=sys.stderr)
            return INTERRUPTED
        except BrokenPipeError:  # who read stdout has left, as `head` does: no more to say
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except Exception as error:
            if options.traceback:
                raise
            sentence = one_line(str(error)) or type(error).__name__
            print(f"skunfold: error: {sentence}", file=sys.stderr)
    return FAILED


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning as one line on stderr."""
    if category.__name__ != "ConvergenceWarning":
        print(f"skunfold: warning: {one_line(str(message))}", file=sys.stderr)


@contextmanager
def _any_name_printed() -> Iterator[None]:
    """Let stdout and stderr escape what their encoding lacks, instead of failing."""
    streams = [s for s in (sys.stdout, sys.stderr) if isinstance(s, io.TextIOWrapper)]
    before = [stream.errors for stream in streams]
    for stream in streams:
        stream.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        for stream, errors in zip(streams, before):
            if not stream.closed:
                stream.reconfigure(errors=errors)
