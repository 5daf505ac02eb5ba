"""Recordings of speech and noise: read, and looked at before anything learns from them."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skunfold._text import printable
from skunfold.audio import read_audio
from skunfold.audio._voices import bundled_speech
from skunfold.audio.features import centered
from skunfold.datasets import load_recordings

_FEW_SECONDS = 30  # of speech or noise


@dataclass(frozen=True)
class Source:
    """Recordings of one kind, "speech" or "noise", at one sample rate."""

    kind: str
    files: list[Path]
    recordings: list[np.ndarray]
    sample_rate: int
    bundled: bool = False  # whether they come with the package

    @property
    def seconds(self) -> float:
        """How long they are together."""
        return sum(map(len, self.recordings)) / self.sample_rate

    def summary(self) -> dict[str, Any]:
        """Return what ``--json`` tells of them."""
        return {
            "n_recordings": len(self.files),
            "seconds": self.seconds,
            "bundled": self.bundled,
        }

    def centered(self) -> list[np.ndarray]:
        """Return the recordings without their offsets."""
        return [centered(recording) for recording in self.recordings]


def load_source(kind: str, path: Path, sample_rate: int) -> Source:
    """Read a recording, or all of them below a folder; errors name the file."""
    if path.is_file():
        recording, _ = read_audio(path, sample_rate, mono=True)
        return Source(kind, [path], [recording], sample_rate)
    if not path.exists():
        raise FileNotFoundError(
            f"There is no file or folder {printable(path)}; check the path."
        )
    data = load_recordings(path, sample_rate=sample_rate)
    files = [path / name for name in data.names]
    return Source(kind, files, data.recordings, sample_rate)


def bundled_source(sample_rate: int) -> Source:
    """Return the voices that come with the package."""
    recordings = bundled_speech(sample_rate)
    files = [Path(f"bundled utterance {i + 1}") for i in range(len(recordings))]
    return Source("speech", files, recordings, sample_rate, bundled=True)


def describe(speech: Source, noise: Source) -> str:
    """Say how much there is of both, and where speech is from if the user gave none."""
    amounts = [
        f"{len(source.files)} recording{'s' * (len(source.files) > 1)} of {source.kind} "
        f"({source.seconds / 60:.1f} minutes)"
        for source in (speech, noise)
    ]
    if speech.bundled:
        return (
            f"Found {amounts[1]}; speech is that of the package, {amounts[0]}, as --speech was "
            "not given."
        )
    return f"Found {' and '.join(amounts)}."


def complaints(speech: Source, noise: Source) -> list[str]:
    """Return what makes it hard to learn from them, in sentences."""
    digests = {_digest(recording) for recording in noise.recordings}
    shared = [
        file
        for file, recording in zip(speech.files, speech.recordings)
        if _digest(recording) in digests
    ]
    found = []
    if shared:
        n_others = len(shared) - 1
        others = f", and {n_others} other{'s' * (n_others > 1)}" if n_others else ""
        found.append(
            f"{printable(shared[0])}{others}: in the folder of speech as well as in that of "
            "noise; a model cannot tell apart what is the same, so give separate folders"
        )
    for source in (speech, noise):
        if source.seconds < _FEW_SECONDS:
            found.append(
                f"there are only {source.seconds:.1f} s of {source.kind}; use at least half a "
                "minute, better some minutes"
            )
    return found


@contextmanager
def files_named(*sources: Source) -> Iterator[None]:
    """Let errors name the files that they call speech[i] and noise[i]."""
    files = {source.kind: source.files for source in sources}
    try:
        yield
    except ValueError as error:
        text = re.sub(
            r"\b(speech|noise)\[(\d+)\]",
            lambda match: printable(files[match[1]][int(match[2])]),
            str(error),
        )
        raise ValueError(text) from error


def _digest(recording: np.ndarray) -> bytes:
    return hashlib.blake2b(recording.tobytes()).digest()
