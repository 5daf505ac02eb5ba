"""A mask-estimating network in PyTorch, to compare `skunfold.DeepNMFRegressor` with.

The network of Le Roux, Hershey and Weninger, "Deep NMF for speech separation" (ICASSP 2015),
section 4: stacked log-spectra in, the mask of the last frame out, the same loss as deep NMF.
"""

from itertools import pairwise

import numpy as np
import torch
from sklearn.base import BaseEstimator, RegressorMixin
from torch import nn

ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU, "logistic": nn.Sigmoid}


class MaskTraining(RegressorMixin, BaseEstimator):
    """Base of the networks: training by Adam, with averages that are validated."""

    max_norm = np.inf  # of a gradient, which is scaled down to it

    def _make_network(self, n_in, n_out):
        """Return a new network."""
        raise NotImplementedError

    def _train_epoch(self, X, y):
        """Update the network by all of the data."""
        raise NotImplementedError

    def _loss(self, X, y):
        """Return the loss per frame."""
        raise NotImplementedError

    def _fit(self, train, valid):
        """Train on tensors, X and y first; end with the weights that are best on others."""
        if not (self.warm_start and hasattr(self, "network_")):
            self._initialise(*train[:2])
        for _ in range(self.max_iter):
            self._set(self._weights)
            self.network_.train()
            self._train_epoch(*train)
            self._weights = [p.detach().clone() for p in self.network_.parameters()]
            self._judge(valid)
            if self._n_worse >= self.n_iter_no_change:
                break
        self._set(self._best)
        return self

    def _initialise(self, X, y):
        torch.manual_seed(self.random_state)
        self._rng = np.random.default_rng(self.random_state)
        self._floor = 1e-3 * float(X.mean())
        logs = torch.log(X + self._floor)
        self._mean = logs.mean(dim=0)
        self._scale = logs.std(dim=0) + 1e-6
        self.network_ = self._make_network(X.shape[1], y.shape[1])
        self.n_parameters_ = sum(p.numel() for p in self.network_.parameters())
        self.n_outputs_ = y.shape[1]
        self._optimizer = torch.optim.Adam(
            self.network_.parameters(), lr=self.learning_rate_init
        )
        self.validation_loss_curve_ = []
        self._best_loss, self._n_worse, self._n_updates = np.inf, 0, 0
        self._weights = [p.detach().clone() for p in self.network_.parameters()]
        self._average, self._best = _copies(self._weights), _copies(self._weights)

    def _inputs(self, X):
        """Return what the network sees of X."""
        return (torch.log(X + self._floor) - self._mean) / self._scale

    def _set(self, weights):
        """Let the network have these weights."""
        with torch.no_grad():
            for p, w in zip(self.network_.parameters(), weights):
                p.copy_(w)

    def _update(self, loss):
        """Take a step of Adam, and let the running average follow."""
        self._optimizer.zero_grad()
        loss.backward()
        if self.max_norm < np.inf:
            nn.utils.clip_grad_norm_(self.network_.parameters(), self.max_norm)
        self._optimizer.step()
        self._n_updates += 1
        decay = min(self.averaging, self._n_updates / (self._n_updates + 10))
        with torch.no_grad():
            for a, p in zip(self._average, self.network_.parameters()):
                a.lerp_(p, 1 - decay)

    def _judge(self, valid):
        """Keep the average weights if they are the best; lower the rate if it is time."""
        self._set(self._average)
        self.network_.eval()
        with torch.inference_mode():
            loss = self._loss(*valid)
        self.validation_loss_curve_.append(loss)
        decay = self.learning_rate_decay
        if loss < self._best_loss:
            self._best_loss, self._n_worse = loss, 0
            self._best = _copies(self._average)
        else:
            self._n_worse += 1
            decay *= 0.5 if self._n_worse % 2 == 0 else 1.0
        for group in self._optimizer.param_groups:
            group["lr"] *= decay
        if self.verbose:
            print(f"Epoch {len(self.validation_loss_curve_)}: validation loss {loss:.3f}")


class MaskNetwork(MaskTraining):
    """Predict the last columns of X times a mask that a network makes of log X.

    Parameters
    ----------
    hidden_layer_sizes : sequence of int, default=(256, 256, 256)
        Units of each hidden layer.
    activation : {"tanh", "relu", "logistic"}, default="tanh"
        Their activation.
    dropout : float, default=0.0
        Part of the hidden units left out of each update, at least 0, below 1.
    learning_rate_init : float, default=1e-3
        Adam's learning rate; halved after two epochs without a lower validation loss.
    learning_rate_decay : float, default=1.0
        What it is multiplied by after every epoch.
    averaging : float, default=0.0
        Decay of a running average of the weights, as in `skunfold.DeepNMFRegressor`; it is
        validated, and is what a fit ends with.
    batch_size : int, default=256
        Frames of one update.
    max_iter : int, default=20
        Number of epochs of one `fit` at most.
    n_iter_no_change : int, default=10
        Epochs in a row without a lower validation loss after which training has converged.
    warm_start : bool, default=False
        Whether `fit` continues the last fit.
    random_state : int, default=0
        Seed of the weights, the dropout and the shuffling.
    verbose : int, default=0
        Above 0, prints a line for every epoch.

    Attributes
    ----------
    n_parameters_ : int
        Number of weights and biases.
    validation_loss_curve_ : list of float
        Loss per frame of the validation data after each epoch.
    """

    def __init__(
        self,
        hidden_layer_sizes=(256, 256, 256),
        *,
        activation="tanh",
        dropout=0.0,
        learning_rate_init=1e-3,
        learning_rate_decay=1.0,
        averaging=0.0,
        batch_size=256,
        max_iter=20,
        n_iter_no_change=10,
        warm_start=False,
        random_state=0,
        verbose=0,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.dropout = dropout
        self.learning_rate_init = learning_rate_init
        self.learning_rate_decay = learning_rate_decay
        self.averaging = averaging
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, y, *, X_val, y_val):
        """Train by Adam; end with the weights that were best on (X_val, y_val)."""
        X, y, X_val, y_val = (torch.from_numpy(a) for a in (X, y, X_val, y_val))
        return self._fit((X, y), (X_val, y_val))

    def predict(self, X):
        """Return the masked last columns of X."""
        with torch.inference_mode():
            self.network_.eval()
            return self._output(torch.from_numpy(X)).numpy()

    def _make_network(self, n_in, n_out):
        layers = []
        for n_before, n_units in pairwise([n_in, *self.hidden_layer_sizes]):
            layers += [nn.Linear(n_before, n_units), ACTIVATIONS[self.activation]()]
            layers += [nn.Dropout(self.dropout)] if self.dropout else []
        return nn.Sequential(*layers, nn.Linear(self.hidden_layer_sizes[-1], n_out))

    def _output(self, X):
        return torch.sigmoid(self.network_(self._inputs(X))) * X[:, -self.n_outputs_ :]

    def _train_epoch(self, X, y):
        order = torch.from_numpy(self._rng.permutation(len(X)))
        for rows in order.split(self.batch_size):
            loss = 0.5 * (self._output(X[rows]) - y[rows]).square().sum() / len(rows)
            self._update(loss)

    def _loss(self, X, y):
        total = sum(
            float((self._output(a) - b).square().sum())
            for a, b in zip(X.split(4096), y.split(4096))
        )
        return 0.5 * total / len(X)


def _copies(tensors):
    return [t.clone() for t in tensors]
