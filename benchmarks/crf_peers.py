"""Peers of the fields over rows: scikit-learn, python-crfsuite, pytorch-crf.

Each is a function from (X, y, X_test, y_test, alpha) to a row of results. X ends with the word
and the position of each letter. `alpha` is the penalty as in `UnfoldedCRFClassifier`: half of
it times the sum of squares of the weights is added to the mean loss of a row.
"""

import time
from functools import partial
from importlib.util import find_spec
from itertools import pairwise
from tempfile import TemporaryDirectory

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

EPOCHS, BATCH, DECAY = 30, 50, 0.9  # of pytorch-crf: words, step size of an epoch
ROWS_OF_BATCH = 400  # of MLPClassifier


def measured(predict_proba, y, seconds, trained=None):
    """Return accuracy, log-loss, CPU seconds of the fit, and rows a second.

    `trained` is the number of rows of all epochs.
    """
    began = time.process_time()
    p = predict_proba()
    predicting = time.process_time() - began
    right = np.maximum(p[np.arange(len(y)), y], np.finfo(np.float32).tiny)
    return {
        "accuracy": 100 * float((p.argmax(axis=1) == y).mean()),
        "log-loss": float(-np.log(right).mean()),
        "fit": seconds,
        "rows/s trained": trained and round(trained / seconds),
        "rows/s predicted": round(len(y) / max(predicting, 1e-6)),
    }


def fitted_row(model, X, y, X_test, y_test):
    """Return the results of an estimator; epochs are counted where it has `n_iter_`."""
    began = time.process_time()
    model.fit(X, y)
    seconds = time.process_time() - began
    trained = len(y) * int(np.max(model.n_iter_))
    model.predict_proba(X_test[:100])
    return measured(lambda: model.predict_proba(X_test), y_test, seconds, trained)


def logistic_regression(X, y, X_test, y_test, alpha):
    """Return the results of scikit-learn's LogisticRegression of single letters."""
    model = LogisticRegression(C=1 / (alpha * len(y)), max_iter=200)
    return fitted_row(model, X[:, :-2], y, X_test[:, :-2], y_test)


def perceptron(X, y, X_test, y_test, alpha):
    """Return the results of scikit-learn's MLPClassifier of single letters."""
    model = MLPClassifier(
        256,
        activation="logistic",
        alpha=alpha * ROWS_OF_BATCH,
        batch_size=ROWS_OF_BATCH,
        learning_rate_init=0.005,
        max_iter=EPOCHS,
        random_state=0,
    )
    return fitted_row(model, X[:, :-2], y, X_test[:, :-2], y_test)


def words_of(X):
    """Return the rows of each word."""
    return np.split(np.arange(len(X)), np.flatnonzero(np.diff(X[:, -2])) + 1)


def crfsuite(X, y, X_test, y_test, alpha):
    """Return the results of python-crfsuite, whose features are the pixels that are on."""
    import pycrfsuite

    def items(X, rows):
        return pycrfsuite.ItemSequence(
            [["1", *map(str, np.flatnonzero(X[row, :-2]).tolist())] for row in rows]
        )

    trainer = pycrfsuite.Trainer(verbose=False)
    # Its penalty is added to the sum of the losses, without the half.
    trainer.set_params({"c1": 0, "c2": alpha * len(y) / 2, "max_iterations": 200})
    trainer.set_params({"feature.possible_states": True, "feature.possible_transitions": True})
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

        trained = len(y) * trainer.logparser.last_iteration["num"]
        return measured(predict_proba, y_test, seconds, trained)


def pytorch_crf(X, y, X_test, y_test, alpha, hidden=()):
    """Return the results of pytorch-crf above hidden units, trained alike.

    It has no marginals: accuracy and time of a prediction are those of its `decode`.
    """
    import torch
    from torchcrf import CRF

    torch.manual_seed(0)
    torch.set_num_threads(1)
    sizes = (X.shape[1] - 2, *hidden, 26)
    layers = [torch.nn.Linear(a, b) for a, b in pairwise(sizes)]
    network = torch.nn.Sequential(*[part for W in layers for part in (W, torch.nn.Sigmoid())])
    network = network[:-1]
    crf = CRF(26, batch_first=True)
    parameters = [*network.parameters(), *crf.parameters()]
    groups = [
        {"params": [p for p in parameters if p.ndim == 2], "weight_decay": alpha},
        {"params": [p for p in parameters if p.ndim == 1]},
    ]
    update = torch.optim.Adam(groups, lr=0.02)
    decay = torch.optim.lr_scheduler.ExponentialLR(update, DECAY)

    def batch(X, words):
        longest = max(map(len, words))
        rows = np.zeros((len(words), longest), int)
        mask = np.zeros((len(words), longest), bool)
        for i, word in enumerate(words):
            rows[i, : len(word)], mask[i, : len(word)] = word, True
        return torch.from_numpy(X[rows, :-2]), rows, torch.from_numpy(mask)

    words, rng = words_of(X), np.random.default_rng(0)
    began = time.process_time()
    for _ in range(EPOCHS):
        order = rng.permutation(len(words))
        for part in np.array_split(order, -(-len(order) // BATCH)):
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
        "rows/s trained": round(EPOCHS * len(y) / seconds),
        "rows/s predicted": round(len(y_test) / predicting),
    }


PEERS = {
    "LogisticRegression": logistic_regression,
    "MLPClassifier, 256 hidden": perceptron,
}
if find_spec("pycrfsuite"):
    PEERS["python-crfsuite"] = crfsuite
if find_spec("torchcrf"):
    PEERS["pytorch-crf"] = pytorch_crf
    PEERS["pytorch-crf, 256 hidden"] = partial(pytorch_crf, hidden=(256,))
