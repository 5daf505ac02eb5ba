"""Denoise binary images: coupled pixels against a multi-layer perceptron.

    python benchmarks/label_graph_denoising.py --out label_graph_denoising.json \
--markdown doc/results/label_graph_denoising.md

The task is to restore scikit-learn's 8x8 digits, binarised at half of their range, after 15 %
of the pixels were flipped: 64 labels an image. 1,200 images are for training, 597 for testing.

Every model takes the settings with the lowest log-loss on 240 held-out training images, is then
fitted to all training images, and tested once. These settings are, for the perceptron, its
size, activation, L2 penalty, step size and number of epochs; for an unfolded field with a given
graph and depth, its L2 penalty.

A pixel of the field sees the 3x3 pixels around it in the noisy image (coupling="local"), or 5x5
(coupling="shared"), with weights that all pixels share. It is coupled to all pixels up to some
distance, which the names of the models give.
"""

import warnings
from dataclasses import dataclass
from itertools import product

import numpy as np
from harness import begin, make_parser, report, table
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
    """Return the row of a field, with the losses of the test images."""
    fit, held_out = train[N_HELD_OUT:], train[:N_HELD_OUT]
    found = {}
    for alpha in ALPHAS:
        p = field.fitted(fit, alpha).predict_proba(field.inputs(held_out.X))
        found[alpha] = losses_of(p, held_out.y).mean()
    alpha = min(found, key=found.get)
    model = field.fitted(train, alpha)
    losses = losses_of(model.predict_proba(field.inputs(test.X)), test.y)
    return {
        "model": field.name,
        "parameters": model.n_parameters_,
        "chosen": f"alpha {alpha:g}, {field.n_layers} sweeps",
        "held out": found[alpha],
        "losses": losses.tolist(),
    }


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


def mlp_row(settings, found, train, test):
    """Return the row of a perceptron with the epochs that were found, and its test losses."""
    held_out, n_epochs = found
    model = mlp_with(*settings)
    for _ in range(n_epochs):
        model.partial_fit(train.X, train.y, classes=np.arange(SIDE**2))
    size, activation, alpha, rate = settings
    return {
        "model": f"MLPClassifier, {size} units",
        "parameters": sum(w.size for w in model.coefs_ + model.intercepts_),
        "chosen": f"{activation}, alpha {alpha:g}, step {rate:g}, {n_epochs} epochs",
        "held out": held_out,
        "losses": losses_of(model.predict_proba(test.X), test.y).tolist(),
    }


def baseline_rows(train, test):
    """Return rows of what needs no model: the noise alone, the mean image alone."""
    seen = np.where(test.X == 1, 1 - FLIPPED, FLIPPED)
    mean = np.clip(train.y.mean(axis=0), 1e-3, 1 - 1e-3) + np.zeros_like(test.X)
    return [
        {"model": name, "parameters": size, "losses": losses_of(p, test.y)}
        for name, p, size in (("noisy pixel alone", seen, 1), ("mean image alone", mean, 64))
    ]


def name_of(settings):
    """Return the name of the row that holds what was found for settings of a perceptron."""
    return "MLPClassifier, {} units, {}, alpha {:g}, step {:g}: epochs".format(*settings)


def perceptron_rows(results, train, test):
    """Return the rows of the best perceptrons that were found: of 100 units, of any size."""
    fit, held_out = train[N_HELD_OUT:], train[:N_HELD_OUT]
    results.compute(best_epoch, {name_of(s): (s, fit, held_out) for s in MLP_SETTINGS})
    found = {s: results.rows.get(name_of(s)) for s in MLP_SETTINGS}
    if None in found.values():
        return []  # the best one is not known yet
    small = min((s for s in found if s[0] == 100), key=found.get)
    best = min(found, key=found.get)
    tasks = {
        f"MLPClassifier, {name}": (s, found[s], train, test)
        for name, s in (("100 units", small), ("any size", best))
    }
    results.compute(mlp_row, tasks)
    return results.of(tasks)


def cells_of(row, best):
    """Return a row as the page shows it."""
    losses = np.array(row["losses"])
    difference = losses - best["losses"]
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    return {
        "model": row["model"],
        "parameters": f"{row['parameters']:,}",
        "held out": f"{row['held out']:.4f}" if "held out" in row else "",
        "test": f"{losses.mean():.4f}",
        "minus MLP (s.e.)": f"{difference.mean():+.4f} ({error:.4f})",
        "chosen": row.get("chosen"),
    }


def main():
    """Choose, fit and test the models that are not there yet; each is tested once."""
    options, results = begin(make_parser(__doc__, "label_graph_denoising.json"))
    warnings.simplefilter("ignore", ConvergenceWarning)
    train, test = make_images()
    perceptrons = perceptron_rows(results, train, test)
    fields = {field.name: (field, train, test) for field in FIELDS}
    results.compute(field_row, fields)
    if len(perceptrons) < 2:
        return
    rows = [*baseline_rows(train, test), *perceptrons, *results.of(fields)]
    _, _, *about = __doc__.strip().split("\n\n")
    text = "Mean log-loss of a pixel; the last columns against the best MLPClassifier."
    cells = [cells_of(row, perceptrons[1]) for row in rows]
    title = "Denoising digits with a graph of labels"
    report(options, results, title, *about, text, table(cells))


if __name__ == "__main__":
    main()
