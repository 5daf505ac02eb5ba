"""``skunfold enhance``: recordings, folders of recordings, and pipes."""

import argparse
import math
import shutil
import sys
import warnings
import zipfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal, cast

from skunfold._storage import NO_ROOM, Spool
from skunfold._text import one_line, printable
from skunfold.audio import SpeechEnhancer, read_audio, resample
from skunfold.audio._noise_sample import check_noise_sample
from skunfold.audio._noise_search import AUTO
from skunfold.audio._recording import Recording
from skunfold.audio._regressor import RegressorError
from skunfold.audio.waveforms import FloatArray
from skunfold.cli.files import STREAM, Task, default_output, load_enhancer, plan_tasks
from skunfold.cli.meter import Meter
from skunfold.cli.output import Stdout, StdoutError, sentence_of, tell
from skunfold.cli.pipes import enhance_pipe
from skunfold.cli.progress import SOUND, Progress, open_progress
from skunfold.cli.workbench import print_result


class _Ear:
    """Hears the blocks of a recording: measures them, and counts their seconds."""

    meter: Meter | None = None

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def __call__(self, block: FloatArray, sample_rate: int) -> None:
        if self.meter is None:
            self.meter = Meter(sample_rate, block.shape[1])
        self.meter.update(block)
        self._progress.advance(len(block) / sample_rate)


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
        subject = printable(self.input)
        for complaint in map(one_line, complaints):
            named = complaint if complaint.startswith(subject) else f"{subject}: {complaint}"
            tell(f"skunfold: warning: {named}")

    def fail(self, error: Exception) -> None:
        """Note what went wrong, in one sentence that names the file at fault."""
        sentence = sentence_of(error)
        no_room = isinstance(error, OSError) and error.errno in NO_ROOM
        subject = printable(self.output if no_room else self.input)
        named = subject in sentence or getattr(error, "filename", None) is not None
        self.status = "failed"
        self.error = sentence if named else f"{subject}: {sentence}"


def enhance(options: argparse.Namespace) -> int:
    """Denoise recordings; return the exit code."""
    if options.output is None:
        options.output = default_output(options.inputs[0])
    from_stdin, to_stdout = options.inputs == ["-"], options.output == "-"
    _check_streams(from_stdin, to_stdout)
    enhancer = load_enhancer(options.model)
    _check_no_model(options.inputs)
    sample = _noise_sample(enhancer, options)
    if from_stdin and to_stdout:
        given = {"noise_sample": sample, "strength": options.strength}
        heard = enhance_pipe(enhancer, sys.stdin.buffer, Stdout(), options.subtype, **given)
        Outcome("stdin", "stdout").succeed(*heard)
        return 0
    may_exist = options.overwrite or options.skip_existing
    tasks, left_out = plan_tasks(options.inputs, options.output, may_exist, options.subtype)
    outcomes = [
        Outcome(_name(task.source, "stdin"), _name(task.target, "stdout")) for task in tasks
    ]
    try:
        with open_progress(1) as progress:
            skipped = [options.skip_existing and task.target.exists() for task in tasks]
            sources = [
                task.source for task, skip in zip(tasks, skipped) if not skip and not from_stdin
            ]
            progress.stage("denoise", _seconds(sources), SOUND)
            for task, outcome, skip in zip(tasks, outcomes, skipped):
                if skip:
                    outcome.status = "skipped"
                else:
                    _enhance_task(enhancer, task, outcome, options, sample, _Ear(progress))
    finally:
        _report(outcomes, left_out, options)
    return 1 if left_out or any(outcome.status == "failed" for outcome in outcomes) else 0


