"""The model that comes with the package: how it is trained, and how good it is.

    python benchmarks/pretrained_model.py --data DIR --model my.model

DIR holds ``speech`` and ``noise``, each with ``train``, ``valid`` and ``test``, and beside them
or in the folder above ``MANIFEST.tsv``, which names the licence of every file. The model learns
from recordings that may be passed on alone: those under CC0, CC-BY and CC-BY-SA. Each is taken
three times, at other speeds; to the noise eight times as many recordings of synthetic noise are
added. Voices and kinds of noise of which all recordings are under other licences are unheard,
and the model is tested on them. Without --model, the one that comes with the package is tested;
with it, a new one is trained first if there is no such file.
"""

import csv
import textwrap
import time
from pathlib import Path

import numpy as np
from general_models import kind_of
from harness import begin, make_parser, report, table
from noise_sample import network
from speech_conditions import clean_speech, mixed, recordings, telephone
from speech_measures import Distortion, Pesq, available
from speech_peers import PEERS
from speech_protocol import N_TEST, N_TRAIN, SAMPLE_RATE, SNRS, interval
from threadpoolctl import threadpool_limits
from variety import varied

from skunfold.audio import SpeechEnhancer
from skunfold.audio._pretrained import PRETRAINED
from skunfold.model_files import load_model, save_model

N_DRAWS = 20
TRAINING_SNRS = (*SNRS, 15, 30)  # dB: nearly clean speech is to be left as it is
N_VALID = 24
TRIED = "unheard voices in unheard noise"
WAYS = {  # samples that are given to the model
    "skunfold, no sample": 0,
    "skunfold, 0.5 s of the noise": SAMPLE_RATE // 2,
    "skunfold, 5 s of the noise": None,
}
TOOLS = ("RNNoise", "NSNet2", "DTLN", "GTCRN", "DeepFilterNet3")


def free_files(folder):
    """Return the names of all files that may be passed on, such as speech/train/a_00.flac."""
    folder = Path(folder)
    (manifest,) = (
        f for f in (folder / "MANIFEST.tsv", folder.parent / "MANIFEST.tsv") if f.exists()
    )
    with manifest.open(encoding="utf-8") as lines:
        rows = [*csv.DictReader(lines, delimiter="\t")]
    found = (Path(r["file"]) for r in rows if r["license"].startswith("CC"))
    return {"/".join(file.parts[-3:]) for file in found}


class Data:
    """Recordings, those of voices and kinds of noise that may be passed on, and the others."""

    def __init__(self, folder):
        self._folder = folder
        free = free_files(folder)
        self._heard = {
            kind: {kind_of(Path(f).name) for f in free if f.startswith(kind)}
            for kind in ("speech", "noise")
        }
        self._free = free

    def __call__(self, kind, subset, heard):
        """Return pairs of a name and a waveform."""
        pairs = zip(*recordings(self._folder, kind, subset))
        if heard:
            return [(n, x) for n, x in pairs if f"{kind}/{subset}/{n}" in self._free]
        return [(n, x) for n, x in pairs if kind_of(n) not in self._heard[kind]]

    def mixtures(self, subset, voices_heard, noise_heard, n_mixtures):
        """Return mixtures as items."""
        speech = self("speech", subset, voices_heard)
        return mixed(speech, self("noise", subset, noise_heard), n_mixtures, seed=0)


def train(folder):
    """Return the enhancer, and the CPU seconds that its training took."""
    data = Data(folder)
    recorded = ([x for _, x in data(kind, "train", True)] for kind in ("speech", "noise"))
    speech, noise = varied(*recorded, np.random.RandomState(0))
    valid = data.mixtures("valid", True, True, N_VALID)
    sizes = {"n_components": 100, "learning_rate_init": 0.02, "batch_size": 128}
    regressor = network(N_DRAWS).set_params(**sizes)
    enhancer = SpeechEnhancer(regressor, n_sample_components=40, random_state=0)
    began = time.process_time()
    with threadpool_limits(1):
        enhancer.fit_sources(
            speech,
            noise,
            snrs=TRAINING_SNRS,
            n_mixtures=N_TRAIN,
            n_draws=N_DRAWS,
            X_val=[item.noisy for item in valid],
            y_val=[item.clean for item in valid],
            noise_samples_val=[item.sample for item in valid],
        )
    return enhancer, time.process_time() - began


def conditions(data, subset):
    """Return the items of every condition, by its name."""
    unheard = data.mixtures(subset, False, False, N_TEST)
    return {
        TRIED: unheard,
        "unheard voices in heard noise": data.mixtures(subset, False, True, N_TEST),
        "heard voices in heard noise": data.mixtures(subset, True, True, N_TEST),
        "telephone, unheard voices and noise": telephone(unheard),
        "clean speech of unheard voices": clean_speech(unheard),
    }


