"""
===================================================
Convert between networks, fields and factorizations
===================================================

Models that look different are often the same computation, or nearly. :mod:`skunfold.convert`
converts one into another: a converted model predicts at once, and `fit` trains it further.
"""

# %%
# A network becomes a field, with mean field and with belief propagation
# ----------------------------------------------------------------------
# Mean field with one sweep is the network exactly. Belief propagation on the same field equals
# it to first order in the couplings: if all couplings above the first layer are divided by ten,
# the difference becomes a hundred times smaller.
import warnings
from copy import deepcopy

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import BernoulliRBM, MLPClassifier

from skunfold.convert import (
    mean_field_to_bp,
    mlp_to_mean_field,
    nmf_to_deep_nmf,
    rbm_to_bp,
    tables_to_weights,
    weights_to_tables,
)

warnings.simplefilter("ignore", ConvergenceWarning)
X, y = load_digits(return_X_y=True)
X = X / 16
network = MLPClassifier(20, activation="logistic", max_iter=100, random_state=0).fit(X, y)

scales = np.logspace(-3, 0, 10)
differences = {"mean field": [], "belief propagation": []}
for scale in scales:
    scaled = deepcopy(network)
    scaled.coefs_[1] *= scale
    mean_field = mlp_to_mean_field(scaled)
    for name, model in zip(differences, (mean_field, mean_field_to_bp(mean_field))):
        difference = np.abs(model.predict_proba(X) - scaled.predict_proba(X))
        differences[name].append(difference.max())

# %%
# A Boltzmann machine becomes a classifier
# ----------------------------------------
# A Boltzmann machine is trained on images without classes. Its hidden units become the hidden
# layer of a discriminative restricted Boltzmann machine, which is then trained.
machine = BernoulliRBM(24, learning_rate=0.05, n_iter=30, random_state=0).fit(X)
classifier = rbm_to_bp(machine, classes=np.unique(y), max_iter=60, random_state=0)
same = np.allclose(classifier.transform(X), machine.transform(X))
before = classifier.potentials_[0]["coefs"][0].copy()
print(f"hidden units are those of the machine: {same}; accuracy {classifier.score(X, y):.3f}")
classifier.fit(X, y)
after = classifier.potentials_[0]["coefs"][0]
print(f"after training: accuracy {classifier.score(X, y):.3f} (training data)")

# %%
# Tables of potentials become couplings, and back
# -----------------------------------------------
tables = np.random.default_rng(0).uniform(0.1, 3, (1000, 2, 2))
round_trip = weights_to_tables(*tables_to_weights(tables))
print(f"tables there and back: {np.abs(round_trip - tables).max():.1e}")

# %%
# A fitted NMF becomes layers
# ---------------------------
# K layers are K multiplicative updates of scikit-learn's NMF with fixed bases.
from sklearn.decomposition import NMF

nmf = NMF(10, solver="mu", beta_loss="kullback-leibler", init="nndsvda", max_iter=200).fit(X)
gaps = []
converged = nmf_to_deep_nmf(nmf, X, n_layers=500).transform(X)
layers = [1, 2, 5, 10, 20, 50, 100]
for n_layers in layers:
    deep = nmf_to_deep_nmf(nmf, X, n_layers=n_layers)
    theirs = nmf.set_params(tol=0, max_iter=n_layers).transform(X)
    gaps.append((np.abs(deep.transform(X) - theirs).max(), np.abs(theirs - converged).max()))
gaps = np.array(gaps)

# %%
# Plots
# -----
# Below, each coupling of a hidden unit is multiplied by the standard deviation of its pixel,
# which shows its influence. After training some units depend on only a pixel or two.
import matplotlib.pyplot as plt

figure = plt.figure(figsize=(9, 6.5), layout="constrained")
top, bottom = figure.subfigures(2, 1, height_ratios=(1, 1.1))
left, right = top.subplots(1, 2)
for name, values in differences.items():
    left.loglog(scales, np.maximum(values, 1e-17), "o-", label=f"network - {name}")
left.loglog(scales, 0.1 * scales**2, ":", color="0.6", label="a square law")
left.set(xlabel="scale of the couplings", ylabel="difference of probabilities")
left.set_title("one sweep of mean field is the network", fontsize="medium")
right.loglog(layers, gaps[:, 1], "o-", color="C2", label="NMF - converged NMF")
right.loglog(layers, np.maximum(gaps[:, 0], 1e-17), "o-", color="C3", label="NMF - its layers")
right.set(xlabel="number of iterations, or layers", ylabel="difference of activations")
right.set_title("K layers are K iterations of NMF", fontsize="medium")
for ax in (left, right):
    ax.legend(frameon=False, fontsize="small")
    ax.spines[["top", "right"]].set_visible(False)
for panel, coefs, title in zip(
    bottom.subfigures(1, 2),
    (before, after),
    ("hidden units of the Boltzmann machine", "after training as a classifier"),
):
    panel.suptitle(title, fontsize="medium")
    effects = coefs.T * X.std(axis=0)
    for ax, unit in zip(panel.subplots(4, 6).flat, effects):
        limit = np.abs(unit).max()
        ax.imshow(unit.reshape(8, 8), cmap="PuOr_r", vmin=-limit, vmax=limit)
        ax.axis("off")
plt.show()
