"""Enhancers of many kinds of noise, each without some kinds, as a start and for comparison.

The settings are those that `SpeechEnhancer` has by default, but that every epoch sees new
mixtures. So that every kind of noise is unknown to one of them, the kinds are divided into
folds, and a model is trained without each fold.
"""

import time
from pathlib import Path

import numpy as np
from harness import kept
from speech_protocol import N_TRAIN, SAMPLE_RATE, SNRS, load, validation_mixtures

from skunfold.audio import SpeechEnhancer
from skunfold.audio._regressor import default_regressor
from skunfold.datasets import load_recordings

N_FOLDS = 4
DEFAULT_DRAWS = 8
ALL = "all noise"


def kind_of(name):
    """Return the voice or kind of noise of a recording: what is before "_" in its name."""
    return name.split("_")[0]


def folds(folder):
    """Return the kinds of noise in each fold, by the names of the models without them."""
    names = load_recordings(Path(folder) / "noise" / "train", sample_rate=SAMPLE_RATE).names
    kinds = sorted({kind_of(name) for name in names})
    parts = [kinds[i::N_FOLDS] for i in range(N_FOLDS)]
    return {f"without {', '.join(part)}": part for part in parts if part}


def train(folder, left_out, n_draws, enhancer=None):
    """Return an enhancer that was trained without some kinds of noise, and the CPU seconds.

    Its settings are those of an unfitted enhancer, or the default ones.
    """

    def keep(kind, name):
        return kind == "speech" or kind_of(name) not in left_out

    if enhancer is None:
        enhancer = SpeechEnhancer(default_regressor(np.random.RandomState(0)))
    enhancer.regressor.set_params(
        max_iter=1, learning_rate_decay=0.75 ** (8 / n_draws), averaging=0.995
    )
    enhancer.set_params(random_state=0)
    valid = validation_mixtures(folder, keep)
    began = time.process_time()
    enhancer.fit_sources(
        *load(folder, "train", keep),
        snrs=SNRS,
        n_mixtures=N_TRAIN,
        n_draws=n_draws,
        X_val=valid.noisy,
        y_val=valid.clean,
    )
    return enhancer, time.process_time() - began


def general_model(options, name, left_out=(), n_draws=None, enhancer=None):
    """Return a model and the CPU seconds of its training; it is kept beside the results.

    Without `n_draws` there are as many as the options say; settings are as in `train`.
    """
    n_draws = n_draws or options.draws
    file = options.models / f"{name}, {n_draws} draws.joblib"
    return kept(file, lambda: train(options.data, left_out, n_draws, enhancer))
