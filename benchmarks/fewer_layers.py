"""How few trained layers do what 200 iterations of sparse NMF do, and how much faster.

    python benchmarks/fewer_layers.py --data DIR --out fewer_layers.json \
        --markdown doc/results/fewer_layers.md

Protocol and settings are those of `speech_enhancement.py`, with few draws of mixtures; scores
are mean SI-SDR of the validation mixtures. All nets start from the bases of the sparse NMF
that they are compared with. Times are those of `predict` on the frames of the validation
mixtures, by turns, with one thread. Fitted models are kept beside the JSON file.
"""

import numpy as np
from harness import begin, interleaved, kept, make_parser, report, table
from speech_enhancement import DEEP_NMF, fit
from speech_protocol import N_CONTEXT, SAMPLE_RATE, masked, validation_mixtures
from threadpoolctl import threadpool_limits

from skunfold import DeepNMFRegressor
from skunfold.audio import STFT, stack_context
from skunfold.audio.features import recording_level
from skunfold.metrics import si_sdr

N_ITERATIONS = 200
SOME_ITERATIONS = (1, 2, 4, 8, 25, 50, 100, N_ITERATIONS)
DEPTHS = {"tied": (1, 2, 3, 4), "untied": (2, 3, 4)}  # of one layer both are the same
N_FRAMES = 1024  # that are timed


def sparse_nmf(options):
    """Return sparse NMF with all iterations, as an untrained network."""

    def make():
        settings = DEEP_NMF | {"n_layers": 1, "n_trained_layers": 0, "init": "sparse_nmf"}
        return fit(DeepNMFRegressor(**settings), 1, 0, options.data)[0].regressor_

    once = kept(options.models / "sparse.joblib", make)
    return DeepNMFRegressor.from_bases(
        once.bases_[0],
        once.output_bases_,
        initial_activation=once.initial_activation_,
        **once.get_params() | {"n_layers": N_ITERATIONS},
    )


def trained(n_layers, kind, options):
    """Return a trained network."""

    def make():
        settings = DEEP_NMF | {
            "n_layers": n_layers,
            "tied": kind == "tied",
            "init": sparse_nmf(options).bases_[0],
            "max_iter": 1,
            "learning_rate_decay": 0.75,
        }
        regressor = DeepNMFRegressor(**settings)
        return fit(regressor, options.draws, 0, options.data)[0].regressor_

    return kept(options.models / f"{kind} {n_layers}, {options.draws} draws.joblib", make)


def mean_si_sdr(predict, mixtures):
    """Return the mean SI-SDR of mixtures that a function of features enhances."""
    pairs = zip(mixtures.clean, mixtures.noisy)
    return float(np.mean([si_sdr(clean, masked(noisy, predict)) for clean, noisy in pairs]))


def score_by_iteration(network, mixtures):
    """Return the mean SI-SDR after some of the iterations of sparse NMF."""
    scores: dict = {k: [] for k in SOME_ITERATIONS}
    for clean, noisy in zip(mixtures.clean, mixtures.noisy):
        stages: dict = {}

        def predict(X, stages=stages):
            for k, y in enumerate(network.staged_predict(X), 1):
                if k in scores:
                    stages[k] = y.copy()
            return y

        masked(noisy, predict)
        for k, y in stages.items():
            scores[k].append(si_sdr(clean, masked(noisy, lambda _, y=y: y)))
    return {k: float(np.mean(values)) for k, values in scores.items()}


def frames_of(mixtures):
    """Return as many frames as are timed."""
    magnitudes = [np.abs(STFT(SAMPLE_RATE).analyze(x)) for x in mixtures.noisy]
    stacked = [stack_context(a, N_CONTEXT) / recording_level(a) for a in magnitudes]
    return np.concatenate(stacked)[:N_FRAMES].astype(np.float32)


def times_faster(few, many, X):
    """Return the time of one network's prediction over that of another's."""
    with threadpool_limits(1, user_api="blas"):
        functions = {"few": lambda: few.predict(X), "many": lambda: many.predict(X)}
        seconds = interleaved(functions, n_threads=1)
    return seconds["many"] / seconds["few"]


def row_of(kind, n_layers, options, mixtures):
    """Return the row of a trained network."""
    network = trained(n_layers, kind, options)
    return {
        "bases": kind,
        "K": n_layers,
        "parameters": network.n_parameters_,
        "SI-SDR": mean_si_sdr(network.predict, mixtures),
        "times faster": times_faster(network, sparse_nmf(options), frames_of(mixtures)),
    }


def main():
    """Compute the rows that are not there yet."""
    parser = make_parser(__doc__, "fewer_layers.json", data=True)
    parser.add_argument("--draws", type=int, default=2, help="of 240 mixtures, to learn from")
    options, results = begin(parser, ["draws"])
    options.models = options.out.with_suffix(".models")
    mixtures = validation_mixtures(options.data)
    results.compute(
        lambda: score_by_iteration(sparse_nmf(options), mixtures), {"sparse NMF": ()}
    )
    networks = {
        f"{kind}, K={n_layers}": (kind, n_layers, options, mixtures)
        for kind, depths in DEPTHS.items()
        for n_layers in depths
    }
    results.compute(row_of, networks)
    scores = results.rows.get("sparse NMF", {})
    text = (
        f"Mean SI-SDR in dB of the 30 validation mixtures. Sparse NMF is best after "
        f"{max(scores, key=scores.get, default='unknown')} of the iterations below; trained "
        f"networks of K layers have seen {options.draws} draws of 240 mixtures, once each. "
        f"Speed is that of `predict` on {N_FRAMES} frames with one thread, over that of "
        f"{N_ITERATIONS} iterations."
    )
    iterations = table([{"iterations": k, "SI-SDR": v} for k, v in scores.items()])
    rows = table(results.of(networks))
    report(options, results, "Same quality, fewer layers", text, iterations, rows)


if __name__ == "__main__":
    main()
