"""What the commands may read and write: checks that come before any work."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from skunfold._storage import find_files
from skunfold._text import printable
from skunfold.audio import SpeechEnhancer
from skunfold.audio.formats import can_be_read, can_be_written, choose_subtype
from skunfold.cli.output import tell
from skunfold.model_files import check_model_target, load_model

STREAM = Path("-")  # stdin or stdout


@dataclass(frozen=True)
class Task:
    """A recording to denoise, and where to."""

    source: Path
    target: Path


def load_enhancer(file: Path | None) -> SpeechEnhancer:
    """Read a model and check that it is a fitted enhancer; None: that of the package."""
    if file is None:
        return SpeechEnhancer.pretrained()
    if not file.exists():
        raise FileNotFoundError(
            f"There is no model {printable(file)}; `skunfold train` makes one."
        )
    try:
        model = load_model(file)
    except ValueError as error:
        if can_be_written(file):
            raise ValueError(
                f"{printable(file)} is a recording, not a model; name a model file that "
                "`skunfold train` wrote."
            ) from error
        raise
    if not isinstance(model, SpeechEnhancer) or not hasattr(model, "regressor_"):
        raise ValueError(
            f"The model in {printable(file)} is of class {type(model).__name__}, not a fitted "
            "SpeechEnhancer; "
            "`skunfold train` makes one."
        )
    return model


def plan_tasks(
    inputs: list[str], output: str, may_exist: bool, subtype: str | None = None
) -> tuple[list[Task], list[str]]:
    """Say what is denoised to where, or raise if an output may not be written.

    Parameters
    ----------
    inputs : list of str
        Recordings, and folders that are searched with their subfolders; or - alone.
    output : str
        A file or - for one recording; otherwise a folder.
    may_exist : bool
        Whether outputs may exist.  Inputs they may never be.
    subtype : str or None, default=None
        Encoding of the samples that was asked for, which all outputs must be able to hold.

    Returns
    -------
    tasks : list of Task
        At least one; no two have the same target.
    left_out : list of str
        Sentences about what could not be searched for recordings.
    """
    paths, folder = [Path(name) for name in inputs], Path(output)
    several = len(paths) > 1 or paths[0].is_dir()
    if several and (output == "-" or can_be_written(folder)) and not folder.is_dir():
        many = (
            f"there are {len(paths)}"
            if len(paths) > 1
            else f"{printable(paths[0])} is a folder"
        )
        raise ValueError(f"{printable(output)} names one recording, but {many}; name a folder.")
    if several or output.endswith(("/", os.sep)) or folder.is_dir():
        left_out: list[str] = []
        found = [pair for path in paths for pair in _find(path, folder, left_out.append)]
        tasks = [Task(source, folder / name) for source, name in found]
        _check_targets(tasks, may_exist, subtype)
        make_folder(folder)
        return tasks, left_out
    if inputs != ["-"]:
        _check_recording(paths[0])
    tasks = [Task(paths[0], folder)]
    if output != "-":
        _check_targets(tasks, may_exist, subtype)
        check_writable(folder.parent)
    return tasks, []


def default_output(name: str) -> str:
    """Return where a recording or a folder goes if that is not said: beside it."""
    path = Path(name)
    if path.is_dir():
        path = path if path.name not in ("", "..") else path.resolve()
        return str(path.with_name(f"{path.name}-enhanced"))
    return str(_output_name(path.with_stem(f"{path.stem}-enhanced")))


def check_new_model(file: Path, overwrite: bool) -> None:
    """Raise unless a model may be written there."""
    check_model_target(file)
    if file.exists() and not overwrite:
        raise FileExistsError(
            f"{printable(file)} exists; choose another name, or give --overwrite."
        )
    check_writable(file.parent)


def make_folder(folder: Path) -> None:
    """Make a folder, and check that files can be written into it."""
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{printable(folder)} is a file; name a folder.")
    folder.mkdir(parents=True, exist_ok=True)
    check_writable(folder)


def check_writable(folder: Path) -> None:
    """Raise unless files can be written into a folder."""
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {printable(folder)}; make it first.")
    if not os.access(folder, os.W_OK):
        raise PermissionError(
            f"The folder {printable(folder)} cannot be written to; choose another."
        )


def _check_recording(file: Path) -> None:
    if not file.is_file():
        raise FileNotFoundError(f"There is no recording {printable(file)}; check the path.")


def _find(
    path: Path, output: Path, note: Callable[[str], object] = tell
) -> list[tuple[Path, Path]]:
    """Return recordings, and what to call them below the output folder.

    Sentences about what could not be searched are noted.
    """
    if path == STREAM:
        raise ValueError("What comes from stdin has no name; name a file as output.")
    if not path.is_dir():
        _check_recording(path)
        return [(path, _output_name(Path(path.name)))]
    names, sentences = find_files(path, can_be_read, but=output.resolve())
    for sentence in sentences:
        note(sentence)
    if not names:
        why = sentences[0] if sentences else "use .wav, .flac, .ogg, ..."
        raise ValueError(f"The folder {printable(path)} holds no recording: {why}")
    return [(path / name, _output_name(name)) for name in names]


def _output_name(name: Path) -> Path:
    """Return a name below the output folder: that of the input if its format can be written."""
    only_read = can_be_read(name) and not can_be_written(name)
    return name.with_suffix(".wav") if only_read else name


def _check_targets(tasks: list[Task], may_exist: bool, subtype: str | None) -> None:
    """Raise if a target is an input or another's target, or may not or cannot be written."""
    sources = {task.source.resolve() for task in tasks}
    taken: set[Path] = set()
    for task in tasks:
        place = task.target.resolve()
        if place in sources:
            raise ValueError(
                f"{printable(task.target)} is one of the inputs; choose another output."
            )
        if place in taken:
            raise ValueError(
                f"Two recordings would both become {printable(task.target)}; denoise them into "
                "different folders."
            )
        taken.add(place)
        choose_subtype(task.target, subtype)
    existing = [task.target for task in tasks if task.target.exists()]
    if existing and not may_exist:
        n_more = len(existing) - 1
        more = f", like {n_more} more of the outputs" if n_more else ""
        raise FileExistsError(
            f"{printable(existing[0])} exists{more}; choose another output, or give "
            "--overwrite or --skip-existing."
        )
