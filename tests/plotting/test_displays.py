"""Displays: what they hold is what the model says, and they draw where they are told to."""

import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.decomposition import NMF
from sklearn.dummy import DummyClassifier
from sklearn.metrics import log_loss, mean_squared_error
from sklearn.preprocessing import scale

from skunfold import (
    DeepNMFRegressor,
    SparseNMF,
    UnfoldedBPClassifier,
    UnfoldedMeanFieldClassifier,
)
from skunfold._install import install_advice
from skunfold.plotting import (
    BasesDisplay,
    BeliefsDisplay,
    LossCurveDisplay,
    StagedScoreDisplay,
)

plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def _no_windows():
    plt.switch_backend("agg")
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def spectra():
    rng = np.random.default_rng(0)
    y = rng.uniform(size=(60, 3))
    return rng.poisson(20 * y @ rng.uniform(size=(3, 12))).astype(float), y


@pytest.fixture(scope="module")
def deep(spectra):
    model = DeepNMFRegressor(3, n_layers=4, max_iter=8, early_stopping=True, random_state=0)
    return model.fit(*spectra)


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    return scale(X), np.array(["setosa", "versicolor", "virginica"])[y]


@pytest.fixture(scope="module")
def field(iris):
    model = UnfoldedMeanFieldClassifier(6, n_layers=3, max_iter=20, tol=0, random_state=0)
    return model.fit(*iris)


@pytest.fixture(scope="module")
def labels_model():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 6))
    y = (X + rng.normal(scale=0.3, size=X.shape) > 0).astype(int)
    model = UnfoldedBPClassifier((), n_layers=3, label_graph="full", max_iter=5, tol=0)
    return model.fit(X, y), X, y


# Losses


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("kind", ["deep NMF", "mean field", "BP", "lbfgs"])
def test_loss_curves_are_those_of_the_model(spectra, iris, kind, early_stopping):
    settings = {"early_stopping": early_stopping, "max_iter": 12, "tol": 0, "random_state": 0}
    X, y = spectra if kind == "deep NMF" else iris
    model = {
        "deep NMF": DeepNMFRegressor(3, n_layers=3, averaging=0.5),
        "mean field": UnfoldedMeanFieldClassifier(5),
        "BP": UnfoldedBPClassifier(5),
        "lbfgs": UnfoldedMeanFieldClassifier(5, solver="lbfgs"),
    }[kind]
    model.set_params(**settings).fit(X, y)
    display = LossCurveDisplay.from_estimator(model, name="a", line_kw={"linewidth": 3})
    held_out = early_stopping and kind != "lbfgs"
    assert_array_equal(display.lines_[0].get_ydata(), model.loss_curve_)
    assert len(display.lines_) == 1 + held_out
    if held_out:
        assert_array_equal(display.lines_[1].get_ydata(), model.validation_loss_curve_)
        assert display.best_epoch == np.argmin(model.validation_loss_curve_) + 1
    else:
        best = np.argmin([epoch["final_loss"] for epoch in model.history_])
        assert display.best_epoch == best + 1
    assert display.best_point_.get_ydata() == [model.loss_]
    assert display.lines_[0].get_linewidth() == 3
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    names = ["a, training", "a, held-out"][: 1 + held_out]
    assert labels == [*names, f"a, best (epoch {display.best_epoch})"]


def test_no_best_epoch_where_training_began_with_the_best(deep, spectra):
    # Steps that are far too large only ever make it worse.
    wild = clone(deep).set_params(init=deep, learning_rate_init=50.0, max_iter=2)
    display = LossCurveDisplay.from_estimator(wild.fit(*spectra))
    assert display.best_epoch is None
    assert display.best_point_ is None
    assert len(display.lines_) == 2


def test_epochs_that_were_not_validated_are_gaps(iris):
    model = UnfoldedMeanFieldClassifier(4, early_stopping=True, max_iter=3, tol=0)
    model.fit(*iris).partial_fit(*iris)
    display = LossCurveDisplay.from_estimator(model)
    assert_array_equal(np.isnan(display.validation_loss), [False, False, False, True])
    assert display.best_epoch == 4
    display.figure_.canvas.draw()


# Layers


@pytest.mark.parametrize("scoring", [None, "neg_mean_squared_error"])
def test_scores_of_a_regressor_by_layer(deep, spectra, scoring):
    X, y = spectra
    negate = scoring is not None
    weight = np.arange(1.0, 61.0)
    display = StagedScoreDisplay.from_estimator(
        deep, X, y, scoring=scoring, negate_score=negate, sample_weight=weight, name="a"
    )
    stages = list(deep.staged_predict(X))
    if scoring is None:
        assert_allclose(display.scores[-1], deep.score(X, y, weight))
        assert display.ax_.get_ylabel() == "r2"
    else:
        expected = [mean_squared_error(y, p, sample_weight=weight) for p in stages]
        assert_allclose(display.scores, expected)
        assert display.ax_.get_ylabel() == "mean squared error"
    assert_array_equal(display.line_.get_xdata(), [1, 2, 3, 4])
    assert_array_equal(display.line_.get_ydata(), display.scores)
    assert display.ax_.get_legend().get_texts()[0].get_text() == "a"


