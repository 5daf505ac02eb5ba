"""Deep NMF, sparse NMF and mask networks on real speech in real noise.

    python benchmarks/speech_enhancement.py --data DIR --out results/speech_enhancement.json

The protocol is in `speech_protocol.py`, the networks in `mask_network.py`. Every trained
row sees 240 new mixtures in each epoch, the same ones for all rows, ends with the parameters
that were best on the validation mixtures, and starts, if it is deep NMF, from the same bases:
sparse NMF of 10,000 training frames of each source. Beside the JSON file are the tables and,
in a folder ``.models``, the fitted models; `speech_figures.py` draws the pictures once all
models that it shows are there.
"""

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from harness import begin, kept, make_parser, report, table
from mask_network import MaskNetwork
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from speech_protocol import (
    N_CONTEXT,
    N_TRAIN,
    SAMPLE_RATE,
    SNRS,
    any_name,
    ideal_ratio_mask,
    interval,
    load,
    masked,
    measure,
    real_time_factor,
    utterances_of,
    validation_mixtures,
)

from skunfold import DeepNMFRegressor
from skunfold.audio import SpeechEnhancer

DEEP_NMF = {
    "n_components": 50,
    "output": "mask",
    "sparsity": 2.0,
    "batch_size": 256,
    "learning_rate_init": 0.1,
    "averaging": 0.995,
    "early_stopping": True,
    "random_state": 0,
    "verbose": 1,
}
NETWORK = {"averaging": 0.995, "learning_rate_decay": 0.75, "max_iter": 1, "verbose": 1}
TIED, UNTIED = (f"deep NMF, {kind}, all layers, K=8" for kind in ("tied", "untied"))
TIED_16, UNTIED_16 = (f"deep NMF, {kind}, all layers, K=16" for kind in ("tied", "untied"))
LARGER = f"{TIED_16}, relaxed, 100 bases a source"
PROJECTIONS = f"{TIED_16}, relaxed, projections"
RECURRENT = f"{PROJECTIONS}, recurrent"
STACKED = {"context_bands": None, "context_averages": ()}
BANDS = STACKED | {"context_bands": 40}
AVERAGES = BANDS | {"context_averages": (3.0,)}
LONGER = 0.75**0.5  # the decay for twice as many draws


@dataclass(frozen=True)
class Row:
    """A regressor, how many draws of mixtures it learns from, and where it starts."""

    regressor: Any
    n_draws: int
    start: str | None = None  # the row that it continues; None: sparse NMF
    seed: int = 0  # of the draws
    context: dict = field(default_factory=STACKED.copy)  # parameters of the enhancer


def deep_nmf(n_draws, start=None, seed=0, context=STACKED, **params):
    return Row(DeepNMFRegressor(**DEEP_NMF | params), n_draws, start, seed, context)


def last_layers(n_trained_layers, n_layers=25):
    """Return the row of deep NMF of which the last layers are trained."""
    return deep_nmf(
        8,
        n_layers=n_layers,
        n_trained_layers=n_trained_layers,
        sparsity=5.0,
        max_iter=2,
        learning_rate_decay=0.9,
    )


def tied(n_layers, n_draws=8, **params):
    """Return the row of deep NMF with tied layers, all trained."""
    tied = {"n_layers": n_layers, "tied": True, "max_iter": 1, "learning_rate_decay": 0.75}
    return deep_nmf(n_draws, **tied | params)


def untied(n_layers, start, seed=0, **params):
    """Return the row of deep NMF with untied layers, which continues another row."""
    untied = {"n_layers": n_layers, "max_iter": 1, "learning_rate_init": 0.05}
    return deep_nmf(6, start, seed, learning_rate_decay=0.75, **untied | params)


def network(n_draws, *hidden_layer_sizes, context=STACKED, **params):
    return Row(MaskNetwork(hidden_layer_sizes, **NETWORK | params), n_draws, context=context)


