"""SpeechEnhancer: enhancing waveforms, files and streams."""

import io
import pickle
import subprocess
import sys

import numpy as np
import pytest
from enhancers import WienerLike, make_recordings, small_network
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.utils import get_tags

from skunfold.audio import SpeechEnhancer, read_audio, write_audio
from skunfold.audio.features import OffsetRemover, without_offset
from skunfold.datasets import load_bundled_recordings, make_mixtures
from skunfold.metrics import si_sdr


class Unchanged:
    def predict(self, X):
        return X[:, -201:]


def split(array, sizes):
    start, i = 0, 0
    while start < len(array):
        yield array[start : start + sizes[i % len(sizes)]]
        start, i = start + sizes[i % len(sizes)], i + 1


def test_enhancing_helps(fitted):
    noisy, clean = make_recordings()
    before = np.mean([si_sdr(s, x) for x, s in zip(noisy, clean)])
    assert fitted.score(noisy, clean) > before + 3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_predict_keeps_lengths_and_types(dtype):
    noisy, clean = make_recordings(dtype=dtype)
    enhancer = SpeechEnhancer(WienerLike()).fit(noisy, clean)
    assert enhancer.regressor_.floor_.dtype == dtype
    noisy.append(noisy[0][:1])
    predictions = enhancer.predict(noisy)
    assert [(p.shape, p.dtype) for p in predictions] == [(x.shape, x.dtype) for x in noisy]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_mask_of_ones_gives_the_mixture_back(dtype):
    enhancer = SpeechEnhancer()
    enhancer.regressor_ = Unchanged()
    noisy = make_recordings(dtype=dtype)[0][0]
    noisy[1000:3000] = 0
    atol = 1e-6 if dtype == "float32" else 1e-12
    expected = without_offset(noisy, 16000)
    np.testing.assert_allclose(enhancer.enhance(noisy), expected, rtol=0, atol=atol)


OFFSETS = np.array([0.3, -0.05])


