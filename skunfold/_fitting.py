"""What the `fit` methods of all estimators share."""

import copy
import operator
import warnings
from contextlib import contextmanager
from dataclasses import replace
from weakref import WeakKeyDictionary

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight

from skunfold._documentation import DocumentedEstimator
from skunfold._training import resuming
from skunfold._training.loop import LoopSettings, TrainingState, copies

# What estimators have prepared for inference; no attribute, which predictions must not set.
_prepared: WeakKeyDictionary = WeakKeyDictionary()


class TrainedEstimator(DocumentedEstimator, BaseEstimator):
    """Settings and state of the training loop, and the attributes that its results become.

    A subclass has the constructor parameters of the loop and says what differs:
    `_auto_batch_size`, `_trained_settings`, `_update_rule`, `_parameters_to_train` and
    `_fitted_parameters`, and where its losses have a unit, `_loss_unit`.
    """

    _auto_batch_size: int  # what batch_size="auto" is, where there are as many samples
    _training_state: tuple | None = None  # what was trained, and the state that is left
    _learned: frozenset[str] = frozenset()  # names of the fitted attributes that inference uses

    @property
    def _loss_unit(self):
        """What the losses of the computation are multiplied by."""
        return 1.0

    def _loop_settings(self, n_samples):
        batch_size = self.batch_size
        if batch_size == "auto":
            batch_size = min(self._auto_batch_size, n_samples)
        return LoopSettings(
            max_iter=self.max_iter,
            batch_size=batch_size,
            tol=self.tol,
            n_iter_no_change=self.n_iter_no_change,
            shuffle=self.shuffle,
            verbose=self.verbose,
            loss_unit=self._loss_unit,
        )

    def _state(self):
        """Return the state of training: the last fit's, unless something else was trained.

        It is a copy: should this fit fail, the last one stays as it was.
        """
        known, state = self._training_state or (None, None)
        if known == self._trained_settings():
            return copy.deepcopy(state)
        parameters = copies(self._parameters_to_train())
        random_state = check_random_state(self.random_state)
        return TrainingState(parameters, self._update_rule(), random_state)

    def _kept(self, key, prepare):
        """Return prepare(), or what it returned last time if it would be the same.

        It depends on the key, the parameters and what was learned. Arrays of the latter become
        read-only, since a change inside them would not be noticed; assign others instead.
        """
        attributes = vars(self).items()
        learned = [
            v for name, value in attributes if name in self._learned for v in _leaves(value)
        ]
        parameters = [v for name, v in attributes if not (name.endswith("_") or name[0] == "_")]
        made_of, kept = learned + parameters, _prepared.get(self)
        if kept is None or kept[0] != key or not _same_objects(kept[1], made_of):
            for value in learned:
                if isinstance(value, np.ndarray):
                    value.flags.writeable = False
            kept = _prepared[self] = key, made_of, prepare()
        return kept[2]

    def _set_results(self, state):
        """Set the attributes that training changes."""
        for name, value in self._results(state).items():
            setattr(self, name, value)

    def _results(self, state):
        """Return the attributes that training changes, for a training state."""
        history = [dict(epoch) for epoch in state.history]
        scored = [epoch for epoch in history if "validation_loss" in epoch]
        held_out = self.early_stopping and bool(scored)
        loss = state.best_loss * self._loss_unit
        scores = [e["validation_score"] for e in scored]
        finite_scores = [score for score in scores if score == score]  # of epochs in bounds
        return self._fitted_parameters(state) | {
            "_training_state": (self._trained_settings(), state),
            "history_": history,
            "n_iter_": max(state.n_iter, 1),
            "loss_": loss,
            "best_loss_": None if held_out else loss,
            "loss_curve_": [e["loss"] for e in history],
            "validation_loss_curve_": (
                [e["validation_loss"] for e in scored] if held_out else None
            ),
            "validation_scores_": scores if held_out else None,
            "best_validation_score_": (
                max(finite_scores, default=float("nan")) if held_out else None
            ),
        }

    def __getstate__(self):
        """Return the state with that of training as plain data.

        So formats that ask for the name of every class, like that of skops, meet public ones.
        """
        state = dict(super().__getstate__())
        if state.get("_training_state") is not None:
            state["_training_state"] = resuming.to_data(*state["_training_state"])
        return state

    def __setstate__(self, state):
        """Restore the state of training from data."""
        training = state.get("_training_state")
        if training is not None:
            state = state | {"_training_state": resuming.from_data(training)}
        super().__setstate__(state)

    def _warn_if_still_improving(self, state):
        if state.status == "running" and self.tol > 0:
            warnings.warn(
                f"Training reached max_iter={self.max_iter} epochs and was still improving; "
                "increase max_iter or tol.",
                ConvergenceWarning,
            )


def _leaves(value):
    """Yield what lists, tuples and dicts hold, however deep."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, dict):
        yield from _leaves(list(value.values()))
    else:
        yield value


def _same_objects(some, others):
    return len(some) == len(others) and all(map(operator.is_, some, others))


def was_interrupted(estimator):
    """Return whether Ctrl-C ended the last fit of an estimator, which then kept its best."""
    _, state = getattr(estimator, "_training_state", None) or (None, None)
    return state is not None and state.status == "interrupted"


@contextmanager
def restored_on_failure(estimator):
    """Give an estimator its fitted attributes back if its fit fails or is interrupted."""

    def is_fitted_attribute(name):
        return name.endswith("_") or name == "_training_state"

    fitted = {k: v for k, v in vars(estimator).items() if is_fitted_attribute(k)}
    try:
        yield
    except BaseException:
        for name in filter(is_fitted_attribute, list(vars(estimator))):
            delattr(estimator, name)
        vars(estimator).update(fitted)
        raise


def split_rows(estimator, splitter, n_samples, y=None, groups=None):
    """Return the rows to train on, and those that are held out for early stopping."""
    fraction = estimator.validation_fraction
    splits = splitter(1, test_size=fraction, random_state=estimator.random_state)
    try:
        return next(splits.split(np.empty(n_samples), y, groups))
    except ValueError as error:
        raise ValueError(
            f"early_stopping cannot hold out validation_fraction={fraction} of {n_samples} "
            f"samples; give another fraction, or early_stopping=False ({error})"
        ) from error


def checked_weights(sample_weight, X, suffix=""):
    """Return the weights of samples in the dtype of X, or None if there are none.

    Numbers at the ends of the range are divided by a power of two: the unit does not matter,
    but their sums would not be finite, or have no digits. The suffix is that of the name.
    """
    if sample_weight is None:
        return None
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    check_some_weight(weight, suffix)
    largest = weight.max()
    if not 1e-30 < largest < 1e30:
        weight = weight / 2.0 ** np.floor(np.log2(largest))
    return weight.astype(X.dtype)


def check_some_weight(weight, suffix=""):
    """Check that the weights are not all zero."""
    if not weight.any():
        raise ValueError(
            f"sample_weight{suffix} is zero for all samples; give some a weight above 0."
        )


def r2_of_samples(samples, y_hat):
    """Return the R^2 of predictions of samples; nan for a single one."""
    if len(samples) < 2:
        return float("nan")
    samples = replace(samples, inputs=(), units=samples.units and samples.units[-1:]).loaded()
    return float(r2_score(samples.y, y_hat, sample_weight=samples.weight))


def rows_of(rows, *arrays):
    """Return the rows of each array that is not None."""
    return [None if a is None else a[rows] for a in arrays]
