"""``skunfold enhance``: recordings, folders of recordings, and pipes."""

import argparse
import io
import sys
import warnings
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import BinaryIO

from skunfold.audio import SpeechEnhancer
from skunfold.cli.files import STREAM, Task, load_enhancer, plan_tasks
from skunfold.cli.meter import Meter, measure
from skunfold.cli.output import Stdout, sentence_of, tell
from skunfold.cli.pipes import enhance_pipe
from skunfold.cli.progress import open_progress
from skunfold.cli.workbench import print_result


class _Stdin(io.BytesIO):
    """What came from stdin."""

    def __repr__(self) -> str:
        return "stdin"


@dataclass
class Outcome:
    """What became of a recording, as ``--json`` tells it."""

    input: str
    output: str
    status: str = "not done"  # or done, failed, skipped
    error: str | None = None
    warnings: list[str] = field(default_factory=list)
    sample_rate: int | None = None
    n_channels: int | None = None
    seconds: float | None = None
    clipped: float | None = None
    silent: bool | None = None

    def succeed(self, meter: Meter, complaints: list[str]) -> None:
        """Note what was heard; print and keep what there is to complain of."""
        self.status = "done"
        self.warnings = complaints
        for name in ("sample_rate", "n_channels", "seconds", "clipped", "silent"):
            setattr(self, name, getattr(meter, name))
        for complaint in complaints:
            tell(f"skunfold: warning: {self.input}: {complaint}")

    def fail(self, error: Exception) -> None:
        """Note what went wrong, in one sentence that names the file at fault."""
        sentence = sentence_of(error)
        system = isinstance(error, OSError) and error.errno is not None
        # libsndfile reads, with errors of another class; what the system reports is of writing.
        subject = self.output if system else self.input
        named = subject in sentence or getattr(error, "filename", None) is not None
        self.status = "failed"
        self.error = sentence if named else f"{subject}: {sentence}"


def enhance(options: argparse.Namespace) -> int:
    """Denoise recordings; return the exit code."""
    from_stdin, to_stdout = options.inputs == ["-"], options.output == "-"
    _check_streams(from_stdin, to_stdout)
    enhancer = load_enhancer(options.model)
    if from_stdin and to_stdout:
        heard = enhance_pipe(enhancer, sys.stdin.buffer, Stdout())
        Outcome("stdin", "stdout").succeed(*heard)
        return 0
    may_exist = options.overwrite or options.skip_existing
    tasks, left_out = plan_tasks(options.inputs, options.output, may_exist)
    outcomes = [
        Outcome("stdin" if from_stdin else str(task.source), str(task.target)) for task in tasks
    ]
    try:
        with open_progress(1) as progress:
            progress.stage("denoise", len(tasks))
            for task, outcome in zip(tasks, outcomes):
                if options.skip_existing and task.target.exists():
                    outcome.status = "skipped"
                else:
                    _enhance_task(enhancer, task, outcome, options.traceback)
                progress.advance()
    finally:
        _report(outcomes, left_out, options)
    return 1 if left_out or any(outcome.status == "failed" for outcome in outcomes) else 0


def _check_streams(from_stdin: bool, to_stdout: bool) -> None:
    """Raise if what stands for a recording is closed, or a terminal."""
    for name, used, advice in (
        ("stdin", from_stdin, "pipe a recording into it, or name a file."),
        ("stdout", to_stdout, "pipe it into a program, or name a file."),
    ):
        stream = getattr(sys, name)
        if used and (stream is None or stream.isatty()):
            state = "closed" if stream is None else "a terminal"
            raise ValueError(f"{name} is {state}; {advice}")


def _enhance_task(
    enhancer: SpeechEnhancer, task: Task, outcome: Outcome, traceback: bool
) -> None:
    """Denoise one recording, and note what became of it; a failure is noted, too."""
    source: Path | BinaryIO = task.source
    target: Path | BinaryIO = task.target
    if task.source == STREAM:
        source = _Stdin(sys.stdin.buffer.read())
    if task.target == STREAM:
        target = io.BytesIO()
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", UserWarning)
            if isinstance(target, Path):
                target.parent.mkdir(parents=True, exist_ok=True)
            enhancer.enhance_file(source, target)
        meter = measure(source)
    except Exception as error:
        if traceback:
            raise
        outcome.fail(error)
        return
    if isinstance(target, io.BytesIO):
        stdout = Stdout()
        stdout.write(target.getvalue())
        stdout.flush()
    outcome.succeed(meter, meter.complaints() + [f"{w.message}" for w in caught])


def _report(outcomes: list[Outcome], left_out: list[str], options: argparse.Namespace) -> None:
    """Say what was left out, which recordings failed, and how many were done."""
    failures = [outcome.error for outcome in outcomes if outcome.error is not None]
    for sentence in left_out + failures:
        tell(f"skunfold: error: {sentence}")
    recordings = [asdict(outcome) for outcome in outcomes]
    data = {"recordings": recordings, "left_out": left_out}
    if options.output != "-":
        print_result(data, _summary(outcomes, options.output), as_json=options.json)


def _summary(outcomes: list[Outcome], output: str) -> str:
    """Return what to say at the end, nothing if there was one recording, and it failed."""
    if len(outcomes) == 1:
        only = outcomes[0]
        return {
            "done": f"Wrote {only.output}.",
            "skipped": f"Left out {only.input}: {only.output} exists.",
        }.get(only.status, "")
    n = Counter(outcome.status for outcome in outcomes)
    others = [
        f"{n[status]} {status}" for status in ("failed", "skipped", "not done") if n[status]
    ]
    text = f"Wrote {n['done']} of {len(outcomes)} recordings into {output}"
    return f"{text}: {', '.join(others)}." if others else f"{text}."
