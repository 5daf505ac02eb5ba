import numpy as np
import pytest
from numpy.testing import assert_allclose

from skunfold.audio import STFT, mel_bands, stack_context
from skunfold.audio.features import RunningLevel, recording_level, training_frames

RNG_SEED = 0


def test_stack_context_puts_the_oldest_first():
    frames = np.arange(10.0).reshape(5, 2)
    stacked = stack_context(frames, 3)
    for t in range(5):
        for lag in range(3):
            expected = frames[t - lag] if t >= lag else np.zeros(2)
            block = stacked[t, 2 * (2 - lag) : 2 * (3 - lag)]
            np.testing.assert_array_equal(block, expected)


def test_stack_context_in_blocks_is_the_whole():
    frames = np.random.default_rng(RNG_SEED).random((12, 3)).astype("float32")
    whole = stack_context(frames, 4)
    rest = stack_context(frames[5:], 4, past=frames[2:5])
    np.testing.assert_array_equal(rest, whole[5:])
    assert whole.dtype == rest.dtype == np.float32


@pytest.mark.parametrize(("n_frames", "n_context"), [(5, 1), (1, 3), (0, 3), (2, 9)])
def test_stack_context_is_a_new_array(n_frames, n_context):
    frames = np.ones((n_frames, 2))
    stacked = stack_context(frames, n_context)
    assert stacked.shape == (n_frames, 2 * n_context)
    stacked[:] = 7
    np.testing.assert_array_equal(frames, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros(3), 2), r"frames must be of shape \(n_frames, n_bins\), got \(3,\)"),
        ((np.zeros((3, 2)), 0), "n_context must be at least 1, got 0"),
        ((np.zeros((3, 2)), 3, np.zeros((1, 2))), r"past must be of shape \(2, 2\)"),
    ],
)
def test_stack_context_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        stack_context(*arguments)


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


def make_pairs(dtype="float32"):
    rng = np.random.default_rng(RNG_SEED)
    clean = [0.1 * rng.standard_normal(n).astype(dtype) for n in (3000, 4000)]
    noisy = [s + 0.2 * rng.standard_normal(len(s)).astype(dtype) for s in clean]
    return noisy, clean


def make_frames(noisy, clean, max_source_frames=1000, bands=None):
    return training_frames(
        noisy,
        clean,
        stft=STFT(),
        n_context=3,
        bands=bands,
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
    mixture = np.abs(stft.analyze(noisy[1]))
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


@pytest.mark.parametrize(("n_bins", "n_bands"), [(201, 40), (201, 2), (33, 8)])
def test_bands_share_each_bin(n_bins, n_bands):
    weights = mel_bands(n_bins, n_bands)
    assert weights.shape == (n_bins, n_bands)
    assert_allclose(weights.sum(axis=1), 1)
    assert weights.min() >= 0
    assert weights.any(axis=0).all()
    assert np.all(np.diff(weights.argmax(axis=1)) >= 0)


@pytest.mark.parametrize(
    ("n_bands", "message"), [(1, "at least 2, got 1"), (100, "100 are too many for 201 bins")]
)
def test_bands_that_cannot_be(n_bands, message):
    with pytest.raises(ValueError, match=message):
        mel_bands(201, n_bands)


def test_bands_of_a_single_bin():
    with pytest.raises(ValueError, match="n_bins must be at least 2, got 1"):
        mel_bands(1, 2)


def test_only_the_frames_before_the_current_one_are_gathered_into_bands():
    frames = np.random.default_rng(0).random((6, 33), dtype=np.float32)
    bands = mel_bands(33, 5)
    stacked = stack_context(frames, 3, bands=bands)
    assert stacked.dtype == np.float32
    assert_allclose(stacked[:, -33:], frames)
    gathered = frames @ bands.astype(np.float32)
    assert_allclose(stacked[2:, :10], stack_context(gathered, 3)[2:, :10], rtol=1e-6)
    later = stack_context(frames[4:], 3, past=frames[2:4], bands=bands)
    assert_allclose(later, stacked[4:], rtol=1e-6)


def test_bands_are_of_as_many_bins():
    with pytest.raises(
        ValueError, match=r"bands must be of shape \(4, n_bands\), got \(3, 2\)"
    ):
        stack_context(np.ones((2, 4)), 2, bands=np.ones((3, 2)))
