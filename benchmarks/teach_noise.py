"""How well `skunfold train --noise` learns a noise, from how much of it, in what time.

    python benchmarks/teach_noise.py --data DIR --out results/teach_noise.json

DIR holds ``speech`` and ``noise``, each with ``train``, ``valid`` and ``test``; recordings are
named VOICE_NUMBER and KIND_NUMBER. For each kind of noise a model is trained as the command
does it, on the bundled voices and on some seconds of that kind from ``train``, as much of each
recording: from nothing, and from a general model, which has heard the speech of ``train`` and
noise of other kinds alone. It is tested on other recordings of that kind, with voices that are
not bundled. Beside it are the general model as it is, and peers of `speech_peers.py`, which are
not taught anything.
"""

import textwrap
import time

import numpy as np
from general_models import DEFAULT_DRAWS, folds, kind_of, train
from harness import begin, kept, make_parser, report, table
from speech_conditions import recordings
from speech_measures import Distortion, Pesq, available
from speech_peers import PEERS
from speech_protocol import SAMPLE_RATE, SNRS, interval

from skunfold.cli.workbench import adaptable, fit_enhancer, make_enhancer
from skunfold.datasets import load_bundled_recordings, make_mixtures

SECONDS = (10, 30, 120)
NEW, ADAPTED, GENERAL, NOISY = "from nothing", "adapted", "general model", "noisy"
TOOLS = ("DTLN", "GTCRN", "RNNoise", "DeepFilterNet3")
MEASURES = ("SI-SDR", "PESQ")
ADAPTED_EPOCHS = 10
N_MIXTURES = 18  # of each kind
SEED = 2


class Silent:
    """Progress that says nothing."""

    def advance(self, n_steps=1):
        """Count steps."""


