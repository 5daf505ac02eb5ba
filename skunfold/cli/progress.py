"""How far a command has come: a bar on a terminal, short lines elsewhere."""

import time
from typing import Any, Protocol

from skunfold._text import printable
from skunfold.cli.output import tell

SOUND = "s"  # the unit of seconds of sound, for which the speed is shown
LINE_SECONDS = 10.0  # between two lines of a stage
PIPE_SECONDS = 60.0  # the same of a pipe, which may run for days


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


class Ticker:
    """Counts steps, and prints a line on stderr at long intervals.

    Parameters
    ----------
    label : str
        What the lines begin with.
    total : float or None
        The number of steps, if it is known.
    unit : str
        What is counted; `SOUND` for seconds of sound.
    interval : float
        Seconds between two lines.
    """

    def __init__(self, label: str, total: float | None, unit: str, interval: float) -> None:
        self._label = label
        self._total = total
        self._unit = unit
        self._interval = interval
        self._done = 0.0
        self._start = self._said = time.monotonic()

    def advance(self, n_steps: float = 1) -> None:
        """Count steps, and tell how many there are if it is time."""
        self._done += n_steps
        now = time.monotonic()
        if now - self._said < self._interval:
            return
        self._said = now
        of_total = "" if self._total is None else f" of {self._total:.0f}"
        text = f"{self._label}: {self._done:.0f}{of_total} {self._unit}".rstrip()
        if self._unit == SOUND:
            text = f"{text} of sound, {_speed(self._done, now - self._start)}"
        tell(text)


def _speed(seconds_of_sound: float, seconds: float) -> str:
    """Return how fast sound is worked on."""
    speed = seconds_of_sound / max(seconds, 1e-9)
    return f"{speed:.{int(speed < 10)}f}x real time"


class _LineProgress:
    """A line for each stage on stderr, and more of them in a long one."""

    def __init__(self, n_stages: int) -> None:
        self._n_stages = n_stages
        self._stage = 0
        self._ticker: Ticker | None = None

    def __enter__(self) -> "_LineProgress":
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def stage(self, name: str, total: float | None = None, unit: str = "") -> None:
        self._stage += 1
        label = f"[{self._stage}/{self._n_stages}] {printable(name)}"
        tell(label)
        self._ticker = Ticker(label, total, unit, LINE_SECONDS)

    def advance(self, n_steps: float = 1) -> None:
        if self._ticker is not None:
            self._ticker.advance(n_steps)


class _BarProgress:
    """A bar for each stage."""

    def __init__(self, n_stages: int, console: Any) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}{task.fields[speed]}"),
            TimeElapsedColumn(),
        )
        self._bars = Bars(*columns, console=console)
        self._n_stages = n_stages
        self._tasks: list[Any] = []
        self._counts_sound = False

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
        shown = "s of sound" if unit == SOUND else unit
        self._tasks.append(self._bars.add_task(label, total=total, unit=shown, speed=""))
        self._counts_sound = unit == SOUND

    def advance(self, n_steps: float = 1) -> None:
        self._bars.advance(self._tasks[-1], n_steps)
        task = self._bars.tasks[-1]
        if self._counts_sound and task.elapsed:
            speed = f", {_speed(task.completed, task.elapsed)}"
            self._bars.update(self._tasks[-1], speed=speed)

    def _finish(self) -> None:
        """Show the last stage as complete, also where it needed fewer steps than announced."""
        if self._tasks:
            done = max(1, int(self._bars.tasks[-1].completed))
            self._bars.update(self._tasks[-1], total=done, completed=done)
