import io
import pickle
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.utils import get_tags

from skunfold import DeepNMFRegressor
from skunfold._training import loop
from skunfold.audio import STFT, SpeechEnhancer, read_audio, write_audio
from skunfold.audio.context import stack_context
from skunfold.audio.features import OffsetRemover, centered, recording_level, without_offset
from skunfold.datasets import load_bundled_recordings, make_mixtures
from skunfold.metrics import si_sdr


class WienerLike(RegressorMixin, BaseEstimator):
    """A mask that depends on the level, the context and a fitted noise floor."""

    def __init__(self, strength=1.0):
        self.strength = strength

    def fit(self, X, y, *, sources=None):
        self.n_bins_ = y.shape[1]
        self.floor_ = (self.strength * sources[1][:, -self.n_bins_ :].mean(axis=0)).astype(
            X.dtype
        )
        self.shapes_ = (X.shape, y.shape, *(source.shape for source in sources))
        return self

    def predict(self, X):
        smooth = X[:, -self.n_bins_ :] + X.mean(axis=1, keepdims=True) / 16
        return X[:, -self.n_bins_ :] * smooth / (smooth + self.floor_ + X.dtype.type(1e-6))


class Unchanged:
    def predict(self, X):
        return X[:, -201:]


def make_recordings(n_recordings=3, dtype="float32", n_samples=6000):
    """Amplitude-modulated tones, and white noise."""
    rng = np.random.default_rng(0)
    clean, noisy = [], []
    for i in range(n_recordings):
        time = np.arange(n_samples + 100 * i) / 16000
        tone = np.sin(2 * np.pi * (300 + 200 * i) * time) * (1 + np.sin(20 * time))
        clean.append((0.1 * tone).astype(dtype))
        noise = 0.05 * rng.standard_normal(len(time)).astype(dtype)
        noisy.append(clean[-1] + noise)
    return noisy, clean


@pytest.fixture(scope="module")
def fitted():
    return SpeechEnhancer(WienerLike()).fit(*make_recordings())


def split(array, sizes):
    start, i = 0, 0
    while start < len(array):
        yield array[start : start + sizes[i % len(sizes)]]
        start, i = start + sizes[i % len(sizes)], i + 1


def test_fit_gives_the_regressor_frames(fitted):
    stft = STFT()
    n_frames = sum(stft.n_frames(6000 + 100 * i) for i in range(3))
    assert fitted.n_frames_ == n_frames
    features = (n_frames, (1 + 8) * 40 + 201)
    assert fitted.regressor_.shapes_ == (features, (n_frames, 201), features, features)
    assert fitted.regressor_.floor_.dtype == np.float32


def test_fit_leaves_the_given_regressor_alone():
    regressor = WienerLike()
    enhancer = SpeechEnhancer(regressor).fit(*make_recordings())
    assert enhancer.regressor is regressor
    assert not hasattr(regressor, "floor_")


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


def test_offsets_change_nothing_in_training_and_scores():
    noisy, clean = make_recordings(dtype="float64")
    noise = [np.random.default_rng(0).standard_normal(9000)]
    enhancer = SpeechEnhancer(WienerLike(), n_mixtures=4, random_state=0)
    floors, scores = [], []
    for offset in (0.0, 0.3):
        x, s = [x + offset for x in noisy], [s - offset for s in clean]
        floors.append([enhancer.fit(x, s).regressor_.floor_])
        scores.append(enhancer.score(x, s))
        enhancer.fit_sources(s, [n + offset for n in noise])
        floors[-1].append(enhancer.regressor_.floor_)
    np.testing.assert_allclose(floors[1], floors[0], rtol=1e-6)
    assert scores[1] == pytest.approx(scores[0], abs=1e-4)


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


def test_fit_sources_mixes_as_make_mixtures():
    rng = np.random.default_rng(0)
    speech = make_recordings()[1]
    noise = [rng.standard_normal(9000).astype("float32")]
    speech, noise = [centered(x) for x in speech], [centered(x) for x in noise]
    settings = {"snrs": (0, 5), "n_mixtures": 4, "random_state": 3}
    enhancer = SpeechEnhancer(WienerLike(), **settings).fit_sources(speech, noise)
    mixtures = make_mixtures(speech, noise, **settings)
    other = SpeechEnhancer(WienerLike()).fit(mixtures.noisy, mixtures.clean)
    np.testing.assert_allclose(enhancer.regressor_.floor_, other.regressor_.floor_, rtol=1e-5)
    assert enhancer.n_frames_ == other.n_frames_


