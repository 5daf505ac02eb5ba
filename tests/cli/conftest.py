"""Recordings of half a second, and a model of a few bases trained on them."""

from types import SimpleNamespace

import numpy as np
import pytest

from skunfold.audio import write_audio
from skunfold.cli import main

SMALL = ["--layers", "2", "--components", "3", "--context", "2", "--epochs", "2"]


def make_speech(rng, n_samples=8000):
    """Tones that come and go."""
    time = np.arange(n_samples) / 16000
    tone = np.sin(2 * np.pi * rng.uniform(200, 400) * time)
    return (0.1 * tone * (1 + np.sin(2 * np.pi * 4 * time))).astype(np.float32)


def make_noise(rng, n_samples=16000):
    return (0.1 * rng.standard_normal(n_samples)).astype(np.float32)


@pytest.fixture(scope="session")
def waveforms():
    """Two waveforms of speech, and two of noise."""
    rng = np.random.default_rng(0)
    return SimpleNamespace(
        speech=[make_speech(rng) for _ in range(2)],
        noise=[make_noise(rng) for _ in range(2)],
        sample_rate=16000,
    )


@pytest.fixture(scope="session")
def recordings(tmp_path_factory, waveforms):
    """Two folders of recordings, what to tell the commands of them, and a model."""
    folder = tmp_path_factory.mktemp("recordings")
    for name in ("speech", "noise"):
        (folder / name).mkdir()
        for i, waveform in enumerate(getattr(waveforms, name)):
            write_audio(folder / name / f"{name}{i}.wav", waveform, 16000)
    model = str(folder / "model")
    sources = ["--speech", str(folder / "speech"), "--noise", str(folder / "noise")]
    assert main(["train", *sources, "-o", model, *SMALL]) == 0
    return SimpleNamespace(
        folder=folder,
        speech=folder / "speech",
        noise=folder / "noise",
        sources=sources,
        model=model,
        small=SMALL,
    )


@pytest.fixture
def assert_one_sentence(capsys):
    """Check that a command has said one sentence on stderr, and nothing else."""

    def check(*words):
        output = capsys.readouterr()
        assert output.out == ""
        *stages, sentence = output.err.splitlines()
        assert all(stage.startswith("[") for stage in stages)
        assert sentence.startswith("skunfold: error: ")
        for word in words:
            assert str(word) in sentence

    return check