def test_a_constant_offset_changes_nothing(fitted):
    noisy = np.stack([x[:6000] for x in make_recordings(2, "float64")[0]], axis=1)
    expected = fitted.enhance(noisy)
    np.testing.assert_allclose(fitted.enhance(noisy + OFFSETS), expected, rtol=0, atol=1e-12)
    shifted = (noisy + OFFSETS).astype("float32")
    np.testing.assert_allclose(fitted.enhance(shifted), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("n_channels", [1, 2])
def test_channels_are_enhanced_one_by_one(fitted, n_channels):
    noisy = np.stack([x[:6000] for x in make_recordings()[0][:n_channels]], axis=1)
    output = fitted.enhance(noisy)
    assert output.shape == noisy.shape
    for i in range(n_channels):
        np.testing.assert_array_equal(output[:, i], fitted.enhance(noisy[:, i]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [[1], [160], [7, 1000, 0, 401], [10_000]])
def test_stream_gives_what_enhance_gives(fitted, sizes, dtype):
    noisy = make_recordings(1, dtype, n_samples=2500)[0][0]
    noisy[:500] = 0
    stream = fitted.stream()
    blocks, n_in, n_out = [], 0, 0
    for block in split(noisy, sizes):
        blocks.append(stream.process(block))
        n_in, n_out = n_in + len(block), n_out + len(blocks[-1])
        assert n_in - stream.latency <= n_out <= n_in
    blocks.append(stream.flush())
    assert len(blocks[-1]) <= stream.latency
    output = np.concatenate(blocks)
    assert output.dtype == dtype
    expected = fitted.enhance(noisy)
    atol = 1e-6 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(output, expected, rtol=0, atol=atol)


def test_enhance_works_in_blocks_of_seconds(fitted):
    noisy = np.tile(make_recordings(1)[0][0], 30)
    stream = fitted.stream()
    expected = np.concatenate([stream.process(noisy), stream.flush()])
    np.testing.assert_allclose(fitted.enhance(noisy), expected, rtol=0, atol=1e-6)


def test_stream_of_channels_can_be_used_again(fitted):
    noisy = np.stack([x[:3000] for x in make_recordings()[0][:2]], axis=1)
    stream = fitted.stream(n_channels=2)
    for _ in range(2):
        blocks = [stream.process(block) for block in split(noisy, [700])] + [stream.flush()]
        output = np.concatenate(blocks)
        np.testing.assert_allclose(output, fitted.enhance(noisy), rtol=0, atol=1e-6)
    assert stream.flush().shape == (0, 2)


def test_a_stream_can_be_pickled_between_its_blocks(fitted):
    waveform = np.random.default_rng(0).normal(scale=0.1, size=(8000, 2))
    stream = fitted.stream(2, sample_rate=44100)
    stream.process(waveform[:3000])
    twin = pickle.loads(pickle.dumps(stream))
    np.testing.assert_array_equal(
        twin.process(waveform[3000:]), stream.process(waveform[3000:])
    )


def test_stream_does_not_look_ahead(fitted):
    noisy = make_recordings(1)[0][0]
    other = noisy.copy()
    other[4000:] = 1
    first, second = (fitted.stream().process(x[:4400])[:3600] for x in (noisy, other))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(("rate", "n_channels"), [(16000, 1), (44100, 2), (8000, 1)])
def test_enhance_file_keeps_rate_and_channels(fitted, tmp_path, rate, n_channels):
    waveform = make_recordings(1)[0][0][:5001]
    waveform = waveform if n_channels == 1 else np.stack([waveform] * n_channels, axis=1)
    source, destination = tmp_path / "noisy.wav", tmp_path / "enhanced.wav"
    write_audio(source, waveform, rate, subtype="FLOAT")
    fitted.enhance_file(source, destination)
    output, output_rate = read_audio(destination)
    assert output_rate == rate
    assert output.shape == waveform.shape
    if rate == 16000:
        np.testing.assert_allclose(output, fitted.enhance(waveform), atol=1e-4)


def test_enhance_file_in_memory(fitted):
    source, destination = io.BytesIO(), io.BytesIO()
    write_audio(source, make_recordings(1)[0][0], 16000)
    source.seek(0)
    fitted.enhance_file(source, destination)
    destination.seek(0)
    assert read_audio(destination)[0].shape == (6000,)


def test_any_regressor_will_do():
    noisy, clean = make_recordings()
    enhancer = SpeechEnhancer(LinearRegression(), n_context=2).fit(noisy, clean)
    assert all(np.isfinite(x).all() for x in enhancer.predict(noisy))
    assert enhancer.enhance(noisy[0]).dtype == np.float32


def test_params_clone_and_pickle(fitted):
    enhancer = SpeechEnhancer(WienerLike(), random_state=1)
    enhancer.set_params(regressor__strength=2.0, n_context=3)
    copy = clone(enhancer)
    assert copy.get_params()["regressor__strength"] == 2.0
    assert copy.n_context == 3
    noisy = make_recordings(1)[0][0]
    restored = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(restored.enhance(noisy), fitted.enhance(noisy))


def test_tags():
    tags = get_tags(SpeechEnhancer())
    assert tags.target_tags.required
    assert not tags.input_tags.two_d_array


ONES = np.ones(100)


def test_bad_blocks(fitted):
    with pytest.raises(ValueError, match=r"block must have shape \(n_samples,\), got \(5, 2\)"):
        fitted.stream().process(np.zeros((5, 2)))
    with pytest.raises(ValueError, match=r"block must have shape \(n_samples, 2\), got \(5,\)"):
        fitted.stream(2).process(np.zeros(5))
    with pytest.raises(ValueError, match="block must be finite"):
        fitted.stream().process([np.inf])
    with pytest.raises(ValueError, match=r"n_channels must be at least 1 and .* None, got 0"):
        fitted.stream(0)


def test_must_be_fitted():
    for call in (
        lambda e: e.predict([ONES]),
        lambda e: e.enhance(ONES),
        lambda e: e.stream(),
        lambda e: e.score([ONES], [ONES]),
        lambda e: e.enhance_file("in.wav", "out.wav"),
    ):
        with pytest.raises(ValueError, match="not fitted"):
            call(SpeechEnhancer())


@pytest.mark.parametrize("module", ["skunfold.datasets", "skunfold.audio", "skunfold.metrics"])
def test_modules_import_in_any_order(module):
    subprocess.run([sys.executable, "-c", f"import {module}, skunfold.audio"], check=True)


@pytest.fixture(scope="module")
def network():
    data = load_bundled_recordings("train")
    enhancer = SpeechEnhancer(small_network(), n_context=3, random_state=0)
    return enhancer.fit_sources([s[:32000] for s in data.speech], data.noise, n_mixtures=4)


def test_deep_nmf_enhances_speech(network):
    data = load_bundled_recordings("test")
    mixtures = make_mixtures(data.speech, data.noise, snrs=(0,), random_state=0)
    before = np.mean([si_sdr(s, x) for x, s in zip(mixtures.noisy, mixtures.clean)])
    assert network.score(mixtures.noisy, mixtures.clean) > before + 1
    assert network.enhance(mixtures.noisy[0]).dtype == np.float32


def test_the_offset_is_removed_at_no_cost(network, monkeypatch):
    data = load_bundled_recordings("test")
    mixtures = make_mixtures(data.speech, data.noise, snrs=(0, 9), random_state=0)
    score = network.score(mixtures.noisy, mixtures.clean)
    monkeypatch.setattr(OffsetRemover, "process", lambda self, samples: samples)
    assert score > network.score(mixtures.noisy, mixtures.clean) - 0.05


def test_deep_nmf_streams(network):
    noisy = load_bundled_recordings("test").speech[0][:8000]
    stream = network.stream()
    output = np.concatenate([*map(stream.process, split(noisy, [333])), stream.flush()])
    np.testing.assert_allclose(output, network.enhance(noisy), rtol=0, atol=1e-5)


def test_the_context_in_bands_and_averages(network):
    data, noisy = load_bundled_recordings("train"), load_bundled_recordings("test").speech[0]
    enhancer = SpeechEnhancer(
        small_network(),
        n_context=3,
        context_bands=20,
        context_averages=(0.5,),
        random_state=0,
    ).fit_sources([s[:32000] for s in data.speech], data.noise, n_mixtures=4)
    assert enhancer.regressor_.n_features_in_ == (1 + 2) * 20 + 201
    assert enhancer.regressor_.n_parameters_ < network.regressor_.n_parameters_
    stream = enhancer.stream()
    output = np.concatenate([*map(stream.process, split(noisy[:8000], [333])), stream.flush()])
    np.testing.assert_allclose(output, enhancer.enhance(noisy[:8000]), rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match=r"context_bands=300 .* 201 bins; give fewer, or None"):
        enhancer.set_params(context_bands=300).fit_sources(data.speech, data.noise)


def test_deep_nmf_does_not_depend_on_the_level(network):
    noisy = load_bundled_recordings("test").speech[0][:8000]
    quiet = network.enhance(noisy / 1024)
    np.testing.assert_allclose(quiet * 1024, network.enhance(noisy), rtol=0, atol=1e-5)
