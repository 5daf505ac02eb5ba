"""What a sample of the noise is worth where the kind of noise is unknown.

    python benchmarks/noise_sample.py --data DIR --out results/noise_sample.json

DIR holds ``speech`` and ``noise``, each with ``train``, ``valid`` and ``test``; recordings are
named VOICE_NUMBER and KIND_NUMBER. Every mixture is enhanced by a model that was trained
without its kind of noise, and stopped by validation mixtures without it. The sample is the
first five seconds of the recording of noise, half of it at most; they are in no mixture.

The models are of one size: one that takes samples; the same network, trained without, on noise
as it is and on noise that is equalized at random, as in training with samples; and that network
with the mean spectrum of the sample as further features. They are kept in a folder ``.models``
beside the results.
"""

import textwrap
import time
from itertools import chain

import numpy as np
from general_models import folds, kind_of
from harness import begin, kept, make_parser, report, table
from speech_conditions import mixtures
from speech_measures import Distortion, Pesq, available
from speech_peers import PEERS
from speech_protocol import (
    N_CONTEXT,
    N_TRAIN,
    N_VALID,
    SAMPLE_RATE,
    SNRS,
    interval,
    load,
    masked,
)
from threadpoolctl import threadpool_limits

from skunfold import DeepNMFRegressor
from skunfold.audio import SpeechEnhancer
from skunfold.audio._regressor import fit_to_draws
from skunfold.audio._sample_training import draw_mixtures
from skunfold.audio.features import centered, recording_level, training_frames, without_offset

N_COMPONENTS, N_SAMPLE_COMPONENTS, N_LAYERS = 50, 24, 8
AVERAGES = (3.0,)
SHORT = SAMPLE_RATE // 2  # samples of half a second
NOISY, WITHOUT, SAMPLED = "noisy", "without a sample", "sample"
EQUALIZED, MEAN = "without a sample, noise equalized", "mean spectrum"
UNTRAINED = "sparse NMF with a sample"
TOOL = "noisereduce, 5 s of the noise"
WAYS = {  # the rows: the model, and the samples that it is given
    "noisy": (NOISY, None),
    "network without a sample": (WITHOUT, None),
    "network without a sample, noise equalized": (EQUALIZED, None),
    "network with samples, none given": (SAMPLED, 0),
    "network with samples, 0.5 s": (SAMPLED, SHORT),
    "network with samples, 5 s": (SAMPLED, None),
    "mean spectrum as features, 0.5 s": (MEAN, SHORT),
    "mean spectrum as features, 5 s": (MEAN, None),
    "sparse NMF, bases of 5 s": (UNTRAINED, None),
    "noisereduce, 5 s": (TOOL, None),
}
BASELINE, INFORMED = "network without a sample", "network with samples, 5 s"
LABELS = ("utterance", "kind", "snr")


def network(n_draws):
    """Return the untrained network of all models."""
    return DeepNMFRegressor(
        N_COMPONENTS,
        n_layers=N_LAYERS,
        tied=True,
        output="mask",
        init="sparse_nmf",
        sparsity=2.0,
        relaxation=2.0,
        fit_projections=True,
        learning_rate_init=0.05,
        learning_rate_decay=0.75 ** (8 / n_draws),
        averaging=0.995,
        batch_size=256,
        max_iter=1,
        early_stopping=True,
        random_state=0,
    )


class Enhancing:
    """A `SpeechEnhancer` that is given samples, or none."""

    def __init__(self, enhancer):
        self.enhancer = enhancer

    def __call__(self, noisy, sample):
        """Return the enhanced waveform."""
        return self.enhancer.enhance(noisy, noise_sample=sample)


