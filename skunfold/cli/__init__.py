"""The command line: ``skunfold demo | train | enhance | evaluate``."""

import argparse
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

from skunfold._version import __version__

_DESCRIPTION = """\
Take noise out of recordings of speech with deep NMF: a network whose layers are the iterations
of a non-negative matrix factorization.

  skunfold demo                                            see it work, in about a minute
  skunfold train --speech DIR --noise DIR -o MODEL         learn from your own recordings
  skunfold enhance MODEL noisy.wav -o clean.wav            denoise a recording
  skunfold evaluate MODEL --speech DIR --noise DIR         measure how well it does
"""

_TRAIN = """\
Train a model on a folder of clean speech and a folder of noise.  Utterances and noise are mixed
at -6 to 9 dB.  A few minutes of each will do for a start; the closer they are to what you want
to denoise, the better.  Training ends early when held-out utterances gain no more.

  skunfold train --speech voices --noise street -o street.model
  skunfold train --speech voices --noise street -o small.model --components 25 --tied
"""

_ENHANCE = """\
Denoise recordings (WAV, FLAC, OGG, MP3, ...; any rate and number of channels) with a model
that `skunfold train` or `skunfold demo` wrote.  A model file is only data: one from a stranger
cannot run code.

  skunfold enhance street.model call.wav -o call-clean.wav
  skunfold enhance street.model monday/*.flac -o denoised/
"""

_EVALUATE = """\
Mix every utterance of a folder with noise of another at -6, -3, 0, 3, 6 and 9 dB, denoise the
mixtures, and print the mean SI-SDR (scale-invariant signal-to-distortion ratio, in dB; higher
is better) before and after.  Use recordings that the model was not trained on.

  skunfold evaluate street.model --speech other-voices --noise other-street
"""

_DEMO = """\
Train on the recordings that come with the package (two voices, three kinds of noise), denoise
others of the same kind, and compare deep NMF with plain sparse NMF and with no processing.
Writes a table (results.json), recordings to listen to (wav/), a picture (spectrograms.png) and
the trained model (model).
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, default=None
        The arguments.  None takes those of the process.

    Returns
    -------
    int
        0 if all went well, 1 after a failure, which one sentence on stderr explains.

    Raises
    ------
    SystemExit
        With code 2 if the arguments make no sense, with code 0 after --help and --version.
    """
    parser = _build_parser()
    options = parser.parse_args(argv)
    if options.command == "train":
        _check_trained_layers(parser, options)
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            from skunfold.cli import commands

            getattr(commands, options.command)(options)
            return 0
        except KeyboardInterrupt:
            print("skunfold: interrupted", file=sys.stderr)
        except Exception as error:
            if options.traceback:
                raise
            sentence = " ".join(str(error).split()) or type(error).__name__
            print(f"skunfold: error: {sentence}", file=sys.stderr)
    return 1


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="skunfold",
        description=_DESCRIPTION,
        epilog="`skunfold COMMAND --help` explains a command.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"skunfold {__version__}")
    parser.add_argument(
        "--traceback", action="store_true", help="after a failure, show where it happened"
    )
    commands = parser.add_subparsers(
        title="commands", dest="command", metavar="COMMAND", required=True
    )

    demo = _add_command(commands, "demo", "train and denoise bundled recordings", _DEMO)
    demo.add_argument(
        "--out", type=Path, default=Path("skunfold-demo"), metavar="DIR",
        help="folder for the results, made if missing (default: %(default)s)",
    )  # fmt: skip
    _add_seed(demo)

    train = _add_command(commands, "train", "train on your own recordings", _TRAIN)
    _add_recordings(train)
    train.add_argument(
        "-o", "--output", type=Path, required=True, metavar="MODEL", help="model file to write"
    )
    _add_model_options(train)
    _add_seed(train)

    enhance = _add_command(commands, "enhance", "denoise recordings", _ENHANCE)
    enhance.add_argument("model", type=Path, metavar="MODEL", help="model file")
    enhance.add_argument("inputs", type=Path, nargs="+", metavar="IN", help="recordings")
    enhance.add_argument(
        "-o", "--output", required=True, metavar="OUT",
        help="for one recording a file, or a folder; for several a folder, made if missing",
    )  # fmt: skip

    evaluate = _add_command(commands, "evaluate", "measure a model", _EVALUATE)
    evaluate.add_argument("model", type=Path, metavar="MODEL", help="model file")
    _add_recordings(evaluate)
    evaluate.add_argument("--json", action="store_true", help="print the table as JSON")
    _add_seed(evaluate)
    return parser


def _add_command(commands: Any, name: str, summary: str, text: str) -> Any:
    return commands.add_parser(
        name,
        help=summary,
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_recordings(command: argparse.ArgumentParser) -> None:
    for what in ("speech", "noise"):
        command.add_argument(
            f"--{what}", type=Path, required=True, metavar="DIR",
            help=f"folder with recordings of {what} (.wav, .flac, .ogg; subfolders too)",
        )  # fmt: skip


def _add_seed(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--seed", type=_integer_from(0), default=0, metavar="N",
        help="the same seed gives the same result (default: %(default)s)",
    )  # fmt: skip


def _add_model_options(command: argparse.ArgumentParser) -> None:
    positive = _integer_from(1)
    for flag, kind, default, metavar, text in (
        ("--layers", positive, 8, "K", "layers: iterations of the factorization"),
        ("--components", positive, 50, "R", "bases for speech, and as many for noise"),
        ("--trained-layers", _layers, "all", "C",
         "layers trained, counted from the output: 0 (sparse NMF) to K + 1, or all"),
        ("--context", positive, 9, "T", "frames the model looks at, the current one last"),
        ("--mixtures", positive, None, "N",
         "mixtures to train on (default: every utterance at every level)"),
        ("--epochs", positive, 30, "N", "passes over the training data, at most"),
    ):  # fmt: skip
        shown = "" if default is None else " (default: %(default)s)"
        command.add_argument(
            flag, type=kind, default=default, metavar=metavar, help=text + shown
        )
    command.add_argument(
        "--tied", action="store_true", help="one set of bases for all layers: a smaller model"
    )


def _check_trained_layers(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Exit with code 2 if more layers are to be trained than there are."""
    largest = options.layers + 1
    if options.trained_layers != "all" and options.trained_layers > largest:
        parser.error(
            f"argument --trained-layers: must be at most {largest}, one more than --layers, or "
            f"all; got {options.trained_layers}"
        )


def _integer_from(minimum: int) -> Callable[[str], int]:
    """Return an argument type: integers not below a minimum."""

    def convert(text: str) -> int:
        if not text.isdecimal() or int(text) < minimum:
            raise argparse.ArgumentTypeError(
                f"must be an integer, at least {minimum}; got {text!r}"
            )
        return int(text)

    return convert


def _layers(text: str) -> int | str:
    """Return a number of layers, or "all"."""
    return text if text == "all" else _integer_from(0)(text)


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
        print(f"skunfold: warning: {' '.join(str(message).split())}", file=sys.stderr)
