"""Training steps and inference of unfolded fields against PyTorch, in samples per second.

    python benchmarks/mrf_throughput.py --out mrf_throughput.json

Mean field 784-256-10 and belief propagation 784-(64, 32)-10, five sweeps, in float32. The two
implementations run by turns in one process with the same number of threads; each is called
often enough to take at least 0.2 s, and the median of seven such runs counts. One thread is
measured in CPU time, which other work on the machine disturbs less, two in wall time. PyTorch
is written as one would write it: the equations, eager mode, autograd, its Adam; messages by
softplus and logsumexp.
"""

import argparse
import json
import statistics
import time

import numpy as np
import torch
from threadpoolctl import threadpool_info, threadpool_limits
from torch.nn.functional import cross_entropy, softplus

from skunfold._kernels.belief_propagation import BeliefPropagation
from skunfold._kernels.mean_field import MeanField
from skunfold._mrf.architecture import Architecture
from skunfold._training.objective import Objective
from skunfold._training.protocol import Samples
from skunfold._training.updates import Adam

N_LAYERS = 5
RUNS = 7
SECONDS = 0.2


def torch_mean_field(sets, X):
    """Return the logits after the last sweep; one hidden layer."""
    q_y = None
    for W, b, V, c in sets:
        field = X @ W + b
        if q_y is not None:
            field = field + q_y @ V.T
        logits = torch.sigmoid(field) @ V + c
        q_y = torch.softmax(logits, dim=1)
    return logits


def torch_bp(sets, X):
    """Return the logits after the last sweep; two hidden layers."""
    t2 = u = down_1 = down_2 = up_2 = up_y = None
    for W1, b1, W2, b2, V, c in sets:
        t1 = X @ W1 + b1
        if t2 is not None:
            e = t2[:, None, :] - up_2
            down_1 = softplus(e + W2) - softplus(e)
            t1 = t1 + down_1.sum(2)
        e = t1[:, :, None] - (0 if down_1 is None else down_1)
        up_2 = softplus(e + W2) - softplus(e)
        if u is not None:
            cavity = u[:, None, :] - up_y
            down_2 = torch.logsumexp(cavity + V, 2) - torch.logsumexp(cavity, 2)
        t2 = b2 + up_2.sum(1) + (0 if down_2 is None else down_2)
        e = (t2 - (0 if down_2 is None else down_2))[:, :, None]
        up_y = softplus(e + V) - softplus(e)
        u = c + up_y.sum(1)
    return u


def make_cell(rule, hidden, forward, n_samples, tied):
    """Return the objective, and callables (ours, theirs) for inference and training steps."""
    rng = np.random.default_rng(0)
    network = Architecture(784, hidden, 10, True, N_LAYERS, tied, False, rule)
    potentials = network.random_potentials(np.random.RandomState(0), np.float32)
    parameters = [p.copy() for p in network.parameters(potentials)]
    X = rng.random((n_samples, 784), dtype=np.float32)
    index = rng.integers(10, size=n_samples)
    samples = Samples((X,), np.eye(10, dtype=np.float32)[index])
    objective, update = Objective(network.network), Adam(1e-3)

    def our_step():
        loss, gradients = objective.gradient(parameters, samples)
        update.step(parameters, gradients)
        return loss

    theirs = [torch.tensor(p, requires_grad=True) for p in parameters]
    size = len(theirs) // (1 if tied else N_LAYERS)
    sets = [theirs[k * size : (k + 1) * size] for k in range(1 if tied else N_LAYERS)]
    sets = sets * N_LAYERS if tied else sets
    optimizer = torch.optim.Adam(theirs, lr=1e-3)
    tX, ty = torch.tensor(X), torch.tensor(index)

    def their_step():
        optimizer.zero_grad()
        loss = cross_entropy(forward(sets, tX), ty)
        loss.backward()
        optimizer.step()
        return loss.item()

    def their_inference():
        with torch.no_grad():
            return forward(sets, tX)

    def our_inference():
        return network.logits(X, parameters)

    np.testing.assert_allclose(our_inference(), their_inference(), rtol=1e-3, atol=1e-4)
    with objective:
        losses = [(our_step(), their_step()) for _ in range(3)]
    np.testing.assert_allclose(*np.transpose(losses), rtol=1e-3)
    return objective, {
        "inference": (our_inference, their_inference),
        "training step": (our_step, their_step),
    }


def seconds_of(function, n_calls, clock):
    """Return the seconds of one call, over `n_calls` calls."""
    began = clock()
    for _ in range(n_calls):
        function()
    return (clock() - began) / n_calls


def compare(ours, theirs, clock):
    """Return the median seconds of each, run by turns."""
    both = ours, theirs
    calls = [max(1, int(SECONDS / seconds_of(f, 1, clock))) for f in both]
    runs = [[seconds_of(f, n, clock) for f, n in zip(both, calls)] for _ in range(RUNS)]
    return [statistics.median(times) for times in zip(*runs)]


CELLS = {
    "mean field 784-256-10": (MeanField(), (256,), torch_mean_field),
    "BP 784-(64, 32)-10": (BeliefPropagation(), (64, 32), torch_bp),
}


def main():
    """Measure all cells."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="mrf_throughput.json")
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--samples", type=int, default=256)
    options = parser.parse_args()
    blas = sorted({f"{i['internal_api']} {i.get('architecture')}" for i in threadpool_info()})
    rows = []
    for n_threads in options.threads:
        torch.set_num_threads(n_threads)
        clock = time.process_time if n_threads == 1 else time.perf_counter
        for name, (rule, hidden, forward) in CELLS.items():
            for tied in (True, False):
                with threadpool_limits(n_threads, user_api="blas"):
                    cell = make_cell(rule, hidden, forward, options.samples, tied)
                    objective, tasks = cell
                    for task, pair in tasks.items():
                        with objective:
                            ours, theirs = compare(*pair, clock)
                        row = {
                            "task": task,
                            "model": name,
                            "tied": tied,
                            "threads": n_threads,
                            "clock": clock.__name__,
                            "samples_per_second": options.samples / ours,
                            "ratio": theirs / ours,
                        }
                        rows.append(row)
                        print(
                            *(f"{v:.2f}" if isinstance(v, float) else v for v in row.values()),
                            sep="  ",
                        )
    with open(options.out, "w") as file:
        json.dump({"blas": blas, "torch": torch.__version__, "rows": rows}, file, indent=2)


if __name__ == "__main__":
    main()
