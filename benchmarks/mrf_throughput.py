"""Training steps and inference of unfolded fields against PyTorch, in samples per second.

    python benchmarks/mrf_throughput.py --out mrf_throughput.json

Mean field 784-256-10 and belief propagation 784-(64, 32)-10, five sweeps, in float32. The two
implementations run by turns in one process with the same number of threads; each is called
often enough to take at least 0.2 s, and the median of seven such runs counts. One thread is
measured in CPU time, which other work on the machine disturbs less, two in wall time. PyTorch
is written as one would write it: the equations, eager mode, autograd, its Adam; messages by
softplus and logsumexp.
"""

from itertools import product

import numpy as np
import torch
from harness import begin, interleaved, make_parser, report, table
from threadpoolctl import threadpool_limits
from torch.nn.functional import cross_entropy, softplus

from skunfold._kernels.belief_propagation import BeliefPropagation
from skunfold._kernels.mean_field import MeanField
from skunfold._mrf.architecture import FieldArchitecture
from skunfold._training.objective import Objective
from skunfold._training.protocol import Samples
from skunfold._training.updates import Adam

N_LAYERS = 5
RUNS = 7


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
    """Return callables (ours, theirs) for inference and training steps."""
    rng = np.random.default_rng(0)
    network = FieldArchitecture(784, hidden, 10, True, N_LAYERS, tied, False, rule)
    potentials = network.random_potentials(np.random.RandomState(0), np.float32)
    parameters = [p.copy() for p in network.parameters(potentials)]
    X = rng.random((n_samples, 784), dtype=np.float32)
    index = rng.integers(10, size=n_samples)
    samples = Samples((X,), np.eye(10, dtype=np.float32)[index])
    objective, update = Objective(network.network), Adam(1e-3)

    def our_step():
        with objective:  # inference and the peer need the threads of BLAS between two steps
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
        return network.logits(X, network.prepared(parameters))

    np.testing.assert_allclose(our_inference(), their_inference(), rtol=1e-3, atol=1e-4)
    losses = [(our_step(), their_step()) for _ in range(3)]
    np.testing.assert_allclose(*np.transpose(losses), rtol=1e-3)
    return {
        "inference": (our_inference, their_inference),
        "training step": (our_step, their_step),
    }


CELLS = {
    "mean field 784-256-10": (MeanField(), (256,), torch_mean_field),
    "BP 784-(64, 32)-10": (BeliefPropagation(), (64, 32), torch_bp),
}


TASKS = ("inference", "training step")


def measured(task, model, tied, n_threads, n_samples):
    """Return a row of results."""
    torch.set_num_threads(n_threads)
    with threadpool_limits(n_threads, user_api="blas"):
        functions = make_cell(*CELLS[model], n_samples, tied)[task]
        functions = dict(zip(("ours", "theirs"), functions))
        seconds = interleaved(functions, n_threads, runs=RUNS)
    return {
        "task": task,
        "model": model,
        "tied": tied,
        "threads": n_threads,
        "samples/s": round(n_samples / seconds["ours"]),
        "ratio": seconds["theirs"] / seconds["ours"],
    }


def main():
    """Measure the cells that are not there yet."""
    parser = make_parser(__doc__, "mrf_throughput.json")
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--samples", type=int, default=256)
    options, results = begin(parser, ["samples"])
    cells = {
        f"{task} {model} tied={tied} threads={n}": (task, model, tied, n, options.samples)
        for n, model, tied, task in product(options.threads, CELLS, (True, False), TASKS)
    }
    results.compute(measured, cells)
    text = "Ratios are samples per second over those of PyTorch: above 1, ours is faster."
    rows = table(results.of(cells))
    report(options, results, "Unfolded fields against PyTorch", text, rows)


if __name__ == "__main__":
    main()
