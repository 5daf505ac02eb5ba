"""Formats of sound files: suffixes, encodings, and sizes beyond 4 GiB."""

import io

import numpy as np
import pytest
import soundfile

from skunfold.audio import formats, read_audio, write_audio
from skunfold.audio.formats import (
    can_be_read,
    can_be_written,
    choose_subtype,
    format_for_length,
    format_of,
)

X = (0.1 * np.sin(0.2 * np.arange(1600))).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "format_", "subtype"),
    [
        ("a.WAV", "WAV", "PCM_16"),
        ("a.wave", "WAV", "PCM_16"),
        ("a.aif", "AIFF", "PCM_16"),
        ("a.AIFC", "AIFF", "PCM_16"),
        ("a.snd", "AU", "PCM_16"),
        ("a.oga", "OGG", "VORBIS"),
        ("a.opus", "OGG", "OPUS"),
        ("a.caf", "CAF", "PCM_16"),
        ("a.w64", "W64", "PCM_16"),
        ("a.rf64", "RF64", "PCM_16"),
        ("a.mp3", "MP3", "MPEG_LAYER_III"),
    ],
)
def test_suffixes(tmp_path, name, format_, subtype):
    assert can_be_read(name)
    assert can_be_written(name)
    write_audio(tmp_path / name, X, 16000)
    with open(tmp_path / name, "rb") as file:
        info = soundfile.info(file)
    assert (info.format, info.subtype) == (format_, subtype)
    assert len(read_audio(tmp_path / name)[0]) == len(X)


def test_every_format_of_libsndfile_that_can_be_read_back_can_be_written():
    for format_ in soundfile.available_formats():
        named = f"x.{format_.lower()}"
        assert can_be_read(named) == (format_ != "RAW")
        assert can_be_written(named) == (format_ not in ("RAW", "SD2"))


@pytest.mark.parametrize("name", ["a.txt", "wav", "a.raw", "a.gsm", "a.vox", "a.mp2"])
def test_what_cannot_be_written(name):
    assert not can_be_written(name)
    assert can_be_read(name) == name.endswith(("gsm", "vox", "mp2"))
    with pytest.raises(ValueError, match=f"{name} has no suffix that names an audio format"):
        format_of(name)


@pytest.mark.parametrize(
    ("target", "source", "subtype"),
    [
        *((f"a.{suffix}", subtype, subtype)
          for suffix in ("wav", "rf64", "w64")
          for subtype in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")),
        ("a.aiff", "PCM_S8", "PCM_S8"),
        ("a.wav", "PCM_S8", "PCM_U8"),
        ("a.flac", "PCM_U8", "PCM_S8"),
        ("a.flac", "PCM_16", "PCM_16"),
        ("a.flac", "PCM_32", "PCM_24"),
        ("a.flac", "FLOAT", "PCM_24"),
        ("a.flac", "DOUBLE", "PCM_24"),
        ("a.ircam", "PCM_24", "PCM_32"),
        ("a.caf", "ALAC_24", "ALAC_24"),
        ("a.wav", "ALAC_20", "PCM_24"),
        ("a.ogg", "FLOAT", "VORBIS"),
        ("a.ogg", "OPUS", "OPUS"),
        ("a.opus", "VORBIS", "OPUS"),
        ("a.mp3", "PCM_24", "MPEG_LAYER_III"),
        ("a.wav", "MPEG_LAYER_III", "PCM_16"),
        ("a.wav", "ULAW", "PCM_16"),
        ("a.wav", "GSM610", "PCM_16"),
        (io.BytesIO(), "FLOAT", "FLOAT"),
        ("a.wav", None, "PCM_16"),
    ],
)  # fmt: skip
def test_the_nearest_encoding(target, source, subtype):
    assert choose_subtype(target, None, source) == subtype
    assert choose_subtype(target, subtype.lower(), "PCM_16") == subtype


def test_wav_beyond_4_gib_is_rf64():
    n = 1 << 30
    assert format_for_length("WAV", "FLOAT", n - 2000) == "WAV"
    assert format_for_length("WAV", "FLOAT", n) == "RF64"
    assert format_for_length("WAV", "PCM_16", n) == "WAV"
    assert format_for_length("WAVEX", "PCM_24", 2 * n) == "RF64"
    for format_ in ("RF64", "W64", "CAF", "FLAC"):
        assert format_for_length(format_, "PCM_24", 2 * n) == format_
    for format_ in ("AIFF", "AU"):
        with pytest.raises(ValueError, match=rf"6.0 GiB .* as {format_} PCM_24.*\.w64"):
            format_for_length(format_, "PCM_24", 2 * n)
    with pytest.raises(ValueError, match="as WAV IMA_ADPCM"):
        format_for_length("WAV", "IMA_ADPCM", 5 * n)


def test_a_recording_too_long_for_its_format(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "_LONGEST", 3000)
    for file in (tmp_path / "long.wav", io.BytesIO()):
        write_audio(file, X, 16000)
        if file != tmp_path / "long.wav":
            file.seek(0)
        info = soundfile.info(str(file) if file == tmp_path / "long.wav" else file)
        assert (info.format, info.frames) == ("RF64", len(X))
    np.testing.assert_allclose(read_audio(tmp_path / "long.wav")[0], X, atol=2**-15)
    with pytest.raises(ValueError, match=r"cannot be written as AU PCM_16"):
        write_audio(tmp_path / "long.au", X, 16000)
    assert not (tmp_path / "long.au").exists()


@pytest.mark.parametrize(("suffix", "rate"), [("htk", 44100), ("sds", 44100), ("svx", 96000)])
def test_a_rate_that_a_format_cannot_say_is_refused(tmp_path, suffix, rate):
    file = tmp_path / f"x.{suffix}"
    with pytest.raises(ValueError, match=f"cannot hold a sample rate of {rate} Hz"):
        write_audio(file, np.zeros(100) + 0.1, rate)
    assert not file.exists()


def test_sds_holds_two_million_samples():
    assert format_for_length("SDS", "PCM_16", (1 << 21) - 1) == "SDS"
    with pytest.raises(ValueError, match="SDS, which holds 2097151"):
        format_for_length("SDS", "PCM_16", 1 << 21)
