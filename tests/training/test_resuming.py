"""A training state as data: what comes back goes on, and what is not sound is refused."""

import copy
import pickle

import numpy as np
import pytest

from skunfold import DeepNMFRegressor, UnfoldedBPClassifier
from skunfold._training.resuming import from_data, to_data

X = np.random.default_rng(0).uniform(size=(30, 4))


def data_of(estimator, y=X):
    """Return the data of the state that a fit has left."""
    return copy.deepcopy(to_data(*estimator.fit(X, y)._training_state))


@pytest.fixture
def data():
    settings = {"n_layers": 2, "max_iter": 2, "averaging": 0.9, "random_state": 0}
    return data_of(DeepNMFRegressor(2, **settings))


@pytest.fixture
def sgd_data():
    model = UnfoldedBPClassifier(2, solver="sgd", max_iter=2, random_state=0)
    return data_of(model, X[:, 0] > 0.5)


def test_a_state_comes_back(data, sgd_data):
    for one in (data, sgd_data):
        settings, state = from_data(one)
        again = to_data(settings, state)
        np.testing.assert_equal(again, one)


def test_settings_of_a_grid_come_back():
    rate = np.float32(0.1)
    model = DeepNMFRegressor(
        2, n_layers=np.int64(2), tied=np.bool_(True), learning_rate_init=rate, max_iter=1
    )
    settings, _ = from_data(data_of(model))
    assert settings == model._trained_settings()


def changed(data, path, value):
    """Return the data with another value at a path of keys."""
    data = copy.deepcopy(data)
    *parents, key = path
    node = data
    for parent in parents:
        node = node[parent]
    node[key] = value
    return data


BAD = {
    "a negative count": (["n_worse"], -1, "negative"),
    "a truth value for a count": (["n_worse"], True, "a bool where"),
    "a count without end": (["n_worse"], 10**400, "too large"),
    "parameters that are not finite": (
        ["parameters", 0],
        np.full((2, 4), np.nan),
        "not finite",
    ),
    "settings that are arrays": (["settings"], (np.ones(2),), "a ndarray where"),
    "an epoch without numbers": (["history", 0], {}, "lacks a number"),
    "text for a count": (["n_no_change"], "1", "a str where"),
    "text for a loss": (["best_loss"], "low", "a str where"),
    "an unknown status": (["status"], "hacked", "status of its training is unknown"),
    "settings that are a list": (["settings"], [], "a list where"),
    "no list of parameters": (["parameters"], (), "a tuple where"),
    "numbers for arrays": (["best_parameters"], [1, 2, 3], "a int where"),
    "fewer arrays": (["best_parameters"], [], "not shaped like"),
    "arrays of another type": (["best_parameters", 0], np.ones((2, 4), "f4"), "shaped like"),
    "integers": (["parameters", 0], np.ones((2, 4), int), "not of floating-point numbers"),
    "no list of epochs": (["history"], (), "a tuple where"),
    "text in the history": (["history", 0, "loss"], "low", "a str where"),
    "a number among names": (["history", 0, 1], 1, "a int where"),
    "an unknown rule": (["update", "rule"], "object", "object"),
    "a method of the rule": (["update", "step"], 1, "wrong attributes"),
    "no step": (["update", "learning_rate"], 0, "not a positive number"),
    "a step that is no number": (["update", "learning_rate"], float("nan"), "not a positive"),
    "three sums": (["update", "_sums"], [(1, 2, 3)], "too many values"),
    "sums of other shapes": (["update", "_sums", 0], (np.ones(1), np.ones(1)), "not shaped"),
    "no random words": (["random_state", "state", "key"], np.ones(624), "Mersenne twister"),
    "a place outside": (["random_state", "state", "pos"], 10**6, "Mersenne twister"),
    "another generator": (["random_state", "bit_generator"], "PCG64", "MT19937"),
    "an average of more than all": (["average", "decay"], 1.5, "not between 0 and 1"),
    "an average of nothing": (["average", "values"], [], "not shaped like"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_not_sound_is_refused(name, data):
    path, value, message = BAD[name]
    with pytest.raises((ValueError, KeyError), match=message):
        from_data(changed(data, path, value))


def test_velocities_are_shaped_like_the_parameters(sgd_data):
    with pytest.raises(ValueError, match="not shaped like"):
        from_data(changed(sgd_data, ["update", "_velocities", 0], np.ones(1)))


def test_arrays_lie_as_the_update_rules_need_them(data):
    for name in ("parameters", "best_parameters"):
        data[name] = [np.asfortranarray(W) for W in data[name]]
    with pytest.raises(ValueError, match="in C order"):
        from_data(data)


def test_a_pickle_holds_plain_data():
    model = DeepNMFRegressor(2, n_layers=2, max_iter=2, random_state=0).fit(X, X)
    held = model.__getstate__()["_training_state"]
    assert isinstance(held, dict)
    plain = (dict, list, tuple, str, int, float, bool, type(None), np.ndarray, np.generic)

    def parts(value):
        yield value
        inside = value.values() if isinstance(value, dict) else value
        if isinstance(value, dict | list | tuple):
            for item in inside:
                yield from parts(item)

    assert all(isinstance(part, plain) for part in parts(held))
    loaded = pickle.loads(pickle.dumps(model))
    _, state = loaded._training_state
    assert state.update.learning_rate == model._training_state[1].update.learning_rate
