"""
====================================
From NMF to deep NMF, layer by layer
====================================

A three and a four were drawn on top of each other: which ink is the three's? Non-negative
matrix factorization explains the picture as a sum of parts of threes and parts of fours, by
iterations; deep NMF makes each iteration a layer of a network and trains it to separate.
:meth:`~skunfold.DeepNMFRegressor.staged_predict` shows the prediction of each layer.
"""

# %%
# Overlaid digits
# ---------------
# Half of scikit-learn's digits make the training pictures, the other half the test pictures.
import numpy as np
from sklearn.datasets import load_digits

images, labels = load_digits(return_X_y=True)
for_training = np.arange(len(images)) % 2 == 0


def overlay(chosen, n_pictures, rng):
    """Return sums of a three and a four, the threes and the fours."""
    drawn = [
        rng.choice(images[chosen & (labels == digit)], size=n_pictures) for digit in (3, 4)
    ]
    return sum(drawn), *drawn


rng = np.random.default_rng(1)
X_train, threes_train, fours_train = overlay(for_training, 3000, rng)
X, threes, fours = overlay(~for_training, 1000, rng)

# %%
# Three networks that begin the same
# ----------------------------------
# With mask output, the picture is divided between the two digits: the sum of both estimates is
# always the picture. All networks start from the same sparse NMF of threes and of fours, 12
# bases each; the first is not trained.
import warnings

from sklearn.exceptions import ConvergenceWarning

from skunfold import DeepNMFRegressor

warnings.simplefilter("ignore", ConvergenceWarning)
settings = {
    "n_components": (12, 12),
    "n_layers": 8,
    "output": "mask",
    "init": "sparse_nmf",
    "sparsity": 1.0,
    "batch_size": 256,
    "max_iter": 100,
    "early_stopping": True,
    "random_state": 0,
}
models = {
    "NMF, untrained": DeepNMFRegressor(n_trained_layers=0, **settings),
    "deep NMF, tied": DeepNMFRegressor(tied=True, **settings),
    "deep NMF, untied": DeepNMFRegressor(**settings),
}
stages = {}
for name, model in models.items():
    model.fit(X_train, threes_train, sources=[threes_train, fours_train])
    stages[name] = np.array(list(model.staged_predict(X)))

long = DeepNMFRegressor(**(settings | {"n_layers": 200, "n_trained_layers": 0}))
long.fit(X_train, threes_train, sources=[threes_train, fours_train])
converged = np.mean((long.predict(X) - threes) ** 2)

# %%
# The estimate of the three after each layer
# ------------------------------------------
# The error of the tied network falls from layer to layer, as with NMF, but faster and further.
# The untied network no longer works like NMF: only the estimates of its last layers look like a
# three.
import matplotlib.pyplot as plt

k = 0
bare = {"xticks": [], "yticks": []}
figure, axes = plt.subplots(3, 10, figsize=(9, 3), layout="constrained", subplot_kw=bare)
titles = ["picture", *(f"layer {i + 1}" for i in range(8)), "truth"]
for ax, title in zip(axes[0], titles):
    ax.set_title(title, fontsize="small")
for row, (name, predictions) in zip(axes, stages.items()):
    pictures = [X[k], *predictions[:, k], threes[k]]
    for ax, picture in zip(row, pictures):
        ax.imshow(picture.reshape(8, 8), cmap="Greys", vmin=0, vmax=20)
        ax.spines[:].set_color("0.8")
    row[0].set_ylabel(name.replace(", ", ",\n"), fontsize="small")

# %%
# Error by layer, and how the bases moved
# ---------------------------------------
# Training through the iterations turns parts that explain threes and fours, some of them common
# to both, into strokes that tell them apart.
from skunfold.plotting import BasesDisplay, StagedScoreDisplay

figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
scoring = {"scoring": "neg_mean_squared_error", "negate_score": True}
for name, model in models.items():
    StagedScoreDisplay.from_estimator(model, X, threes, name=name, ax=ax, **scoring)
ax.axhline(converged, color="C0", ls=":", label="NMF, 200 iterations")
ax.set(ylabel="mean squared error of a pixel", yscale="log")
ax.set_yticks([2, 3, 5, 10, 20], [2, 3, 5, 10, 20])
ax.minorticks_off()
ax.legend(frameon=False)

# %%
# The figure shows half of the bases of the tied network: those of threes on the left, those of
# fours on the right.
display = BasesDisplay.from_estimator(
    models["deep NMF, tied"],
    start=models["NMF, untrained"],
    components=[*range(6), *range(12, 18)],
    image_shape=(8, 8),
)
display.axes_[0, 2].set_title("threes")
display.axes_[0, 8].set_title("fours")
plt.show()
