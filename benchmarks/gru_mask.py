"""A causal recurrent mask network in PyTorch, as noise suppressors have today.

Its layers are like those of NSNet2 (Braun and Tashev, 2020), of any size: a dense layer, gated
recurrent units, a dense layer with the mask. What it sees, its loss and its training are those
of `mask_network.MaskNetwork`, but for truncated backpropagation through whole utterances, and
gradients whose norm is limited.
"""

import numpy as np
import torch
from mask_network import MaskTraining
from torch import nn


class RecurrentLayers(nn.Module):
    """A dense layer of rectified units, gated recurrent units, and a dense layer.

    What enters the second and the third is normalized (`LayerNorm`).
    """

    def __init__(self, n_in, n_units, n_layers, n_out):
        super().__init__()
        self.first = nn.Sequential(nn.Linear(n_in, n_units), nn.LayerNorm(n_units), nn.ReLU())
        self.recurrent = nn.GRU(n_units, n_units, n_layers, batch_first=True)
        self.last = nn.Sequential(nn.LayerNorm(n_units), nn.Linear(n_units, n_out))

    def forward(self, x, state=None):
        """Return outputs (n_sequences, n_steps, n_out), and the state after them."""
        hidden, state = self.recurrent(self.first(x), state)
        return self.last(hidden), state


class GRUMask(MaskTraining):
    """Predict the last columns of X times a mask that a recurrent network makes of log X.

    An update takes `n_steps` frames of each of `n_lanes` utterances. The state of the network
    is handed on from update to update, without a gradient.

    Parameters
    ----------
    n_units : int, default=155
        Units of each hidden layer.
    n_layers : int, default=1
        How many of them are recurrent.
    n_lanes : int, default=32
        Utterances that an update learns from.
    n_steps : int, default=8
        Frames of each of them.
    learning_rate_init : float, default=1e-3
        Adam's learning rate; halved after two epochs without a lower validation loss.
    learning_rate_decay, averaging, max_iter, n_iter_no_change
        As in `MaskNetwork`.
    warm_start, random_state, verbose
        As in `MaskNetwork`.

    Attributes
    ----------
    n_parameters_ : int
        Number of weights and biases.
    validation_loss_curve_ : list of float
        Loss per frame of the validation data after each epoch.
    """

    max_norm = 5.0

    def __init__(
        self,
        n_units=155,
        n_layers=1,
        *,
        n_lanes=32,
        n_steps=8,
        learning_rate_init=1e-3,
        learning_rate_decay=1.0,
        averaging=0.0,
        max_iter=20,
        n_iter_no_change=10,
        warm_start=False,
        random_state=0,
        verbose=0,
    ):
        self.n_units = n_units
        self.n_layers = n_layers
        self.n_lanes = n_lanes
        self.n_steps = n_steps
        self.learning_rate_init = learning_rate_init
        self.learning_rate_decay = learning_rate_decay
        self.averaging = averaging
        self.max_iter = max_iter
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, y, *, lengths, X_val, y_val, lengths_val):
        """Train by Adam; end with the weights that were best on (X_val, y_val).

        `lengths` and `lengths_val` are the numbers of frames of the utterances.
        """
        X, y, X_val, y_val = (torch.from_numpy(a) for a in (X, y, X_val, y_val))
        return self._fit((X, y, lengths), (X_val, y_val, lengths_val))

    def predict(self, X):
        """Return the masked last columns of X, the frames of one utterance."""
        return self.sequence().predict(X)

    def sequence(self):
        """Return what predicts the frames of one utterance while they arrive."""
        return Utterance(self)

    def _make_network(self, n_in, n_out):
        return RecurrentLayers(n_in, self.n_units, self.n_layers, n_out)

    def _output(self, X, state=None):
        """Return the masked last columns of X (n_utterances, n_steps, n_features), a state."""
        logits, state = self.network_(self._inputs(X), state)
        return torch.sigmoid(logits) * X[..., -self.n_outputs_ :], state

    def _train_epoch(self, X, y, lengths):
        order = self._rng.permutation(len(lengths))
        state = torch.zeros(self.n_layers, self.n_lanes, self.n_units)
        for rows, begins in zip(*lanes_of(lengths, order, self.n_lanes, self.n_steps)):
            there = torch.from_numpy(rows >= 0)[..., None]
            rows = torch.from_numpy(np.maximum(rows, 0))
            state[:, torch.from_numpy(begins)] = 0
            output, state = self._output(X[rows], state)
            loss = 0.5 * ((output - y[rows]).square() * there).sum() / rows.numel()
            self._update(loss)
            state = state.detach()

    def _loss(self, X, y, lengths):
        utterances = zip(X.split(list(lengths)), y.split(list(lengths)))
        total = sum(float((self._output(a[None])[0] - b).square().sum()) for a, b in utterances)
        return 0.5 * total / len(X)


class Utterance:
    """Predictions of the frames of one utterance, which arrive in blocks."""

    def __init__(self, regressor):
        self._regressor = regressor
        self._state = None

    def predict(self, X):
        """Return the masked last columns of the next frames."""
        with torch.inference_mode():
            self._regressor.network_.eval()
            output, self._state = self._regressor._output(
                torch.from_numpy(X)[None], self._state
            )
            return output[0].numpy()


def lanes_of(lengths, order, n_lanes, n_steps):
    """Put utterances one after the other, and cut that line into lanes of equal length.

    So all updates learn from equally many utterances. One that is cut begins again, and fewer
    steps than there are lanes are left out at the end.

    Parameters
    ----------
    lengths : array-like of int
        Numbers of frames of the utterances.
    order : array-like of int
        Of the utterances.
    n_lanes, n_steps : int
        Number of lanes, and of frames in a step of all of them; an utterance begins with one.

    Returns
    -------
    rows : ndarray of int of shape (n, n_lanes, n_steps)
        Frames of each step, and -1 where there is none.
    begins : ndarray of bool of shape (n, n_lanes)
        Whether an utterance begins.
    """
    ends = np.cumsum(lengths)
    steps, firsts = [], []
    for i in order:
        n = -(-lengths[i] // n_steps)
        rows = np.full(n * n_steps, -1)
        rows[: lengths[i]] = np.arange(ends[i] - lengths[i], ends[i])
        steps.append(rows.reshape(n, n_steps))
        firsts.append(np.arange(n) == 0)
    n = max(1, sum(map(len, steps)) // n_lanes)
    rows, begins = (np.concatenate(a)[: n * n_lanes] for a in (steps, firsts))
    begins = begins.reshape(n_lanes, n).T
    begins[0] = True
    return rows.reshape(n_lanes, n, n_steps).swapaxes(0, 1), begins