def run_row(way, items, measures, enhancer):
    """Return the scores of all items, and CPU seconds of enhancing."""
    enhance = enhancer_of(way, enhancer)
    with threadpool_limits(1):
        began = time.process_time()
        estimates = [enhance(item) for item in items]
        cpu_seconds = time.process_time() - began
    scores = [
        {k: v for measure in measures for k, v in measure(item.clean, estimate).items()}
        for item, estimate in zip(items, estimates)
    ]
    return {
        "scores": {key: [round(float(s[key]), 4) for s in scores] for key in scores[0]},
        "cpu_seconds": cpu_seconds,
        "seconds": sum(len(item.noisy) for item in items) / SAMPLE_RATE,
        "utterance": [item.utterance for item in items],
        "snr": [item.snr for item in items],
        "kind": [item.kind for item in items],
    }


def enhancer_of(way, enhancer):
    """Return the function of an item to a waveform."""
    if way == "noisy":
        return lambda item: item.noisy
    if way in TOOLS:
        tool = PEERS[way]()
        return lambda item: tool(item.noisy, item.sample)
    length = WAYS[way]
    if length == 0:
        return lambda item: enhancer.enhance(item.noisy)
    return lambda item: enhancer.enhance(item.noisy, noise_sample=item.sample[:length])


def overview(rows):
    """Return the table of a condition: means, with intervals of the SI-SDR."""
    lines = []
    for way, row in rows.items():
        scores = {key: np.array(values) for key, values in row["scores"].items()}
        low, high = interval(scores["SI-SDR"], row["utterance"])
        line = {"tool": way, "SI-SDR": f"{scores['SI-SDR'].mean():.2f} [{low:.2f}, {high:.2f}]"}
        line |= {k: f"{np.nanmean(v):.2f}" for k, v in scores.items() if k != "SI-SDR"}
        lines.append(line | {"CPU s / s": f"{row['cpu_seconds'] / row['seconds']:.3f}"})
    return table(lines)


def by(label, rows):
    """Return the table of the mean SI-SDR by SNR or kind of noise."""
    lines = []
    for way, row in rows.items():
        scores = np.array(row["scores"]["SI-SDR"])
        values = sorted(set(row[label]))
        means = [float(scores[[v == x for x in row[label]]].mean()) for v in values]
        lines.append({"tool": way} | dict(zip(map(str, values), means)))
    return table(lines)


INTRODUCTION = """\
Means over {n} mixtures of {subset} recordings a condition at -6 to 9 dB, with 95 % bootstrap
intervals over utterances in brackets. Unheard voices are {voices}, unheard noise is {kinds}: no
recording of them was in training. The tools have heard other recordings than these. CPU s / s
are CPU seconds for a second of sound in one thread."""


def main():
    """Compute the rows that are not there yet."""
    parser = make_parser(__doc__, "doc/results/pretrained_model.json", data=True)
    parser.add_argument("--subset", choices=["valid", "test"], default="test")
    parser.add_argument("--model", type=Path, help="model file, trained if it does not exist")
    options, results = begin(parser, ["subset"])
    options.markdown = options.markdown or options.out.with_suffix(".md")
    file = options.model or PRETRAINED
    if not file.exists():
        enhancer, seconds = train(options.data)
        save_model(enhancer, file)
        print(f"Wrote {file} after {seconds:.0f} s of CPU time.")
    enhancer, data = load_model(file), Data(options.data)
    measures, tried = available(Distortion, Pesq), conditions(data, options.subset)
    ways = ("noisy", *WAYS, *TOOLS)
    for way in ways:
        tasks = {f"{way}, {name}": (way, tried[name], measures, enhancer) for name in tried}
        try:
            results.compute(
                run_row, tasks, lambda row: f"{np.mean(row['scores']['SI-SDR']):.2f} dB"
            )
        except ModuleNotFoundError as error:
            print(f"{way} is left out: {error}")
    parts = []
    for name in tried:
        found = {way: results.of([f"{way}, {name}"]) for way in ways}
        rows = {way: row[0] for way, row in found.items() if row}
        if name.startswith("clean"):
            rows.pop("noisy", None)
        if not rows:
            continue
        parts += [f"## {name[0].upper()}{name[1:]}", overview(rows)]
        if name == TRIED:
            parts += ["SI-SDR by SNR (dB):", by("snr", rows)]
            parts += ["SI-SDR by kind of noise:", by("kind", rows)]
    introduction = INTRODUCTION.format(
        n=N_TEST,
        subset=options.subset,
        voices=" and ".join(sorted({item.voice for item in tried[TRIED]})),
        kinds=", ".join(sorted({item.kind for item in tried[TRIED]})),
    )
    report(
        options, results, "The model that comes with the package",
        textwrap.fill(introduction, 96), *parts,
    )  # fmt: skip


if __name__ == "__main__":
    main()
