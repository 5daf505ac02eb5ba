"""How much an enhancer removes."""

import numpy as np
import pytest
from enhancers import make_recordings

from skunfold.audio import STFT, EnhancementStream, read_audio, write_audio


class Gains:
    """A regressor that leaves a part of each magnitude, and nothing of the first bins."""

    def __init__(self, part, n_removed=0):
        self.part = part
        self.n_removed = n_removed

    def predict(self, X):
        """Return magnitudes for features that end with the current frame."""
        output = self.part * X[:, -201:]
        output[:, : self.n_removed] = 0
        return output


def through(stream, waveform):
    """Return all that a stream makes of a waveform."""
    return np.concatenate([stream.process(waveform), stream.flush()])


def enhanced(waveform, strength=1.0):
    """Return a waveform with halved magnitudes, and its spectrogram without the edges."""
    stream = EnhancementStream(Gains(0.5, n_removed=20), STFT(), 1, strength=strength)
    output = through(stream, waveform)
    return output, np.abs(STFT().analyze(output))[10:-10]


@pytest.fixture(scope="module")
def noisy():
    """Float32 noise, a second of it."""
    return np.random.default_rng(0).normal(size=16000).astype(np.float32)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_strength_multiplies_the_attenuation_in_decibels(noisy, dtype):
    """Half of a magnitude becomes a quarter at twice the strength; none stays none."""
    waveform = noisy.astype(dtype)
    _, once = enhanced(waveform)
    for strength, ratio in ((1.0, 1.0), (2.0, 0.5), (0.5, 2**0.5)):
        output, frames = enhanced(waveform, strength=strength)
        assert output.dtype == dtype
        inner = slice(40, 190)  # bins that those without anything do not leak into
        assert np.median(frames[:, inner] / once[:, inner]) == pytest.approx(ratio, rel=0.01)
        assert frames[:, :15].max() < 0.05 * np.median(frames[:, inner])


def test_strength_zero_changes_nothing_but_the_offset(noisy):
    """Even where the regressor leaves nothing, and where there is silence."""
    waveform = noisy.copy()
    waveform[4000:8000] = 0
    output, _ = enhanced(waveform, strength=0)
    unchanged = through(EnhancementStream(Gains(1.0), STFT(), 1), waveform)
    np.testing.assert_allclose(output, unchanged, atol=1e-5)


@pytest.mark.parametrize("strength", [-0.1, 2.5, "1", True, np.nan])
def test_a_strength_out_of_range_is_refused_before_any_work(strength, tmp_path, fitted):
    """Also for files, where nothing is written."""
    noisy = make_recordings()[0][0]
    message = "strength must be a number from 0 to 2, got"
    with pytest.raises(ValueError, match=message):
        fitted.enhance(noisy, strength=strength)
    with pytest.raises(ValueError, match=message):
        fitted.enhance_file(tmp_path / "none.wav", tmp_path / "b", strength=strength)


def test_files_and_streams_take_the_strength(tmp_path, fitted):
    """They give what `enhance` gives."""
    noisy = make_recordings()[0][0]
    expected = fitted.enhance(noisy, strength=0.5)
    assert np.abs(expected - fitted.enhance(noisy)).max() > 0.01
    output = through(fitted.stream(strength=0.5), noisy)
    np.testing.assert_allclose(output, expected, atol=1e-6)
    write_audio(tmp_path / "noisy.wav", noisy, 16000, subtype="FLOAT")
    fitted.enhance_file(tmp_path / "noisy.wav", tmp_path / "out.wav", strength=0.5)
    np.testing.assert_allclose(read_audio(tmp_path / "out.wav")[0], expected, atol=1e-6)
