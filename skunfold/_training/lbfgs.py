"""Training by L-BFGS: whole batches, line searches.

Nocedal, "Updating quasi-Newton matrices with limited storage" (1980). The line search finds a
step that fulfils the weak Wolfe conditions (Nocedal and Wright, "Numerical optimization",
section 3.1). SciPy's L-BFGS-B, made for parameters with bounds, takes several times as long for
the same iterations, in double precision only; with a million parameters that is more than the
gradients of some thousand samples take.
"""

import time
from collections import deque
from itertools import islice
from typing import NamedTuple

import numpy as np
from scipy.linalg import get_blas_funcs

from skunfold._training.callbacks import NoCallbacks
from skunfold._training.loop import copies, note_interruption, write_history

MEMORY = 10  # pairs of steps and changes of the gradient
MAX_TRIALS = 20  # of a line search
DECREASE, CURVATURE = 1e-4, 0.9  # of the Wolfe conditions
SMALLEST_DECREASE = 1e-9  # of the loss, relative to it and to 1; training ends below


class Point(NamedTuple):
    """All parameters as one vector, the loss there, and its gradient."""

    x: np.ndarray
    loss: float
    g: np.ndarray


def fit_lbfgs(objective, state, train, settings, callbacks=None):
    """Train for up to `settings.max_iter` iterations; `state` is advanced by each.

    It stops where no element of the gradient is larger than `settings.tol`, where the loss
    hardly changes, or where a line search finds nothing better. Arguments are those of
    `fit_loop`.
    """
    callbacks = callbacks or NoCallbacks()
    state.status, state.n_iter = "running", 0
    state.best_parameters = like = state.parameters
    began = time.perf_counter()

    def point(x):
        loss, gradients = objective.gradient(_unpacked(x, like), train)
        return Point(x, float(loss), _packed(gradients))

    try:
        state.best_loss = objective.evaluate(state.parameters, train)
        found = iterates(point, _packed(state.parameters), settings.tol)
        for x, loss, _ in islice(found, settings.max_iter):
            callbacks.begin_epoch()
            state.best_parameters, state.best_loss = _unpacked(x, like), loss
            now = time.perf_counter()
            write_history(state, settings, {"loss": loss, "final_loss": loss}, now - began)
            began = now
            if callbacks.end_epoch():
                state.status = "stopped"
                break
        if state.status == "running" and state.n_iter < settings.max_iter:
            state.status = "converged"
    except KeyboardInterrupt:
        note_interruption(state)
    state.parameters = copies(state.best_parameters)


def iterates(point, x, tol):
    """Yield the Point after each iteration from x; `point` makes one of a vector."""
    here = point(x)
    pairs: deque = deque(maxlen=MEMORY)
    while max(here.g.max(), -here.g.min()) > tol:
        step = 1.0 if pairs else min(1.0, 1 / float(np.linalg.norm(here.g)))
        s, there = _line_search(point, here, _direction(here.g, pairs), step)
        if there is None:
            if not pairs:
                return
            pairs.clear()  # once more, along the gradient
            continue
        y = there.g - here.g
        product, square = float(s @ y), float(y @ y)
        if product > np.finfo(y.dtype).eps * square:
            pairs.append((s, y, 1 / product, product / square))
        fall, here = here.loss - there.loss, there
        yield here
        if fall <= SMALLEST_DECREASE * max(abs(here.loss), 1.0):
            return


def _direction(g, pairs):
    """Return -H g, where H approximates the inverse Hessian.

    Pairs are (s, y, 1 / s y, s y / y y).
    """
    d = -g
    add_to = get_blas_funcs("axpy", (d,))
    shares = []
    for s, y, inverse, _ in reversed(pairs):
        shares.append(inverse * float(s @ d))
        add_to(y, d, a=-shares[-1])
    if pairs:
        d *= d.dtype.type(pairs[-1][-1])
    for s, y, inverse, _ in pairs:
        add_to(s, d, a=shares.pop() - inverse * float(y @ d))
    return d


def _line_search(point, start, d, step):
    """Return a step along d, and the Point there, whose loss and slope are enough lower.

    Where no slope is, the last one whose loss is; where no loss is, None and None.
    """
    slope = float(start.g @ d)
    lower, upper, best = (0.0, start.loss, slope), np.inf, (None, None)
    for _ in range(MAX_TRIALS):
        s = d if step == 1 else step * d
        there = point(start.x + s)
        there_slope = float(there.g @ d)
        if not there.loss <= start.loss + DECREASE * step * slope:  # or NaN
            upper = step
            at, loss, slope_at = lower
            # The minimum of the parabola through both losses and the slope at the lower end.
            width = upper - at
            bend = there.loss - loss - slope_at * width
            share = -slope_at * width / (2 * bend) if np.isfinite(bend) and bend > 0 else 0.5
            step = at + width * min(max(share, 0.1), 0.9)
        elif there_slope < CURVATURE * slope:
            best, lower = (s, there), (step, there.loss, there_slope)
            step = 4 * step if upper == np.inf else (step + upper) / 2
        else:
            return s, there
    return best


def _packed(arrays):
    """Return all arrays as one vector."""
    return np.concatenate([a.ravel() for a in arrays])


def _unpacked(x, like):
    """Return parts of the vector as arrays of the shapes and dtypes of others."""
    ends = np.cumsum([a.size for a in like])[:-1]
    parts = zip(np.split(x, ends), like)
    return [p.reshape(a.shape).astype(a.dtype, copy=False) for p, a in parts]
