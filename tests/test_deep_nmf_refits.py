"""DeepNMFRegressor over several fits: warm starts, streams, held-out samples, interrupts."""

import copy
import signal
import threading
import time

import numpy as np
import pytest
from callbacks import Watch
from configurations import deep_nmf
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from skunfold import DeepNMFRegressor
from skunfold._kernels.divergences import divergence
from skunfold._training import loop


def test_mu_takes_a_stream_of_zeros_in_single_precision(mixtures):
    X, y = mixtures
    model = deep_nmf(solver="mu", max_iter=3).fit(X, y)
    for factor in (0, 1e-30):
        model.partial_fit((factor * X).astype(np.float32), y.astype(np.float32))
        assert np.isfinite(model.predict(X)).all()


def test_a_stream_follows_targets_that_a_fit_did_not_have():
    model = DeepNMFRegressor(4, random_state=0).fit([[2.0]], [4.0])
    assert model.history_[-1]["learning_rate"] < 1e-3
    for _ in range(200):
        model.partial_fit([[2.0]], [1.0])
    assert_allclose(model.predict([[2.0]]), 1, rtol=1e-3)


def test_layers_can_be_trained_one_after_the_other(mixtures):
    X, y = mixtures
    model = deep_nmf(output="mask", n_trained_layers=1, warm_start=True).fit(X, y)
    losses = [model.loss_]
    for n_trained_layers in (2, 3):
        model.set_params(n_trained_layers=n_trained_layers).fit(X, y)
        losses.append(model.loss_)
    assert losses == sorted(losses, reverse=True)


def test_a_stream_keeps_the_units_of_its_first_batch(spectra):
    X, y = spectra
    model = deep_nmf(n_components=3, learning_rate_init=1e-9).partial_fit(X, y)
    before, loss = model.predict(X), model.loss_curve_[0]
    model.partial_fit(X, 3 * y)
    assert_allclose(model.predict(X), before, rtol=1e-6)
    assert model.loss_curve_[0] == loss


def test_a_warm_fit_on_other_data_does_not_get_worse(spectra):
    X, y = spectra
    model = deep_nmf(n_components=3, warm_start=True).fit(X, 2.5 * y)
    score = model.score(X, 2.8 * y)
    assert model.fit(X, 2.8 * y).score(X, 2.8 * y) > score


def test_partial_fit_after_early_stopping_goes_on_from_the_best(mixtures):
    X, y = mixtures
    model = deep_nmf(output="mask", early_stopping=True, max_iter=30, learning_rate_init=0.3)
    model.fit(X, y)
    n_epochs = model.n_iter_
    model.partial_fit(X, y)
    assert len(model.validation_loss_curve_) == n_epochs == model.n_iter_ - 1
    model.set_params(learning_rate_init=1e-9).fit(X, y)
    assert_allclose(model.partial_fit(X, y).score(X, y), model.score(X, y), rtol=1e-3)


def test_averaging_is_of_fits(mixtures):
    X, y = mixtures
    model = deep_nmf(output="mask", batch_size=16, max_iter=2, averaging=0.9)
    plain = clone(model).set_params(averaging=0.0)
    assert_array_equal(
        clone(model).partial_fit(X, y).predict(X), plain.partial_fit(X, y).predict(X)
    )
    assert model.fit(X, y).loss_ != plain.fit(X, y).loss_
    model.partial_fit(X, y).set_params(warm_start=True, max_iter=1).fit(X, y)
    assert model._training_state[1].average is not None


def test_partial_fit_without_trained_layers(mixtures):
    X, y = mixtures
    model = deep_nmf(output="mask", n_trained_layers=0).partial_fit(X, y)
    assert model.n_iter_ == 1
    assert model.n_trained_parameters_ == 0


@pytest.mark.parametrize(
    "changed",
    [
        {"n_components": 5},
        {"output": "linear"},
        {"output": "mask", "n_components": (4, 4, 4)},
        {"n_layers": 3},
        {"n_layers": 9},
        {"fit_projections": True},
    ],
    ids=str,
)
def test_the_structure_of_a_fitted_network_cannot_change(mixtures, changed):
    X, y = mixtures
    model = deep_nmf(output="mask", warm_start=True).fit(X, y).set_params(**changed)
    for method in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match=r"but the model was fitted with .* again"):
            method(X, y)
    with pytest.raises(ValueError, match="but the model was fitted with"):
        model.predict(X)


