"""skunfold and the noise suppressors that one might take instead, on the same mixtures.

    python benchmarks/speech_tools.py --data DIR --out results/speech_tools.json

DIR holds ``speech`` and ``noise``, each with ``train``, ``valid`` and ``test``; recordings are
named VOICE_NUMBER and KIND_NUMBER. skunfold is trained on ``train`` and stopped by ``valid``.
So are recurrent networks (`gru_mask.py`), which take the place of its regressor and see the
same features of the same mixtures. The models are kept in a folder ``.models`` beside the
results. Each model file that is given by ``--model`` is also a tool; then DIR may be any folder
of speech and noise (``--no-training``). The peers are those of `speech_peers.py`. Peers and
measures whose packages are missing are left out.

A row is a tool under a condition: mixtures at six SNRs, some of them with the band of a
telephone and 40 dB lower, clean speech, music, silence.
"""

import textwrap
import time
from pathlib import Path

import numpy as np
from general_models import ALL, DEFAULT_DRAWS, folds, general_model
from harness import begin, make_parser, report, table
from speech_conditions import clean_speech, mixtures, music, quiet, silence, telephone
from speech_measures import ALL as MEASURES
from speech_measures import FEW, Levels, available
from speech_peers import PEERS, SAMPLE_RATE
from speech_protocol import ideal_ratio_mask, interval
from threadpoolctl import threadpool_limits

from skunfold.audio import SpeechEnhancer
from skunfold.model_files import load_model

NOISY, IDEAL = "noisy", "ideal ratio mask"
KNOWN, UNKNOWN = "skunfold", "skunfold, this kind of noise left out"
RECURRENT = {  # units, and draws if not as many as for skunfold
    "GRU mask network": (155, None),
    "GRU mask network, 20 draws": (155, 20),
    "GRU mask network, 10 x the size, 5 draws": (597, 5),
}
MIXTURES = "mixtures"
LABELS = ("utterance", "voice", "kind", "snr")
N_OTHERS = 20  # mixtures that are heard by telephone, and at a lower level


def conditions(folder, subset):
    """Return the items to enhance and the measures for them by the names of the conditions."""
    mixed = mixtures(folder, subset)
    few, levels = available(*FEW), available(Levels)
    return {
        MIXTURES: (mixed, available(*MEASURES)),
        "telephone": (telephone(mixed[:N_OTHERS]), few),
        "quiet": (quiet(mixed[:N_OTHERS]), few),
        "clean speech": (clean_speech(mixed), few),
        "music": (music(folder, subset), levels),
        "silence": (silence(), levels),
    }


class Tools:
    """Functions from an item to its enhanced waveform, by the names of tools, made when needed.

    `known` is what is known of those that were made: megabytes of parameters, CPU seconds of
    training.
    """

    def __init__(self, options):
        self._options = options
        self._made = {}
        self.known = {}
        self.names = [NOISY, *PEERS]
        self._unknown = UNKNOWN
        if options.fold_draws:
            self._unknown += f", {options.fold_draws} draws"
        if options.training:
            self.names += [*RECURRENT, KNOWN, self._unknown]
        self.names += [model.stem for model in options.model]
        self.names.append(IDEAL)

    def __call__(self, name):
        """Return the function of a tool; ModuleNotFoundError if its package is missing."""
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def _make(self, name):
        if name == NOISY:
            return lambda item: item.noisy
        if name == IDEAL:
            return lambda item: ideal_ratio_mask(item.noisy, item.clean, item.noise)
        if name == self._unknown:
            return self._without_its_kind()
        if name in PEERS:
            peer = PEERS[name]()
            self.known[name] = {"megabytes": peer.megabytes()}
            return lambda item: peer(item.noisy, item.sample)
        files = {model.stem: model for model in self._options.model}
        if name in files:
            enhancer, seconds = load_model(files[name]), None
        elif name == KNOWN:
            enhancer, seconds = general_model(self._options, ALL)
        else:
            enhancer, seconds = self._recurrent(name)
        megabytes = getattr(enhancer.regressor_, "n_parameters_", 0) * 4 / 1e6
        self.known[name] = {"megabytes": megabytes, "fit_cpu_seconds": seconds}
        return lambda item: enhancer.enhance(item.noisy)

    def _recurrent(self, name):
        """Return an enhancer with a recurrent network, and the CPU seconds of its training."""
        from gru_mask import GRUMask

        n_units, n_draws = RECURRENT[name]
        enhancer = SpeechEnhancer(GRUMask(n_units))
        return general_model(self._options, name, n_draws=n_draws, enhancer=enhancer)

    def _without_its_kind(self):
        """Return what enhances with the model that was trained without the noise's kind.

        Where the noise is of no kind in training, every model will do, and the first does.
        """
        parts, n_draws = folds(self._options.data), self._options.fold_draws
        models = {
            name: general_model(self._options, name, part, n_draws)[0]
            for name, part in parts.items()
        }

        def enhance(item):
            without = [name for name in parts if item.kind in parts[name]]
            return models[[*without, *parts][0]].enhance(item.noisy)

        return enhance