class OfSpectra:
    """The network that learns from the mixtures of training with samples, but no bases.

    It may be given the mean spectrum of a sample, at a level of one, as further features.
    """

    def __init__(self, n_draws, with_spectrum):
        self.with_spectrum = with_spectrum
        self.regressor = network(n_draws)
        self.context = SpeechEnhancer(n_context=N_CONTEXT, context_averages=AVERAGES)._context()

    def spectrum(self, sample):
        """Return the mean spectrum of a sample, in bands."""
        if not self.with_spectrum:
            return np.empty(0)
        x = without_offset(centered(sample), SAMPLE_RATE)
        magnitudes = np.abs(self.context.stft.analyze(x))
        return (magnitudes @ self.context.bands).mean(axis=0) / recording_level(magnitudes)

    def frames(self, noisy, clean, samples, rng):
        """Return features, targets, features of the sources and lengths."""
        X, y, sources, recording = training_frames(
            noisy, clean, context=self.context, max_source_frames=10_000, random_state=rng
        )
        spectra = np.array([self.spectrum(x) for x in samples], X.dtype)
        speech, noise = sources
        typical = spectra[rng.randint(len(spectra), size=len(noise))]
        sources = [
            np.hstack([np.zeros((len(speech), spectra.shape[1]), X.dtype), speech]),
            np.hstack([typical, noise]),
        ]
        lengths = np.bincount(recording, minlength=len(noisy))
        return np.hstack([spectra[recording], X]), y, {"sources": sources, "lengths": lengths}

    def fit(self, speech, noise, valid, n_draws):
        """Learn from draws as an enhancer does; return self."""
        rng = np.random.RandomState(0)
        X_val, y_val, _ = self.frames(
            [i.noisy for i in valid], [i.clean for i in valid], [i.sample for i in valid], rng
        )
        mixing = {"without": 0.0, "snrs": SNRS, "n_mixtures": N_TRAIN}
        drawn = (
            draw_mixtures(speech, noise, SAMPLE_RATE, rng, **mixing) for _ in range(n_draws)
        )
        draws = (self.frames(d.noisy, d.clean, d.samples, rng) for d in drawn)
        fit_to_draws(self.regressor, draws, n_draws, {"X_val": X_val, "y_val": y_val})
        return self

    def __call__(self, noisy, sample):
        """Return the enhanced waveform."""
        spectrum = self.spectrum(sample).astype(np.float32)

        def magnitudes_of(X):
            return self.regressor.predict(np.hstack([np.tile(spectrum, (len(X), 1)), X]))

        return masked(noisy, magnitudes_of, "auto", AVERAGES)


def train(folder, left_out, model, n_draws):
    """Return what enhances, trained without some kinds of noise, and the CPU seconds."""

    def keep(kind, name):
        return kind == "speech" or kind_of(name) not in left_out

    speech, noise = ([centered(x) for x in part] for part in load(folder, "train", keep))
    valid = [i for i in mixtures(folder, "valid") if i.kind not in left_out][:N_VALID]
    began = time.process_time()
    if model in (MEAN, EQUALIZED):
        enhance = OfSpectra(n_draws, model == MEAN).fit(speech, noise, valid, n_draws)
        return enhance, time.process_time() - began
    known = {"X_val": [i.noisy for i in valid], "y_val": [i.clean for i in valid]}
    regressor = network(n_draws)
    n_mixtures = N_TRAIN
    if model == UNTRAINED:  # by steps that change nothing
        regressor.set_params(learning_rate_init=1e-9)
        n_draws, n_mixtures = 1, N_VALID
    enhancer = SpeechEnhancer(regressor, context_averages=AVERAGES, random_state=0)
    if model != WITHOUT:
        enhancer.set_params(n_sample_components=N_SAMPLE_COMPONENTS)
        known["noise_samples_val"] = [i.sample for i in valid]
    mixing = {"snrs": SNRS, "n_mixtures": n_mixtures, "n_draws": n_draws}
    enhancer.fit_sources(speech, noise, **mixing, **known)
    return Enhancing(enhancer), time.process_time() - began


class Tools:
    """Functions from (noisy, sample) to waveforms, by model and fold of the kinds of noise."""

    def __init__(self, options):
        self._options = options
        self._parts = folds(options.data)
        self._made = {}
        self.seconds = {}  # of training

    def __call__(self, model, part):
        """Return the function of a model that has not heard the kinds of a fold."""
        if model == NOISY:
            return lambda noisy, sample: noisy
        key = TOOL if model == TOOL else (model, part)
        if key not in self._made:
            self._made[key] = PEERS[TOOL]() if model == TOOL else self._trained(model, part)
        return self._made[key]

    def _trained(self, model, part):
        draws, folder = self._options.draws, self._options.out.with_suffix(".models")
        file = folder / f"{model}, {part}, {draws} draws.joblib"
        made, self.seconds[model, part] = kept(
            file, lambda: train(self._options.data, self._parts[part], model, draws)
        )
        return made


def run_row(way, part, items, measures, tools):
    """Return the scores of a way to enhance the items of a fold, and CPU seconds."""
    model, length = WAYS[way]
    enhance, blind = tools(model, part), model in (NOISY, WITHOUT) or length == 0
    with threadpool_limits(1):
        began = time.process_time()
        estimates = [enhance(i.noisy, None if blind else i.sample[:length]) for i in items]
        cpu_seconds = time.process_time() - began
    row = {"cpu_seconds": cpu_seconds, "training": tools.seconds.get((model, part))}
    row["seconds"] = sum(len(item.noisy) for item in items) / SAMPLE_RATE
    for label in ("utterance", "kind", "snr"):
        row[label] = [getattr(item, label) for item in items]
    scores = [
        {k: v for measure in measures for k, v in measure(item.clean, e).items()}
        for item, e in zip(items, estimates)
    ]
    row["scores"] = {key: [round(float(s[key]), 4) for s in scores] for key in scores[0]}
    return row


def name_of(way, part):
    """Return the name of a row."""
    return f"{way}, models {part}"


