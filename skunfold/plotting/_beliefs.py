"""Beliefs by sweep."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skunfold.plotting._axes import as_image, grid_of_axes


class BeliefsDisplay:
    """The probability of each class or label after each sweep, sample by sample.

    Without an image shape, each sample is a heat map of classes or labels against sweeps, where
    the true class is framed, or the true labels have a mark at the right. With one, the labels
    are pixels: each sample is a row of images, one for each sweep.

    Use `from_estimator` or `from_predictions` to make one.

    Parameters
    ----------
    beliefs : array-like of shape (n_sweeps, n_samples, n_classes) or \
(n_sweeps, n_samples, n_labels)
        Probabilities of the classes, or of each label being on, after each sweep.
    y : array-like of shape (n_samples,) or (n_samples, n_labels), default=None
        The truth, which is marked: classes, or a label indicator matrix.
    classes : array-like of shape (n_classes,), default=None
        What the classes or labels are called; None for their numbers.

    Attributes
    ----------
    axes_ : ndarray of matplotlib.axes.Axes
        A row of panels, or a row for each sample and a column for each sweep (and the truth).
    figure_ : matplotlib.figure.Figure
        Their figure.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skunfold import UnfoldedMeanFieldClassifier
    >>> from skunfold.plotting import BeliefsDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> model = UnfoldedMeanFieldClassifier(8, n_layers=4, solver="lbfgs", random_state=0)
    >>> display = BeliefsDisplay.from_estimator(model.fit(X, y), X[::40], y[::40])
    >>> display.beliefs.shape
    (4, 4, 3)
    """

    def __init__(
        self,
        beliefs: ArrayLike,
        *,
        y: ArrayLike | None = None,
        classes: ArrayLike | None = None,
    ) -> None:
        self.beliefs = np.asarray(beliefs)
        self.y = None if y is None else np.asarray(y)
        n_classes = self.beliefs.shape[-1]
        self.classes = np.arange(n_classes) if classes is None else np.asarray(classes)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        image_shape: tuple[int, int] | None = None,
        ax: Any = None,
        im_kw: dict | None = None,
    ) -> Self:
        """Draw the beliefs of a fitted classifier about some samples.

        Parameters
        ----------
        estimator : UnfoldedMeanFieldClassifier or UnfoldedBPClassifier
            Fitted.
        X : array-like of shape (n_samples, n_features)
            A few samples; each takes a panel or a row.
        y : array-like of shape (n_samples,) or (n_samples, n_labels), default=None
            The truth, which is marked.
        image_shape : (int, int), default=None
            Height and width of the image that the labels are the pixels of, if so.
        ax : matplotlib.axes.Axes or array of them, default=None
            One to draw all panels in, or one for each panel; None makes a figure.
        im_kw : dict, default=None
            Arguments of ``ax.imshow``.

        Returns
        -------
        BeliefsDisplay

        Raises
        ------
        TypeError
            If the estimator has no beliefs by sweep.
        ValueError
            If y does not fit, or `image_shape` does not fit the labels.
        """
        check_is_fitted(estimator)
        if not hasattr(estimator, "staged_predict_proba"):
            raise TypeError(
                f"{type(estimator).__name__} has no staged_predict_proba; give an unfolded "
                "classifier."
            )
        beliefs = list(estimator.staged_predict_proba(X))
        return cls.from_predictions(
            beliefs, y, classes=estimator.classes_, image_shape=image_shape, ax=ax, im_kw=im_kw
        )

    @classmethod
    def from_predictions(
        cls,
        beliefs: ArrayLike,
        y: ArrayLike | None = None,
        *,
        classes: ArrayLike | None = None,
        image_shape: tuple[int, int] | None = None,
        ax: Any = None,
        im_kw: dict | None = None,
    ) -> Self:
        """Draw beliefs that are already known.

        Parameters
        ----------
        beliefs : array-like of shape (n_sweeps, n_samples, n_classes) or \
