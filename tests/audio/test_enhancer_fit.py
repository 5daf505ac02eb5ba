"""What SpeechEnhancer learns from: recordings, sources that it mixes, validation data."""

from itertools import pairwise

import numpy as np
import pytest
from enhancers import WienerLike, make_recordings, small_network
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV

from skunfold import DeepNMFRegressor
from skunfold._training import loop
from skunfold.audio import STFT, SpeechEnhancer
from skunfold.audio.context import stack_context
from skunfold.audio.features import centered, recording_level, without_offset
from skunfold.datasets import load_bundled_recordings, make_mixtures


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


def test_offsets_change_nothing_in_training_and_scores():
    noisy, clean = make_recordings(dtype="float64")
    noise = [np.random.default_rng(0).standard_normal(9000)]
    enhancer = SpeechEnhancer(WienerLike(), random_state=0)
    floors, scores = [], []
    for offset in (0.0, 0.3):
        x, s = [x + offset for x in noisy], [s - offset for s in clean]
        floors.append([enhancer.fit(x, s).regressor_.floor_])
        scores.append(enhancer.score(x, s))
        enhancer.fit_sources(s, [n + offset for n in noise], n_mixtures=4)
        floors[-1].append(enhancer.regressor_.floor_)
    np.testing.assert_allclose(floors[1], floors[0], rtol=1e-6)
    assert scores[1] == pytest.approx(scores[0], abs=1e-4)


def test_fit_sources_mixes_as_make_mixtures():
    rng = np.random.default_rng(0)
    speech = make_recordings()[1]
    noise = [rng.standard_normal(9000).astype("float32")]
    speech, noise = [centered(x) for x in speech], [centered(x) for x in noise]
    settings = {"snrs": (0, 5), "n_mixtures": 4}
    enhancer = SpeechEnhancer(WienerLike(), random_state=3)
    enhancer.fit_sources(speech, noise, **settings)
    mixtures = make_mixtures(speech, noise, random_state=3, **settings)
    other = SpeechEnhancer(WienerLike()).fit(mixtures.noisy, mixtures.clean)
    np.testing.assert_allclose(enhancer.regressor_.floor_, other.regressor_.floor_, rtol=1e-5)
    assert enhancer.n_frames_ == other.n_frames_


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
    enhancer = SpeechEnhancer(CountsFits(), random_state=3)
    enhancer.fit_sources(speech, noise, n_mixtures=4, n_draws=3, X_val=noisy, y_val=clean)
    seen = enhancer.regressor_.seen_
    assert len(seen) == 3
    assert not any(np.array_equal(a, b) for a, b in pairwise(seen))
    assert len(enhancer.regressor_.validation_[0]) == STFT().n_frames(len(noisy[0]))
    assert not enhancer.regressor_.warm_start
    once = clone(enhancer).fit_sources(speech, noise, n_mixtures=4)
    np.testing.assert_array_equal(once.regressor_.seen_[0], seen[0])
    assert len(enhancer.fit(noisy, clean).regressor_.seen_) == 1  # where they are given


def test_deep_nmf_learns_from_draw_to_draw():
    data = load_bundled_recordings("train")
    mixtures = make_mixtures(data.speech[:2], data.noise, n_mixtures=2, random_state=1)
    enhancer = SpeechEnhancer(
        small_network(early_stopping=True, max_iter=1),
        n_context=2,
        random_state=0,
    )
    speech = [s[:16000] for s in data.speech[2:6]]
    validation = {"X_val": mixtures.noisy, "y_val": mixtures.clean}
    enhancer.fit_sources(speech, data.noise, n_mixtures=4, n_draws=3, **validation)
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
    enhancer = SpeechEnhancer(regressor, n_context=2, random_state=0)
    speech = [s[:16000] for s in data.speech[:2]]
    with pytest.warns(UserWarning, match="interrupted after 1 epochs"):
        enhancer.fit_sources(speech, data.noise, n_mixtures=2, n_draws=5)
    assert len(begun) == 2
    assert enhancer.regressor_.n_iter_ == 1