ROWS = {
    "sparse NMF (C=0), K=25": deep_nmf(1, n_layers=25, n_trained_layers=0),
    "sparse NMF (C=0), K=100": deep_nmf(1, n_layers=100, n_trained_layers=0),
    "sparse NMF (C=0), K=200": deep_nmf(1, n_layers=200, n_trained_layers=0),
    "discriminative NMF (C=1), K=25": last_layers(1),
    "discriminative NMF (C=1), K=50": last_layers(1, n_layers=50),
    "deep NMF, untied, C=2, K=25": last_layers(2),
    "deep NMF, untied, C=3, K=25": last_layers(3),
    "deep NMF, untied, C=4, K=25": last_layers(4),
    TIED: tied(8),
    f"{TIED}, mu": tied(8, solver="mu", learning_rate_init=0.25),
    f"{TIED}, naive mu": tied(8, solver="naive-mu", learning_rate_init=1.0),
    UNTIED: untied(8, TIED),
    f"{UNTIED}, 6 more draws": untied(8, UNTIED, seed=1),
    TIED_16: tied(16),
    UNTIED_16: untied(16, TIED_16),
    f"{TIED}, relaxed": tied(8, relaxation=2.0),
    f"{TIED}, relaxed, 250 bases a source, 40 bands": tied(
        8, relaxation=2.0, n_components=250, context=BANDS
    ),
    f"{TIED_16}, relaxed": tied(16, relaxation=2.0),
    LARGER: tied(16, relaxation=2.0, n_components=100),
    f"{TIED_16}, relaxed, 200 bases a source": tied(16, relaxation=2.0, n_components=200),
    **{
        f"{TIED_16}, relaxed, {n_components} bases a source, 40 bands{longer}": tied(
            16,
            n_draws,
            relaxation=2.0,
            n_components=n_components,
            context=BANDS,
            learning_rate_decay=decay,
        )
        for n_components, n_draws, decay, longer in (
            (200, 8, 0.75, ""),
            (200, 16, LONGER, ", 16 draws"),
            (280, 16, LONGER, ", 16 draws"),
        )
    },
    **{
        f"{PROJECTIONS}, {n_components} bases a source, 40 bands{longer}": tied(
            16,
            n_draws,
            relaxation=2.0,
            fit_projections=True,
            n_components=n_components,
            context=BANDS,
            learning_rate_init=0.05,
            learning_rate_decay=decay,
        )
        for n_components, n_draws, decay, longer in (
            (80, 8, 0.75, ""),
            (100, 8, 0.75, ""),
            (114, 8, 0.75, ""),
            (114, 16, LONGER, ", 16 draws"),
        )
    },
    **{
        f"{name}, {n_components} bases a source, 40 bands, average{longer}": tied(
            16,
            n_draws,
            relaxation=2.0,
            fit_projections=True,
            recurrence=recurrence,
            n_components=n_components,
            context=AVERAGES,
            learning_rate_init=0.05,
            learning_rate_decay=decay,
        )
        for name, recurrence, n_components, n_draws, decay, longer in (
            (PROJECTIONS, 0.0, 100, 8, 0.75, ""),
            (PROJECTIONS, 0.0, 100, 16, LONGER, ", 16 draws"),
            (RECURRENT, 0.5, 100, 8, 0.75, ""),
            (RECURRENT, 0.5, 100, 16, LONGER, ", 16 draws"),
        )
    },
    f"{UNTIED_16}, relaxed, 100 bases a source": untied(
        16, LARGER, relaxation=2.0, n_components=100
    ),
    "network, 3x256 tanh": network(8, 256, 256, 256),
    "network, 1x1024 tanh": network(8, 1024),
    "network, 1x1024 sigmoid": network(8, 1024, activation="logistic"),
    "network, 2x1024 ReLU": network(8, 1024, 1024, activation="relu"),
    "network, 3x1024 ReLU": network(8, 1024, 1024, 1024, activation="relu"),
    "network, 3x1024 ReLU, 16 draws": network(
        16, 1024, 1024, 1024, activation="relu", learning_rate_decay=LONGER
    ),
    "network, 2x1536 ReLU": network(8, 1536, 1536, activation="relu"),
    "network, 3x1024 ReLU, 40 bands": network(
        8, 1024, 1024, 1024, activation="relu", context=BANDS
    ),
    **{
        f"network, 3x1024 ReLU, 40 bands{name}, 16 draws": network(
            16,
            1024,
            1024,
            1024,
            activation="relu",
            context=context,
            learning_rate_decay=LONGER,
        )
        for name, context in (("", BANDS), (", average", AVERAGES))
    },
    "network, 3x1024 ReLU, 40 bands, average": network(
        8, 1024, 1024, 1024, activation="relu", context=AVERAGES
    ),
}


