import io
import os
import warnings

import numpy as np
import pytest
import soundfile

from skunfold.audio import _recording
from skunfold.audio.io import read_audio, resample, write_audio


def tone(n_samples=1600, n_channels=1, rate=16000, dtype=np.float32):
    phase = 2 * np.pi * 440.0 * np.arange(n_samples) / rate
    waveform = np.stack([0.5 * np.sin(phase + k) for k in range(n_channels)], axis=1)
    return waveform.astype(dtype)[:, 0] if n_channels == 1 else waveform.astype(dtype)


@pytest.mark.parametrize("n_channels", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("suffix", "subtype", "tolerance"),
    [
        (".wav", None, 2**-15),
        (".wav", "PCM_24", 2**-22),
        (".wav", "FLOAT", 1e-7),
        (".FLAC", None, 2**-15),
        (".ogg", None, 0.1),
    ],
)
def test_round_trip(tmp_path, n_channels, dtype, suffix, subtype, tolerance):
    waveform = tone(n_channels=n_channels, dtype=dtype)
    file = tmp_path / f"tone{suffix}"
    write_audio(file, waveform, 16000, subtype=subtype)
    back, rate = read_audio(str(file), dtype=dtype)
    assert rate == 16000
    assert back.dtype == dtype
    assert back.shape == waveform.shape
    np.testing.assert_allclose(back, waveform, atol=tolerance)
    assert os.listdir(tmp_path) == [file.name]


def test_a_long_recording_is_written_in_blocks(tmp_path):
    waveform = np.random.default_rng(0).uniform(-0.5, 0.5, 150000).astype("float32")
    write_audio(tmp_path / "long.wav", waveform, 16000, subtype="FLOAT")
    np.testing.assert_array_equal(read_audio(tmp_path / "long.wav")[0], waveform)
    write_audio(tmp_path / "long.ogg", waveform, 16000)
    assert read_audio(tmp_path / "long.ogg")[0].shape == waveform.shape


def test_streams():
    stream = io.BytesIO()
    write_audio(stream, tone(), np.int64(16000), subtype="FLOAT")
    stream.seek(0)
    assert soundfile.info(stream).format == "WAV"
    stream.seek(0)
    np.testing.assert_array_equal(read_audio(stream)[0], tone())
    assert not stream.closed


def test_mono_and_resampling(tmp_path):
    waveform = tone(n_samples=4410, n_channels=2, rate=44100)
    write_audio(tmp_path / "stereo.wav", waveform, 44100, subtype="FLOAT")
    mono, rate = read_audio(tmp_path / "stereo.wav", 16000, mono=True)
    assert (mono.shape, mono.dtype, rate) == ((1600,), np.float32, 16000)
    np.testing.assert_allclose(
        mono[100:-100], tone(n_channels=2).mean(axis=1)[100:-100], atol=2e-3
    )
    both, _ = read_audio(tmp_path / "stereo.wav", 16000)
    np.testing.assert_allclose(both.mean(axis=1), mono, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("source", "target"), [(8000, 16000), (48000, 16000), (16000, 44100)])
