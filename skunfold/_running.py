"""Sums over the rows of an array so far, the older the less they count."""

import numpy as np


class RunningSums:
    """Sums s_t = x_t + decay s_(t-1) of rows that arrive in blocks, and those of the weights.

    Parameters
    ----------
    decay : float
        What a row counts for one row later, above 0 and below 1.
    width : int
        Number of columns.

    Attributes
    ----------
    sums : ndarray of shape (1, width)
        The sums up to the last row, zero before the first; float64.
    weight : float
        The sum of the weights up to the last row.
    """

    def __init__(self, decay, width):
        self._decay = decay
        self.sums = np.zeros((1, width))
        self.weight = 0.0

    def update(self, rows):
        """Return the sums up to each row (n, width), and the sums of the weights (n, 1)."""
        decay = self._decay
        if not len(rows):  # of which lfilter makes states at random
            return np.empty((0, self.sums.shape[1])), np.empty((0, 1))
        if len(rows) == 1:  # for which lfilter takes ten times as long
            self.sums, self.weight = rows + decay * self.sums, 1 + decay * self.weight
            return self.sums, np.array([[self.weight]])
        from scipy.signal import lfilter  # which takes as long to import as all the rest

        coefficients = [1.0], [1.0, -decay]
        sums, _ = lfilter(*coefficients, rows, axis=0, zi=decay * self.sums)
        ones = np.ones((len(rows), 1))
        weights, _ = lfilter(*coefficients, ones, axis=0, zi=[[decay * self.weight]])
        self.sums, self.weight = sums[-1:].copy(), float(weights[-1, 0])
        return sums, weights
