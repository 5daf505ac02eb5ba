"""Synthetic noise."""

import numpy as np
import pytest

from skunfold.audio import STFT
from skunfold.audio.synthetic_noise import KINDS, change_speed
from skunfold.datasets import load_bundled_recordings, make_noise


@pytest.fixture(scope="module")
def speech():
    """Two bundled utterances."""
    return load_bundled_recordings().speech[:2]


def test_noise_has_the_length_level_and_kinds_that_were_asked_for(speech):
    """All kinds are made in turn, at one level, and none of them twice alike."""
    noise = make_noise(10, seconds=1.5, speech=speech, random_state=0)
    assert noise.kinds == [*KINDS, *KINDS]
    assert {x.dtype for x in noise.recordings} == {np.dtype(np.float32)}
    assert {x.shape for x in noise.recordings} == {(24000,)}
    for x in noise.recordings:
        np.testing.assert_allclose([x.std(), x.mean()], [0.05, 0], atol=1e-4)
    similar = np.abs(np.corrcoef(noise.recordings)[np.triu_indices(10, 1)])
    assert similar.max() < 0.9


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sample_rate", [1000, 8000, 48000])
def test_every_kind_is_finite_at_every_rate(kind, sample_rate):
    """A seed gives the same noise every time; another seed gives another one."""
    voice = [np.random.default_rng(0).normal(size=sample_rate)]
    known = {"seconds": 1, "sample_rate": sample_rate, "kinds": [kind], "speech": voice}
    first, again = (make_noise(1, random_state=3, **known).recordings[0] for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert np.isfinite(first).all()
    assert first.any()
    assert np.abs(first - make_noise(1, random_state=4, **known).recordings[0]).max() > 0.01


def test_kinds_sound_as_their_names_say():
    """Knocks come and go more than steady noise; hums have peaks where that has none."""

    def measured(kind, measure):
        noise = make_noise(16, seconds=1, kinds=[kind], random_state=1).recordings
        return np.median([measure(np.abs(STFT().analyze(x))) for x in noise])

    def changes(frames):
        level = np.sqrt(np.square(frames).mean(axis=1))
        return level.std() / level.mean()

    def peaks(frames):
        spectrum = np.square(frames).mean(axis=0)
        return np.mean(spectrum[1:-1] > 0.65 * (spectrum[:-2] + spectrum[2:]))

    assert measured("impulsive", changes) > 4 * measured("coloured", changes)
    assert measured("modulated", changes) > 2 * measured("coloured", changes)
    assert measured("harmonic", peaks) > 4 * max(0.01, measured("coloured", peaks))


def test_without_speech_there_is_no_babble():
    """None stands for all kinds that can be made."""
    assert set(make_noise(8, seconds=1, random_state=0).kinds) == set(KINDS) - {"babble"}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_recordings": 0}, "n_recordings must be an integer of at least 1, got 0"),
        ({"n_recordings": 1.5}, "n_recordings must be an integer of at least 1, got 1.5"),
        ({"seconds": 0.5}, "seconds must be a number of at least 1, got 0.5"),
        ({"seconds": np.inf}, "seconds must be a number of at least 1, got inf"),
        ({"sample_rate": 500}, "sample_rate=500 is out of range"),
        ({"kinds": "babble"}, "kinds must be a list of some of coloured, .*; got 'babble'"),
        ({"kinds": []}, "kinds must be a list of some of coloured"),
        ({"kinds": ["pink"]}, r"kinds must be a list .*; got \['pink'\]"),
        ({"kinds": ["babble"]}, "speech is missing, of which babble is made"),
        ({"speech": [np.zeros(100)]}, r"speech\[0\] must not be silent"),
    ],
)
def test_bad_input_is_named(wrong, message):
    """Before anything is made, a sentence says what is wrong."""
    with pytest.raises(ValueError, match=message):
        make_noise(**wrong)


def test_speed_changes_length_and_pitch():
    """A tone gets as much higher as it gets shorter; the number of periods stays."""
    tone = np.sin(np.arange(16000) * 0.3).astype(np.float32)
    lengths = [len(change_speed(tone, 0.5, seed)) for seed in range(20)]
    assert 16000 / 2**0.55 < min(lengths) < 13000
    assert 20000 < max(lengths) < 16000 * 2**0.55
    changed = change_speed(tone, 0.5, 0)
    assert changed.dtype == np.float32
    crossings = [np.count_nonzero(np.diff(np.signbit(x))) for x in (tone, changed)]
    assert abs(crossings[0] - crossings[1]) < 10
