"""Deep and sparse NMF, whatever non-negative data and parameters they are given."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from strategies import ORDERS, SEEDS, in_order, non_negative

from skunfold import DeepNMFRegressor, SparseNMF
from skunfold._kernels.divergences import beta_of

# OpenBLAS works on more than there is of small matrices: what lies there, once in thousands of
# products, raises a flag that no result shows.
pytestmark = [
    pytest.mark.filterwarnings("ignore:invalid value encountered in matmul"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning"),
]

BETAS = st.sampled_from(
    [0, 0.5, 1, 1.5, 2, 3, "frobenius", "kullback-leibler", "itakura-saito"]
)
N_SAMPLES = st.integers(2, 40)


@st.composite
def deep_nmfs(draw, **fixed):
    """Return a regressor with any parameters, and how many layers it trains."""
    n_layers = draw(st.integers(1, 5))
    params = {
        "n_layers": n_layers,
        "n_trained_layers": draw(st.sampled_from(["all", *range(n_layers + 2)])),
        "tied": draw(st.booleans()),
        "output": draw(st.sampled_from(["linear", "mask"])),
        "beta_loss": draw(BETAS),
        "training_loss": draw(BETAS),
        "sparsity": draw(st.sampled_from([0, 0.1, 5])),
        "relaxation": draw(st.sampled_from([1, 1.7, 2])),
        "fit_projections": draw(st.booleans()),
        "recurrence": (draw(st.sampled_from([0, 0.5, 1])), draw(st.sampled_from([0.1, 300]))),
        "init": draw(st.sampled_from(["nmf", "sparse_nmf", "random"])),
        "solver": draw(st.sampled_from(["eg", "mu", "naive-mu"])),
        "learning_rate_init": draw(st.sampled_from(["auto", 0.01, 1.0])),
        "learning_rate_decay": draw(st.sampled_from([0.5, 1.0])),
        "averaging": draw(st.sampled_from([0, 0.9])),
        "batch_size": draw(st.sampled_from(["auto", 1, 7, 1000])),
        "shuffle": draw(st.booleans()),
        "early_stopping": draw(st.booleans()),
        "validation_fraction": draw(st.sampled_from([0.1, 0.5])),
        "max_iter": draw(st.integers(1, 4)),
        "random_state": draw(SEEDS),
    } | fixed
    sizes = st.lists(st.integers(1, 3), min_size=2, max_size=2)
    n_components = st.one_of(st.integers(1, 4), sizes)
    if params["output"] == "linear":
        n_components = st.integers(1, 4)
    return DeepNMFRegressor(draw(n_components), **params)


def fit(model, X, y):
    """Fit a model; it may overflow where a divergence is infinite at zero, or by huge steps."""
    betas = beta_of(model.beta_loss), beta_of(model.training_loss)
    huge_steps = (
        model.learning_rate_init == 1
        or (model.learning_rate_init == "auto" and model.solver == "naive-mu")  # 1, too
        or (model.batch_size == 1 and model.solver == "mu")  # one sample against all others
    )
    with warnings.catch_warnings():
        if min(betas) < 1 or huge_steps:
            warnings.simplefilter("ignore", RuntimeWarning)
        return model.fit(X, y)


def targets_for(model, X, seed):
    """Return targets that there could be: for masks a part of X."""
    rng = np.random.default_rng(seed)
    if model.output == "mask":
        return (X * rng.uniform(size=X.shape)).astype(X.dtype)
    scale = 10.0 ** rng.integers(-12, 13)
    return (scale * rng.exponential(size=(len(X), rng.integers(1, 4)))).astype(X.dtype)


@given(deep_nmfs(), non_negative(N_SAMPLES), SEEDS, ORDERS)
def test_deep_nmf_stays_non_negative_and_finite(model, X, seed, order):
    y = targets_for(model, X, seed)
    fit(model, in_order(X, order), in_order(y, order))
    predicted = model.predict(X)
    assert predicted.dtype == X.dtype
    assert predicted.shape == (y.shape if y.shape[1] > 1 else (len(y),))
    for array in (predicted, model.transform(X), *model.bases_, model.output_bases_):
        assert np.isfinite(array).all()
        assert (array >= 0).all()
    assert np.isfinite(model.loss_)
    assert 1 <= model.n_iter_ <= model.max_iter
    *_, last = model.staged_predict(X)
    assert_allclose(last, predicted, rtol=1e-4, atol=1e-5 * float(predicted.max()))
    if model.output == "mask":
        assert (predicted.reshape(X.shape) <= X * (1 + 1e-5)).all()


@given(deep_nmfs(learning_rate_init=0.01), non_negative(N_SAMPLES), SEEDS, ORDERS)
def test_deep_nmf_predicts_rows_whatever_their_order_in_memory(model, X, seed, order):
    # Small steps leave bases of reasonable size; those of any size meet the floors.
    y = targets_for(model, X, seed)
    predicted = fit(model, X, y).predict(X)
    assert_array_equal(model.predict(in_order(X, order)), predicted)
    sequence = model.sequence()
    one_by_one = np.concatenate([sequence.predict(x[None]) for x in X])
    assert_allclose(one_by_one, predicted, rtol=1e-3, atol=1e-4 * float(predicted.max()))


@given(
    deep_nmfs(beta_loss="kullback-leibler", learning_rate_init=0.01),
    non_negative(N_SAMPLES),
    SEEDS,
    st.integers(-8, 8),
)
def test_deep_nmf_scales_with_the_data(model, X, seed, exponent):
    X = X.astype(np.float64)  # whose floors are far below the data
    X[:, 0] += X.mean() or 1  # of rows of zeros floors are all there is
    factor = 2.0**exponent
    predicted = fit(model, X, targets_for(model, X, seed)).predict(X)
    scaled = model.predict(X * factor)
    assert_allclose(scaled, factor * predicted, rtol=1e-6, atol=1e-9 * scaled.max())


@given(deep_nmfs(n_trained_layers="all"), non_negative(N_SAMPLES), SEEDS)
def test_deep_nmf_ends_with_the_best_epoch(model, X, seed):
    fit(model, X, targets_for(model, X, seed))
    name = "validation_loss" if model.early_stopping else "final_loss"
    losses = np.array([epoch[name] for epoch in model.history_])
    assert model.loss_ <= min(losses[np.isfinite(losses)], default=np.inf)


@given(
    non_negative(),
    st.sampled_from([0, 0.5, 1, 1.5, 2, 3]),
    st.sampled_from([0, 0.1, 5]),
    st.integers(1, 4),
    st.booleans(),
    SEEDS,
    ORDERS,
)
def test_sparse_nmf(X, beta, sparsity, n_components, with_fixed, seed, order):
    fixed = np.full((1, X.shape[1]), X.shape[1] ** -0.5) if with_fixed else None
    model = SparseNMF(
        n_components,
        beta_loss=beta,
        sparsity=sparsity,
        fixed_components=fixed,
        max_iter=25,
        random_state=seed,
    ).fit(in_order(X, order))
    W = model.components_
    activations = model.transform(X)
    for array in (W, activations, model.inverse_transform(activations)):
        assert array.dtype == X.dtype
        assert np.isfinite(array).all()
        assert (array >= 0).all()
    assert_allclose(np.linalg.norm(W, axis=1), 1, rtol=1e-4)
    if with_fixed:
        assert_array_equal(W[0], fixed[0].astype(X.dtype))
    assert np.isfinite(model.loss_curve_).all()
    assert_array_equal(model.transform(in_order(X, order)), activations)