def test_a_failed_fit_leaves_the_former_one(mixtures):
    X, y = mixtures
    model = deep_nmf(output="mask").fit(X, y)
    expected = model.predict(X)
    with pytest.raises(ValueError, match="Negative"):
        model.fit(-X[:, :4], y[:, :4])
    with pytest.raises(ValueError, match="init gives bases"):
        model.set_params(init=np.ones((3, 5))).fit(X[:, :5], y[:, :5])
    assert_array_equal(model.predict(X), expected)


def test_a_copy_trains_by_itself(mixtures):
    model = deep_nmf(output="mask", max_iter=2, tol=0, warm_start=True).fit(*mixtures)
    twin = copy.copy(model).fit(*mixtures)
    assert (len(model.history_), len(twin.history_)) == (2, 4)
    assert model.fit(*mixtures).loss_curve_ == twin.loss_curve_


def test_ctrl_c_does_not_part_a_loss_from_its_parameters(mixtures, monkeypatch):
    model = deep_nmf(output="mask", max_iter=5, tol=0)
    copied, copies = [], loop.copies

    def interrupt(parameters):
        copied.append(parameters)
        if len(copied) == 4:
            raise KeyboardInterrupt
        return copies(parameters)

    monkeypatch.setattr(loop, "copies", interrupt)
    with pytest.warns(UserWarning, match="interrupted after 2 epochs"):
        model.fit(*mixtures)
    y_hat = model.predict(mixtures[0])
    expected = divergence(mixtures[1], y_hat, 2.0).mean()
    assert_allclose(model.loss_, expected, rtol=1e-9)


def test_a_signal_ends_a_fit_with_the_best_model(mixtures):
    X, y = mixtures
    model = deep_nmf(output="mask", max_iter=100_000, tol=0, n_iter_no_change=10**9)

    def interrupt():
        while not hasattr(model, "bases_"):
            time.sleep(0.01)
        time.sleep(0.3)
        signal.raise_signal(signal.SIGINT)

    # A process in the background may have been started with the signal ignored.
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Thread(target=interrupt).start()
        with pytest.warns(UserWarning, match="interrupted after .* best parameters"):
            model.fit(X, y)
    finally:
        signal.signal(signal.SIGINT, former)
    assert model.loss_ < deep_nmf(output="mask", n_trained_layers=0).fit(X, y).loss_
    assert model.predict(X).shape == y.shape


def test_callbacks_see_a_fit_without_epochs(mixtures):
    pytest.importorskip("sklearn.callback")
    X, y = mixtures
    watch = Watch()
    model = deep_nmf(output="mask", n_trained_layers=0).set_callbacks(watch).fit(X, y)
    assert watch.scores == [model.score(X, y)]


def test_verbose_prints_the_history_in_the_units_of_the_data(mixtures, capsys):
    X, y = mixtures
    model = deep_nmf(max_iter=3, verbose=1, early_stopping=True).fit(X, 1000 * y)
    assert model.target_scale_ > 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    curves = zip(model.loss_curve_, model.validation_loss_curve_)
    for i, (line, (loss, validation_loss)) in enumerate(zip(lines, curves)):
        start = f"Epoch {i + 1}: loss {loss:.6g}, validation loss {validation_loss:.6g}, "
        assert line.startswith(start)
        assert line.endswith(f"({model.history_[i]['seconds']:.1f} s)")


def test_history_keeps_the_units_of_the_loss_that_was_trained(mixtures):
    X, y = mixtures
    model = deep_nmf(max_iter=2, warm_start=True).fit(X, 1000 * y)
    first = model.history_
    model.set_params(training_loss="kullback-leibler").fit(X, 1000 * y)
    assert model.history_[:2] == first
    assert [epoch["epoch"] for epoch in model.history_] == [1, 2, 3, 4]


def test_seconds_of_every_epoch(mixtures):
    model = deep_nmf(max_iter=3).fit(*mixtures).partial_fit(*mixtures)
    assert len(model.history_) == 4
    assert all(epoch["seconds"] > 0 for epoch in model.history_)
    assert sum(epoch["seconds"] for epoch in model.history_) < 60
