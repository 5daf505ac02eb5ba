"""
=================================
Choose the depth by a grid search
=================================

Depth, number of trained layers and whether they share their parameters are parameters of the
estimator, so :class:`~sklearn.model_selection.GridSearchCV` chooses them like any others.
"""

# %%
# Concentrations from overlapping spectra
# ---------------------------------------
# Five substances, whose spectra of broad bands overlap, in 60 mixtures that a detector counts.
import numpy as np

rng = np.random.default_rng(0)
wavelength = np.linspace(0, 1, 60)
centres, widths = rng.random((5, 3)), rng.uniform(0.05, 0.15, (5, 3))
heights = rng.uniform(0.3, 1, (5, 3))
spectra = np.array(
    [
        np.exp(-0.5 * ((wavelength[:, None] - m) / s) ** 2) @ a
        for m, s, a in zip(centres, widths, heights)
    ]
)
y = rng.gamma(0.5, 2.0, (60, 5))
X = rng.poisson(20 * y @ spectra).astype(float)

# %%
# Three families over seven depths
# --------------------------------
# Nothing trained but the initial NMF; all layers trained and sharing their bases; all layers
# trained, each with its own.
import warnings

from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, KFold

from skunfold import DeepNMFRegressor

warnings.simplefilter("ignore", ConvergenceWarning)
depths = [1, 2, 4, 8, 16, 32, 64]
families = {
    "NMF, untrained": {"n_trained_layers": [0]},
    "deep NMF, tied": {"tied": [True]},
    "deep NMF, untied": {"tied": [False]},
}
model = DeepNMFRegressor(5, max_iter=50, batch_size=100, random_state=0)
search = GridSearchCV(
    model,
    [{"n_layers": depths, **family} for family in families.values()],
    scoring="neg_mean_absolute_error",
    cv=KFold(5, shuffle=True, random_state=0),
).fit(X, y)
print(search.best_params_, f"mean absolute error {-search.best_score_:.3f}")

# %%
# Error by depth
# --------------
# Bars show the standard error over the five folds. Untrained networks need many layers, since
# NMF converges slowly where spectra overlap; each trained layer does more. Beyond some depth,
# 60 samples are too few to improve further, and more layers only cost time.
import matplotlib.pyplot as plt

results = search.cv_results_
errors = -results["mean_test_score"].reshape(3, -1)
bounds = results["std_test_score"].reshape(3, -1) / np.sqrt(5)
seconds = results["mean_fit_time"].reshape(3, -1)
figure, (left, middle, right) = plt.subplots(1, 3, figsize=(10, 3.4), layout="constrained")
left.plot(wavelength, spectra.T)
left.set(xlabel="wavelength", title="spectra", yticks=[])
for name, e, bound, s in zip(families, errors, bounds, seconds):
    middle.errorbar(depths, e, bound, fmt="o-", capsize=3, label=name)
    right.plot(depths, s, "o-")
middle.set(xscale="log", xlabel="n_layers", title="mean absolute error")
right.set(xscale="log", yscale="log", xlabel="n_layers", title="seconds for a fit")
for ax in (middle, right):
    ax.set_xticks(depths, depths)
    ax.minorticks_off()
    ax.spines[["top", "right"]].set_visible(False)
middle.legend(frameon=False)
plt.show()
