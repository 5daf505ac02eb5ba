"""Damaged and hostile files: each is read, or refused by one of the documented errors.

    python tests/fuzz/fuzz.py --cases 20000

Every case follows from the seed and its number. A case fails if reading raises any other error,
takes longer than `SECONDS`, runs code, opens a file for writing, or, at the end, if memory has
grown by more than `MEGABYTES`. Files of failed cases are kept in the folder of ``--keep``.
"""

import argparse
import importlib
import io
import runpy
import sys
import tempfile
import time
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
from forgeries import forged_model
from mutations import damaged, hostile_model
from sklearn.pipeline import Pipeline

from skunfold._model_files.scikit_learn_models import MODULE_OF
from skunfold.audio import SpeechEnhancer, read_audio
from skunfold.audio._regressor import RegressorError
from skunfold.model_files import load_model

try:
    import resource
except ImportError:  # Windows, where memory is not watched
    resource = None

DATA = Path(__file__).parent.parent / "data"
MODELS = sorted(DATA.glob("models-*/*.model"))
CLASSES = [runpy.run_path(str(DATA / "make_models.py"))["Smoothing"]]
SECONDS = 5.0
MEGABYTES = 300
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
    load_model(file, classes=CLASSES)


def read_sound(file):
    """Read a recording as the command line does: one channel at 16 kHz."""
    waveform, rate = read_audio(file, 16000, mono=True)
    if rate != 16000 or waveform.ndim != 1 or not np.isfinite(waveform).all():
        raise AssertionError("what was read is no finite waveform of one channel")


def read_and_use_model(file):
    """Read a model, and let it predict; return what became of that, if it is not well.

    What a forged model predicts may be nonsense.  It may be refused as a model, but it must not
    fail otherwise, and the recording must not be blamed.
    """
    model = load_model(file, classes=CLASSES)
    if isinstance(model, SpeechEnhancer):
        return _enhance(model)
    if not hasattr(model, "n_features_in_"):
        return "read, not fitted"
    X = np.random.default_rng(0).uniform(size=(5, model.n_features_in_))
    method = next(m for m in ("predict_proba", "predict", "transform") if hasattr(model, m))
    try:
        with np.errstate(all="ignore"):
            Y = getattr(model, method)(X)
    except ValueError:
        if isinstance(model, Pipeline):  # whose scaler may make something of X that is refused
            return "data refused"
        raise AssertionError("the model was read, but cannot predict") from None
    if len(Y) != len(X):
        raise AssertionError(f"predictions of the shape {Y.shape} for {len(X)} samples")
    return "read" if np.isfinite(Y).all() else "read, not finite"


def _enhance(enhancer):
    """Enhance a fifth of a second, and return what became of it."""
    if not hasattr(enhancer, "regressor_"):
        return "read, not fitted"
    recording, output = io.BytesIO(), io.BytesIO()
    samples = 0.1 * np.random.default_rng(0).normal(size=3200)
    soundfile.write(recording, samples, 16000, format="WAV")
    recording.seek(0)
    try:
        with np.errstate(all="ignore"):
            enhancer.enhance_file(recording, output)
    except RegressorError:
        return "regressor refused"
    except Exception as error:
        raise AssertionError(f"the recording is blamed: {error!r}") from error
    enhanced, rate = soundfile.read(io.BytesIO(output.getvalue()))
    if (enhanced.shape, rate) != (samples.shape, 16000):
        raise AssertionError(f"{enhanced.shape} samples at {rate} Hz")
    return "enhanced"


def models():
    """Return the bytes of sound model files."""
    return [file.read_bytes() for file in MODELS]


def models_to_forge():
    """Return the bytes of model files, every other one that of an enhancer."""
    others = [file for file in MODELS if file.stem != "enhancer"]
    enhancers = [file for file in MODELS if file.stem == "enhancer"]
    return [file.read_bytes() for other in others for file in (other, *enhancers)]


def hostile_or_damaged_model(data, rng):
    """Damage a model file, or change what stands in it."""
    return damaged(data, rng) if rng.integers(3) == 0 else hostile_model(data, rng)


TARGETS = {
    "models": (models, hostile_or_damaged_model, read_model),
    "forged models": (models_to_forge, forged_model, read_and_use_model),
    "audio": (sound_files, hostile_sound, read_sound),
}


def run(target, cases, seed=0, keep=None):
    """Try the cases of those numbers; return a Report."""
    global GUARD
    make, change, read = TARGETS[target]
    seeds, report = make(), Report(target)
    GUARD = GUARD or Guard()
    for module in MODULE_OF.values():  # a forged file may name any
        importlib.import_module(module)
    repr(SpeechEnhancer())
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
            outcome = read(file) or "read"
        report.outcomes[outcome] += 1
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
