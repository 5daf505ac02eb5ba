"""Usual mistakes get one sentence that names what is wrong and says what would do."""

import numpy as np
import pandas as pd
import pytest

from skunfold import DeepNMFRegressor, UnfoldedBPClassifier, UnfoldedMeanFieldClassifier
from skunfold.audio import STFT, EnhancementStream, SpeechEnhancer, resample, write_audio
from skunfold.datasets import make_mixtures
from skunfold.metrics import sdr, sdr_improvement, si_sdr, si_sdr_improvement

RNG = np.random.default_rng(0)
X = RNG.random((30, 6))
CLASSES = RNG.integers(0, 3, 30)
CLASSIFIERS = [UnfoldedMeanFieldClassifier, UnfoldedBPClassifier]


@pytest.mark.parametrize("y", [["a", "b"] * 15, pd.Series(["a", "b"] * 15, dtype=object)])
def test_text_as_targets_of_the_regressor(y):
    with pytest.raises(ValueError, match=r"y must hold numbers .*'a'.*UnfoldedMeanField"):
        DeepNMFRegressor(2, n_layers=2).fit(X, y)


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_several_columns_of_classes(classifier):
    y = np.arange(60).reshape(30, 2) % 3
    with pytest.raises(ValueError, match=r"y has shape \(30, 2\).*one column.*indicator"):
        classifier(3).fit(X, y)


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_validation_targets_are_named(classifier):
    model = classifier(3, early_stopping=True)
    with pytest.raises(ValueError, match=r"^y_val holds the class 3; this model knows"):
        model.fit(X, CLASSES, X_val=X, y_val=CLASSES + 1)
    with pytest.raises(ValueError, match=r"^y_val has shape \(30, 2\); this model was"):
        model.fit(X, CLASSES, X_val=X, y_val=np.ones((30, 2), int))


def test_too_few_samples_to_hold_some_out():
    message = r"validation_fraction=0.1 of (\d) samples; give another .*early_stopping=False"
    with pytest.raises(ValueError, match=message):
        DeepNMFRegressor(2, n_layers=2, early_stopping=True).fit(X[:1], X[:1])
    with pytest.raises(ValueError, match=message):
        UnfoldedMeanFieldClassifier(3, early_stopping=True).fit(X[:6], CLASSES[:6])


def test_no_jobs():
    with pytest.raises(ValueError, match=r"'n_jobs' parameter .* Got 0 instead"):
        DeepNMFRegressor(2, n_layers=2, n_jobs=0).fit(X, X)


def test_a_classifier_in_place_of_a_regressor():
    waveforms = list(RNG.uniform(-1, 1, (2, 2000)))
    with pytest.raises(TypeError, match="regressor is a classifier, UnfoldedBPClassifier"):
        SpeechEnhancer(UnfoldedBPClassifier()).fit(waveforms[:1], waveforms[1:])


@pytest.mark.parametrize(
    ("output", "advice"),
    [
        ("linear", "give an int of at least 1[.]"),
        ("mask", "or one for each target, and last one for the residual"),
    ],
)
def test_components_that_do_not_fit_the_groups(output, advice):
    with pytest.raises(ValueError, match=rf"n_components=\(2, 0, 3\) does not fit .* {advice}"):
        DeepNMFRegressor((2, 0, 3), output=output, n_layers=2).fit(X, X)


def test_groups_of_another_number_of_samples():
    with pytest.raises(ValueError, match=r"groups has the shape \(2,\).* the 30 samples"):
        DeepNMFRegressor(2, n_layers=2).fit(X, X, groups=[0, 1])


def test_names_of_files_instead_of_waveforms():
    with pytest.raises(ValueError, match=r"X\[0\] must hold samples, got 'a.wav'; read_audio"):
        SpeechEnhancer().fit(["a.wav"], ["b.wav"])


def test_axes_that_are_certainly_swapped(tmp_path):
    stereo = np.zeros((2000, 2))
    model = SpeechEnhancer()
    for function in (
        lambda x: resample(x, 16000, 8000),
        lambda x: write_audio(tmp_path / "a.wav", x, 16000),
        lambda x: SpeechEnhancer.enhance(model, x),
    ):
        with pytest.raises(ValueError, match=r"\(2, 2000\), more channels than samples"):
            function(stereo.T)
        with pytest.raises(ValueError, match=r"more than 64 channels; give \(n_samples, n_ch"):
            function(np.zeros((2000, 65)))
    assert not (tmp_path / "a.wav").exists()
    for metric in (si_sdr, sdr):
        with pytest.raises(ValueError, match=r"y_true has shape .* more signals than samples"):
            metric(stereo + 1, stereo + 1)
    for metric in (si_sdr_improvement, sdr_improvement):
        with pytest.raises(ValueError, match=r"more signals than samples; give \(n_signals"):
            metric(stereo.T + 1, stereo.T + 1, stereo)
    with pytest.raises(ValueError, match=r"speech has shape .* more recordings than samples"):
        make_mixtures(stereo, [stereo[:, 0]])
    with pytest.raises(ValueError, match="at most 64, or None, got 2000"):
        EnhancementStream(None, STFT(), 2, n_channels=2000)


def test_what_read_audio_returns_in_place_of_a_waveform():
    pair = np.zeros(2000), 16000
    with pytest.raises(
        ValueError, match=r"waveform must hold samples, got a pair; .* first part"
    ):
        SpeechEnhancer.enhance(SpeechEnhancer(), pair)
    with pytest.raises(ValueError, match=r"X\[0\] must hold samples, got a pair"):
        SpeechEnhancer().fit([pair], [pair])


def test_negative_numbers():
    message = r"Negative values in data .* \(argument X\); give 0 or more; MaxAbsScaler keeps"
    with pytest.raises(ValueError, match=message):
        DeepNMFRegressor(2, n_layers=2).fit(X - 0.5, X)


def test_axes_that_may_be_meant():
    wide = RNG.normal(size=(64, 64))
    assert resample(wide, 16000, 8000).shape == (32, 64)
    assert len(si_sdr(wide, wide)) == 64
