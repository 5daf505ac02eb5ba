"""The tables of a field over rows, and its probabilities for a sequence or an image."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skunfold.plotting._axes import grid_of_axes, one_axes

MAX_PIXELS = 10**8


def check_field(estimator):
    """Raise a TypeError unless the estimator is a fitted field over rows."""
    if not hasattr(estimator, "decode"):
        raise TypeError(
            f"{type(estimator).__name__} is no field over rows; give a fitted "
            "UnfoldedCRFClassifier."
        )
    check_is_fitted(estimator)


class TransitionsDisplay:
    """The weights of pairs of classes at the two ends of an edge, as heat maps.

    There is a panel for each kind of edges: the table of weights, with the class of the source
    (the earlier row, the left or upper pixel) from top to bottom.

    Use `from_estimator` to make one.

    Parameters
    ----------
    tables : list of array-like of shape (n_classes, n_classes)
        The weights of pairs of classes, for each kind.
    classes : array-like of shape (n_classes,)
        What the classes are called.
    kinds : sequence
        What the kinds are called.

    Attributes
    ----------
    axes_ : ndarray of matplotlib.axes.Axes
        The panels, a row.
    figure_ : matplotlib.figure.Figure
        Their figure.

    Examples
    --------
    >>> import numpy as np
    >>> from skunfold import UnfoldedCRFClassifier
    >>> from skunfold.plotting import TransitionsDisplay
    >>> X = np.column_stack([np.arange(60) % 3 == 0, np.arange(60) // 6])
    >>> model = UnfoldedCRFClassifier(graph_columns=[1], solver="lbfgs", max_iter=20)
    >>> display = TransitionsDisplay.from_estimator(model.fit(X, np.arange(60) % 3))
    >>> display.tables[0].shape
    (3, 3)
    """

    def __init__(self, tables: list, *, classes: ArrayLike, kinds: Any) -> None:
        self.tables = [np.asarray(table) for table in tables]
        self.classes = np.asarray(classes)
        self.kinds = list(kinds)

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, sweep: int = -1, ax: Any = None, im_kw: dict | None = None
    ) -> Self:
        """Draw the tables of a fitted classifier.

        Parameters
        ----------
        estimator : UnfoldedCRFClassifier
            Fitted, with a graph.
        sweep : int, default=-1
            Whose tables, where sweeps are untied: an index of ``potentials_``.
        ax : matplotlib.axes.Axes or array of them, default=None
            One to draw all panels in, or one for each panel; None makes a figure.
        im_kw : dict, default=None
            Arguments of ``ax.imshow``.

        Returns
        -------
        TransitionsDisplay

        Raises
        ------
        TypeError
            If the estimator is of another class.
        ValueError
            If it was fitted without a graph.
        """
        check_field(estimator)
        tables = estimator.potentials_[sweep]["tables"]
        if not tables:
            raise ValueError(
                "The classifier has no tables; fit it with graph_columns, and n_layers of 2 "
                "or more."
            )
        display = cls(tables, classes=estimator.classes_, kinds=estimator.edge_kinds_)
        return display.plot(ax, im_kw=im_kw)

    def plot(self, ax: Any = None, *, im_kw: dict | None = None) -> Self:
        """Draw the tables.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or array of them, default=None
            One to draw all panels in, or one for each panel; None makes a figure.
        im_kw : dict, default=None
            Arguments of ``ax.imshow``.

        Returns
        -------
        TransitionsDisplay
            This display.
        """
        n, largest = len(self.classes), max(np.abs(table).max() for table in self.tables)
        style = {"cmap": "RdBu_r", "vmin": -largest, "vmax": largest} | (im_kw or {})
        size = min(max(0.3 * n, 2.5), 7.0)
        self.axes_ = grid_of_axes(ax, 1, len(self.tables), (size + 0.8, size))
        for panel, table, kind in zip(self.axes_.flat, self.tables, self.kinds):
            image = panel.imshow(table, **style)
            panel.set(title=str(kind), xlabel="class of the target")
            if n <= 30:
                panel.set_xticks(range(n), self.classes, rotation=90 if n > 5 else 0)
                panel.set_yticks(range(n), self.classes)
        self.axes_.flat[0].set_ylabel("class of the source")
        self.figure_ = self.axes_.flat[0].figure
        self.figure_.colorbar(image, ax=list(self.axes_.flat), label="weight")
        return self


class MarginalsDisplay:
    """The probabilities of the classes along the rows of a sequence, as a heat map.

    Use `from_estimator` or the constructor, with `plot`, to make one.

    Parameters
    ----------
    marginals : array-like of shape (n_rows, n_classes)
        Probabilities of the classes.
    y : array-like of shape (n_rows,), default=None
        The true classes, which are framed.
    classes : array-like of shape (n_classes,)
        What the classes are called.
    labels : sequence of str, default=None
        What the rows are called, such as the words; None for their numbers.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        The axes.
    figure_ : matplotlib.figure.Figure
        Their figure.
    """

    def __init__(
        self,
        marginals: ArrayLike,
        *,
        classes: ArrayLike,
        y: ArrayLike | None = None,
        labels: Any = None,
    ) -> None:
        self.marginals = np.asarray(marginals)
        self.classes = np.asarray(classes)
        self.y = None if y is None else np.asarray(y)
        self.labels = labels

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        labels: Any = None,
        ax: Any = None,
        im_kw: dict | None = None,
    ) -> Self:
        """Draw the marginals of the rows of a sequence.

        Parameters
        ----------
        estimator : UnfoldedCRFClassifier
            Fitted.
        X : array-like of shape (n_rows, n_features)
            The rows, in the order in which they are drawn.
        y : array-like of shape (n_rows,), default=None
            The true classes, which are framed.
        labels : sequence of str, default=None
            What the rows are called; None for their numbers.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a figure.
        im_kw : dict, default=None
            Arguments of ``ax.imshow``.

        Returns
        -------
        MarginalsDisplay

        Raises
        ------
        TypeError
            If the estimator is of another class.
        ValueError
            If y does not fit X, or holds a class that the estimator does not know.
        """
        check_field(estimator)
        p = estimator.predict_proba(X)
        display = cls(p, classes=estimator.classes_, y=y, labels=labels)
        return display.plot(ax, im_kw=im_kw)

    def plot(self, ax: Any = None, *, im_kw: dict | None = None) -> Self:
        """Draw the marginals.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a figure.
        im_kw : dict, default=None
            Arguments of ``ax.imshow``.

        Returns
        -------
        MarginalsDisplay
            This display.
        """
        if self.y is not None:
            _check_classes(self.y, len(self.marginals), self.classes)
        ax = self.ax_ = one_axes(ax)
        style = {"cmap": "Blues", "vmin": 0.0, "vmax": 1.0, "aspect": "auto"} | (im_kw or {})
        image = ax.imshow(self.marginals.T, **style)
        n_rows, n_classes = self.marginals.shape
        if n_classes <= 30:
            ax.set_yticks(range(n_classes), self.classes)
        if self.labels is not None:
            ax.set_xticks(range(n_rows), self.labels)
        ax.set(xlabel="row", ylabel="class")
        if self.y is not None:
            for row, label in enumerate(self.y):
                place = np.flatnonzero(self.classes == label)[0]
                corner = (row - 0.5, place - 0.5)
                ax.add_patch(_frame(corner))
        self.figure_ = ax.figure
        self.figure_.colorbar(image, ax=ax, label="probability")
        return self


class ClassImagesDisplay:
    """The classes of the pixels of an image after each sweep, side by side.

    Use `from_estimator` to make one.

    Parameters
    ----------
    images : array-like of shape (n_sweeps, height, width)
        The number of the class of each pixel after each sweep; -1 where there is no pixel.
    classes : array-like of shape (n_classes,)
        What the classes are called.
    truth : array-like of shape (height, width), default=None
        The true ones, which are drawn last.

    Attributes
    ----------
    axes_ : ndarray of matplotlib.axes.Axes
        The panels, a row.
    figure_ : matplotlib.figure.Figure
        Their figure.
    """

    def __init__(
        self, images: ArrayLike, *, classes: ArrayLike, truth: ArrayLike | None = None
    ) -> None:
        self.images = np.asarray(images)
        self.classes = np.asarray(classes)
        self.truth = None if truth is None else np.asarray(truth)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        ax: Any = None,
        im_kw: dict | None = None,
    ) -> Self:
        """Draw how the classes of an image change from sweep to sweep.

        Parameters
        ----------
        estimator : UnfoldedCRFClassifier
            Fitted, with ``graph="grid"``.
        X : ndarray of shape (n_pixels, n_features)
            The pixels of one image.
        y : array-like of shape (n_pixels,), default=None
            Their true classes, which are drawn last.
        ax : matplotlib.axes.Axes or array of them, default=None
            One to draw all panels in, or one for each panel; None makes a figure.
        im_kw : dict, default=None
            Arguments of ``ax.imshow``.

        Returns
        -------
        ClassImagesDisplay

        Raises
        ------
        TypeError
            If the estimator is of another class.
        ValueError
            If its graph is no grid, if X holds pixels of several images or of one that is too
            large to draw, or if y does not fit.
        """
        check_field(estimator)
        if estimator.graph != "grid" or estimator.graph_columns is None:
            raise ValueError(
                f"The classifier has graph={estimator.graph!r}; pictures are drawn of "
                "graph='grid' with graph_columns."
            )
        place = np.asarray(X)[:, estimator.graph_columns_].astype(float).astype(int)
        if len(np.unique(place[:, 0])) > 1:
            raise ValueError("X holds pixels of several images; give those of one.")
        row, column = (place[:, 1:] - place[:, 1:].min(axis=0)).T
        shape = int(row.max()) + 1, int(column.max()) + 1
        if shape[0] * shape[1] > MAX_PIXELS:
            raise ValueError(
                f"X holds pixels of an image of {shape[0]} times {shape[1]}; pictures have at "
                f"most {MAX_PIXELS} pixels. Are its rows and columns in graph_columns="
                f"{estimator.graph_columns!r}?"
            )
        if y is not None:
            _check_classes(y, len(place), estimator.classes_)

        def image(labels):
            out = np.full(shape, -1)
            out[row, column] = np.searchsorted(estimator.classes_, labels)
            return out

        images = [image(labels) for labels in estimator.staged_predict(X)]
        truth = None if y is None else image(y)
        return cls(images, classes=estimator.classes_, truth=truth).plot(ax, im_kw=im_kw)

    def plot(self, ax: Any = None, *, im_kw: dict | None = None) -> Self:
        """Draw the images.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or array of them, default=None
            One to draw all panels in, or one for each panel; None makes a figure.
        im_kw : dict, default=None
            Arguments of ``ax.imshow``.

        Returns
        -------
        ClassImagesDisplay
            This display.
        """
        panels = {f"sweep {k + 1}": image for k, image in enumerate(self.images)}
        if self.truth is not None:
            panels["truth"] = self.truth
        style = {"vmin": -0.5, "vmax": len(self.classes) - 0.5, "interpolation": "nearest"}
        self.axes_ = grid_of_axes(ax, 1, len(panels), (2.0, 2.2))
        for panel, (title, values) in zip(self.axes_.flat, panels.items()):
            masked = np.ma.masked_less(values, 0)
            drawn = panel.imshow(masked, **(style | {"cmap": "viridis"} | (im_kw or {})))
            panel.set(xticks=[], yticks=[], title=title)
        self.figure_ = self.axes_.flat[0].figure
        bar = self.figure_.colorbar(drawn, ax=list(self.axes_.flat), label="class")
        if len(self.classes) <= 30:
            bar.set_ticks(range(len(self.classes)), labels=self.classes)
        return self


def _check_classes(y, n_rows, classes):
    """Check that there is a known class for each row."""
    if np.shape(y) != (n_rows,):
        raise ValueError(
            f"y has the shape {np.shape(y)}; give a class for each of {n_rows} rows."
        )
    if len(unknown := np.setdiff1d(y, classes)):
        raise ValueError(f"y holds {str(unknown[0])!r}, which is none of the classes.")


def _frame(corner):
    from matplotlib.patches import Rectangle

    return Rectangle(corner, 1, 1, fill=False, ec="C1", lw=1.5)
