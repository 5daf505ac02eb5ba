"""The work of ``skunfold demo``: train on the bundled recordings, denoise others, compare."""

import importlib.util
import json
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skunfold._install import install_advice
from skunfold._storage import replacing
from skunfold._text import printable
from skunfold.audio import SpeechEnhancer, write_audio
from skunfold.cli.files import make_folder
from skunfold.cli.progress import Progress
from skunfold.cli.workbench import (
    SNRS,
    enhance_all,
    fit_enhancer,
    format_table,
    make_enhancer,
    score_row,
)
from skunfold.datasets import load_bundled_recordings, make_mixtures
from skunfold.deep_nmf import DeepNMFRegressor
from skunfold.model_files import save_model

N_CONTEXT = 5  # frames
N_COMPONENTS = 32  # for speech, and as many for noise
N_MIXTURES = 156  # every training utterance twice at every SNR
N_LAYERS = 8  # of deep NMF
SPARSE_N_LAYERS = (8, 25, 100)  # iterations of sparse NMF; the best of them is reported
BATCH_SIZE = 256  # frames
MAX_ITER = 8  # epochs
HEARD_SNRS = (-6, 0, 6)  # dB, of the mixtures written as WAV files
SHOWN_SNR = 0  # dB, of the mixture in the picture

N_STAGES = 6
_RESULTS = {"results.json", "model", "wav", "spectrograms.png"}

_NO_PICTURE = (
    f"For a picture of the spectrograms: {install_advice('plotting')}, and run it again."
)


def check_demo_folder(folder: Path, overwrite: bool) -> None:
    """Make the folder, or raise if it holds anything but the results of a demo."""
    if folder.is_dir() and not overwrite:
        others = sorted({path.name for path in folder.iterdir()} - _RESULTS)
        if others:
            raise FileExistsError(
                f"The folder {printable(folder)} holds {printable(others[0])}, which is not of "
                "a demo; choose another folder, or give --overwrite."
            )
    make_folder(folder)


def run_demo(folder: Path, seed: int, progress: Progress) -> tuple[list[dict[str, Any]], str]:
    """Train, denoise and write the results into a folder.

    Parameters
    ----------
    folder : Path
        An existing folder.  Gets ``results.json``, ``model``, ``wav/*.wav`` and, with
        matplotlib, ``spectrograms.png``.
    seed : int
        Seed of mixtures and training.
    progress : Progress
        Is called for each of `N_STAGES` stages.

    Returns
    -------
    rows : list of dict
        The table, rows of `score_row`.
    text : str
        The table, and what was written where.
    """
    progress.stage("load the recordings")
    train, test = load_bundled_recordings("train"), load_bundled_recordings("test")
    mixtures = make_mixtures(test.speech, test.noise, snrs=SNRS, random_state=seed)

    plain = {"n_trained_layers": 0, "relaxation": 1.0}  # standard sparse NMF
    sparse = _make_enhancer(seed, n_layers=SPARSE_N_LAYERS[0], **plain)
    progress.stage("fit sparse NMF")
    sparse_seconds = _fit(sparse, train, progress)
    progress.stage("denoise with sparse NMF", len(SPARSE_N_LAYERS) * len(mixtures.noisy))
    candidates = [
        _denoise("sparse NMF", _with_layers(sparse, n), mixtures, sparse_seconds, progress)
        for n in SPARSE_N_LAYERS
    ]
    best = max(candidates, key=lambda candidate: candidate.row["mean_si_sdr"])

    bases = sparse.regressor_.bases_[0]
    deep = _make_enhancer(seed, n_layers=N_LAYERS, init=bases, max_iter=MAX_ITER)
    progress.stage("train deep NMF", MAX_ITER)
    deep_seconds = _fit(deep, train, progress)
    progress.stage("denoise with deep NMF", len(mixtures.noisy))
    trained = _denoise("deep NMF", deep, mixtures, sparse_seconds + deep_seconds, progress)
    best.row["n_parameters"] = sparse.regressor_.n_parameters_  # copies hold its bases twice

    progress.stage("write the results")
    rows = [score_row("noisy", mixtures, mixtures.noisy), best.row, trained.row]
    text = json.dumps({"rows": rows}, indent=2) + "\n"
    with replacing(folder / "results.json") as file:
        file.write_text(text, encoding="utf-8")
    save_model(deep, folder / "model")
    versions = {
        "noisy": mixtures.noisy,
        "sparse NMF": best.estimates,
        "deep NMF": trained.estimates,
        "clean": mixtures.clean,
    }
    _write_waveforms(folder / "wav", mixtures, versions, test.sample_rate)
    picture = _draw_picture(folder, mixtures, versions, test.sample_rate)
    tried = ", ".join(map(str, SPARSE_N_LAYERS))
    notes = [
        f"sparse NMF: {best.n_layers} iterations, the best of {tried} on these mixtures.",
        f"deep NMF: {N_LAYERS} layers, trained from the bases of sparse NMF (time included).",
        f"Results, model and recordings are in {printable(folder)}.",
    ]
    return rows, "\n".join([format_table(rows), *notes, *picture])


