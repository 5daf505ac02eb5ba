"""How well `skunfold train --noise` learns a noise, from how much of it, in what time.

    python benchmarks/teach_noise.py --data DIR --out results/teach_noise.json

DIR holds ``speech`` and ``noise``, each with ``train``, ``valid`` and ``test``; recordings are
named VOICE_NUMBER and KIND_NUMBER. For each kind of noise a model is trained as the command
does it, on the bundled voices and on some seconds of that kind from ``train``, as much of each
recording: from the model that comes with the package, and from nothing (``--new``). They are
tested on other recordings of that kind, with voices that are not bundled. Beside them are the
model that comes with the package as it is, without and with these seconds as a sample of the
noise, and peers of `speech_peers.py`, which are not taught anything.
"""

import textwrap
import time
from functools import partial

import numpy as np
from general_models import kind_of
from harness import begin, make_parser, report, table
from speech_conditions import recordings
from speech_measures import Distortion, Pesq, available
from speech_peers import PEERS
from speech_protocol import SAMPLE_RATE, SNRS, interval

from skunfold.audio import SpeechEnhancer
from skunfold.cli.workbench import adaptable, fit_enhancer, make_enhancer
from skunfold.datasets import load_bundled_recordings, make_mixtures

SECONDS = (10, 30, 120)
NEW, ADAPTED = "trained from nothing", "trained from the model of the package"
GIVEN, GENERAL, NOISY = "given as a sample", "model of the package", "noisy"
TOOLS = ("DTLN", "GTCRN", "RNNoise", "DeepFilterNet3")
MEASURES = ("SI-SDR", "PESQ")
ADAPTED_EPOCHS, NEW_EPOCHS = 8, 30
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


def taught(noise, start):
    """Return an enhancer that was taught a noise, and the CPU seconds that it took."""
    if start == ADAPTED:
        enhancer = adaptable(SpeechEnhancer.pretrained(), 0, max_iter=ADAPTED_EPOCHS)
    else:
        sizes = {"n_context": 9, "n_components": 50, "n_layers": 8, "max_iter": NEW_EPOCHS}
        enhancer = make_enhancer(0, **sizes)
    began = time.process_time()
    fit_enhancer(enhancer, load_bundled_recordings().speech, noise, Silent())
    return enhancer, time.process_time() - began


def run_row(options, kind, seconds, start, measures):
    """Return the scores of what was taught so, or of a tool, on the mixtures of a kind."""
    row = {"kind": kind}
    noise = sample(options.data, kind, seconds or 0)
    if start in (NEW, ADAPTED):
        enhancer, row["cpu_seconds"] = taught(noise, start)
    elif start in (GIVEN, GENERAL):
        enhancer = SpeechEnhancer.pretrained()
    if start in (GIVEN, ADAPTED):
        whole = np.concatenate(noise)
        enhance = partial(enhancer.enhance, noise_sample=whole)
    elif start in (NEW, GENERAL):
        enhance = enhancer.enhance
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
bundled, at -6 to 9 dB; 95 % bootstrap intervals over utterances in brackets. Training took at
most {adapted} epochs from the model of the package, which was then given the same seconds as a
sample, and {new} from nothing. The model of the package has not heard babble, engine and
typing, and has heard parts of the recordings of the other kinds. Where there is less of a kind
than said, all of it is used: {short}. CPU s are CPU seconds of training in one thread (mean,
least, most)."""


def main():
    """Compute the rows that are not there yet."""
    parser = make_parser(__doc__, "doc/results/teach_noise.json", data=True)
    parser.add_argument("--subset", choices=["valid", "test"], default="test")
    options, results = begin(parser, ["subset"])
    options.markdown = options.markdown or options.out.with_suffix(".md")
    kinds, measures = kinds_of(options), available(Distortion, Pesq)
    ways = [(None, NOISY), *((None, tool) for tool in TOOLS), (None, GENERAL)]
    ways += [(seconds, start) for start in (GIVEN, ADAPTED, NEW) for seconds in SECONDS]
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
        adapted=ADAPTED_EPOCHS,
        new=NEW_EPOCHS,
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
