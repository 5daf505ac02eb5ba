"""Predictions of one sample, with the prepared network kept or prepared again at each call.

    python benchmarks/one_sample.py --out one_sample.json --markdown doc/results/one_sample.md

An image through a label graph of 64 x 64 pixels, four tied sweeps of mean field; a frame of
speech through ``sequence()`` of the regressor that `SpeechEnhancer` has by default, at 16 kHz
(561 features, 201 outputs). Data is random, in single precision: times do not depend on it.
Times are medians of calls, by the clock on the wall, in one thread.
"""

import numpy as np
from harness import begin, make_parser, median_seconds, report, table
from sklearn.feature_extraction.image import grid_to_graph
from threadpoolctl import threadpool_limits

from skunfold import UnfoldedMeanFieldClassifier
from skunfold._estimator import prepared
from skunfold.audio._regressor import default_regressor

SIDE = 64
N_FEATURES, N_OUTPUTS = 561, 201


def image():
    """Return a fitted model, and a function that predicts the labels of one image."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, SIDE**2)).astype(np.float32)
    model = UnfoldedMeanFieldClassifier(
        (),
        n_layers=4,
        tied=True,
        label_graph=grid_to_graph(SIDE, SIDE),
        coupling="shared",
        max_iter=1,
        tol=0,
        random_state=0,
    ).fit(X, (X > 0).astype(int))
    return model, lambda: model.predict(X[:1])


def frame():
    """Return a fitted model, and a function that predicts the next frame of a sequence."""
    X = np.random.default_rng(0).gamma(0.5, size=(500, N_FEATURES)).astype(np.float32)
    model = default_regressor(np.random.RandomState(0))
    model.set_params(n_trained_layers=0, init="random").fit(X, X[:, -N_OUTPUTS:] / 2)
    sequence = model.sequence()
    return model, lambda: sequence.predict(X[:1])


SAMPLES = {"image, 64 x 64 labels": image, "frame, default enhancer": frame}


def measured(name, n_calls):
    """Return a row: milliseconds of a call, and the ratio."""
    model, predict = SAMPLES[name]()

    def predict_again():
        prepared._prepared.pop(model, None)
        predict()

    with threadpool_limits(1, user_api="blas"):
        kept, again = (1e3 * median_seconds(f, n_calls) for f in (predict, predict_again))
    return {
        "sample": name,
        "ms, kept": kept,
        "ms, prepared again": again,
        "ratio": again / kept,
    }


def main():
    """Measure what is not there yet."""
    parser = make_parser(__doc__, "one_sample.json")
    parser.add_argument("--calls", type=int, default=500, help="of which the median counts")
    options, results = begin(parser, ["calls"])
    results.compute(measured, {name: (name, options.calls) for name in SAMPLES})
    text = (
        f"Milliseconds of one prediction, medians of {options.calls} calls in one thread, with "
        "the prepared network kept between calls, as it always is, and prepared again at each "
        "call."
    )
    report(options, results, "One sample", text, table(results.of(SAMPLES)))


if __name__ == "__main__":
    main()
