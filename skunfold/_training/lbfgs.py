"""Training by L-BFGS (scipy): whole batches, line searches."""

import time

import numpy as np
from scipy.optimize import minimize

from skunfold._training.callbacks import NoCallbacks
from skunfold._training.loop import copies, note_interruption, write_history


def fit_lbfgs(objective, state, train, settings, callbacks=None):
    """Train for up to `settings.max_iter` iterations; `state` is advanced by each.

    It stops where the largest element of the gradient is below `settings.tol`, or where a
    line search finds nothing better. Arguments are those of `fit_loop`.
    """
    callbacks = callbacks or NoCallbacks()
    state.status, state.n_iter = "running", 0
    state.best_parameters = state.parameters
    began = [time.perf_counter()]

    def value(x):
        loss, gradients = objective.gradient(_unpacked(x, state.parameters), train)
        return float(loss), _packed(gradients)

    def after_iteration(intermediate_result):
        callbacks.begin_epoch()
        state.parameters = _unpacked(intermediate_result.x, state.parameters)
        state.best_parameters = state.parameters
        state.best_loss = float(intermediate_result.fun)
        now = time.perf_counter()
        entry = {"loss": state.best_loss, "final_loss": state.best_loss}
        write_history(state, settings, entry, now - began[0])
        began[0] = now
        if callbacks.end_epoch():
            state.status = "stopped"
            raise StopIteration

    try:
        state.best_loss = objective.evaluate(state.parameters, train)
        result = minimize(
            value,
            _packed(state.parameters),
            method="L-BFGS-B",
            jac=True,
            callback=after_iteration,
            options={"maxiter": settings.max_iter, "gtol": settings.tol},
        )
        if state.status == "running" and result.nit < settings.max_iter:
            state.status = "converged"
    except KeyboardInterrupt:
        note_interruption(state)
    state.parameters = copies(state.best_parameters)


def _packed(arrays):
    """Return all arrays as one vector, in double precision."""
    return np.concatenate([a.ravel() for a in arrays]).astype(np.float64, copy=False)


def _unpacked(x, like):
    """Return the vector as arrays of the shapes and dtypes of others."""
    ends = np.cumsum([a.size for a in like])[:-1]
    return [p.reshape(a.shape).astype(a.dtype) for p, a in zip(np.split(x, ends), like)]
