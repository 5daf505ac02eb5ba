"""Samples before, and results after the training loop."""

import warnings
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.utils.validation import _check_sample_weight, check_non_negative


@dataclass(frozen=True)
class Given:
    """Samples as a user gives them to `fit`."""

    X: Any
    y: Any
    sample_weight: Any = None
    lengths: Any = None  # of the sequences that they consist of

    @property
    def is_nothing(self):
        """Whether no argument was given."""
        return all(argument is None for argument in vars(self).values())


@dataclass(frozen=True)
class Data:
    """Checked samples."""

    X: Any  # ndarray or CSR, (n, n_features)
    y: np.ndarray  # the targets as users know them
    targets: np.ndarray  # as the network does, (n, n_outputs)
    weight: np.ndarray | None  # (n,)
    lengths: np.ndarray  # (n_sequences,)

    def with_weight(self, groups):
        """Return the samples whose weight is not zero, and the groups (or None) of these."""
        if self.weight is None or self.weight.all():
            return self, groups
        used = self.weight > 0
        sequence = np.repeat(np.arange(len(self.lengths)), self.lengths)
        lengths = np.bincount(sequence[used], minlength=len(self.lengths))
        arrays = (self.X, self.y, self.targets, self.weight, groups)
        X, y, targets, weight, groups = rows_of(used, *arrays)
        return Data(X, y, targets, weight, lengths), groups


def check_validation_given(given, early_stopping):
    """Check that samples for validation are complete and wanted, if there are any."""
    if given.is_nothing:
        return
    if given.X is None or given.y is None:
        missing = "X_val" if given.X is None else "y_val"
        raise ValueError(
            f"{missing} is missing; give X_val and y_val together, and their weights or "
            "lengths only with both."
        )
    if not early_stopping:
        raise ValueError(
            "X_val and y_val were given, but early_stopping is False; set early_stopping=True."
        )


def check_groups(groups, n_samples):
    """Return the groups of the samples as an array, or None."""
    if groups is None:
        return None
    groups = np.asarray(groups)
    if groups.shape != (n_samples,):
        raise ValueError(
            f"groups has the shape {groups.shape}; give one for each of the {n_samples} "
            "samples."
        )
    return groups


def check_signs(array, estimator, name):
    """Raise if an array has negative numbers; `name` is the argument of the estimator."""
    advice = "give 0 or more; MaxAbsScaler keeps that so, StandardScaler does not"
    check_non_negative(array, f"{estimator} (argument {name}); {advice}")


def check_lengths(lengths, n_samples, name="lengths"):
    """Return the lengths of the sequences that samples consist of, an array of int."""
    if lengths is None:
        return np.array([n_samples])
    lengths = np.asarray(lengths)
    whole = lengths.ndim == 1 and np.issubdtype(lengths.dtype, np.integer)
    if not whole or np.any(lengths < 0) or lengths.sum() != n_samples:
        raise ValueError(
            f"{name} must be whole numbers, one for each sequence, that add up to the "
            f"{n_samples} samples; got {lengths!r}."
        )
    return lengths.astype(np.intp)


def results_of(state, loss_unit, early_stopping):
    """Return the fitted attributes that describe training; losses are in the given unit."""
    history = [dict(epoch) for epoch in state.history]
    scored = [epoch for epoch in history if "validation_loss" in epoch]
    held_out = early_stopping and bool(scored)
    loss = state.best_loss * loss_unit
    scores = [e["validation_score"] for e in scored]
    finite_scores = [score for score in scores if score == score]  # of epochs in bounds
    return {
        "history_": history,
        "n_iter_": max(state.n_iter, 1),
        "loss_": loss,
        "best_loss_": None if held_out else loss,
        "loss_curve_": [e["loss"] for e in history],
        "validation_loss_curve_": [e["validation_loss"] for e in scored] if held_out else None,
        "validation_scores_": scores if held_out else None,
        "best_validation_score_": (
            max(finite_scores, default=float("nan")) if held_out else None
        ),
    }


def warn_if_still_improving(state, max_iter, tol):
    """Warn that training could have continued."""
    if state.status == "running" and tol > 0:
        warnings.warn(
            f"Training reached max_iter={max_iter} epochs and was still improving; "
            "increase max_iter or tol.",
            ConvergenceWarning,
        )


def was_interrupted(estimator):
    """Return whether Ctrl-C ended the last fit of an estimator, which then kept its best."""
    _, state = getattr(estimator, "_training_state", None) or (None, None)
    return state is not None and state.status == "interrupted"


@contextmanager
def restored_on_failure(estimator):
    """Restore the fitted attributes of an estimator if its fit fails or is interrupted."""

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


def split_rows(estimator, splitter, n_samples, y=None, groups=None, unit="samples"):
    """Return the rows to train on, and those that are held out for early stopping.

    The unit is what the message of an error calls them.
    """
    fraction = estimator.validation_fraction
    splits = splitter(1, test_size=fraction, random_state=estimator.random_state)
    try:
        return next(splits.split(np.empty(n_samples), y, groups))
    except ValueError as error:
        raise ValueError(
            f"early_stopping cannot hold out validation_fraction={fraction} of {n_samples} "
            f"{unit}; give another fraction, or early_stopping=False ({error})"
        ) from error


def checked_weights(sample_weight, X, suffix=""):
    """Return the weights of samples in the dtype of X, or None if there are none.

    Very large and very small weights are divided by a power of two, since their sums would
    overflow or lose precision; the unit does not matter. The suffix is that of the name.
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
