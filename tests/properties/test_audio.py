"""Spectra, streams, files and mixtures, whatever the waveform."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from strategies import SCALES, SEEDS, waveforms

from skunfold import DeepNMFRegressor
from skunfold.audio import STFT, SpeechEnhancer, read_audio, resample, write_audio
from skunfold.audio.stft import AnalysisStream, SynthesisStream
from skunfold.datasets import make_mixtures, mix_at_snr


@st.composite
def stfts(draw):
    """Return a transform with any window of 2 to 500 samples."""
    rate = draw(st.sampled_from([8000, 16000, 44100]))
    n_window = draw(st.integers(2, 500))
    n_hop = draw(st.integers(1, n_window // 2))
    return STFT(rate, n_window / rate, n_hop / rate)


@st.composite
def blocks(draw, waveform):
    """Cut a waveform into blocks, some of them empty."""
    cuts = draw(st.lists(st.integers(0, len(waveform)), max_size=8))
    return np.split(waveform, sorted(cuts))


def tolerance(waveform):
    return 100 * np.finfo(waveform.dtype).eps * np.abs(waveform).max()


@given(stfts(), waveforms())
def test_stft_round_trip(stft, waveform):
    spectrogram = stft.analyze(waveform)
    assert spectrogram.shape == (stft.n_frames(len(waveform)), stft.n_bins)
    back = stft.synthesize(spectrogram, len(waveform))
    assert back.dtype == waveform.dtype
    assert_allclose(back, waveform, rtol=0, atol=tolerance(waveform))


@given(stfts(), waveforms(), st.data())
def test_streams_of_spectra_are_those_of_the_whole(stft, waveform, data):
    analysis, synthesis = AnalysisStream(stft), SynthesisStream(stft)
    frames = [analysis.process(block) for block in data.draw(blocks(waveform))]
    frames.append(analysis.flush())
    whole = stft.analyze(waveform)
    assert_array_equal(np.concatenate(frames), whole)
    samples = np.concatenate([synthesis.process(f) for f in data.draw(blocks(whole))])
    assert_array_equal(samples[: len(waveform)], stft.synthesize(whole, len(waveform)))


@pytest.fixture(scope="module")
def enhancer():
    rng = np.random.default_rng(0)
    speech, noise = rng.normal(size=(2, 4000)) * np.sin(np.arange(4000) / [[20], [900]])
    regressor = DeepNMFRegressor(3, n_layers=2, output="mask", max_iter=2, random_state=0)
    enhancer = SpeechEnhancer(regressor, n_context=3, random_state=0)
    return enhancer.fit_sources([speech], [noise], snrs=(0,))


@given(waveform=waveforms(st.integers(1, 9000)), data=st.data())
def test_a_stream_enhances_as_a_whole_file(enhancer, waveform, data):
    whole = enhancer.enhance(waveform)
    assert whole.shape == waveform.shape
    assert whole.dtype == waveform.dtype
    assert np.isfinite(whole).all()
    stream = enhancer.stream()
    parts = [stream.process(block) for block in data.draw(blocks(waveform))]
    parts.append(stream.flush())
    largest = float(np.abs(waveform).max())
    assert_allclose(np.concatenate(parts), whole, rtol=0, atol=1e-5 * largest)
    stereo = (
        enhancer.enhance(np.stack([waveform, -waveform], axis=1)) if len(waveform) > 1 else 0
    )
    if len(waveform) > 1:
        assert_allclose(stereo[:, 0], whole, rtol=0, atol=1e-5 * largest)
        assert_allclose(stereo[:, 1], -whole, rtol=0, atol=1e-5 * largest)


STEPS = {"PCM_16": 2**-15, "PCM_24": 2**-23, "FLOAT": 2**-24, "DOUBLE": 2**-53}


@given(
    waveforms(scales=st.just(0.1)),
    st.integers(1, 4),
    st.sampled_from(sorted(STEPS)),
    st.sampled_from([8000, 44100]),
)
def test_what_is_written_is_read(waveform, n_channels, subtype, rate):
    samples = np.clip(waveform, -1, 1)
    if n_channels > 1:
        samples = np.stack([np.roll(samples, k) for k in range(n_channels)], axis=1)
    file = io.BytesIO()
    write_audio(file, samples, rate, subtype=subtype)
    file.seek(0)
    back, read_rate = read_audio(file, dtype=str(samples.dtype))
    assert read_rate == rate
    assert back.dtype == samples.dtype
    assert_allclose(back, samples, rtol=0, atol=1.001 * STEPS[subtype])


@given(waveforms(), st.integers(4000, 48000), st.integers(4000, 48000))
def test_resampling_keeps_duration_and_mean_level(waveform, source, target):
    resampled = resample(waveform, source, target)
    assert resampled.shape == (-(-len(waveform) * target // source),)
    assert resampled.dtype == waveform.dtype
    assert np.isfinite(resampled).all()
    assert np.abs(resampled).max() <= 4 * np.abs(waveform).max()


@given(
    waveforms(st.integers(1, 1000)),
    waveforms(st.integers(1, 2000)),
    st.floats(-100, 100),
    st.booleans(),
    SEEDS,
)
def test_mixtures_have_their_snr(speech, noise, snr, repeat, seed):
    if len(noise) > len(speech) or not repeat:
        noise = np.where(noise == 0, noise.max() + noise.std() + noise.dtype.type(1e-12), noise)
    mixture, scaled = mix_at_snr(speech, noise, snr, random_state=seed)
    assert mixture.dtype == scaled.dtype == speech.dtype
    assert mixture.shape == speech.shape
    energies = [np.sum(np.square(x, dtype=np.float64)) for x in (speech, scaled)]
    assert 10 * np.log10(energies[0] / energies[1]) == pytest.approx(snr, abs=1e-3)
    assert_array_equal(mixture, speech + scaled)
    assert_array_equal(mix_at_snr(speech, noise, snr, random_state=seed)[0], mixture)


@given(
    st.integers(1, 5), st.integers(1, 3), st.integers(1, 4), st.integers(1, 30), SCALES, SEEDS
)
def test_mixtures_use_everything_equally_often(n_speech, n_noise, n_snrs, n, scale, seed):
    rng = np.random.default_rng(seed)
    speech, noise = scale * rng.normal(size=(2, 5, 50))
    data = make_mixtures(
        list(speech[:n_speech]),
        list(noise[:n_noise]),
        snrs=range(n_snrs),
        n_mixtures=n,
        random_state=seed,
    )
    assert len(data.noisy) == n
    for index, size in ((data.speech_index, n_speech), (data.snr.astype(int), n_snrs)):
        counts = np.bincount(index, minlength=size)
        assert counts.max() - counts.min() <= 1
    for noisy, clean, part in zip(data.noisy, data.clean, data.noise):
        assert_array_equal(noisy, clean + part)
