"""
===============================
A sigmoid network is mean field
===============================

The forward pass of a network with sigmoid units is the first sweep of mean-field inference in a
Markov random field of binary units: each layer receives messages from the layer below, and none
from above yet. From the second sweep on, the predicted class also influences the hidden units.
:func:`skunfold.convert.mlp_to_mean_field` converts a trained network into this field.
"""

# %%
# One sweep is the network
# ------------------------
import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from skunfold.convert import mean_field_to_mlp, mlp_to_mean_field

warnings.simplefilter("ignore", ConvergenceWarning)
X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X / 16, y, test_size=0.5, random_state=0, stratify=y
)
network = MLPClassifier(32, activation="logistic", alpha=0.01, max_iter=400, random_state=0)
network.fit(X_train, y_train)

one_sweep = mlp_to_mean_field(network)
difference = one_sweep.predict_proba(X_test) - network.predict_proba(X_test)
print(f"largest difference of a probability: {np.abs(difference).max():.1e}")
back = mean_field_to_mlp(one_sweep)
print(f"and back again: {np.abs(back.coefs_[0] - network.coefs_[0]).max():.1e}")

# %%
# More sweeps with the same weights
# ---------------------------------
# The weights were not trained for messages from above. Yet on these digits the second sweep
# improves the probabilities; later ones make them overconfident. The six sweeps can also be
# trained, as one network with tied weights. Here training finds nothing that is better on
# held-out samples, and so ends where it began.
settings = {"n_layers": 6, "tied": True, "alpha": 5e-5, "learning_rate_init": 0.003}
settings["random_state"] = 0
models = {
    "weights of the network": mlp_to_mean_field(network, **settings),
    "trained on, six sweeps": mlp_to_mean_field(network, early_stopping=True, **settings),
}
models["trained on, six sweeps"].fit(X_train, y_train)
print(f"epochs of training: {models['trained on, six sweeps'].n_iter_}")

# %%
# Beliefs by sweep
# ----------------
# The figure shows the digits whose probabilities change most, and the probability of each class
# after each sweep; a frame marks the true class. Later sweeps can also turn a correct
# prediction into a wrong one.
import matplotlib.pyplot as plt

from skunfold.plotting import BeliefsDisplay, StagedScoreDisplay

sweeps = np.array(list(models["weights of the network"].staged_predict_proba(X_test)))
change = np.abs(sweeps[-1] - sweeps[0]).sum(axis=1)
most = np.argsort(change)[::-1][:6]

figure = plt.figure(figsize=(9, 6.5), layout="constrained")
top, bottom = figure.subfigures(2, 1, height_ratios=(1.5, 1))
axes = top.subplots(2, len(most), height_ratios=(1, 2.2))
for k, ax in zip(most, axes[0]):
    ax.imshow(X_test[k].reshape(8, 8), cmap="Greys")
    ax.axis("off")
BeliefsDisplay.from_predictions(sweeps[:, most], y_test[most], ax=axes[1])

ax = bottom.subplots()
scoring = {"scoring": "neg_log_loss", "negate_score": True}
for name, model in models.items():
    line = {"linestyle": "--"} if "trained" in name else {}
    display = StagedScoreDisplay.from_estimator(
        model, X_test, y_test, name=name, ax=ax, line_kw=line, **scoring
    )
ax.axhline(display.scores[0], color="0.7", lw=1, ls=":", label="the network itself")
ax.set(xlabel="sweep", ylabel="log-loss, test digits")
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False)
plt.show()