def test_bundled_voices_where_there_is_only_noise():
    noise = [np.random.default_rng(0).standard_normal(9000).astype("float32")]
    settings = {"sample_rate": 8000, "random_state": 3}
    enhancer = SpeechEnhancer(CountsFits(), **settings)
    enhancer.fit_sources(noise=noise, n_mixtures=2)
    voices = load_bundled_recordings("train", sample_rate=8000).speech
    other = SpeechEnhancer(CountsFits(), **settings)
    other.fit_sources(voices, noise, n_mixtures=2)
    (X,), (expected,) = enhancer.regressor_.seen_, other.regressor_.seen_
    np.testing.assert_array_equal(X, expected)
    with pytest.raises(ValueError, match=r"^noise is missing; .*fit_sources\(noise="):
        enhancer.fit_sources(voices)
    with pytest.raises(ValueError, match=r"nothing above 8000 Hz.*sample_rate=44100; give"):
        enhancer.set_params(sample_rate=44100).fit_sources(noise=noise)


class FailsInTheSecondDraw(CountsFits):
    def fit(self, X, y, X_val=None, y_val=None):
        if len(getattr(self, "seen_", [])) == 2:
            raise RuntimeError("no more")
        return super().fit(X, y, X_val, y_val)


def test_a_failed_draw_leaves_the_former_fit():
    speech, noise = make_recordings()[1], make_recordings()[0]
    regressor = FailsInTheSecondDraw()
    enhancer = SpeechEnhancer(regressor, warm_start=True, random_state=0)
    enhancer.fit_sources(speech, noise, n_mixtures=2)
    fitted = enhancer.regressor_
    with pytest.raises(RuntimeError, match="no more"):
        enhancer.fit_sources(speech, noise, n_mixtures=2, n_draws=3)
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
    enhancer = SpeechEnhancer(regressor, random_state=0)
    with pytest.raises(ValueError, match=message):
        enhancer.fit_sources(*reversed(make_recordings()), n_draws=2, **validation)


class NeverFitted(CountsFits):
    def fit(self, X, y, X_val=None, y_val=None):
        raise AssertionError("bad input is told before any work")


@pytest.mark.parametrize(
    ("mixing", "message"),
    [
        ({"snrs": ()}, r"snrs must be a list of SNRs in dB, got \(\)"),
        ({"snrs": 3}, "snrs must be a list of SNRs in dB, got 3"),
        ({"snrs": (0, 101)}, r"snrs\[1\] must be a number of dB from -100 to 100, got 101"),
        ({"n_mixtures": 0}, "n_mixtures must be a positive integer or None .* got 0"),
        ({"n_mixtures": 1.5}, "n_mixtures must be a positive integer or None .* got 1.5"),
        ({"n_draws": 0}, "n_draws must be a positive integer, got 0"),
        ({"n_draws": True}, "n_draws must be a positive integer, got True"),
        ({"n_draws": 1.5}, "n_draws must be a positive integer, got 1.5"),
    ],
)
def test_bad_mixing(mixing, message):
    with pytest.raises(ValueError, match=message):
        SpeechEnhancer(NeverFitted()).fit_sources(*reversed(make_recordings()), **mixing)


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


def test_grid_search():
    noisy, clean = make_recordings(4)
    search = GridSearchCV(
        SpeechEnhancer(WienerLike()), {"regressor__strength": [0.0, 1.0]}, cv=2
    )
    search.fit(noisy, clean)
    assert search.best_params_ == {"regressor__strength": 1.0}
    assert len(search.predict(noisy)) == 4


ONES = np.ones(100)
NAN = np.full(100, np.nan)


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
        {"hop_length": 0.02},
    ],
)
def test_bad_parameters(parameters):
    enhancer = SpeechEnhancer(WienerLike()).set_params(**parameters)
    with pytest.raises(ValueError, match=next(iter(parameters))):
        enhancer.fit(*make_recordings())


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