def test_bundled_voices_where_there_is_only_noise():
    noise = [np.random.default_rng(0).standard_normal(9000).astype("float32")]
    settings = {"sample_rate": 8000, "n_mixtures": 2, "random_state": 3}
    enhancer = SpeechEnhancer(CountsFits(), **settings).fit_sources(noise=noise)
    voices = load_bundled_recordings("train", sample_rate=8000).speech
    other = SpeechEnhancer(CountsFits(), **settings).fit_sources(voices, noise)
    (X,), (expected,) = enhancer.regressor_.seen_, other.regressor_.seen_
    np.testing.assert_array_equal(X, expected)
    with pytest.raises(ValueError, match=r"^noise is missing; .*fit_sources\(noise="):
        enhancer.fit_sources(voices)
    with pytest.raises(ValueError, match=r"nothing above 8000 Hz.*sample_rate=44100; give"):
        enhancer.set_params(sample_rate=44100).fit_sources(noise=noise)


def test_validation_recordings_decide_when_to_stop():
    noisy, clean = make_recordings(4)
    regressor = small_network(early_stopping=True, n_components=2)
    enhancer = SpeechEnhancer(
        regressor, n_context=2, context_bands=None, context_averages=(), random_state=0
    )
    enhancer.fit(noisy[:3], clean[:3], X_val=noisy[3:], y_val=clean[3:])
    fitted = enhancer.regressor_
    n_frames = sum(STFT().n_frames(len(x)) for x in noisy[:3])
    assert enhancer.n_frames_ == n_frames  # none is held out
    centred = (without_offset(x, 16000) for x in (noisy[3], clean[3]))
    magnitudes = [np.abs(STFT().analyze(x)) for x in centred]
    level = recording_level(magnitudes[0])
    y_hat = fitted.predict(stack_context(magnitudes[0], 2) / level)
    loss = 0.5 * np.sum((y_hat - magnitudes[1] / level) ** 2, axis=1).mean()
    assert fitted.loss_ == pytest.approx(loss, rel=1e-4)


class CountsFits(RegressorMixin, BaseEstimator):
    """Keeps what each fit in a row was given."""

    def __init__(self, warm_start=False, early_stopping=False):
        self.warm_start = warm_start
        self.early_stopping = early_stopping

    def fit(self, X, y, X_val=None, y_val=None):
        seen = getattr(self, "seen_", []) if self.warm_start else []
        self.seen_ = [*seen, X]
        self.validation_ = X_val, y_val
        return self

    def predict(self, X):
        return X[:, -201:]


def test_draws_are_other_mixtures_of_the_same_sources():
    speech = make_recordings()[1]
    noise = [np.random.default_rng(0).standard_normal(9000).astype("float32")]
    noisy, clean = make_recordings(1)
    enhancer = SpeechEnhancer(CountsFits(), n_mixtures=4, n_draws=3, random_state=3)
    enhancer.fit_sources(speech, noise, X_val=noisy, y_val=clean)
    seen = enhancer.regressor_.seen_
    assert len(seen) == 3
    assert not any(np.array_equal(a, b) for a, b in pairwise(seen))
    assert len(enhancer.regressor_.validation_[0]) == STFT().n_frames(len(noisy[0]))
    assert not enhancer.regressor_.warm_start
    once = clone(enhancer).set_params(n_draws=1).fit_sources(speech, noise)
    np.testing.assert_array_equal(once.regressor_.seen_[0], seen[0])
    assert len(enhancer.fit(noisy, clean).regressor_.seen_) == 1  # where they are given


def test_deep_nmf_learns_from_draw_to_draw():
    data = load_bundled_recordings("train")
    mixtures = make_mixtures(data.speech[:2], data.noise, n_mixtures=2, random_state=1)
    enhancer = SpeechEnhancer(
        small_network(early_stopping=True, max_iter=1),
        n_context=2,
        n_mixtures=4,
        n_draws=3,
        random_state=0,
    )
    speech = [s[:16000] for s in data.speech[2:6]]
    enhancer.fit_sources(speech, data.noise, X_val=mixtures.noisy, y_val=mixtures.clean)
    assert enhancer.regressor_.n_iter_ == 1  # of the last draw
    curve = enhancer.regressor_.validation_loss_curve_
    assert len(curve) == 3
    assert min(curve) < curve[0]


