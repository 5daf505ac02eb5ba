"""Bases of a layer, and their change in training."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skunfold.plotting._axes import as_image, grid_of_axes


class BasesDisplay:
    """Bases of a layer, the bases before training, and the change.

    Without an image shape these are heat maps with a row for each basis. With one, each basis
    is an image with its own colour scale: above the initial basis, then the trained one, below
    the change, red where it grew and blue where it shrank.

    Use `from_estimator` to make one.

    Parameters
    ----------
    bases : array-like of shape (n_components, n_features)
        The bases.
    start : array-like of shape (n_components, n_features), default=None
        The bases before training; None if they are not shown.

    Attributes
    ----------
    axes_ : ndarray of matplotlib.axes.Axes
        A row of panels (start, bases, change), or a row for each of these and a column for
        each basis.
    figure_ : matplotlib.figure.Figure
        Their figure.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.base import clone
    >>> from skunfold import DeepNMFRegressor
    >>> from skunfold.plotting import BasesDisplay
    >>> rng = np.random.default_rng(0)
    >>> y = rng.uniform(size=(200, 3))
    >>> X = y @ rng.uniform(size=(3, 20))
    >>> model = DeepNMFRegressor(3, n_layers=4, max_iter=20, tol=0, random_state=0).fit(X, y)
    >>> untrained = clone(model).set_params(n_trained_layers=0).fit(X, y)
    >>> display = BasesDisplay.from_estimator(model, start=untrained)
    >>> [ax.get_title() for ax in display.axes_.flat]
    ['start', 'bases', 'change']
    """

    def __init__(self, bases: ArrayLike, *, start: ArrayLike | None = None) -> None:
        self.bases = np.asarray(bases)
        self.start = None if start is None else np.asarray(start)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        layer: int = -1,
        start: Any = None,
        components: Sequence[int] | None = None,
        image_shape: tuple[int, int] | None = None,
        ax: Any = None,
        im_kw: dict | None = None,
    ) -> Self:
        """Draw the bases of a layer of a fitted estimator.

        Parameters
        ----------
        estimator : DeepNMFRegressor, SparseNMF or sklearn.decomposition.NMF
            Fitted.
        layer : int, default=-1
            Which layer, counted from 0; negative ones from the last. Ignored where there is
            only one set of bases, `components_`.
        start : estimator or array-like of shape (n_components, n_features), default=None
            The bases before training: the same model with ``n_trained_layers=0``, a fitted
            NMF, or an array. None shows the bases only.
        components : sequence of int, default=None
            Which bases to show, in this order; None for all.
        image_shape : (int, int), default=None
            Height and width of the image that a basis is, if it is one.
        ax : matplotlib.axes.Axes or array of them, default=None
            One to draw all panels in, or one for each panel; None makes a figure.
        im_kw : dict, default=None
            Arguments of ``ax.imshow`` for the bases.

        Returns
        -------
        BasesDisplay
            It holds the bases that are shown.

        Raises
        ------
        TypeError
            If the estimator has no bases.
        ValueError
            If there is no such layer, the start has another shape, or `image_shape` does not
            fit the features.
        """
        bases = _bases_of(estimator, layer)
        if start is not None:
            start = _bases_of(start, layer) if hasattr(start, "fit") else np.asarray(start)
            if start.shape != bases.shape:
                raise ValueError(
                    f"start has bases of shape {start.shape}, but the layer's are "
                    f"{bases.shape}; give what this model started from."
                )
        if components is not None:
            chosen = list(components)
            bases, start = bases[chosen], None if start is None else start[chosen]
        return cls(bases, start=start).plot(ax, image_shape=image_shape, im_kw=im_kw)

    def plot(
        self,
        ax: Any = None,
        *,
        image_shape: tuple[int, int] | None = None,
        im_kw: dict | None = None,
    ) -> Self:
        """Draw the bases.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or array of them, default=None
            One to draw all panels in, or one for each panel; None makes a figure.
        image_shape : (int, int), default=None
            Height and width of the image that a basis is, if it is one.
        im_kw : dict, default=None
            Arguments of ``ax.imshow`` for the bases.

        Returns
        -------
        BasesDisplay
            This display.
        """
        style = {"cmap": "magma", "vmin": 0.0, "interpolation": "nearest"} | (im_kw or {})
        matrices = {"bases": self.bases}
        if self.start is not None:
            change = self.bases - self.start
            matrices = {"start": self.start, "bases": self.bases, "change": change}
            limit = np.abs(change).max() or 1.0
        diverging = {"cmap": "RdBu_r", "interpolation": "nearest"}
        styles = dict.fromkeys(matrices, style)
        if self.start is not None:
            styles["change"] = diverging | {"vmin": -limit, "vmax": limit}
        if image_shape is None:
            self._plot_heat_maps(ax, matrices, styles)
        else:
            self._plot_images(ax, matrices, styles, image_shape)
        self.figure_ = self.axes_.flat[0].figure
        return self

    def _plot_heat_maps(self, ax, matrices, styles):
        height = min(max(0.3 * len(self.bases), 2.4), 7.0)
        self.axes_ = grid_of_axes(ax, 1, len(matrices), (3.4, height))
        for panel, (name, matrix) in zip(self.axes_.flat, matrices.items()):
            image = panel.imshow(matrix, aspect="auto", **styles[name])
            panel.set(title=name, xlabel="feature")
            panel.yaxis.get_major_locator().set_params(integer=True)
            panel.figure.colorbar(image, ax=panel)
        self.axes_[0, 0].set_ylabel("basis")

    def _plot_images(self, ax, matrices, styles, image_shape):
        self.axes_ = grid_of_axes(ax, len(matrices), len(self.bases), (0.9, 0.95))
        for panels, (name, matrix) in zip(self.axes_, matrices.items()):
            for panel, values in zip(panels, matrix):
                panel.imshow(as_image(values, image_shape), **styles[name])
                panel.set(xticks=[], yticks=[])
            panels[0].set_ylabel(name)


def _bases_of(estimator: Any, layer: int) -> np.ndarray:
    """Return the bases of one layer, or the only ones."""
    check_is_fitted(estimator)
    if hasattr(estimator, "components_"):
        return estimator.components_
    if not hasattr(estimator, "bases_"):
        raise TypeError(
            f"{type(estimator).__name__} has no bases_ and no components_; give a deep NMF or "
            "an NMF."
        )
    n_layers = len(estimator.bases_)
    if not -n_layers <= layer < n_layers:
        raise ValueError(f"layer={layer} does not exist; the model has {n_layers} layers.")
    return estimator.bases_[layer]
