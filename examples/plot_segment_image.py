"""
============================================================
Segment an image: a conditional random field on a pixel grid
============================================================

Each pixel of a noisy image belongs to one of three regions. Its own colour hardly tells which;
those of its neighbours help. A conditional random field on the grid of pixels learns from the
left half of a photograph how regions look and which lie beside which, and segments the right
half.
"""

# %%
# A photograph, its regions, and noise
# ------------------------------------
# The regions are clusters of colours of the clean image. The columns after the colours say
# where a pixel is: in which image, in which row and column.
import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import load_sample_image

photograph = load_sample_image("flower.jpg")[::4, ::4] / 255
height, width, _ = photograph.shape
clusters = KMeans(3, n_init=1, random_state=0).fit(photograph.reshape(-1, 3))
regions = clusters.labels_.reshape(height, width)
noisy = photograph + 0.35 * np.random.default_rng(0).normal(size=photograph.shape)


def as_rows(colours):
    """Return the pixels of an image as rows."""
    row, column = np.indices(colours.shape[:2]).reshape(2, -1)
    return np.column_stack([colours.reshape(-1, 3), np.zeros_like(row), row, column])


half = width // 2
X, y = as_rows(noisy[:, :half]), regions[:, :half].ravel()
X_test, y_test = as_rows(noisy[:, half:]), regions[:, half:].ravel()

# %%
# Pixels by themselves, and with their neighbours
# -----------------------------------------------
# One image is one component, which "lbfgs" takes as a whole. Six layers are five rounds of
# messages, so that pixels up to five steps away influence each other.
import warnings

from sklearn.exceptions import ConvergenceWarning

from skunfold import UnfoldedCRFClassifier

warnings.simplefilter("ignore", ConvergenceWarning)  # training is kept short
model = UnfoldedCRFClassifier(
    graph="grid",
    graph_columns=[-3, -2, -1],
    n_layers=6,
    solver="lbfgs",
    max_iter=40,
    random_state=0,
)
model.fit(X, y)
stages = list(model.staged_predict(X_test))
for layer, stage in enumerate(stages, 1):
    print(f"after layer {layer}: {np.mean(stage == y_test):.3f}")

# %%
# From sweep to sweep
# -------------------
import matplotlib.pyplot as plt

from skunfold.plotting import ClassImagesDisplay, TransitionsDisplay

fig, axes = plt.subplots(1, 8, figsize=(13, 2.8), layout="constrained")
axes[0].imshow(np.clip(noisy[:, half:], 0, 1))
axes[0].set(title="noisy image", xticks=[], yticks=[])
ClassImagesDisplay.from_estimator(model, X_test, y_test, ax=axes[1:])

# %%
# Two tables were learned, for pixels side by side and for pixels one above the other:
# neighbours mostly have the same class.
TransitionsDisplay.from_estimator(model)
plt.show()
