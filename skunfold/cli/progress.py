"""How far a command has come: a bar on a terminal, short lines elsewhere."""

from typing import Any, Protocol

from skunfold._text import printable
from skunfold.cli.output import tell


class Progress(Protocol):
    """What the commands use to say where they are."""

    def stage(self, name: str, total: float | None = None, unit: str = "") -> None:
        """Begin a stage of `total` steps (None: not known), which ends the one before."""

    def advance(self, n_steps: float = 1) -> None:
        """Count steps of the stage, one or more or a part of one."""

    def __enter__(self) -> "Progress": ...

    def __exit__(self, *exception: object) -> None: ...


def open_progress(n_stages: int) -> Progress:
    """Return a bar if rich is installed and stderr is a terminal, otherwise plain lines.

    rich also treats a stream as a terminal if the environment variable FORCE_COLOR is set.
    """
    try:
        from rich.console import Console
    except ImportError:
        return _LineProgress(n_stages)
    console = Console(stderr=True)
    return _BarProgress(n_stages, console) if console.is_terminal else _LineProgress(n_stages)


class EpochCallback:
    """A scikit-learn callback that counts the epochs of a fit."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def setup(self, estimator: Any, context: Any) -> None:
        """Begin a fit."""

    def teardown(self, estimator: Any, context: Any) -> None:
        """End a fit."""

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Begin a task."""

    def on_fit_task_end(self, estimator: Any, context: Any) -> None:
        """Count the task if it is an epoch, that is, part of a fit."""
        if context.parent is not None:
            self._progress.advance()


class _LineProgress:
    """One line for each stage on stderr."""

    def __init__(self, n_stages: int) -> None:
        self._n_stages = n_stages
        self._stage = 0

    def __enter__(self) -> "_LineProgress":
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def stage(self, name: str, total: float | None = None, unit: str = "") -> None:
        self._stage += 1
        tell(f"[{self._stage}/{self._n_stages}] {printable(name)}")

    def advance(self, n_steps: float = 1) -> None:
        pass


class _BarProgress:
    """A bar for each stage."""

    def __init__(self, n_stages: int, console: Any) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TimeElapsedColumn(),
        )
        self._bars = Bars(*columns, console=console)
        self._n_stages = n_stages
        self._tasks: list[Any] = []

    def __enter__(self) -> "_BarProgress":
        self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if exception[0] is None:
            self._finish()
        self._bars.stop()

    def stage(self, name: str, total: float | None = None, unit: str = "") -> None:
        self._finish()
        label = f"[{len(self._tasks) + 1}/{self._n_stages}] {printable(name)}".replace(
            "[", r"\["
        )
        self._tasks.append(self._bars.add_task(label, total=total, unit=unit))

    def advance(self, n_steps: float = 1) -> None:
        self._bars.advance(self._tasks[-1], n_steps)

    def _finish(self) -> None:
        """Show the last stage as complete, also where it needed fewer steps than announced."""
        if self._tasks:
            done = max(1, int(self._bars.tasks[-1].completed))
            self._bars.update(self._tasks[-1], total=done, completed=done)
