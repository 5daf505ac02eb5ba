"""The axes of displays: given ones, or new ones."""

from typing import Any

import numpy as np

from skunfold._install import install_advice


def pyplot() -> Any:
    """Return ``matplotlib.pyplot``, or say how to install it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(f"Displays need matplotlib: {install_advice('plotting')}") from error
    return plt


def one_axes(ax: Any) -> Any:
    """Return the axes, or those of a new figure."""
    return pyplot().subplots(layout="constrained")[1] if ax is None else ax


def grid_of_axes(ax: Any, n_rows: int, n_columns: int, panel_size: tuple[float, float]) -> Any:
    """Return axes of shape (n_rows, n_columns), each about panel_size (width, height) inches.

    They are those of a new figure if `ax` is None, inside of `ax` if that is one, and
    otherwise the given ones.
    """
    if ax is None:
        width, height = panel_size
        figure = pyplot().figure(
            figsize=(n_columns * width, n_rows * height), layout="constrained"
        )
        return figure.subplots(n_rows, n_columns, squeeze=False)
    if hasattr(ax, "get_subplotspec"):
        place = ax.get_subplotspec()
        if place is None:
            raise ValueError("ax must be part of a grid; make it with figure.subplots().")
        ax.set_axis_off()
        return place.subgridspec(n_rows, n_columns).subplots(squeeze=False)
    given = np.asarray(ax, dtype=object)
    if given.size != n_rows * n_columns:
        raise ValueError(
            f"ax holds {given.size} axes; give {n_rows * n_columns} ({n_rows} rows of "
            f"{n_columns}), one to draw them in, or None."
        )
    return given.reshape(n_rows, n_columns)


def as_image(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return a vector as an image."""
    if values.size != shape[0] * shape[1]:
        raise ValueError(
            f"image_shape={shape!r} does not fit; give (height, width) with a product of "
            f"{values.size}."
        )
    return values.reshape(shape)
