"""Gradients against finite differences, and the invariants of their parts."""

from dataclasses import replace

import numpy as np
import pytest
from differences import finite_differences
from numpy.testing import assert_allclose
from scipy.sparse import csr_array

from skunfold._kernels.deep_nmf import DeepNMF, NMFReadout
from skunfold._kernels.nmf import NMFIteration, infer, layer_of
from skunfold._kernels.numerics import Parts
from skunfold._kernels.outputs import LinearOutput, MaskOutput
from skunfold._kernels.unfolding import prepared_layers, sets_of, walk
from skunfold.unfolding import BetaDivergence

BETAS = [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
OUTPUTS = {
    "linear": LinearOutput(),
    "mask": MaskOutput((3, 2), n_targets=1),
    "mask-two-targets": MaskOutput((2, 1, 2), n_targets=2),
    "mask-no-residual": MaskOutput((3, 2), n_targets=2),
}
N_COMPONENTS, N_FEATURES, N_OUTPUTS = 5, 8, 4


def make_problem(
    output,
    layers,
    beta=1.0,
    dtype=np.float64,
    n=7,
    seed=0,
    exponent=1.0,
    projections=False,
    training_beta=2.0,
    cancel=True,
):
    """Return a network, its parameters, and (X, h, y), all random and positive."""
    rng = np.random.default_rng(seed)
    n_bases = max(layers, default=-1) + 1
    width = N_OUTPUTS // OUTPUTS[output].n_targets if output != "linear" else N_OUTPUTS
    n_arrays = 2 if projections else 1
    places = sets_of([n_arrays] * n_bases, tied=False)
    network = DeepNMF(
        NMFIteration(beta, sparsity=0.1, start=0.7, exponents=(exponent,) * len(layers)),
        NMFReadout(OUTPUTS[output]),
        BetaDivergence(training_beta),
        tuple(places[i] for i in layers),
        cancel=cancel,
    )
    shape = (n_arrays, N_COMPONENTS, N_FEATURES)
    parameters = [p for _ in range(n_bases) for p in rng.uniform(0.2, 1, shape)]
    parameters.append(rng.uniform(0.2, 1, (N_COMPONENTS, width)))
    data = (
        rng.uniform(0, 2, (n, N_FEATURES)),
        rng.uniform(0.2, 1, (n, N_COMPONENTS)),
        rng.uniform(0, 2, (n, N_OUTPUTS)),
    )
    return network, [p.astype(dtype) for p in parameters], [d.astype(dtype) for d in data]


def gradients_of(network, parameters, inputs, y, n_samples=None):
    prepared = network.prepare(parameters, n_samples or len(y))
    y_hat, tape = network.forward(prepared, *inputs)
    net = network.backward(prepared, tape, network.loss_gradient(y_hat, y))
    y_hat, tape = network.forward(prepared, *inputs)
    parts = network.backward_parts(prepared, tape, network.loss_gradient_parts(y_hat, y))
    return net, parts


def numeric_gradients(network, parameters, inputs, y):
    def loss():
        prepared = network.prepare(parameters, len(y))
        return network.loss(network.forward(prepared, *inputs)[0], y).sum()

    return finite_differences(loss, parameters)


def assert_gradients_match(gradients, numeric):
    """Check net gradients and parts, and that no part is negative."""
    for n, g, (pos, neg) in zip(numeric, *gradients, strict=True):
        scale = np.abs(n).max()
        assert_allclose(g, n, atol=1e-6 * scale, rtol=1e-6)
        assert_allclose(pos - neg, n, atol=1e-6 * scale, rtol=1e-6)
        assert pos.min() >= 0
        assert neg.min() >= 0


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize(
    ("layers", "prefix"),
    [((), True), ((0,), True), ((0, 1, 2), True), ((0, 1, 2), False), ((0, 0, 0), False)],
    ids=str,
)
def test_gradients_match_finite_differences(beta, output, layers, prefix):
    network, parameters, (X, h, y) = make_problem(output, layers, beta)
    inputs = (X, h) if prefix else (X,)
    numeric = numeric_gradients(network, parameters, inputs, y)
    assert_gradients_match(gradients_of(network, parameters, inputs, y), numeric)


@pytest.mark.parametrize(
    "options",
    [
        {"exponent": 1.5},
        {"exponent": 2.0},
        {"projections": True},
        {"exponent": 2.0, "projections": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize(("layers", "prefix"), [((0, 1, 2), True), ((0, 0, 0), False)], ids=str)
def test_gradients_of_relaxed_updates_and_projections(beta, options, layers, prefix):
    network, parameters, (X, h, y) = make_problem("mask", layers, beta, **options)
    inputs = (X, h) if prefix else (X,)
    numeric = numeric_gradients(network, parameters, inputs, y)
    for kind in (network, network.with_workspace(), replace(network, cancel=False)):
        assert_gradients_match(gradients_of(kind, parameters, inputs, y), numeric)


@pytest.mark.parametrize("beta", BETAS)
def test_projections_that_equal_the_bases_change_nothing(beta):
    network, (W0, W1, U), (X, h, y) = make_problem("linear", (0, 1, 0), beta)
    wider, _, _ = make_problem("linear", (0, 1, 0), beta, projections=True)
    one, _ = gradients_of(network, [W0, W1, U], (X, h), y)
    copies = [W0, W0.copy(), W1, W1.copy(), U]
    (gW0, gV0, gW1, gV1, gU), _ = gradients_of(wider, copies, (X, h), y)
    for g, both in zip(one, (gW0 + gV0, gW1 + gV1, gU), strict=True):
        assert_allclose(both, g, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("projections", [False, True])
@pytest.mark.parametrize("layers", [(0, 1, 2), (0, 0, 0)], ids=["untied", "tied"])
def test_gram_matrices_change_nothing(layers, projections):
    network, parameters, (X, h, y) = make_problem(
        "linear", layers, beta=2.0, projections=projections
    )
    found = []
    for n_samples in (1, 1000):
        layers = network.prepare(parameters, n_samples).layers
        assert all((layer.gram is None) == (n_samples == 1) for layer in layers)
        found.append([np.array(a) for a in infer(X, layers, h)])
        net, parts = gradients_of(network, parameters, (X, h), y, n_samples)
        found[-1] += [*net, *[part for pair in parts for part in pair]]
    for plain, by_gram in zip(*found):
        assert_allclose(by_gram, plain, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("training_beta", BETAS)
def test_training_loss_gradients(training_beta):
    network, parameters, (X, h, y) = make_problem("linear", (0,), training_beta=training_beta)
    numeric = numeric_gradients(network, parameters, (X, h), y)
    net, _ = gradients_of(network, parameters, (X, h), y)
    for n, g in zip(numeric, net):
        assert_allclose(g, n, atol=1e-6 * np.abs(n).max(), rtol=1e-6)


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("layers", [(0, 1, 2), (0, 0, 0)], ids=str)
def test_naive_and_cancelled_parts_have_the_same_difference(output, layers):
    network, parameters, (X, h, y) = make_problem(output, layers)
    naive_network, _, _ = make_problem(output, layers, cancel=False)
    _, cancelled = gradients_of(network, parameters, (X, h), y)
    _, naive = gradients_of(naive_network, parameters, (X, h), y)
    for c, n in zip(cancelled, naive):
        assert_allclose(c.pos - c.neg, n.pos - n.neg, atol=1e-10)
        assert np.all(n.pos + n.neg >= (c.pos + c.neg) * (1 - 1e-12))


@pytest.mark.parametrize(("beta", "sparsity"), [(1.0, 0.0), (1.0, 0.3), (2.0, 0.0)])
def test_naive_parts_double_in_every_layer(beta, sparsity):
    rng = np.random.default_rng(0)
    n, depth = 6, 5
    X = rng.uniform(0, 2, (n, N_FEATURES))
    h = rng.uniform(0.2, 1, (n, N_COMPONENTS))
    bases = list(rng.uniform(0.2, 1, (depth, N_COMPONENTS, N_FEATURES)))
    activations, tapes = [h], []
    layers = [layer_of((W,), beta, sparsity, n) for W in bases]
    for layer in layers:
        h, tape = layer.forward(layer.data(X), h)
        activations.append(h)
        tapes.append(tape)
    p, m = rng.uniform(0, 1, (2, n, N_COMPONENTS))
    masses = []
    for k in reversed(range(depth)):
        masses.append(np.sum((p + m) * activations[k + 1]))
        from_p, _ = layers[k].adjoint(p, tapes[k])
        from_m, _ = layers[k].adjoint(m, tapes[k])
        p, m = from_p.pos + from_m.neg, from_m.pos + from_p.neg
    masses.append(np.sum((p + m) * activations[0]))
    assert_allclose(np.divide(masses[1:], masses[:-1]), 2, rtol=1e-12)


@pytest.mark.parametrize("layers", [tuple(range(25)), (0,) * 25], ids=["untied", "tied"])
def test_float32_gradients_of_25_layers(layers):
    def gradients(dtype):
        network, parameters, (X, _, y) = make_problem("mask", layers, dtype=dtype, n=64)
        return gradients_of(network, parameters, (X,), y)

    exact, _ = gradients(np.float64)
    net, parts = gradients(np.float32)
    for e, g, (pos, neg) in zip(exact, net, parts):
        assert g.dtype == pos.dtype == neg.dtype == np.float32
        assert np.abs(g - e).max() < 1e-5 * np.abs(e).max()
        assert np.abs(pos - neg - e).max() < 1e-5 * np.abs(e).max()


def test_a_workspace_changes_nothing():
    network, parameters, (X, h, y) = make_problem("mask", (0, 1, 1))
    reusing = network.with_workspace()
    gradients_of(reusing, parameters, (X[:3] * 2, h[:3]), y[:3])
    for fresh, reused in zip(
        gradients_of(network, parameters, (X, h), y)[0],
        gradients_of(reusing, parameters, (X, h), y)[0],
    ):
        assert_allclose(fresh, reused, rtol=0, atol=0)


def test_masks_of_all_groups_add_up_to_one():
    rng = np.random.default_rng(0)
    X, h, U = (rng.uniform(0.1, 1, shape) for shape in [(6, 8), (6, 5), (5, 4)])
    y_hat, _ = MaskOutput((2, 1, 2), n_targets=3).forward(X, h, U)
    assert_allclose(sum(np.split(y_hat, 3, axis=1)), X[:, -4:], rtol=1e-12)


def test_parts_net():
    a, b = np.array([3.0]), np.array([1.0])
    assert Parts(a.copy(), b).net() == 2
    assert Parts(None, b.copy()).net() == -1
    assert Parts(a, None).net() == 3


@pytest.mark.parametrize(
    "options",
    [{}, {"exponent": 2.0}, {"projections": True}, {"cancel": False}],
    ids=str,
)
@pytest.mark.parametrize("output", ["linear", "mask-two-targets"])
@pytest.mark.parametrize("beta", [1.0, 2.0])
@pytest.mark.parametrize(("layers", "prefix"), [((0, 1, 2), True), ((0, 0, 0), False)], ids=str)
def test_sparse_data_has_the_gradients_of_dense_data(beta, output, options, layers, prefix):
    network, parameters, (X, h, y) = make_problem(output, layers, beta, **options)
    X *= np.random.default_rng(1).random(X.shape) < 0.4
    X[2] = 0
    found = []
    for data in (X, csr_array(X)):
        inputs = (data, h) if prefix else (data,)
        for kind in (network, network.with_workspace()):
            net, parts = gradients_of(kind, parameters, inputs, y)
            found.append([*net, *(part for pair in parts for part in pair)])
    for expected, *others in zip(*found):
        for other in others:
            assert_allclose(other, expected, rtol=1e-9, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("beta", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("cancel", [False, True])
def test_a_workspace_changes_no_part_of_a_gradient(beta, cancel):
    network, parameters, (X, h, y) = make_problem("linear", (0, 1, 2, 3), beta, cancel=cancel)
    kinds = (network, network.with_workspace())
    found = [gradients_of(kind, parameters, (X, h), y)[1] for kind in kinds]
    for expected, parts in zip(*found):
        for a, b in zip(expected, parts):
            assert_allclose(b, a, rtol=1e-12)


@pytest.mark.parametrize("size", [(3, 5), (40, 21), (520, 510)])
@pytest.mark.parametrize("exponent", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_sample_is_inferred_as_among_others(size, exponent, dtype):
    rng = np.random.default_rng(0)
    W, V = rng.uniform(0.2, 1, (2, *size)).astype(dtype)
    X = rng.uniform(0, 2, (3, size[1])).astype(dtype)
    iteration = NMFIteration(sparsity=0.1, exponents=(1.0, exponent, exponent))
    layers = prepared_layers(iteration, [(W, V)] * 3, None)
    start = rng.uniform(0.2, 1, (3, size[0])).astype(dtype)
    for h, one in ((None, None), (start, start[1:2])):
        *_, expected = walk(iteration, layers, X, h)
        *_, found = walk(iteration, layers, X[1:2], one)
        assert found.dtype == dtype
        assert_allclose(found, expected[1:2], rtol=2e-5 if dtype == np.float32 else 1e-12)
