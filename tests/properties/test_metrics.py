"""What the metrics must not depend on, and what they must."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from strategies import SCALES, SEEDS, waveforms

from skunfold.metrics import sdr, sdr_improvement, si_sdr, si_sdr_improvement

LENGTHS = st.integers(20, 600)
FACTORS = SCALES.flatmap(lambda scale: st.sampled_from([scale, -scale]))


def estimate_of(reference, seed, noise_level):
    noise = np.random.default_rng(seed).normal(size=len(reference))
    return reference / np.abs(reference).max() + noise_level * noise


@st.composite
def pairs(draw):
    """Return a reference and an estimate of it, whose ratio is not one of rounding errors."""
    reference = draw(waveforms(LENGTHS)).astype(np.float64)
    level = 10.0 ** draw(st.floats(-4, 1))
    estimate = estimate_of(reference, draw(SEEDS), level)
    assume(abs(si_sdr(reference, estimate)) < 100)
    return reference, estimate


@given(pairs(), FACTORS, FACTORS)
def test_si_sdr_forgives_scales(pair, a, b):
    reference, estimate = pair
    assert si_sdr(a * reference, b * estimate) == pytest.approx(si_sdr(*pair), abs=1e-6)


@given(pairs())
def test_sdr_forgives_more_than_si_sdr(pair):
    ratios = [sdr(*pair, filter_length=n) for n in (1, 4, 16)]
    assert ratios[0] == pytest.approx(si_sdr(*pair), abs=1e-6)
    assert ratios == sorted(ratios) or np.diff(ratios).min() > -1e-6


@given(pairs(), st.integers(0, 7), FACTORS)
def test_sdr_forgives_short_filters(pair, delay, factor):
    reference, estimate = pair
    delayed = factor * np.concatenate([np.zeros(delay), estimate])
    padded = np.concatenate([reference, np.zeros(delay)])
    at_least = si_sdr(reference, estimate)
    assert sdr(padded, delayed, filter_length=8) >= at_least - 1e-6


@given(waveforms(LENGTHS), SEEDS, st.floats(-40, 40))
def test_si_sdr_is_the_ratio_to_orthogonal_noise(reference, seed, ratio):
    s = reference.astype(np.float64) / np.abs(reference).max()
    noise = np.random.default_rng(seed).normal(size=len(s))
    noise -= (noise @ s) / (s @ s) * s
    assume(noise @ noise > 1e-6)
    noise *= np.sqrt((s @ s) / (noise @ noise)) * 10 ** (-ratio / 20)
    assert si_sdr(s, s + noise) == pytest.approx(ratio, abs=1e-6)


@given(st.lists(pairs(), min_size=1, max_size=4), st.integers(20, 60))
def test_metrics_of_many_signals_are_those_of_each(many, n_samples):
    y_true, y_pred = (np.array([x[:20] for x in side]) for side in zip(*many))
    assume(y_true.any(axis=1).all() and y_pred.any(axis=1).all())
    mixture = y_pred + np.random.default_rng(n_samples).normal(size=y_pred.shape)
    for metric, improvement in ((si_sdr, si_sdr_improvement), (sdr, sdr_improvement)):
        options = {"filter_length": 3} if metric is sdr else {}
        ratios = metric(y_true, y_pred, **options)
        each = [metric(s, e, **options) for s, e in zip(y_true, y_pred)]
        assert_allclose(ratios, each)
        gains = improvement(y_true, y_pred, mixture, **options)
        assert_allclose(gains, ratios - metric(y_true, mixture, **options))
