"""Loss by epoch."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skunfold.plotting._axes import one_axes


class LossCurveDisplay:
    """Loss by epoch, in training and of held-out samples, with the best epoch marked.

    Use `from_estimator` to make one.

    Parameters
    ----------
    loss : array-like of shape (n_epochs,)
        Training loss of each epoch.
    validation_loss : array-like of shape (n_epochs,), default=None
        Loss of held-out samples after each epoch, nan where there were none.
    best_epoch : int, default=None
        The epoch whose parameters the model has, counted from 1; None marks none.
    best_loss : float, default=None
        The monitored loss at its end; None if `best_epoch` is.
    estimator_name : str, default=None
        What the curves are of, for the legend.

    Attributes
    ----------
    lines_ : list of matplotlib.lines.Line2D
        The training loss, and the validation loss if there is one.
    best_point_ : matplotlib.lines.Line2D or None
        The mark of the best epoch.
    ax_ : matplotlib.axes.Axes
        The axes.
    figure_ : matplotlib.figure.Figure
        Their figure.

    See Also
    --------
    sklearn.model_selection.LearningCurveDisplay : Scores by the number of training samples.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skunfold import UnfoldedMeanFieldClassifier
    >>> from skunfold.plotting import LossCurveDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> model = UnfoldedMeanFieldClassifier(8, max_iter=30, tol=0, random_state=0).fit(X, y)
    >>> display = LossCurveDisplay.from_estimator(model)
    >>> display.ax_.get_xlabel()
    'epoch'
    """

    def __init__(
        self,
        loss: ArrayLike,
        *,
        validation_loss: ArrayLike | None = None,
        best_epoch: int | None = None,
        best_loss: float | None = None,
        estimator_name: str | None = None,
    ) -> None:
        self.loss = np.asarray(loss)
        self.validation_loss = None if validation_loss is None else np.asarray(validation_loss)
        self.best_epoch = best_epoch
        self.best_loss = best_loss
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        name: str | None = None,
        ax: Any = None,
        line_kw: dict | None = None,
    ) -> Self:
        """Draw the loss curves of a fitted estimator.

        Parameters
        ----------
        estimator : DeepNMFRegressor, UnfoldedMeanFieldClassifier or UnfoldedBPClassifier
            Fitted, with trained layers. Of a pipeline or an enhancer give the estimator
            inside: ``pipeline[-1]``, ``enhancer.regressor_``.
        name : str, default=None
            What the curves are called in the legend, for several on the same axes.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a figure.
        line_kw : dict, default=None
            Arguments of ``ax.plot``, for all lines.

        Returns
        -------
        LossCurveDisplay
            No epoch is marked if none is as good as the parameters that training began with.

        Raises
        ------
        TypeError
            If the estimator keeps no history of training.
        ValueError
            If it was not trained for an epoch.
        """
        check_is_fitted(estimator)
        if not hasattr(estimator, "history_"):
            raise TypeError(
                f"{type(estimator).__name__} has no history_; give an estimator of skunfold "
                "that is trained by epochs, out of its pipeline or enhancer."
            )
        history = estimator.history_
        if not history:
            raise ValueError(
                f"{type(estimator).__name__} has no trained layers and so no loss by epoch."
            )
        monitored = [e.get("validation_loss", e.get("final_loss", e["loss"])) for e in history]
        best = [e["epoch"] for e, m in zip(history, monitored) if m == estimator.loss_]
        held_out = [epoch.get("validation_loss", np.nan) for epoch in history]
        display = cls(
            [epoch["loss"] for epoch in history],
            validation_loss=held_out if np.isfinite(held_out).any() else None,
            best_epoch=best[-1] if best else None,
            best_loss=estimator.loss_ if best else None,
            estimator_name=name,
        )
        return display.plot(ax, line_kw=line_kw)

    def plot(
        self, ax: Any = None, *, name: str | None = None, line_kw: dict | None = None
    ) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a figure.
        name : str, default=None
            Replaces `estimator_name`.
        line_kw : dict, default=None
            Arguments of ``ax.plot``, for all lines.

        Returns
        -------
        LossCurveDisplay
            This display.
        """
        ax = one_axes(ax)
        prefix = self.estimator_name if name is None else name
        prefix = "" if prefix is None else f"{prefix}, "
        curves = {"training": self.loss, "held-out": self.validation_loss}
        self.lines_ = []
        for label, losses in curves.items():
            if losses is not None:
                epochs = np.arange(1, len(losses) + 1)
                style = {"label": f"{prefix}{label}"} | (line_kw or {})
                self.lines_ += ax.plot(epochs, losses, **style)
        self.best_point_ = None
        if self.best_epoch is not None:
            ax.axvline(self.best_epoch, color="0.6", linewidth=1, linestyle=":", zorder=0)
            (self.best_point_,) = ax.plot(
                self.best_epoch,
                self.best_loss,
                "o",
                color=self.lines_[-1].get_color(),
                label=f"{prefix}best (epoch {self.best_epoch})",
            )
        ax.set(xlabel="epoch", ylabel="loss")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend(frameon=False)
        self.ax_, self.figure_ = ax, ax.figure
        return self
