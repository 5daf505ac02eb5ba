"""Denoise binary images: coupled pixels against a multi-layer perceptron.

    python benchmarks/label_graph_denoising.py --out label_graph_denoising.json \
--markdown doc/results/label_graph_denoising.md

scikit-learn's 8x8 digits, binarised at half of their range, with 15 % of the pixels flipped,
are to be restored: 64 labels an image. 1,200 images are for training, 597 for testing. The
settings of every model are those with the lowest log-loss on 240 held-out training images; the
model is then fitted to all training images, and tested once. The perceptron's settings are its
size, activation, L2 penalty, step size and number of epochs; those of an unfolded field, of a
given graph and depth, its L2 penalty.

A pixel of the field sees the 3x3 pixels around it in the noisy image (coupling="local"), or 5x5
(coupling="shared"), by weights that all pixels share, and is coupled to all pixels up to some
distance.
"""

import argparse
import json
import warnings
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import radius_neighbors_graph
from sklearn.neural_network import MLPClassifier

from skunfold import UnfoldedBPClassifier, UnfoldedMeanFieldClassifier

SIDE = 8
FLIPPED = 0.15
N_TRAIN, N_HELD_OUT = 1200, 240
ALPHAS = (0.003, 0.01, 0.03)
MLP_SETTINGS = [
    *product((50, 100, 400, 800), ("relu", "logistic"), (1e-4, 1.0, 5.0, 10.0), (1e-3,)),
    *product((100, 400), ("relu", "logistic"), (1e-4, 1.0), (3e-3,)),
    *product(((200, 200),), ("relu",), (1e-4, 1.0, 5.0), (1e-3,)),
]
MLP_EPOCHS = 600  # at most; the best of every tenth counts


@dataclass(frozen=True)
class Images:
    """Noisy images and clean ones as 0 and 1, (n, 64)."""

    X: np.ndarray
    y: np.ndarray

    def __getitem__(self, rows):
        return Images(self.X[rows], self.y[rows])


def make_images(seed=0):
    """Return (training images, test images) in random order."""
    rng = np.random.default_rng(seed)
    y = (load_digits().data >= 8).astype(int)
    X = np.where(rng.random(y.shape) < FLIPPED, 1 - y, y).astype(np.float64)
    order = rng.permutation(len(y))
    images = Images(X[order], y[order])
    return images[:N_TRAIN], images[N_TRAIN:]


def losses_of(p, y):
    """Return the mean log-loss of a pixel for each image, (n,)."""
    p = np.clip(np.where(y == 1, p, 1 - p), 1e-15, 1)
    return -np.log(p).mean(axis=1)


def windows(X, reach):
    """Return a block for each offset up to `reach`: the pixels there, -1 or 1, 0 outside."""
    padded = np.pad(2 * X.reshape(-1, SIDE, SIDE) - 1, [(0, 0), (reach, reach), (reach, reach)])
    starts = product(range(2 * reach + 1), repeat=2)
    views = [padded[:, r : r + SIDE, c : c + SIDE].reshape(len(X), -1) for r, c in starts]
    return np.concatenate(views, axis=1)


def pixel_graph(radius, mode):
    """Return the adjacency matrix of pixels up to `radius` apart: ones, or the distances."""
    pixels = np.argwhere(np.ones((SIDE, SIDE)))
    return radius_neighbors_graph(pixels, radius, mode=mode)


RULES = [(UnfoldedMeanFieldClassifier, 8), (UnfoldedBPClassifier, 4)]  # and their sweeps
ALL = 2**0.5 * (SIDE - 1)  # the largest distance of two pixels


@dataclass(frozen=True)
class Field:
    """An unfolded field, but for its L2 penalty."""

    rule: type
    coupling: str
    radius: float
    n_layers: int

    @property
    def name(self):
        """What the table calls it."""
        rule = "BP" if self.rule is UnfoldedBPClassifier else "mean field"
        reach = "all pixels" if self.radius > ALL else f"up to {self.radius:g}"
        return f"{rule}, {self.coupling}, {reach}"

    def inputs(self, X):
        """Return what the pixels see."""
        return windows(X, 2 if self.coupling == "shared" else 1)

    def fitted(self, images, alpha):
        """Return the field fitted to images."""
        mode = "distance" if self.coupling == "shared" else "connectivity"
        model = self.rule(
            (),
            n_layers=self.n_layers,
            tied=True,
            label_graph=pixel_graph(self.radius, mode),
            coupling=self.coupling,
            alpha=alpha,
            batch_size=100,
            learning_rate_init=0.03,
            max_iter=80,
            tol=1e-5,
            random_state=0,
        )
        return model.fit(self.inputs(images.X), images.y)


FIELDS = [
    *(
        Field(rule, "shared", radius, n_layers)
        for radius in (1, 4.3)
        for rule, n_layers in RULES
    ),
    *(
        Field(rule, "local", radius, n_layers)
        for radius in (1, 1.5, 2.9, 4.3, ALL + 1)
        for rule, n_layers in RULES
    ),
]


