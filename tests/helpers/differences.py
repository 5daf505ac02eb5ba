"""Gradients by finite differences."""

import numpy as np


def finite_differences(loss, parameters, step=1e-4):
    """Return the gradient of a loss() by each array, by a central difference of fourth order.

    The arrays are changed in place while it is computed.
    """
    gradients = [np.empty_like(p) for p in parameters]
    for p, g in zip(parameters, gradients):
        for i in np.ndindex(p.shape):
            kept = p[i]
            values = []
            for steps in (-2, -1, 1, 2):
                p[i] = kept + steps * step
                values.append(loss())
            p[i] = kept
            g[i] = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)
    return gradients
