import pickle

import fast_bss_eval.numpy as bss_eval  # the half that needs no PyTorch
import numpy as np
import pytest
from scipy.signal import lfilter, resample_poly
from sklearn.base import BaseEstimator
from sklearn.model_selection import GridSearchCV

from skunfold import metrics
from skunfold.metrics import sdr, sdr_improvement, si_sdr, si_sdr_improvement

SCORERS = [metrics.si_sdr_scorer, metrics.si_sdr_improvement_scorer, metrics.sdr_scorer]


def speech_like(rng, shape):
    """Noise with a slow envelope and a strongly coloured spectrum."""
    coloured = lfilter([1.0], [1.0, -1.6, 0.81], rng.standard_normal(shape), axis=-1)
    envelope = 1.0 + np.sin(2 * np.pi * 3.0 * np.arange(shape[-1]) / 16000)
    return 0.1 * envelope * coloured


def signals(kind, n_samples=8000, snr=5.0):
    rng = np.random.default_rng(0)
    make = speech_like if kind == "speech-like" else lambda r, shape: r.standard_normal(shape)
    reference = make(rng, (3, n_samples))
    echo = lfilter([0.8, 0.0, 0.0, 0.3], [1.0], reference, axis=-1)
    return reference, echo + 10 ** (-snr / 20) * rng.standard_normal((3, n_samples)) + 0.01


@pytest.mark.parametrize("kind", ["random", "speech-like"])
@pytest.mark.parametrize("snr", [-10.0, 5.0, 40.0])
def test_ratios_are_those_of_fast_bss_eval(kind, snr):
    reference, estimate = signals(kind, snr=snr)
    one_by_one = [bss_eval.sdr(r[None], e[None])[0] for r, e in zip(reference, estimate)]
    np.testing.assert_allclose(sdr(reference, estimate), one_by_one, atol=1e-6)
    np.testing.assert_allclose(
        si_sdr(reference, estimate),
        [bss_eval.si_sdr(r[None], e[None])[0] for r, e in zip(reference, estimate)],
        atol=1e-6,
    )


@pytest.mark.parametrize("filter_length", [2, 37, 512, 900])
def test_sdr_is_a_least_squares_fit_of_delayed_copies(filter_length):
    rng = np.random.default_rng(1)
    reference, estimate = rng.standard_normal((2, 600))
    n_out = 600 + filter_length - 1
    copies = np.zeros((n_out, filter_length))
    for delay in range(filter_length):
        copies[delay : delay + 600, delay] = reference
    padded = np.concatenate([estimate, np.zeros(filter_length - 1)])
    target = copies @ np.linalg.lstsq(copies, padded, rcond=None)[0]
    expected = 10 * np.log10(np.sum(target**2) / np.sum((padded - target) ** 2))
    assert sdr(reference, estimate, filter_length=filter_length) == pytest.approx(expected)


def test_one_tap_sdr_is_si_sdr():
    reference, estimate = signals("random")
    np.testing.assert_allclose(
        sdr(reference, estimate, filter_length=1), si_sdr(reference, estimate), rtol=1e-9
    )


@pytest.mark.parametrize("snr", [-30.0, 0.0, 17.0, 80.0])
@pytest.mark.parametrize("scale", [1e-150, -1.0, 1e150])
def test_si_sdr_of_orthogonal_noise_is_the_snr(snr, scale):
    rng = np.random.default_rng(2)
    reference, noise = rng.standard_normal((2, 4000))
    noise -= (noise @ reference) / (reference @ reference) * reference
    noise *= np.linalg.norm(reference) / np.linalg.norm(noise) * 10 ** (-snr / 20)
    assert si_sdr(reference, scale * (reference + noise)) == pytest.approx(snr)
    assert si_sdr(scale * reference, reference + noise) == pytest.approx(snr)


@pytest.mark.parametrize("metric", [si_sdr, sdr])
def test_perfect_silent_and_unrelated_estimates(metric):
    reference = np.random.default_rng(3).standard_normal(3000)
    assert metric(reference, -0.3 * reference) > 200.0
    assert metric(reference, np.zeros(3000)) == -np.inf
    impulse, later = np.eye(2000)[[1500, 0]]
    assert metric(impulse, later) < -200.0


def test_sdr_forgives_a_filter_and_si_sdr_does_not():
    reference = np.random.default_rng(4).standard_normal(4000)
    reference[-100:] = 0.0
    filtered = lfilter([0.0, 0.5, 0.3, -0.7], [1.0], reference)
    assert sdr(reference, filtered) > 200.0
    assert si_sdr(reference, filtered) < 10.0


@pytest.mark.parametrize(
    "reference",
    [
        np.ones(8000),
        np.sin(0.3 * np.arange(8000)),
        np.eye(1, 8000)[0],
        resample_poly(np.random.default_rng(5).standard_normal(2000), 4, 1),
    ],
    ids=["constant", "sine", "impulse", "quarter band"],
)
def test_sdr_of_an_ill_conditioned_reference(reference):
    noise = np.random.default_rng(6).standard_normal(8000)
    noise *= np.linalg.norm(reference) / np.linalg.norm(noise)
    copies = np.zeros((8511, 512))
    for delay in range(512):
        copies[delay : delay + 8000, delay] = reference
    padded = np.concatenate([reference + 0.1 * noise, np.zeros(511)])
    target = copies @ np.linalg.lstsq(copies, padded, rcond=None)[0]
    expected = 10 * np.log10(np.sum(target**2) / np.sum((padded - target) ** 2))
    assert sdr(reference, reference + 0.1 * noise) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("width", [300, 800, 2000])
