"""The common base of the estimators of unfolded iterations: fitting, streams, inference."""

from abc import ABCMeta, abstractmethod
from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from skunfold._estimator.base import UnfoldedEstimator
from skunfold._estimator.data import check_signs
from skunfold._estimator.loop_parameters import FREE_CONSTRAINTS
from skunfold._estimator.scaling import check_magnitude
from skunfold._kernels.blocks import map_samples
from skunfold._kernels.unfolding import Unfolding, flattened, sets_of, thetas_of
from skunfold._training.objective import L2Penalty, Objective
from skunfold._training.updates import SGD, MixedAdam
from skunfold.unfolding.contract import check_iteration, theta_of
from skunfold.unfolding.iteration import Iteration, flags_of
from skunfold.unfolding.readouts import Readout

PATIENCE = 5  # epochs without a lower loss before the step is halved

CONSTRAINTS: dict[str, list[Any]] = {
    **UnfoldedEstimator._parameter_constraints,
    **FREE_CONSTRAINTS,
    "iteration": [Iteration],
    "readout": [Readout, None],
    "n_trained_layers": [Interval(Integral, 0, None, closed="left"), StrOptions({"all"})],
}


class UnfoldedIteration(UnfoldedEstimator, metaclass=ABCMeta):
    """An unfolded iteration with a readout; subclasses define the targets.

    Parameters
    ----------
    iteration : Iteration
        One iteration of the algorithm, and its adjoint. Its parameters can be set and searched
        over as ``iteration__NAME``.

    n_layers : int, default=8
        Unfolding depth: number of iterations, at least 1.

    n_trained_layers : int or "all", default="all"
        How many layers are trained, counted from the output; the readout is the first. 0 is the
        unmodified algorithm with an untrained readout, 1 trains the readout, 2 also the last
        iteration, and so on, up to ``n_layers + 1`` or "all".

    tied : bool, default=False
        Whether the trained iterations share one parameter set.

    alpha : float, default=0.0
        Strength of the L2 penalty, 0 or more: `alpha` / 2 times the sum of squares of all free
        arrays of two or more dimensions is added to the mean loss.

    solver : {"adam", "sgd", "lbfgs"}, default="adam"
        "adam": Adam for free arrays, exponentiated gradient with its scaling for those that
        stay positive. "sgd" (Nesterov's momentum) and "lbfgs" (all samples at once) need all
        arrays to be free. "lbfgs" takes up to `max_iter` iterations, stops when no element of
        the gradient is larger than `tol`, and ignores batches, step sizes, averaging and early
        stopping.

    learning_rate_init : float, default=0.01
        Step size, above 0; it is halved when the monitored loss does not fall.

    Attributes
    ----------
    theta_ : list of n_layers tuples of ndarray
        Parameters of each layer, as the iteration knows them; layers that share parameters
        share the arrays.
    readout_parameters_ : tuple of ndarray
        Parameters of the readout.
    iteration_, readout_ : Iteration, Readout
        Copies of the iteration and the readout.
    n_states_, n_outputs_ : int
        Columns of the state and of the outputs.
    """

    _parameter_constraints: dict = CONSTRAINTS
    _made = "theta_"
    _learned = frozenset({"iteration_", "readout_", "theta_", "readout_parameters_"})

    def __init__(
        self,
        iteration: Iteration,
        *,
        readout: Readout | None,
        n_trained_layers: int | str,
        alpha: float,
        **params: Any,
    ) -> None:
        super().__init__(**params)
        self.iteration = iteration
        self.readout = readout
        self.n_trained_layers = n_trained_layers
        self.alpha = alpha

    @abstractmethod
    def _default_readout(self):
        """Return the default readout."""

    @abstractmethod
    def _criterion(self):
        """Return the loss that training minimises."""

    def _check_settings(self):
        if self._n_trained > self.n_layers + 1:
            raise ValueError(
                f"n_trained_layers={self.n_trained_layers} is more than there are; with "
                f"n_layers={self.n_layers} give at most {self.n_layers + 1}, or 'all'."
            )

    def _check_input(self, X, suffix=""):
        check_magnitude(X, f"X{suffix}")
        if self.iteration.non_negative_input:
            check_signs(X, type(self).__name__, f"X{suffix}")

    @property
    def _n_trained(self):
        """How many layers are trained, the readout included."""
        return self.n_layers + 1 if self.n_trained_layers == "all" else self.n_trained_layers

    @property
    def _n_frozen(self):
        """How many layers, from the first, are not trained."""
        return self.n_layers - max(self._n_trained - 1, 0)

    @property
    def _is_trained(self):
        """Whether there is anything to train."""
        return self._n_trained > 0 and len(self._parameters_to_train()) > 0

    @property
    def _sets(self):
        """For each trained layer of the iteration, the places of its theta in the flat list."""
        return sets_of([len(theta) for theta in self.theta_[self._n_frozen :]], self.tied)

    def _flags(self):
        """Return for each trained parameter whether it stays positive."""
        of_theta = flags_of(self.iteration_.positive, len(self.theta_[0]))
        of_readout = flags_of(self.readout_.positive, len(self.readout_parameters_))
        return of_theta * len({*self._sets}) + of_readout

    def _initialise(self, X, y, weight):
        """Set the attributes of an untrained network."""
        rng = check_random_state(self.random_state)
        self.iteration_ = clone(self.iteration)
        self.readout_ = clone(self.readout or self._default_readout())
        theta = theta_of(self.iteration_, X, y, rng)
        check_iteration(self.iteration_, theta, X, trained=self._n_trained > 1)
        self.theta_ = [theta] * self.n_layers
        h = self._states(X)
        given = self.readout_.parameters(X, y, h, weight)
        self.readout_parameters_ = tuple(np.array(p, dtype=X.dtype, order="C") for p in given)
        self.n_states_ = h.shape[1]
        self._training_state = None

    def _check_structure(self):
        """Check that parameters that shape the network are unchanged since the fit."""
        otherwise = "set it back, or fit again with warm_start=False."
        if self.n_layers != len(self.theta_):
            raise ValueError(
                f"n_layers={self.n_layers}, but the model was fitted with {len(self.theta_)} "
                "layers; " + otherwise
            )
        readout = self.readout or self._default_readout()
        for name, given, fitted in (
            ("iteration", self.iteration, self.iteration_),
            ("readout", readout, self.readout_),
        ):
            if type(given) is not type(fitted):
                raise ValueError(
                    f"{name} is a {type(given).__name__}, but the model was fitted with a "
                    f"{type(fitted).__name__}; " + otherwise
                )
        _, sets = flattened(self.theta_[self._n_frozen :])
        if self.tied and len({*sets}) > 1:
            raise ValueError("tied=True, but the layers of the fit were untied; " + otherwise)

    def _samples(self, data):
        """Return the samples, with the state after the layers that are not trained."""
        samples = super()._samples(data)
        if self._n_frozen == 0:
            return samples
        return replace(samples, inputs=(data.X, self._states(data.X, self._n_frozen)))

    def _network(self):
        """Return the trained part as the training loop sees it."""
        return Unfolding(
            self.iteration_, self.readout_, self._criterion(), self._sets, self._n_frozen
        )

    def _mean_loss(self, data):
        network, prepared = self._fitted_network(data.X.dtype)
        with Objective(network) as objective:
            return objective.evaluate(prepared.parameters, super()._samples(data))

    def _loop_settings(self, samples):
        return replace(super()._loop_settings(samples), patience=PATIENCE)

    def _penalty(self):
        parameters, positive = self._parameters_to_train(), self._flags()
        free = [i for i, p in enumerate(parameters) if p.ndim > 1 and not positive[i]]
        return L2Penalty(self.alpha, tuple(free))

    def _update_rule(self):
        positive = self._flags()
        if self.solver == "adam":
            return MixedAdam(self.learning_rate_init, positive)
        if any(positive):
            raise ValueError(
                f"solver={self.solver!r} cannot keep parameters positive, as those of "
                f"{type(self.iteration_).__name__} and {type(self.readout_).__name__} must "
                "stay; use 'adam'."
            )
        return SGD(self.learning_rate_init)  # which "lbfgs" does not use

    def _parameters_to_train(self):
        trained = self.theta_[self._n_frozen :]
        distinct = trained[:1] if self.tied else trained
        return [*(p for theta in distinct for p in theta), *self.readout_parameters_]

    def _fitted_parameters(self, state):
        theta_, of_readout = self.theta_, self.readout_parameters_
        if best := state.best_parameters:
            theta_ = theta_[: self._n_frozen] + thetas_of(best, self._sets)
            of_readout = tuple(best[len(best) - len(of_readout) :])
        parameters, _ = flattened(theta_)
        return {
            "theta_": theta_,
            "readout_parameters_": of_readout,
            "n_parameters_": sum(p.size for p in [*parameters, *of_readout]),
        }

    def _fitted_network(self, dtype):
        """Return the network of all layers and its parameters in a dtype; prepared once."""

        def prepare():
            parameters, sets = flattened(self.theta_)
            parameters = [*parameters, *self.readout_parameters_]
            network = Unfolding(self.iteration_, self.readout_, self._criterion(), sets)
            parameters = [p.astype(dtype, copy=False) for p in parameters]
            return network, network.prepare(parameters, None)

        return self._kept(dtype, prepare)

    def _states(self, X, n_layers=None):
        """Return the state (n_samples, n_states) after the first layers, all by default."""
        parameters, sets = flattened(self.theta_[:n_layers])
        parameters = [p.astype(X.dtype, copy=False) for p in parameters]
        network = Unfolding(self.iteration_, None, None, sets)
        prepared = network.prepare(parameters, None)

        def last(X):
            *_, h = network.states(prepared, X)
            return h

        def fill(out, work, X):
            out[:] = last(X)

        out = np.empty((len(X), last(X[:1]).shape[1]), X.dtype)
        return map_samples(fill, out, _largest(parameters), X)

    def _outputs(self, X):
        """Return the outputs (n_samples, n_outputs) of checked data."""
        network, prepared = self._fitted_network(X.dtype)

        def fill(out, work, X):
            out[:] = network.output(prepared, X)

        out = np.empty((len(X), self.n_outputs_), X.dtype)
        return map_samples(fill, out, _largest(prepared.parameters), X)

    def _staged_outputs(self, X):
        """Yield the outputs (n_samples, n_outputs) of checked data after each layer."""
        network, prepared = self._fitted_network(X.dtype)
        for h in network.states(prepared, X):
            yield network.read(prepared, X, h)[0]

    def _validated_data(self, X):
        X = super()._validated_data(X)
        self._check_structure()
        return X

    def transform(self, X: ArrayLike) -> NDArray:
        """Return the state after the last layer.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Data.

        Returns
        -------
        h : ndarray of shape (n_samples, n_states)
        """
        return self._states(self._validated_data(X))

    @property
    def _n_features_out(self):
        return self.n_states_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # Something else than an iteration is named by `fit`.
        tags.input_tags.positive_only = getattr(self.iteration, "non_negative_input", False)
        return tags


def _largest(parameters):
    return max((p.size for p in parameters), default=0)
