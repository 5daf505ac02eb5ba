"""Recurrence: inference of a sample begins with the average activations of earlier ones.

The samples of a sequence are inferred twice. First all begin with the same constant activation.
The resulting relative activations, h / mean(h), are averaged over the earlier samples of the
sequence, with weights that decay with age; in the second inference each activation begins with
the constant times its average, to a power. The first samples have few before them, so a number
of samples with equal activations is added to the average. Both inferences use the same bases,
so both are trained: every third sample of an epoch begins with the constant.
"""

from itertools import pairwise

import numpy as np

from skunfold._kernels.numerics import power
from skunfold._running import RunningSums
from skunfold._training.objective import Objective

N_ALIKE = 10  # samples with equal activations, before the first
BLOCK = 8192  # samples whose activations are held at once


class EarlierActivations:
    """Relative activations of the samples of a sequence so far.

    Parameters
    ----------
    power : float
        The exponent of their averages.
    length : float
        Time constant of that average, in samples.
    n_components : int
        Number of activations.
    """

    def __init__(self, power, length, n_components):
        self._power = power
        self._sums = RunningSums(np.exp(-1 / length), n_components)
        self._n_samples = 0

    def factors(self, relative, first_inference_too=False):
        """Return the factors (n, R) of the first activations of the next samples.

        Their relative activations come from the first inference. If that is also trained, every
        third sample of the sequence has a factor of one, as in the first inference.
        """
        sums, weight = self._sums.sums, self._sums.weight
        new_sums, new_weights = self._sums.update(relative)
        sums = np.concatenate([sums, new_sums[:-1]])
        weights = np.concatenate([[[weight]], new_weights[:-1]])
        averages = (sums + N_ALIKE) / (weights + N_ALIKE)
        factors = power(averages, self._power).astype(relative.dtype)
        if first_inference_too:
            factors[-self._n_samples % 3 :: 3] = 1
        self._n_samples += len(relative)
        return factors


def in_order(architecture, X, layers, lengths, earlier=None, **options):
    """Yield blocks of samples, in order, and the factors of their first activations.

    Parameters
    ----------
    architecture : NMFArchitecture
        Of the network, recurrent or not.
    X : ndarray of shape (n, F)
        The samples.
    layers : list
        Those of the network.
    lengths : ndarray of int
        Numbers of samples of the sequences that X consists of.
    earlier : EarlierActivations, optional
        The earlier samples, if X continues a sequence.
    **options
        Those of `EarlierActivations.factors`.

    Yields
    ------
    rows : slice
        Of X.
    factors : ndarray of shape (n_rows, R) or None
        None, for all samples at once, without recurrence.
    """
    if not architecture.recurrence:
        yield slice(0, X.shape[0]), None
        return
    ends = np.cumsum([n for n in lengths if n])
    n_components = len(layers[0].W)
    before = earlier or architecture.before_a_sequence(n_components)
    for start in range(0, X.shape[0], BLOCK):
        stop = min(start + BLOCK, X.shape[0])
        factors = architecture.relative_activations(X[start:stop], layers)
        inner_ends = ends[(start < ends) & (ends < stop)]
        for a, b in pairwise([start, *inner_ends, stop]):
            if a in ends:
                before = architecture.before_a_sequence(n_components)
            part = slice(a - start, b - start)
            factors[part] = before.factors(factors[part], **options)
        yield slice(start, stop), factors


class SequencePredictor:
    """Predictions of the samples of one sequence, which arrive in blocks.

    `skunfold.DeepNMFRegressor.sequence` makes one.
    """

    def __init__(self, estimator, earlier):
        self._estimator = estimator
        self._earlier = earlier

    def predict(self, X):
        """Return the predicted targets of the next samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Non-negative data, at least one sample.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        return self._estimator._continued(X, self._earlier)


class RecurrentStart:
    """The first activations of the trained layers of a recurrent network, for any parameters.

    Parameters
    ----------
    architecture : NMFArchitecture
        Of the network.
    thetas : list of tuple
        Those of the layers that are not trained.
    target_scale : float
        The divisor of the targets.
    """

    def __init__(self, architecture, thetas, target_scale):
        self._architecture = architecture
        self._thetas = thetas
        self._target_scale = target_scale

    def renew(self, parameters, samples, **options):
        """Infer the first activations of samples again, in their last input.

        The options are those of `EarlierActivations.factors`.
        """
        (X, lengths), out = samples.sequences, samples.inputs[-1]
        trained, _ = self._architecture.trained(parameters, self._target_scale)
        layers = self._architecture.layers([*self._thetas, *trained], X.shape[0])
        frozen = layers[: len(self._thetas)]
        for rows, factors in in_order(self._architecture, X, layers, lengths, **options):
            if frozen:
                self._architecture.activations(X[rows], frozen, out[rows], factors)
            else:
                np.multiply(factors, X.dtype.type(self._architecture.start), out=out[rows])


class RecurrentObjective(Objective):
    """An `Objective` over samples whose first activations depend on the parameters.

    They are inferred again in each epoch, and have no gradient.

    Parameters
    ----------
    model : DeepNMF
        The trained part of the network.
    start : RecurrentStart
        Infers the first activations.
    """

    def __init__(self, model, start):
        super().__init__(model)
        self._start = start

    def begin_epoch(self, parameters, samples):
        """Infer the first activations of the samples."""
        self._start.renew(parameters, samples, first_inference_too=True)

    def evaluate(self, parameters, samples):
        """Return the mean loss."""
        self._start.renew(parameters, samples)
        return super().evaluate(parameters, samples)

    def evaluate_with_output(self, parameters, samples):
        """Return the mean loss and the outputs of all samples."""
        self._start.renew(parameters, samples)
        return super().evaluate_with_output(parameters, samples)
