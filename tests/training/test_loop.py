"""The training loop, on a model that is not ours: non-negative linear regression."""

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skunfold._training.averaging import RunningAverage
from skunfold._training.loop import LoopSettings, TrainingState, fit_loop, train_epoch
from skunfold._training.objective import Objective
from skunfold._training.protocol import Samples
from skunfold._training.updates import ExponentiatedGradient, MultiplicativeUpdate


@dataclass(frozen=True)
class LinearModel:
    """y_hat = X W: all that the protocol asks for."""

    def forward(self, parameters, X):
        return X @ parameters[0], X

    def loss(self, output, y):
        return 0.5 * np.sum((output - y) ** 2, axis=1)

    def loss_gradient(self, output, y):
        return output - y

    def backward(self, parameters, tape, g):
        return [tape.T @ g]


@pytest.fixture
def samples():
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(300, 5))
    return Samples((X,), X @ rng.uniform(size=(5, 2)))


def make_state(learning_rate=0.03):
    update = ExponentiatedGradient(learning_rate)
    return TrainingState([np.ones((5, 2))], update, np.random.RandomState(0))


def run(state, samples, valid=None, model=None, **settings):
    settings = {"max_iter": 100, "batch_size": 50} | settings
    with Objective(model or LinearModel()) as objective:
        fit_loop(objective, state, samples, LoopSettings(**settings), valid)
    return state


def mean_loss(W, samples):
    return LinearModel().loss(samples.inputs[0] @ W, samples.y).mean()


def test_any_model_of_the_protocol_is_trained(samples):
    state = run(make_state(), samples, max_iter=300, tol=0)
    assert state.best_loss < 5e-3 * mean_loss(np.ones((5, 2)), samples)
    assert [e["epoch"] for e in state.history] == list(range(1, len(state.history) + 1))


def test_a_rising_loss_halves_the_step_and_comes_back(samples):
    state = run(make_state(learning_rate=20.0), samples, max_iter=25, n_iter_no_change=100)
    best = mean_loss(np.ones((5, 2)), samples)
    rate = 20.0
    for epoch in state.history:
        assert epoch["learning_rate"] == rate
        if epoch["final_loss"] >= best:
            rate /= 2
        best = min(best, epoch["final_loss"])
    assert rate < 20.0
    assert_allclose(mean_loss(state.best_parameters[0], samples), best)


def test_the_step_decays_from_epoch_to_epoch(samples):
    state = run(make_state(learning_rate=0.1), samples, max_iter=4, learning_rate_decay=0.5)
    assert [e["learning_rate"] for e in state.history] == [0.1, 0.05, 0.025, 0.0125]


@pytest.mark.parametrize("patience", [1, 3])
def test_the_step_is_halved_when_patience_ends(samples, patience):
    settings = {"patience": patience, "max_iter": 40, "n_iter_no_change": 100}
    state = run(make_state(learning_rate=20.0), samples, **settings)
    best, n_worse, rate = mean_loss(np.ones((5, 2)), samples), 0, 20.0
    for epoch in state.history:
        assert epoch["learning_rate"] == rate
        n_worse = 0 if epoch["final_loss"] < best else n_worse + 1
        best = min(best, epoch["final_loss"])
        if n_worse == patience:
            rate, n_worse = rate / 2, 0
    assert rate < 20.0


def test_it_stops_when_nothing_changes(samples):
    state = run(make_state(), samples, max_iter=10_000, tol=1e-2, n_iter_no_change=3)
    assert state.status == "converged"
    assert len(state.history) < 1000


def test_the_best_parameters_on_the_validation_samples_are_kept(samples):
    valid = samples[200:].loaded()
    state = run(make_state(0.2), samples[:20], valid, max_iter=50, tol=0)
    losses = [e["validation_loss"] for e in state.history]
    output = valid.inputs[0] @ state.best_parameters[0]
    assert_allclose(LinearModel().loss(output, valid.y).mean(), state.best_loss)
    assert state.best_loss <= min(losses)