def joined(results, parts):
    """Return the rows of all folds as one, by way, where there are all of them."""
    rows = {}
    for way in WAYS:
        found = results.of(name_of(way, part) for part in parts)
        if len(found) < len(parts):
            continue
        row = rows[way] = {key: [*chain(*(r[key] for r in found))] for key in LABELS}
        row |= {key: sum(r[key] for r in found) for key in ("cpu_seconds", "seconds")}
        trained = [r["training"] for r in found if r["training"]]
        row["training"] = float(np.mean(trained)) if trained else None
        row["scores"] = {
            key: [*chain(*(r["scores"][key] for r in found))] for key in found[0]["scores"]
        }
    return rows


def overview(rows):
    """Return the table of all ways: means, and the gain over the network without a sample."""
    lines = []
    for way, row in rows.items():
        line = {"way": way}
        for measure in ("SI-SDR", "PESQ"):
            values = np.array(row["scores"].get(measure, []))
            if not len(values):
                continue
            low, high = interval(values, row["utterance"])
            line[measure] = f"{values.mean():.2f} [{low:.2f}, {high:.2f}]"
            if BASELINE in rows and way not in (NOISY, BASELINE):
                gains = values - np.array(rows[BASELINE]["scores"][measure])
                low, high = interval(gains, row["utterance"])
                line[f"{measure}, gain"] = f"{gains.mean():+.2f} [{low:+.2f}, {high:+.2f}]"
            else:
                line[f"{measure}, gain"] = None
        line["CPU s / s"] = f"{row['cpu_seconds'] / row['seconds']:.3f}"
        line["CPU s of training"] = row["training"] and f"{row['training']:.0f}"
        lines.append(line)
    return table(lines)


def by(label, rows):
    """Return the table of the mean SI-SDR by kind of noise or SNR."""
    lines = []
    for way, row in rows.items():
        scores = np.array(row["scores"]["SI-SDR"])
        cells = {
            str(v): float(scores[[v == x for x in row[label]]].mean())
            for v in sorted(set(row[label]))
        }
        lines.append({"way": way} | cells)
    return table(lines)


INTRODUCTION = """\
Means over {n} mixtures of {subset} ({kinds}) at -6 to 9 dB with 95 % bootstrap intervals over
utterances in brackets. Gains are over the network without a sample, mixture by mixture. Each
mixture is enhanced by a model that was trained without its kind of noise, one of {n_folds}
folds. All networks have {components} components for speech and {components} for noise,
{layers} tied layers and separate projections, and were trained on {draws} draws of {mixtures}
mixtures. Except for the network without a sample, the noise of the mixtures went through random
equalizers. The network with samples has {inferred} further components of noise, inferred from
a sample, which was left out in a quarter of the training mixtures. Samples of 5 s are shorter
where the recording of noise has less than 10 s ({shortest:.1f} to {longest:.1f} s,
{average:.1f} s on average). CPU s / s are CPU seconds for a second of sound in one thread,
inference of bases included."""


def main():
    """Compute the rows that are not there yet."""
    parser = make_parser(__doc__, "doc/results/noise_sample.json", data=True)
    parser.add_argument("--subset", choices=["valid", "test"], default="test")
    parser.add_argument("--draws", type=int, default=4, help=f"of {N_TRAIN} mixtures")
    options, results = begin(parser, ["subset", "draws"])
    options.markdown = options.markdown or options.out.with_suffix(".md")
    items, measures = mixtures(options.data, options.subset), available(Distortion, Pesq)
    tools, parts = Tools(options), folds(options.data)
    tried = {
        part: [item for item in items if item.kind in kinds] for part, kinds in parts.items()
    }
    for way in WAYS:
        try:
            results.compute(
                run_row,
                {name_of(way, p): (way, p, chosen, measures, tools)
                 for p, chosen in tried.items() if chosen},
                lambda row: f"{np.mean(row['scores']['SI-SDR']):.2f} dB",
            )  # fmt: skip
        except ModuleNotFoundError as error:
            print(f"{way} is left out: {error}")
    needed = (NOISY, BASELINE, INFORMED)
    done = [p for p in parts if len(results.of(name_of(way, p) for way in needed)) == 3]
    rows = joined(results, done)
    items = [item for part in done for item in tried[part]]
    lengths = [len(item.sample) / SAMPLE_RATE for item in items] or [0.0]
    introduction = INTRODUCTION.format(
        n=len(items),
        subset=options.subset,
        n_folds=len(parts),
        kinds=", ".join(sorted({item.kind for item in items})),
        components=N_COMPONENTS,
        inferred=N_SAMPLE_COMPONENTS,
        layers=N_LAYERS,
        draws=options.draws,
        mixtures=N_TRAIN,
        shortest=min(lengths),
        longest=max(lengths),
        average=np.mean(lengths),
    )
    report(
        options,
        results,
        "A sample of the noise",
        textwrap.fill(introduction, 96),
        overview(rows),
        "SI-SDR by kind of noise:",
        by("kind", rows),
        "SI-SDR by SNR (dB):",
        by("snr", rows),
    )


if __name__ == "__main__":
    main()
