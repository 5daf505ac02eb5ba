"""An epoch of unfolded ISTA: the adjoint written by hand beside PyTorch's automatic one.

    python benchmarks/adjoints.py --out adjoints.json --markdown doc/results/adjoints.md

The iterations are those of the user guide, `unfolded_ista.py` and, by the adapter
`torch_iteration.py`, the same written in PyTorch. An epoch is a call of `partial_fit` in single
precision. First a few epochs of both must end with the same predictions; then both run by
turns.
"""

import sys
from itertools import product
from pathlib import Path

import numpy as np
import torch
from harness import begin, interleaved, make_parser, report, table
from threadpoolctl import threadpool_limits

from skunfold.unfolding import IdentityReadout, UnfoldedRegressor

sys.path.insert(0, str(Path(__file__).parents[1] / "doc" / "user_guide"))
from torch_iteration import TorchIteration
from unfolded_ista import ISTA

SIZES = {  # samples, features, atoms, layers
    "small": (2_000, 8, 12, 3),
    "patches": (5_000, 64, 128, 8),
    "wide": (5_000, 256, 512, 8),
}
BATCH_SIZE = 200
N_CHECKED = 3  # epochs before predictions are compared


class TorchISTA(TorchIteration):
    """ISTA written in PyTorch."""

    def __init__(self, atoms, sparsity=0.05):
        self.atoms = atoms
        self.sparsity = sparsity

    parameters = ISTA.parameters

    def torch_step(self, theta, X, z):
        """Return the next codes."""
        W, S, t = theta
        u = X @ W + z @ S
        return torch.sign(u) * torch.relu(torch.abs(u) - t)

    def initial(self, theta, X, n_samples):
        """Return the first codes."""
        return np.zeros((n_samples, len(self.atoms)), X.dtype)


def make_data(n_samples, n_features, n_atoms):
    """Return (signals, their sparse codes, atoms)."""
    rng = np.random.default_rng(0)
    D = rng.normal(size=(n_atoms, n_features)).astype(np.float32)
    D /= np.linalg.norm(D, axis=1, keepdims=True)
    active = rng.random((n_samples, n_atoms)) < 0.1
    z = (active * rng.normal(size=active.shape)).astype(np.float32)
    return z @ D, z, D


def measured(size, tied, n_threads):
    """Return a row: milliseconds of an epoch of both, and the ratio."""
    n_samples, n_features, n_atoms, n_layers = SIZES[size]
    X, z, D = make_data(n_samples, n_features, n_atoms)
    torch.set_num_threads(n_threads)
    models = {
        name: UnfoldedRegressor(
            iteration(D),
            readout=IdentityReadout(),
            n_layers=n_layers,
            tied=tied,
            learning_rate_init=1e-4,
            batch_size=BATCH_SIZE,
            random_state=0,
        )
        for name, iteration in (("hand", ISTA), ("torch", TorchISTA))
    }
    with threadpool_limits(n_threads, user_api="blas"):
        for model in models.values():
            for _ in range(N_CHECKED):
                model.partial_fit(X, z)
        outputs = [model.predict(X) for model in models.values()]
        np.testing.assert_allclose(*outputs, rtol=1e-2, atol=1e-3)
        functions = {
            name: lambda model=model: model.partial_fit(X, z) for name, model in models.items()
        }
        seconds = interleaved(functions, n_threads)
    return {
        "samples": n_samples,
        "features": n_features,
        "atoms": n_atoms,
        "layers": n_layers,
        "tied": tied,
        "threads": n_threads,
        "ms, by hand": 1e3 * seconds["hand"],
        "ms, PyTorch": 1e3 * seconds["torch"],
        "ratio": seconds["torch"] / seconds["hand"],
    }


def main():
    """Measure what is not there yet."""
    parser = make_parser(__doc__, "adjoints.json")
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    options, results = begin(parser)
    cells = {
        f"{size} tied={tied} threads={n_threads}": (size, tied, n_threads)
        for n_threads, size, tied in product(options.threads, SIZES, (True, False))
    }
    results.compute(measured, cells)
    text = (
        f"Milliseconds of an epoch of unfolded ISTA in batches of {BATCH_SIZE} samples, with "
        "the adjoint written by hand and with `torch.func.vjp`. Ratios above 1: by hand is "
        "faster."
    )
    title = "Adjoints by hand and by PyTorch"
    report(options, results, title, text, table(results.of(cells)))


if __name__ == "__main__":
    main()
