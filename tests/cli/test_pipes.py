"""``skunfold enhance`` with stdin and stdout."""

import io
import os
import struct
import subprocess
import sys
import types

import numpy as np
import pytest
import soundfile

from skunfold.audio import resample
from skunfold.cli import main, pipes
from skunfold.model_files import load_model


class Pipe(io.RawIOBase):
    """A stream that cannot seek, and gives a few bytes at a time."""

    def __init__(self, data, most=5001):
        self._data, self._most = io.BytesIO(data), most

    def readable(self):
        return True

    def readinto(self, buffer):
        data = self._data.read(min(len(buffer), self._most))
        buffer[: len(data)] = data
        return len(data)


@pytest.fixture
def pipe(monkeypatch, recordings):
    """Run ``skunfold enhance`` with bytes as stdin; return its exit code and stdout."""

    def run(data, source="-", target="-", options=()):
        stdin = types.SimpleNamespace(
            buffer=io.BufferedReader(Pipe(data)), isatty=lambda: False
        )
        stdout = io.TextIOWrapper(io.BytesIO())
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", stdin)
            patch.setattr(sys, "stdout", stdout)
            code = main(["enhance", "-m", recordings.model, source, "-o", target, *options])
        return code, stdout.buffer.getvalue()

    return run


def wav(waveform, rate=16000, subtype="PCM_16", format="WAV"):
    file = io.BytesIO()
    soundfile.write(file, waveform, rate, subtype, format=format)
    return file.getvalue()


def enhanced(recordings, data, subtype="PCM_16"):
    """Return what `SpeechEnhancer.enhance_file` makes of a file, as 16-bit integers."""
    target = io.BytesIO()
    load_model(recordings.model).enhance_file(io.BytesIO(data), target, subtype=subtype)
    return soundfile.read(io.BytesIO(target.getvalue()), dtype="int16")


@pytest.mark.parametrize(
    ("rate", "format", "subtype"),
    [
        (16000, "WAV", "PCM_16"),
        (16000, "WAV", "FLOAT"),
        (16000, "WAV", "PCM_U8"),
        (16000, "WAV", "ULAW"),
        (8000, "WAVEX", "PCM_24"),
        (44100, "WAV", "PCM_16"),
        (48000, "WAV", "DOUBLE"),
    ],
)
def test_a_pipe_gives_what_a_file_gives(rate, format, subtype, pipe, recordings, waveforms):
    left = resample(waveforms.speech[0], 16000, rate)
    stereo = np.stack([left, 0.5 * left[::-1]], axis=1)
    data = wav(stereo, rate, subtype, format)
    code, output = pipe(data)
    assert code == 0
    expected, _ = enhanced(recordings, data)
    result, result_rate = soundfile.read(io.BytesIO(output))
    assert (result.shape, result_rate) == (stereo.shape, rate)
    written = soundfile.info(io.BytesIO(output)).subtype
    assert written == ("PCM_16" if subtype == "ULAW" else subtype)
    difference = np.abs(result * 32768 - expected)
    assert difference.max() <= (256 if subtype == "PCM_U8" else 1.01)  # the last bit
    assert np.abs(expected).max() > 500
    riff, data_size = struct.unpack("<I", output[4:8]), struct.unpack("<I", output[40:44])
    assert (riff[0], data_size[0]) == (len(output) - 8, len(output) - 44)


def test_floating_point_streams_keep_their_level(pipe, waveforms, capsys):
    code, output = pipe(wav(20 * waveforms.speech[0], subtype="FLOAT"))
    assert (code, len(output)) == (0, 44 + 32000)
    assert np.abs(soundfile.read(io.BytesIO(output))[0]).max() > 1.0
    assert capsys.readouterr().err == ""