def fit(regressor, n_draws, seed, folder, keep=any_name, context=STACKED):
    """Return an enhancer fitted by the protocol, and the seconds that its fit took."""
    valid = validation_mixtures(folder, keep)
    enhancer = SpeechEnhancer(
        regressor,
        sample_rate=SAMPLE_RATE,
        n_context=N_CONTEXT,
        **context,
        random_state=seed,
    )
    began = time.perf_counter()
    enhancer.fit_sources(
        *load(folder, "train", keep),
        snrs=SNRS,
        n_mixtures=N_TRAIN,
        n_draws=n_draws,
        X_val=valid.noisy,
        y_val=valid.clean,
    )
    return enhancer, time.perf_counter() - began


def fitted(name, options):
    """Return the fitted regressor of a row, and the seconds that it took."""

    def make():
        row = ROWS[name]
        if row.start is not None:
            row.regressor.set_params(init=FrozenEstimator(fitted(row.start, options)[0]))
        elif isinstance(row.regressor, DeepNMFRegressor):
            row.regressor.set_params(init=_first_bases(row, options))
        draws = options.draws or row.n_draws
        enhancer, seconds = fit(
            row.regressor, draws, row.seed, options.data, context=row.context
        )
        return enhancer.regressor_, seconds

    return kept(options.out.with_suffix(".models") / f"{name}.joblib", make)


def run_row(name, options):
    """Return the result of a row: what it is, and its scores."""
    folder, subset = options.data, options.subset
    if name == "noisy":
        return measure(lambda mixture, *_: mixture, folder, subset)
    if name == "ideal ratio mask":
        return measure(ideal_ratio_mask, folder, subset)
    regressor, seconds = fitted(name, options)

    def enhance(mixture, *_):
        return masked(mixture, regressor.predict, **ROWS[name].context)

    curve = regressor.validation_loss_curve_
    return {
        "n_parameters": regressor.n_parameters_,
        "n_epochs": len(curve) if curve else 0,
        "validation_loss_curve": curve and [round(loss, 3) for loss in curve],
        "fit_seconds": round(seconds, 1),
        "real_time_factor": round(real_time_factor(enhance, folder), 1),
    } | measure(enhance, folder, subset)


def _first_bases(row, options):
    """Return the bases of sparse NMF that deep NMF of this sparsity and size starts from."""
    regressor, bands = row.regressor, row.context["context_bands"]
    averages = row.context["context_averages"]
    name = f"bases, sparsity {regressor.sparsity:g}, {regressor.n_components} a source"
    name += f", {bands} bands" if bands else ""
    name += f", averages {averages}" if averages else ""

    def make():
        sparse = clone(regressor).set_params(n_layers=1, n_trained_layers=0, init="sparse_nmf")
        enhancer, _ = fit(sparse, 1, 0, options.data, context=row.context)
        return enhancer.regressor_.bases_[0]

    return kept(options.out.with_suffix(".models") / f"{name}.joblib", make)


