"""``--noise-sample`` and ``--sample-components``."""

import io
import sys

import numpy as np
import pytest
import soundfile

from skunfold.audio import read_audio, write_audio
from skunfold.cli import main
from skunfold.model_files import load_model


@pytest.fixture(scope="module")
def model(recordings, tmp_path_factory):
    """A model that takes samples."""
    file = tmp_path_factory.mktemp("sampled") / "any.model"
    train = ["train", *recordings.sources, "-o", str(file), *recordings.small]
    assert main([*train, "--sample-components", "3"]) == 0
    return file


def test_a_model_is_trained_with_samples(model):
    enhancer = load_model(model)
    assert enhancer.n_sample_components == 3
    assert len(enhancer.sample_gains_) == 3  # of bases, projections and output bases


def test_info_says_that_a_model_takes_samples(recordings, model, capsys):
    assert main(["info", str(model)]) == 0
    assert "from a sample     3\n" in capsys.readouterr().out
    assert main(["info", recordings.model]) == 0
    assert "from a sample" not in capsys.readouterr().out


@pytest.mark.parametrize("rate", [16000, 48000, 8000])
def test_recordings_are_denoised_with_a_sample(recordings, model, rate, tmp_path, capsys):
    sample = tmp_path / "sample.wav"
    waveform, _ = read_audio(recordings.noise / "noise0.wav", rate)
    write_audio(sample, waveform, rate)
    source, target = recordings.speech / "speech0.wav", tmp_path / "out.wav"
    enhance = ["enhance", "-m", str(model), str(source), "-o", str(target), "--overwrite"]
    assert main([*enhance, "--noise-sample", str(sample)]) == 0
    warned = "has a sample rate of 8000 Hz, so it holds no noise above 4000 Hz"
    assert (f"{sample} {warned}" in capsys.readouterr().err) == (rate == 8000)
    output, _ = read_audio(target)
    noisy, _ = read_audio(source)
    at_its_rate, _ = read_audio(sample, 16000)
    expected = load_model(model).enhance(noisy, noise_sample=at_its_rate)
    np.testing.assert_allclose(output, expected, atol=1e-4)
    assert main(enhance) == 0
    assert not np.array_equal(read_audio(target)[0], output)


def test_a_pipe_is_denoised_with_a_sample(recordings, model, tmp_path, monkeypatch):
    source = recordings.speech / "speech0.wav"
    sample = ["--noise-sample", str(recordings.noise / "noise0.wav")]
    assert main(["enhance", "-m", str(model), str(source), "-o", str(tmp_path), *sample]) == 0
    stdin, stdout = (io.TextIOWrapper(io.BytesIO(b)) for b in (source.read_bytes(), b""))
    monkeypatch.setattr(sys, "stdin", stdin)
    monkeypatch.setattr(sys, "stdout", stdout)
    assert main(["enhance", "-m", str(model), "-", "-o", "-", *sample]) == 0
    output, _ = soundfile.read(io.BytesIO(stdout.buffer.getvalue()), dtype="float32")
    np.testing.assert_allclose(output, read_audio(tmp_path / "speech0.wav")[0], atol=1e-4)


def test_a_model_without_samples_says_so(recordings, assert_one_sentence, tmp_path):
    source = str(recordings.speech / "speech0.wav")
    enhance = ["enhance", "-m", recordings.model, source, "-o", str(tmp_path / "out.wav")]
    assert main([*enhance, "--noise-sample", source]) == 1
    assert_one_sentence(recordings.model, "takes no --noise-sample", "--sample-components")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("samples", "word"),
    [(np.zeros(8000, np.float32), "is silent"), (np.ones(100, np.float32), "has 100 samples")],
)
def test_files_that_are_no_samples(
    recordings, model, samples, word, tmp_path, assert_one_sentence
):
    file, target = tmp_path / "sample.wav", tmp_path / "out.wav"
    write_audio(file, samples, 16000)
    enhance = [
        "enhance",
        "-m",
        str(model),
        str(recordings.speech / "speech0.wav"),
        "-o",
        str(target),
    ]
    assert main([*enhance, "--noise-sample", str(file)]) == 1
    assert_one_sentence(file, word)
    assert main([*enhance, "--noise-sample", str(tmp_path / "none.wav")]) == 1
    assert_one_sentence("none.wav")
    assert not target.exists()
