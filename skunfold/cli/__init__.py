"""The command line: ``skunfold demo | train | enhance | evaluate | info | app``."""

import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, TextIO

from skunfold._text import one_line
from skunfold.cli.output import discard, sentence_of, tell
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
        With code 2 if the arguments are invalid, with code 0 after --help and --version,
        and without a command.
    """
    traceback = False
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            options = parse(argv)
            traceback = options.traceback
            from skunfold.cli import commands

            with _ending_cleanly() if options.command != "app" else nullcontext():
                return commands.run(options)
        except KeyboardInterrupt:
            tell("skunfold: interrupted")
            return INTERRUPTED
        except BrokenPipeError:  # the reader of stdout has ended, as `head` does
            discard(sys.stdout)
        except Exception as error:
            if traceback:
                raise
            tell(f"skunfold: error: {sentence_of(error)}")
    return FAILED


@contextmanager
def _ending_cleanly() -> Iterator[None]:
    """Let the signals that ask a process to end unwind it, so that temporary files go."""
    signals = [getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP")]

    def end(number: int, frame: Any) -> None:
        raise SystemExit(128 + number)

    former = {}
    if threading.current_thread() is threading.main_thread():  # others may set no handler
        for one in signals:
            if one is not None and signal.getsignal(one) == signal.SIG_DFL:
                former[one] = signal.signal(one, end)
    try:
        yield
    finally:
        for one, handler in former.items():
            signal.signal(one, handler)


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
        tell(f"skunfold: warning: {one_line(str(message))}")
