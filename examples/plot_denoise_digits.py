"""
======================================
Denoise digits with coupled pixels
======================================

Binary images, each pixel flipped with a probability of 15 %, are restored by a Markov random
field: one binary label for each pixel, coupled to the labels around it. Inference in the field is
unfolded into four sweeps, and its potentials are trained through them. A multi-layer perceptron
with 88 times as many parameters sees the same pixels.
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
# Its size, penalty and number of epochs are the best of the 120 settings that
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
# Pixels up to 4.3 apart are coupled, each pair by a weight of its own. With
# ``coupling="local"`` a pixel sees only itself in the noisy image, by one weight for all
# pixels: how likely a flip is does not depend on where it is.
from sklearn.neighbors import radius_neighbors_graph

from skunfold import UnfoldedBPClassifier, UnfoldedMeanFieldClassifier

pixels = np.argwhere(np.ones((8, 8)))
settings = {
    "hidden_layer_sizes": (),
    "n_layers": 4,
    "label_graph": radius_neighbors_graph(pixels, radius=4.3),
    "coupling": "local",
    "alpha": 1.0,
    "batch_size": 100,
    "learning_rate_init": 0.03,
    "max_iter": 80,
    "random_state": 0,
}
mean_field = UnfoldedMeanFieldClassifier(**settings).fit(noisy[train], clean[train])
bp = UnfoldedBPClassifier(**settings).fit(noisy[train], clean[train])

# %%
# See it
# ------
# The probability of each pixel to be on. Log-losses are means over the pixels of all test
# images.
import matplotlib.pyplot as plt


def log_loss_of(model):
    p = model.predict_proba(noisy[test])
    return -np.mean(np.log(np.where(clean[test] == 1, p, 1 - p)))


n_network = sum(w.size for w in network.coefs_ + network.intercepts_)
rows = [
    ("clean", clean[test]),
    ("noisy", noisy[test]),
    *(
        (f"{name}\nlog-loss {log_loss_of(model):.3f}\n{size:,} parameters", model)
        for name, model, size in [
            ("MLPClassifier", network, n_network),
            ("mean field", mean_field, mean_field.n_parameters_),
            ("belief propagation", bp, bp.n_parameters_),
        ]
    ),
]
n_shown = 10
figure, axes = plt.subplots(len(rows), n_shown, figsize=(10, 5), layout="constrained")
for row, (name, images) in zip(axes, rows):
    if not isinstance(images, np.ndarray):
        images = images.predict_proba(noisy[test[:n_shown]])
    for axis, image in zip(row, images):
        axis.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        axis.set(xticks=[], yticks=[])
    row[0].set_ylabel(name, rotation=0, ha="right", va="center")

# %%
# What the field has learned
# --------------------------
# Left: the couplings of one pixel to those around it. Right: how the log-loss falls from sweep
# to sweep; the first sees no neighbours yet.
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
centre = 8 * 3 + 4
around = np.full(64, np.nan)
for i, j, weight in zip(*bp.label_edges_, bp.potentials_[0]["lateral"][-1]):
    if centre in (i, j):
        around[i + j - centre] = weight
limit = np.nanmax(np.abs(around))
shown = left.imshow(around.reshape(8, 8), cmap="RdBu_r", vmin=-limit, vmax=limit)
left.plot(4, 3, "ko")
left.set(xticks=[], yticks=[], title="couplings of the marked pixel")
figure.colorbar(shown, ax=left)
for name, model in (("mean field", mean_field), ("belief propagation", bp)):
    stages = [
        -np.mean(np.log(np.where(clean[test] == 1, p, 1 - p)))
        for p in model.staged_predict_proba(noisy[test])
    ]
    right.plot(range(1, 5), stages, "o-", label=name)
right.axhline(log_loss_of(network), color="k", linestyle="--", label="MLPClassifier")
right.set(xticks=range(1, 5), xlabel="sweeps", ylabel="log-loss of a pixel")
right.legend()
plt.show()