def test_subtypes_that_a_pipe_cannot_have(pipe, waveforms, capsys):
    code, output = pipe(wav(waveforms.speech[0]), options=["--subtype", "VORBIS"])
    assert (code, output) == (1, b"")
    assert "subtype must be one of PCM_U8, PCM_16" in capsys.readouterr().err


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0xFFFFFFFF])
def test_a_stream_of_unknown_length(size, pipe, recordings, waveforms):
    data = wav(waveforms.speech[0])
    code, output = pipe(data[:40] + struct.pack("<I", size) + data[44:])
    assert code == 0
    expected, _ = enhanced(recordings, data)
    assert output[40:44] == struct.pack("<I", 0xFFFFFFFF)
    np.testing.assert_array_equal(np.frombuffer(output[44:], "<i2"), expected)
    again, _ = soundfile.read(io.BytesIO(output), dtype="int16")
    assert len(again) == len(expected)


def test_other_chunks_are_passed_over(pipe, recordings, waveforms):
    data = wav(waveforms.speech[0])
    code, output = pipe(
        data[:36] + b"LIST\x03\x00\x00\x00abc\x00" + data[36:] + b"id3 \0\0\0\0"
    )
    assert code == 0
    np.testing.assert_array_equal(
        np.frombuffer(output[44:], "<i2"), enhanced(recordings, data)[0]
    )


@pytest.mark.parametrize("kind", ["ID3", "two ID3", "RF64", "RF64 of unknown length"])
def test_what_files_may_begin_with(kind, pipe, recordings, waveforms):
    data = wav(waveforms.speech[0], format="RF64" if "RF64" in kind else "WAV")
    expected, _ = enhanced(recordings, data)
    if "unknown" in kind:
        data = data[:20] + bytes(24) + data[44:]
    if "ID3" in kind:
        tag = b"ID3\x04\0\0\0\0\x02\x03" + bytes(2 * 128 + 3)
        data = (2 if "two" in kind else 1) * tag + data
    code, output = pipe(data)
    assert code == 0
    np.testing.assert_array_equal(np.frombuffer(output[44:], "<i2"), expected)
    size = 0xFFFFFFFF if "unknown" in kind else 2 * len(expected)
    assert struct.unpack("<I", output[40:44]) == (size,)


def test_the_header_of_sound_beyond_4_gib(tmp_path):
    largest = (0xFFFFFFFF - 36) // 4
    for n_frames, magic in ((largest, b"RIFF"), (largest + 1, b"RF64"), (2**34, b"RF64")):
        header = pipes._header(pipes.Wave(16000, 2, "PCM_U8", 2, 2 * n_frames), "PCM_16")
        assert header[:4] == magic
        file = tmp_path / "long.wav"
        with open(file, "wb") as stream:
            stream.write(header)
            stream.truncate(len(header) + 4 * n_frames)  # a hole, which takes no room
        with soundfile.SoundFile(file) as sound:
            assert (sound.frames, sound.channels, sound.samplerate) == (n_frames, 2, 16000)


