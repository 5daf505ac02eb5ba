"""Where there is no room for a new file, the old one stays whole, and an error says so."""

import contextlib
import errno
import io
import os
import sys
import tempfile

import numpy as np
import pytest
import soundfile

from skunfold import DeepNMFRegressor, _storage
from skunfold.audio import SpeechEnhancer, read_audio, write_audio
from skunfold.cli import main
from skunfold.model_files import load_model, save_model

resource = pytest.importorskip("resource")
SAMPLES = np.random.default_rng(0).uniform(-0.5, 0.5, 20_000).astype(np.float32)


@contextlib.contextmanager
def disk_of(n_bytes):
    """Let no file grow beyond a number of bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture(scope="module")
def enhancer():
    regressor = DeepNMFRegressor(2, n_layers=2, output="mask", max_iter=1, random_state=0)
    enhancer = SpeechEnhancer(regressor, n_context=2, random_state=0)
    return enhancer.fit([SAMPLES], [SAMPLES / 2])


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "aiff", "mp3", "w64"])
@pytest.mark.parametrize("missing", [1, 300, 2000, "all"])
def test_recordings(suffix, missing, tmp_path):
    if suffix.upper() not in soundfile.available_formats():
        pytest.skip(f"this libsndfile writes no {suffix}")
    file = tmp_path / f"sound.{suffix}"
    write_audio(file, SAMPLES, 16000)
    size = file.stat().st_size
    write_audio(file, SAMPLES[:999], 16000)
    before = file.read_bytes()
    with (
        disk_of(0 if missing == "all" else size - missing),
        pytest.raises(OSError, match="too"),
    ):
        write_audio(file, SAMPLES, 16000)
    assert file.read_bytes() == before
    assert os.listdir(tmp_path) == [file.name]
    write_audio(file, SAMPLES, 16000)
    assert file.stat().st_size == size


def test_streams_that_fail(tmp_path):
    file = tmp_path / "sound.wav"
    write_audio(file, SAMPLES, 16000)
    size = file.stat().st_size
    with open(file, "wb", buffering=0) as stream:
        with disk_of(size - 1), pytest.raises(OSError, match="too large"):
            write_audio(stream, SAMPLES, 16000)
        stream.seek(0)
        write_audio(stream, SAMPLES, 16000)
    assert file.stat().st_size == size
    with open(file, "rb") as stream, pytest.raises(OSError, match="write"):
        write_audio(stream, SAMPLES, 16000)


def test_new_files_name_the_target(tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=r"Input/output error: .*[/\\]sound.wav'$"):
        write_audio(tmp_path / "sound.wav", SAMPLES, 16000)
    with pytest.raises(OSError, match=r"Input/output error: .*[/\\]model'$"):
        save_model(DeepNMFRegressor(), tmp_path / "model")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("missing", [1, 5000, "all"])
def test_models(missing, enhancer, tmp_path):
    save_model(enhancer, tmp_path / "model")
    size = (tmp_path / "model").stat().st_size
    save_model(DeepNMFRegressor(n_layers=3), tmp_path / "model")
    with (
        disk_of(0 if missing == "all" else size - missing),
        pytest.raises(OSError, match="too"),
    ):
        save_model(enhancer, tmp_path / "model")
    assert load_model(tmp_path / "model").n_layers == 3
    assert os.listdir(tmp_path) == ["model"]


def test_the_command_line(enhancer, tmp_path, capsys):
    save_model(enhancer, tmp_path / "model")
    write_audio(tmp_path / "in.wav", SAMPLES, 16000)
    write_audio(tmp_path / "out.wav", SAMPLES[:999], 16000)
    names = sorted(os.listdir(tmp_path))
    arguments = ["enhance", "-fm", *(str(tmp_path / name) for name in ("model", "in.wav"))]
    for room in (0, 5000):
        with disk_of(room):
            assert main([*arguments, "-o", str(tmp_path / "out.wav")]) == 1
        said = capsys.readouterr().err.splitlines()[-1]
        assert said == f"skunfold: error: {tmp_path / 'out.wav'}: File too large"
    assert read_audio(tmp_path / "out.wav")[0].shape == (999,)
    assert sorted(os.listdir(tmp_path)) == names


@pytest.mark.parametrize(("source", "target"), [("-", "out.wav"), ("in.wav", "-")])
def test_a_full_temporary_folder(source, target, enhancer, tmp_path, monkeypatch, capsys):
    save_model(enhancer, tmp_path / "model")
    write_audio(tmp_path / "in.wav", SAMPLES, 16000)
    monkeypatch.chdir(tmp_path)
    stdin = io.TextIOWrapper(io.BytesIO((tmp_path / "in.wav").read_bytes()))
    stdout = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdin", stdin)
    monkeypatch.setattr(sys, "stdout", stdout)
    monkeypatch.setattr(_storage, "_IN_MEMORY", 1000)
    with disk_of(5000):
        assert main(["enhance", "-m", "model", source, "-o", target]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == f"skunfold: error: {tempfile.gettempdir()}: File too large"
    assert (sorted(os.listdir()), stdout.buffer.getvalue()) == (["in.wav", "model"], b"")


def test_who_may_read_a_file_stays_as_it_was(tmp_path):
    file = tmp_path / "private.wav"
    write_audio(file, SAMPLES, 16000)
    file.chmod(0o600)
    write_audio(file, SAMPLES / 2, 16000)
    assert file.stat().st_mode & 0o777 == 0o600
