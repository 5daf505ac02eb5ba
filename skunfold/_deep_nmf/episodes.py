"""Training over episodes: samples with bases that were inferred from a sample of the residual.

An episode is a sequence of samples, and bases that were inferred from other data like its
residual, or none. Every update takes some blocks of consecutive samples of different
episodes; each block goes through a network with its own inferred bases
(`skunfold._deep_nmf.inferred_bases`), and the gradients are added up. There is no gradient
through the inference of the bases.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from sklearn.metrics import r2_score
from sklearn.model_selection import GroupShuffleSplit
from sklearn.utils import check_random_state

from skunfold._deep_nmf.inferred_bases import (
    assembled,
    mapped_back,
    start_gains,
    with_inferred,
)
from skunfold._deep_nmf.recurrence import RecurrentStart
from skunfold._estimator.data import Data, split_rows, warn_if_still_improving
from skunfold._kernels.blocks import block_slices
from skunfold._kernels.numerics import Parts
from skunfold._training.averaging import RunningAverage
from skunfold._training.callbacks import EpochCallbacks, with_callbacks
from skunfold._training.loop import TrainingState, copies, fit_loop
from skunfold._training.objective import Objective, added_sums
from skunfold._training.protocol import Samples

BLOCK = 128  # samples: larger blocks are faster, smaller ones make updates more varied


@dataclass(frozen=True)
class Draw:
    """The data of episodes, one after the other."""

    X: np.ndarray  # (n, n_features)
    y: np.ndarray  # (n, n_outputs)
    lengths: np.ndarray  # samples of each episode
    bases: list[np.ndarray | None]  # (k, n_features), inferred ones of each episode
    groups: np.ndarray  # of each episode; whole groups are held out


class Episode(NamedTuple):
    """A sequence, or a part of it, as the network takes it, and its inferred bases."""

    samples: Samples
    bases: np.ndarray | None


@dataclass(frozen=True)
class Episodes:
    """Blocks of consecutive samples of episodes: the units that batches consist of."""

    whole: list[Episode]
    blocks: list[tuple[int, slice]]  # the number of the episode, and the rows of it

    @classmethod
    def of(cls, whole):
        """Return all blocks of the episodes."""
        return cls(
            whole,
            [
                (i, rows)
                for i, (samples, _) in enumerate(whole)
                if len(samples)
                for rows in block_slices(len(samples), BLOCK)
            ],
        )

    def __len__(self):
        return len(self.blocks)

    def __getitem__(self, rows):
        """Return some of the blocks, by a slice or an array of indices."""
        chosen = np.arange(len(self.blocks))[rows]
        return replace(self, blocks=[self.blocks[i] for i in chosen])

    def __iter__(self):
        """Yield each block as an episode."""
        for i, rows in self.blocks:
            samples, bases = self.whole[i]
            yield Episode(samples[rows], bases)

    @property
    def total_weight(self):
        """The number of samples."""
        return float(sum(rows.stop - rows.start for _, rows in self.blocks))


class EpisodeObjective:
    """The mean loss over episodes, and its gradient by the trained arrays and by the gains.

    It is used as a `skunfold._training.objective.Objective`, and has two of these: for networks
    with inferred bases and without.

    Parameters
    ----------
    network : DeepNMFRegressor
        The one that is trained.
    n_inferred : int
        How many inferred bases there are.
    """

    def __init__(self, network, n_inferred):
        unknown = np.ones((n_inferred, network.n_features_in_))
        self._with = Objective(with_inferred(network, start_gains(network), unknown)._network())
        self._without = Objective(network._network())
        self._start = None
        if network._is_recurrent():
            self._start = RecurrentStart(network._architecture(), [], network.target_scale_)

    def __enter__(self):
        self._with.__enter__()
        self._without.__enter__()
        return self

    def __exit__(self, *exception):
        self._without.__exit__(*exception)
        self._with.__exit__(*exception)

    def require(self, form):
        """Raise a TypeError if the networks cannot carry gradients in that form."""
        self._with.require(form)

    def begin_epoch(self, parameters, episodes):
        """Infer the first activations of a recurrent network again."""
        self._renew(parameters, episodes, first_inference_too=True)

    def gradient(self, parameters, episodes, form="net"):
        """Return the mean loss and its gradient, a list like the parameters."""
        scale = 1 / episodes.total_weight
        sums = [self._gradient_sums(parameters, e, form, scale) for e in episodes]
        loss, total = added_sums(sums)
        if form == "parts":
            total = [Parts(*pair) for pair in zip(total[::2], total[1::2])]
        return loss * scale, total

    def evaluate(self, parameters, episodes):
        """Return the mean loss."""
        self._renew(parameters, episodes)
        loss = 0.0
        for samples, bases in episodes:
            objective, arrays = self._of(parameters, bases)
            loss += objective.loss_sum(arrays, samples)
        return loss / episodes.total_weight

    def evaluate_with_output(self, parameters, episodes):
        """Return the mean loss and the outputs of all samples."""
        self._renew(parameters, episodes)
        loss, outputs = 0.0, []
        for samples, bases in episodes:
            objective, arrays = self._of(parameters, bases)
            mean, output = objective.evaluate_with_output(arrays, samples)
            loss += mean * samples.total_weight
            outputs.append(output)
        return loss / episodes.total_weight, np.concatenate(outputs)

    def _of(self, parameters, bases):
        """Return the objective and the arrays of a network with these inferred bases."""
        n_arrays = len(parameters) // 2
        arrays = assembled(parameters[:n_arrays], parameters[n_arrays:], bases)
        return (self._without if bases is None else self._with), arrays

    def _gradient_sums(self, parameters, episode, form, scale):
        samples, bases = episode
        objective, arrays = self._of(parameters, bases)
        loss, gradients = objective.gradient_sums(arrays, samples, form, scale)
        return loss, mapped_back(gradients, bases, len(parameters[0]))

    def _renew(self, parameters, episodes, **options):
        """Infer the first activations of whole episodes again, if they are recurrent."""
        if self._start is None:
            return
        for i in {i for i, _ in episodes.blocks}:
            samples, bases = episodes.whole[i]
            _, arrays = self._of(parameters, bases)
            self._start.renew(arrays, samples, **options)


class EpisodeTraining:
    """Training of a network and of the gains of inferred bases, from draw to draw.

    Parameters
    ----------
    network : DeepNMFRegressor
        A fitted one, as `with_inferred` takes it; it is trained further, in place.
    gains : list of ndarrays
        Those to start from.
    n_inferred : int
        How many inferred bases there are.
    """

    def __init__(self, network, gains, n_inferred):
        self.network = network
        self.n_inferred = n_inferred
        parameters = copies([*network._parameters_to_train(), *gains])
        rng = check_random_state(network.random_state)
        self.state = TrainingState(parameters, network._update_rule(), rng)
        if network.averaging > 0:
            self.state.average = RunningAverage(network.averaging, parameters)

    @property
    def gains(self):
        """The best gains so far."""
        parameters = self.state.best_parameters or self.state.parameters
        return parameters[len(parameters) // 2 :]

    @property
    def interrupted(self):
        """Whether Ctrl-C ended the last fit."""
        return self.state.status == "interrupted"

    def fit(self, draw, valid=None):
        """Train on a Draw for at most `max_iter` epochs; monitor another one if it is given.

        Otherwise `early_stopping` holds out whole groups of the draw.
        """
        network, episodes = self.network, self._episodes(draw)
        held_out = None if valid is None else self._episodes(valid)
        if network.early_stopping and valid is None:
            rows = split_rows(
                network, GroupShuffleSplit, len(episodes), groups=draw.groups, unit="mixtures"
            )
            episodes, held_out = ([episodes[i] for i in part] for part in rows)
        _run(network, self, draw, Episodes.of(episodes), held_out and Episodes.of(held_out))

    def warn_if_still_improving(self):
        """Warn that training could have continued."""
        warn_if_still_improving(self.state, self.network.max_iter, self.network.tol)

    def results(self):
        """Return the attributes of the network for the best parameters so far."""
        n_arrays = len(self.gains)
        known = self.state
        state = TrainingState(
            copies((known.best_parameters or known.parameters)[:n_arrays]),
            self.network._update_rule(),
            known.random_state,
            best_loss=known.best_loss,
            history=known.history,
            n_iter=known.n_iter,
            status=known.status,
        )
        state.best_parameters = copies(state.parameters)
        return self.network._results(state)

    def _episodes(self, draw):
        """Return the list of episodes of a Draw, as the network takes them."""
        ends = [0, *np.cumsum(draw.lengths)]
        whole = []
        for bases, (start, stop) in zip(draw.bases, pairwise(ends)):
            X, y = draw.X[start:stop], draw.y[start:stop]
            network = self.network
            if bases is not None:
                network = with_inferred(network, self.gains, bases)
            data = Data(X, y, y, None, np.array([len(X)]))
            whole.append(Episode(network._samples(data), bases))
        return whole


@with_callbacks
def _run(network, training, draw, train, valid):
    """Run the training loop, and set the attributes of the network."""
    settings = network._loop_settings(range(len(draw.X)))
    settings = replace(settings, batch_size=max(1, round(settings.batch_size / BLOCK)))
    callbacks = EpochCallbacks(network, draw.X, draw.y, None, network.max_iter)
    callbacks.watch(training.results)
    with EpisodeObjective(network, training.n_inferred) as objective:
        fit_loop(objective, training.state, train, settings, valid, _score, callbacks)
    for name, value in training.results().items():
        setattr(network, name, value)
    callbacks.end_fit()


def _score(episodes, output):
    """Return the coefficient of determination of the outputs."""
    y = np.concatenate([samples.loaded().y for samples, _ in episodes])
    return float(r2_score(y, output))