def run_row(name, items, measures, tools):
    """Return what a tool does to the items: scores by name, labels, and CPU seconds."""
    enhance = tools(name)
    with threadpool_limits(1):
        began = time.process_time()
        estimates = [enhance(item) for item in items]
        seconds = time.process_time() - began
    row = {label: [getattr(item, label) for item in items] for label in LABELS}
    row |= {"cpu_seconds": seconds, "seconds": sum(len(i.noisy) for i in items) / SAMPLE_RATE}
    row |= {"megabytes": None} | tools.known.get(name, {})
    scores = [
        {k: v for measure in measures for k, v in measure(item.clean, e).items()}
        for item, e in zip(items, estimates)
    ]
    row["scores"] = {key: [round(float(s[key]), 4) for s in scores] for key in scores[0]}
    return row


def mean(row, measure, where=None):
    """Return the mean of a measure over the items where a list of bools is true, or None."""
    values = np.array(row["scores"].get(measure, [np.nan]))
    if where is not None:
        values = values[np.array(where)]
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else None


def overview(rows):
    """Return the table of all measures of the mixtures, with intervals of two of them."""
    lines = []
    for name, row in rows.items():
        line = {"tool": name, "MB": row["megabytes"]}
        line["CPU s / s"] = f"{row['cpu_seconds'] / row['seconds']:.3f}"
        training = row.get("fit_cpu_seconds")
        line["CPU s of training"] = training and f"{training:.0f}"
        for measure, values in row["scores"].items():
            line[measure] = mean(row, measure)
            if measure in ("SI-SDR", "PESQ") and np.isfinite(values).all():
                low, high = interval(values, row["utterance"])
                line[measure] = f"{line[measure]:.2f} [{low:.2f}, {high:.2f}]"
        lines.append(line)
    return table(lines)


def by_label(rows, label, measure):
    """Return the table of a measure by the SNR, the kind of noise or the voice."""
    lines = []
    for name, row in rows.items():
        values = sorted(set(row[label]))
        cells = {
            f"{v:g} dB" if label == "snr" else v: mean(
                row, measure, [v == x for x in row[label]]
            )
            for v in values
        }
        lines.append({"tool": name} | cells)
    return table(lines)


def others(results, names):
    """Return the table of the other conditions: SI-SDR and PESQ, or levels."""
    lines = []
    for name in names:
        line = {"tool": name}
        for condition in ("telephone", "quiet", "clean speech"):
            row = results.get(f"{name}, {condition}")
            for measure in ("SI-SDR", "PESQ"):
                line[f"{condition}: {measure}"] = row and mean(row, measure)
        for condition, key in (("music", "gain"), ("silence", "level")):
            row = results.get(f"{name}, {condition}")
            line[f"{condition}: {key} (dB)"] = row and mean(row, key)
        lines.append(line)
    return table(lines)


