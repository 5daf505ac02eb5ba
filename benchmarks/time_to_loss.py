"""CPU time to a given validation loss: deep NMF against PyTorch.

    python benchmarks/time_to_loss.py --data DIR --out time_to_loss.json \
        --markdown doc/results/time_to_loss.md

The net of the speech enhancement benchmark (9 stacked frames, 50 + 50 bases, 8 tied layers) on
one fixed draw of its training mixtures, with its validation mixtures. Ours is exponentiated
gradient, through plain updates of the activations and through over-relaxed ones; PyTorch's
autograd and Adam train the logarithms of the bases, through plain updates. All learning rates
of all start from the same bases and see the same batches, by turns, in one thread; validation,
after the same numbers of updates, is not part of their times. Of each, the rate counts that
ends with the lowest validation loss.

A row is a net. Those that are missing are trained by turns, so compare only rows of one run.
"""

import time
from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import torch
from deep_nmf_peers import Autograd
from harness import begin, make_parser, report, table
from speech_enhancement import DEEP_NMF
from speech_protocol import N_CONTEXT, SAMPLE_RATE, SNRS, load, validation_mixtures
from threadpoolctl import threadpool_limits

from skunfold import DeepNMFRegressor
from skunfold._deep_nmf.architecture import NMFArchitecture
from skunfold._kernels.outputs import MaskOutput
from skunfold._training.objective import Objective
from skunfold._training.protocol import Samples
from skunfold._training.updates import ExponentiatedGradient
from skunfold.audio import STFT, stack_context
from skunfold.audio.features import recording_level
from skunfold.datasets import make_mixtures

N_LAYERS, N_BASES, SPARSITY = 8, DEEP_NMF["n_components"], DEEP_NMF["sparsity"]
N_MIXTURES, N_VALID_FRAMES, N_FIRST_FRAMES = 40, 1024, 2000
PARTS = (0.5, 0.75, 0.9, 0.99)  # of the way from the better start to the worse end
OURS = {"plain": 1.0, "relaxed": 2.0}  # by the exponent of the updates


def features_of(mixtures):
    """Return the features (n, 1809) of mixtures, speech and noise, each mixture at level 1."""
    stft = STFT(SAMPLE_RATE)
    columns = []
    for three in zip(mixtures.noisy, mixtures.clean, mixtures.noise):
        magnitudes = [np.abs(stft.analyze(x)) for x in three]
        level = recording_level(magnitudes[0])
        columns.append([stack_context(a / level, N_CONTEXT) for a in magnitudes])
    return [np.concatenate(a).astype(np.float32) for a in zip(*columns)]


def some(rows, *arrays):
    """Return as many rows of arrays, evenly spaced."""
    places = np.linspace(0, len(arrays[0]) - 1, rows).astype(int)
    return [a[places] for a in arrays]


class Problem:
    """Data, the bases to start from, and the network of ours."""

    def __init__(self, folder):
        drawn = make_mixtures(
            *load(folder, "train"), snrs=SNRS, n_mixtures=N_MIXTURES, random_state=0
        )
        X, speech, noise = features_of(drawn)
        width = X.shape[1] // N_CONTEXT
        first = some(N_FIRST_FRAMES, X, speech[:, -width:], speech, noise)
        settings = {"n_components": N_BASES, "output": "mask", "sparsity": SPARSITY}
        start = DeepNMFRegressor(
            n_layers=1, n_trained_layers=0, init="sparse_nmf", random_state=0, **settings
        ).fit(first[0], first[1], sources=first[2:])
        self.bases, self.U = start.bases_[0], start.output_bases_
        self.start = start.initial_activation_
        self.train = Samples((X,), speech[:, -width:])
        X, speech, _ = features_of(validation_mixtures(folder))
        X, y = some(N_VALID_FRAMES, X, speech[:, -width:])
        self.valid = Samples((X,), y)
        self.network = NMFArchitecture(
            n_layers=N_LAYERS,
            n_trained_layers=N_LAYERS + 1,
            tied=True,
            output=MaskOutput((N_BASES, N_BASES), 1),
            sparsity=SPARSITY,
            scale=1.0,
            start=self.start,
            beta=1.0,
        )


class Ours:
    """Exponentiated gradient."""

    def __init__(self, problem, rate, relaxation):
        network = replace(problem.network, relaxation=relaxation)
        self.objective = Objective(network.network(2.0, cancel=True))
        self.update = ExponentiatedGradient(rate)
        self.parameters = [problem.bases.copy(), problem.U.copy()]

    def warm_up(self, batch):
        """Compute a gradient for nothing."""
        with self.objective:
            self.objective.gradient(self.parameters, batch)

    def step(self, batch):
        """Do one update."""
        with self.objective:
            _, gradients = self.objective.gradient(self.parameters, batch)
        self.update.step(self.parameters, gradients)

    def validate(self, samples):
        """Return the loss."""
        with self.objective:
            return float(self.objective.evaluate(self.parameters, samples))


