import numpy as np
import pytest
from numpy.testing import assert_allclose

from skunfold.audio import STFT, mel_bands, stack_context
from skunfold.audio.context import Context, ContextStream

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


def running_average(frames, seconds, hop=0.010):
    """Return the average at each frame of all up to it, by its definition."""
    ages = np.arange(len(frames)) * hop
    weights = [np.exp(-ages[: t + 1] / seconds)[::-1] for t in range(len(frames))]
    return np.stack([w @ frames[: t + 1] / w.sum() for t, w in enumerate(weights)])


@pytest.mark.parametrize("n_bands", [None, 10])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_averages_stand_before_the_stacked_frames(n_bands, dtype):
    frames = np.random.default_rng(RNG_SEED).random((30, 201)).astype(dtype)
    context = Context.of(STFT(), 3, n_bands, (0.05, 1.0))
    features = context.features(frames)
    gathered = frames if n_bands is None else frames @ mel_bands(201, n_bands)
    expected = [running_average(gathered, 0.05), running_average(gathered, 1.0)]
    expected.append(stack_context(frames, 3, bands=context.bands))
    assert_allclose(features, np.concatenate(expected, axis=1), rtol=1e-5)
    assert features.dtype == dtype
    assert features.shape == (30, context.n_features)


def test_averages_of_sources_add_up():
    speech, noise = np.random.default_rng(RNG_SEED).random((2, 30, 201))
    context = Context.of(STFT(), 3, 10, (0.3,))
    total = context.features(speech) + context.features(noise)
    assert_allclose(context.features(speech + noise), total)


@pytest.mark.parametrize("averages", [(), (0.3, 3.0)])
def test_features_in_blocks_are_those_of_the_whole(averages):
    frames = np.random.default_rng(RNG_SEED).random((30, 201), dtype=np.float32)
    context = Context.of(STFT(), 3, 10, averages)
    stream = ContextStream(context)
    blocks = [stream.process(b) for b in np.split(frames, [0, 1, 2, 17, 17])]
    assert_allclose(np.concatenate(blocks), context.features(frames), rtol=1e-6)


def test_an_average_of_a_constant_is_that_constant():
    context = Context.of(STFT(), 1, None, (3.0,))
    features = context.features(np.full((100_000, 201), 0.1, np.float32))
    assert_allclose(features, 0.1, rtol=1e-6)


@pytest.mark.parametrize("seconds", [0, -1.0, np.inf, np.nan, "1"])
def test_time_constants_that_cannot_be(seconds):
    with pytest.raises(ValueError, match=r"context_averages\[1\] must be a number of seconds"):
        Context.of(STFT(), 1, None, (1.0, seconds))
