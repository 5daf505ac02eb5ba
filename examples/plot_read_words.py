"""
================================================
Read words of digits: a conditional random field
================================================

An image of a digit may be ambiguous, but in a word its neighbours help. Here words are made of
scikit-learn's digits, blurred by noise, by a simple grammar: after each digit only four
others are likely. A classifier that sees one digit at a time is compared with the same
classifier as a conditional random field, which learns the grammar from examples.
"""

# %%
# Words
# -----
# Each word has three to eight digits. Digits of the first half of the data set make the
# training words, those of the other half the test words.
import numpy as np
from sklearn.datasets import load_digits

images, labels = load_digits(return_X_y=True)
rng = np.random.default_rng(0)
grammar = np.full((10, 10), 0.01)
for digit in range(10):
    grammar[digit, rng.permutation(10)[:4]] = 1
grammar /= grammar.sum(axis=1, keepdims=True)


def make_words(n_words, images, labels):
    """Return features with word and position as the last columns, and the digits."""
    rows, classes = [], []
    for word in range(n_words):
        digit = rng.integers(10)
        for position in range(rng.integers(3, 9)):
            image = images[rng.choice(np.flatnonzero(labels == digit))]
            rows.append([*(image + 7 * rng.normal(size=64)), word, position])
            classes.append(digit)
            digit = rng.choice(10, p=grammar[digit])
    return np.array(rows), np.array(classes)


half = len(labels) // 2
X, y = make_words(500, images[:half], labels[:half])
X_test, y_test = make_words(500, images[half:], labels[half:])

# %%
# With and without neighbours
# ---------------------------
# ``graph_columns`` names the columns that say where a row belongs. A scaler must not change
# them, so a column transformer passes them through; they are its last columns.
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skunfold import UnfoldedCRFClassifier


def make_model(**params):
    """Return a pipeline of a scaler and a classifier."""
    scaler = make_column_transformer((StandardScaler(), slice(0, 64)), remainder="passthrough")
    model = UnfoldedCRFClassifier(32, graph_columns=[-2, -1], random_state=0, **params)
    return make_pipeline(scaler, model.set_params(max_iter=15, tol=0, alpha=1e-4))


alone = make_model(n_layers=1).fit(X, y)
field = make_model(n_layers=4).fit(X, y)
for name, model in (("each digit by itself", alone), ("as words", field)):
    print(f"{name}: {model.score(X_test, y_test):.3f}")

# %%
# The learned grammar
# -------------------
import matplotlib.pyplot as plt

from skunfold.plotting import TransitionsDisplay

fig, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
axes[0].imshow(np.log(grammar), cmap="RdBu_r")
axes[0].set(title="grammar (logarithm)", xticks=range(10), yticks=range(10))
TransitionsDisplay.from_estimator(field[-1], ax=axes[1:])

# %%
# Probabilities after each sweep
# ------------------------------
# Before the first message each digit is classified by itself; then information from farther and
# farther away arrives. The figure shows the word that gains most, with the probabilities of the
# correct classes.
scaled = field[0].transform(X_test)
stages = np.stack(
    [p[np.arange(len(y_test)), y_test] for p in field[-1].staged_predict_proba(scaled)]
)
word_of_row = X_test[:, -2].astype(int)
gains = np.bincount(word_of_row, stages[-1] - stages[0])
rows = np.flatnonzero(word_of_row == gains.argmax())

fig, axes = plt.subplots(
    2, len(rows), figsize=(1.6 * len(rows), 4), layout="constrained", sharey="row"
)
for (top, bottom), row in zip(axes.T, rows):
    top.imshow(X_test[row, :64].reshape(8, 8), cmap="gray_r")
    top.set(title=f"{y_test[row]}", xticks=[], yticks=[])
    bottom.plot(range(1, 5), stages[:, row], "o-")
    bottom.set(xlabel="layer", ylim=(-0.05, 1.05), xticks=range(1, 5))
axes[1, 0].set_ylabel("probability of\nthe right class")
plt.show()
