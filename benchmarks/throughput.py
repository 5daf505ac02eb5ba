"""Deep NMF inference and training steps against PyTorch, in frames per second.

    python benchmarks/throughput.py --out throughput.json

For every cell the two implementations run by turns in one process with the same number of
threads, in float32; each is called often enough to take at least 0.2 s, and the median of
five such runs counts. PyTorch is written as one would write it: the equations, eager mode,
autograd, its Adam on the logarithms of the bases. The step is the exponentiated-gradient one
for ours, the same update in both.
"""

import argparse
import json
import statistics
import time

import numpy as np
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from skunfold._deep_nmf.architecture import Architecture
from skunfold._kernels.outputs import MaskOutput
from skunfold._training.objective import Objective
from skunfold._training.protocol import Samples
from skunfold._training.updates import ExponentiatedGradient

FLOOR = 3e-10  # the floor of our float32 kernels
N_LAYERS = 8
RUNS = 5
SECONDS = 0.2


class TorchDeepNMF:
    """The same network in PyTorch: bases exp(log W), eager mode, autograd."""

    def __init__(self, bases, U, n_targets_components, beta, sparsity, start):
        self.logs = [torch.tensor(np.log(W), requires_grad=True) for W in bases]
        self.log_U = torch.tensor(np.log(U), requires_grad=True)
        self.split, self.beta, self.sparsity, self.start = (
            n_targets_components,
            beta,
            sparsity,
            start,
        )
        self.optimizer = torch.optim.Adam([*self.logs, self.log_U], lr=0.03)

    def forward(self, X):
        """Return the masked frames."""
        U = self.log_U.exp()
        h = torch.full((len(X), len(U)), self.start)
        for log_W in self.logs:
            W = log_W.exp()
            v = (h @ W).clamp(min=FLOOR)
            if self.beta == 1:
                h = h * ((X / v) @ W.T) / (W.sum(1) + self.sparsity)
            else:
                h = h * (X @ W.T) / (v @ W.T + self.sparsity)
        n = h[:, : self.split] @ U[: self.split]
        d = n + h[:, self.split :] @ U[self.split :]
        return X[:, -U.shape[1] :] * n / d.clamp(min=FLOOR)

    def infer(self, X):
        """Return the masked frames without keeping a graph."""
        with torch.no_grad():
            return self.forward(X)

    def step(self, X, y):
        """Do one training step."""
        self.optimizer.zero_grad()
        loss = 0.5 * ((self.forward(X) - y) ** 2).sum(1).mean()
        loss.backward()
        self.optimizer.step()
        return loss.item()


def make_cell(n_frames, n_features, n_components, beta, tied):
    """Return callables (ours, theirs) for inference and for a training step."""
    rng = np.random.default_rng(0)
    half, width = n_components // 2, 201
    bases = rng.uniform(0.1, 1, (1 if tied else N_LAYERS, n_components, n_features))
    bases = list(bases.astype(np.float32))
    bases = bases * N_LAYERS if tied else bases
    U = rng.uniform(0.1, 1, (n_components, width)).astype(np.float32)
    X = rng.gamma(0.5, size=(n_frames, n_features)).astype(np.float32)
    y = (X[:, -width:] * 0.5).astype(np.float32)
    network = Architecture(
        n_layers=N_LAYERS,
        n_trained_layers=N_LAYERS + 1,
        tied=tied,
        output=MaskOutput((half, n_components - half), 1),
        beta=beta,
        sparsity=1.0,
        scale=1.0,
        start=0.1,
    )
    update = ExponentiatedGradient(0.03)
    parameters = network.parameters(bases, U, 1.0)
    samples = Samples((X,), y)
    objective = Objective(network.network(2.0, cancel=True))

    def our_step():
        loss, gradients = objective.gradient(parameters, samples)
        update.step(parameters, gradients)
        return loss

    theirs = TorchDeepNMF(bases, U, half, beta, 1.0, 0.1)
    if tied:
        theirs.logs = [theirs.logs[0]] * N_LAYERS
        theirs.optimizer = torch.optim.Adam([theirs.logs[0], theirs.log_U], lr=0.03)
    tX, ty = torch.tensor(X), torch.tensor(y)
    ours_y, theirs_y = network.predictions(X, bases, U, width), theirs.infer(tX).numpy()
    np.testing.assert_allclose(ours_y, theirs_y, rtol=2e-3, atol=1e-4)
    with objective:
        losses = [(our_step(), theirs.step(tX, ty)) for _ in range(3)]
    np.testing.assert_allclose(*np.transpose(losses), rtol=0.05)
    return objective, {
        "inference": (
            lambda: network.predictions(X, bases, U, width),
            lambda: theirs.infer(tX),
        ),
        "training step": (our_step, lambda: theirs.step(tX, ty)),
    }


def seconds_of(function, n_calls):
    """Return the wall seconds of one call, over `n_calls` calls."""
    began = time.perf_counter()
    for _ in range(n_calls):
        function()
    return (time.perf_counter() - began) / n_calls


def compare(ours, theirs):
    """Return the median seconds of each, run by turns."""
    calls = [max(1, int(SECONDS / seconds_of(f, 1))) for f in (ours, theirs)]
    runs = [[seconds_of(f, n) for f, n in zip((ours, theirs), calls)] for _ in range(RUNS)]
    return [statistics.median(times) for times in zip(*runs)]


def main():
    """Measure all cells."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="throughput.json")
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    options = parser.parse_args()
    blas = sorted({f"{i['internal_api']} {i.get('architecture')}" for i in threadpool_info()})
    rows = []
    for n_threads in options.threads:
        torch.set_num_threads(n_threads)
        for beta, n_features, n_components, tied in [
            (1.0, 201, 100, False),
            (1.0, 1809, 100, False),
            (1.0, 1809, 100, True),
            (2.0, 257, 200, False),
        ]:
            for n_frames in (128, 1024, 8192):
                with threadpool_limits(n_threads, user_api="blas"):
                    objective, tasks = make_cell(n_frames, n_features, n_components, beta, tied)
                    for task, pair in tasks.items():
                        with objective:
                            ours, theirs = compare(*pair)
                        row = {
                            "task": task,
                            "threads": n_threads,
                            "beta": beta,
                            "n_features": n_features,
                            "n_components": n_components,
                            "tied": tied,
                            "n_frames": n_frames,
                            "frames_per_second": n_frames / ours,
                            "ratio": theirs / ours,
                        }
                        rows.append(row)
                        print(
                            *(f"{v:.2f}" if isinstance(v, float) else v for v in row.values())
                        )
    for task in ("inference", "training step"):
        for n_threads in options.threads:
            ratios = [
                r["ratio"] for r in rows if r["task"] == task and r["threads"] == n_threads
            ]
            print(
                f"{task}, {n_threads} threads: ratio {min(ratios):.2f} at least, "
                f"{statistics.median(ratios):.2f} in the median cell"
            )
    with open(options.out, "w") as file:
        json.dump({"blas": blas, "torch": torch.__version__, "rows": rows}, file, indent=2)


if __name__ == "__main__":
    main()
