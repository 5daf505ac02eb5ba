"""What a DeepNMFRegressor begins with: inits, sources, other models."""

import numpy as np
import pytest
from configurations import deep_nmf
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.decomposition import NMF
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import cross_val_score

from skunfold import SparseNMF


def test_zeros_that_training_cannot_change_are_told(mixtures):
    X, y = mixtures
    bases = np.eye(4, 12)
    with pytest.warns(UserWarning, match=r"init holds zeros \(44\).*np\.maximum"):
        deep_nmf(init=bases, output="mask", n_components=2, max_iter=2).fit(X, y)
    plain = deep_nmf(init=bases, n_trained_layers=0).fit(X, y)  # where zeros are meant
    with pytest.warns(UserWarning, match=r"init holds zeros \(44\)"):
        deep_nmf(init=plain, max_iter=2).fit(X, y)


def test_a_generator_and_a_cache_of_initialisations(mixtures, tmp_path):
    losses = []
    for _ in range(2):
        model = deep_nmf(
            output="mask", init="random", memory=str(tmp_path), max_iter=2, batch_size=20
        )
        model.set_params(random_state=np.random.RandomState(0)).fit(*mixtures)
        losses.append(model.loss_)
    assert losses[0] == losses[1]


@pytest.mark.parametrize("init", ["nmf", "sparse_nmf", "random"])
@pytest.mark.parametrize("output", ["linear", "mask"])
def test_every_init(mixtures, init, output):
    X, y = mixtures
    model = deep_nmf(init=init, output=output, max_iter=100).fit(X, y)
    assert model.score(X, y) > 0.5


def test_init_from_fitted_models_and_arrays(mixtures, spectra):
    X, y = mixtures
    sources = [SparseNMF(4, random_state=0).fit(s) for s in (y, X - y)]
    W = np.concatenate([s.components_ for s in sources])
    by_models = deep_nmf(output="mask", init=sources).fit(X, y)
    by_arrays = deep_nmf(output="mask", init=[s.components_ for s in sources]).fit(X, y)
    by_array = deep_nmf(output="mask", init=W).fit(X, y)
    assert_array_equal(by_models.predict(X), by_arrays.predict(X))
    assert_array_equal(by_models.predict(X), by_array.predict(X))
    X, y = spectra
    joint = NMF(4, solver="mu", beta_loss=1, init="random", random_state=0)
    joint.fit(np.hstack([X, y]))
    alone = NMF(4, solver="mu", beta_loss=1, init="random", random_state=0).fit(X)
    for init in (joint, alone, joint.components_):
        assert deep_nmf(init=init, max_iter=60).fit(X, y).score(X, y) > 0.8


def test_init_by_a_frozen_model_survives_cloning(mixtures):
    X, y = mixtures
    fitted = SparseNMF(8, random_state=0).fit(X)
    model = deep_nmf(init=FrozenEstimator(fitted), output="mask")
    assert np.isfinite(cross_val_score(model, X, y, error_score="raise")).all()
    with pytest.raises(ValueError, match=r"init, a SparseNMF, .*FrozenEstimator"):
        clone(deep_nmf(init=fitted, output="mask")).fit(X, y)
    nested = fitted.components_.tolist()
    assert_array_equal(
        deep_nmf(init=nested, output="mask").fit(X, y).predict(X),
        deep_nmf(init=fitted, output="mask").fit(X, y).predict(X),
    )


@pytest.mark.parametrize(
    ("output", "before", "after"),
    [
        ("linear", False, False),
        ("mask", False, False),
        ("mask", False, True),
        ("mask", True, True),
    ],
)
def test_a_tied_network_goes_on_untied(mixtures, output, before, after):
    X, y = mixtures
    tied = deep_nmf(output=output, tied=True, fit_projections=before).fit(X, y)
    model = clone(deep_nmf(output=output, init=FrozenEstimator(tied), averaging=0.5))
    model.set_params(fit_projections=after)
    model.set_params(learning_rate_init=1e-9, max_iter=1).fit(X, y)
    assert_allclose(model.predict(X), tied.predict(X), rtol=1e-5)
    model.set_params(learning_rate_init=0.03, max_iter=20).fit(X, y)
    assert model.loss_ < tied.loss_
    assert len({id(W) for W in model.bases_}) == 4
    assert tied.n_parameters_ < model.n_parameters_
    model.set_params(n_layers=3)
    with pytest.raises(ValueError, match=r"asked for here, \(3, .* but has \(4, "):
        model.fit(X, y)
    with pytest.raises(ValueError, match="not fitted"):
        model.set_params(init=deep_nmf()).fit(X, y)


def test_projections_that_are_taken_over_and_not_trained(mixtures):
    X, y = mixtures
    fitted = deep_nmf(output="mask", fit_projections=True).fit(X, y)
    model = deep_nmf(output="mask", fit_projections=True, n_trained_layers=0, init=fitted)
    model.fit(X, y)
    assert_array_equal(model.predict(X), fitted.predict(X))
    assert model.loss_ == pytest.approx(fitted.loss_)
    assert model.n_parameters_ == fitted.n_parameters_


def test_projections_are_not_lost_on_the_way(mixtures):
    X, y = mixtures
    fitted = deep_nmf(fit_projections=True).fit(X, y)
    with pytest.raises(ValueError, match="set fit_projections=True here"):
        deep_nmf(init=fitted).fit(X, y)


def test_sources_and_context(mixtures):
    X, y = mixtures
    stacked = np.hstack([np.roll(X, 1, axis=0), X])
    speech = np.hstack([np.roll(y, 1, axis=0), y])
    model = deep_nmf(output="mask", n_trained_layers=0)
    without = clone(model).fit(stacked, y)
    given = clone(model).fit(stacked, y, sources=[speech, stacked - speech])
    assert given.bases_[0].shape == without.bases_[0].shape == (8, 24)
    assert given.output_bases_.shape == (8, 12)
    for fitted in (given, without):
        assert fitted.score(stacked, y) > 0.3


def test_no_residual_group_when_there_is_nothing_else(mixtures):
    X, _ = mixtures
    model = deep_nmf(output="mask", n_components=(3, 0), max_iter=3).fit(X, X)
    assert_allclose(model.predict(X), X, rtol=1e-9)