def field_row(field, train, test):
    """Return (row of the table, losses of the test images)."""
    fit, held_out = train[N_HELD_OUT:], train[:N_HELD_OUT]
    found = {}
    for alpha in ALPHAS:
        p = field.fitted(fit, alpha).predict_proba(field.inputs(held_out.X))
        found[alpha] = losses_of(p, held_out.y).mean()
    alpha = min(found, key=found.get)
    model = field.fitted(train, alpha)
    losses = losses_of(model.predict_proba(field.inputs(test.X)), test.y)
    row = {
        "model": field.name,
        "parameters": model.n_parameters_,
        "chosen": f"alpha {alpha:g}, {field.n_layers} sweeps",
        "held out": found[alpha],
    }
    return row, losses


def mlp_with(size, activation, alpha, rate):
    """Return a perceptron, to be fitted an epoch at a time."""
    return MLPClassifier(
        size,
        activation=activation,
        alpha=alpha,
        learning_rate_init=rate,
        random_state=0,
    )


def best_epoch(settings, fit, held_out):
    """Return (log-loss of held-out images, number of epochs), the lowest of every tenth."""
    model = mlp_with(*settings)
    best = (np.inf, 0)
    for epoch in range(1, MLP_EPOCHS + 1):
        model.partial_fit(fit.X, fit.y, classes=np.arange(SIDE**2))
        if epoch % 10 == 0:
            loss = losses_of(model.predict_proba(held_out.X), held_out.y).mean()
            best = min(best, (loss, epoch))
            if epoch > best[1] + 100:
                break
    return best


def mlp_row(found, train, test):
    """Return (row of the table, losses of the test images) of the best settings found."""
    settings = min(found, key=found.get)
    held_out, n_epochs = found[settings]
    model = mlp_with(*settings)
    for _ in range(n_epochs):
        model.partial_fit(train.X, train.y, classes=np.arange(SIDE**2))
    size, activation, alpha, rate = settings
    row = {
        "model": f"MLPClassifier, {size} units",
        "parameters": sum(w.size for w in model.coefs_ + model.intercepts_),
        "chosen": f"{activation}, alpha {alpha:g}, step {rate:g}, {n_epochs} epochs",
        "held out": held_out,
    }
    return row, losses_of(model.predict_proba(test.X), test.y)


def baseline_rows(train, test):
    """Yield (row, losses) of what needs no model: the noise alone, the mean image alone."""
    seen = np.where(test.X == 1, 1 - FLIPPED, FLIPPED)
    mean = np.clip(train.y.mean(axis=0), 1e-3, 1 - 1e-3) + np.zeros_like(test.X)
    for name, p, size in (("noisy pixel alone", seen, 1), ("mean image alone", mean, 64)):
        row = {"model": name, "parameters": size, "chosen": "", "held out": None}
        yield row, losses_of(p, test.y)


def rows_of_all(train, test):
    """Return the rows of the table; each is tested once."""
    fit, held_out = train[N_HELD_OUT:], train[:N_HELD_OUT]
    found = {settings: best_epoch(settings, fit, held_out) for settings in MLP_SETTINGS}
    small = {settings: result for settings, result in found.items() if settings[0] == 100}
    best, best_losses = mlp_row(found, train, test)
    results = [*baseline_rows(train, test), mlp_row(small, train, test), (best, best_losses)]
    for field in FIELDS:
        results.append(field_row(field, train, test))
        print(f"{field.name}: held out {results[-1][0]['held out']:.4f}", flush=True)
    rows = []
    for row, losses in results:
        difference = losses - best_losses
        row["test"] = losses.mean()
        row["minus MLP"] = difference.mean()
        row["standard error"] = difference.std(ddof=1) / np.sqrt(len(difference))
        row["parameters / MLP"] = row["parameters"] / best["parameters"]
        rows.append(row)
    return rows


def markdown_of(rows):
    """Return the table, with the command that makes it."""
    _, command, *about = __doc__.split("\n\n")
    names = ["model", "parameters", "held out", "test", "minus MLP (s.e.)", "chosen"]
    lines = ["# Denoising digits with a graph of labels", "", *about[0].splitlines()]
    lines += ["", about[1].strip(), "", "```", command.strip(), "```", ""]
    lines += ["Mean log-loss of a pixel; the last columns against the best MLPClassifier.", ""]
    lines += ["| " + " | ".join(names) + " |", "|---|" + "---:|" * 4 + "---|"]
    for row in rows:
        held_out = "" if row["held out"] is None else f"{row['held out']:.4f}"
        cells = [row["model"], f"{row['parameters']:,}", held_out, f"{row['test']:.4f}"]
        cells.append(f"{row['minus MLP']:+.4f} ({row['standard error']:.4f})")
        lines.append("| " + " | ".join([*cells, row["chosen"]]) + " |")
    return "\n".join(lines) + "\n"


def main():
    """Choose, fit and test all models; write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="label_graph_denoising.json")
    parser.add_argument("--markdown", help="also write the table as Markdown to this file")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    rows = rows_of_all(*make_images())
    Path(options.out).write_text(json.dumps({"flipped": FLIPPED, "rows": rows}, indent=2))
    print(markdown_of(rows))
    if options.markdown:
        Path(options.markdown).parent.mkdir(parents=True, exist_ok=True)
        Path(options.markdown).write_text(markdown_of(rows))


if __name__ == "__main__":
    main()
