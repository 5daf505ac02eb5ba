"""One iteration of an algorithm, which becomes a layer."""

from abc import ABCMeta, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from skunfold._kernels.unfolding import BaseIteration

Theta = tuple[NDArray, ...]


class Iteration(BaseIteration, BaseEstimator, metaclass=ABCMeta):
    """One iteration of an algorithm and its adjoint: the base class to derive from.

    A subclass has a constructor that only assigns its parameters, as any scikit-learn object;
    they can be searched over as ``iteration__NAME``. Samples are rows and independent of each
    other: X is (n_samples, n_features), and the state h that iterations improve is
    (n_samples, n_states). ``theta``, a tuple of arrays, is what a layer learns. No method may
    change an array that it is given.

    Attributes
    ----------
    positive : tuple of bool or bool
        Which arrays of theta stay positive (exponentiated-gradient steps) and which are free
        (Adam); one bool is for all arrays. Default False.
    non_negative_input : bool
        Whether X must not be negative. Default False.

    Notes
    -----
    Five more methods can be overridden, to save work. ``prepare(theta, n_samples, layers)``
    returns an object that the other methods get in place of theta: what follows from theta
    alone, such as a Gram matrix, is then computed once for all blocks of samples.
    ``advance(theta, drive, h, k)`` returns the state alone, where no tape is needed.
    ``adjoint_of_parameters(theta, tape, g, k)`` returns the gradients by the drive and by
    theta, which are all that the first layer needs. ``block_size(theta)`` returns how many
    samples to process at a time. ``with_workspace(work)`` returns a copy that reuses arrays.

    See Also
    --------
    UnfoldedRegressor : Unfolds an iteration for regression.
    UnfoldedClassifier : Unfolds an iteration for classification.
    check_adjoint : Compares an adjoint with finite differences.

    References
    ----------
    J. R. Hershey, J. Le Roux and F. Weninger, arXiv 1409.2574 (2014), section 2.

    Examples
    --------
    Gradient descent on the squared distance of ``h D`` from x, with a step size for each state:

    >>> import numpy as np
    >>> from skunfold.unfolding import Iteration, check_adjoint
    >>> class GradientDescent(Iteration):
    ...     positive = (False, True)
    ...
    ...     def __init__(self, n_states=4):
    ...         self.n_states = n_states
    ...
    ...     def parameters(self, X, y, random_state):
    ...         D = random_state.normal(size=(self.n_states, X.shape[1]))
    ...         return D, np.full(self.n_states, 0.1)
    ...
    ...     def initial(self, theta, X, n_samples):
    ...         return np.zeros((n_samples, self.n_states), X.dtype)
    ...
    ...     def step(self, theta, X, h, k):
    ...         D, rate = theta
    ...         left = X - h @ D
    ...         return h + rate * (left @ D.T), (h, left)
    ...
    ...     def adjoint(self, theta, tape, g, k):
    ...         D, rate = theta
    ...         h, left = tape
    ...         scaled = rate * g
    ...         g_D = scaled.T @ left - h.T @ (scaled @ D)
    ...         return g - scaled @ D @ D.T, None, (g_D, (g * (left @ D.T)).sum(axis=0))
    >>> X = np.random.default_rng(0).normal(size=(20, 6))
    >>> check_adjoint(GradientDescent(), X)
    """

    positive: tuple[bool, ...] | bool = False
    non_negative_input: bool = False

    @abstractmethod
    def parameters(self, X: NDArray, y: NDArray, random_state: np.random.RandomState) -> Theta:
        """Return theta of one layer before training: the parameters of the algorithm.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            The training samples, those that have a weight.
        y : ndarray of shape (n_samples, n_outputs)
            Their targets; indicators for a classifier.
        random_state : RandomState
            The source of all random numbers.

        Returns
        -------
        tuple of ndarray
            They are converted to the dtype of X.
        """

    def drive(self, theta: Theta, X: NDArray) -> Any:
        """Return the part of `step` that all layers of the same theta share, computed once.

        The default is X itself.
        """
        return X

    def drive_adjoint(self, theta: Theta, X: NDArray, g: Any) -> tuple[NDArray | None, ...]:
        """Return the gradients by theta of what went through `drive`.

        Needed if `adjoint` returns gradients by the drive.

        Parameters
        ----------
        theta : tuple of ndarray
            Theta of the layers that share this drive.
        X : ndarray of shape (n_samples, n_features)
            The samples.
        g : like the drive
            The gradient by the drive, summed over these layers.

        Returns
        -------
        tuple of ndarray or None
            Like theta, summed over samples; None is zero.
        """
        return super().drive_adjoint(theta, X, g)

    @abstractmethod
    def initial(self, theta: Theta, drive: Any, n_samples: int) -> NDArray:
        """Return the first state, (n_samples, n_states); it has no gradient."""

    @abstractmethod
    def step(self, theta: Theta, drive: Any, h: NDArray, k: int) -> tuple[NDArray, Any]:
        """Return the state after layer k (from 0), (n_samples, n_states), and a tape."""

    @abstractmethod
    def adjoint(
        self, theta: Theta, tape: Any, g: NDArray, k: int
    ) -> tuple[NDArray, Any, tuple[NDArray | None, ...]]:
        """Return the gradients by h, by the drive and by theta of layer k.

        Parameters
        ----------
        theta : tuple of ndarray
            As `step` took it.
        tape : object
            What `step` returned.
        g : ndarray of shape (n_samples, n_states)
            The gradient by the state that `step` returned.
        k : int
            The number of the layer, from 0.

        Returns
        -------
        g_h : ndarray of shape (n_samples, n_states)
            The gradient by the state that `step` took.
        g_drive : like the drive, or None
            The gradient by the drive; None where `drive` does not depend on theta.
        g_theta : tuple of ndarray or None
            Like theta, summed over samples, without what goes through the drive; None is zero.
        """


def flags_of(positive: tuple[bool, ...] | bool, n: int) -> tuple[bool, ...]:
    """Return for each of n arrays whether it stays positive."""
    flags = (positive,) * n if isinstance(positive, bool) else tuple(positive)
    if len(flags) != n:
        raise ValueError(
            f"positive={positive!r} says which of {len(flags)} arrays stay "
            f"positive, but parameters() returns {n}."
        )
    return flags
