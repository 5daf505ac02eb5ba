"""What the commands share: make, fit and apply enhancers, and score them by SNR."""

import json
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skunfold._estimator.data import was_interrupted
from skunfold.audio import SpeechEnhancer
from skunfold.cli.output import print_text, tell
from skunfold.cli.progress import EpochCallback, Progress
from skunfold.deep_nmf import DeepNMFRegressor
from skunfold.metrics import si_sdr

SNRS = (-6, -3, 0, 3, 6, 9)  # dB, in training and test
SPARSITY = 5.0


def make_enhancer(
    seed: int,
    *,
    sample_rate: int = 16000,
    n_context: int,
    context_averages: Sequence[float] = (3.0,),
    n_sample_components: int | None = None,
    **regressor_params: Any,
) -> SpeechEnhancer:
    """Return an enhancer of the kind that the command line trains."""
    settings: dict[str, Any] = {
        "output": "mask",
        "init": "sparse_nmf",
        "solver": "eg",
        "sparsity": SPARSITY,
        "tied": True,
        "relaxation": 2.0,
        "fit_projections": True,
        "early_stopping": True,
        "random_state": seed,
    }
    regressor = DeepNMFRegressor(**(settings | regressor_params))
    return SpeechEnhancer(
        regressor,
        sample_rate=sample_rate,
        n_context=n_context,
        context_averages=context_averages,
        n_sample_components=n_sample_components,
        random_state=seed,
    )


def adaptable(enhancer: SpeechEnhancer, seed: int, *, max_iter: int) -> SpeechEnhancer:
    """Return a fitted enhancer whose next fit continues from what it has learned."""
    regressor = enhancer.regressor_
    if not isinstance(regressor, DeepNMFRegressor):
        raise ValueError(f"its regressor is a {type(regressor).__name__}, not a deep NMF.")
    if regressor.n_trained_layers == 0:
        raise ValueError("it is sparse NMF, of which no layer is trained.")
    regressor.set_params(
        warm_start=True, early_stopping=True, max_iter=max_iter, random_state=seed
    )
    return enhancer.set_params(warm_start=True, random_state=seed)


def fit_enhancer(
    enhancer: SpeechEnhancer,
    speech: list[np.ndarray],
    noise: list[np.ndarray],
    progress: Progress,
    *,
    n_mixtures: int | None = None,
    keep_interrupted: bool = False,
) -> float:
    """Fit an enhancer to mixtures of recordings; return the seconds it took.

    Where scikit-learn has callbacks (1.9 or newer), each epoch advances the progress.
    A fit that Ctrl-C ended leaves a usable enhancer, only less trained. It is kept if that is
    asked for; otherwise KeyboardInterrupt is raised.
    """
    regressor = enhancer.regressor_ if enhancer.warm_start else enhancer.regressor
    watched = hasattr(regressor, "set_callbacks")
    if watched:
        regressor.set_callbacks(EpochCallback(progress))
    start = time.perf_counter()
    enhancer.fit_sources(speech, noise, snrs=SNRS, n_mixtures=n_mixtures)
    seconds = time.perf_counter() - start
    if watched:
        regressor.set_callbacks()
        enhancer.regressor_.set_callbacks()
    enhancer.set_params(warm_start=False)
    enhancer.regressor_.set_params(warm_start=False)
    if was_interrupted(enhancer.regressor_) and not keep_interrupted:
        raise KeyboardInterrupt
    return seconds


def held_out_scores(regressor: Any) -> tuple[list[float] | None, list[str]]:
    """Return the R^2 of held-out utterances after each epoch, and a sentence about them.

    None, and no sentence, where nothing was held out, as of sparse NMF.
    """
    scores = regressor.validation_scores_
    if not scores:
        return None, []
    best = int(np.argmin(regressor.validation_loss_curve_))
    sentence = (
        f"Held-out utterances: R^2 {scores[0]:.3f} after the first epoch, {scores[best]:.3f} "
        f"after epoch {best + 1} of {len(scores)}, the best, which is kept."
    )
    return [float(score) for score in scores], [sentence]


def enhance_all(
    enhancer: SpeechEnhancer, waveforms: list[np.ndarray], progress: Progress
) -> list[np.ndarray]:
    """Enhance waveforms one by one, each a step of the progress."""
    estimates = []
    for waveform in waveforms:
        estimates.append(enhancer.enhance(waveform))
        progress.advance()
    return estimates


def score_row(
    name: str,
    mixtures: Bunch,
    estimates: Sequence[np.ndarray],
    *,
    n_parameters: int = 0,
    fit_seconds: float = 0.0,
) -> dict[str, Any]:
    """Compare estimates with the clean waveforms of the mixtures.

    Parameters
    ----------
    name : str
        What made the estimates.
    mixtures : Bunch
        Mixtures made by `skunfold.datasets.make_mixtures`.
    estimates : sequence of ndarrays of shape (n_samples_i,)
        One for each mixture.
    n_parameters : int, default=0
        Parameters of what made them.
    fit_seconds : float, default=0.0
        How long its fit took.

    Returns
    -------
    dict
        ``name``, ``mean_si_sdr`` (dB), ``si_sdr`` (dB for each SNR, keys like "-6"),
        ``n_parameters`` and ``fit_seconds``.
    """
    scores = np.array([float(si_sdr(s, e)) for s, e in zip(mixtures.clean, estimates)])
    snrs = np.unique(mixtures.snr)
    by_snr = {f"{snr:g}": float(scores[mixtures.snr == snr].mean()) for snr in snrs}
    return {
        "name": name,
        "mean_si_sdr": float(scores.mean()),
        "si_sdr": by_snr,
        "n_parameters": int(n_parameters),
        "fit_seconds": float(fit_seconds),
    }


def format_table(rows: Sequence[dict[str, Any]]) -> str:
    """Format rows of `score_row` as a table of text."""
    width = max(20, *(len(row["name"]) for row in rows))
    snrs = list(rows[0]["si_sdr"])
    header = "".join(f"{snr + ' dB':>8}" for snr in snrs)
    lines = [f"{'mean SI-SDR (dB) at':<{width}}{header}{'mean':>8}{'parameters':>13}{'fit':>9}"]
    for row in rows:
        scores = "".join(f"{row['si_sdr'][snr]:>8.2f}" for snr in snrs)
        size = f"{row['n_parameters']:,}" if row["n_parameters"] else "-"
        time = f"{row['fit_seconds']:.1f} s" if row["fit_seconds"] else "-"
        lines.append(
            f"{row['name']:<{width}}{scores}{row['mean_si_sdr']:>8.2f}{size:>13}{time:>9}"
        )
    lines.insert(1, "-" * len(lines[0]))
    return "\n".join(lines)


def print_result(data: dict[str, Any], text: str, *, as_json: bool) -> None:
    """Print text on stdout, or data as JSON on stdout and the text on stderr."""
    if as_json:
        # JSON has no NaN and no infinity, which an estimate without any error would score.
        finite = json.loads(json.dumps(data), parse_constant=lambda name: None)
        print_text(json.dumps(finite, indent=2))  # before the text
    if text:
        (tell if as_json else print_text)(text)
