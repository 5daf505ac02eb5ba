"""
===================================================
Label the nodes of a graph: features and neighbours
===================================================

Few nodes of a graph have a label; the task is to classify the others. Label propagation spreads
labels along the edges. A conditional random field classifies by the features of a node and by
the beliefs about its neighbours, and *learns* how the classes of neighbours are related.
"""

# %%
# Digits that look alike
# ----------------------
# Each digit is joined to its seven nearest neighbours, and three digits of each class have a
# label. ``graph`` is a function from node numbers, the last column of X, to the edges between
# these nodes. Rows of weight 0 have no label: they take part in inference, but nothing is
# learned from their class. ``power=2`` makes messages more cautious, which helps where a graph
# has many short loops. Where neighbours are alike, label propagation is hard to beat.
import warnings

import numpy as np
from scipy.sparse import csr_array
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import kneighbors_graph
from sklearn.semi_supervised import LabelPropagation

from skunfold import UnfoldedCRFClassifier

warnings.simplefilter("ignore", ConvergenceWarning)  # training is kept short
digits, y = load_digits(return_X_y=True)
digits, y = digits[:800] / 16, y[:800]
nearest = kneighbors_graph(digits, 7)
nearest = csr_array(nearest + nearest.T > 0).astype(float)


def draw_labels(y, n_of_class, rng):
    """Return which nodes have a label."""
    chosen = [rng.choice(np.flatnonzero(y == c), n_of_class, replace=False) for c in set(y)]
    return np.isin(np.arange(len(y)), chosen)


def scores(features, y, known, graph, **params):
    """Return the accuracy of three classifiers on the nodes without a label."""
    X = np.column_stack([features, np.arange(len(y))])
    field = UnfoldedCRFClassifier(
        graph=lambda nodes: graph[nodes][:, nodes],
        graph_columns=[-1],
        solver="lbfgs",
        max_iter=50,
        **params,
    )
    field.fit(X, y, sample_weight=known)
    alone = LogisticRegression(max_iter=1000).fit(features[known], y[known])
    # Each node is also its own neighbour there, so that no row of the kernel is empty.
    kernel = np.eye(len(y)) + graph.toarray()
    spread = LabelPropagation(kernel=lambda X, Y: kernel, max_iter=5000)
    spread.fit(features, np.where(known, y, -1))
    return {
        "features (LogisticRegression)": alone.score(features[~known], y[~known]),
        "graph (LabelPropagation)": np.mean(spread.transduction_[~known] == y[~known]),
        "both (UnfoldedCRFClassifier)": np.mean(field.predict(X)[~known] == y[~known]),
    }, field


rng = np.random.default_rng(0)
known = draw_labels(y, 3, rng)
alike, _ = scores(digits, y, known, nearest, n_layers=5, alpha=0.003, power=2)
for name, score in alike.items():
    print(f"{name}: {score:.2f}")

# %%
# Neighbours that differ
# ----------------------
# Label propagation assumes that neighbours are of the same class. In a network of buyers and
# sellers they are not: most trades join a buyer and a seller. The field learns that from few
# labels.
n = 600
sides = rng.integers(2, size=n)
features = sides[:, None] + 1.5 * rng.normal(size=(n, 2))
pairs = rng.integers(n, size=(2, 4 * n))
differ = sides[pairs[0]] != sides[pairs[1]]
kept = (differ | (rng.random(4 * n) < 0.1)) & (pairs[0] != pairs[1])
trades = csr_array((np.ones(kept.sum()), pairs[:, kept]), shape=(n, n))
trades = csr_array(trades + trades.T > 0).astype(float)
differing, field = scores(
    features, sides, draw_labels(sides, 30, rng), trades, n_layers=6, alpha=0.003
)
for name, score in differing.items():
    print(f"{name}: {score:.2f}")

# %%
# The learned table shows it: two nodes of the same class are unlikely neighbours.
import matplotlib.pyplot as plt

names = ["buyer", "seller"]
[table] = field.potentials_[0]["tables"]
fig, axes = plt.subplots(1, 2, figsize=(10, 3.5), layout="constrained")
places = np.arange(len(alike))
for shift, label, found in ((-0.2, "alike", alike), (0.2, "differ", differing)):
    axes[0].barh(places + shift, list(found.values()), 0.4, label=f"neighbours {label}")
axes[0].set(yticks=places, yticklabels=list(alike), xlabel="accuracy without a label")
axes[0].legend(loc="center right")
fig.colorbar(axes[1].imshow(table, cmap="RdBu_r", vmin=-2, vmax=2), ax=axes[1])
axes[1].set(title="learned table of the trades", xticks=[0, 1], yticks=[0, 1])
axes[1].set(xticklabels=names, yticklabels=names)
plt.show()
