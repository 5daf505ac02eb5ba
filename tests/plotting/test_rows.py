"""Pictures of fields over rows."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skunfold import UnfoldedBPClassifier, UnfoldedCRFClassifier
from skunfold.plotting import ClassImagesDisplay, MarginalsDisplay, TransitionsDisplay

plt = pytest.importorskip("matplotlib.pyplot")

RNG = np.random.default_rng(0)
ROW, COLUMN = np.indices((4, 5)).reshape(2, -1)
NAMES = np.array(["grass", "sky", "water"])
Y = NAMES[(ROW + 1) // 2]
X = np.column_stack([RNG.normal(size=20), np.full(20, 7), ROW + 3, COLUMN])
GRID = UnfoldedCRFClassifier(
    graph="grid", graph_columns=[1, 2, 3], n_layers=3, solver="lbfgs", max_iter=5
).fit(X, Y)


@pytest.fixture(autouse=True)
def _no_windows():
    plt.switch_backend("agg")
    yield
    plt.close("all")


def test_a_table_for_each_kind():
    display = TransitionsDisplay.from_estimator(GRID)
    assert [ax.get_title() for ax in display.axes_.flat] == ["right", "down"]
    for ax, table in zip(display.axes_.flat, GRID.potentials_[0]["tables"]):
        assert_array_equal(ax.images[0].get_array(), table)
        low, high = ax.images[0].get_clim()
        assert -low == high >= np.abs(table).max()
        assert [t.get_text() for t in ax.get_yticklabels()] == NAMES.tolist()
    _, axes = plt.subplots(1, 2)
    assert_array_equal(display.plot(axes).axes_.ravel(), axes)


def test_marginals_along_rows():
    labels = [f"row {i}" for i in range(20)]
    display = MarginalsDisplay.from_estimator(GRID, X, Y, labels=labels)
    assert_array_equal(display.ax_.images[0].get_array(), GRID.predict_proba(X).T)
    frames = {(p.get_x() + 0.5, p.get_y() + 0.5) for p in display.ax_.patches}
    assert frames == {*enumerate(np.searchsorted(NAMES, Y))}
    assert [t.get_text() for t in display.ax_.get_xticklabels()] == labels
    with pytest.raises(ValueError, match="y holds 'fire', which is none of the classes"):
        MarginalsDisplay.from_estimator(GRID, X[:1], ["fire"])


def test_images_of_classes_by_sweep():
    order = RNG.permutation(20)[:-1]
    display = ClassImagesDisplay.from_estimator(GRID, X[order], Y[order])
    titles = [ax.get_title() for ax in display.axes_.flat]
    assert titles == ["sweep 1", "sweep 2", "sweep 3", "truth"]
    last = display.axes_.flat[2].images[0].get_array()
    predicted = np.searchsorted(NAMES, GRID.predict(X[order]))
    assert_array_equal(last[ROW[order], COLUMN[order]], predicted)
    assert last.mask.sum() == 1  # the pixel that was left out
    truth = display.axes_.flat[3].images[0].get_array()
    assert_array_equal(NAMES[truth[ROW[order], COLUMN[order]]], Y[order])


def test_what_cannot_be_drawn():
    alone = UnfoldedCRFClassifier(solver="lbfgs", max_iter=2).fit(X[:, :1], Y)
    with pytest.raises(ValueError, match=r"has no tables; fit it with graph_columns"):
        TransitionsDisplay.from_estimator(alone)
    with pytest.raises(ValueError, match=r"graph='chain'; pictures are drawn of graph='grid'"):
        ClassImagesDisplay.from_estimator(alone, X[:, :1])
    with pytest.raises(ValueError, match=r"X holds pixels of several images"):
        ClassImagesDisplay.from_estimator(GRID, np.vstack([X, X + 1]))
    far = np.vstack([X, [0, 7, 1e9, 1e9]])
    with pytest.raises(ValueError, match=r"an image of 9\d+ times 1000000001; pictures have"):
        ClassImagesDisplay.from_estimator(GRID, far)
    for display in (ClassImagesDisplay, MarginalsDisplay):
        with pytest.raises(
            ValueError, match=r"y has the shape \(3,\); give a class for each of 20"
        ):
            display.from_estimator(GRID, X, Y[:3])
        with pytest.raises(ValueError, match=r"y holds 'rock', which is none of the classes"):
            display.from_estimator(GRID, X, ["rock"] * 20)
    with pytest.raises(TypeError, match=r"UnfoldedBPClassifier is no field over rows"):
        TransitionsDisplay.from_estimator(UnfoldedBPClassifier())
