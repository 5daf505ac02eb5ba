"""Enhancement of files: block by block, whole or not at all."""

import io
import os
import tracemalloc

import numpy as np
import pytest
import soundfile

from skunfold.audio import SpeechEnhancer, _files, formats, read_audio, resample, write_audio


class Softer:
    """A mask that depends on the level and the context."""

    def predict(self, X):
        present = X[:, -201:]
        return present * X.mean(axis=1, keepdims=True).clip(0.2, 1)


class Louder:
    def predict(self, X):
        return 3 * X[:, -201:]


def make(regressor):
    enhancer = SpeechEnhancer(n_context=2)
    enhancer.regressor_ = regressor
    return enhancer


def noise(n_samples, n_channels=2):
    rng = np.random.default_rng(0)
    return (0.1 * rng.standard_normal((n_samples, n_channels))).astype("float32")


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(_files, "_BLOCK", 3000)


@pytest.mark.parametrize("rate", [16000, 8000, 44100, 16001])
@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_a_file_becomes_what_the_whole_waveform_does(rate, suffix, tmp_path):
    enhancer, waveform = make(Softer()), noise(10_001)
    source, target = tmp_path / f"in{suffix}", tmp_path / "out.wav"
    write_audio(source, waveform, rate, subtype="PCM_24")
    waveform, _ = read_audio(source)
    blocks = []
    enhancer.enhance_file(
        source, target, subtype="FLOAT", on_block=lambda x, rate: blocks.append((x, rate))
    )
    output, output_rate = read_audio(target)
    assert output_rate == rate
    assert len(blocks) > 5
    assert {block_rate for _, block_rate in blocks} == {rate}
    np.testing.assert_array_equal(np.concatenate([x for x, _ in blocks]), waveform)
    if rate > 16000:
        stream = enhancer.stream(2, sample_rate=rate)
        expected = np.concatenate([stream.process(waveform), stream.flush()])
    else:
        whole = enhancer.enhance(resample(waveform, rate, 16000))
        expected = resample(whole, 16000, rate)[: len(waveform)]
    np.testing.assert_allclose(output, expected, rtol=0, atol=1e-6)


def test_memory_does_not_grow_with_the_length(tmp_path, monkeypatch):
    monkeypatch.undo()
    enhancer, peaks = make(Softer()), []
    for n_seconds in (30, 120):
        with soundfile.SoundFile(tmp_path / "in.wav", "w", 48000, 1, "PCM_16") as file:
            for _ in range(n_seconds):
                file.write(noise(48000, 1))
        tracemalloc.start()
        enhancer.enhance_file(tmp_path / "in.wav", tmp_path / "out.wav")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert soundfile.info(tmp_path / "out.wav").duration == n_seconds
    assert peaks[1] < peaks[0] + 2**20
    assert peaks[1] < 60 * 2**20


@pytest.mark.parametrize("in_memory", [False, True])
def test_a_recording_that_would_clip_is_scaled_as_a_whole(in_memory, tmp_path):
    waveform, heard = noise(20_000), []
    waveform[15_000:] *= 3
    source, target = tmp_path / "in.wav", tmp_path / "out.wav"
    write_audio(source, waveform, 16000, subtype="FLOAT")
    if in_memory:
        source, target = io.BytesIO(source.read_bytes()), io.BytesIO()
    enhancer = make(Louder())
    with pytest.warns(UserWarning, match=r"beyond full scale: written .* dB lower"):
        enhancer.enhance_file(
            source, target, subtype="PCM_24", on_block=lambda x, rate: heard.append(len(x))
        )
    assert sum(heard) == 20_000
    if in_memory:
        target.seek(0)
    output, _ = read_audio(target)
    expected = enhancer.enhance(waveform)
    gain = 0.99 / np.abs(expected).max()
    assert gain < 0.9
    np.testing.assert_allclose(output, gain * expected, rtol=0, atol=1e-6)
    if in_memory:
        source.seek(0)
    enhancer.enhance_file(source, target if in_memory else tmp_path / "loud.wav")  # FLOAT
    if not in_memory:
        np.testing.assert_allclose(read_audio(tmp_path / "loud.wav")[0], expected, atol=1e-6)


def test_a_file_may_be_replaced_by_its_own_enhancement(tmp_path):
    file, enhancer = tmp_path / "a.wav", make(Softer())
    write_audio(file, noise(5000), 16000, subtype="FLOAT")
    enhancer.enhance_file(file, file)
    np.testing.assert_allclose(read_audio(file)[0], enhancer.enhance(noise(5000)), atol=1e-6)


def interrupt(samples, rate):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("last", "on_block", "error"),
    [(np.nan, None, ValueError), (0.1, interrupt, KeyboardInterrupt)],
)
def test_a_failure_leaves_what_there_was(last, on_block, error, tmp_path):
    samples = noise(20_000)
    samples[-1] = last
    source, target = tmp_path / "in.wav", tmp_path / "out.wav"
    soundfile.write(source, samples, 16000, "FLOAT")
    target.write_bytes(b"mine")
    stream = io.BytesIO(b"mine")
    for destination in (target, stream):
        with pytest.raises(error):
            make(Softer()).enhance_file(source, destination, on_block=on_block)
    assert target.read_bytes() == stream.getvalue() == b"mine"
    assert sorted(os.listdir(tmp_path)) == ["in.wav", "out.wav"]


def test_recordings_without_sound_or_with_an_odd_rate(tmp_path):
    for rate, n_samples, message in (
        (16000, 0, r"in\.wav holds no samples"),
        (1, 5, r"in\.wav has an unusual sample rate: cannot resample from 1 to 16000 Hz"),
    ):
        soundfile.write(tmp_path / "in.wav", np.zeros(n_samples), rate)
        with pytest.raises(ValueError, match=message):
            make(Softer()).enhance_file(tmp_path / "in.wav", tmp_path / "out.wav")
    with pytest.raises(FileNotFoundError, match="no folder"):
        make(Softer()).enhance_file(tmp_path / "in.wav", tmp_path / "no" / "out.wav")
    assert os.listdir(tmp_path) == ["in.wav"]


@pytest.mark.parametrize("is_length_known", [True, False])
def test_long_wav_becomes_rf64(is_length_known, tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "_LONGEST", 10_000)
    source, target = tmp_path / "in.flac", tmp_path / "out.wav"
    soundfile.write(source, noise(20_000), 16000, "PCM_16")
    if not is_length_known:
        data = bytearray(source.read_bytes())
        data[21] &= 0xF0  # the 36 bits of the number of samples
        data[22:26] = bytes(4)
        source.write_bytes(data)
    make(Softer()).enhance_file(source, target)
    assert target.read_bytes()[:4] == b"RF64"
    expected = make(Softer()).enhance(read_audio(source)[0])
    np.testing.assert_allclose(read_audio(target)[0], expected, rtol=0, atol=2**-15)
