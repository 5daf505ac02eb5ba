"""Deep NMF, sparse NMF and mask networks on real speech in real noise.

    python benchmarks/speech_enhancement.py --data DIR --out results/speech_enhancement

The protocol stands in `speech_protocol.py`, the networks in `mask_network.py`. Every trained
row sees 240 new mixtures in each epoch, the same ones for all rows, ends with the parameters
that were best on the validation mixtures, and starts, if it is deep NMF, from the same bases:
sparse NMF of 10,000 training frames of each source. Rows that are in ``OUT.json`` already are
not computed again; ``OUT.md`` is the table, ``OUT.models/`` holds the fitted models.
"""

import argparse
import json
import time
from pathlib import Path

import joblib
from mask_network import MaskNetwork
from speech_protocol import (
    N_CONTEXT,
    N_TRAIN,
    SAMPLE_RATE,
    SNRS,
    ideal_ratio_mask,
    load,
    masked,
    measure,
    validation_mixtures,
)

from skunfold import DeepNMFRegressor
from skunfold.audio import SpeechEnhancer

DEEP_NMF = {
    "n_components": 50,
    "output": "mask",
    "sparsity": 5.0,
    "batch_size": 256,
    "early_stopping": True,
    "random_state": 0,
    "max_iter": 1,
    "verbose": 1,
}
NETWORK = {"max_iter": 1, "verbose": 1}


def deep_nmf(**params):
    return DeepNMFRegressor(**DEEP_NMF | params)


# name: (regressor, epochs)
ROWS = {
    "sparse NMF (C=0), K=25": (deep_nmf(n_layers=25, n_trained_layers=0), 1),
    "sparse NMF (C=0), K=100": (deep_nmf(n_layers=100, n_trained_layers=0), 1),
    "deep NMF, tied, all layers, K=8": (deep_nmf(n_layers=8, tied=True), 20),
    "deep NMF, untied, all layers, K=8": (deep_nmf(n_layers=8), 20),
    "discriminative NMF (C=1), K=25": (deep_nmf(n_layers=25, n_trained_layers=1), 10),
    "deep NMF, untied, C=2, K=25": (deep_nmf(n_layers=25, n_trained_layers=2), 10),
    "network, 3x256 tanh": (MaskNetwork((256, 256, 256), **NETWORK), 20),
    "network, 1x1024 tanh": (MaskNetwork((1024,), **NETWORK), 20),
    "network, 2x1024 ReLU": (MaskNetwork((1024, 1024), activation="relu", **NETWORK), 20),
}


def fit(regressor, n_epochs, folder):
    """Return an enhancer fitted by the protocol, and the seconds that its fit took."""
    valid = validation_mixtures(folder)
    enhancer = SpeechEnhancer(
        regressor,
        sample_rate=SAMPLE_RATE,
        n_context=N_CONTEXT,
        snrs=SNRS,
        n_mixtures=N_TRAIN,
        n_draws=n_epochs,
        random_state=0,
    )
    began = time.perf_counter()
    enhancer.fit_sources(*load(folder, "train"), X_val=valid.noisy, y_val=valid.clean)
    return enhancer, time.perf_counter() - began


def run_row(name, options):
    """Return the result of a row: what it is, and its scores."""
    folder, subset = options.data, options.subset
    if name == "noisy":
        return measure(lambda mixture, *_: mixture, folder, subset)
    if name == "ideal ratio mask":
        return measure(ideal_ratio_mask, folder, subset)
    regressor, n_epochs = ROWS[name]
    file = options.out.with_suffix(".models") / f"{name}.joblib"
    if file.exists():
        regressor, seconds = joblib.load(file)
    else:
        if isinstance(regressor, DeepNMFRegressor):
            regressor.set_params(init=_first_bases(options))
        enhancer, seconds = fit(regressor, options.epochs or n_epochs, folder)
        regressor = enhancer.regressor_
        joblib.dump((regressor, seconds), file)
    curve = regressor.validation_loss_curve_
    return {
        "n_parameters": regressor.n_parameters_,
        "n_epochs": len(curve) if curve else 0,
        "validation_loss_curve": curve and [round(loss, 3) for loss in curve],
        "fit_seconds": round(seconds, 1),
    } | measure(lambda mixture, *_: masked(mixture, regressor.predict), folder, subset)


def _first_bases(options):
    """Return the bases of sparse NMF that all deep NMF starts from."""
    file = options.out.with_suffix(".models") / "bases.joblib"
    if not file.exists():
        regressor = deep_nmf(n_layers=1, n_trained_layers=0, init="sparse_nmf")
        joblib.dump(fit(regressor, 1, options.data)[0].regressor_.bases_[0], file)
    return joblib.load(file)


def as_markdown(results):
    """Return the table of the rows."""
    columns = ["row", "parameters", "fit (s)", "SI-SDR, draw 1", "gain", "SDR", "gain"]
    columns += ["STOI", "gain", "SI-SDR, all draws", "gain"]
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    for name, row in results.items():
        first = row["first"]
        cells = [name, f"{row.get('n_parameters', 0):,}", f"{row.get('fit_seconds', 0):.0f}"]
        for metric, digits in (("si_sdr", 2), ("sdr", 2), ("stoi", 3)):
            cells += _cells(first[metric], digits)
        lines.append(f"| {' | '.join(cells + _cells(row['all'], 2))} |")
    return "\n".join(lines) + "\n"


def _cells(scores, digits):
    """Return mean with interval, and improvement with interval."""
    return [
        f"{scores[mean]:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
        for mean, (low, high) in (
            ("mean", scores["interval"]),
            ("improvement", scores["improvement_interval"]),
        )
    ]


def main():
    """Compute the rows that are not there yet."""
    names = ["noisy", "ideal ratio mask", *ROWS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of speech and noise")
    parser.add_argument("--out", type=Path, default=Path("speech_enhancement"))
    parser.add_argument("--rows", nargs="*", default=names, choices=names)
    parser.add_argument("--subset", choices=["valid", "test"], default="test")
    parser.add_argument("--epochs", type=int, help="in place of each row's own")
    options = parser.parse_args()
    options.out.with_suffix(".models").mkdir(parents=True, exist_ok=True)
    file = options.out.with_suffix(".json")
    results = json.loads(file.read_text()) if file.exists() else {}
    for name in options.rows:
        if name in results:
            continue
        results[name] = run_row(name, options)
        print(f"{name}: {results[name]['all']['mean']:.2f} dB", flush=True)
        file.write_text(json.dumps(results))
        options.out.with_suffix(".md").write_text(as_markdown(results))


if __name__ == "__main__":
    main()
