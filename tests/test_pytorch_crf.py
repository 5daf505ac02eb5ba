"""Chains against pytorch-crf, an independent implementation, in double precision."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skunfold import UnfoldedCRFClassifier
from skunfold._crf.network import ClassLoss, LikelihoodNetwork
from skunfold._crf.sweep import RowSweep, TotalsReadout
from skunfold._kernels.chains import most_probable
from skunfold._kernels.class_messages import BeliefMessages
from skunfold._kernels.passes import there_and_back
from skunfold._kernels.probabilities import softmax
from skunfold._kernels.row_graphs import Chains, Rows

torch = pytest.importorskip("torch")
torchcrf = pytest.importorskip("torchcrf")

K, F = 5, 4
LENGTHS = np.array([7, 1, 4, 12])


@pytest.fixture
def network():
    sweep = RowSweep(K, (), (False,), False, BeliefMessages(), there_and_back)
    return LikelihoodNetwork(sweep, TotalsReadout(), ClassLoss(), ((0, 1, 2),))


@pytest.fixture
def batch():
    """Return features with the graph, classes, and W, b and the table."""
    rng = np.random.default_rng(0)
    starts = np.append(0, np.cumsum(LENGTHS))
    chains = Chains(np.arange(starts[-1]), starts)
    rows = Rows(rng.normal(size=(starts[-1], F)), chains.graph(slice(None)))
    parameters = [rng.normal(size=shape) for shape in ((F, K), (K,), (K, K))]
    return rows, rng.integers(K, size=starts[-1]), parameters


def padded(values):
    """Return the values of rows as a tensor (n_chains, longest, ...), and the mask."""
    out = np.zeros((len(LENGTHS), LENGTHS.max(), *values.shape[1:]), values.dtype)
    mask = np.arange(LENGTHS.max()) < LENGTHS[:, None]
    out[mask] = values
    return torch.from_numpy(out), torch.from_numpy(mask)


def theirs(table):
    """Return a field of pytorch-crf with a table, and nothing at the ends."""
    crf = torchcrf.CRF(K, batch_first=True).double()
    with torch.no_grad():
        crf.transitions.copy_(torch.from_numpy(np.array(table, float)))
        crf.start_transitions.zero_()
        crf.end_transitions.zero_()
    return crf


def test_log_likelihood_gradients_and_marginals(network, batch):
    rows, y, parameters = batch
    output, tape = network.forward(parameters, rows, y)
    gradients = network.backward(parameters, tape, network.loss_gradient(output, y))

    crf = theirs(parameters[2])
    W, b = (torch.from_numpy(p).requires_grad_() for p in parameters[:2])
    features, mask = padded(rows.features)
    field = features @ W + b
    field.retain_grad()
    loss = -crf(field, padded(y)[0], mask)
    loss.backward()

    assert_allclose(network.loss(output, y).sum(), loss.item(), rtol=1e-10)
    expected = [W.grad, b.grad, crf.transitions.grad]
    for ours, of_torch in zip(gradients, expected, strict=True):
        assert_allclose(ours, of_torch.numpy(), rtol=1e-9, atol=1e-10)
    # By a row's field, the gradient is its marginals minus the indicator of its class.
    marginals = field.grad.numpy()[mask.numpy()] + np.eye(K)[y]
    assert_allclose(softmax(output[:, :-1]), marginals, atol=1e-10)


def test_the_most_probable_states(network, batch):
    rows, _, parameters = batch
    field = rows.features @ parameters[0] + parameters[1]
    states, _ = most_probable(field, parameters[2], rows.graph)
    expected = theirs(parameters[2]).decode(*padded(field))
    assert_array_equal(states, np.concatenate(expected))


def test_a_fitted_estimator(batch):
    rows, y, _ = batch
    sequence = np.repeat(np.arange(len(LENGTHS)), LENGTHS)
    X = np.column_stack([rows.features, sequence])
    settings = {"graph_columns": [-1], "schedule": "sequential", "training_loss": "likelihood"}
    model = UnfoldedCRFClassifier(solver="lbfgs", alpha=0.1, tol=1e-8, **settings).fit(X, y)
    [W], [b], [table], _ = model.potentials_[0].values()
    field, mask = padded(rows.features @ W + b)
    loss = -theirs(table)(field, padded(y)[0], mask).item() / len(y)
    penalty = 0.1 / 2 * (np.sum(W**2) + np.sum(table**2))
    assert_allclose(model.loss_, loss + penalty, rtol=1e-10)