def draw(rows, file):
    """Draw SI-SDR, PESQ and the noise that DNSMOS hears, of all tools."""
    from matplotlib.figure import Figure

    shown = {
        "SI-SDR": "mean SI-SDR (dB)",
        "PESQ": "mean PESQ",
        "DNSMOS BAK": "mean DNSMOS, background",
    }
    names = [
        name
        for name, row in rows.items()
        if name != IDEAL and all(mean(row, measure) is not None for measure in shown)
    ]
    names.sort(key=lambda name: mean(rows[name], "SI-SDR"))
    figure = Figure(figsize=(11, 0.9 + 0.25 * len(names)), layout="constrained")
    for axes, (measure, label) in zip(figure.subplots(1, 3, sharey=True), shown.items()):
        colours = ["C1" if name.startswith(KNOWN) else "C0" for name in names]
        bars = axes.barh(names, [mean(rows[name], measure) for name in names], color=colours)
        axes.bar_label(bars, fmt="%.2f", padding=2, fontsize=8)
        axes.margins(x=0.25)
        axes.set_xlabel(label)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=110)


INTRODUCTION = """\
Means over {n} mixtures of {speech} in {noise} at -6 to 9 dB, with 95 % bootstrap intervals over
utterances in brackets. "{known}" was trained on other recordings of the same voices and kinds
of noise, {draws} draws of 240 mixtures; so were the GRU mask networks, which see the same
features of the same mixtures; a number of draws in a name is that of its training. For
"{unknown}", every mixture is enhanced by a model that was trained without its kind of noise.
The peers are as their packages ship them, with their delays taken out. MB is the size of the
files of parameters, where there are such files, or 4 bytes a parameter; CPU s / s are CPU
seconds for a second of sound in one thread. All CPU seconds are those of a machine that other
work shared, and up to twice what they are on an idle one. Nothing was chosen by these
mixtures."""


def main():
    """Compute the rows that are not there yet."""
    parser = make_parser(__doc__, "doc/results/speech_tools.json", data=True)
    parser.add_argument("--subset", choices=["valid", "test"], default="test")
    parser.add_argument("--draws", type=int, default=DEFAULT_DRAWS, help="of 240 mixtures")
    parser.add_argument(
        "--fold-draws", type=int, help="in the training without a kind of noise; as --draws"
    )
    parser.add_argument("--model", type=Path, action="append", default=[], metavar="FILE")
    parser.add_argument("--no-training", dest="training", action="store_false")
    options, results = begin(parser, ["subset", "draws"])
    options.markdown = options.markdown or options.out.with_suffix(".md")
    options.models = options.out.with_suffix(".models")
    tools, tried = Tools(options), conditions(options.data, options.subset)
    for name in tools.names:
        arguments = {
            f"{name}, {condition}": (name, items, measures, tools)
            for condition, (items, measures) in tried.items()
            if items
        }
        try:
            results.compute(run_row, arguments, lambda row: f"{row['cpu_seconds']:.1f} s")
        except ModuleNotFoundError as error:
            print(f"{name} is left out: {error}")
    names = [name for name in tools.names if f"{name}, {MIXTURES}" in results.rows]
    rows = {name: results.rows[f"{name}, {MIXTURES}"] for name in names}
    mixed, _ = tried[MIXTURES]
    introduction = INTRODUCTION.format(
        n=len(mixed),
        speech=", ".join(sorted({i.voice for i in mixed})),
        noise=", ".join(sorted({i.kind for i in mixed})),
        known=KNOWN,
        unknown=UNKNOWN,
        draws=options.draws,
    )
    picture = options.out.with_suffix(".png")
    draw(rows, picture)
    parts = [
        textwrap.fill(introduction, 96),
        overview(rows),
        f"![SI-SDR, PESQ and DNSMOS of the background]({picture.name})",
    ]
    for label, text in (("snr", "SNR"), ("kind", "noise"), ("voice", "voice")):
        parts += [f"SI-SDR by {text}:", by_label(rows, label, "SI-SDR")]
    parts += ["Other conditions:", others(results.rows, names)]
    report(options, results, "skunfold and other noise suppressors", *parts)


if __name__ == "__main__":
    main()