def test_scores_of_a_classifier_by_sweep(field, iris):
    X, y = iris
    display = StagedScoreDisplay.from_estimator(field, X, y)
    assert_allclose(display.scores, [np.mean(p == y) for p in field.staged_predict(X)])
    display = StagedScoreDisplay.from_estimator(field, X, y, scoring="neg_log_loss")
    losses = [log_loss(y, p) for p in field.staged_predict_proba(X)]
    assert_allclose(display.scores, np.negative(losses))
    assert display.ax_.get_ylabel() == "negative log loss"


def test_scores_that_rank_two_classes_use_the_probabilities_of_each_sweep(iris):
    X, y = iris[0][50:], iris[1][50:]
    model = UnfoldedBPClassifier((4, 3), n_layers=3, solver="lbfgs", max_iter=5).fit(X, y)
    display = StagedScoreDisplay.from_estimator(model, X, y, scoring="roc_auc")

    def auc(p):
        return np.mean(p[y == "virginica"][:, None] > p[y == "versicolor"])

    expected = [auc(p[:, 1]) for p in model.staged_predict_proba(X)]
    assert_allclose(display.scores, expected)
    assert len(set(expected)) > 1


def test_scores_of_labels_and_of_a_function(labels_model):
    model, X, y = labels_model

    def shown(estimator, X, y):
        return np.mean(estimator.predict(X) == y)

    display = StagedScoreDisplay.from_estimator(model, X, y, scoring=shown, negate_score=True)
    expected = [-np.mean(p == y) for p in model.staged_predict(X)]
    assert_allclose(display.scores, expected)
    assert display.ax_.get_ylabel() == "negative shown"
    assert_allclose(
        StagedScoreDisplay.from_estimator(model, X, y).scores[-1], model.score(X, y)
    )


# Bases


def test_bases_of_a_layer_and_their_change(deep, spectra):
    untrained = clone(deep).set_params(n_trained_layers=0).fit(*spectra)
    display = BasesDisplay.from_estimator(deep, layer=1, start=untrained, components=[2, 0])
    start, bases, change = (ax.get_images()[0].get_array() for ax in display.axes_.flat)
    assert_array_equal(bases, deep.bases_[1][[2, 0]])
    assert_array_equal(start, untrained.bases_[1][[2, 0]])
    assert_allclose(change, bases - start)
    low, high = display.axes_.flat[2].get_images()[0].get_clim()
    assert -low == high == np.abs(change).max()
    alone = BasesDisplay.from_estimator(deep, im_kw={"cmap": "Greys"})
    [image] = alone.axes_.flat[0].get_images()
    assert_array_equal(image.get_array(), deep.bases_[-1])
    assert image.get_cmap().name == "Greys"


def test_bases_as_images(deep):
    start = deep.bases_[0]
    display = BasesDisplay.from_estimator(deep, start=start, image_shape=(3, 4))
    assert display.axes_.shape == (3, 3)
    for row, matrix in zip(display.axes_, (start, deep.bases_[-1], deep.bases_[-1] - start)):
        for ax, basis in zip(row, matrix):
            assert_array_equal(ax.get_images()[0].get_array(), basis.reshape(3, 4))
    assert [row[0].get_ylabel() for row in display.axes_] == ["start", "bases", "change"]


@pytest.mark.parametrize("cls", [SparseNMF, NMF])
def test_bases_of_factorizations(spectra, cls):
    model = cls(3, max_iter=300, random_state=0, tol=1e-2).fit(spectra[0])
    display = BasesDisplay.from_estimator(model)
    assert_array_equal(display.bases, model.components_)


def test_bases_that_did_not_move(deep):
    display = BasesDisplay(deep.bases_[0], start=deep.bases_[0]).plot()
    assert display.axes_.flat[2].get_images()[0].get_clim() == (-1, 1)


# Beliefs


def test_beliefs_about_classes(field, iris):
    X, y = iris[0][::50], iris[1][::50]
    display = BeliefsDisplay.from_estimator(field, X, y)
    sweeps = np.array(list(field.staged_predict_proba(X)))
    assert display.axes_.shape == (1, 3)
    for k, ax in enumerate(display.axes_.flat):
        assert_array_equal(ax.get_images()[0].get_array(), sweeps[:, k].T)
        [frame] = ax.patches
        box = frame.get_window_extent().transformed(ax.transData.inverted())
        assert_allclose([box.ymin, box.ymax], [k - 0.5, k + 0.5])  # the classes are in order
    names = [tick.get_text() for tick in display.axes_[0, 0].get_yticklabels()]
    assert names == ["setosa", "versicolor", "virginica"]
    assert not BeliefsDisplay.from_estimator(field, X).axes_[0, 0].patches


