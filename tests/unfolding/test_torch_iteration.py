"""The guide's adapter: an iteration in PyTorch, its adjoint by automatic differentiation."""

import numpy as np
import pytest
from guide import module_of_guide
from numpy.testing import assert_allclose
from sklearn.base import clone

from skunfold.unfolding import IdentityReadout, UnfoldedRegressor, check_adjoint

torch = pytest.importorskip("torch")


@pytest.fixture
def TorchISTA(ISTA):  # noqa: N802
    class TorchISTA(module_of_guide("torch_iteration").TorchIteration):
        def __init__(self, atoms, sparsity=0.05):
            self.atoms = atoms
            self.sparsity = sparsity

        parameters = ISTA.parameters

        def torch_step(self, theta, X, z):
            W, S, t = theta
            u = X @ W + z @ S
            return torch.sign(u) * torch.relu(torch.abs(u) - t)

        def initial(self, theta, X, n_samples):
            return np.zeros((n_samples, len(self.atoms)), X.dtype)

    return TorchISTA


def test_it_learns_what_the_hand_written_one_learns(ISTA, TorchISTA, codes):
    X, D, z = codes
    check_adjoint(TorchISTA(D), X[:10])
    model = UnfoldedRegressor(
        ISTA(D), readout=IdentityReadout(), n_layers=3, max_iter=5, random_state=0
    )
    by_torch = clone(model).set_params(iteration=TorchISTA(D)).fit(X, z)
    assert_allclose(by_torch.predict(X), model.fit(X, z).predict(X), rtol=1e-6, atol=1e-9)
