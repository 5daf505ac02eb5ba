import numpy as np
import pytest

from skunfold.audio import STFT, stack_context
from skunfold.audio.context import Context
from skunfold.audio.features import (
    OFFSET_SECONDS,
    OffsetRemover,
    RunningLevel,
    centered,
    recording_level,
    training_frames,
    without_offset,
)

RNG_SEED = 0


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_running_level(dtype):
    magnitudes = np.random.default_rng(RNG_SEED).random((20, 5)).astype(dtype)
    magnitudes[:3] = 0
    expected = [np.sqrt(np.mean(magnitudes[: t + 1].astype(float) ** 2)) for t in range(20)]
    expected[:3] = [1, 1, 1]
    level = RunningLevel()
    levels = np.concatenate([level.update(magnitudes[a : a + 6]) for a in range(0, 24, 6)])
    assert levels.dtype == dtype
    np.testing.assert_allclose(levels, expected, rtol=1e-6)
    assert recording_level(magnitudes) == levels[-1]


def test_level_is_the_rms_of_the_waveform():
    rng = np.random.default_rng(RNG_SEED)
    time = np.arange(32000) / 16000
    for waveform in (
        rng.normal(size=32000),
        np.convolve(rng.normal(size=32000), [1, 0, -0.9], mode="same"),
        np.sin(2 * np.pi * 440 * time),
    ):
        waveform = 0.05 * waveform / np.std(waveform)
        level = recording_level(np.abs(STFT().analyze(waveform)))
        assert level == pytest.approx(np.sqrt(np.mean(waveform**2)), rel=0.02)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_offset_is_the_mean_of_what_was_heard(dtype):
    samples = np.random.default_rng(RNG_SEED).normal(size=400).astype(dtype)
    samples += 1
    ages = np.arange(400)[:, None] - np.arange(400)
    weights = np.where(ages < 0, 0, np.exp(-ages / (OFFSET_SECONDS * 1000)))
    expected = samples - weights @ samples / weights.sum(axis=1)
    remover = OffsetRemover(1000)
    output = np.concatenate([remover.process(samples[a : a + 60]) for a in range(0, 420, 60)])
    assert output.dtype == dtype
    np.testing.assert_allclose(output, expected, rtol=0, atol=10 * np.finfo(dtype).eps)


def test_an_offset_is_gone_from_the_start_and_soon_after_a_step():
    offset = np.full(16000, 0.2)
    np.testing.assert_allclose(without_offset(offset, 16000), 0, atol=1e-13)
    late = without_offset(np.concatenate([np.zeros(16000), offset]), 16000)
    assert not late[:16000].any()
    assert abs(late[24000:]).max() < 0.01 * 0.2


def test_voices_stay_as_they_are():
    tone = np.sin(2 * np.pi * 100 * np.arange(16000) / 16000)
    error = without_offset(tone, 16000)[4000:] - tone[4000:]
    assert np.std(error) < 0.02 * np.std(tone)


def test_centring_leaves_digital_silence():
    waveform = np.r_[np.zeros(3), 0.5, 1.5, np.zeros(2)].astype("float32")
    np.testing.assert_array_equal(centered(waveform), [0, 0, 0, -0.5, 0.5, 0, 0])
    assert centered(waveform).dtype == np.float32
    assert not centered(np.full(1000, 0.1, "float32")).any()


def make_pairs(dtype="float32"):
    rng = np.random.default_rng(RNG_SEED)
    clean = [0.1 * rng.standard_normal(n).astype(dtype) for n in (3000, 4000)]
    noisy = [s + 0.2 * rng.standard_normal(len(s)).astype(dtype) for s in clean]
    return noisy, clean


def make_frames(noisy, clean, max_source_frames=1000):
    return training_frames(
        noisy,
        clean,
        context=Context.of(STFT(), 3, None, ()),
        max_source_frames=max_source_frames,
        random_state=np.random.RandomState(0),
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_training_frames(dtype):
    noisy, clean = make_pairs(dtype)
    X, y, (speech, noise), recording = make_frames(noisy, clean)
    stft = STFT()
    n_frames = [stft.n_frames(len(waveform)) for waveform in noisy]
    assert X.shape == speech.shape == noise.shape == (sum(n_frames), 3 * 201)
    assert {array.dtype for array in (X, y, speech, noise)} == {np.dtype(dtype)}
    np.testing.assert_array_equal(np.bincount(recording), n_frames)
    np.testing.assert_array_equal(speech[:, -201:], y)
    mixture = np.abs(stft.analyze(without_offset(noisy[1], 16000)))
    expected = stack_context(mixture / recording_level(mixture), 3)
    np.testing.assert_allclose(X[n_frames[0] :], expected, rtol=1e-5, atol=1e-6)


def test_training_frames_do_not_depend_on_the_level():
    noisy, clean = make_pairs()
    expected = make_frames(noisy, clean)
    louder = make_frames([32 * x for x in noisy], [32 * s for s in clean])
    np.testing.assert_allclose(louder[0], expected[0], rtol=1e-5)
    np.testing.assert_allclose(louder[1], expected[1], rtol=1e-5)


def test_training_leaves_silent_frames_out():
    noisy, clean = make_pairs()
    silence = np.zeros(8000, dtype="float32")
    n_frames = len(make_frames(noisy, clean)[0])
    X, y, sources, _ = make_frames([*noisy, silence], [*clean, silence])
    assert len(X) == len(y) == len(sources[0]) == len(sources[1]) == n_frames
    assert X[:, -201:].any(axis=1).all()


def test_training_bounds_the_frames_of_the_sources():
    noisy, clean = make_pairs()
    X, y, (speech, noise), _ = make_frames(noisy, clean, max_source_frames=10)
    assert len(speech) == len(noise) == 10
    assert len(X) == len(y) > 10
    assert all(any(np.array_equal(row, frame) for frame in y) for row in speech[:, -201:])
