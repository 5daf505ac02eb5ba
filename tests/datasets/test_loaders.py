from pathlib import Path

import numpy as np
import pytest

import skunfold.datasets
from skunfold.audio.io import write_audio
from skunfold.datasets import load_bundled_recordings, load_recordings

DATA = Path(skunfold.datasets.__file__).parent / "data"


@pytest.mark.parametrize(("subset", "n_speech", "n_noise"), [("train", 13, 5), ("test", 5, 3)])
def test_bundled_recordings(subset, n_speech, n_noise):
    data = load_bundled_recordings(subset)
    assert len(data.speech) == len(data.speech_names) == n_speech
    assert len(data.noise) == len(data.noise_names) == n_noise
    assert data.sample_rate == 16000
    for waveform in data.speech + data.noise:
        assert waveform.dtype == np.float32
        assert waveform.ndim == 1
        assert len(waveform) > 3 * 16000
        assert 0.0 < np.abs(waveform).max() <= 1.1
    assert data.speech_names == sorted(data.speech_names)


def test_every_bundled_file_has_a_licence():
    lines = (DATA / "MANIFEST.tsv").read_text(encoding="utf-8").splitlines()
    header = lines[0].split("\t")
    rows = [dict(zip(header, line.split("\t"))) for line in lines[1:]]
    files = {p.relative_to(DATA).as_posix() for p in DATA.glob("*/*/*")}
    assert {row["file"] for row in rows} == files
    assert {row["license"] for row in rows} == {"CC-BY-3.0", "CC0-1.0"}
    description = load_bundled_recordings("test").DESCR
    for row in rows:
        assert row["file"] in description
        assert f"{row['package']} {row['version']} | {row['license']}" in description
    assert sum(p.stat().st_size for p in DATA.rglob("*") if p.is_file()) < 3.5e6


def test_bundled_recordings_at_another_rate():
    data = load_bundled_recordings("test", sample_rate=8000)
    full = load_bundled_recordings("test")
    assert data.sample_rate == 8000
    assert [len(x) for x in data.speech] == [(len(x) + 1) // 2 for x in full.speech]


def test_bad_subset_is_refused():
    with pytest.raises(ValueError, match=r"subset must be .* got 'valid'"):
        load_bundled_recordings("valid")


def test_load_recordings(tmp_path):
    (tmp_path / "b" / "deep").mkdir(parents=True)
    level = np.full(800, 0.25)
    write_audio(tmp_path / "b" / "deep" / "x.FLAC", level, 8000)
    write_audio(tmp_path / "b" / "y.wav", np.stack([level, -level], axis=1), 8000)
    write_audio(tmp_path / "a.Ogg", level, 8000)
    (tmp_path / "._a.wav").write_bytes(b"not audio")
    (tmp_path / ".Trash").mkdir()
    write_audio(tmp_path / ".Trash" / "old.wav", level, 8000)
    (tmp_path / "notes.txt").write_text("not audio")
    (tmp_path / "folder.wav").mkdir()
    data = load_recordings(str(tmp_path), sample_rate=16000)
    assert data.names == ["a.Ogg", "b/deep/x.FLAC", "b/y.wav"]
    assert data.sample_rate == 16000
    assert [x.shape for x in data.recordings] == [(1600,)] * 3
    assert {x.dtype for x in data.recordings} == {np.dtype("float32")}
    np.testing.assert_allclose(data.recordings[2], 0.0, atol=1e-4)


def test_bad_folders_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere"):
        load_recordings(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match=r"file is a file; name the folder"):
        load_recordings(tmp_path / "file")
    with pytest.raises(ValueError, match=r"holds no recording \(\.wav, "):
        load_recordings(tmp_path)
    (tmp_path / "bad.wav").write_text("no audio")
    with pytest.raises(ValueError, match=r"bad\.wav cannot be read as audio"):
        load_recordings(tmp_path)
    with pytest.raises(ValueError, match="sample_rate must be a positive integer"):
        load_recordings(tmp_path, sample_rate=0)
