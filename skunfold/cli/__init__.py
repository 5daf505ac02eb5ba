"""The command line: ``skunfold demo | train | enhance | evaluate | info | app``."""

import sys
import warnings
from collections.abc import Sequence
from typing import TextIO

from skunfold._text import one_line
from skunfold.cli.output import discard, sentence_of, tell
from skunfold.cli.parser import parse
from skunfold.cli.signals import raised_by

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

            if options.command == "app":  # which ends well by signals
                return commands.run(options)
            with raised_by("SIGTERM", "SIGHUP", error=lambda number: SystemExit(128 + number)):
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