def test_ctrl_c_ends_all_draws(monkeypatch):
    data, begun, train_epoch = load_bundled_recordings("train"), [], loop.train_epoch

    def interrupt(*arguments):
        begun.append(arguments)
        if len(begun) == 2:
            raise KeyboardInterrupt
        return train_epoch(*arguments)

    monkeypatch.setattr(loop, "train_epoch", interrupt)
    regressor = small_network(max_iter=1)
    enhancer = SpeechEnhancer(regressor, n_context=2, n_mixtures=2, n_draws=5, random_state=0)
    with pytest.warns(UserWarning, match="interrupted after 1 epochs"):
        enhancer.fit_sources([s[:16000] for s in data.speech[:2]], data.noise)
    assert len(begun) == 2
    assert enhancer.regressor_.n_iter_ == 1


class FailsInTheSecondDraw(CountsFits):
    def fit(self, X, y, X_val=None, y_val=None):
        if len(getattr(self, "seen_", [])) == 2:
            raise RuntimeError("no more")
        return super().fit(X, y, X_val, y_val)


def test_a_failed_draw_leaves_the_former_fit():
    speech, noise = make_recordings()[1], make_recordings()[0]
    regressor = FailsInTheSecondDraw()
    enhancer = SpeechEnhancer(regressor, n_mixtures=2, warm_start=True, random_state=0)
    enhancer.fit_sources(speech, noise)
    fitted = enhancer.regressor_
    with pytest.raises(RuntimeError, match="no more"):
        enhancer.set_params(n_draws=3).fit_sources(speech, noise)
    assert enhancer.regressor_ is fitted
    assert len(fitted.seen_) == 1
    assert not fitted.warm_start


@pytest.mark.parametrize(
    ("regressor", "validation", "message"),
    [
        (WienerLike(), {}, "a parameter warm_start; WienerLike has none"),
        (CountsFits(early_stopping=True), {}, "give X_val and y_val"),
        (CountsFits(), {"X_val": [np.ones(1000)]}, "one of them is missing"),
        (CountsFits(), {"y_val": [np.ones(1000)]}, "one of them is missing"),
        (CountsFits(), {"X_val": [np.ones(1000)], "y_val": [np.ones(99)]}, r"y_val\[0\]"),
        (LinearRegression(), {"X_val": [np.ones(9)], "y_val": [np.ones(9)]}, "takes no X_val"),
    ],
)
def test_bad_draws_and_validation(regressor, validation, message):
    enhancer = SpeechEnhancer(regressor, n_draws=2, random_state=0)
    with pytest.raises(ValueError, match=message):
        enhancer.fit_sources(*reversed(make_recordings()), **validation)


def test_sources_without_sound_are_named():
    noisy, clean = make_recordings()
    silent = np.full(6000, 0.2)
    for speech, noise, name in (
        ([*clean, silent], noisy, r"speech\[3\] must not be silent"),
        (clean, [silent, *noisy], r"noise\[0\] must not be silent"),
        (clean, [np.r_[np.zeros(10**7), 0.1, -0.1]], r"noise\[0\] .* 20 random cuts"),
    ):
        with pytest.raises(ValueError, match=name):
            SpeechEnhancer(WienerLike(), random_state=0).fit_sources(speech, noise)


def test_any_regressor_will_do():
    noisy, clean = make_recordings()
    enhancer = SpeechEnhancer(LinearRegression(), n_context=2).fit(noisy, clean)
    assert all(np.isfinite(x).all() for x in enhancer.predict(noisy))
    assert enhancer.enhance(noisy[0]).dtype == np.float32


def test_params_clone_and_pickle(fitted):
    enhancer = SpeechEnhancer(WienerLike(), snrs=(0,), random_state=1)
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


def test_grid_search():
    noisy, clean = make_recordings(4)
    search = GridSearchCV(
        SpeechEnhancer(WienerLike()), {"regressor__strength": [0.0, 1.0]}, cv=2
    )
    search.fit(noisy, clean)
    assert search.best_params_ == {"regressor__strength": 1.0}
    assert len(search.predict(noisy)) == 4


