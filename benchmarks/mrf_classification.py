r"""Unfolded Markov random fields against sigmoid networks of the same layers, on real data.

    python benchmarks/mrf_classification.py --out doc/results/mrf_classification.json \
        --markdown doc/results/mrf_classification.md

Data that comes with scikit-learn, in single precision, standardised inside the folds; 5 folds
for each of 3 seeds. In every training fold each model chooses its step size and its penalty
from the same four settings, by the log-loss of a fifth of that fold, which is held out; then
it is trained on all of the fold. Epochs, batches and stopping are the same for all but one
row, a network with more of everything. Tied sweeps are damped by 0.8. Rows already in the
output file are not computed again.
"""

import time
import warnings
from itertools import product

import numpy as np
from harness import begin, make_parser, report, table
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import GridSearchCV, StratifiedKFold, StratifiedShuffleSplit
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skunfold import UnfoldedBPClassifier, UnfoldedMeanFieldClassifier

DATA = {  # loader, hidden layers, epochs
    "digits": (load_digits, (16, 8), 40),
    "breast cancer": (load_breast_cancer, (16, 8), 60),
    "wine": (load_wine, (16, 8), 60),
}
BATCH_SIZE = 64
PENALTIES = (0.03, 0.3)  # alpha of MLPClassifier, which divides it by the samples of an update
STEPS, MORE_STEPS = (0.01, 0.1), (0.003, 0.01, 0.03, 0.1)
SEEDS = (0, 1, 2)
METRICS = ("accuracy", "log_loss")
DEPTHS = {
    "depth 1": {"n_layers": 1},
    "depth 2, tied": {"n_layers": 2, "tied": True, "damping": 0.8},
    "depth 4, tied": {"n_layers": 4, "tied": True, "damping": 0.8},
    "depth 2, untied": {"n_layers": 2, "tied": False},
    "depth 4, untied": {"n_layers": 4, "tied": False},
}
BASELINE = "MLPClassifier"
THOROUGH = "MLPClassifier, 8 settings, 3 x epochs"
ROWS = {name: MLPClassifier(activation="logistic") for name in (BASELINE, THOROUGH)}
for _name, _cls in (("MF", UnfoldedMeanFieldClassifier), ("BP", UnfoldedBPClassifier)):
    ROWS |= {f"{_name}, {depth}": _cls(**params) for depth, params in DEPTHS.items()}
ROWS["MF, depth 4, tied, not damped"] = UnfoldedMeanFieldClassifier(n_layers=4, tied=True)


def grid_of(name):
    """Return the settings that a row chooses from; the penalties are the same for all."""
    unit = 1 if name in (BASELINE, THOROUGH) else BATCH_SIZE
    return {
        "model__alpha": [penalty / unit for penalty in PENALTIES],
        "model__learning_rate_init": MORE_STEPS if name == THOROUGH else STEPS,
    }


def folds_of(X, y):
    """Yield (seed, training rows, test rows)."""
    for seed in SEEDS:
        for train, test in StratifiedKFold(5, shuffle=True, random_state=seed).split(X, y):
            yield seed, train, test


def run_row(name, data):
    """Return the number of parameters, and lists: for each fold its scores and choices."""
    load, hidden, epochs = DATA[data]
    if name == THOROUGH:
        epochs *= 3
    X, y = load(return_X_y=True)
    X = X.astype(np.float32)
    row: dict = {}
    for seed, train, test in folds_of(X, y):
        one = clone(ROWS[name]).set_params(
            hidden_layer_sizes=hidden, max_iter=epochs, batch_size=BATCH_SIZE, random_state=seed
        )
        search = GridSearchCV(
            Pipeline([("scale", StandardScaler()), ("model", one)]),
            grid_of(name),
            scoring="neg_log_loss",
            cv=StratifiedShuffleSplit(1, test_size=0.2, random_state=seed),
        )
        began = time.perf_counter()
        search.fit(X[train], y[train])
        p = search.predict_proba(X[test]).astype(np.float64)
        fitted = search.best_estimator_["model"]
        fold = {
            "accuracy": round(accuracy_score(y[test], search.predict(X[test])), 6),
            "log_loss": round(log_loss(y[test], p / p.sum(axis=1, keepdims=True)), 6),
            "alpha": fitted.alpha,
            "learning_rate_init": fitted.learning_rate_init,
            "n_iter": fitted.n_iter_,
            "seconds": round(time.perf_counter() - began, 2),
        }
        for key, value in fold.items():
            row.setdefault(key, []).append(value)
    return {"n_parameters": n_parameters(fitted)} | row


def n_parameters(model):
    """Return the number of distinct parameters of a network of either kind."""
    if hasattr(model, "n_parameters_"):
        return model.n_parameters_
    return sum(a.size for a in (*model.coefs_, *model.intercepts_))


def mean_and_error(values):
    """Return the mean over the folds and its standard error."""
    return np.mean(values), np.std(values, ddof=1) / np.sqrt(len(values))


def name_of(data, row):
    """Return under which name the row of a model and a data set is kept."""
    return f"{data}: {row}"


def former_rows(content):
    """Return the rows of a file that has them by data set."""
    return {name_of(d, name): row for d, rows in content.items() for name, row in rows.items()}


def cells_of(name, row, baseline):
    """Return a row as the page shows it."""
    cells = {"model": name, "parameters": f"{row['n_parameters']:,}"}
    for metric in METRICS:
        mine, theirs = np.array(row[metric]), np.array(baseline[metric])
        difference = "{:+.4f} ± {:.4f}".format(*mean_and_error(mine - theirs))
        cells[metric] = "{:.4f} ± {:.4f}".format(*mean_and_error(mine))
        cells[f"{metric}, difference"] = "" if name == BASELINE else difference
    return cells


def tables(results):
    """Yield the table of each data set, and the text above it."""
    for data, (_, hidden, epochs) in DATA.items():
        rows = {name: results.rows.get(name_of(data, name)) for name in ROWS}
        if baseline := rows[BASELINE]:
            yield f"**{data}**: hidden layers {hidden}, at most {epochs} epochs"
            yield table([cells_of(name, row, baseline) for name, row in rows.items() if row])


TEXT = """\
Means over 15 folds with their standard errors. Differences from MLPClassifier
are taken fold by fold: above 0 is better for accuracy, below 0 for log-loss.
Depth 1 of mean field (MF) is the same network as MLPClassifier, trained by our
loop. BP is belief propagation. Tied sweeps are damped by 0.8, except in the last row."""


def main():
    """Compute the rows that are not there yet, and write the tables."""
    parser = make_parser(__doc__, "mrf_classification.json")
    options, results = begin(parser, former=former_rows)
    warnings.simplefilter("ignore", ConvergenceWarning)
    results.compute(
        run_row,
        {name_of(data, row): (row, data) for data, row in product(DATA, ROWS)},
        lambda row: "; ".join(f"{metric} {np.mean(row[metric]):.4f}" for metric in METRICS),
    )
    title = "Unfolded fields against a sigmoid network"
    report(options, results, title, TEXT, *tables(results))


if __name__ == "__main__":
    main()
