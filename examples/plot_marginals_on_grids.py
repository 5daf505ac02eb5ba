"""
============================================================
Belief propagation, mean field and exact marginals on a grid
============================================================

How good is inference that takes a few sweeps? On a grid of 4 x 4 binary units the exact
probability of each being on is a sum over 65,536 states; both classifiers with a label graph
and no hidden layer are inference in such a field. The couplings are set here instead of being
trained.
"""

# %%
# A field, and its marginals by enumeration
# -----------------------------------------
import numpy as np
from sklearn.feature_extraction.image import grid_to_graph

SIDE, N_SWEEPS, N_FIELDS = 4, 30, 40
n = SIDE**2
graph = grid_to_graph(SIDE, SIDE)
states = ((np.arange(2**n)[:, None] >> np.arange(n)) & 1).astype(float)


def exact_marginals(fields, edges, couplings):
    """Return the probabilities of units being on, (n_fields, n), by summing over all states."""
    pairs = states[:, edges[0]] * states[:, edges[1]]
    energies = fields @ states.T + couplings @ pairs.T
    p = np.exp(energies - energies.max(axis=1, keepdims=True))
    return p @ states / p.sum(axis=1, keepdims=True)


# %%
# The same field as a classifier
# ------------------------------
# `from_potentials` makes a classifier without a fit. With identity weights the input is the
# field that acts on each unit, so that one call infers the marginals of many fields.
from skunfold import UnfoldedBPClassifier, UnfoldedMeanFieldClassifier


def unfolded(cls, couplings=None):
    """Return inference in the grid with a coupling for each edge, by default 0."""
    potentials = {"coefs": [np.eye(n)], "intercepts": [np.zeros(n)], "lateral": [couplings]}
    return cls.from_potentials(
        potentials, n_layers=N_SWEEPS, tied=True, label_graph=graph, damping=0.3
    )


classes = {
    "mean field": UnfoldedMeanFieldClassifier,
    "belief propagation": UnfoldedBPClassifier,
}
edges = unfolded(UnfoldedBPClassifier).label_edges_


def inferred(strength, rng):
    """Return exact marginals and those of each classifier by sweep, for random fields."""
    couplings = rng.uniform(-strength, strength, edges.shape[1])
    # A coupling J pulls at both its units; -J/2 on each makes it neutral, as between spins.
    pull = np.bincount(edges.ravel(), np.tile(couplings, 2), n) / 2
    fields = rng.uniform(-1, 1, (N_FIELDS, n)) - pull
    found = {}
    for name, cls in classes.items():
        model = unfolded(cls, couplings)
        found[name] = np.array(list(model.staged_predict_proba(fields)))
    return exact_marginals(fields, edges, couplings), found


# %%
# Against exact marginals
# -----------------------
# With weak couplings both are nearly exact. With middle ones mean field is far too confident,
# and belief propagation still nearly exact. With strong ones belief propagation errs as well.
import matplotlib.pyplot as plt

rng = np.random.default_rng(0)
figure, axes = plt.subplots(2, 3, figsize=(9, 6.2), layout="constrained", sharey="row")
strengths = {"weak": 1.0, "middle": 3.0, "strong": 8.0}
for (above, below), (title, strength) in zip(axes.T, strengths.items()):
    exact, found = inferred(strength, rng)
    above.plot([0, 1], [0, 1], color="0.8", lw=1)
    for name, sweeps in found.items():
        above.plot(exact.ravel(), sweeps[-1].ravel(), ".", ms=3, alpha=0.5, label=name)
        errors = np.abs(sweeps - exact).mean(axis=(1, 2))
        below.plot(range(1, N_SWEEPS + 1), errors, label=name)
        print(f"{title:6s}  {name:18s}  mean error {errors[-1]:.4f}")
    above.set_title(f"{title}: couplings up to {strength:g}", fontsize="medium")
    above.set(xlabel="exact probability", aspect="equal")
    below.set(xlabel="sweep", yscale="log")
axes[0, 0].set_ylabel("inferred, last sweep")
axes[1, 0].set_ylabel("mean error")
axes[0, 0].legend(frameon=False, markerscale=3, fontsize="small")

# %%
# Many grids
# ----------
# A single grid may not be typical. The plot shows 10 grids for each strength, with the range
# that holds the middle half of them.
steps = np.linspace(0.5, 8, 6)
errors = {name: np.empty((len(steps), 10)) for name in classes}
for i, strength in enumerate(steps):
    for k in range(10):
        exact, found = inferred(strength, rng)
        for name, sweeps in found.items():
            errors[name][i, k] = np.abs(sweeps[-1] - exact).mean()
figure, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
for name, e in errors.items():
    low, middle, high = np.quantile(e, (0.25, 0.5, 0.75), axis=1)
    (line,) = ax.plot(steps, middle, "o-", label=name)
    ax.fill_between(steps, low, high, color=line.get_color(), alpha=0.2, lw=0)
ax.set(xlabel="largest coupling", ylabel="mean error of a marginal", yscale="log")
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False)
plt.show()
