"""An iteration written in PyTorch, whose adjoint is left to automatic differentiation."""

import torch

from skunfold.unfolding import Iteration


class TorchIteration(Iteration):
    """Write ``torch_step(theta, X, h)`` with tensors; `parameters` and `initial` with NumPy."""

    def step(self, theta, drive, h, k):
        arrays = [torch.tensor(a) for a in (*theta, h)]
        X = torch.tensor(drive)

        def step(*arguments):
            return self.torch_step(arguments[:-1], X, arguments[-1])

        after, vjp = torch.func.vjp(step, *arrays)
        return after.numpy(), vjp

    def adjoint(self, theta, tape, g, k):
        *of_theta, of_h = tape(torch.tensor(g))
        return of_h.numpy(), None, tuple(gradient.numpy() for gradient in of_theta)
