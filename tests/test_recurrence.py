"""Deep NMF whose inference begins with what was active in earlier samples of a sequence."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline

from skunfold import DeepNMFRegressor
from skunfold._deep_nmf.recurrence import RecurrentStart
from skunfold._estimator.data import Data
from skunfold._training.protocol import Samples
from skunfold.audio import SpeechEnhancer
from skunfold.datasets import load_bundled_recordings

N_FEATURES, N_OUTPUTS = 12, 8
LENGTHS = [30, 1, 49]


@pytest.fixture
def mixtures():
    """Two sources, each of which has components of its own in every sequence."""
    rng = np.random.default_rng(0)
    bases = rng.gamma(0.5, size=(8, N_FEATURES))
    h = rng.gamma(0.5, size=(sum(LENGTHS), 8))
    usual = np.repeat(rng.gamma(0.3, size=(len(LENGTHS), 8)), LENGTHS, axis=0)
    h *= usual + 0.01
    X = h @ bases + 1e-3
    return X, (h[:, :4] @ bases[:4])[:, -N_OUTPUTS:]


def make_model(**params):
    settings = {
        "n_components": 4,
        "n_layers": 4,
        "output": "mask",
        "init": "random",
        "max_iter": 3,
        "tol": 0,
        "batch_size": 20,
        "recurrence": (0.5, 20),
        "random_state": 0,
    }
    return DeepNMFRegressor(**settings | params)


def loss_of(y, y_hat):
    return 0.5 * np.sum((y - y_hat) ** 2, axis=1).mean()


def test_the_start_is_what_the_equations_say(mixtures):
    X, y = mixtures
    recurrent = make_model().fit(X, y)
    constant = clone(recurrent).set_params(recurrence=0.0)
    constant.__dict__.update({k: v for k, v in vars(recurrent).items() if k.endswith("_")})
    relative = constant.transform(X)
    relative /= relative.mean(axis=1, keepdims=True)
    decay = np.exp(-1 / 20)
    for t in (0, 1, 2, 40, 79):
        weights = decay ** np.arange(t)[::-1]
        average = (weights @ relative[:t] + 10) / (weights.sum() + 10)
        architecture = recurrent._architecture()
        factors = average[None] ** 0.5
        layers = architecture.layers(recurrent._thetas(), 1)
        h = architecture.activations(X[t : t + 1], layers, factors=factors)
        assert_allclose(recurrent.transform(X)[t], h[0], rtol=1e-9)


@pytest.mark.parametrize("n_trained_layers", [1, 3, "all"])
def test_every_third_sample_trains_the_first_inference(mixtures, n_trained_layers):
    X, y = mixtures
    model = make_model(n_trained_layers=n_trained_layers).fit(X, y)
    architecture = model._architecture()
    thetas = model._thetas()
    parameters = [*(W for theta in thetas[architecture.n_frozen :] for W in theta), np.ones(1)]
    starts = []
    for first_inference_too in (False, True):
        starts.append(np.empty((len(X), 8)))
        samples = Samples((X, starts[-1]), y, sequences=(X, [len(X)]))
        start = RecurrentStart(architecture, thetas[: architecture.n_frozen], 1.0)
        start.renew(parameters, samples, first_inference_too=first_inference_too)
    constant = np.full((len(X), 8), model.initial_activation_)
    if architecture.n_frozen:
        layers = architecture.layers(thetas[: architecture.n_frozen], len(X))
        constant = architecture.activations(X, layers)
    assert_allclose(starts[1][::3], constant[::3])
    assert_array_equal(starts[1][1::3], starts[0][1::3])
    assert not np.allclose(starts[0][3::3], constant[3::3])


@pytest.mark.parametrize("n_trained_layers", [0, "all"])
def test_sequences_do_not_meet(mixtures, n_trained_layers):
    X, y = mixtures
    model = make_model(n_trained_layers=n_trained_layers).fit(X, y, lengths=LENGTHS)
    parts = np.split(X, np.cumsum(LENGTHS)[:-1])
    together = model.predict(X, lengths=LENGTHS)
    assert_allclose(together, np.concatenate([model.predict(part) for part in parts]))
    assert not np.allclose(together, model.predict(X))
    activations = np.concatenate([model.transform(part) for part in parts])
    assert_allclose(model.transform(X, lengths=LENGTHS), activations)
    *_, last = model.staged_predict(X, lengths=LENGTHS)
    assert_allclose(last, together)


def test_samples_that_arrive_in_blocks(mixtures):
    X, y = mixtures
    for recurrence in (0.0, 0.5):
        model = make_model(recurrence=recurrence).fit(X, y)
        sequence = model.sequence()
        blocks = [sequence.predict(X[a:b]) for a, b in ((0, 1), (1, 30), (30, 80))]
        assert_allclose(np.concatenate(blocks), model.predict(X), rtol=1e-9)


def test_a_sequence_can_be_pickled_between_its_samples(mixtures):
    X, y = mixtures
    sequence = make_model().fit(X, y).sequence()
    sequence.predict(X[:30])
    twin = pickle.loads(pickle.dumps(sequence))
    assert_array_equal(twin.predict(X[30:]), sequence.predict(X[30:]))


def test_later_samples_do_not_matter(mixtures):
    X, y = mixtures
    model = make_model().fit(X, y)
    other = X.copy()
    other[50:] *= np.linspace(0.1, 9, N_FEATURES)
    assert_array_equal(model.predict(other)[:50], model.predict(X)[:50])
    assert not np.allclose(model.predict(X)[60:], model.predict(X[55:])[5:])


@pytest.mark.parametrize("n_trained_layers", [0, 1, 3, "all"])
@pytest.mark.parametrize("params", [{"tied": True}, {"output": "linear"}, {"solver": "mu"}])
def test_the_loss_is_that_of_the_predictions(mixtures, n_trained_layers, params):
    X, y = mixtures
    model = make_model(n_trained_layers=n_trained_layers, **params).fit(X, y, lengths=LENGTHS)
    loss = loss_of(y, model.predict(X, lengths=LENGTHS))
    assert model.loss_ == pytest.approx(loss, rel=1e-6)
    untrained = make_model(n_trained_layers=0, **params).fit(X, y, lengths=LENGTHS)
    if n_trained_layers != 0:
        assert model.loss_ < untrained.loss_


def test_the_validation_loss_is_that_of_its_sequences(mixtures):
    X, y = mixtures
    valid = {"X_val": X[:30] * 2, "y_val": y[:30] * 2, "lengths_val": [10, 20]}
    model = make_model(early_stopping=True, averaging=0.9).fit(X, y, lengths=LENGTHS, **valid)
    y_hat = model.predict(valid["X_val"], lengths=valid["lengths_val"])
    assert model.loss_ == pytest.approx(loss_of(valid["y_val"], y_hat), rel=1e-6)


@pytest.mark.parametrize("groups", [None, np.repeat(np.arange(3), LENGTHS)])
def test_held_out_samples_begin_with_those_before_them(mixtures, groups):
    X, y = mixtures
    model = make_model(early_stopping=True, validation_fraction=0.4, n_layers=2)
    model.fit(X, y, groups=groups, lengths=LENGTHS)
    _, held_out = model._split(Data(X, y, y, None, LENGTHS), groups, None)
    y_hat = model.predict(X, lengths=LENGTHS)[held_out]
    assert model.loss_ == pytest.approx(loss_of(y[held_out], y_hat), rel=1e-6)


def test_samples_without_weight_are_left_out(mixtures):
    X, y = mixtures
    weight = np.ones(len(X))
    weight[[3, 30, 40]] = 0
    lengths = np.array(LENGTHS, np.uint64)
    model = make_model().fit(X, y, sample_weight=weight, lengths=lengths)
    used = weight > 0
    other = make_model().fit(X[used], y[used], lengths=[29, 0, 48])
    assert_allclose(model.predict(X), other.predict(X), rtol=1e-6)


def test_a_sequence_may_be_empty(mixtures):
    X, y = mixtures
    model = make_model().fit(X, y, lengths=LENGTHS)
    expected = model.predict(X, lengths=LENGTHS)
    assert_array_equal(model.predict(X, lengths=[0, 30, 0, 0, 1, 49, 0]), expected)


@pytest.mark.parametrize("n_trained_layers", [0, 2, "all"])
def test_blocks_do_not_matter(mixtures, n_trained_layers, monkeypatch):
    X, y = mixtures
    whole = make_model(n_trained_layers=n_trained_layers).fit(X, y, lengths=LENGTHS)
    expected = whole.predict(X, lengths=LENGTHS)
    monkeypatch.setattr("skunfold._deep_nmf.recurrence.BLOCK", 7)
    model = make_model(n_trained_layers=n_trained_layers).fit(X, y, lengths=LENGTHS)
    assert model.loss_ == pytest.approx(whole.loss_, rel=1e-9)
    assert_allclose(model.predict(X, lengths=LENGTHS), expected, rtol=1e-6)


def test_the_score_knows_the_sequences(mixtures):
    X, y = mixtures
    model = make_model().fit(X, y, lengths=LENGTHS)
    score = r2_score(y, model.predict(X, lengths=LENGTHS))
    assert model.score(X, y, lengths=LENGTHS) == pytest.approx(score)
    assert model.score(X, y) != pytest.approx(score)


def test_it_goes_on(mixtures):
    X, y = mixtures
    whole = make_model(max_iter=4).fit(X, y, lengths=LENGTHS)
    halves = make_model(max_iter=2, warm_start=True).fit(X, y, lengths=LENGTHS)
    halves.fit(X, y, lengths=LENGTHS)
    assert_allclose(halves.predict(X), whole.predict(X))
    stream = make_model()
    losses = [stream.partial_fit(X, y, lengths=LENGTHS).loss_ for _ in range(5)]
    assert losses[-1] < losses[0]


def test_fit_transform_knows_the_sequences(mixtures):
    X, y = mixtures
    model = make_model()
    activations = model.fit_transform(X, y, lengths=LENGTHS)
    assert_array_equal(activations, model.transform(X, lengths=LENGTHS))


def test_activations_scale_with_the_data(mixtures):
    X, y = mixtures
    model = make_model(n_trained_layers=0).fit(X, y)
    assert_allclose(model.predict(X * 1e6), model.predict(X) * 1e6, rtol=1e-6)


def test_silence_is_no_reason_to_fail(mixtures):
    X, y = mixtures
    X, y = X.astype(np.float32), y.astype(np.float32)
    X[:20] = y[:20] = X[40] = y[40] = 0
    for scale in (1e-20, 1, 1e20):
        X_scaled, y_scaled = X * np.float32(scale), y * np.float32(scale)
        y_hat = make_model().fit(X_scaled, y_scaled).predict(X_scaled)
        assert np.isfinite(y_hat).all()
        assert y_hat.dtype == np.float32
        assert not y_hat[:20].any()
        assert y_hat[41:].all()


@pytest.mark.parametrize("lengths", [[30, 49], [79.5, 0.5], [-1, 81], [[80]], 80])
def test_lengths_that_do_not_fit(mixtures, lengths):
    X, y = mixtures
    with pytest.raises(ValueError, match=r"lengths must be whole numbers, .* the 80 samples"):
        make_model().fit(X, y, lengths=lengths)
    with pytest.raises(ValueError, match="lengths must be whole numbers"):
        make_model().fit(X, y).predict(X, lengths=lengths)


def test_lengths_of_validation_data_that_is_missing(mixtures):
    X, y = mixtures
    with pytest.raises(ValueError, match="X_val is missing"):
        make_model(early_stopping=True).fit(X, y, lengths_val=[80])


def test_the_time_constant_is_300_samples_unless_it_is_given(mixtures):
    X, y = mixtures
    outputs = [make_model(recurrence=r).fit(X, y).predict(X) for r in (0.5, (0.5, 300.0))]
    assert_array_equal(*outputs)
    shorter = make_model(recurrence=(0.5, 3)).fit(X, y).predict(X)
    assert not np.allclose(outputs[0], shorter)


@pytest.mark.parametrize(
    "recurrence", [(0.5,) * 3, (), (2, 300), (0.5, 0), (0.5, np.inf), (np.nan, 1), ("a", 1)]
)
def test_what_is_no_recurrence_is_named(mixtures, recurrence):
    with pytest.raises(ValueError, match=r"recurrence=.* is neither a power from 0 to 1 nor"):
        make_model(recurrence=recurrence).fit(*mixtures)


def test_workers_cannot_train_it(mixtures):
    make_model(n_jobs=2, n_trained_layers=0).fit(*mixtures)
    with pytest.raises(
        ValueError, match=r"recurrence=\(0.5, 20\) .* n_jobs=2.*set n_jobs=None"
    ):
        make_model(n_jobs=2).fit(*mixtures)


def test_an_enhancer_knows_its_recordings():
    data, test = load_bundled_recordings("train"), load_bundled_recordings("test")
    regressor = make_model(init="sparse_nmf", batch_size=64, n_layers=3, max_iter=2)
    enhancer = SpeechEnhancer(regressor, n_context=2, random_state=0)
    enhancer.fit_sources([s[:16000] for s in data.speech], data.noise, n_mixtures=4)
    noisy = test.speech[0][:16000]
    whole, stream = enhancer.enhance(noisy), enhancer.stream()
    blocks = [stream.process(b) for b in np.array_split(noisy, 7)] + [stream.flush()]
    assert_allclose(np.concatenate(blocks), whole, rtol=0, atol=1e-6)
    later = enhancer.enhance(np.concatenate([data.noise[0][:16000], noisy]))[16000:]
    assert not np.allclose(later, whole, atol=1e-4)


def test_an_enhancer_needs_a_regressor_that_knows_sequences():
    waveform = np.random.default_rng(0).normal(size=8000)
    enhancer = SpeechEnhancer(make_pipeline(make_model()))
    with pytest.raises(ValueError, match=r"__recurrence=\(0.5, 20\), but does not know"):
        enhancer.fit([waveform], [waveform / 2])
    enhancer.set_params(regressor__deepnmfregressor__recurrence=(0, 20))
    assert enhancer.fit([waveform], [waveform / 2]).enhance(waveform).shape == (8000,)
