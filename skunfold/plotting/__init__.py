"""Plots; matplotlib is imported when one is drawn.

Displays work as in scikit-learn: a class method computes the data and draws it; `plot` draws it
again, on other axes or with other arguments.
"""

from skunfold.plotting._bases import BasesDisplay
from skunfold.plotting._beliefs import BeliefsDisplay
from skunfold.plotting._losses import LossCurveDisplay
from skunfold.plotting._rows import ClassImagesDisplay, MarginalsDisplay, TransitionsDisplay
from skunfold.plotting._spectrograms import SpectrogramDisplay, plot_spectrograms
from skunfold.plotting._stages import StagedScoreDisplay

__all__ = [
    "BasesDisplay",
    "BeliefsDisplay",
    "ClassImagesDisplay",
    "LossCurveDisplay",
    "MarginalsDisplay",
    "SpectrogramDisplay",
    "StagedScoreDisplay",
    "TransitionsDisplay",
    "plot_spectrograms",
]
