"""
==================================
Denoise digits with coupled pixels
==================================

Binary images, each pixel flipped with a probability of 15 %, are restored by a Markov random
field: one binary label for each pixel, coupled to the labels of the others. Inference in the
field is unfolded into a few sweeps, and its potentials are trained through them. A multi-layer
perceptron with fifty times as many parameters sees the same pixels.
"""

# %%
# Images
# ------
# Targets are the clean pixels: a matrix with a column for each label.
import numpy as np
from sklearn.datasets import load_digits

rng = np.random.default_rng(0)
clean = (load_digits().data >= 8).astype(int)
noisy = np.where(rng.random(clean.shape) < 0.15, 1 - clean, clean)
order = rng.permutation(len(clean))
train, test = order[:1200], order[1200:]

# %%
# A network
# ---------
# Its size, penalty and number of epochs are the best of the 43 settings that
# ``benchmarks/label_graph_denoising.py`` tries on held-out training images.
import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

warnings.simplefilter("ignore", ConvergenceWarning)
network = MLPClassifier(800, alpha=5.0, max_iter=600, tol=0, random_state=0)
network.fit(noisy[train], clean[train])

# %%
# A field
# -------
# Each pair of pixels has its own coupling weight. With ``coupling="local"`` a pixel sees, in
# the noisy image, only the 3x3 pixels around it, by nine weights that all pixels share: the
# probability of a flip is the same everywhere. (In a larger image, couple neighbours only:
# :func:`~sklearn.feature_extraction.image.grid_to_graph` or
# :func:`~sklearn.neighbors.radius_neighbors_graph`.)
from skunfold import UnfoldedBPClassifier, UnfoldedMeanFieldClassifier

padded = np.pad(2 * noisy.reshape(-1, 8, 8) - 1, [(0, 0), (1, 1), (1, 1)])
shifts = [(i, j) for i in range(3) for j in range(3)]
around = np.hstack([padded[:, i : i + 8, j : j + 8].reshape(-1, 64) for i, j in shifts])
settings = {
    "hidden_layer_sizes": (),
    "tied": True,
    "label_graph": "full",
    "coupling": "local",
    "alpha": 0.01,
    "batch_size": 100,
    "learning_rate_init": 0.03,
    "max_iter": 80,
    "tol": 1e-5,
    "random_state": 0,
}
mean_field = UnfoldedMeanFieldClassifier(n_layers=8, **settings)
mean_field.fit(around[train], clean[train])

# %%
# The same field, trained further for inference by belief propagation:
settings |= {"init": mean_field, "learning_rate_init": 0.01, "max_iter": 15}
bp = UnfoldedBPClassifier(n_layers=4, **settings).fit(around[train], clean[train])

# %%
# Restored images
# ---------------
# The images show the probability of each pixel to be on. Log-losses are means over the pixels
# of all test images.
import matplotlib.pyplot as plt


def log_loss_of(p):
    """Return the mean log-loss of a pixel."""
    return -np.mean(np.log(np.where(clean[test] == 1, p, 1 - p)))


restored = {
    "MLPClassifier": network.predict_proba(noisy[test]),
    "mean field": mean_field.predict_proba(around[test]),
    "belief propagation": bp.predict_proba(around[test]),
}
n_network = sum(w.size for w in network.coefs_ + network.intercepts_)
sizes = [n_network, mean_field.n_parameters_, bp.n_parameters_]
rows = {"clean": clean[test], "noisy": noisy[test]}
for (name, p), size in zip(restored.items(), sizes):
    rows[f"{name}\nlog-loss {log_loss_of(p):.3f}\n{size:,} parameters"] = p
n_shown = 10
figure, axes = plt.subplots(len(rows), n_shown, figsize=(10, 5), layout="constrained")
for row, (name, images) in zip(axes, rows.items()):
    for axis, image in zip(row, images):
        axis.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        axis.set(xticks=[], yticks=[])
    row[0].set_ylabel(name, rotation=0, ha="right", va="center")

# %%
# Beliefs after each sweep
# ------------------------
# In the first sweep a pixel uses only the nine around it; then beliefs spread along the
# couplings.
from skunfold.plotting import BeliefsDisplay

few = test[:3]
BeliefsDisplay.from_estimator(mean_field, around[few], clean[few], image_shape=(8, 8))

# %%
# Learned couplings
# -----------------
# Left: the couplings of one pixel to those around it. Right: how the log-loss falls from sweep
# to sweep; in the first, pixels do not influence each other yet.
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
centre = 8 * 3 + 4
couplings = np.full(64, np.nan)
for i, j, weight in zip(*bp.label_edges_, bp.potentials_[0]["lateral"][-1]):
    if centre in (i, j):
        couplings[i + j - centre] = weight
limit = np.nanmax(np.abs(couplings))
shown = left.imshow(couplings.reshape(8, 8), cmap="RdBu_r", vmin=-limit, vmax=limit)
left.plot(4, 3, "ko")
left.set(xticks=[], yticks=[], title="couplings of the marked pixel")
figure.colorbar(shown, ax=left)
for name, model in (("mean field", mean_field), ("belief propagation", bp)):
    losses = [log_loss_of(p) for p in model.staged_predict_proba(around[test])]
    right.plot(range(1, len(losses) + 1), losses, "o-", label=name)
right.axhline(log_loss_of(restored["MLPClassifier"]), color="k", ls="--", label="MLPClassifier")
right.set(xticks=range(1, 9), xlabel="sweeps", ylabel="log-loss of a pixel")
right.spines[["top", "right"]].set_visible(False)
right.legend(frameon=False)
plt.show()
