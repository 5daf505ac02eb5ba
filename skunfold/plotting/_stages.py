"""Score by layer."""

from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import is_classifier
from sklearn.metrics import get_scorer
from sklearn.utils.validation import check_is_fitted

from skunfold.plotting._axes import one_axes


class StagedScoreDisplay:
    """Score after each layer, or after each sweep of a classifier.

    Use `from_estimator` to make one.

    Parameters
    ----------
    scores : array-like of shape (n_layers,)
        The score of each layer's prediction.
    score_name : str, default=None
        What the scores are, for the axis.
    estimator_name : str, default=None
        What they are of, for the legend.

    Attributes
    ----------
    line_ : matplotlib.lines.Line2D
        The scores.
    ax_ : matplotlib.axes.Axes
        The axes.
    figure_ : matplotlib.figure.Figure
        Their figure.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skunfold import UnfoldedBPClassifier
    >>> from skunfold.plotting import StagedScoreDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> model = UnfoldedBPClassifier((8, 4), n_layers=3, solver="lbfgs", random_state=0)
    >>> display = StagedScoreDisplay.from_estimator(
    ...     model.fit(X, y), X, y, scoring="neg_log_loss", negate_score=True
    ... )
    >>> len(display.scores)
    3
    >>> display.ax_.get_ylabel()
    'log loss'
    """

    def __init__(
        self,
        scores: ArrayLike,
        *,
        score_name: str | None = None,
        estimator_name: str | None = None,
    ) -> None:
        self.scores = np.asarray(scores)
        self.score_name = score_name
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        y: ArrayLike,
        *,
        scoring: str | Callable | None = None,
        negate_score: bool = False,
        sample_weight: ArrayLike | None = None,
        name: str | None = None,
        ax: Any = None,
        line_kw: dict | None = None,
    ) -> Self:
        """Score the prediction of each layer of a fitted estimator, and draw the scores.

        Parameters
        ----------
        estimator : DeepNMFRegressor, UnfoldedMeanFieldClassifier or UnfoldedBPClassifier
            Fitted.
        X : array-like of shape (n_samples, n_features)
            Data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The truth.
        scoring : str or callable, default=None
            A name of :func:`sklearn.metrics.get_scorer_names` or a scorer; None for R^2 or
            accuracy, as in ``score``. It may use predictions and probabilities, but not the
            decision function.
        negate_score : bool, default=False
            Whether to show the scores with the other sign, for those whose names begin
            with ``neg_``.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the score.
        name : str, default=None
            What the curve is called in the legend, for several on the same axes.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a figure.
        line_kw : dict, default=None
            Arguments of ``ax.plot``.

        Returns
        -------
        StagedScoreDisplay
            Its `scores` have the sign that is shown.

        Raises
        ------
        TypeError
            If the estimator does not predict in stages.
        """
        check_is_fitted(estimator)
        if not hasattr(estimator, "staged_predict"):
            raise TypeError(
                f"{type(estimator).__name__} has no staged_predict; give an unfolded estimator."
            )
        if scoring is None:
            scoring = "accuracy" if is_classifier(estimator) else "r2"
        scorer = get_scorer(scoring)
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        scores = [scorer(stage, X, y, **weights) for stage in _stages(estimator, X)]
        display = cls(
            np.negative(scores) if negate_score else scores,
            score_name=_name_of_score(scoring, negate_score),
            estimator_name=name,
        )
        return display.plot(ax, line_kw=line_kw)

    def plot(
        self, ax: Any = None, *, name: str | None = None, line_kw: dict | None = None
    ) -> Self:
        """Draw the scores.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None makes a figure.
        name : str, default=None
            Replaces `estimator_name`.
        line_kw : dict, default=None
            Arguments of ``ax.plot``.

        Returns
        -------
        StagedScoreDisplay
            This display.
        """
        ax = one_axes(ax)
        name = self.estimator_name if name is None else name
        style = {"marker": "o", "label": name} | (line_kw or {})
        (self.line_,) = ax.plot(
            np.arange(1, len(np.asarray(self.scores)) + 1), self.scores, **style
        )
        ax.set(xlabel="layer", ylabel=self.score_name or "score")
        ax.xaxis.get_major_locator().set_params(integer=True)
        if name is not None:
            ax.legend(frameon=False)
        self.ax_, self.figure_ = ax, ax.figure
        return self


class _Stage:
    """An estimator cut off after some layer, with known outputs, for scorers."""

    def __init__(self, estimator, prediction):
        self._estimator = estimator
        self._prediction = prediction

    def predict(self, X):
        """Return the prediction."""
        return self._prediction

    def __sklearn_tags__(self):
        return self._estimator.__sklearn_tags__()


class _ClassifierStage(_Stage):
    """The same with probabilities."""

    def __init__(self, estimator, prediction, probabilities):
        super().__init__(estimator, prediction)
        self.classes_ = estimator.classes_
        self._probabilities = probabilities

    def predict_proba(self, X):
        """Return the probabilities."""
        return self._probabilities


def _stages(estimator: Any, X: ArrayLike) -> Iterator[_Stage]:
    """Yield the estimator cut off after the first layer, after the second, ..."""
    predictions = estimator.staged_predict(X)
    if is_classifier(estimator):
        for stage in zip(predictions, estimator.staged_predict_proba(X)):
            yield _ClassifierStage(estimator, *stage)
    else:
        for prediction in predictions:
            yield _Stage(estimator, prediction)


def _name_of_score(scoring: str | Callable, negate: bool) -> str | None:
    """Return what to call a score, from its name; None for a callable without one."""
    name = scoring if isinstance(scoring, str) else getattr(scoring, "__name__", None)
    if name is None:
        return None
    if name.startswith("neg_"):
        name = name[4:] if negate else f"negative_{name[4:]}"
    elif negate:
        name = f"negative_{name}"
    return name.replace("_", " ")
