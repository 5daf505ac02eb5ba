"""Damaged and hostile files: each is read, or refused by one of the documented errors.

    python tests/fuzz/fuzz.py --cases 20000

Every case follows from the seed and its number. A case fails if reading raises any other error,
takes longer than `SECONDS`, runs code, opens a file for writing, or, at the end, if memory has
grown by more than `MEGABYTES`. Files of failed cases are kept in the folder of ``--keep``.
"""

import argparse
import io
import sys
import tempfile
import time
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
from mutations import damaged, hostile_model

from skunfold.audio import read_audio
from skunfold.model_files import load_model

try:
    import resource
except ImportError:  # Windows, where memory is not watched
    resource = None

MODELS = sorted(Path(__file__).parent.parent.glob("data/models-*/*.model"))
SECONDS = 5.0
MEGABYTES = 512
# Events by which code would run, or leave the process.
FORBIDDEN = {
    "compile",
    "exec",
    "marshal.loads",
    "os.exec",
    "os.posix_spawn",
    "os.remove",
    "os.rename",
    "os.system",
    "pickle.find_class",
    "socket.connect",
    "subprocess.Popen",
}

AUDIO = [
    ("WAV", "PCM_16", 1),
    ("WAV", "PCM_U8", 2),
    ("WAV", "PCM_24", 1),
    ("WAV", "FLOAT", 2),
    ("WAV", "ULAW", 1),
    ("WAV", "IMA_ADPCM", 1),
    ("WAV", "MS_ADPCM", 1),
    ("WAVEX", "PCM_16", 3),
    ("RF64", "PCM_16", 1),
    ("W64", "PCM_16", 1),
    ("AIFF", "PCM_16", 1),
    ("CAF", "PCM_16", 1),
    ("AU", "FLOAT", 1),
    ("FLAC", "PCM_16", 1),
    ("OGG", "VORBIS", 1),
]


@dataclass
class Report:
    """What became of the cases of one target."""

    target: str
    outcomes: Counter = field(default_factory=Counter)
    failures: list = field(default_factory=list)  # (number of the case, what happened)
    slowest: float = 0.0
    megabytes: float = 0.0

    def __str__(self):
        counts = ", ".join(f"{n} {outcome}" for outcome, n in self.outcomes.most_common())
        return (
            f"{self.target}: {self.outcomes.total()} cases, {counts}, {len(self.failures)} "
            f"failed; slowest {self.slowest:.2f} s, {self.megabytes:.0f} MB"
        )


class Guard:
    """Notes what a reader does that it must not; audit hooks stay, so there is only one."""

    def __init__(self):
        self.watching = False
        self.seen = []
        sys.addaudithook(self._note)

    def _note(self, event, arguments):
        if self.watching:
            writes = event == "open" and not str(arguments[1] or "r").startswith("r")
            if event in FORBIDDEN or (writes and arguments[1] is not None):
                self.seen.append(event)


GUARD = None


def sound_files():
    """Return the bytes of sound audio files."""
    rng = np.random.default_rng(0)
    files = []
    for format_, subtype, n_channels in AUDIO:
        stream = io.BytesIO()
        samples = 0.3 * rng.normal(size=(800, n_channels)).clip(-3, 3)
        soundfile.write(stream, samples, 16000, subtype, format=format_)
        files.append(stream.getvalue())
    return files


def hostile_sound(data, rng):
    """Damage a sound file, mostly in its head, where its lengths and rates stand."""
    if rng.integers(2):
        return damaged(data, rng)
    n_head = min(len(data), 128)
    return damaged(data[:n_head], rng) + data[n_head:]


def read_model(file):
    """Read a model from a path."""
    load_model(file)


def read_sound(file):
    """Read a recording as the command line does: one channel at 16 kHz."""
    waveform, rate = read_audio(file, 16000, mono=True)
    if rate != 16000 or waveform.ndim != 1 or not np.isfinite(waveform).all():
        raise AssertionError("what was read is no finite waveform of one channel")


def models():
    """Return the bytes of sound model files."""
    return [file.read_bytes() for file in MODELS]


def hostile_or_damaged_model(data, rng):
    """Damage a model file, or change what stands in it."""
    return damaged(data, rng) if rng.integers(3) == 0 else hostile_model(data, rng)


TARGETS = {
    "models": (models, hostile_or_damaged_model, read_model),
    "audio": (sound_files, hostile_sound, read_sound),
}


def run(target, cases, seed=0, keep=None):
    """Try the cases of those numbers; return a Report."""
    global GUARD
    make, change, read = TARGETS[target]
    seeds, report = make(), Report(target)
    GUARD = GUARD or Guard()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "file"
        for data in seeds:  # sound files are read; afterwards all imports are done
            file.write_bytes(data)
            read(file)
        before = _megabytes()
        for case in cases:
            rng = np.random.default_rng([seed, case])
            data = change(seeds[rng.integers(len(seeds))], rng)
            file.write_bytes(data)
            failed = _try(read, file, report)
            if failed:
                report.failures.append((case, failed))
                if keep is not None:
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{target}-{case}").write_bytes(data)
        report.megabytes = _megabytes() - before
    if report.megabytes > MEGABYTES:
        report.failures.append((-1, f"memory grew by {report.megabytes:.0f} MB"))
    return report


def _try(read, file, report):
    """Read a file; return None, or what happened that must not."""
    began, failed = time.perf_counter(), None
    GUARD.seen, GUARD.watching = [], True
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*file is cut off", UserWarning)
            read(file)
        report.outcomes["read"] += 1
    except ValueError as error:
        report.outcomes["refused"] += 1
        if "file" not in str(error):
            failed = f"the error does not name the file: {error}"
    except Exception as error:
        report.outcomes["other errors"] += 1
        failed = f"{type(error).__name__}: {error}"
    finally:
        GUARD.watching = False
    seconds = time.perf_counter() - began
    report.slowest = max(report.slowest, seconds)
    if GUARD.seen:
        return f"did {GUARD.seen}"
    if seconds > SECONDS:
        return f"took {seconds:.1f} s"
    return failed


def _megabytes():
    """Return the largest memory the process has had."""
    if resource is None:
        return 0.0
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def main():
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=20_000, help="of each target")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", choices=TARGETS, action="append", help="all by default")
    parser.add_argument("--keep", type=Path, help="folder for the files of failed cases")
    options = parser.parse_args()
    n_failures = 0
    for target in options.target or TARGETS:
        report = run(target, range(options.cases), options.seed, options.keep)
        print(report)
        for case, failure in report.failures[:20]:
            print(f"  case {case}: {failure[:300]}")
        n_failures += len(report.failures)
    return 1 if n_failures else 0


if __name__ == "__main__":
    sys.exit(main())
