"""Reading what its header says nothing, too much or too little about; codecs; names."""

import inspect
import io
import os
import struct
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile

from skunfold.audio import read_audio, write_audio
from skunfold.audio._headers import _is_wrapped, find_sound
from skunfold.audio._recording import Recording
from skunfold.cli.meter import measure

NOISE = 0.1 * np.random.default_rng(0).normal(size=(20001, 2))
LARGEST = {"I": 0xFFFFFFFF, "Q": 2**64 - 1, "q": -1}


def encoded(format_, subtype=None, samples=NOISE):
    file = io.BytesIO()
    soundfile.write(file, samples, 16000, format=format_, subtype=subtype)
    return file.getvalue()


@pytest.mark.parametrize("name", ["file", "stream"])
@pytest.mark.parametrize(
    ("format_", "subtype"),
    [
        ("WAV", "GSM610"), ("WAV", "G721_32"), ("WAV", "NMS_ADPCM_16"), ("WAV", "NMS_ADPCM_32"),
        ("AIFF", "GSM610"), ("AU", "G721_32"), ("AU", "G723_24"), ("W64", "GSM610"),
        ("XI", "DPCM_16"), ("CAF", "ALAC_24"),
    ],
)  # fmt: skip
def test_codecs_that_cannot_seek(name, format_, subtype, tmp_path):
    samples = 0.3 * np.sin(0.05 * np.arange(8000))
    data = encoded(format_, subtype, samples)
    file = io.BytesIO(data)
    if name == "file":
        file = tmp_path / f"a.{format_.lower()}"
        file.write_bytes(data)
    waveform, _ = read_audio(file)
    assert len(waveform) >= 8000
    assert np.abs(waveform[100:7800]).max() > 0.2
    assert measure(file).n_frames == len(waveform)


@pytest.mark.parametrize(("suffix", "subtype"), [("gsm", "GSM610"), ("vox", "VOX_ADPCM")])
def test_files_without_a_header(suffix, subtype, tmp_path):
    file = tmp_path / f"a.{suffix}"
    soundfile.write(file, NOISE[:8000, 0], 8000, format="RAW", subtype=subtype)
    waveform, rate = read_audio(file)
    assert (len(waveform), rate) == (8000, 8000)