def _make_enhancer(seed: int, **regressor_params: Any) -> SpeechEnhancer:
    """Return an enhancer of the demo's size."""
    return make_enhancer(
        seed,
        n_context=N_CONTEXT,
        context_averages=(),  # with only three noises, training would overfit to them
        n_components=N_COMPONENTS,
        batch_size=BATCH_SIZE,
        **regressor_params,
    )


def _fit(enhancer: SpeechEnhancer, train: Bunch, progress: Progress) -> float:
    """Fit an enhancer to as many mixtures as the demo makes; return the seconds it took."""
    return fit_enhancer(enhancer, train.speech, train.noise, progress, n_mixtures=N_MIXTURES)


def _with_layers(enhancer: SpeechEnhancer, n_layers: int) -> SpeechEnhancer:
    """Return a sparse NMF with another number of iterations: its layers are all the same."""
    other, fitted = copy(enhancer), enhancer.regressor_
    other.regressor_ = DeepNMFRegressor.from_bases(
        fitted.bases_[0],
        fitted.output_bases_,
        initial_activation=fitted.initial_activation_,
        **fitted.get_params() | {"n_layers": n_layers},
    )
    return other


def _denoise(
    name: str, enhancer: SpeechEnhancer, mixtures: Bunch, fit_seconds: float, progress: Progress
) -> Bunch:
    """Return estimates, their row of the table, and the number of layers."""
    estimates = enhance_all(enhancer, mixtures.noisy, progress)
    regressor = enhancer.regressor_
    row = score_row(
        name,
        mixtures,
        estimates,
        n_parameters=regressor.n_parameters_,
        fit_seconds=fit_seconds,
    )
    return Bunch(estimates=estimates, row=row, n_layers=regressor.n_layers)


def _write_waveforms(
    folder: Path, mixtures: Bunch, versions: dict[str, list[np.ndarray]], sample_rate: int
) -> None:
    """Write all versions of a few mixtures, each with another utterance, at one level."""
    folder.mkdir(exist_ok=True)
    n_speech = int(mixtures.speech_index.max()) + 1
    for i, snr in enumerate(HEARD_SNRS):
        chosen = (mixtures.snr == snr) & (mixtures.speech_index == i % n_speech)
        index = int(np.flatnonzero(chosen)[0])
        peak = max(float(np.abs(waveforms[index]).max()) for waveforms in versions.values())
        gain = min(1.0, 0.99 / peak)
        for name, waveforms in versions.items():
            file = folder / f"snr{snr:+d}dB_{name.replace(' ', '_').lower()}.wav"
            write_audio(file, waveforms[index] * np.float32(gain), sample_rate)


def _draw_picture(
    folder: Path, mixtures: Bunch, versions: dict[str, list[np.ndarray]], sample_rate: int
) -> list[str]:
    """Draw the spectrograms of one mixture; return what to say about it, a list of lines."""
    if importlib.util.find_spec("matplotlib") is None:
        return [_NO_PICTURE]
    from matplotlib.figure import Figure

    from skunfold.plotting import plot_spectrograms

    index = int(np.flatnonzero(mixtures.snr == SHOWN_SNR)[0])
    titles = [f"noisy, {SHOWN_SNR} dB", *list(versions)[1:]]
    waveforms = [version[index] for version in versions.values()]
    figure = plot_spectrograms(waveforms, sample_rate, titles, figure=Figure(dpi=120))
    with replacing(folder / "spectrograms.png") as file:
        figure.savefig(file, format="png")
    return []