def tables(rows, utterances):
    """Return the tables of the rows: scores, other metrics, and differences."""
    scores, others = [], []
    for name, row in rows.items():
        first = row["first"]
        speed = f"{row['real_time_factor']:.0f}" if "real_time_factor" in row else ""
        scores.append(
            {
                "row": name,
                "parameters": f"{row.get('n_parameters', 0):,}",
                "fit (s)": f"{row.get('fit_seconds', 0):.0f}",
                "x real time": speed,
                **_cells("SI-SDR, draw 1", first["si_sdr"], 2),
                **_cells("SI-SDR, all", row["all"], 2),
            }
        )
        by_snr = {f"{snr} dB": value for snr, value in first["si_sdr_by_snr"].items()}
        others.append(
            {"row": name, **_cells("SDR", first["sdr"], 2), **_cells("STOI", first["stoi"], 3)}
            | by_snr
        )
    return table(scores), table(others), table(_differences(rows, utterances))


INTRODUCTION = """\
Mean SI-SDR in dB of test mixtures, with its gain over the mixture; 95 % bootstrap intervals
over utterances in brackets. "Draw 1" are the 60 mixtures of seed 1, "all" those of seeds 1
to 6.

K is the number of layers, C the number of trained layers, counted from the output (all where
it is not given). "Relaxed" means over-relaxed updates, "projections" separate arrays in the
updates (`fit_projections`), "recurrent" inference that begins with what was active before
(`recurrence`). With 40 bands, the frames before the current one are gathered into mel bands;
with "average", the model also sees their average over 3 seconds.

Networks and tied deep NMF see 8 draws of 240 training mixtures, once each, or as many as their
names say. Untied deep NMF continues tied deep NMF for 6 more draws, with 8 layers twice. Where
only the last layers are trained, 8 draws are seen twice.

The seconds of a fit are those of the row itself, on a core that other work shared. "x real
time" are the seconds of sound enhanced in a second of one thread (CPU time, median of five).
Rows of the script that are missing here have not been run."""


def _differences(rows, utterances):
    """Return what deep NMF gains over sparse NMF and over the networks."""
    deep = [name for name in rows if name.startswith(("deep", "disc"))]
    base = [name for name in rows if name.startswith(("sparse", "network"))]
    lines = []
    for name in deep:
        for other in base:
            values = np.subtract(
                rows[name]["si_sdr_by_mixture"], rows[other]["si_sdr_by_mixture"]
            )
            low, high = interval(values, utterances)
            difference = f"{values.mean():+.2f} [{low:+.2f}, {high:+.2f}]"
            lines.append({"better by": name, "than": other, "dB": difference})
    return lines


def _cells(name, scores, digits):
    """Return mean with interval, and improvement with interval."""
    return {
        column: f"{scores[mean]:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
        for column, mean, (low, high) in (
            (name, "mean", scores["interval"]),
            (f"{name}: gain", "improvement", scores["improvement_interval"]),
        )
    }


def main():
    """Compute the rows that are not there yet."""
    names = ["noisy", "ideal ratio mask", *ROWS]
    parser = make_parser(__doc__, "doc/results/speech_enhancement.json", data=True)
    parser.add_argument("--subset", choices=["valid", "test"], default="test")
    parser.add_argument("--draws", type=int, help="in place of each row's own number")
    options, results = begin(parser, ["subset", "draws"], former=dict)
    options.markdown = options.markdown or options.out.with_suffix(".md")
    if "utterances" not in results.rows:
        results.add("utterances", utterances_of(options.data, options.subset))
    results.compute(
        run_row,
        {name: (name, options) for name in names},
        lambda row: f"{row['all']['mean']:.2f} dB",
    )
    rows = {name: results.rows[name] for name in names if name in results.rows}
    scores, others, differences = tables(rows, results.rows["utterances"])
    report(
        options,
        results,
        "Speech enhancement",
        INTRODUCTION,
        scores,
        "Draw 1 by other metrics (gain over the mixture), and its SI-SDR at each SNR:",
        others,
        "Differences in SI-SDR, mixture by mixture, over all draws:",
        differences,
    )
    from speech_figures import draw  # which takes names of rows from here

    draw(options.data, options.out, options.subset, results.rows)


if __name__ == "__main__":
    main()