NAN = np.full(100, np.nan)
ONES = np.ones(100)
ZEROS = np.zeros(100)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (ONES, [ONES], "X must be a list of waveforms, .* got ndarray"),
        ([], [], "X must hold at least one waveform"),
        ([ONES], ONES, "y must be a list of waveforms"),
        ([np.ones((100, 2))], [ONES], r"X\[0\] must have shape \(n_samples,\)"),
        ([ONES, NAN], [ONES, ONES], r"X\[1\] must be finite"),
        ([ONES], [ONES, ONES], "equally many recordings, got 1 and 2"),
        ([ONES, ONES], [ZEROS, ONES[1:]], r"X\[1\] and y\[1\] must have the same length"),
        ([ZEROS], [ONES], "X must not be silent"),
        ([ONES], [ZEROS], "y must not be silent"),
        ([ONES], [ONES], "X equals y"),
        ([ONES.astype(int)], [ONES], r"X\[0\] must be float32 or float64"),
    ],
)
def test_bad_recordings(X, y, message):
    with pytest.raises(ValueError, match=message):
        SpeechEnhancer(WienerLike()).fit(X, y)


@pytest.mark.parametrize(
    "parameters",
    [
        {"n_context": 0},
        {"sample_rate": -1},
        {"regressor": "nmf"},
        {"hop_length": 0},
        {"n_mixtures": 0},
        {"hop_length": 0.02},
    ],
)
def test_bad_parameters(parameters):
    enhancer = SpeechEnhancer(WienerLike()).set_params(**parameters)
    with pytest.raises(ValueError, match=next(iter(parameters))):
        enhancer.fit(*make_recordings())


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


def small_network(**settings):
    return DeepNMFRegressor(
        **{"n_components": 8, "n_layers": 4, "output": "mask", "tied": True, "max_iter": 3}
        | settings,
        init="sparse_nmf",
        sparsity=1.0,
        random_state=0,
    )


@pytest.fixture(scope="module")
def network():
    data = load_bundled_recordings("train")
    enhancer = SpeechEnhancer(small_network(), n_context=3, n_mixtures=4, random_state=0)
    return enhancer.fit_sources([s[:32000] for s in data.speech], data.noise)


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
        n_mixtures=4,
        random_state=0,
    ).fit_sources([s[:32000] for s in data.speech], data.noise)
    assert enhancer.regressor_.n_features_in_ == (1 + 2) * 20 + 201
    assert enhancer.regressor_.n_parameters_ < network.regressor_.n_parameters_
    stream = enhancer.stream()
    output = np.concatenate([*map(stream.process, split(noisy[:8000], [333])), stream.flush()])
    np.testing.assert_allclose(output, enhancer.enhance(noisy[:8000]), rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match=r"context_bands=300 .* 201 bins; give fewer, or None"):
        enhancer.set_params(context_bands=300).fit_sources(data.speech, data.noise)


def test_bands_by_default_only_where_there_are_bins_enough():
    noisy, clean = make_recordings(1)
    for window_length, n_bands in ((0.025, 40), (0.004, 33)):
        enhancer = SpeechEnhancer(
            LinearRegression(),
            window_length=window_length,
            hop_length=window_length / 2,
            n_context=2,
        ).fit(noisy, clean)
        assert enhancer.regressor_.n_features_in_ == 2 * n_bands + window_length * 8000 + 1


def test_deep_nmf_does_not_depend_on_the_level(network):
    noisy = load_bundled_recordings("test").speech[0][:8000]
    quiet = network.enhance(noisy / 1024)
    np.testing.assert_allclose(quiet * 1024, network.enhance(noisy), rtol=0, atol=1e-5)


def test_deep_nmf_grid_search():
    noisy, clean = make_recordings(4)
    search = GridSearchCV(
        SpeechEnhancer(small_network(n_components=2), n_context=2),
        {"regressor__n_layers": [1, 2]},
        cv=2,
    )
    search.fit(noisy, clean)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_default_regressor():
    noisy, clean = make_recordings(1, n_samples=3000)
    enhancer = SpeechEnhancer(n_context=1, random_state=0).fit(noisy, clean)
    chosen = {"n_layers": 16, "tied": True, "relaxation": 2.0, "fit_projections": True}
    chosen |= {"recurrence": 0.5}
    assert isinstance(enhancer.regressor_, DeepNMFRegressor)
    assert chosen.items() <= enhancer.regressor_.get_params().items()
    assert len(enhancer.regressor_.bases_) == 16
    assert enhancer.regressor is None
    again = clone(enhancer).fit(noisy, clean)
    np.testing.assert_array_equal(again.enhance(noisy[0]), enhancer.enhance(noisy[0]))
