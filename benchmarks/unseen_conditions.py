"""What models lose on voices and kinds of noise that they were not trained on.

    python benchmarks/unseen_conditions.py --data DIR --out results/unseen_conditions

The protocol is that of `speech_protocol.py`. For each voice and each of several kinds of noise,
every model is trained twice with the same settings and number of mixtures, on all recordings
and on those without the condition (stopped by validation mixtures without it, too). Both are
scored on the same test mixtures, all of that voice or that kind of noise; the difference is
what not having heard it costs. Folds that are in ``OUT.json`` already are not computed again.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from sklearn.base import clone
from speech_enhancement import ROWS, TIED, fit, table
from speech_protocol import N_TEST, SNRS, interval, load, masked

from skunfold.datasets import make_mixtures
from skunfold.metrics import si_sdr

SPARSE = "sparse NMF (C=0), K=25"
MODELS = [SPARSE, TIED, "network, 3x256 tanh", "network, 2x1024 ReLU"]
CONDITIONS = {
    "speech": ["carlo", "fishcsf", "fishcsm", "ivrru"],
    "noise": ["babble", "nature", "typing", "worksite"],
}
ALL = "all"
TEST_SEEDS = (1, 2)


def is_of(condition, name):
    """Whether a file is a recording of a condition: those are named CONDITION_NUMBER."""
    return name.startswith(f"{condition}_")


def fold(left_out, options):
    """Return the models trained without a condition, (kind, name), or with all of them."""

    def keep(kind, name):
        return left_out == ALL or kind != left_out[0] or not is_of(left_out[1], name)

    models = {}
    for name in MODELS:
        regressor = clone(ROWS[name].regressor)
        if name == SPARSE:
            regressor.set_params(init="sparse_nmf")
        elif name == TIED:
            regressor.set_params(init=models[SPARSE].bases_[0])
        n_draws = min(options.draws, ROWS[name].n_draws)
        enhancer, seconds = fit(regressor, n_draws, 0, options.data, keep)
        models[name] = enhancer.regressor_
        print(f"without {left_out}: {name} in {seconds:.0f} s", flush=True)
    return models


def check_mixtures(condition, folder):
    """Return the test mixtures of a condition, (kind, name)."""

    def keep(kind, name):
        return kind != condition[0] or is_of(condition[1], name)

    speech, noise = load(folder, "test", keep)
    return [
        make_mixtures(speech, noise, snrs=SNRS, n_mixtures=N_TEST, random_state=seed)
        for seed in TEST_SEEDS
    ]


def scores(models, condition, folder):
    """Return the SI-SDR of every test mixture of a condition, by model."""
    draws = check_mixtures(condition, folder)
    result = {
        "noisy": [si_sdr(s, x) for m in draws for s, x in zip(m.clean, m.noisy)],
        "utterance": [int(i) for m in draws for i in m.speech_index],
    }
    for name, model in models.items():
        result[name] = [
            float(si_sdr(s, masked(x, model.predict)))
            for m in draws
            for s, x in zip(m.clean, m.noisy)
        ]
    return result


def as_markdown(results, command, n_draws):
    """Return the tables: each condition, and what models lose over all those of a kind."""
    conditions, overall = [], []
    for kind, names in CONDITIONS.items():
        there = [name for name in names if name in results]
        if not there:
            continue
        seen = {m: [results[ALL][name][m] for name in there] for m in MODELS}
        unseen = {m: [results[name][m] for name in there] for m in MODELS}
        for model in MODELS:
            for name, before, after in zip(there, seen[model], unseen[model]):
                means = np.mean([results[name]["noisy"], before, after], axis=1)
                loss = _with_interval(np.subtract(before, after), results[name]["utterance"])
                conditions.append([name, model, *(f"{mean:.2f}" for mean in means), loss])
        # The utterances of two voices are different ones, those in two kinds of noise are not.
        index = [
            1000 * i * (kind == "speech") + utterance
            for i, name in enumerate(there)
            for utterance in results[name]["utterance"]
        ]
        seen, unseen = ({m: np.ravel(scores[m]) for m in MODELS} for scores in (seen, unseen))
        for model in MODELS:
            loss = seen[model] - unseen[model]
            differences = [
                loss,
                loss - (seen[TIED] - unseen[TIED]),
                unseen[model] - unseen[TIED],
            ]
            overall.append(
                [kind, model, f"{unseen[model].mean():.2f}"]
                + [_with_interval(difference, index) for difference in differences]
            )
    columns = ["kind", "model", "unseen", "loss", "loss less tied's", "unseen less tied's"]
    return "\n".join(
        [
            "# Unseen voices and noise\n",
            f"```bash\n{command}\n```\n",
            INTRODUCTION.format(n_draws=n_draws),
            table(["condition", "model", "noisy", "seen", "unseen", "loss"], conditions),
            "Over all conditions of a kind, and differences from tied deep NMF:\n",
            table(columns, overall),
        ]
    )


INTRODUCTION = """\
Mean SI-SDR in dB of the test mixtures of each condition, for models that were trained on
recordings of it (seen) and not (unseen), and the loss, mixture by mixture, with its 95 %
bootstrap interval over utterances. Every model sees at most {n_draws} draws of 240 mixtures.
"""


def _with_interval(values, utterances):
    low, high = interval(values, utterances)
    return f"{np.mean(values):+.2f} [{low:+.2f}, {high:+.2f}]"


def main():
    """Compute the folds that are not there yet."""
    pairs = [(kind, name) for kind, names in CONDITIONS.items() for name in names]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of speech and noise")
    parser.add_argument("--out", type=Path, default=Path("doc/results/unseen_conditions"))
    parser.add_argument("--draws", type=int, default=2, help="of 240 mixtures, at most")
    options = parser.parse_args()
    file = options.out.with_suffix(".json")
    results = json.loads(file.read_text()) if file.exists() else {}
    if ALL not in results:
        models = fold(ALL, options)
        results[ALL] = {
            name: scores(models, (kind, name), options.data) for kind, name in pairs
        }
        file.write_text(json.dumps(results))
    for kind, name in pairs:
        if name not in results:
            models = fold((kind, name), options)
            results[name] = scores(models, (kind, name), options.data)
            file.write_text(json.dumps(results))
    command = f"python benchmarks/unseen_conditions.py --data {options.data}"
    options.out.with_suffix(".md").write_text(as_markdown(results, command, options.draws))


if __name__ == "__main__":
    main()
