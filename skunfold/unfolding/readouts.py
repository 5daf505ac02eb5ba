"""The last layer: from the last state of inference to the outputs."""

from abc import ABCMeta, abstractmethod
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from skunfold._kernels.numerics import floor_of
from skunfold._kernels.outputs import MaskOutput
from skunfold._kernels.unfolding import BaseReadout

FACTORISATION_UPDATES = 100  # of the bases of a mask, for given activations


class Readout(BaseReadout, BaseEstimator, metaclass=ABCMeta):
    """From the last state h (n_samples, n_states) to outputs: the base class to derive from.

    Attributes
    ----------
    positive : tuple of bool or bool
        Which of its parameters stay positive, as in `Iteration`. Default False.
    """

    positive: tuple[bool, ...] | bool = False

    @abstractmethod
    def parameters(
        self, X: NDArray, y: NDArray, h: NDArray, sample_weight: NDArray | None
    ) -> tuple[NDArray, ...]:
        """Return the parameters before training.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            The training samples.
        y : ndarray of shape (n_samples, n_outputs)
            Their targets; indicators for a classifier.
        h : ndarray of shape (n_samples, n_states)
            The last states of untrained inference.
        sample_weight : ndarray of shape (n_samples,) or None
            Their weights, above 0; None: all are 1.

        Returns
        -------
        tuple of ndarray
            Of any shapes; they are converted to the dtype of X.
        """

    @abstractmethod
    def read(
        self, parameters: tuple[NDArray, ...], X: NDArray, h: NDArray
    ) -> tuple[NDArray, Any]:
        """Return the outputs, and a tape for `adjoint`.

        Parameters
        ----------
        parameters : tuple of ndarray
            Like those that `parameters` returned.
        X : ndarray of shape (n_samples, n_features)
            The samples.
        h : ndarray of shape (n_samples, n_states)
            The last states of inference.

        Returns
        -------
        output : ndarray of shape (n_samples, n_outputs)
            As the loss takes it.
        tape : object
            Whatever `adjoint` needs.
        """

    @abstractmethod
    def adjoint(
        self, parameters: tuple[NDArray, ...], tape: Any, g: NDArray
    ) -> tuple[NDArray, tuple[NDArray, ...]]:
        """Return the gradients by h and by the parameters.

        Parameters
        ----------
        parameters : tuple of ndarray
            As `read` took them.
        tape : object
            What `read` returned.
        g : ndarray of shape (n_samples, n_outputs)
            The gradient by the outputs.

        Returns
        -------
        g_h : ndarray of shape (n_samples, n_states)
            The gradient by the states.
        g_parameters : tuple of ndarray
            Like the parameters, summed over the samples.
        """


class IdentityReadout(Readout):
    """The outputs are the state itself; there are no parameters."""

    def parameters(self, X, y, h, sample_weight):
        """Return no parameters, if the targets are shaped like the state."""
        if y.shape[1] != h.shape[1]:
            raise ValueError(
                f"y has {y.shape[1]} columns, but with IdentityReadout the outputs are the "
                f"{h.shape[1]} states of the iteration; give as many targets, or another "
                "readout."
            )
        return ()

    def read(self, parameters, X, h):
        """Return the state and no tape."""
        return h, None

    def adjoint(self, parameters, tape, g):
        """Return the gradient by h and none by parameters."""
        return g, ()


class LinearReadout(Readout):
    """Outputs h U + c, with U (n_states, n_outputs) and c (n_outputs,).

    Before training they are the least-squares solution (of minimum norm) for the last states of
    the algorithm.
    """

    def parameters(self, X, y, h, sample_weight):
        """Return U and c by weighted least squares."""
        w = np.ones(len(h)) if sample_weight is None else sample_weight / sample_weight.mean()
        h_mean, y_mean = (np.average(a, axis=0, weights=w) for a in (h, y))
        root = np.sqrt(w)[:, np.newaxis]
        U, *_ = np.linalg.lstsq(root * (h - h_mean), root * (y - y_mean), rcond=1e-6)
        return U, y_mean - h_mean @ U

    def read(self, parameters, X, h):
        """Return h U + c and h."""
        U, c = parameters
        return h @ U + c, h

    def adjoint(self, parameters, tape, g):
        """Return the gradients by h, and by U and c."""
        return g @ parameters[0].T, (tape.T @ g, g.sum(axis=0))


class LogitReadout(LinearReadout):
    """Logits h V + c of classes or labels, of equal probability before training."""

    def parameters(self, X, y, h, sample_weight):
        """Return zeros."""
        return np.zeros((h.shape[1], y.shape[1])), np.zeros(y.shape[1])


class MaskReadout(Readout):
    """Shares of the data: targets are the last features times masks that add up to one.

    The states are grouped by source, targets first, the residual (everything else) last. With
    n_g = h[:, g] U[g], target g is estimated by X_last n_g / sum of all n, where X_last are the
    last columns of X, as many as a target has. Le Roux, Hershey and Weninger, "Deep NMF for
    speech separation" (ICASSP 2015), section 2.

    Parameters
    ----------
    group_sizes : sequence of int
        Number of states of each group, which add up to the states of the iteration: at least
        1 for each target, whose columns are side by side in y, and last 0 or more for the
        residual.
    """

    positive = (True,)

    def __init__(self, group_sizes: Sequence[int]) -> None:
        self.group_sizes = group_sizes

    @property
    def _output(self):
        return MaskOutput(tuple(self.group_sizes), len(self.group_sizes) - 1)

    def parameters(self, X, y, h, sample_weight):
        """Return U (n_states, n_features of a target), by multiplicative least squares."""
        n_targets = self._checked_n_targets(h.shape[1])
        width, rest = divmod(y.shape[1], n_targets)
        if rest or width > X.shape[1]:
            raise ValueError(
                f"y has {y.shape[1]} columns for the {n_targets} targets of MaskReadout, and X "
                f"has {X.shape[1]}; give the same number for each target, at most as many as X "
                "has."
            )
        targets = np.split(y, n_targets, axis=1)
        sources = [*targets, np.maximum(X[:, -width:] - sum(targets), 0)]
        weight = 1 if sample_weight is None else sample_weight[:, np.newaxis]
        U = np.ones((h.shape[1], width))
        for group, source in zip(self._output.groups, sources):
            H = h[:, group]
            numerator, gram = (weight * H).T @ source, (weight * H).T @ H
            for _ in range(FACTORISATION_UPDATES):
                U[group] *= numerator / (gram @ U[group] + floor_of(h.dtype))
        return (np.maximum(U, np.finfo(h.dtype).eps * U.mean()),)

    def _checked_n_targets(self, n_states):
        """Return the number of targets, if the sizes of the groups fit the states."""
        sizes = self.group_sizes if np.ndim(self.group_sizes) == 1 else ()
        whole = len(sizes) > 1 and all(isinstance(size, Integral) for size in sizes)
        if not whole or min(sizes[:-1]) < 1 or sizes[-1] < 0 or sum(sizes) != n_states:
            raise ValueError(
                f"group_sizes={self.group_sizes!r} of MaskReadout does not fit {n_states} "
                "states; give a whole number of 1 or more for each target, and last 0 or more "
                "for the residual, which add up to the states."
            )
        return len(sizes) - 1

    def read(self, parameters, X, h):
        """Return the estimates (n_samples, n_targets * width) and a tape."""
        return self._output.forward(X, h, parameters[0])

    def adjoint(self, parameters, tape, g):
        """Return the gradients by h and by U."""
        g_h, g_U = self._output.net_adjoint(g, parameters[0], tape)
        return g_h, (g_U,)
