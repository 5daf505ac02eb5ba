"""A running average of the parameters, which a fit can monitor and return.

Steps that are large enough to learn fast make the parameters jump around the optimum; their
average is nearer to it. Polyak and Juditsky, "Acceleration of stochastic approximation
by averaging" (1992).
"""


class RunningAverage:
    """a <- d a + (1 - d) W after each update, d = min(decay, n / (n + 10)) after n updates.

    While n is small, only about the last tenth of the updates counts.

    Parameters
    ----------
    decay : float
        The largest d; 1 / (1 - decay) is the number of updates that count.
    parameters : list of ndarray
        Where the average begins.
    """

    def __init__(self, decay, parameters):
        self.decay = decay
        self.restart(parameters)

    def restart(self, parameters):
        """Forget all but these parameters."""
        self.values = [p.copy() for p in parameters]
        self._n_updates = 0

    def add(self, parameters):
        """Take the parameters after an update."""
        self._n_updates += 1
        decay = min(self.decay, self._n_updates / (self._n_updates + 10))
        for a, p in zip(self.values, parameters):
            a *= a.dtype.type(decay)
            a += a.dtype.type(1 - decay) * p