def test_resample_keeps_a_tone(dtype, source, target):
    resampled = resample(tone(source // 10, 2, source, dtype), source, target)
    assert resampled.dtype == dtype
    assert resampled.shape == (target // 10, 2)
    inner = slice(target // 50, -target // 50)
    expected = tone(target // 10, 2, target, dtype)
    np.testing.assert_allclose(resampled[inner], expected[inner], atol=2e-3)


def test_resample_to_the_same_rate_copies():
    waveform = tone()
    same = resample(waveform, 16000, 16000)
    np.testing.assert_array_equal(same, waveform)
    assert not np.shares_memory(same, waveform)


def test_a_file_that_is_cut_off_is_read_with_a_warning(tmp_path):
    file, part = tmp_path / "tone.wav", tmp_path / "part.wav"
    write_audio(file, tone(), 16000)
    whole = file.read_bytes()
    part.write_bytes(whole[:-1200])
    with pytest.warns(UserWarning, match=r"part.wav is cut off: .* 3200 .* 2000") as record:
        waveform, _ = read_audio(part)
    assert record[0].filename == __file__
    np.testing.assert_array_equal(waveform, read_audio(file)[0][:1000])


@pytest.mark.parametrize("size", [0x7FFFF000, 0xFFFFFFFF])
def test_a_file_that_was_a_stream_is_no_reason_to_warn(tmp_path, size):
    file = tmp_path / "tone.wav"
    write_audio(file, tone(), 16000)
    whole = file.read_bytes()
    place = whole.index(b"data") + 4
    file.write_bytes(whole[:place] + size.to_bytes(4, "little") + whole[place + 4 :])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(read_audio(file)[0]) == 1600


@pytest.mark.parametrize("subtype", [None, "PCM_24"])
def test_what_would_clip_is_scaled_down(tmp_path, subtype):
    waveform = 3.96 * tone(n_channels=2)
    peak = np.abs(waveform).max()
    decibels = f"{20 * np.log10(peak / 0.99):.1f} dB lower"
    with pytest.warns(UserWarning, match=decibels) as record:
        write_audio(tmp_path / "loud.wav", waveform, 16000, subtype=subtype)
    assert record[0].filename == __file__
    back, _ = read_audio(tmp_path / "loud.wav")
    np.testing.assert_allclose(back, 0.99 / peak * waveform, atol=1e-4)


def test_floating_point_files_keep_the_level(tmp_path):
    write_audio(tmp_path / "loud.wav", 3 * tone(), 16000, subtype="FLOAT")
    np.testing.assert_array_equal(read_audio(tmp_path / "loud.wav")[0], 3 * tone())
    write_audio(tmp_path / "full.wav", np.array([1.0, -1.0]), 16000)
    np.testing.assert_allclose(read_audio(tmp_path / "full.wav")[0], [1, -1], atol=1e-4)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    file = tmp_path / "tone.wav"
    write_audio(file, tone(), 16000)
    before = file.read_bytes()

    def fail(*args):
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(soundfile.SoundFile, "write", fail)
        with pytest.raises(OSError, match="disk is full"):
            write_audio(file, 0.1 * tone(), 16000)
    assert file.read_bytes() == before
    assert os.listdir(tmp_path) == ["tone.wav"]
    write_audio(file, 0.1 * tone(), 16000)
    assert file.read_bytes() != before


@pytest.mark.parametrize(
    ("waveform", "message"),
    [
        (np.zeros(0), "waveform holds no samples"),
        (np.array([0.0, np.nan]), "waveform must be finite"),
        (np.array([0.0, -np.inf]), "waveform must be finite"),
        (np.zeros(9, dtype=np.int16), "waveform must be float32 or float64.*int16.*32768"),
        (np.zeros((2, 2, 2)), "waveform must have shape"),
        (np.float64(0.0), "waveform must have shape"),
    ],
)
def test_bad_waveforms_are_refused(tmp_path, waveform, message):
    with pytest.raises(ValueError, match=message):
        write_audio(tmp_path / "a.wav", waveform, 16000)
    with pytest.raises(ValueError, match=message):
        resample(waveform, 16000, 8000)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("rate", [0, -8000, 16000.5, None])
def test_bad_rates_are_refused(tmp_path, rate):
    with pytest.raises(ValueError, match="sample_rate must be a positive integer"):
        write_audio(tmp_path / "a.wav", tone(), rate)
    with pytest.raises(ValueError, match="source_rate must be a positive integer"):
        resample(tone(), rate, 16000)
    with pytest.raises(ValueError, match="target_rate must be a positive integer"):
        resample(tone(), 16000, rate)


def test_bad_targets_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"a\.txt has no suffix that names an audio format"):
        write_audio(tmp_path / "a.txt", tone(), 16000)
    with pytest.raises(ValueError, match=r"subtype must be one of PCM_S8.*got 'FLOAT'"):
        write_audio(tmp_path / "a.flac", tone(), 16000, subtype="FLOAT")
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere"):
        write_audio(tmp_path / "nowhere" / "a.wav", tone(), 16000)
    with pytest.raises(ValueError, match=r"9 channels at 16000 Hz cannot be written as FLAC"):
        write_audio(tmp_path / "a.flac", tone(n_channels=9), 16000)
    assert os.listdir(tmp_path) == []


def test_bad_sources_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no audio file .*nowhere\.wav"):
        read_audio(tmp_path / "nowhere.wav")
    for name in ("text.wav", "text.raw"):
        (tmp_path / name).write_text("no audio at all")
        with pytest.raises(ValueError, match=f"{name} cannot be read as audio"):
            read_audio(tmp_path / name)
    with pytest.raises(ValueError, match=r"the stream .* cannot be read as audio"):
        read_audio(io.BytesIO(b"no audio at all"))
    with pytest.raises(OSError):
        read_audio(tmp_path)
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16000)
    with pytest.raises(ValueError, match=r"empty\.wav holds no samples"):
        read_audio(tmp_path / "empty.wav")
    soundfile.write(tmp_path / "nan.wav", np.array([0.0, np.nan]), 16000, subtype="FLOAT")
    with pytest.raises(ValueError, match=r"nan\.wav must be finite"):
        read_audio(tmp_path / "nan.wav")
    with pytest.raises(ValueError, match="sample_rate must be a positive integer"):
        read_audio(tmp_path / "nan.wav", 0)
    with pytest.raises(ValueError, match="dtype must be"):
        read_audio(tmp_path / "nan.wav", dtype="int16")


def flac_that_claims(n_samples):
    """Return a FLAC file of 1600 samples whose head says otherwise; 0 says nothing."""
    stream = io.BytesIO()
    soundfile.write(stream, tone(), 16000, format="FLAC")
    data = bytearray(stream.getvalue())
    data[21] = data[21] & 0xF0 | n_samples >> 32
    data[22:26] = (n_samples & 0xFFFFFFFF).to_bytes(4, "big")
    return bytes(data)


@pytest.mark.parametrize("n_samples", [2**33, 2**36 - 1])
def test_a_head_is_not_trusted_with_memory(tmp_path, n_samples):
    (tmp_path / "lie.flac").write_bytes(flac_that_claims(n_samples))
    with pytest.warns(
        UserWarning, match=rf"lie\.flac is cut off: .* {n_samples} .* 1600 could"
    ):
        waveform, _ = read_audio(tmp_path / "lie.flac")
    np.testing.assert_allclose(waveform, tone(), atol=2**-15)
    assert waveform.base is None or waveform.base.nbytes < 10_000


def test_flac_of_unknown_length(tmp_path):
    (tmp_path / "stream.flac").write_bytes(flac_that_claims(0))
    waveform, _ = read_audio(tmp_path / "stream.flac")
    np.testing.assert_allclose(waveform, tone(), atol=2**-15)


@pytest.mark.parametrize("n_channels", [1, 2])
def test_long_recordings_are_read_in_blocks(tmp_path, monkeypatch, n_channels):
    waveform = tone(n_channels=n_channels)
    write_audio(tmp_path / "long.wav", waveform, 16000, subtype="FLOAT")
    monkeypatch.setattr(_recording, "_MAX_AT_ONCE", 1000)
    np.testing.assert_array_equal(read_audio(tmp_path / "long.wav")[0], waveform)


@pytest.mark.parametrize("rate", [2**31 - 1, 1, 15, 16, 999])
def test_rates_that_would_take_gigabytes_are_refused(tmp_path, rate):
    with pytest.raises(ValueError, match=f"cannot resample from {rate} to 16000 Hz"):
        resample(tone(), rate, 16000)
    soundfile.write(tmp_path / "odd.wav", tone(), rate)
    with pytest.raises(
        ValueError, match=r"odd\.wav has an unusual sample rate: cannot resample"
    ):
        read_audio(tmp_path / "odd.wav", 16000)


@pytest.mark.parametrize("rates", [(1000, 16000), (16000, 768000), (48000, 999)])
def test_ratios_that_recordings_have(rates):
    assert len(resample(tone(), *rates)) == -(-1600 * rates[1] // rates[0])


def test_more_channels_than_a_recording_has(tmp_path):
    for n_channels in (64, 65):
        soundfile.write(tmp_path / "many.wav", np.zeros((100, n_channels)), 16000)
        if n_channels == 64:
            assert read_audio(tmp_path / "many.wav")[0].shape == (100, 64)
    for mono in (False, True):
        with pytest.raises(ValueError, match=r"many\.wav has 65 channels, more than the 64"):
            read_audio(tmp_path / "many.wav", mono=mono)


@pytest.mark.parametrize(("dtype", "largest"), [("float32", 1e18), ("float64", 1e150)])
def test_samples_near_the_largest_number(tmp_path, dtype, largest):
    waveform = largest * tone().astype(dtype) / np.abs(tone()).max()
    assert np.isfinite(resample(waveform, 16000, 44100)).all()
    level = -1.001 if dtype == "float32" else -1e100
    with pytest.raises(ValueError, match=r"waveform holds a sample of size .*e\+.*scale it"):
        resample(waveform * waveform.dtype.type(level), 16000, 44100)
    soundfile.write(tmp_path / "loud.wav", np.full(9, -3e38, "float32"), 16000, "FLOAT")
    with pytest.raises(ValueError, match=r"loud\.wav holds a sample of size 3e\+38"):
        read_audio(tmp_path / "loud.wav")


def test_a_file_that_takes_no_data_is_an_error():
    class Full(io.BytesIO):
        def write(self, data):
            return 0

    with pytest.raises(OSError, match="takes no data"):
        write_audio(Full(), np.zeros(8000), 8000)
