"""The training loop: epochs, going back, stopping, history.

One rule governs every fit. After an epoch the monitored loss (of the validation samples if
there are any, else of the training samples) is computed. If it is the lowest so far, these are
the best parameters. If there was no new minimum for `PATIENCE` epochs, the step is halved and
the best parameters are restored; a loss of the training samples fluctuates less, so there it is
`LoopSettings.patience` epochs. Training ends with the best parameters, so never worse than it
began. Where there is an average of the parameters, all of this applies to the average.

Training resumes with the step size and the running averages of the last fit if the monitored
loss is still the one at which that fit stopped. Otherwise the data have changed, and a step
that was halved many times would be too small: both are reset.
"""

import math
import time
import warnings
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from skunfold._training.averaging import RunningAverage
from skunfold._training.callbacks import NoCallbacks

PATIENCE = 2  # epochs without a lower validation loss, at least, before the step is halved


@dataclass(frozen=True)
class LoopSettings:
    """How long to train and in what batches; scikit-learn's words."""

    max_iter: int
    batch_size: int
    tol: float = 1e-4
    n_iter_no_change: int | float = 10
    shuffle: bool = True
    verbose: int = 0
    learning_rate_decay: float = 1.0
    patience: int = 1  # epochs without a lower training loss, before the step is halved
    loss_unit: float = 1.0  # what the losses of the history are multiplied by


@dataclass
class TrainingState:
    """The state of training between two epochs: all that is needed to continue later."""

    parameters: list
    update: Any
    random_state: np.random.RandomState
    best_parameters: list = field(default_factory=list)
    best_loss: float = np.inf
    n_worse: int = 0  # epochs since the best one, or since the step was halved
    n_no_change: int = 0  # epochs since the loss fell by more than the tolerance
    history: list = field(default_factory=list)
    n_iter: int = 0  # epochs since the last fit began
    status: str = "new"  # then "running", "converged", "stopped", "interrupted", "streaming"
    average: RunningAverage | None = None

    @property
    def current_parameters(self):
        """The average of the parameters, or the parameters where there is none."""
        return self.parameters if self.average is None else self.average.values

    def reset(self, learning_rate):
        """Return to the best parameters with this step size; forget the running averages."""
        self.parameters, self.n_worse = copies(self.best_parameters), 0
        self.update.restart(learning_rate)
        if self.average is not None:
            self.average.restart(self.parameters)


def fit_loop(objective, state, train, settings, valid=None, score=None, callbacks=None):
    """Train for up to `settings.max_iter` epochs; `state` is advanced epoch by epoch.

    Parameters
    ----------
    objective : Objective
        The loss and its gradient.
    state : TrainingState
        The parameters and the progress so far; changed in place.
    train, valid : Samples
        Training samples, and validation samples or None.
    settings : LoopSettings
        Epochs, batches, stopping.
    score : callable, optional
        From the validation samples and their outputs to a score for the history.
    callbacks : EpochCallbacks, optional
        Called for every epoch; may stop the loop.

    Notes
    -----
    A KeyboardInterrupt ends the loop with the best parameters and a warning.
    """
    callbacks = callbacks or NoCallbacks()
    objective.require(state.update.form)
    try:
        _start(objective, state, train, valid)
        for _ in range(settings.max_iter):
            callbacks.begin_epoch()
            _run_epoch(objective, state, train, settings, valid, score)
            if callbacks.end_epoch():
                state.status = "stopped"
            if state.status != "running":
                break
    except KeyboardInterrupt:
        note_interruption(state)


def note_interruption(state):
    """Warn that Ctrl-C ended training."""
    state.status = "interrupted"
    warnings.warn(
        f"Training was interrupted after {len(state.history)} epochs; "
        "the best parameters so far are kept."
    )


def _start(objective, state, train, valid):
    """Compute the initial monitored loss; reset the step if the data have changed."""
    status, state.status, state.n_iter = state.status, "running", 0
    state.best_parameters = state.best_parameters or copies(state.parameters)
    if valid is None:
        loss = objective.evaluate(state.best_parameters, train)
    else:
        loss, _ = objective.evaluate_with_output(state.best_parameters, valid)
    # Up to rounding, since the number of workers changes the order of sums.
    rounding = np.sqrt(np.finfo(state.parameters[0].dtype).eps)
    same_data = math.isclose(loss, state.best_loss, rel_tol=rounding, abs_tol=rounding**2)
    if status not in ("new", "streaming") and not same_data:
        state.reset(state.update.initial_rate)
    if status != "running" or not same_data:
        state.n_no_change = 0
    state.best_loss = loss