def test_stdin_to_a_file_and_a_file_to_stdout(pipe, recordings, waveforms, tmp_path, capsys):
    data = wav(waveforms.speech[0], subtype="PCM_16", format="FLAC")
    expected, _ = enhanced(recordings, data)
    target = tmp_path / "out.wav"
    code, output = pipe(data, "-", str(target))
    assert (code, output) == (0, f"Wrote {target}.\n".encode())
    np.testing.assert_array_equal(soundfile.read(target, dtype="int16")[0], expected)
    (tmp_path / "in.flac").write_bytes(data)
    code, output = pipe(b"", str(tmp_path / "in.flac"), "-")
    assert (code, output) == (0, target.read_bytes())
    capsys.readouterr()
    for to, word in ((str(target), "exists"), (str(tmp_path), "no name")):
        assert pipe(data, "-", to) == (1, b"")
        assert word in capsys.readouterr().err
    assert pipe(b"text", "-", str(tmp_path / "new.wav")) == (1, b"")
    assert "stdin cannot be read as audio" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "stdin is empty"),
        (b"not a WAV file, but text", "is no WAV file"),
        (wav(np.zeros(0)), "without samples"),
        (wav(np.zeros(8))[:30], "ends within the header"),
        (wav(np.zeros(8))[:12] + b"data\x04\0\0\0abcd", "does not say its format"),
        (wav(np.zeros(8))[:20] + b"\x55\0" + wav(np.zeros(8))[22:], "of format 85"),
        (wav(np.zeros(8))[:22] + b"\0\0" + wav(np.zeros(8))[24:], "0 channels"),
        (wav(np.full(8, np.nan), subtype="FLOAT"), "NaN"),
        (wav(np.full(8, 3e38), subtype="FLOAT"), "holds a sample of size 3e+38"),
        (wav(np.zeros((8, 65))), "65 channels, more than the 64"),
        (wav(np.zeros(8))[:22] + b"\xff\xff" + wav(np.zeros(8))[24:], "65535 channels"),
        (wav(np.zeros(99), 16), "unusual sample rate: cannot resample from 16 to 16000 Hz"),
        (wav(np.zeros(99), 2**31 - 1), "unusual sample rate: cannot resample from 2147483647"),
        (wav(np.zeros(99), 1_600_000_000), "cannot resample from 16000 to 1600000000 Hz"),
        (b"RIFF\xff\xff\xff\xffWAVE" + bytes(9 << 20), "no sound in its first 8 MiB"),
        (b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + bytes(9 << 20), "no sound in its first 8 MiB"),
        (b"ID3\x04\0\0\0\0\0\x03abc", "is no WAV file"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # the data holds the time
)
def test_what_is_no_recording(data, words, pipe, capsys):
    code, output = pipe(data)
    assert (code, output) == (1, b"")
    error = capsys.readouterr().err
    assert error.startswith("skunfold: error: stdin")
    assert words in error
    assert error.count("\n") == 1


def test_a_stream_that_breaks_off(pipe, recordings, waveforms, capsys):
    data = wav(waveforms.speech[0])
    code, output = pipe(data[:-2001])
    assert code == 1
    assert len(output) == 44 + 2 * 6999
    assert "after 6999 of the 8000 samples" in capsys.readouterr().err


def test_clipped_silent_and_loud_streams(pipe, waveforms, capsys):
    for change, words in (
        (lambda x: np.clip(30 * x, -1, 1), "is clipped"),
        (lambda x: 0 * x, "is silent"),
        (lambda x: 20 * x, "beyond full scale: clipped"),
    ):
        data = wav(change(waveforms.speech[0]), subtype="FLOAT")
        code, output = pipe(data, options=["--subtype", "pcm_16"])
        assert (code, len(output)) == (0, 44 + 16000)
        assert words in capsys.readouterr().err


def test_what_comes_out_keeps_up_with_what_goes_in(recordings, waveforms):
    command = [
        sys.executable,
        "-m",
        "skunfold",
        "enhance",
        "-m",
        recordings.model,
        "-",
        "-o",
        "-",
    ]
    data = wav(resample(waveforms.noise[0], 16000, 48000), 48000)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(data[:40] + struct.pack("<I", 0xFFFFFFFF))
        size = 0
        for start in range(44, len(data), 19200):  # a fifth of a second
            process.stdin.write(data[start : start + 19200])
            process.stdin.flush()
            wanted = start + 19200 - 2 * 2400  # all but the last twentieth
            size += len(process.stdout.read(wanted - size))
            assert size == wanted
        process.stdin.close()
        size += len(process.stdout.read())
        assert process.wait(timeout=60) == 0
    assert size == len(data)


def test_a_terminal_is_no_pipe(recordings, monkeypatch, capsys):
    terminal = types.SimpleNamespace(isatty=lambda: True)
    source = str(recordings.speech / "speech0.wav")
    for stream, arguments in (("stdin", ["-", "-o", "a.wav"]), ("stdout", [source, "-o", "-"])):
        with monkeypatch.context() as patch:
            patch.setattr(sys, stream, terminal)
            assert main(["enhance", "-m", recordings.model, *arguments]) == 1
        assert f"{stream} is a terminal" in capsys.readouterr().err
    assert not os.path.exists("a.wav")
