"""Bases that are inferred, not trained: what is assembled of them, gradients, training."""

import numpy as np
import pytest
from callbacks import Watch
from differences import finite_differences
from numpy.testing import assert_allclose

from skunfold import DeepNMFRegressor
from skunfold._deep_nmf.episodes import Draw, EpisodeObjective, Episodes, EpisodeTraining
from skunfold._deep_nmf.inferred_bases import start_gains, with_inferred

N_FEATURES, N_BINS, N_BASES = 7, 3, 2
LENGTHS = np.array([150, 9, 30])


def make_network(X, y, dtype=np.float64, **settings):
    network = DeepNMFRegressor(
        **{"n_components": 3, "n_layers": 2, "output": "mask", "tied": True, "max_iter": 5}
        | settings,
        n_trained_layers=0,
        init="random",
        random_state=0,
    ).fit(X.astype(dtype), y.astype(dtype))
    return network.set_params(n_trained_layers="all")


def make_draw(dtype=np.float64):
    """Three episodes of unequal lengths; the second one is without inferred bases."""
    rng = np.random.default_rng(0)
    n = LENGTHS.sum()
    bases = [rng.uniform(0.1, 1, (N_BASES, N_FEATURES)).astype(dtype) for _ in LENGTHS]
    bases[1] = None
    X = rng.uniform(0.1, 2, (n, N_FEATURES)).astype(dtype)
    y = rng.uniform(0, 1, (n, N_BINS)).astype(dtype)
    return Draw(X, y, LENGTHS, bases, np.arange(3))


def make_training(draw, **settings):
    network = make_network(draw.X, draw.y, draw.X.dtype, **settings)
    return EpisodeTraining(network, start_gains(network), N_BASES)


CASES = {
    "tied": {},
    "untied with projections": {"tied": False, "fit_projections": True},
    "recurrent": {"recurrence": 0.5, "fit_projections": True, "relaxation": 2.0},
    "no general residual": {"n_components": (3, 0)},
}


@pytest.mark.parametrize("settings", CASES.values(), ids=CASES)
def test_gradients_by_arrays_and_gains_match_finite_differences(settings):
    draw = make_draw()
    training = make_training(draw, **settings)
    network = training.network
    rng = np.random.default_rng(1)
    parameters = [p * rng.uniform(0.5, 1.5, p.shape) for p in training.state.parameters]
    episodes = Episodes.of(training._episodes(draw))
    assert [rows.stop - rows.start for _, rows in episodes.blocks] == [75, 75, 9, 30]
    batch = episodes[np.array([0, 2, 3])]
    with EpisodeObjective(network, N_BASES) as objective:
        objective.begin_epoch(parameters, episodes)  # recurrent starts have no gradient
        loss, gradients = objective.gradient(parameters, batch)
        _, parts = objective.gradient(parameters, batch, "parts")
        numeric = finite_differences(
            lambda: objective.gradient(parameters, batch)[0], parameters
        )
    assert loss > 0
    assert len(gradients) == 2 * len(network._parameters_to_train())
    for n, g, (pos, neg) in zip(numeric, gradients, parts, strict=True):
        scale = np.abs(n).max()
        assert_allclose(g, n, atol=1e-6 * scale, rtol=1e-5)
        assert_allclose(pos - neg, n, atol=1e-6 * scale, rtol=1e-5)
        assert pos.min() >= 0
        assert neg.min() >= 0


def test_inferred_bases_are_components_of_the_residual():
    draw = make_draw()
    network = make_network(draw.X, draw.y, fit_projections=True)
    gains = [np.full_like(g, i + 1.0) for i, g in enumerate(start_gains(network))]
    wide = with_inferred(network, gains, draw.bases[0])
    assert wide.group_sizes_ == (3, 3 + N_BASES)
    alone = DeepNMFRegressor.from_bases(
        np.concatenate([network.bases_[0], draw.bases[0]]),
        np.concatenate([network.output_bases_, 3 * draw.bases[0][:, -N_BINS:]]),
        projections=np.concatenate([network.projections_[0], 2 * draw.bases[0]]),
        initial_activation=network.initial_activation_,
        n_components=(3, 3 + N_BASES),
        n_layers=2,
        output="mask",
        tied=True,
    )
    assert_allclose(wide.predict(draw.X), alone.predict(draw.X), rtol=1e-10)
    assert network.group_sizes_ == (3, 3)
    assert network.predict(draw.X).shape == draw.y.shape


@pytest.mark.parametrize("solver", ["eg", "mu", "naive-mu"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_training_lowers_the_loss_and_keeps_the_type(solver, dtype):
    draw = make_draw(dtype)
    training = make_training(draw, solver=solver, batch_size=128, averaging=0.5)
    training.fit(draw)
    network = training.network
    first, last = (network.history_[i]["final_loss"] for i in (0, -1))
    assert last < first
    assert network.loss_ == pytest.approx(min(e["final_loss"] for e in network.history_))
    arrays = [network.bases_[0], network.output_bases_, *training.gains]
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}
    assert all((g != 1).any() for g in training.gains)
    predictions = [
        (network if b is None else with_inferred(network, training.gains, b)).predict(x)
        for b, x in zip(draw.bases, np.split(draw.X, np.cumsum(LENGTHS)[:-1]))
    ]
    loss = 0.5 * np.sum((np.concatenate(predictions) - draw.y) ** 2, axis=1).mean()
    assert network.loss_ == pytest.approx(loss, rel=1e-4)


def test_a_draw_may_be_without_any_inferred_bases():
    draw = make_draw()
    draw = Draw(draw.X, draw.y, draw.lengths, [None] * 3, draw.groups)
    training = make_training(draw)
    training.fit(draw)
    assert all((g == 1).all() for g in training.gains)


def test_whole_groups_are_held_out():
    draw = make_draw()
    training = make_training(draw, early_stopping=True, validation_fraction=0.3)
    training.fit(draw)
    network = training.network
    assert len(network.validation_scores_) == len(network.validation_loss_curve_)
    assert network.best_loss_ is None
    assert np.isfinite(network.validation_scores_).all()


def test_ctrl_c_keeps_the_best(monkeypatch):
    draw = make_draw()
    training = make_training(draw)
    calls = []

    def gradient(*args):
        calls.append(args)
        raise KeyboardInterrupt

    monkeypatch.setattr(EpisodeObjective, "gradient", gradient)
    with pytest.warns(UserWarning, match="interrupted"):
        training.fit(draw)
    assert training.interrupted
    assert len(calls) == 1
    assert np.isfinite(training.network.predict(draw.X)).all()


def test_callbacks_see_every_epoch():
    pytest.importorskip("sklearn.callback")
    draw = make_draw()
    training = make_training(draw, max_iter=20, tol=0)
    watch = Watch()
    training.network.set_callbacks(watch)
    training.fit(draw)
    assert len(watch.scores) == 6  # the fifth asks to stop, and the last is that of the fit
    assert len(training.network.history_) == 5
    assert watch.scores[-1] == pytest.approx(training.network.score(draw.X, draw.y))
