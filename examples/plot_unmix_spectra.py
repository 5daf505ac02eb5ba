"""
==============================
Unmix spectra of known sources
==============================

A gamma-ray detector counts photons by energy. Its spectrum is a mixture of those of the sources
around it, whose shapes are known; the strength of each source is to be estimated. Two things
make it hard: counts are Poisson, so short measurements are noisy, and the detector's gain
drifts, which shifts all lines by a few per cent in a way that nobody records.

Deep NMF with linear output starts from the known spectra and learns from measurements whose
strengths are known. It is compared with three common methods: non-negative least squares, ridge
regression, and inference in NMF, which maximises the Poisson likelihood. All methods that start
from spectra get the same ones, each source at three gains.
"""

# %%
# Simulated measurements
# ----------------------
# A line of a source makes a peak, as wide as a sodium-iodide detector resolves it, and a
# continuum of photons that deposited only a part of their energy.
import numpy as np

energy = np.linspace(20, 2000, 128)  # keV
sources = {  # energies of lines in keV, relative intensities
    "Am-241": [(59.5, 1.0)],
    "Ba-133": [(81, 0.6), (303, 0.3), (356, 1.0)],
    "Cs-137": [(662, 1.0)],
    "Co-60": [(1173, 1.0), (1332, 1.0)],
    "K-40": [(1461, 1.0)],
    "Ra-226": [(186, 0.1), (295, 0.5), (352, 0.9), (609, 1.0), (1120, 0.35), (1764, 0.35)],
}


def spectrum(lines, gain=1.0):
    """Return what lines look like to the detector, with a sum of one."""
    total = np.zeros_like(energy)
    for line, intensity in lines:
        line = line * gain
        width = 0.07 * np.sqrt(662 * line) / 2.355
        peak = np.exp(-0.5 * ((energy - line) / width) ** 2) / width
        edge = line / (1 + 511 / (2 * line))
        continuum = (0.6 + 0.8 * (energy / edge) ** 2) / edge
        continuum = continuum / (1 + np.exp((energy - edge) / width))
        in_peak = 1 / (1 + line / 300)
        total += intensity * (in_peak * peak + (1 - in_peak) * continuum)
    return total / total.sum()


COUNTS = 2000  # of a source of strength one, in a full measurement
background = 200 * spectrum([(3000, 1.0)])


def measure(n_samples, depth, rng):
    """Return counts and strengths; the depth is the part of a full measuring time."""
    shape = (n_samples, len(sources))
    strengths = (rng.random(shape) < 0.5) * rng.gamma(0.5, 2.0, shape)
    rates = np.empty((n_samples, len(energy)))
    for i, gain in enumerate(rng.normal(1.0, 0.02, n_samples)):
        spectra = [spectrum(lines, gain) for lines in sources.values()]
        rates[i] = COUNTS * strengths[i] @ spectra + background
    return rng.poisson(depth * rates).astype(float), strengths


# %%
# Four ways to find the strengths
# -------------------------------
# Ridge regression and deep NMF learn from 2000 measurements; the other two use only the
# spectra. All settings are chosen on the training data: the ridge penalty by cross-validation,
# the number of iterations of NMF by the training error, the epochs of deep NMF by held-out
# samples.
import warnings

from scipy.optimize import nnls
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import RidgeCV

from skunfold import DeepNMFRegressor

warnings.simplefilter("ignore", ConvergenceWarning)
known = [spectrum(lines, g) for g in (0.97, 1.0, 1.03) for lines in sources.values()]
bases = np.vstack([COUNTS * np.array(known), background])
output_bases = np.vstack([np.eye(len(sources))] * 3 + [np.zeros(len(sources))])


def estimates(depth, rng):
    """Return the true strengths of 1000 measurements, and those that each method finds."""
    X_train, y_train = measure(2000, depth, rng)
    X, y = measure(1000, depth, rng)
    start = np.hstack([depth * bases, output_bases])
    found = {
        "non-negative least squares": [nnls(depth * bases.T, x)[0] @ output_bases for x in X]
    }
    ridge = RidgeCV(np.logspace(-2, 6, 9)).fit(X_train, y_train)
    found["ridge regression"] = np.maximum(ridge.predict(X), 0)
    candidates = [
        DeepNMFRegressor(len(bases), n_layers=n, n_trained_layers=0, init=start).fit(
            X_train, y_train
        )
        for n in (25, 50, 100, 200, 400, 800)
    ]
    errors = [np.abs(nmf.predict(X_train) - y_train).mean() for nmf in candidates]
    found["NMF inference"] = candidates[np.argmin(errors)].predict(X)
    deep = DeepNMFRegressor(
        len(bases),
        n_layers=50,
        n_trained_layers=25,
        init=start,
        batch_size=128,
        max_iter=60,
        early_stopping=True,
        random_state=0,
    )
    found["deep NMF"] = deep.fit(X_train, y_train).predict(X)
    return y, found


rng = np.random.default_rng(1)
results = {depth: estimates(depth, rng) for depth in (1.0, 0.05)}
for depth, (y, by_method) in results.items():
    for name, found in by_method.items():
        e = np.abs(found - y).mean(axis=1)
        bound = e.std() / np.sqrt(len(e))
        print(f"depth {depth:4.0%}  {name:26s} mean error {e.mean():.4f} +- {bound:.4f}")

# %%
# Measurements and estimates
# --------------------------
# Above: one mixture measured at both depths, and the parts of its sources. Below: the mean
# absolute errors of the estimated strengths, source by source (the mean strength is 0.5).
import matplotlib.pyplot as plt

figure = plt.figure(figsize=(9, 7.5), layout="constrained")
top, bottom = figure.subfigures(2, 1)
ax = top.subplots()
shown = np.array([0.0, 0.3, 0.5, 0.4, 0.0, 0.6])
rates = COUNTS * shown @ [spectrum(lines, 1.02) for lines in sources.values()] + background
for depth, color in ((1.0, "0.2"), (0.05, "0.6")):
    counts = np.maximum(rng.poisson(depth * rates), 0.5)
    ax.step(energy, counts, color=color, where="mid", label=f"depth {depth:.0%}")
for k, ((name, lines), strength) in enumerate(zip(sources.items(), shown)):
    if strength:
        part = COUNTS * strength * spectrum(lines, 1.02)
        ax.fill_between(energy, part, 0.5, color=f"C{k}", alpha=0.3, lw=0, label=name)
ax.set(yscale="log", xlim=(20, 2000), ylim=(0.5, 600))
ax.set(xlabel="energy (keV)", ylabel="counts a channel")
ax.set_title("A mixture of four sources; the gain is 2 % high", loc="left", fontsize="medium")
ax.legend(frameon=False, ncols=2)

axes = bottom.subplots(1, 2, sharey=True)
rows = np.arange(len(sources) + 1)
for ax, (depth, (y, by_method)) in zip(axes, results.items()):
    for (name, found), marker in zip(by_method.items(), "sd^o"):
        by_source = np.abs(found - y).mean(axis=0)
        ax.plot([*by_source, by_source.mean()], rows, marker, ms=8, alpha=0.8, label=name)
    ax.axhline(len(sources) - 0.5, color="0.7", lw=0.8)
    ax.set_xlim(0)
    ax.grid(axis="y", color="0.92")
    ax.spines[["top", "right"]].set_visible(False)
    ax.set(xlabel="mean absolute error")
    ax.set_title(f"depth {depth:.0%}", loc="left", fontsize="medium")
axes[0].set_yticks(rows, [*sources, "all"])
axes[0].invert_yaxis()
axes[1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
plt.show()
