"""
=======================
Data larger than memory
=======================

A model learns from a file of frames and predicts it without ever holding it in memory as a
whole. Workers share the samples of each update, and a search over the depth computes its
initialisation once.
"""

# %%
# A file
# ------
# The data are mixtures of two kinds of sources; the targets say how much of each frame is of
# the first kind. Both are written block by block. Arrays opened with ``mmap_mode="r"`` stay on
# disk.

import tempfile
from pathlib import Path

import numpy as np

folder = tempfile.TemporaryDirectory()
rng = np.random.default_rng(0)
spectra = rng.gamma(0.3, size=(2, 8, 120)).astype(np.float32)
n_samples, block = 40_000, 4000
for name in "Xy":
    shape = (n_samples, 120)
    np.lib.format.open_memmap(Path(folder.name) / f"{name}.npy", "w+", np.float32, shape)
X, y = (np.load(Path(folder.name) / f"{name}.npy", mmap_mode="r+") for name in "Xy")
for start in range(0, n_samples, block):
    first, second = (rng.gamma(0.3, size=(block, 8)) @ kind for kind in spectra)
    X[start : start + block], y[start : start + block] = first + second, first

# %%
# Bounded memory
# --------------
# scikit-learn's ``working_memory`` (in MiB) is the limit: beyond it, the outputs of the layers
# that are not trained go to a temporary file, and the initialisation takes a random part of the
# samples.

from sklearn import config_context

from skunfold import DeepNMFRegressor

model = DeepNMFRegressor(
    n_components=8,
    n_layers=12,
    n_trained_layers=3,
    output="mask",
    max_iter=4,
    tol=0,
    random_state=0,
)
with config_context(working_memory=2):
    model.fit(X, y)
print(f"{X.nbytes / 2**20:.0f} MiB of data, loss {model.loss_:.4f}")

# %%
# Workers
# -------
# Gradients are sums over samples, so the result is the same for any number of workers, up to
# rounding. Here the workers are threads; within ``joblib.parallel_config(backend="dask")`` they
# are those of a Dask cluster.

from sklearn.base import clone

with config_context(working_memory=2):
    shared = clone(model).set_params(n_jobs=2).fit(X, y)
print(f"loss of two workers {shared.loss_:.4f}")

# %%
# A search that initialises once
# ------------------------------
# With ``memory``, fits that differ in depth share their initialisation.

import matplotlib.pyplot as plt
from sklearn.model_selection import GridSearchCV

some = slice(0, 4000)
search = GridSearchCV(
    clone(model).set_params(memory=folder.name, max_iter=10),
    {"n_layers": [2, 4, 8], "n_trained_layers": [0, 3]},
    cv=2,
)
search.fit(X[some], y[some])
n_computed = len(list(Path(folder.name).glob("**/output.pkl")))
print(f"{len(search.cv_results_['params']) * 2 + 1} fits, {n_computed} initialisations")

# %%
# Results
# -------
# Left: deeper networks separate better, and trained ones better than NMF of the same depth.
# Right: the mixture, and the estimate of the first kind of sources, against the true source.

figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
scores = search.cv_results_["mean_test_score"].reshape(3, 2)
for column, label in enumerate(("NMF", "last layers trained")):
    axes[0].plot([2, 4, 8], scores[:, column], "o-", label=label)
axes[0].set(xlabel="layers", ylabel="$R^2$ on held-out samples", xticks=[2, 4, 8])
axes[0].legend(frameon=False)
some = slice(0, 50)
for values, label in ((X[some], "mixture"), (model.predict(X[some]), "estimate")):
    axes[1].loglog(y[some].ravel(), values.ravel(), ".", markersize=2, label=label)
axes[1].axline((1, 1), (2, 2), color="0.3", linewidth=1)
axes[1].set(xlabel="source", ylabel="mixture, or estimate of the source")
axes[1].set(xlim=(0.01, 20), ylim=(0.01, 20))
axes[1].legend(frameon=False, markerscale=5)
plt.show()
folder.cleanup()
