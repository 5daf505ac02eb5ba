"""Draw the figures of the speech enhancement benchmark from its results and its models.

    python benchmarks/speech_figures.py --data DIR --out results/speech_enhancement.json

They are beside that file of results: ``speech_enhancement_parameters.png``, ``_layers.png``
and ``_curves.png``, ``_bases.jpg`` and ``_spectrograms.jpg``. Layers are scored on validation
mixtures.
"""

import joblib
import matplotlib.pyplot as plt
import numpy as np
from harness import make_parser, read_file
from speech_enhancement import RECURRENT, ROWS, TIED, TIED_16
from speech_protocol import (
    N_CONTEXT,
    SAMPLE_RATE,
    check_mixtures,
    masked,
    masked_stages,
    validation_mixtures,
)

from skunfold.audio import STFT
from skunfold.metrics import si_sdr

FAMILIES = {"sparse": "sparse NMF", "d": "deep NMF", "network": "network"}
BEST = f"{RECURRENT}, 100 bases a source, 40 bands, average"
SPARSE = "sparse NMF (C=0), K=25"
SHOWN = (SPARSE, TIED, TIED_16, BEST)
LABELS = {name: name for name in SHOWN} | {BEST: "deep NMF, the default of SpeechEnhancer"}
N_BASES = 12  # shown of each source


def family(name):
    """Return which family of models a row belongs to, or None."""
    return next((label for start, label in FAMILIES.items() if name.startswith(start)), None)


def parameters(results):
    """Draw SI-SDR against the number of parameters.

    Labelled are rows 0.1 dB better than all smaller models of their family.
    """
    figure, ax = plt.subplots(figsize=(9, 6.5), layout="constrained")
    for label, marker in zip(FAMILIES.values(), "so^"):
        rows = {n: r for n, r in results.items() if family(n) == label}
        rows = dict(sorted(rows.items(), key=lambda item: item[1]["n_parameters"]))
        sizes = [row["n_parameters"] for row in rows.values()]
        means = [row["all"]["mean"] for row in rows.values()]
        ax.plot(sizes, means, marker, label=label)
        for i, (name, size, mean) in enumerate(zip(rows, sizes, means)):
            smaller = [other for j, other in enumerate(means) if sizes[j] <= size and j != i]
            if max(smaller, default=-np.inf) > mean - 0.1:
                continue  # the tables name every row
            text = name.removeprefix(f"{label}, ").replace(", all layers", "")
            text = text.replace("relaxed, projections, recurrent", "recurrent")
            text = text.replace("tied, K=16, relaxed, projections", "projections")
            text = text.replace(", 6 more draws", ", longer").replace(" bases a source", "")
            text = text.removeprefix("sparse NMF ").removeprefix("discriminative NMF ")
            crowded = any(
                0 < abs(other - mean) < 0.1 and 1 < another / size < 2
                for other, another in zip(means, sizes)
            )
            to, side = ((-6, -3), "right") if crowded else ((6, -3), "left")
            ax.annotate(text, (size, mean), to, textcoords="offset points", fontsize=8, ha=side)
    ax.set(xscale="log", xlabel="parameters", ylabel="SI-SDR (dB)", xlim=(6e4, 2e7))
    ax.set_title("Means of 360 test mixtures", fontsize=10)
    ax.legend(loc="lower right")
    return figure


def layers(models, folder):
    """Draw SI-SDR of the estimate after each layer."""
    mixtures = validation_mixtures(folder)
    figure, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for name in SHOWN:
        stages_of, context = models[name].staged_predict, ROWS[name].context
        scores = np.mean(
            [
                [si_sdr(speech, y) for y in masked_stages(mixture, stages_of, **context)]
                for mixture, speech in zip(mixtures.noisy, mixtures.clean)
            ],
            axis=0,
        )
        ax.plot(np.arange(len(scores)) + 1, scores, ".-", label=LABELS[name])
    ax.set(xlabel="layer", ylabel="SI-SDR (dB), validation mixtures")
    ax.set_title("The estimate after each layer, through the trained output layer", fontsize=10)
    ax.legend(fontsize=8)
    return figure