class Torch:
    """Autograd and Adam on the logarithms of the bases, eager or compiled."""

    def __init__(self, problem, rate, compiled=False):
        layers = tuple(place for (place,) in problem.network.sets)
        arguments = ([problem.bases], problem.U, layers, SPARSITY, problem.start)
        self.net = Autograd(*arguments, compiled=compiled, learning_rate=rate)

    def warm_up(self, batch):
        """Compute a gradient for nothing, and so compile."""
        loaded = batch.loaded()
        self.net.warm_up(torch.from_numpy(loaded.inputs[0]), torch.from_numpy(loaded.y))

    def step(self, batch):
        """Do one update."""
        loaded = batch.loaded()
        self.net.step(torch.from_numpy(loaded.inputs[0]), torch.from_numpy(loaded.y), None)

    def validate(self, samples):
        """Return the loss."""
        return self.net.evaluate(*(torch.from_numpy(a) for a in (*samples.inputs, samples.y)))


MAKERS = {
    "plain": lambda problem, rate: Ours(problem, rate, OURS["plain"]),
    "relaxed": lambda problem, rate: Ours(problem, rate, OURS["relaxed"]),
    "eager": Torch,
    "compiled": lambda problem, rate: Torch(problem, rate, compiled=True),
}


def train_by_turns(problem, nets, n_updates, n_between, batch_size):
    """Return the curve of each net: updates, CPU seconds and validation loss."""
    curves = {
        key: [{"updates": 0, "seconds": 0.0, "loss": net.validate(problem.valid)}]
        for key, net in nets.items()
    }
    for net in nets.values():
        net.warm_up(problem.train[np.arange(batch_size)])
    seconds = dict.fromkeys(nets, 0.0)
    rng = np.random.default_rng(0)
    for update in range(1, n_updates + 1):
        batch = problem.train[rng.choice(len(problem.train), batch_size, replace=False)]
        for key, net in nets.items():
            began = time.process_time()
            net.step(batch)
            seconds[key] += time.process_time() - began
            if update % n_between == 0:
                point = {"updates": update, "seconds": seconds[key]}
                curves[key].append(point | {"loss": net.validate(problem.valid)})
        if update % n_between == 0:
            print(
                {key: round(curve[-1]["loss"], 3) for key, curve in curves.items()}, flush=True
            )
    return curves


def seconds_to(curve, loss):
    """Return when a curve is first at a loss or below, by linear interpolation."""
    for before, after in pairwise(curve):
        if after["loss"] <= loss:
            part = (before["loss"] - loss) / (before["loss"] - after["loss"])
            return before["seconds"] + part * (after["seconds"] - before["seconds"])
    return float("nan")


def best_nets(rows):
    """Return the row of each kind of net whose rate ends with the lowest loss."""
    best = {}
    for row in sorted(rows, key=lambda row: row["curve"][-1]["loss"]):
        best.setdefault(row["net"], row)
    return best


def comparison(ours, theirs):
    """Return a line for each of some losses that the curves of two nets reach."""
    names = {"ours": ours["net"], "peer": theirs["net"]}
    ours, theirs = ours["curve"], theirs["curve"]
    first = min(ours[0]["loss"], theirs[0]["loss"])
    last = max(min(p["loss"] for p in c) for c in (ours, theirs))
    lines = []
    for part in PARTS:
        loss = first - part * (first - last)
        line = {**names, "loss": loss, "s, ours": seconds_to(ours, loss)}
        line["s, peer"] = seconds_to(theirs, loss)
        lines.append(line | {"times faster": line["s, peer"] / line["s, ours"]})
    return lines


def train_missing(names, options, results):
    """Train the nets that have no row yet, by turns; names: of rows, by net and rate."""
    missing = set(results.missing(names.values()))
    if not missing:
        return
    torch.set_num_threads(1)
    with threadpool_limits(1, user_api="blas"):
        problem = Problem(options.data)
        nets = {
            (net, rate): MAKERS[net](problem, rate)
            for (net, rate), name in names.items()
            if name in missing
        }
        batches = (options.updates, options.between, options.batch_size)
        curves = train_by_turns(problem, nets, *batches)
    for (net, rate), curve in curves.items():
        results.add(names[net, rate], {"net": net, "rate": rate, "curve": curve})


def main():
    """Train, and compare."""
    parser = make_parser(__doc__, "time_to_loss.json", data=True)
    parser.add_argument("--rates", type=float, nargs="*", default=[0.01, 0.03, 0.1])
    parser.add_argument("--peers", nargs="*", default=["eager"], choices=["eager", "compiled"])
    parser.add_argument("--updates", type=int, default=200)
    parser.add_argument("--between", type=int, default=10, help="updates between validations")
    parser.add_argument("--batch-size", type=int, default=DEEP_NMF["batch_size"])
    options, results = begin(parser, ["updates", "between", "batch_size"])
    pairs = product((*OURS, *options.peers), options.rates)
    names = {(net, rate): f"{net}, rate {rate:g}" for net, rate in pairs}
    train_missing(names, options, results)
    best = best_nets(results.of(names.values()))
    lines = [
        line
        for ours, peer in product(OURS, options.peers)
        if ours in best and peer in best
        for line in comparison(best[ours], best[peer])
    ]
    rates = ", ".join(f"{name} {row['rate']}" for name, row in best.items())
    text = (
        f"CPU seconds of training, in one thread, until a validation loss is reached, in "
        f"batches of {options.batch_size} frames and at most {options.updates} updates. "
        f"'eager' is PyTorch's autograd. Step sizes tried: "
        f"{', '.join(map(str, options.rates))}; the best: {rates}."
    )
    report(options, results, "Time to a given validation loss", text, table(lines))


if __name__ == "__main__":
    main()