@pytest.mark.parametrize(
    "format_", ["WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "SVX", "FLAC", "OGG", "MP3"]
)
def test_files_that_are_cut_off(format_, tmp_path):
    subtype = "OPUS" if format_ == "OGG" else None
    samples = np.tile(NOISE, (8, 1))[:, : 1 if format_ == "SVX" else 2]
    data = encoded(format_, subtype, samples)
    whole, part = tmp_path / "whole.dat", tmp_path / "part.dat"
    whole.write_bytes(data)
    part.write_bytes(data[: len(data) * 3 // 4])
    expected, _ = read_audio(whole)  # without a warning
    with pytest.warns(UserWarning, match=r"part\.dat is cut off: "):
        waveform, _ = read_audio(part)
    assert 0.55 < len(waveform) / len(expected) < 0.76
    n_same = len(waveform) - 2000  # the last frame of a lossy codec needs the next one
    np.testing.assert_allclose(waveform[:n_same], expected[:n_same], atol=1e-5)
    meter = measure(part)
    assert meter.seconds == len(waveform) / 16000
    assert measure(whole).seconds == len(expected) / 16000


def test_reading_in_blocks_changes_nothing():
    data = encoded("MP3", samples=np.tile(NOISE, (3, 1)))
    with Recording(io.BytesIO(data)) as recording:
        blocks = list(recording.blocks(777))
    np.testing.assert_allclose(
        np.concatenate(blocks), read_audio(io.BytesIO(data))[0], atol=1e-6
    )


def unfinished(format_, samples, field, value):
    """Return a file whose header says a size that its writer did not know."""
    data = bytearray(encoded(format_, samples=samples))
    name, offset, kind = field
    place = data.index(name) + offset
    if value == "largest":
        value = LARGEST[kind[1]]
    data[place : place + struct.calcsize(kind)] = struct.pack(kind, value)
    return bytes(data)


@pytest.mark.parametrize("samples", [NOISE, 0 * NOISE], ids=["noise", "silence"])
@pytest.mark.parametrize(
    ("format_", "field", "value"),
    [
        ("WAV", (b"data", 4, "<I"), 0),
        ("WAV", (b"data", 4, "<I"), "largest"),
        ("WAV", (b"data", 4, "<I"), 0x7FFFF000),
        ("WAVEX", (b"data", 4, "<I"), 0),
        ("RF64", (b"ds64", 16, "<Q"), 0),
        ("RF64", (b"ds64", 16, "<Q"), "largest"),
        ("AIFF", (b"SSND", 4, ">I"), 0),
        ("AIFF", (b"SSND", 4, ">I"), 8),
        ("AIFF", (b"SSND", 4, ">I"), "largest"),
        ("AU", (b".snd", 8, ">I"), 0),
        ("AU", (b".snd", 8, ">I"), "largest"),
        ("W64", (b"data", 16, "<Q"), 0),
        ("W64", (b"data", 16, "<Q"), 24),
        ("W64", (b"data", 16, "<Q"), 2**63 - 1),
        ("CAF", (b"data", 4, ">q"), 0),
        ("CAF", (b"data", 4, ">q"), "largest"),
    ],
)
def test_headers_that_know_no_size(format_, field, value, samples, tmp_path):
    data = unfinished(format_, samples, field, value)
    (tmp_path / "a.wav").write_bytes(data)
    for file in (io.BytesIO(data), tmp_path / "a.wav"):
        waveform, _ = read_audio(file)
        np.testing.assert_allclose(waveform, samples, atol=2**-15)


@pytest.mark.parametrize("riff", [0, 8, 36, 0xFFFFFFFF])
def test_wav_of_a_recorder_that_lost_its_power(riff):
    data = bytearray(encoded("WAV"))
    data[4:8], data[40:44] = struct.pack("<I", riff), bytes(4)
    assert len(read_audio(io.BytesIO(data))[0]) == len(NOISE)
    tagged = b"ID3\x04\x00\x00\x00\x00\x00\x0a" + bytes(10) + bytes(data)
    assert len(read_audio(io.BytesIO(tagged))[0]) == len(NOISE)


def test_an_empty_recording_with_a_note_stays_empty():
    data = encoded("WAV", samples=NOISE[:0]) + b"LIST\x06\x00\x00\x00abcdef"
    with pytest.raises(ValueError, match="holds no samples"):
        read_audio(io.BytesIO(data))


def sparse(file, size, n_bytes, tail=b""):
    """Write a WAV file with so many bytes of silence, of which the header says `size`."""
    head = bytearray(encoded("WAV", samples=NOISE[:0]))
    head[40:44] = struct.pack("<I", size)
    with open(file, "wb") as stream:
        stream.write(head)
        stream.truncate(44 + n_bytes)
        stream.seek(44 + n_bytes)
        stream.write(tail)


@pytest.mark.skipif(sys.platform != "linux", reason="needs sparse files")
def test_long_streams(tmp_path):
    file = tmp_path / "a.wav"
    for size in (0, 0x7FFFF000, 0xFFFFFFFF):
        for gib in (3, 5):
            sparse(file, size, gib << 30)
            with Recording(file) as recording:
                assert recording._source.frames == gib << 28
                assert len(next(recording.blocks(1000))) == 1000
                assert recording._sound.announced is None
    for tail in (b"", b"LIST\x06\x00\x00\x00abcdef"):  # of which the size is known
        sparse(file, 3 << 30, 3 << 30, tail)
        with open(file, "rb") as stream:
            assert find_sound(stream).announced == 3 << 30


def test_hostile_sizes_end_the_search():
    chunks = b"RIFF\xff\xff\xff\xffWAVE" + b"junk\x00\x00\x00\x00" * 100_000
    assert find_sound(io.BytesIO(chunks)) is None
    for size in (2**63 - 1, -1):
        data = b"caff\x00\x01\x00\x00" + b"free" + struct.pack(">q", size)
        assert find_sound(io.BytesIO(data + bytes(100))) is None


def test_too_many_channels():
    data = encoded("WAV", samples=np.zeros((100, 65)))
    with pytest.raises(ValueError, match=r"has 65 channels, more than the 64"):
        read_audio(io.BytesIO(data))


@pytest.mark.skipif(os.name != "posix", reason="names are not bytes there")
def test_names_that_are_not_utf8(tmp_path):
    file = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav")
    write_audio(file, NOISE, 16000)
    for name in (file, Path(file)):
        assert len(read_audio(name)[0]) == len(NOISE)
        assert measure(Path(name)).n_frames == len(NOISE)
    data = Path(file).read_bytes()
    Path(file).write_bytes(data[:-100])
    with pytest.warns(UserWarning, match=r"caf\\udce9\.wav is cut off"):
        read_audio(file)
    Path(file).write_bytes(b"not audio")
    with pytest.raises(ValueError, match=r"caf\\udce9\.wav cannot be read as audio"):
        read_audio(file)


def test_a_file_is_closed_where_it_cannot_be_read(tmp_path):
    (tmp_path / "a.wav").write_bytes(encoded("WAV")[:43])
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        with pytest.raises(ValueError, match=r"a\.wav"):
            read_audio(tmp_path / "a.wav")


@pytest.mark.skipif(
    "bitrate_mode" not in inspect.signature(soundfile.write).parameters,
    reason="soundfile before 0.13 writes no variable bit rate",
)
def test_mp3_whose_length_cannot_be_told(tmp_path):
    loud = 0.1 * np.random.default_rng(0).normal(size=160000)
    samples = np.concatenate([loud, 1e-3 * loud])
    file = io.BytesIO()
    soundfile.write(
        file, samples, 16000, format="MP3", bitrate_mode="VARIABLE", compression_level=0.5
    )
    data = file.getvalue()
    assert len(read_audio(io.BytesIO(data))[0]) == len(samples)
    first_frame = data.index(data[:2], 4)  # behind the one that says how many there are
    (tmp_path / "a.mp3").write_bytes(data[first_frame:])
    with pytest.warns(UserWarning, match=r"a\.mp3 does not say how long it is, and only its"):
        waveform, _ = read_audio(tmp_path / "a.mp3")
    assert len(waveform) < len(samples)


@pytest.mark.parametrize("size", [10, 5000, 100_000])
def test_a_tag_costs_no_samples(size):
    file = io.BytesIO()
    soundfile.write(file, np.arange(16000) / 20000, 16000, format="WAV", subtype="FLOAT")
    digits = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    tagged = b"ID3\x04\0\0" + digits + bytes(size) + file.getvalue()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        waveform, _ = read_audio(io.BytesIO(tagged))
    assert len(waveform) == 16000
    np.testing.assert_allclose(waveform[-1], 15999 / 20000, rtol=1e-6)


@pytest.mark.parametrize(
    ("there", "announced"), [(5 << 30, 1 << 30), ((5 << 30) + 100, 1 << 30)]
)
def test_a_size_that_was_wrapped_is_not_believed(there, announced):
    assert _is_wrapped(announced, there)
    assert not _is_wrapped(announced, 2 << 30)
    assert not _is_wrapped(announced, (4 << 30) + (1 << 20))
