"""Deep NMF against sparse NMF on real speech in real noise: mean SI-SDR by row.

    python benchmarks/speech_enhancement.py --data ../shared/data/dev --out results.json

Speech and noise folders hold ``train``, ``valid`` and ``test``, disjoint in utterances and
recordings. Protocol: 16 kHz, 25 ms square-root Hann windows every 10 ms (201 bins), 9 stacked
frames, SNRs of -6 to 9 dB; 240 training mixtures (seed 0), 60 test mixtures (seed 1), 30
validation mixtures (seed 2). All rows start from the same bases: sparse NMF of 10,000 training
frames of each source. Epochs are chosen by training utterances that are held out; rows already
in the output file are not computed again.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from sklearn.utils import Bunch

from skunfold import DeepNMFRegressor
from skunfold.audio import SpeechEnhancer
from skunfold.datasets import load_recordings, make_mixtures
from skunfold.metrics import si_sdr

N_MIXTURES = {"train": 240, "test": 60, "valid": 30}
SEEDS = {"train": 0, "test": 1, "valid": 2}
COMMON = {
    "n_components": 50,
    "output": "mask",
    "sparsity": 5.0,
    "early_stopping": True,
    "n_iter_no_change": 6,
    "random_state": 0,
    "verbose": 1,
}
ROWS = {
    "sparse NMF, K=25": {"n_layers": 25, "n_trained_layers": 0},
    "sparse NMF, K=100": {"n_layers": 100, "n_trained_layers": 0},
    "C=1, K=25": {"n_layers": 25, "n_trained_layers": 1, "max_iter": 40},
    "C=2, K=25": {"n_layers": 25, "n_trained_layers": 2, "max_iter": 40},
    "tied, all layers, K=8": {"n_layers": 8, "tied": True, "max_iter": 40},
    "untied, all layers, K=8": {"n_layers": 8, "max_iter": 40},
}


def load(folder, subset):
    """Return the mixtures of one subset."""
    speech, noise = (
        load_recordings(folder / kind / subset).recordings for kind in ("speech", "noise")
    )
    return make_mixtures(
        speech, noise, n_mixtures=N_MIXTURES[subset], random_state=SEEDS[subset]
    )


def scores(enhancer, mixtures):
    """Return the mean SI-SDR of enhanced mixtures in dB, and of each SNR."""
    estimates = mixtures.noisy if enhancer is None else enhancer.predict(mixtures.noisy)
    values = np.array([si_sdr(s, e) for s, e in zip(mixtures.clean, estimates)])
    by_snr = {f"{snr:g}": values[mixtures.snr == snr].mean() for snr in np.unique(mixtures.snr)}
    return Bunch(mean=values.mean(), by_snr=by_snr)


def run_row(params, train, initial_bases):
    """Return a fitted enhancer, and the seconds its fit took; None: new bases."""
    init = "sparse_nmf" if initial_bases is None else initial_bases
    regressor = DeepNMFRegressor(init=init, **(COMMON | params))
    enhancer = SpeechEnhancer(regressor, random_state=0)
    began = time.perf_counter()
    enhancer.fit(train.noisy, train.clean)
    return enhancer, time.perf_counter() - began


def main():
    """Compute the rows that are not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of speech and noise")
    parser.add_argument("--out", type=Path, default=Path("speech_enhancement.json"))
    parser.add_argument("--rows", nargs="*", default=list(ROWS), choices=list(ROWS))
    parser.add_argument("--subset", choices=["valid", "test"], default="test")
    parser.add_argument("--set", nargs="*", default=[], help="name=value of the regressor")
    options = parser.parse_args()
    overrides = {k: json.loads(v) for k, v in (item.split("=", 1) for item in options.set)}

    results = json.loads(options.out.read_text()) if options.out.exists() else {}
    train, test = load(options.data, "train"), load(options.data, options.subset)
    results["noisy"] = {"mean_si_sdr": scores(None, test).mean}
    bases = None
    bases_file = options.out.with_suffix(".bases.npy")
    if bases_file.exists():
        bases = np.load(bases_file)
    for name in options.rows:
        if name in results:
            continue
        enhancer, seconds = run_row(ROWS[name] | overrides, train, bases)
        if bases is None:
            bases = enhancer.regressor_.bases_[0]
            np.save(bases_file, bases)
        result = scores(enhancer, test)
        regressor = enhancer.regressor_
        results[name] = {
            "mean_si_sdr": result.mean,
            "by_snr": result.by_snr,
            "n_parameters": regressor.n_parameters_,
            "n_iter": regressor.n_iter_,
            "fit_seconds": seconds,
            "validation_loss_curve": regressor.validation_loss_curve_,
        }
        print(
            f"{name}: {result.mean:.2f} dB, {regressor.n_parameters_:,} parameters", flush=True
        )
        options.out.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
