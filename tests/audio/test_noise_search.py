"""Noise that is looked for in the recording itself."""

import io

import numpy as np
import pytest
import soundfile
from enhancers import make_recordings

from skunfold.audio import SpeechEnhancer, read_audio, resample, write_audio
from skunfold.audio._noise_search import beginning, find_noise
from skunfold.datasets import load_bundled_recordings, make_noise, mix_at_snr
from skunfold.metrics import si_sdr

RATE = 16000


@pytest.fixture(scope="module")
def enhancer():
    """The one that comes with the package."""
    return SpeechEnhancer.pretrained()


@pytest.fixture(scope="module")
def mixture():
    """An utterance in synthetic noise, and the utterance."""
    clean = load_bundled_recordings("test").speech[1]
    (noise,) = make_noise(1, kinds=["harmonic"], random_state=5).recordings
    return mix_at_snr(clean, noise, 0, random_state=0)[0], clean


def test_the_noise_is_found_where_least_speech_is_left():
    """A tenth of the blocks of 10 ms is taken, in order of time; silence is not."""
    noisy = np.random.default_rng(0).normal(size=4 * RATE)
    enhanced = noisy.copy()
    enhanced[RATE : 2 * RATE] *= 0.01  # a pause
    noisy[RATE : RATE + 1600] = enhanced[RATE : RATE + 1600] = 0  # a gap in it
    found = find_noise(noisy, enhanced, RATE)
    assert len(found) == 39 * 160
    places = [int(np.flatnonzero(noisy == x)[0]) for x in found[::160]]
    assert places == sorted(places)
    assert min(places) >= RATE + 1600
    assert max(places) < 2 * RATE


def test_short_and_silent_recordings_have_no_noise_to_find(enhancer):
    """They are enhanced without a sample."""
    rng = np.random.default_rng(0)
    silent = np.zeros(3 * RATE, np.float32)
    assert find_noise(silent, silent, RATE) is None
    for waveform in (silent, rng.normal(size=7999).astype(np.float32)):
        np.testing.assert_array_equal(
            enhancer.enhance(waveform, noise_sample="auto"), enhancer.enhance(waveform)
        )


def test_it_helps_against_noise_that_the_model_has_not_heard(enhancer, mixture):
    """And it is what the parts that were found give as a sample."""
    noisy, clean = mixture
    once, twice = enhancer.enhance(noisy), enhancer.enhance(noisy, noise_sample="auto")
    assert twice.dtype == np.float32
    assert si_sdr(clean, twice) > si_sdr(clean, once) + 0.5


def test_channels_have_one_noise(enhancer, mixture):
    """It is looked for in their mean."""
    noisy, _ = mixture
    stereo = np.stack([noisy, 0.5 * noisy], axis=1)
    both = enhancer.enhance(stereo, noise_sample="auto")
    np.testing.assert_allclose(both[:, 1], 0.5 * both[:, 0], atol=1e-5)


@pytest.mark.parametrize("rate", [16000, 48000])
def test_files_are_searched(enhancer, mixture, rate, tmp_path):
    """Those in memory as well, from their present place on."""
    noisy = resample(mixture[0], RATE, rate)
    write_audio(tmp_path / "in.wav", noisy, rate, subtype="FLOAT")
    start = beginning(tmp_path / "in.wav", RATE)
    np.testing.assert_allclose(start, resample(noisy, rate, RATE), atol=1e-6)
    enhancer.enhance_file(tmp_path / "in.wav", tmp_path / "out.wav", noise_sample="auto")
    output, _ = read_audio(tmp_path / "out.wav")
    enhancer.enhance_file(tmp_path / "in.wav", tmp_path / "without.wav")
    assert np.abs(output - read_audio(tmp_path / "without.wav")[0]).max() > 0.01
    if rate == RATE:
        expected = enhancer.enhance(noisy, noise_sample="auto")
        np.testing.assert_allclose(output, expected, atol=1e-5)
    source, target = io.BytesIO((tmp_path / "in.wav").read_bytes()), io.BytesIO()
    enhancer.enhance_file(source, target, noise_sample="auto")
    target.seek(0)
    np.testing.assert_array_equal(read_audio(target)[0], output)


def test_only_the_first_minute_of_a_file_is_searched(tmp_path):
    """So that memory does not grow with its length."""
    write_audio(tmp_path / "long.wav", np.full(61 * 8000, 0.1, np.float32), 8000)
    assert len(beginning(tmp_path / "long.wav", 16000)) == 60 * 16000


def test_bad_input_is_named(enhancer, tmp_path):
    """Before any work is done."""
    noisy = make_recordings()[0][0]
    with pytest.raises(ValueError, match=r"noise_sample must hold samples, got 'noise\.wav'"):
        enhancer.enhance(noisy, noise_sample="noise.wav")
    with pytest.raises(ValueError, match="cannot be used in a stream"):
        enhancer.stream(noise_sample="auto")
    soundfile.write(tmp_path / "empty.wav", np.empty(0), 16000)
    with pytest.raises(ValueError, match=r"empty\.wav holds no samples"):
        enhancer.enhance_file(tmp_path / "empty.wav", tmp_path / "o.wav", noise_sample="auto")