def _noise_sample(
    enhancer: SpeechEnhancer, options: argparse.Namespace
) -> FloatArray | Literal["auto"] | None:
    """Read the sample of the noise, if one was given, and check it with the model."""
    if options.noise_sample is None:
        return None
    if not hasattr(enhancer, "sample_gains_"):
        raise ValueError(
            f"{printable(options.model)} takes no --noise-sample; leave it out, or train a "
            "model that does by `skunfold train --sample-components 24`."
        )
    if str(options.noise_sample) == AUTO:
        if options.inputs == ["-"] and options.output == "-":
            raise ValueError(
                "--noise-sample auto needs a whole recording, and stdin has just begun; name a "
                "recording of the noise."
            )
        return AUTO
    sample, rate = read_audio(options.noise_sample, mono=True)
    if rate < enhancer.sample_rate:
        tell(
            f"skunfold: warning: {printable(options.noise_sample)} has a sample rate of {rate} "
            f"Hz, so it holds no noise above {rate / 2:g} Hz; give a sample of at least "
            f"{enhancer.sample_rate} Hz, unless the recordings have that rate as well"
        )
    sample = resample(sample, rate, enhancer.sample_rate)
    name = printable(options.noise_sample)
    return check_noise_sample(name, sample, enhancer.sample_rate)


def _name(path: Path, stream: str) -> str:
    """Return the name of an input or output for messages; `stream` is that of -."""
    return stream if path == STREAM else str(path)


def _check_streams(from_stdin: bool, to_stdout: bool) -> None:
    """Raise if a standard stream that is used for a recording is closed or a terminal."""
    for name, used, advice in (
        ("stdin", from_stdin, "pipe a recording into it, or name a file."),
        ("stdout", to_stdout, "pipe it into a program, or name a file."),
    ):
        stream = getattr(sys, name)
        if used and (stream is None or stream.isatty()):
            state = "closed" if stream is None else "a terminal"
            raise ValueError(f"{name} is {state}; {advice}")


def _check_no_model(inputs: list[str]) -> None:
    """Raise if an input is a model file, which is a zip file, instead of a recording."""
    for name in inputs:
        if name != "-" and zipfile.is_zipfile(name):
            shown = printable(name)
            raise ValueError(f"{shown} is no recording; give a model as -m {shown}.")


def _seconds(sources: list[Path]) -> int | None:
    """Return how long recordings are together as far as their headers say it; None: unknown."""
    seconds = 0.0
    for source in sources:
        try:
            with Recording(source) as recording:
                seconds += (recording.n_announced or 0) / recording.sample_rate
        except (OSError, ValueError):
            continue  # it will be reported when its turn comes
    return math.ceil(seconds) or None


def _enhance_task(
    enhancer: SpeechEnhancer,
    task: Task,
    outcome: Outcome,
    options: argparse.Namespace,
    noise_sample: FloatArray | Literal["auto"] | None,
    ear: _Ear,
) -> None:
    """Denoise one recording, and note the result or the failure."""
    source: Path | BinaryIO = task.source
    target: Path | BinaryIO = task.target
    try:
        with ExitStack() as stack:
            if task.source == STREAM:
                spool = stack.enter_context(Spool("stdin"))
                with spool.filling():
                    shutil.copyfileobj(sys.stdin.buffer, spool)
                source = cast(BinaryIO, spool)
            if task.target == STREAM:
                target = cast(BinaryIO, Stdout())
            else:
                task.target.parent.mkdir(parents=True, exist_ok=True)
            caught = stack.enter_context(warnings.catch_warnings(record=True))
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", UserWarning)
            enhancer.enhance_file(
                source,
                target,
                noise_sample=noise_sample,
                strength=options.strength,
                subtype=options.subtype,
                on_block=ear,
            )
            if task.target == STREAM:
                Stdout().flush()
    except (BrokenPipeError, StdoutError):
        raise
    except Exception as error:
        if options.traceback or isinstance(error, RegressorError):
            raise
        outcome.fail(error)
        return
    assert ear.meter is not None
    outcome.succeed(ear.meter, ear.meter.complaints() + [f"{w.message}" for w in caught])


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
            "done": f"Wrote {printable(only.output)}.",
            "skipped": f"Left out {printable(only.input)}: {printable(only.output)} exists.",
        }.get(only.status, "")
    n = Counter(outcome.status for outcome in outcomes)
    others = [
        f"{n[status]} {status}" for status in ("failed", "skipped", "not done") if n[status]
    ]
    text = f"Wrote {n['done']} of {len(outcomes)} recordings into {printable(output)}"
    return f"{text}: {', '.join(others)}." if others else f"{text}."
