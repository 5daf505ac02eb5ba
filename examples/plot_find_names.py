"""
====================================
Find names in sentences: entity tags
====================================

The task is to find persons, places and companies in sentences. Each word has a tag: ``B-``
begins a name, ``I-`` continues it, ``O`` is outside. The tag of a word depends on the words
beside it, and on *their tags*. The features are one-hot, so X is sparse.
"""

# %%
# Sentences
# ---------
# Sentences are made from patterns and lists of names. The names in the test sentences do not
# occur in the training sentences.
import numpy as np

PATTERNS = """\
P moved from L to L last year .
In May P joined C as a director .
C of L hired P and P .
The board of C met P in L .
P said that C would leave L soon .
Shares of C fell after P left .
L and L are far from the office of C .
Yesterday P bought flowers in L .
Nobody at C had heard of P .
The train from L was late , wrote P .
P , who was born in L , runs C .
C and C will merge , P told us ."""
NAMES = {
    "P": "Anna Berg|Carlos Ruiz|Mary Jane Hill|Tom West|Ivan Petrov|Li Wei|Sara Bank|Ada Young|"
    "John Paris|Omar Sharp|Nina Van Dam|Rose May|Peter North|Eva Stone|Max Field|Ruth King",
    "L": "Oslo|New York|Lima|San Marino|Bergen|West Ham|Kyoto|Stone Town|Cairo|North Hill|Rome|"
    "Port Louis|Young Creek|Petrov Square|Berg en Dal|Kings Field",
    "C": "Acme|North Bank|Hill and Sons|Ruiz Motors|Field Foods|Bergen Shipping|Sharp Tools|"
    "West Air|Young Media|Stone and Wei|King Paper|Marino Glass|Lima Steel|Rose Cosmetics|"
    "Van Dam Travel|Oslo Fish",
}
KINDS = {"P": "PER", "L": "LOC", "C": "ORG"}
rng = np.random.default_rng(0)


def make_sentences(n, names):
    """Return sentences, lists of (word, tag)."""
    patterns, sentences = PATTERNS.split("\n"), []
    for i in range(n):
        sentence = []
        for word in patterns[i % len(patterns)].split():
            if word in KINDS:
                first, *more = rng.choice(names[word]).split()
                sentence.append((first, f"B-{KINDS[word]}"))
                sentence += [(other, f"I-{KINDS[word]}") for other in more]
            else:
                sentence.append((word, "O"))
        sentences.append(sentence)
    return sentences


names = {kind: text.split("|") for kind, text in NAMES.items()}
train = make_sentences(150, {kind: some[:8] for kind, some in names.items()})
test = make_sentences(60, {kind: some[8:] for kind, some in names.items()})

# %%
# Features
# --------
# The features describe a word and its neighbours. The last column is the number of the
# sentence.
from scipy.sparse import hstack
from sklearn.feature_extraction import DictVectorizer


def features(sentence, i):
    """Return the features of a word."""
    found = {"last": i == len(sentence) - 1}
    for place in (-1, 0, 1):
        word = sentence[i + place][0] if 0 <= i + place < len(sentence) else "(none)"
        found |= {f"{place} word": word.lower(), f"{place} capital": word[0].isupper()}
    return found


def as_rows(sentences, vectorizer):
    """Return X, with the sentence as its last column, and the tags."""
    X = vectorizer.transform([features(s, i) for s in sentences for i in range(len(s))])
    number = np.repeat(np.arange(len(sentences)), [len(s) for s in sentences])
    tags = np.array([tag for s in sentences for _, tag in s])
    return hstack([X, number[:, None]], format="csr"), tags


vectorizer = DictVectorizer().fit([features(s, i) for s in train for i in range(len(s))])
X, y = as_rows(train, vectorizer)
X_test, y_test = as_rows(test, vectorizer)

# %%
# One word at a time, and whole sentences
# ---------------------------------------
# ``decode`` finds the most probable tags of a whole sentence, and excludes tags that cannot
# follow each other: an inside tag must follow a tag of the same kind. The model without a graph
# does not get the column of the sentence.
from skunfold import UnfoldedCRFClassifier

settings = {"solver": "lbfgs", "alpha": 1e-3, "max_iter": 100}
alone = UnfoldedCRFClassifier(**settings).fit(X[:, :-1], y)
field = UnfoldedCRFClassifier(graph_columns=[-1], **settings).fit(X, y)
tags = field.classes_
forbidden = [
    (before, tag)
    for tag in tags
    if tag[0] == "I"
    for before in [None, *tags]
    if before not in (f"B{tag[1:]}", tag)
]


def entities(tags, sentence_of_word):
    """Return the names as tuples of sentence, kind and words."""
    found, words = set(), []
    for i, tag in enumerate(tags):
        if words and not (tag[0] == "I" and tag[2:] == tags[words[-1]][2:]):
            found.add((sentence_of_word[words[0]], tags[words[0]][2:], *words))
            words = []
        if tag != "O":
            words.append(i)
    return found


def f1(predicted):
    """Return the F1 score of whole names."""
    sentence = X_test[:, [-1]].toarray().ravel()
    true, found = entities(y_test, sentence), entities(predicted, sentence)
    return 2 * len(true & found) / (len(true) + len(found))


predictions = {
    "each word by itself": alone.predict(X_test[:, :-1]),
    "marginals (predict)": field.predict(X_test),
    "together (decode)": field.decode(X_test, forbidden),
}
for name, predicted in predictions.items():
    right = np.mean(predicted == y_test)
    print(f"{name}: F1 of names {f1(predicted):.3f}, right tags {right:.3f}")

# %%
# A sentence
# ----------
# The plot shows the probabilities of the tags along a test sentence. Frames mark the correct
# tags. Below the words are the predicted tags.
import matplotlib.pyplot as plt

from skunfold.plotting import MarginalsDisplay

chosen = np.flatnonzero(X_test[:, [-1]].toarray().ravel() == 10)
found = predictions["together (decode)"][chosen]
labels = [f"{word}\n{tag}" for (word, _), tag in zip(test[10], found)]
fig, ax = plt.subplots(figsize=(9, 3.2), layout="constrained")
MarginalsDisplay.from_estimator(field, X_test[chosen], y_test[chosen], labels=labels, ax=ax)
ax.tick_params(axis="x", labelsize=8)
plt.show()