@pytest.mark.parametrize("decay", [0.5, 0.95])
def test_the_average_is_of_the_last_updates(decay):
    rng = np.random.default_rng(0)
    values = [rng.uniform(size=(3, 2)) for _ in range(200)]
    average = RunningAverage(decay, values[:1])
    for value in values:
        average.add([value])
    recent = decay ** np.arange(len(values))[::-1]
    # While n is small the decay is n / (n + 10), but what was then is long forgotten.
    expected = np.average(values, axis=0, weights=recent)
    assert_allclose(average.values[0], expected, rtol=1e-2 if decay > 0.9 else 1e-12)


def test_a_steady_parameter_is_its_average():
    average = RunningAverage(0.9, [np.zeros(3)])
    average.restart([np.full(3, 0.3)])
    for _ in range(5):
        average.add([np.full(3, 0.3)])
    assert_allclose(average.values[0], 0.3)


def test_averages_fluctuate_less_than_large_steps(samples):
    rng = np.random.default_rng(2)
    noisy = Samples(samples.inputs, samples.y + rng.exponential(size=samples.y.shape))
    state = make_state(learning_rate=0.5)
    state.average = RunningAverage(0.99, state.parameters)
    settings = LoopSettings(max_iter=1, batch_size=5)
    with Objective(LinearModel()) as objective:
        for _ in range(20):
            train_epoch(objective, state, noisy, settings)
        jumping = objective.evaluate(state.parameters, noisy)
        averaged = objective.evaluate(state.current_parameters, noisy)
    best = np.linalg.lstsq(noisy.inputs[0], noisy.y, rcond=None)[0]
    assert averaged - mean_loss(best, noisy) < 0.2 * (jumping - mean_loss(best, noisy))


def test_a_fit_ends_with_the_best_average(samples):
    state = make_state(learning_rate=0.5)
    state.average = RunningAverage(0.9, state.parameters)
    valid = samples[200:].loaded()
    run(state, samples[:200], valid, max_iter=5, tol=0)
    losses = [e["validation_loss"] for e in state.history]
    assert_allclose(mean_loss(state.best_parameters[0], valid), min(losses))


def test_multiplicative_updates_need_a_model_of_parts(samples):
    state = TrainingState(
        [np.ones((5, 2))], MultiplicativeUpdate(0.5), np.random.RandomState(0)
    )
    with pytest.raises(TypeError, match=r"LinearModel has no .*backward_parts"):
        run(state, samples)


@pytest.mark.parametrize("n_samples", [1, 63, 300])
def test_the_gradient_of_a_batch_is_the_sum_over_its_blocks(samples, n_samples):
    rng = np.random.default_rng(1)
    some = samples[:n_samples].loaded()
    batch = Samples(some.inputs, some.y, rng.uniform(size=n_samples))
    W = [rng.uniform(size=(5, 2))]
    with Objective(LinearModel()) as objective:
        loss, (gradient,) = objective.gradient(W, batch)
        evaluated = objective.evaluate(W, batch)
    error = batch.inputs[0] @ W[0] - batch.y
    total = batch.weight.sum()
    assert_allclose(gradient, batch.inputs[0].T @ (batch.weight[:, None] * error) / total)
    assert_allclose(loss, 0.5 * np.sum(batch.weight[:, None] * error**2) / total)
    assert_allclose(evaluated, loss)


ROWS = [slice(None), slice(10, 40), slice(40, 1000), np.array([7, 3, 3, 50])]


@pytest.mark.parametrize("first", ROWS, ids=str)
@pytest.mark.parametrize("second", [slice(None), slice(1, 3), np.array([2, 0])], ids=str)
def test_samples_are_chosen_like_rows_of_arrays(first, second):
    X, y, weight = np.arange(60.0), 100 + np.arange(60.0), np.linspace(1, 2, 60)
    chosen = Samples((X,), y, weight, units=(0.5, 2.0))[first][second]
    loaded = chosen.loaded()
    assert len(chosen) == len(loaded) == len(X[first][second])
    assert chosen.total_weight == loaded.total_weight
    assert_allclose(loaded.inputs[0], X[first][second] / 2, rtol=0)
    assert_allclose(loaded.y, y[first][second] * 2, rtol=0)
    assert_allclose(loaded.weight, weight[first][second], rtol=0)
