"""What models lose on voices and kinds of noise that they were not trained on.

    python benchmarks/unseen_conditions.py --data DIR --out results/unseen_conditions.json

The protocol is that of `speech_protocol.py`. For each voice and each of several kinds of noise,
every model is trained twice with the same settings and number of mixtures, on all recordings
and on those without the condition (stopped by validation mixtures also without it). Both are
scored on the same test mixtures, all of that voice or that kind of noise; the difference is
what not having heard it costs. A row is a fold; the tables are written beside the JSON file.
"""

import numpy as np
from harness import begin, make_parser, report, table
from sklearn.base import clone
from speech_enhancement import ROWS, TIED, fit
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


def tables(results):
    """Return tables: each condition, and what models lose over all those of a kind."""
    conditions, overall = [], []
    for kind, names in CONDITIONS.items():
        there = [name for name in names if ALL in results and name in results]
        if not there:
            continue
        seen = {m: [results[ALL][name][m] for name in there] for m in MODELS}
        unseen = {m: [results[name][m] for name in there] for m in MODELS}
        for model in MODELS:
            for name, before, after in zip(there, seen[model], unseen[model]):
                row = {"condition": name, "model": model, "noisy": results[name]["noisy"]}
                row = row | {"seen": before, "unseen": after}
                row = {k: np.mean(v) if isinstance(v, list) else v for k, v in row.items()}
                loss = np.subtract(before, after)
                row["loss"] = _with_interval(loss, results[name]["utterance"])
                conditions.append(row)
        # The utterances of two voices are different ones, those in two kinds of noise are not.
        index = [
            1000 * i * (kind == "speech") + utterance
            for i, name in enumerate(there)
            for utterance in results[name]["utterance"]
        ]
        seen, unseen = ({m: np.ravel(scores[m]) for m in MODELS} for scores in (seen, unseen))
        for model in MODELS:
            loss = seen[model] - unseen[model]
            differences = {
                "loss": loss,
                "loss less tied's": loss - (seen[TIED] - unseen[TIED]),
                "unseen less tied's": unseen[model] - unseen[TIED],
            }
            row = {"kind": kind, "model": model, "unseen": unseen[model].mean()}
            overall.append(row | {k: _with_interval(v, index) for k, v in differences.items()})
    return table(conditions), table(overall)


INTRODUCTION = """\
Mean SI-SDR in dB of the test mixtures of each condition: a voice, or a kind of noise. "seen"
are models whose training data had recordings of it, "unseen" those without, and the loss is the
difference, mixture by mixture, with its 95 % bootstrap interval over utterances. Every model
sees at most {n_draws} draws of 240 mixtures."""


def _with_interval(values, utterances):
    low, high = interval(values, utterances)
    return f"{np.mean(values):+.2f} [{low:+.2f}, {high:+.2f}]"


def main():
    """Compute the folds that are not there yet."""
    pairs = [(kind, name) for kind, names in CONDITIONS.items() for name in names]
    parser = make_parser(__doc__, "doc/results/unseen_conditions.json", data=True)
    parser.add_argument("--draws", type=int, default=2, help="of 240 mixtures, at most")
    options, results = begin(parser, ["draws"], former=dict)
    options.markdown = options.markdown or options.out.with_suffix(".md")

    def scores_with_all():
        models = fold(ALL, options)
        return {pair[1]: scores(models, pair, options.data) for pair in pairs}

    def scores_without(*pair):
        return scores(fold(pair, options), pair, options.data)

    results.compute(scores_with_all, {ALL: ()})
    results.compute(scores_without, {pair[1]: pair for pair in pairs})
    conditions, overall = tables(results.rows)
    report(
        options,
        results,
        "Unseen voices and noise",
        INTRODUCTION.format(n_draws=options.draws),
        conditions,
        "Over all conditions of a kind, and differences from tied deep NMF:",
        overall,
    )


if __name__ == "__main__":
    main()