(n_sweeps, n_samples, n_labels)
            The probabilities, such as ``list(classifier.staged_predict_proba(X))``.
        y : array-like of shape (n_samples,) or (n_samples, n_labels), default=None
            The truth, which is marked.
        classes : array-like of shape (n_classes,), default=None
            What the classes or labels are called; None for their numbers.
        image_shape : (int, int), default=None
            Height and width of the image that the labels are the pixels of, if so.
        ax : matplotlib.axes.Axes or array of them, default=None
            One to draw all panels in, or one for each panel; None makes a figure.
        im_kw : dict, default=None
            Arguments of ``ax.imshow``.

        Returns
        -------
        BeliefsDisplay

        Raises
        ------
        ValueError
            If y does not fit the beliefs, or `image_shape` does not fit the labels.
        """
        display = cls(beliefs, y=y, classes=classes)
        display._check_truth()
        return display.plot(ax, image_shape=image_shape, im_kw=im_kw)

    def plot(
        self,
        ax: Any = None,
        *,
        image_shape: tuple[int, int] | None = None,
        im_kw: dict | None = None,
    ) -> Self:
        """Draw the beliefs.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or array of them, default=None
            One to draw all panels in, or one for each panel; None makes a figure.
        image_shape : (int, int), default=None
            Height and width of the image that the labels are the pixels of, if so.
        im_kw : dict, default=None
            Arguments of ``ax.imshow``.

        Returns
        -------
        BeliefsDisplay
            This display.
        """
        style = {"vmin": 0.0, "vmax": 1.0, "interpolation": "nearest"}
        if image_shape is None:
            self._plot_heat_maps(ax, style | {"cmap": "magma"} | (im_kw or {}))
        else:
            self._plot_images(ax, style | {"cmap": "gray_r"} | (im_kw or {}), image_shape)
        self.figure_ = self.axes_.flat[0].figure
        return self

    def _check_truth(self):
        if self.y is None:
            return
        _, n_samples, n_classes = self.beliefs.shape
        shapes = ((n_samples,), (n_samples, n_classes))
        if self.y.shape not in shapes:
            raise ValueError(
                f"y has shape {self.y.shape}; give {shapes[0]} classes or {shapes[1]} labels."
            )
        unknown = np.setdiff1d(self.y, self.classes)
        if self.y.ndim == 1 and unknown.size:
            raise ValueError(f"y holds {str(unknown[0])!r}, which is none of the classes.")

    def _plot_heat_maps(self, ax, style):
        n_sweeps, n_samples, n_classes = self.beliefs.shape
        height = min(max(0.25 * n_classes, 2.0), 7.0)
        self.axes_ = grid_of_axes(ax, 1, n_samples, (1.1 + 0.12 * n_sweeps, height))
        edges = (0.5, n_sweeps + 0.5, n_classes - 0.5, -0.5)
        for k, panel in enumerate(self.axes_.flat):
            image = panel.imshow(
                self.beliefs[:, k].T, aspect="auto", extent=edges, origin="upper", **style
            )
            panel.set(xlabel="sweep", yticks=[])
            if n_sweeps <= 8:
                panel.set_xticks(range(1, n_sweeps + 1))
            if self.y is not None and self.y.ndim == 2:
                on = np.flatnonzero(self.y[k])
                panel.plot(np.full(len(on), n_sweeps + 0.5), on, "<", color="C2", clip_on=False)
            elif self.y is not None:
                place = np.flatnonzero(self.classes == self.y[k])[0]
                panel.axhspan(place - 0.5, place + 0.5, fill=False, ec="C2", lw=2)
        first = self.axes_.flat[0]
        if n_classes <= 30:
            first.set_yticks(np.arange(n_classes), self.classes)
        first.set_ylabel("class" if self.y is None or self.y.ndim == 1 else "label")
        first.figure.colorbar(image, ax=list(self.axes_.flat), label="belief")

    def _plot_images(self, ax, style, image_shape):
        n_sweeps, n_samples, _ = self.beliefs.shape
        columns = dict(zip((f"sweep {k + 1}" for k in range(n_sweeps)), self.beliefs))
        if self.y is not None and self.y.ndim == 2:
            columns["truth"] = self.y
        self.axes_ = grid_of_axes(ax, n_samples, len(columns), (1.0, 1.05))
        for panels, images in zip(self.axes_.T, columns.values()):
            for panel, values in zip(panels, images):
                panel.imshow(as_image(values, image_shape), **style)
                panel.set(xticks=[], yticks=[])
        for panel, title in zip(self.axes_[0], columns):
            panel.set_title(title, fontsize="small")
