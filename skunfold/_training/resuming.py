"""The state of training as plain data, and back, so that a model file can hold it.

The data is a dict of numbers, strings, lists, tuples and arrays. It may have been read from a
file, so a state is made only if all parts are of the types and shapes that training needs.
"""

import math

import numpy as np

from skunfold._training.averaging import RunningAverage
from skunfold._training.loop import TrainingState
from skunfold._training.updates import (
    SGD,
    Adam,
    ExponentiatedGradient,
    MixedAdam,
    MultiplicativeUpdate,
)

RULES = {
    cls.__name__: cls
    for cls in (Adam, ExponentiatedGradient, MixedAdam, MultiplicativeUpdate, SGD)
}
SETTINGS = (bool, int, float, str, np.generic)
EPOCH = {"epoch", "loss", "seconds"}
STATUSES = ("new", "running", "converged", "stopped", "interrupted", "streaming")
_MT19937_WORDS = 624


def pickled(attributes):
    """Return the attributes of an estimator with the state of training as plain data.

    Formats that ask for the name of every class, such as skops, then find public classes only.
    """
    training = attributes.get("_training_state")
    return (
        attributes if training is None else attributes | {"_training_state": to_data(*training)}
    )


def unpickled(attributes):
    """Return the attributes with the state of training restored."""
    if attributes.get("_training_state") is None:
        return attributes
    return attributes | {"_training_state": from_data(attributes["_training_state"])}


def to_data(settings, state):
    """Return the data of a training state, and of the settings that it was made for."""
    average = state.average
    return {
        "settings": settings,
        "parameters": state.parameters,
        "best_parameters": state.best_parameters,
        "best_loss": float(state.best_loss),
        "n_worse": state.n_worse,
        "n_no_change": state.n_no_change,
        "history": state.history,
        "n_iter": state.n_iter,
        "status": state.status,
        "update": {"rule": type(state.update).__name__, **vars(state.update)},
        "random_state": state.random_state.get_state(legacy=False),
        "average": None if average is None else vars(average),
    }


def from_data(data):
    """Return (settings, state), or raise an exception where the data is invalid."""
    parameters = _arrays(data["parameters"])
    state = TrainingState(
        parameters,
        _update(data["update"], parameters),
        _random_state(data["random_state"]),
        best_parameters=_arrays(data["best_parameters"], parameters),
        best_loss=_number(data["best_loss"]),
        n_worse=_count(data["n_worse"]),
        n_no_change=_count(data["n_no_change"]),
        history=[_epoch(entry) for entry in _of_kind(data["history"], list)],
        n_iter=_count(data.get("n_iter", 0)),  # first files lack it
        status=data["status"],
        average=_average(data["average"], parameters),
    )
    if not all(np.isfinite(p).all() for p in [*parameters, *state.best_parameters]):
        raise ValueError("parameters of its training are not finite")
    if state.status not in STATUSES:
        raise ValueError("the status of its training is unknown")
    settings = _of_kind(data["settings"], tuple)
    return tuple(_of_kind(value, SETTINGS) for value in settings), state


def check_parameters(estimator):
    """Raise unless the training state of an estimator is of parameters like its own."""
    (known, state), trained = estimator._training_state, estimator._trained_settings()
    if known == trained:
        _arrays(state.parameters, estimator._parameters_to_train())


def _update(values, parameters):
    """Return an update rule that continues with its step size and running averages."""
    update = RULES[values["rule"]](1.0)
    found = {"initial_rate": values["learning_rate"]} | values  # first files lack it
    del found["rule"]
    if found.keys() != vars(update).keys():
        raise ValueError("the update rule of its training has wrong attributes")
    rates = _number(found["learning_rate"]), _number(found["initial_rate"])
    if not all(0 < rate < math.inf for rate in rates):
        raise ValueError("the step size of its training is not a positive number")
    _count(found.get("_n_steps", 0))
    flags = [_of_kind(flag, bool) for flag in _of_kind(found.get("positive", ()), tuple)]
    if flags and len(flags) != len(parameters):
        raise ValueError("the update rule of its training is not one of its parameters")
    if velocities := found.get("_velocities"):
        _arrays(velocities, parameters)
    if sums := found.get("_sums"):
        first, second = zip(*sums, strict=True)
        _arrays(list(first), parameters)
        _arrays(list(second), parameters)
    vars(update).update(found)
    return update


def _random_state(values):
    position = _count(values["state"]["pos"])
    key = _of_kind(values["state"]["key"], np.ndarray)
    if key.shape != (_MT19937_WORDS,) or key.dtype != np.uint32 or position > _MT19937_WORDS:
        raise ValueError(
            "the random numbers of its training are not those of a Mersenne twister"
        )
    random_state = np.random.RandomState()
    random_state.set_state(values)
    return random_state


def _average(values, parameters):
    if values is None:
        return None
    decay = _number(values["decay"])
    if not 0 <= decay < 1:
        raise ValueError("the decay of its running average is not between 0 and 1")
    average = RunningAverage(decay, _arrays(values["values"], parameters))
    average._n_updates = _count(values["_n_updates"])
    return average


def _epoch(entry):
    if EPOCH - _of_kind(entry, dict).keys():
        raise ValueError("an epoch in the history of its training lacks a number")
    return {_of_kind(name, str): _number(value) for name, value in entry.items()}


def _arrays(values, like=None):
    """Return a list of floating-point arrays, shaped like others where these are given."""
    arrays = [_of_kind(value, np.ndarray) for value in _of_kind(values, list)]
    kinds = [(a.shape, a.dtype) for a in arrays]
    if like is not None and kinds != [(a.shape, a.dtype) for a in like]:
        raise ValueError("arrays of its training are not shaped like its parameters")
    if any(a.dtype not in (np.float32, np.float64) or not a.flags.c_contiguous for a in arrays):
        raise ValueError("arrays of its training are not of floating-point numbers in C order")
    return arrays


def _number(value):
    return _of_kind(value, (int, float, np.integer, np.floating))


def _count(value):
    if not 0 <= _of_kind(value, (int, np.integer)) < 2**63:
        raise ValueError("a number of its training is negative or too large")
    return int(value)


def _of_kind(value, kind):
    kinds = kind if isinstance(kind, tuple) else (kind,)
    # A bool is an int to Python.
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise ValueError(f"its training holds a {type(value).__name__} where it is not allowed")
    return value