def test_sdr_of_a_reference_whose_delayed_copies_are_dependent(width):
    reference = np.exp(-0.5 * ((np.arange(16000) - 8000) / width) ** 2)
    noise = np.random.default_rng(6).standard_normal(16000)
    noise *= np.linalg.norm(reference) / np.linalg.norm(noise)
    assert sdr(reference, reference + 0.1 * noise) == pytest.approx(20.0, abs=0.3)


@pytest.mark.parametrize(
    ("metric", "improvement"), [(si_sdr, si_sdr_improvement), (sdr, sdr_improvement)]
)
def test_improvement_is_a_difference(metric, improvement):
    reference, estimate = signals("speech-like")
    mixture = estimate + 0.5
    expected = metric(reference, estimate) - metric(reference, mixture)
    np.testing.assert_allclose(improvement(reference, estimate, mixture), expected)
    assert isinstance(improvement(reference[0], estimate[0], mixture[0]), float)


def test_shapes_and_dtypes():
    reference, estimate = signals("random")
    single = np.float32(reference), np.float32(estimate)
    for metric in (si_sdr, sdr):
        assert metric(*single).shape == (3,)
        assert metric(*single).dtype == np.float64
        assert isinstance(metric(reference[0], estimate[0]), float)
        np.testing.assert_allclose(metric(*single), metric(reference, estimate), atol=1e-4)
    pcm = np.int16(1000 * reference[0]), np.int16(1000 * estimate[0])
    assert si_sdr(*pcm) == pytest.approx(si_sdr(reference[0], estimate[0]), abs=0.01)


@pytest.mark.parametrize("metric", [si_sdr, sdr])
@pytest.mark.parametrize(
    ("y_true", "y_pred", "message"),
    [
        (np.zeros(9), np.ones(9), "y_true must not be silent.*signal 0"),
        (np.eye(2, 9) * [[1], [0]], np.ones((2, 9)), "y_true must not be silent.*signal 1"),
        (np.ones(9), np.ones(8), r"y_pred must have the shape of y_true, got \(8,\)"),
        (np.ones(9), np.full(9, np.nan), "y_pred must be finite"),
        (np.full(9, np.inf), np.ones(9), "y_true must be finite"),
        (np.ones(0), np.ones(0), "y_true must have shape"),
        (1.0, 1.0, "y_true must have shape"),
        (np.ones((2, 2, 2)), np.ones((2, 2, 2)), "y_true must have shape"),
        (np.ones(9) * 1j, np.ones(9), "y_true must hold real numbers"),
        ([[1.0], [1.0, 2.0]], np.ones(2), "y_true must be one array of numbers"),
    ],
)
def test_bad_signals_are_refused(metric, y_true, y_pred, message):
    with pytest.raises(ValueError, match=message):
        metric(y_true, y_pred)


@pytest.mark.parametrize("filter_length", [0, -1, 2.5, None])
def test_bad_filter_length_is_refused(filter_length):
    with pytest.raises(ValueError, match="filter_length must be a positive integer"):
        sdr(np.ones(9), np.ones(9), filter_length=filter_length)


def test_improvement_over_nothing_is_refused():
    y = np.array([1.0, -1.0, 0.5])
    with pytest.raises(ValueError, match="mixture must hold speech and noise"):
        si_sdr_improvement(y, y + 0.1, 0 * y)
    with pytest.raises(ValueError, match="mixture must hold speech and noise"):
        si_sdr_improvement([1.0, 0.0], [1.0, 0.5], [1.0, 0.0])
    with pytest.raises(ValueError, match="mixture must have the shape"):
        sdr_improvement(y, y, y[:2])


class Gain(BaseEstimator):
    """An enhancer that subtracts a constant."""

    def __init__(self, offset=0.0):
        self.offset = offset

    def fit(self, X, y):
        return self

    def predict(self, X):
        return [x - self.offset for x in X]


def recordings():
    rng = np.random.default_rng(7)
    clean = [rng.standard_normal(n) for n in (900, 1000, 1100, 1200)]
    return [y + 0.1 * rng.standard_normal(len(y)) + 0.5 for y in clean], clean


def test_scorers_average_over_recordings():
    X, y = recordings()
    enhanced = [x - 0.5 for x in X]
    expected = [
        [si_sdr(t, p) for t, p in zip(y, enhanced)],
        [si_sdr_improvement(t, p, x) for t, p, x in zip(y, enhanced, X)],
        [sdr(t, p) for t, p in zip(y, enhanced)],
    ]
    for scorer, values in zip(SCORERS, expected):
        score = scorer(Gain(0.5), X, y)
        assert type(score) is float
        assert score == pytest.approx(np.mean(values))


@pytest.mark.parametrize("scorer", SCORERS)
def test_scorers_pickle_and_guide_a_search(scorer):
    X, y = recordings()
    assert pickle.loads(pickle.dumps(scorer)) is scorer
    search = GridSearchCV(Gain(), {"offset": [0.0, 0.5, 3.0]}, scoring=scorer, cv=2).fit(X, y)
    assert search.best_params_ == {"offset": 0.5}


@pytest.mark.parametrize("scorer", SCORERS)
def test_scorers_name_the_recording(scorer):
    X, y = recordings()
    with pytest.raises(ValueError, match="same number of recordings"):
        scorer(Gain(), X, y[:-1])
    with pytest.raises(ValueError, match="same number of recordings"):
        scorer(Gain(), [], [])
    with pytest.raises(ValueError, match="recording 2: y_true must not be silent"):
        scorer(Gain(), X, [*y[:2], 0 * y[2], y[3]])

    class Short:
        def predict(self, X):
            return X[1:]

    with pytest.raises(ValueError, match="one waveform a recording, got 3 for 4"):
        scorer(Short(), X, y)