def sample(folder, kind, seconds):
    """Return that many seconds of a kind of noise, as much of each recording as there is."""
    names, noise = recordings(folder, "noise", "train")
    found = sorted((x for n, x in zip(names, noise) if kind_of(n) == kind), key=len)
    left, taken = seconds * SAMPLE_RATE, []
    for i, waveform in enumerate(found):
        taken.append(waveform[: left // (len(found) - i)])
        left -= len(taken[-1])
    return taken


def test_mixtures(folder, subset, kind):
    """Return mixtures of voices that are not bundled with a kind of noise."""
    bundled = {kind_of(name) for name in load_bundled_recordings().speech_names}
    speech, noise = (
        [x for name, x in zip(*recordings(folder, source, subset)) if wanted(kind_of(name))]
        for source, wanted in (
            ("speech", lambda voice: voice not in bundled),
            ("noise", lambda other: other == kind),
        )
    )
    return make_mixtures(speech, noise, snrs=SNRS, n_mixtures=N_MIXTURES, random_state=SEED)


def general_model(options, kind):
    """Return the general model that has not heard a kind of noise."""
    name, left_out = next(fold for fold in folds(options.data).items() if kind in fold[1])
    file = options.out.with_suffix(".models") / f"{name}, {options.draws} draws.joblib"
    return kept(file, lambda: train(options.data, left_out, options.draws, small()))[0]


def small(**settings):
    """Return an enhancer as `skunfold train` makes it by default."""
    sizes = {"n_context": 9, "n_components": 50, "n_layers": 8, "max_iter": 30}
    return make_enhancer(0, **sizes | settings)


def taught(options, kind, seconds, start):
    """Return an enhancer that was taught a noise, and the CPU seconds that it took."""
    enhancer = small()
    if start == ADAPTED:
        general = general_model(options, kind)
        enhancer = adaptable(general, 0, max_iter=ADAPTED_EPOCHS)
    speech, noise = load_bundled_recordings().speech, sample(options.data, kind, seconds)
    began = time.process_time()
    fit_enhancer(enhancer, speech, noise, Silent())
    return enhancer, time.process_time() - began


def run_row(options, kind, seconds, start, measures):
    """Return the scores of what was taught so, or of a tool, on the mixtures of a kind."""
    row = {"kind": kind}
    if start in (NEW, ADAPTED):
        enhancer, row["cpu_seconds"] = taught(options, kind, seconds, start)
        row["noise_seconds"] = sum(map(len, sample(options.data, kind, seconds))) / SAMPLE_RATE
        enhance = enhancer.enhance
    elif start == GENERAL:
        enhance = general_model(options, kind).enhance
    else:
        enhance = (lambda x: x) if start == NOISY else PEERS[start]()
    mixtures = test_mixtures(options.data, options.subset, kind)
    scores = []
    for noisy, clean in zip(mixtures.noisy, mixtures.clean):
        estimate = enhance(noisy)
        scores.append({k: v for m in measures for k, v in m(clean, estimate).items()})
    row["utterance"] = [int(i) for i in mixtures.speech_index]
    for measure in scores[0]:
        row[measure] = [round(float(s[measure]), 3) for s in scores]
    return row


def kinds_of(options):
    """Return the kinds of noise that can be learned and tested."""
    trained, tested = (
        {kind_of(name) for name in recordings(options.data, "noise", subset)[0]}
        for subset in ("train", options.subset)
    )
    return sorted(trained & tested)


def summary(results, kinds, seconds, start):
    """Return a line of the table of all kinds, or None where rows are missing."""
    rows = results.of(name_of(kind, seconds, start) for kind in kinds)
    if len(rows) < len(kinds):
        return None
    line = {"learned": start if seconds is None else f"{start}, {seconds} s of the noise"}
    utterances = [u for row in rows for u in row["utterance"]]
    for measure in MEASURES:
        values = [v for row in rows for v in row.get(measure, [])]
        if values:
            low, high = interval(values, utterances)
            line[measure] = f"{np.mean(values):.2f} [{low:.2f}, {high:.2f}]"
    times = [row["cpu_seconds"] for row in rows if "cpu_seconds" in row]
    line["CPU s"] = (
        f"{np.mean(times):.0f} ({min(times):.0f} to {max(times):.0f})" if times else ""
    )
    return line


def name_of(kind, seconds, start):
    """Return the name of a row."""
    return f"{kind}, {start}" if seconds is None else f"{kind}, {start}, {seconds} s"


INTRODUCTION = """\
Means over {n} mixtures of each of {n_kinds} kinds of noise ({kinds}) with voices that are not
bundled, at -6 to 9 dB; 95 % bootstrap intervals over utterances in brackets. The models are
those of `skunfold train --noise`; the adapted ones continue for {epochs} epochs from a general
model of the same size, which was trained on {draws} draws of 240 mixtures without that kind of
noise, but with the voices. Where there is less of a kind than said, all of it is used:
{short}. CPU s are CPU seconds of training in one thread (mean, least, most), without those of
the general model."""


def main():
    """Compute the rows that are not there yet."""
    parser = make_parser(__doc__, "doc/results/teach_noise.json", data=True)
    parser.add_argument("--subset", choices=["valid", "test"], default="test")
    parser.add_argument("--draws", type=int, default=DEFAULT_DRAWS, help="of 240 mixtures")
    options, results = begin(parser, ["subset", "draws"])
    options.markdown = options.markdown or options.out.with_suffix(".md")
    kinds, measures = kinds_of(options), available(Distortion, Pesq)
    ways = [(None, NOISY), *((None, tool) for tool in TOOLS), (None, GENERAL)]
    ways += [(seconds, start) for start in (NEW, ADAPTED) for seconds in SECONDS]
    for seconds, start in ways:
        arguments = {
            name_of(kind, seconds, start): (options, kind, seconds, start, measures)
            for kind in kinds
        }
        try:
            results.compute(run_row, arguments, lambda row: f"{np.mean(row['SI-SDR']):.2f} dB")
        except ModuleNotFoundError as error:
            print(f"{start} is left out: {error}")
    lines = [summary(results, kinds, *way) for way in ways]
    by_kind = [
        {"learned": start if seconds is None else f"{start}, {seconds} s"}
        | {row["kind"]: float(np.mean(row["SI-SDR"])) for row in
           results.of(name_of(kind, seconds, start) for kind in kinds)}
        for seconds, start in ways
    ]  # fmt: skip
    short = [f"{k} {sum(map(len, sample(options.data, k, max(SECONDS)))) / SAMPLE_RATE:.0f} s"
             for k in kinds]  # fmt: skip
    introduction = INTRODUCTION.format(
        n=N_MIXTURES,
        n_kinds=len(kinds),
        kinds=", ".join(kinds),
        epochs=ADAPTED_EPOCHS,
        draws=options.draws,
        short=", ".join(short),
    )
    report(
        options,
        results,
        "Teaching it a noise",
        textwrap.fill(introduction, 96),
        table([line for line in lines if line]),
        "SI-SDR by kind of noise:",
        table([line for line in by_kind if len(line) > 1], ["learned", *kinds]),
    )


if __name__ == "__main__":
    main()
