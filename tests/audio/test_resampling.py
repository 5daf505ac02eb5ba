"""Streams at other rates than the enhancer's, and what is above its band."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from skunfold import DeepNMFRegressor
from skunfold.audio import STFT, EnhancementStream, SpeechEnhancer, resample
from skunfold.audio.features import without_offset
from skunfold.audio.resampling import StreamResampler
from skunfold.datasets import load_bundled_recordings, make_mixtures
from skunfold.metrics import si_sdr


def in_blocks(stream, waveform, size):
    """Return what a stream makes of a waveform; check how much it holds back."""
    parts, n_held = [], 0
    for start in range(0, len(waveform), size):
        block = waveform[start : start + size]
        parts.append(stream.process(block))
        n_held += len(block) - len(parts[-1])
        assert 0 <= n_held <= stream.latency
    return np.concatenate([*parts, stream.flush()])


@pytest.mark.parametrize(
    "rates", [(44100, 16000), (16000, 44100), (48000, 16000), (16000, 16001)]
)
@pytest.mark.parametrize("block", [1, 37, 5000])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_resampling_of_a_stream(rates, block, dtype):
    n = 700 if block == 1 else 40001
    x = np.random.default_rng(0).normal(size=n).astype(dtype)
    stream = StreamResampler(*rates)
    parts, n_held = [], 0
    for start in range(0, n, block):
        parts.append(stream.process(x[start : start + block]))
        n_held = min(start + block, n) - sum(map(len, parts)) * rates[0] / rates[1]
        assert n_held <= stream.latency
    result = np.concatenate([*parts, stream.process(x[:0], last=True)])
    assert result.dtype == dtype
    np.testing.assert_allclose(result, resample(x, *rates), atol=1e-6)


class Gain:
    """A regressor that multiplies each bin by a number."""

    def __init__(self, gains):
        self.gains = np.asarray(gains, dtype=np.float32)

    def predict(self, X):
        return X[:, -201:] * self.gains


def tones(rate, *frequencies, n_seconds=1):
    time = np.arange(n_seconds * rate) / rate
    return 0.1 * sum(np.sin(2 * np.pi * f * time) for f in frequencies)


def amplitude(waveform, rate, frequency):
    """Return the amplitude of a tone in a middle part of a waveform."""
    part = waveform[rate // 4 : 3 * rate // 4]
    time = np.arange(len(part)) / rate
    return 2 * abs(np.mean(part * np.exp(-2j * np.pi * frequency * time)))


@pytest.mark.parametrize("rate", [44100, 48000, 22050])
def test_a_mask_of_ones_keeps_all_bands(rate):
    waveform = np.random.default_rng(0).normal(size=rate)
    stream = EnhancementStream(Gain(np.ones(201)), STFT(), 1, sample_rate=rate)
    output = in_blocks(stream, waveform, 5000)
    assert output.dtype == np.float64
    low = resample(waveform, rate, 16000)
    expected = waveform + resample(without_offset(low, 16000) - low, 16000, rate)[:rate]
    np.testing.assert_allclose(output, expected, rtol=0, atol=1e-6)


def test_the_upper_band_has_the_gain_of_the_band_below():
    gains = np.full(201, 0.9)
    gains[160:] = 0.25
    stream = EnhancementStream(Gain(gains), STFT(), 1, sample_rate=48000)
    output = in_blocks(stream, tones(48000, 1000, 7000, 12000, 20000), 4800)
    for frequency, gain in ((1000, 0.9), (7000, 0.25), (12000, 0.25), (20000, 0.25)):
        assert amplitude(output, 48000, frequency) == pytest.approx(0.1 * gain, rel=0.02)
    quiet = in_blocks(stream, tones(48000, 1000, 12000), 4800)  # nothing near the upper band
    assert amplitude(quiet, 48000, 12000) > 0.02


def test_the_gain_follows_the_frames():
    class Alternating:
        n_seen = 0

        def predict(self, X):
            self.n_seen += len(X)
            frames = np.arange(self.n_seen - len(X), self.n_seen)
            return X[:, -201:] * (frames % 100 < 50)[:, None]

    waveform = tones(48000, 7000, 12000, n_seconds=2)
    stream = EnhancementStream(Alternating(), STFT(), 1, sample_rate=48000)
    levels = np.abs(in_blocks(stream, waveform, 48000)).reshape(200, 480).max(axis=1)
    for open_, shut in ((slice(5, 45), slice(55, 95)), (slice(105, 145), slice(155, 195))):
        assert levels[open_].min() > 0.15
        assert levels[shut].max() < 1e-3


def test_rates_that_are_refused():
    stream = {"regressor": Gain(np.ones(201)), "stft": STFT(), "n_context": 1}
    for rate in (0, -8000, 16000.5):
        with pytest.raises(ValueError, match="sample_rate must be a positive integer"):
            EnhancementStream(**stream, sample_rate=rate)
    with pytest.raises(ValueError, match="cannot resample from 1 to 16000 Hz"):
        EnhancementStream(**stream, sample_rate=1)


@pytest.fixture(scope="module")
def low_rate():
    """An enhancer at 8 kHz, and mixtures at 16 kHz."""
    train, test = load_bundled_recordings("train"), load_bundled_recordings("test")
    regressor = DeepNMFRegressor(
        8, n_layers=4, output="mask", tied=True, init="sparse_nmf", sparsity=1.0, max_iter=3,
        random_state=0,
    )  # fmt: skip
    enhancer = SpeechEnhancer(regressor, sample_rate=8000, n_context=3, random_state=0)
    speech, noise = (
        [resample(x, 16000, 8000) for x in xs] for xs in (train.speech, train.noise)
    )
    mixtures = make_mixtures(test.speech, test.noise, n_mixtures=6, random_state=0)
    return enhancer.fit_sources(speech, noise, n_mixtures=12), mixtures


@pytest.mark.parametrize("rate", [16000, 6000])
def test_a_stream_at_another_rate_does_not_depend_on_its_blocks(low_rate, rate):
    enhancer, mixtures = low_rate
    waveform = mixtures.noisy[0][:9000]
    stereo = np.stack([waveform, waveform[::-1]], axis=1)
    outputs = [in_blocks(enhancer.stream(2, sample_rate=rate), stereo, n) for n in (313, 9000)]
    assert outputs[0].dtype == np.float32
    np.testing.assert_allclose(*outputs, rtol=0, atol=1e-6)


def test_the_upper_band_of_speech_is_worth_keeping(low_rate):
    enhancer, mixtures = low_rate
    scores = []
    for noisy, clean in zip(mixtures.noisy, mixtures.clean):
        output = in_blocks(enhancer.stream(sample_rate=16000), noisy, 16000)
        low = resample(noisy, 16000, 8000)
        band = resample(enhancer.enhance(low), 8000, 16000)[: len(noisy)]
        upper = noisy - resample(low, 8000, 16000)[: len(noisy)]
        scores.append([si_sdr(clean, x) for x in (output, band, band + upper)])
    kept, lost, unchanged = np.mean(scores, axis=0)
    assert kept > lost + 0.3
    assert kept > unchanged + 0.3


def test_an_enhancer_at_48_khz():
    rng = np.random.default_rng(0)
    speech, noise = tones(48000, 300, 15000)[:24000], rng.normal(size=24000)
    enhancer = SpeechEnhancer(
        LinearRegression(), sample_rate=48000, n_context=1, context_averages=(), random_state=0
    ).fit_sources([speech], [noise])
    noisy = tones(48000, 300, 15000) + 0.1 * rng.normal(size=48000)
    output = enhancer.enhance(noisy)
    assert amplitude(output, 48000, 15000) > 0.05
