"""
=======================
Train on a Dask cluster
=======================

The samples of one large fit, or the many fits of a search, can be divided among the workers of
a Dask cluster. joblib sends the work to the cluster; the estimators need no change. Here the
cluster is two processes on this machine; ``Client("scheduler-address:8786")`` connects to a
real one. It needs the extra ``dask`` (:ref:`install`).
"""

# %%
# A picture in sixty colours
# --------------------------
# Each pixel of a hyperspectral image is a mixture of three materials whose spectra overlap.
# The mixture is known for a part of the pixels, and to be predicted for all.
import numpy as np

rng = np.random.default_rng(0)
SIDE, N_BANDS = 64, 60
rows, columns = np.mgrid[:SIDE, :SIDE] / SIDE
band = np.linspace(0, 1, N_BANDS)
centres = [(0.3, 0.3), (0.4, 0.75), (0.8, 0.45)]
amounts = np.stack(
    [np.exp(-((rows - r) ** 2 + (columns - c) ** 2) / 0.05) for r, c in centres], axis=-1
)
amounts += 0.3 * (np.sin(12 * rows)[..., None] * np.cos(9 * columns)[..., None] > 0.3)
y = amounts.reshape(-1, 3)
spectra = [np.exp(-0.5 * ((band - m) / 0.16) ** 2) + 0.1 for m in (0.35, 0.5, 0.65)]
X = rng.poisson(12 * y @ spectra).astype(float)
known = rng.choice(len(X), 1000, replace=False)

# %%
# One fit, its samples divided among workers
# ------------------------------------------
# With ``n_jobs``, the workers share the samples of each update. The result is that of one
# process, up to rounding.
import warnings

import joblib
from dask.distributed import Client, SubprocessCluster, get_task_stream
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from skunfold import DeepNMFRegressor

warnings.simplefilter("ignore", ConvergenceWarning)
model = DeepNMFRegressor(3, n_layers=8, max_iter=30, random_state=0)
alone = clone(model).fit(X[known], y[known])

cluster = SubprocessCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
client = Client(cluster)
client.wait_for_workers(2)
with joblib.parallel_config(backend="dask"):
    shared = clone(model).set_params(n_jobs=2).fit(X[known], y[known])
difference = np.abs(shared.predict(X) / alone.predict(X) - 1).max()
print(f"loss {alone.loss_:.6f} alone, {shared.loss_:.6f} on the cluster")
print(f"largest relative difference of a prediction: {difference:.0e}")

# %%
# A grid search, one fit per worker
# ---------------------------------
# In :class:`~sklearn.model_selection.GridSearchCV` each worker does whole fits, and takes the
# next one as soon as it is free.
grid = {"n_layers": [1, 2, 4, 8, 16], "n_trained_layers": [0, 1, "all"]}
search = GridSearchCV(model, grid, cv=3, n_jobs=-1, scoring="neg_mean_absolute_error")
with joblib.parallel_config(backend="dask"), get_task_stream(client) as tasks:
    search.fit(X[known], y[known])
print(f"{len(tasks.data)} tasks; best: {search.best_params_}")
client.close()
cluster.close()

# %%
# Results, and the work of each worker
# ------------------------------------
# Above: the materials as red, green and blue, with the mean absolute error over all pixels.
# Below: the error of each network in the search, and when each worker computed which fit.
# Deeper networks take longer, and the workers stay busy.
import matplotlib.pyplot as plt

figure = plt.figure(figsize=(9, 5.8), layout="constrained")
top, bottom = figure.subfigures(2, 1, height_ratios=(1, 1.2))
untrained = clone(model).set_params(n_layers=16, n_trained_layers=0).fit(X[known], y[known])
maps = {
    "one band": X.reshape(SIDE, SIDE, N_BANDS)[..., N_BANDS // 2],
    "NMF": untrained.predict(X).reshape(amounts.shape),
    "deep NMF": search.predict(X).reshape(amounts.shape),
    "truth": amounts,
}
for ax, (name, image) in zip(top.subplots(1, len(maps)), maps.items()):
    if name.endswith("NMF"):
        name += f", error {np.abs(image - amounts).mean():.3f}"
    ax.imshow(image if image.ndim == 2 else np.clip(image, 0, 1), cmap="gray")
    ax.set_title(name, fontsize="medium")
    ax.axis("off")

left, right = bottom.subplots(1, 2, width_ratios=(1, 1.7))
errors = -search.cv_results_["mean_test_score"].reshape(5, 3)
image = left.imshow(errors, cmap="magma_r", aspect="auto")
for (i, j), error in np.ndenumerate(errors):
    dark = error > (errors.min() + errors.max()) / 2
    left.text(j, i, f"{error:.3f}", ha="center", va="center", color="w" if dark else "k")
left.set(xticks=range(3), xticklabels=["0", "1", "all"], yticks=range(5))
left.set_yticklabels(grid["n_layers"])
left.set(xlabel="n_trained_layers", ylabel="n_layers", title="error in the search")

workers = sorted({task["worker"] for task in tasks.data})
spans = [(task["worker"], s) for task in tasks.data for s in task["startstops"]]
spans = [(w, s["start"], s["stop"]) for w, s in spans if s["action"] == "compute"]
began = min(start for _, start, _ in spans)
for k, (worker, start, stop) in enumerate(spans):
    right.barh(workers.index(worker), stop - start, left=start - began, color=f"C{k % 10}")
right.set(yticks=range(len(workers)), xlabel="seconds", title="fits of the search")
right.set_yticklabels([f"worker {k + 1}" for k in range(len(workers))])
right.invert_yaxis()
right.spines[["top", "right"]].set_visible(False)
plt.show()