def train_once(objective, state, train, settings):
    """Train for one epoch without monitoring: its parameters count as the best.

    A step size that a fit has reduced is reset, since nothing here would notice that it is too
    small.
    """
    began = time.perf_counter()
    if state.update.learning_rate < state.update.initial_rate:
        state.reset(state.update.initial_rate)
    elif state.best_parameters:
        state.parameters = copies(state.best_parameters)
    state.status = "streaming"
    state.best_loss = loss = train_epoch(objective, state, train, settings)
    state.best_parameters = copies(state.parameters)
    entry = {"loss": loss, "learning_rate": state.update.learning_rate}
    write_history(state, settings, entry, time.perf_counter() - began)


def _run_epoch(objective, state, train, settings, valid, score):
    """Run one epoch, keep or undo it, and write its line of the history."""
    began = time.perf_counter()
    learning_rate = state.update.learning_rate
    entry = {"loss": train_epoch(objective, state, train, settings)}
    entry["learning_rate"] = learning_rate
    if valid is None:
        monitored = entry["final_loss"] = objective.evaluate(state.current_parameters, train)
    else:
        monitored, output = objective.evaluate_with_output(state.current_parameters, valid)
        entry["validation_loss"] = monitored
        if score is not None:
            is_valid = np.isfinite(monitored)  # too large a step may have diverged
            entry["validation_score"] = score(valid, output) if is_valid else float("nan")
    patience = settings.patience if valid is None else max(settings.patience, PATIENCE)
    _judge(state, monitored, settings, patience)
    state.update.learning_rate *= settings.learning_rate_decay
    write_history(state, settings, entry, time.perf_counter() - began)


def write_history(state, settings, entry, seconds):
    """Add an epoch to the history, losses in the units of the data; print it if verbose."""
    entry = {
        name: value * settings.loss_unit if name.endswith("loss") else value
        for name, value in entry.items()
    }
    state.n_iter += 1
    state.history.append({"epoch": len(state.history) + 1, **entry, "seconds": seconds})
    if settings.verbose:
        print(line_of(state.history[-1]))


def train_epoch(objective, state, train, settings):
    """Move the parameters by one pass; return the mean loss of batches before their updates."""
    objective.begin_epoch(state.current_parameters, train)
    total = 0.0
    for rows in _batches(len(train), settings, state.random_state):
        batch = train[rows]
        loss, gradients = objective.gradient(state.parameters, batch, state.update.form)
        state.update.step(state.parameters, gradients)
        if state.average is not None:
            state.average.add(state.parameters)
        total += loss * batch.total_weight
    return total / train.total_weight


def _batches(n_samples, settings, random_state):
    """Return the rows of each batch, of even sizes: slices or arrays of indices."""
    n_batches = max(1, -(-n_samples // settings.batch_size))
    bounds = np.linspace(0, n_samples, n_batches + 1).astype(int)
    slices = [slice(a, b) for a, b in pairwise(bounds)]
    if n_batches == 1 or not settings.shuffle:
        return slices
    order = random_state.permutation(n_samples)
    return [order[s] for s in slices]


def _judge(state, monitored, settings, patience):
    """Keep an epoch's parameters if they are the best, or restore those; stop if it is time."""
    enough = state.best_loss - monitored > settings.tol * abs(state.best_loss)
    state.n_no_change = 0 if enough else state.n_no_change + 1
    if monitored < state.best_loss:
        best_parameters = copies(state.current_parameters)  # before Ctrl-C can part them
        state.best_parameters, state.best_loss, state.n_worse = best_parameters, monitored, 0
    else:
        state.n_worse += 1
        if state.n_worse >= patience or not np.isfinite(monitored):
            state.reset(state.update.learning_rate / 2)
    if state.n_no_change >= settings.n_iter_no_change:
        state.status = "converged"


def copies(parameters):
    """Return copies of the arrays in a list."""
    return [p.copy() for p in parameters]


def line_of(entry):
    """Return one line of text for an epoch."""
    losses = ", ".join(
        f"{name.replace('_', ' ')} {entry[name]:.6g}"
        for name in ("loss", "final_loss", "validation_loss", "validation_score")
        if name in entry
    )
    return f"Epoch {entry['epoch']}: {losses} ({entry['seconds']:.1f} s)"
