"""The arguments of ``skunfold``."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from skunfold._version import __version__
from skunfold.cli import help_texts
from skunfold.cli.output import print_text

_NETWORK = {  # settings of the network that `train` makes
    "layers": 8,
    "components": 50,
    "trained_layers": "all",
    "context": 9,
    "sample_rate": 16000,
    "untied": False,
    "sample_components": None,
}
_EPOCHS, _EPOCHS_ADAPTED = 30, 8


class _Parser(argparse.ArgumentParser):
    """A parser whose help is printed whole: argparse passes over errors."""

    def _print_message(self, message: str, file: Any = None) -> None:
        if message and file is sys.stdout:
            print_text(message.removesuffix("\n"))
        else:
            super()._print_message(message, file)


class _Version(argparse.Action):
    """Prints the version, and the core, which is loaded only for that."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from skunfold._kernels.fused import CORE

        print_text(f"skunfold {__version__}\ncore: {CORE}")
        parser.exit()


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = _Parser(
        prog="skunfold",
        description=help_texts.DESCRIPTION,
        epilog=help_texts.EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version", action=_Version, nargs=0, help="show the version and the core, and exit"
    )
    parser.add_argument(
        "--traceback", action="store_true", help="after a failure, show where it happened"
    )
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")
    _add_demo(commands)
    _add_train(commands)
    _add_enhance(commands)
    _add_evaluate(commands)
    _add_info(commands)
    _add_app(commands)
    return parser


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the options; exit with code 2 if they are invalid, with help if there are none."""
    whole = build_parser()
    options = whole.parse_args(argv)
    if options.command is None:
        whole.print_help()
        whole.exit()
    parser = options.parser
    if options.command == "train":
        _settle_network(options)
        largest = options.layers + 1
        if options.trained_layers != "all" and options.trained_layers > largest:
            parser.error(
                f"argument --trained-layers: must be at most {largest}, one more than "
                f"--layers, or all; got {options.trained_layers}"
            )
    if options.command == "enhance":
        several = len(options.inputs) > 1
        if "-" in options.inputs and several:
            parser.error("argument IN: - means stdin, and cannot be one of several")
        if options.output is None and several:
            parser.error("argument -o/--output: name a folder for several recordings")
        if options.output is None and options.inputs == ["-"]:
            options.output = "-"
        if options.output == "-" and len(options.inputs) > 1:
            parser.error("argument -o/--output: - means stdout, which takes one recording")
        if options.output == "-" and options.json:
            parser.error("argument --json: stdout is the recording; leave out --json or -o -")
    return options


def _add_demo(commands: Any) -> None:
    demo = _add_command(commands, "demo")
    demo.add_argument(
        "--out", type=Path, default=Path("skunfold-demo"), metavar="DIR",
        help="folder for the results, made if missing (default: %(default)s)",
    )  # fmt: skip
    demo.add_argument(
        "-f", "--overwrite", action="store_true",
        help="write into a folder that holds other things than an earlier demo",
    )  # fmt: skip
    _add_seed(demo)
    _add_json(demo, "the table")


def _add_train(commands: Any) -> None:
    train = _add_command(commands, "train")
    _add_recordings(train, default_speech="the voices that come with the package")
    start = train.add_mutually_exclusive_group()
    start.add_argument(
        "--init", type=Path, metavar="MODEL",
        help="adapt this model, written by `skunfold train` (default: without --speech, the "
        "model that comes with the package; otherwise a new one is trained)",
    )  # fmt: skip
    start.add_argument(
        "--new", action="store_true",
        help="train a new model without --speech too; the options of the network imply it",
    )  # fmt: skip
    train.add_argument(
        "-o", "--output", type=Path, required=True, metavar="MODEL", help="model file to write"
    )
    train.add_argument(
        "-f", "--overwrite", action="store_true",
        help="replace MODEL if it exists, and is a model",
    )  # fmt: skip
    _add_model_options(train)
    _add_seed(train)
    _add_json(train, "what was trained")


def _add_enhance(commands: Any) -> None:
    enhance = _add_command(commands, "enhance")
    _add_model(enhance)
    enhance.add_argument(
        "inputs", nargs="+", metavar="IN", help="recordings, folders of them, or - for stdin"
    )
    enhance.add_argument(
        "-o", "--output", metavar="OUT",
        help="for one recording a file, a folder, or - for stdout; otherwise a folder, made if "
        "missing (default: beside IN, with -enhanced in its name; stdout for stdin)",
    )  # fmt: skip
    enhance.add_argument(
        "--noise-sample", type=Path, metavar="FILE",
        help="recording of the noise alone, 0.25 s or more, better 5 s; auto: find it in IN; "
        "for the model of the package, and for models trained with --sample-components",
    )  # fmt: skip
    enhance.add_argument(
        "--strength", type=_strength, default=1.0, metavar="S",
        help="what the attenuation in dB is multiplied by, 0 to 2: 0 removes nothing, 1.5 more "
        "noise and more of the voice (default: %(default)g)",
    )  # fmt: skip
    existing = enhance.add_mutually_exclusive_group()
    existing.add_argument(
        "-f", "--overwrite", action="store_true", help="replace outputs that exist"
    )
    existing.add_argument(
        "--skip-existing", action="store_true",
        help="leave out recordings whose output exists: to continue after an interruption",
    )  # fmt: skip
    enhance.add_argument(
        "--subtype", type=str.upper, metavar="NAME",
        help="encoding of the samples, such as PCM_16, PCM_24, FLOAT (default: as in IN, or as "
        "near to it as the format of OUT can)",
    )  # fmt: skip
    _add_json(enhance, "what became of each recording")


def _add_evaluate(commands: Any) -> None:
    evaluate = _add_command(commands, "evaluate")
    _add_model(evaluate)
    _add_recordings(evaluate)
    _add_seed(evaluate)
    _add_json(evaluate, "the table")


def _add_info(commands: Any) -> None:
    info = _add_command(commands, "info")
    info.add_argument(
        "model", type=Path, nargs="?", metavar="MODEL",
        help="model file (default: the model that comes with the package)",
    )  # fmt: skip
    _add_json(info, "the same")


def _add_app(commands: Any) -> None:
    app = _add_command(commands, "app")
    app.add_argument(
        "models", type=Path, nargs="*", metavar="MODEL",
        help="model files to choose from (default: the model that comes with the package)",
    )  # fmt: skip
    app.add_argument(
        "--host", type=_host, default="127.0.0.1", metavar="NAME",
        help="address to listen on; 0.0.0.0 lets other computers in (default: %(default)s)",
    )  # fmt: skip
    app.add_argument(
        "--port", type=_integer(1, 65535), default=None, metavar="N",
        help="port to listen on, 1 to 65535 (default: the first free one from 7860 on)",
    )  # fmt: skip
    app.add_argument(
        "--allow-host", type=_host, action="append", default=[], metavar="NAME",
        help="another name, or NAME:PORT, by which browsers know the page, such as that of a "
        "proxy; can be given several times",
    )  # fmt: skip
    app.add_argument(
        "--password", action="store_true",
        help="require a password: that of $SKUNFOLD_PASSWORD, otherwise one that you type",
    )  # fmt: skip
    app.add_argument(
        "--max-upload", type=_integer(1, 100_000), default=200, metavar="MB",
        help="largest recording that can be uploaded (default: %(default)s)",
    )  # fmt: skip
    app.add_argument(
        "--no-browser", action="store_true", help="print the address, and open no browser"
    )


def _add_command(commands: Any, name: str) -> argparse.ArgumentParser:
    summary, text, epilogue = help_texts.COMMANDS[name]
    command = commands.add_parser(
        name,
        help=summary,
        description=text,
        epilog=epilogue,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(parser=command)
    return command


def _add_model(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "-m", "--model", type=Path, metavar="MODEL",
        help="model file (default: the model that comes with the package)",
    )  # fmt: skip


def _add_recordings(
    command: argparse.ArgumentParser, default_speech: str | None = None
) -> None:
    for what, default in (("speech", default_speech), ("noise", None)):
        text = (
            f"recording of {what}, or a folder of them (.wav, .flac, .mp3, ...; subfolders too)"
        )
        command.add_argument(
            f"--{what}", type=Path, required=default is None, metavar="PATH",
            help=text if default is None else f"{text} (default: {default})",
        )  # fmt: skip


def _add_seed(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--seed", type=_integer(0, 2**32 - 1), default=0, metavar="N",
        help="the same seed gives the same result (default: %(default)s)",
    )  # fmt: skip


def _add_json(command: argparse.ArgumentParser, what: str) -> None:
    command.add_argument(
        "--json", action="store_true",
        help=f"print {what} as JSON on stdout, and all else on stderr",
    )  # fmt: skip


def _add_model_options(command: argparse.ArgumentParser) -> None:
    for name, kind, metavar, text in (
        ("layers", _integer(1, 1000), "K", "layers: iterations of the factorization"),
        ("components", _integer(1, 10_000), "R", "bases for speech, and as many for noise"),
        ("trained-layers", _layers, "C",
         "layers trained, counted from the output: 0 (sparse NMF) to K + 1, or all"),
        ("context", _integer(1, 1000), "T", "frames that the model sees, the current one last"),
        ("sample-rate", _integer(4000, 192_000), "HZ",
         "sample rate of the model, which processes frequencies up to half of it"),
    ):  # fmt: skip
        default = _NETWORK[name.replace("-", "_")]
        command.add_argument(
            f"--{name}", type=kind, metavar=metavar, help=f"{text} (default: {default})"
        )
    command.add_argument(
        "--sample-components", type=_integer(1, 10_000), metavar="S",
        help="train a model that takes samples of noise, and infers S bases from each; 24 is "
        "usual (default: a model that takes none)",
    )  # fmt: skip
    command.add_argument(
        "--untied", action="store_true", default=None,
        help="bases for each layer: a larger model",
    )  # fmt: skip
    command.add_argument(
        "--mixtures", type=_integer(1, 1_000_000), metavar="N",
        help="mixtures to train on (default: every utterance at every level)",
    )  # fmt: skip
    command.add_argument(
        "--epochs", type=_integer(1, 1_000_000), metavar="N",
        help=f"passes over the training data, at most (default: {_EPOCHS}, for a model that is "
        f"adapted {_EPOCHS_ADAPTED})",
    )  # fmt: skip


def _settle_network(options: argparse.Namespace) -> None:
    """Say whether a model is adapted; if not, fill in what was not given of the network."""
    given = [name for name in _NETWORK if getattr(options, name) is not None]
    if given and options.init is not None:
        options.parser.error(
            f"argument --{given[0].replace('_', '-')}: not allowed with --init, whose model "
            "keeps its own"
        )
    known = options.new or given or options.speech is not None
    options.adapts = options.init is not None or not known
    if options.epochs is None:
        options.epochs = _EPOCHS_ADAPTED if options.adapts else _EPOCHS
    for name in _NETWORK.keys() - given:
        setattr(options, name, _NETWORK[name])


def _integer(smallest: int, largest: int) -> Callable[[str], int]:
    """Return an argument type: integers of a range, both ends included."""

    def convert(text: str) -> int:
        digits = text.lstrip("0") or "0"
        fits = text.isdecimal() and len(digits) <= len(str(largest))
        if not fits or not smallest <= int(text) <= largest:
            raise argparse.ArgumentTypeError(
                f"must be an integer from {smallest} to {largest}; got {text!r}"
            )
        return int(text)

    return convert


def _strength(text: str) -> float:
    """Return the strength of an enhancement."""
    try:
        strength = float(text)
    except ValueError:
        strength = -1.0
    if not 0 <= strength <= 2:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 2; got {text!r}")
    return strength


def _host(text: str) -> str:
    """Return the name or address of a host."""
    if not text or not text.isprintable() or set(text) & set("/ ,@*"):
        raise argparse.ArgumentTypeError(
            f"must be a name or an address, such as 127.0.0.1; got {text!r}"
        )
    return text


def _layers(text: str) -> int | str:
    """Return a number of layers, or "all"."""
    return text if text == "all" else _integer(0, 1001)(text)