def bases(before, after):
    """Draw some bases of speech and noise, before and after training."""
    n_components = len(before) // 2
    figure, axes = plt.subplots(
        4, N_BASES, figsize=(11, 7), sharex=True, sharey=True, layout="constrained"
    )
    for source, first in (("speech", 0), ("noise", n_components)):
        moved = np.linalg.norm(after - before, axis=1)[first : first + n_components]
        shown = first + np.sort(np.argsort(moved)[-N_BASES:])
        for state, W in (("before", before), ("after", after)):
            row = 2 * (source == "noise") + (state == "after")
            for ax, w in zip(axes[row], W[shown]):
                patch = w.reshape(N_CONTEXT, -1).T ** 0.5
                ax.imshow(patch, origin="lower", aspect="auto", cmap="magma")
                ax.set(xticks=[], yticks=[])
            axes[row, 0].set_ylabel(f"{source}, {state}")
    figure.suptitle(
        f"The {N_BASES} bases of each source that training moved most: frequency against the "
        f"{N_CONTEXT} frames of context",
        fontsize=10,
    )
    return figure


def spectrograms(models, folder, subset, snr=0):
    """Draw the spectrograms of a mixture, of the models' estimates, and of its speech."""
    _, mixtures = next(check_mixtures(folder, subset))
    index = int(np.flatnonzero(mixtures.snr == snr)[0])
    mixture, speech = mixtures.noisy[index], mixtures.clean[index]
    waveforms = {"noisy": mixture}
    for name in SHOWN:
        waveforms[LABELS[name]] = masked(mixture, models[name].predict, **ROWS[name].context)
    waveforms["clean"] = speech
    figure, axes = plt.subplots(
        len(waveforms), 1, figsize=(8, 2 * len(waveforms)), sharex=True, layout="constrained"
    )
    stft = STFT(SAMPLE_RATE)
    for ax, (name, waveform) in zip(axes, waveforms.items()):
        decibels = 20 * np.log10(np.abs(stft.analyze(waveform)).T + 1e-6)
        top = decibels.max()
        extent = (0, len(waveform) / SAMPLE_RATE, 0, SAMPLE_RATE / 2000)
        ax.imshow(
            decibels,
            vmin=top - 70,
            vmax=top,
            origin="lower",
            aspect="auto",
            cmap="magma",
            extent=extent,
        )
        ax.set_ylabel("kHz")
        score = "" if name == "clean" else f": {si_sdr(speech, waveform):.1f} dB"
        ax.set_title(name + score, fontsize=9)
    axes[-1].set_xlabel("time (s)")
    return figure


def curves(results):
    """Draw the validation loss by draw, for the ways to train the same tied network."""
    names = {
        TIED: "exponentiated gradient",
        f"{TIED}, mu": "multiplicative, parts cancelled in each layer",
        f"{TIED}, naive mu": "multiplicative, naive parts",
    }
    figure, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for name in [name for name in names if name in results]:
        curve = results[name]["validation_loss_curve"]
        ax.plot(np.arange(len(curve)) + 1, curve, ".-", label=names[name])
    ax.set(xlabel="draws of 240 mixtures", ylabel="validation loss per frame")
    ax.margins(y=0.3)
    ax.set_title(TIED, fontsize=10)
    ax.legend(loc="upper right")
    return figure


def draw(folder, file, subset, results):
    """Draw all figures of the results of a file; False if a model that is shown is missing."""
    files = {name: file.with_suffix(".models") / f"{name}.joblib" for name in SHOWN}
    if not all(model.exists() for model in files.values()):
        return False
    models = {name: joblib.load(model)[0] for name, model in files.items()}
    figures = {
        "parameters": parameters(results),
        "layers": layers(models, folder),
        "bases": bases(models[SPARSE].bases_[0], models[TIED].bases_[0]),
        "spectrograms": spectrograms(models, folder, subset),
        "curves": curves(results),
    }
    for name, figure in figures.items():
        suffix = "jpg" if name in ("bases", "spectrograms") else "png"
        figure.savefig(file.with_name(f"{file.stem}_{name}.{suffix}"), dpi=100)
    return True


def main():
    """Draw what there are results for."""
    out = "doc/results/speech_enhancement.json"
    parser = make_parser(__doc__, out, data=True, tables=False)
    options = parser.parse_args()
    if not options.out.exists():
        parser.error(f"there is no {options.out}; run speech_enhancement.py")
    content = read_file(options.out, former=dict)
    subset = content["settings"].get("subset", "test")
    if not draw(options.data, options.out, subset, content["rows"]):
        parser.error(f"the models of {', '.join(SHOWN)} are needed; run speech_enhancement.py")


if __name__ == "__main__":
    main()