def test_beliefs_about_labels(labels_model):
    model, X, y = labels_model
    display = BeliefsDisplay.from_estimator(model, X[:2], y[:2])
    for ax, on in zip(display.axes_.flat, y[:2]):
        [marks] = ax.lines
        assert_array_equal(marks.get_ydata(), np.flatnonzero(on))
    assert display.axes_[0, 0].get_ylabel() == "label"


@pytest.mark.parametrize("with_truth", [False, True])
def test_beliefs_about_pixels(labels_model, with_truth):
    model, X, y = labels_model
    beliefs = list(model.staged_predict_proba(X[:2]))
    truth = y[:2] if with_truth else None
    display = BeliefsDisplay.from_predictions(beliefs, truth, image_shape=(2, 3))
    assert display.axes_.shape == (2, 3 + with_truth)
    for i, row in enumerate(display.axes_):
        images = [ax.get_images()[0].get_array() for ax in row]
        for image, sweep in zip(images, beliefs):
            assert_array_equal(image, sweep[i].reshape(2, 3))
        if with_truth:
            assert_array_equal(images[-1], y[i].reshape(2, 3))


# Axes


def displays(deep, field, spectra, iris):
    return {
        "losses": LossCurveDisplay.from_estimator(deep),
        "stages": StagedScoreDisplay.from_estimator(deep, *spectra),
        "bases": BasesDisplay.from_estimator(deep, start=deep.bases_[0]),
        "beliefs": BeliefsDisplay.from_estimator(field, iris[0][:3]),
    }


def test_every_display_draws_on_given_axes_and_again(deep, field, spectra, iris):
    for name, display in displays(deep, field, spectra, iris).items():
        figure, (left, right) = plt.subplots(1, 2, layout="constrained")
        assert display.plot(left) is display
        assert display.figure_ is figure, name
        assert not right.lines
        assert not right.get_images()
        figure.canvas.draw()


@pytest.mark.parametrize("name", ["bases", "beliefs"])
def test_grids_draw_on_an_array_of_axes(deep, field, spectra, iris, name):
    display = displays(deep, field, spectra, iris)[name]
    figure, axes = plt.subplots(3, 1)
    display.plot(axes)
    assert list(display.axes_.flat) == list(axes)
    assert all(ax.get_images() for ax in axes)
    with pytest.raises(ValueError, match=r"ax holds 2 axes; give 3 \(1 rows of 3\)"):
        display.plot(axes[:2])
    with pytest.raises(ValueError, match=r"ax must be part of a grid"):
        display.plot(figure.add_axes((0, 0, 1, 1)))


def test_curves_can_share_axes(deep, spectra):
    first = StagedScoreDisplay.from_estimator(deep, *spectra, name="a")
    second = StagedScoreDisplay.from_estimator(deep, *spectra, name="b", ax=first.ax_)
    assert len(first.ax_.lines) == 2
    assert second.figure_ is first.figure_


# Mistakes


def test_mistakes_are_explained(deep, field, spectra, iris):
    X, y = spectra
    other = DummyClassifier().fit(*iris)
    for display, arguments in (
        (LossCurveDisplay, ()),
        (StagedScoreDisplay, iris),
        (BasesDisplay, ()),
        (BeliefsDisplay, iris[:1]),
    ):
        with pytest.raises(TypeError, match="DummyClassifier has no "):
            display.from_estimator(other, *arguments)
    untrained = DeepNMFRegressor(3, n_trained_layers=0).fit(X, y)
    with pytest.raises(ValueError, match="no trained layers and so no loss by epoch"):
        LossCurveDisplay.from_estimator(untrained)
    with pytest.raises(ValueError, match="layer=4 does not exist; the model has 4 layers"):
        BasesDisplay.from_estimator(deep, layer=4)
    with pytest.raises(ValueError, match=r"start has bases of shape \(2, 12\)"):
        BasesDisplay.from_estimator(deep, start=np.ones((2, 12)))
    with pytest.raises(ValueError, match=r"image_shape=\(5, 5\) does not fit.* product of 12"):
        BasesDisplay.from_estimator(deep, image_shape=(5, 5))
    with pytest.raises(ValueError, match=r"y has shape \(1,\); give \(3,\) classes or"):
        BeliefsDisplay.from_estimator(field, iris[0][:3], iris[1][:1])
    with pytest.raises(ValueError, match=r"y holds 'rosa'.* none of the classes"):
        BeliefsDisplay.from_estimator(field, iris[0][:1], ["rosa"])


def test_without_matplotlib_it_is_said_how_to_install_it():
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from skunfold.plotting import LossCurveDisplay\n"
        "LossCurveDisplay([1.0, 0.5]).plot()"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    advice = install_advice("plotting")
    assert f"ImportError: Displays need matplotlib: {advice}\n" in output.stderr
