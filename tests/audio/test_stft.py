import pickle

import numpy as np
import pytest
from scipy.signal.windows import hann

from skunfold.audio import STFT
from skunfold.audio.stft import AnalysisStream, SynthesisStream

LENGTHS = [1, 2, 159, 160, 161, 239, 240, 241, 399, 400, 401, 560, 561, 3000]
TOLERANCE = {"float64": 1e-12, "float32": 2e-6}


def make_waveform(n_samples, dtype="float64"):
    return np.random.default_rng(n_samples).standard_normal(n_samples).astype(dtype)


def split(array, size):
    return [array[i : i + size] for i in range(0, len(array), size)]


def test_default_sizes():
    stft = STFT()
    assert (stft.n_window, stft.n_hop, stft.n_bins) == (400, 160, 201)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("n_samples", LENGTHS)
def test_reconstruction(n_samples, dtype):
    stft = STFT()
    waveform = make_waveform(n_samples, dtype)
    spectrogram = stft.analyze(waveform)
    assert spectrogram.shape == (stft.n_frames(n_samples), stft.n_bins)
    assert spectrogram.dtype == np.result_type(dtype, np.complex64)
    restored = stft.synthesize(spectrogram, n_samples)
    assert restored.dtype == dtype
    np.testing.assert_allclose(restored, waveform, rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize(
    ("sample_rate", "window_length", "hop_length"),
    [
        (8000, 0.032, 0.016),
        (44100, 0.025, 0.01),
        (16000, 401 / 16000, 0.01),
        (1000, 0.002, 0.001),
    ],
)
def test_reconstruction_with_other_windows(sample_rate, window_length, hop_length):
    stft = STFT(sample_rate, window_length, hop_length)
    waveform = make_waveform(2500)
    restored = stft.synthesize(stft.analyze(waveform), 2500)
    np.testing.assert_allclose(restored, waveform, rtol=0, atol=1e-12)


def test_frames_end_a_hop_apart():
    stft = STFT()
    waveform = make_waveform(3000)
    window = np.sqrt(hann(400, sym=False))
    padded = np.concatenate([np.zeros(240), waveform, np.zeros(400)])
    starts = range(0, stft.n_frames(3000) * 160, 160)
    frames = [np.fft.rfft(padded[t : t + 400] * window / np.sqrt(200)) for t in starts]
    np.testing.assert_allclose(stft.analyze(waveform), frames, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("size", [1, 7, 160, 399, 400, 1000, 5000])
def test_streams_give_the_whole(size, dtype):
    stft = STFT()
    waveform = make_waveform(2001, dtype)
    analysis, synthesis = AnalysisStream(stft), SynthesisStream(stft)
    blocks = [analysis.process(block) for block in split(waveform, size)]
    blocks.append(analysis.flush())
    spectrogram = np.concatenate(blocks)
    expected = stft.analyze(waveform)
    np.testing.assert_allclose(spectrogram, expected, rtol=0, atol=TOLERANCE[dtype])
    assert spectrogram.dtype == expected.dtype
    samples = np.concatenate([synthesis.process(block) for block in blocks])[:2001]
    assert samples.dtype == dtype
    np.testing.assert_allclose(samples, waveform, rtol=0, atol=TOLERANCE[dtype])


def test_frames_come_as_soon_as_their_samples():
    stream = AnalysisStream(STFT())
    assert len(stream.process(np.zeros(159))) == 0
    assert len(stream.process(np.zeros(1))) == 1
    assert len(stream.process(np.zeros(320))) == 2


def test_empty_block_changes_nothing():
    stft = STFT()
    stream = AnalysisStream(stft)
    waveform = make_waveform(500, "float32")
    blocks = [stream.process(block) for block in ([], waveform, [])] + [stream.flush()]
    assert [len(block) for block in blocks[::2]] == [0, 0]
    np.testing.assert_array_equal(np.concatenate(blocks), stft.analyze(waveform))


def test_flush_starts_anew():
    stft = STFT()
    stream = AnalysisStream(stft)
    stream.process(make_waveform(500))
    stream.flush()
    waveform = make_waveform(300, "float32")
    frames = np.concatenate([stream.process(waveform), stream.flush()])
    np.testing.assert_array_equal(frames, stft.analyze(waveform))


def test_white_noise_of_unit_rms_has_spectra_of_unit_mean_square():
    for stft in (STFT(), STFT(16000, 0.05, 0.01)):
        power = np.mean(np.abs(stft.analyze(make_waveform(200_000))) ** 2)
        assert power == pytest.approx(1, abs=0.02)


def test_pickle_and_equality():
    stft = STFT()
    waveform = make_waveform(1000)
    expected = stft.analyze(waveform)
    copy = pickle.loads(pickle.dumps(stft))
    assert copy == STFT()
    np.testing.assert_array_equal(copy.analyze(waveform), expected)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"sample_rate": 0}, "sample_rate must be a positive integer in Hz, got 0"),
        ({"window_length": -1.0}, "window_length must be in seconds, .* got -1"),
        ({"window_length": 25}, "window_length must be in seconds, .* got 25"),
        ({"hop_length": np.nan}, "hop_length must be in seconds, .* got nan"),
        ({"hop_length": "10 ms"}, "hop_length must be in seconds"),
        ({"window_length": 1e-5}, "window_length must be at least 2 samples"),
        ({"hop_length": 1e-5}, "hop_length must be between 1 sample and half"),
        ({"hop_length": 0.02}, "hop_length must be between 1 sample and half"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        STFT(**parameters)


@pytest.mark.parametrize(
    ("waveform", "message"),
    [
        ([], "no samples"),
        (np.zeros((3, 2)), "shape"),
        ([0.0, np.nan], "finite"),
        ([1, 2], "float"),
    ],
)
def test_bad_waveform(waveform, message):
    with pytest.raises(ValueError, match=message):
        STFT().analyze(waveform)


def test_bad_spectrogram():
    stft = STFT()
    spectrogram = stft.analyze(make_waveform(1000))
    with pytest.raises(ValueError, match=r"spectrogram must have shape \(14, 201\)"):
        stft.synthesize(spectrogram, 2000)
