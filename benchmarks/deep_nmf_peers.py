"""Deep NMF in PyTorch: plain, tuned, trained by autograd."""

import numpy as np
import torch

FLOOR = 3e-10  # the floor of our float32 kernels


def mask(X, h, U, split):
    """Return the masked frames."""
    n = h[:, :split] @ U[:split]
    d = n + h[:, split:] @ U[split:]
    return X[:, -U.shape[1] :] * n / d.clamp(min=FLOOR)


class PlainInference:
    """The formula, written straightforwardly."""

    def __init__(self, W, U, beta, sparsity, start, n_layers):
        self.W, self.U = torch.tensor(W), torch.tensor(U)
        self.beta, self.sparsity, self.start, self.n_layers = beta, sparsity, start, n_layers

    def __call__(self, X):
        """Return the masked frames."""
        W = self.W
        with torch.no_grad():
            h = torch.full((len(X), len(W)), self.start)
            for _ in range(self.n_layers):
                v = (h @ W).clamp(min=FLOOR)
                if self.beta == 1:
                    h = h * ((X / v) @ W.T) / (W.sum(1) + self.sparsity)
                else:
                    h = h * (X @ W.T) / (v @ W.T + self.sparsity)
            return mask(X, h, self.U, len(W) // 2)


class TunedInference(PlainInference):
    """The same by hand: in place, the denominator folded into the bases, Gram matrices.

    What follows from the bases alone is computed once, as by a fitted estimator.
    """

    def __init__(self, W, U, beta, sparsity, start, n_layers):
        super().__init__(W, U, beta, sparsity, start, n_layers)
        W = self.W
        if beta == 1:
            scaled = W / (W.sum(1, keepdim=True) + sparsity)
            self.projections = scaled.T.contiguous()
        else:
            self.gram = W @ W.T if len(W) < 2 * W.shape[1] else None

    def __call__(self, X):
        """Return the masked frames."""
        W = self.W
        with torch.no_grad():
            h, a = torch.full((len(X), len(W)), self.start), torch.empty(len(X), len(W))
            if self.beta == 1:
                v = torch.empty_like(X)
                for _ in range(self.n_layers):
                    torch.mm(h, W, out=v)
                    torch.div(X, v.clamp_(min=FLOOR), out=v)
                    h *= torch.mm(v, self.projections, out=a)
            else:
                num, gram = X @ W.T, self.gram
                for _ in range(self.n_layers):
                    a = (h @ W) @ W.T if gram is None else torch.mm(h, gram, out=a)
                    a += self.sparsity
                    h *= num
                    h /= a
            return mask(X, h, self.U, len(W) // 2)


def training_loss(logs, log_U, X, y, h, layers, sparsity, start):
    """Return the loss of a network of bases exp(logs), output bases exp(log_U)."""
    U = log_U.exp()
    bases = [log_W.exp() for log_W in logs]
    if h is None:
        h = torch.full((len(X), len(U)), start)
    for index in layers:
        W = bases[index]
        v = (h @ W).clamp(min=FLOOR)
        h = h * ((X / v) @ W.T) / (W.sum(1) + sparsity)
    return 0.5 * ((mask(X, h, U, len(U) // 2) - y) ** 2).sum(1).mean()


class Autograd:
    """Training for beta = 1, the step of "eg": bases exp(log W), autograd, PyTorch's Adam."""

    def __init__(self, bases, U, layers, sparsity, start, compiled=False, learning_rate=0.03):
        self.logs = [torch.tensor(np.log(W), requires_grad=True) for W in bases]
        self.log_U = torch.tensor(np.log(U), requires_grad=True)
        self.network = (layers, sparsity, start)
        self.optimizer = torch.optim.Adam([*self.logs, self.log_U], lr=learning_rate)
        # A function of tensors, so that nets of the same shapes share what is compiled.
        self.loss = training_loss
        if compiled:
            self.loss = torch.compile(training_loss, dynamic=False)

    def evaluate(self, X, y):
        """Return the loss, without training."""
        with torch.no_grad():
            return training_loss(self.logs, self.log_U, X, y, None, *self.network).item()

    def warm_up(self, X, y):
        """Compute a gradient for nothing, and so compile."""
        self.loss(self.logs, self.log_U, X, y, None, *self.network).backward()

    def step(self, X, y, h):
        """Do one training step and return the loss before it."""
        self.optimizer.zero_grad()
        loss = self.loss(self.logs, self.log_U, X, y, h, *self.network)
        loss.backward()
        self.optimizer.step()
        return loss.item()
