"""Interrupted training: what goes on from a checkpoint ends as if nothing had happened."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
from callbacks import Callback
from numpy.testing import assert_array_equal
from sklearn.base import clone

from skunfold import (
    DeepNMFRegressor,
    UnfoldedBPClassifier,
    UnfoldedCRFClassifier,
    UnfoldedMeanFieldClassifier,
)
from skunfold.audio import SpeechEnhancer
from skunfold.model_files import Checkpoint, load_model, save_model

pytest.importorskip("sklearn.callback")

N_EPOCHS = 7
SETTINGS = {"max_iter": N_EPOCHS, "tol": 0, "random_state": 0, "batch_size": 16}
DEEP_NMF = DeepNMFRegressor(3, n_layers=3, **SETTINGS)
MODELS = {
    "eg": DEEP_NMF,
    "eg, averaging": clone(DEEP_NMF).set_params(averaging=0.9, learning_rate_decay=0.9),
    "eg, early stopping": clone(DEEP_NMF).set_params(early_stopping=True, output="mask"),
    "eg, large steps": clone(DEEP_NMF).set_params(learning_rate_init=2.0),
    "mu": clone(DEEP_NMF).set_params(solver="mu", tied=True),
    "naive-mu": clone(DEEP_NMF).set_params(solver="naive-mu", n_trained_layers=2),
    "adam": UnfoldedMeanFieldClassifier((4, 3), **SETTINGS),
    "adam, early stopping": UnfoldedBPClassifier(4, early_stopping=True, **SETTINGS),
    "adam, rows": UnfoldedCRFClassifier(4, graph_columns=[-1], **SETTINGS),
    "sgd": UnfoldedBPClassifier(4, solver="sgd", lateral=True, tied=True, **SETTINGS),
}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(90, 6))
    X[:, -1] = np.arange(90) // 5
    return X, X * rng.uniform(size=(1, 6)), (X[:, 0] > X[:, 1]).astype(int)


def targets_of(model, data):
    return data[1] if isinstance(model, DeepNMFRegressor) else data[2]


class PowerCut(BaseException):
    pass


class Interrupt(Callback):
    """Ends a fit, without mercy, after some epochs."""

    def __init__(self, n_epochs):
        self.n_epochs = n_epochs

    def on_fit_task_end(self, estimator, context):
        if context.task_name == "epoch" and context.task_id + 1 == self.n_epochs:
            raise PowerCut


def interrupted(model, X, y, checkpoint, n_epochs):
    with pytest.raises(PowerCut):
        clone(model).set_callbacks(checkpoint, Interrupt(n_epochs)).fit(X, y)
    return load_model(checkpoint.file)


def assert_same_model(actual, expected, X):
    assert_array_equal(actual.predict(X), expected.predict(X))
    assert_array_equal(actual.transform(X), expected.transform(X))
    for name in ("loss_", "loss_curve_", "validation_loss_curve_", "best_loss_"):
        assert getattr(actual, name) == getattr(expected, name), name
    for one, other in zip(actual.history_, expected.history_, strict=True):
        assert {**one, "seconds": 0} == {**other, "seconds": 0}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("every", "n_epochs"), [(1, 1), (1, 4), (3, 5)])
def test_training_resumes_to_the_bit(name, every, n_epochs, data, tmp_path):
    model, X = MODELS[name], data[0]
    y = targets_of(model, data)
    whole = clone(model).fit(X, y)
    loaded = interrupted(model, X, y, Checkpoint(tmp_path / "model", every=every), n_epochs)
    assert loaded.n_iter_ == n_epochs - n_epochs % every
    as_if_it_had_ended = clone(model).set_params(max_iter=loaded.n_iter_).fit(X, y)
    assert_same_model(loaded, as_if_it_had_ended, X)
    assert loaded.n_iter_ == as_if_it_had_ended.n_iter_
    n_left = N_EPOCHS - loaded.n_iter_
    loaded.set_params(warm_start=True, max_iter=n_left).fit(X, y)
    assert_same_model(loaded, whole, X)
    assert loaded.n_iter_ == n_left


@pytest.mark.parametrize("name", ["eg, averaging", "adam"])
def test_a_saved_model_may_go_on_too(name, data, tmp_path):
    model, X = MODELS[name], data[0]
    y = targets_of(model, data)
    first = clone(model).set_params(max_iter=3, warm_start=True).fit(X, y)
    save_model(first, tmp_path / "model", training_state=True)
    loaded = load_model(tmp_path / "model").set_params(max_iter=4).fit(X, y)
    assert_same_model(loaded, clone(model).fit(X, y), X)


def test_lbfgs_resumes_from_the_best_potentials(data, tmp_path):
    X, _, y = data
    model = UnfoldedMeanFieldClassifier(4, solver="lbfgs", max_iter=20, tol=0, random_state=0)
    loaded = interrupted(model, X, y, Checkpoint(tmp_path / "model"), 5)
    loss = loaded.loss_
    assert loss == clone(model).set_params(max_iter=5).fit(X, y).loss_
    loaded.set_params(warm_start=True, max_iter=15).fit(X, y)
    assert loaded.loss_ < loss
    assert len(loaded.history_) == 20


def test_the_end_of_a_fit_is_a_checkpoint(data, tmp_path):
    checkpoint = Checkpoint(tmp_path / "model", every=1000)
    for name in ("eg", "adam"):
        y = targets_of(MODELS[name], data)
        model = clone(MODELS[name]).set_callbacks(checkpoint).fit(data[0], y)
        assert_same_model(load_model(checkpoint.file), model, data[0])
    untrained = clone(DEEP_NMF).set_params(n_trained_layers=0)
    untrained.set_callbacks(checkpoint).fit(data[0], data[1])
    assert_array_equal(load_model(checkpoint.file).bases_[0], untrained.bases_[0])
    assert os.listdir(tmp_path) == ["model"]


def test_an_enhancer_goes_on_with_its_regressor(tmp_path):
    speech, noise = np.random.default_rng(0).normal(size=(2, 3, 4000))
    regressor = DeepNMFRegressor(2, n_layers=2, output="mask", early_stopping=True, **SETTINGS)
    make = SpeechEnhancer(regressor, n_context=2, random_state=0)
    whole = clone(make).fit_sources(list(speech), list(noise), snrs=(0,)).regressor_
    checkpoint = Checkpoint(tmp_path / "model")
    regressor.set_callbacks(checkpoint, Interrupt(3))
    with pytest.raises(PowerCut):
        make.fit_sources(list(speech), list(noise), snrs=(0,))
    enhancer = clone(make).set_params(warm_start=True)
    enhancer.regressor_ = load_model(checkpoint.file)
    enhancer.regressor_.set_params(warm_start=True, max_iter=N_EPOCHS - 3)
    resumed = enhancer.fit_sources(list(speech), list(noise), snrs=(0,)).regressor_
    assert resumed is enhancer.regressor_
    assert_same_model(resumed, whole, np.resize(np.abs(speech), (3, resumed.n_features_in_)))


def test_a_full_disk_stops_no_training(data, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError("No space left on device")

    class FillDisk(Interrupt):
        def on_fit_task_end(self, estimator, context):
            monkeypatch.setattr(np.lib.format, "write_array", full)

    checkpoint = Checkpoint(tmp_path / "model")
    model = clone(DEEP_NMF).set_callbacks(checkpoint, FillDisk(1))
    with pytest.warns(UserWarning, match="model could not be written .*No space left"):
        model.fit(data[0], data[1])
    assert model.n_iter_ == N_EPOCHS
    assert load_model(tmp_path / "model").n_iter_ == 1
    assert os.listdir(tmp_path) == ["model"]


def test_what_cannot_be_saved_is_refused_before_training(data, tmp_path):
    X, y, _ = data
    checkpoint = Checkpoint(tmp_path / "model")
    model = clone(DEEP_NMF).set_callbacks(checkpoint)
    with pytest.raises(TypeError, match="random_state is of type RandomState"):
        model.set_params(random_state=np.random.RandomState(0)).fit(X, y)
    model.set_params(random_state=0).set_callbacks(Checkpoint(tmp_path / "no" / "model"))
    with pytest.raises(FileNotFoundError, match=r"no folder .*no; make it"):
        model.fit(X, y)
    assert not hasattr(model, "bases_")
    assert os.listdir(tmp_path) == []
    assert Checkpoint(tmp_path / "model", every=np.int64(2)).every == 2
    for every in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="every must be a positive integer"):
            Checkpoint(tmp_path / "model", every=every)


ENDLESS = """
    import sys

    import numpy as np

    from skunfold import DeepNMFRegressor
    from skunfold.model_files import Checkpoint

    X = np.random.default_rng(0).uniform(size=(90, 6))
    settings = {"max_iter": 10**6, "tol": 0, "batch_size": 16, "random_state": 0}
    model = DeepNMFRegressor(3, n_layers=3, **settings)
    model.set_callbacks(Checkpoint(sys.argv[1])).fit(X, X)
"""


@pytest.mark.skipif(os.name == "nt", reason="kills a process by a signal")
def test_a_killed_process_leaves_a_whole_checkpoint(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(ENDLESS), tmp_path / "model"]
    )
    try:
        while not (tmp_path / "model").exists():
            assert process.poll() is None
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    X = np.random.default_rng(0).uniform(size=(90, 6))
    model = load_model(tmp_path / "model")
    n_epochs = model.n_iter_ + 2
    model.set_params(warm_start=True, max_iter=2).fit(X, X)
    whole = clone(model).set_params(warm_start=False, max_iter=n_epochs).fit(X, X)
    assert_same_model(model, whole, X)
