"""The network of an unfolded iteration, and the check of its adjoint."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skunfold._kernels.deep_nmf import DeepNMF, NMFReadout
from skunfold._kernels.nmf import NMFIteration
from skunfold._kernels.outputs import LinearOutput, MaskOutput
from skunfold._kernels.unfolding import Unfolding
from skunfold.unfolding import (
    BetaDivergence,
    CrossEntropy,
    IdentityReadout,
    Iteration,
    LinearReadout,
    LogitReadout,
    MaskReadout,
    SquaredError,
    check_adjoint,
)

TIED, UNTIED = ((0,),) * 3, ((0,), (1,), (2,))


@pytest.mark.parametrize("n_layers", [1, 4])
def test_iterations_of_the_guide(ISTA, KLNMF, codes, n_layers):
    X, D, _ = codes
    check_adjoint(ISTA(D), X[:10], n_layers=n_layers)
    check_adjoint(KLNMF(3), np.abs(X[:10]) + 0.1, n_layers=n_layers)


class Wrong(Iteration):
    """h <- a h + x, with a mistake to choose."""

    def __init__(self, mistake=None):
        self.mistake = mistake

    def parameters(self, X, y, random_state):
        return (np.full(X.shape[1], 0.5),)

    def initial(self, theta, X, n_samples):
        return np.ones_like(X)

    def step(self, theta, X, h, k):
        if self.mistake == "changes X":
            X += 1
        return theta[0] * h + X, h

    def adjoint(self, theta, tape, g, k):
        factor = {"theta": 2, "last layer": 2 if k == 2 else 1}.get(self.mistake, 1)
        g_h = g * theta[0] * (1.01 if self.mistake == "h" else 1)
        return g_h, None, (factor * np.sum(g * tape, axis=0),)


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ("theta", "array 0 of theta of tied layers"),
        ("last layer", "array 0 of theta of"),
        ("h", "array 0 of theta of"),
        ("changes X", "changes X or theta"),
    ],
)
def test_a_wrong_adjoint_is_found(mistake, message):
    X = np.random.default_rng(0).normal(size=(5, 3))
    check_adjoint(Wrong(), X)
    with pytest.raises(AssertionError, match=message):
        check_adjoint(Wrong(mistake), X.copy())


def test_drives_and_gradients_may_be_one_array():
    class Integrator(Iteration):
        """h <- h + x a: the gradients by h and by the drive are the same array."""

        def parameters(self, X, y, random_state):
            return (np.full(X.shape[1], 0.5),)

        def drive(self, theta, X):
            return X * theta[0]

        def drive_adjoint(self, theta, X, g):
            return (np.sum(X * g, axis=0),)

        def initial(self, theta, drive, n_samples):
            return np.zeros_like(drive)

        def step(self, theta, drive, h, k):
            return h + drive, None

        def adjoint(self, theta, tape, g, k):
            return g, g, (None,)

    check_adjoint(Integrator(), np.random.default_rng(0).normal(size=(5, 3)))


def test_a_missing_drive_adjoint_is_told():
    class Forgotten(Wrong):
        def adjoint(self, theta, tape, g, k):
            return g, g, (None,)

    with pytest.raises(NotImplementedError, match=r"Forgotten.adjoint .* write drive_adjoint"):
        check_adjoint(Forgotten(), np.ones((2, 3)))


@pytest.mark.parametrize("sets", [TIED, UNTIED], ids=["tied", "untied"])
@pytest.mark.parametrize("masked", [False, True])
def test_it_is_deep_nmf(KLNMF, sets, masked):
    rng = np.random.default_rng(0)
    X, y = rng.uniform(0.1, 1, size=(20, 6)), rng.uniform(0.1, 1, size=(20, 4))
    n = 1 + sets[-1][0]
    bases = [rng.uniform(0.1, 1, size=(5, 6)) for _ in range(n)]
    U = rng.uniform(0.1, 1, size=(5, 4))
    output = MaskOutput((3, 2), 1) if masked else LinearOutput()
    kernel = DeepNMF(NMFIteration(), NMFReadout(output), BetaDivergence(2.0), sets)
    readout = MaskReadout((3, 2)) if masked else LinearReadout()
    network = Unfolding(KLNMF(5), readout, BetaDivergence(2.0), sets)
    prepared = kernel.prepare([*bases, U], len(X))
    expected, tape = kernel.forward(prepared, X)
    parameters = [*bases, U] if masked else [*bases, U, np.zeros(4)]
    actual, own_tape = network.forward(parameters, X)
    assert_allclose(actual, expected, rtol=1e-7)
    assert_allclose(network.loss(actual, y), kernel.loss(expected, y), rtol=1e-6)
    gradients = kernel.backward(prepared, tape, kernel.loss_gradient(expected, y))
    own = network.backward(parameters, own_tape, network.loss_gradient(actual, y))
    for mine, theirs in zip(own, gradients):
        assert_allclose(mine, theirs, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize(
    ("readout", "loss"),
    [
        (LinearReadout(), SquaredError()),
        (LogitReadout(), CrossEntropy()),
        (LogitReadout(), CrossEntropy(exclusive=False)),
        (MaskReadout((2, 1)), BetaDivergence(1.0)),
        (MaskReadout((1, 1, 1)), SquaredError()),
    ],
    ids=str,
)
def test_readouts_and_losses_have_exact_gradients(KLNMF, readout, loss):
    rng = np.random.default_rng(0)
    X = rng.uniform(0.1, 1, size=(7, 6))
    y = rng.uniform(0.1, 1, size=(7, 6 if len(getattr(readout, "group_sizes", ())) == 3 else 3))
    if getattr(loss, "exclusive", False):
        y = np.eye(3)[rng.integers(0, 3, 7)]
    h = rng.uniform(0.1, 1, size=(7, 3))
    parameters = [rng.uniform(0.1, 1, p.shape) for p in readout.parameters(X, y, h, None)]
    network = Unfolding(KLNMF(3), readout, loss, ())

    def total(h, parameters):
        return network.loss(network.forward(parameters, X, h)[0], y).sum()

    output, tape = network.forward(parameters, X, h)
    g = network.loss_gradient(output, y)
    g_h, _ = readout.adjoint(tuple(parameters), tape[-1], g)
    gradients = [g_h, *network.backward(parameters, tape, g)]
    for place, gradient in enumerate(gradients):
        arrays = [h, *parameters]
        direction = rng.normal(size=gradient.shape)
        ends = []
        for step in (1e-6, -1e-6):
            moved = [a + step * direction if i == place else a for i, a in enumerate(arrays)]
            ends.append(total(moved[0], moved[1:]))
        slope = (ends[0] - ends[1]) / 2e-6
        assert_allclose(np.vdot(gradient, direction), slope, rtol=1e-6, atol=1e-7)


def test_readouts_begin_at_least_squares():
    rng = np.random.default_rng(0)
    h, weight = rng.uniform(size=(50, 3)), rng.integers(0, 3, 50).astype(float)
    y = h @ rng.uniform(size=(3, 2)) + 0.5
    U, c = LinearReadout().parameters(h, y, h, weight)
    assert_allclose(h @ U + c, y, rtol=1e-9)
    X, (V,) = y, MaskReadout((2, 1)).parameters(y, 0.6 * y, h, None)
    assert V.shape == (3, 2)
    assert (V > 0).all()
    output, _ = MaskReadout((2, 1)).read((V,), X, h)
    assert (output <= X).all()
    with pytest.raises(ValueError, match=r"y has 2 columns.*3 states"):
        IdentityReadout().parameters(X, y, h, None)
    for sizes in ((2, 2), 3, "ab", (3,), (0, 3), (1.0, 2.0)):
        with pytest.raises(ValueError, match=r"group_sizes=.* does not fit 3 states; give a"):
            MaskReadout(sizes).parameters(X, y, h, None)
    for targets, sizes in ((np.ones((len(X), 3)), (2, 1)), (X, (1, 1, 1, 0))):
        with pytest.raises(ValueError, match=r"y has \d columns for the \d targets of Mask"):
            MaskReadout(sizes).parameters(X, targets, h, None)


def test_states_are_those_of_the_algorithm(ISTA, codes):
    X, D, converged = codes
    theta = ISTA(D).parameters(X, X, None)
    network = Unfolding(ISTA(D), None, None, ((0, 1, 2),) * 500)
    states = list(network.states(theta, X))
    assert_allclose(states[-1], converged, atol=1e-12)
    resumed = Unfolding(ISTA(D), None, None, ((0, 1, 2),) * 2, first=498)
    *_, last = resumed.states(theta, X, states[497])
    assert_array_equal(last, states[-1])
