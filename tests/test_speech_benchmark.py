"""The parts of the speech enhancement benchmark."""

from pathlib import Path

import numpy as np
import pytest

from skunfold import DeepNMFRegressor
from skunfold.audio import SpeechEnhancer, write_audio
from skunfold.audio.features import without_offset
from skunfold.datasets import load_bundled_recordings, make_mixtures
from skunfold.metrics import si_sdr

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def mask_network(monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.syspath_prepend(BENCHMARKS)
    return pytest.importorskip("mask_network")


@pytest.fixture
def gru_mask(mask_network):
    return pytest.importorskip("gru_mask")


@pytest.fixture
def speech_protocol(monkeypatch):
    pytest.importorskip("pystoi")
    monkeypatch.syspath_prepend(BENCHMARKS)
    return pytest.importorskip("speech_protocol")


@pytest.fixture
def mixtures():
    data = load_bundled_recordings("train")
    speech = [s[:24000] for s in data.speech[:4]]
    return make_mixtures(speech, data.noise, snrs=(0,), n_mixtures=3, random_state=0)


def test_deep_nmf_is_measured_as_it_enhances(speech_protocol, mixtures):
    regressor = DeepNMFRegressor(
        n_components=5, n_layers=3, output="mask", max_iter=2, random_state=0
    )
    enhancer = SpeechEnhancer(regressor, random_state=0).fit(mixtures.noisy, mixtures.clean)
    mixture = mixtures.noisy[0]
    context = {"context_bands": 40, "context_averages": enhancer.context_averages}
    measured = speech_protocol.masked(mixture, enhancer.regressor_.predict, **context)
    np.testing.assert_allclose(measured, enhancer.enhance(mixture), rtol=0, atol=1e-5)


def test_ideal_mask_and_mask_of_ones(speech_protocol, mixtures):
    mixture, speech, noise = mixtures.noisy[0], mixtures.clean[0], mixtures.noise[0]
    same = speech_protocol.masked(mixture, lambda X: X[:, -201:])
    np.testing.assert_allclose(same, without_offset(mixture, 16000), rtol=0, atol=1e-5)
    ideal = speech_protocol.ideal_ratio_mask(mixture, speech, noise)
    assert si_sdr(speech, ideal) > si_sdr(speech, mixture) + 5


def test_intervals_hold_utterances_together(speech_protocol):
    rng = np.random.default_rng(0)
    values = rng.normal(size=2000)
    low, high = speech_protocol.interval(values, np.arange(2000))
    standard_error = values.std() / np.sqrt(2000)
    assert (high - low) / (2 * 1.96 * standard_error) == pytest.approx(1, abs=0.1)
    repeated = speech_protocol.interval(np.tile(values, 3), np.tile(np.arange(2000), 3))
    np.testing.assert_allclose(repeated, [low, high], atol=2e-3)


def test_recordings_can_be_left_out(speech_protocol, tmp_path):
    for kind, name in (
        ("speech", "ann_0"),
        ("speech", "ann_1"),
        ("speech", "anna_0"),
        ("noise", "ann_0"),
    ):
        folder = tmp_path / kind / "train"
        folder.mkdir(parents=True, exist_ok=True)
        write_audio(folder / f"{name}.wav", np.full(1600, 0.1), 16000)
    unseen_conditions = pytest.importorskip("unseen_conditions")

    def keep(kind, name):
        return kind != "speech" or not unseen_conditions.is_of("ann", name)

    speech, noise = speech_protocol.load(tmp_path, "train", keep)
    assert (len(speech), len(noise)) == (1, 1)
    speech, noise = speech_protocol.load(tmp_path, "train")
    assert (len(speech), len(noise)) == (3, 1)


def test_mask_network_learns_and_goes_on(mask_network, mixtures):
    network = mask_network.MaskNetwork((16,), max_iter=2, batch_size=32, warm_start=True)
    enhancer = SpeechEnhancer(
        network, n_context=2, context_bands=None, context_averages=(), random_state=0
    )
    valid = {"X_val": mixtures.noisy[2:], "y_val": mixtures.clean[2:]}
    enhancer.fit(mixtures.noisy[:2], mixtures.clean[:2], **valid)
    network = enhancer.regressor_
    assert network.n_parameters_ == (2 * 201 + 1) * 16 + (16 + 1) * 201
    first, second = network.validation_loss_curve_
    assert second < first
    rng = np.random.default_rng(0)
    X = rng.gamma(1, size=(50, 402)).astype(np.float32)
    before = network.predict(X)
    assert ((before >= 0) & (before <= X[:, -201:])).all()
    network.fit(X, X[:, -201:] / 2, X_val=X, y_val=X[:, -201:] / 2)
    assert len(network.validation_loss_curve_) == 4


def test_lanes_hold_frames_in_order(gru_mask):
    lengths = np.array([5, 2, 7, 3, 4])
    rows, begins = gru_mask.lanes_of(lengths, [3, 0, 4, 2, 1], n_lanes=2, n_steps=3)
    assert rows.shape == (4, 2, 3)
    assert begins.shape == (4, 2)
    assert sorted(rows[rows >= 0]) == [*range(5), *range(7, 21)]  # 9 steps, the last left out
    firsts = np.cumsum(lengths) - lengths
    for lane, starts in zip(rows.swapaxes(0, 1), begins.T):
        assert starts[0]
        np.testing.assert_array_equal(starts[1:], np.isin(lane[1:, 0], firsts))
        frames = lane[lane >= 0]
        inside = ~np.isin(frames[1:], firsts)
        np.testing.assert_array_equal(np.diff(frames)[inside], 1)


def test_recurrent_mask_learns_goes_on_and_streams(gru_mask, mixtures):
    network = gru_mask.GRUMask(
        8, 1, n_lanes=2, n_steps=20, learning_rate_init=0.02, max_iter=2, warm_start=True
    )
    enhancer = SpeechEnhancer(network, n_context=2, random_state=0)
    valid = {"X_val": mixtures.noisy[2:], "y_val": mixtures.clean[2:]}
    enhancer.fit(mixtures.noisy[:2], mixtures.clean[:2], **valid)
    network = enhancer.regressor_
    n_in = 40 + 40 + 201
    assert network.n_parameters_ == (n_in + 1) * 8 + 3 * (2 * 8 + 2) * 8 + (8 + 1) * 201 + 4 * 8
    first, second = network.validation_loss_curve_
    assert second < first
    rng = np.random.default_rng(0)
    X = rng.gamma(1, size=(50, n_in)).astype(np.float32)
    whole = network.predict(X)
    assert ((whole >= 0) & (whole <= X[:, -201:])).all()
    stream = network.sequence()
    parts = [stream.predict(part) for part in (X[:20], X[20:21], X[21:])]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-5)
    assert not np.allclose(network.predict(X[20:]), whole[20:], atol=1e-4)  # it remembers
    y, lengths = X[:, -201:] / 2, np.array([30, 20])
    network.fit(X, y, lengths=lengths, X_val=X, y_val=y, lengths_val=lengths)
    assert len(network.validation_loss_curve_) == 4
