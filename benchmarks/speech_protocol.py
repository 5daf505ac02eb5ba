"""The protocol of the speech enhancement benchmark: data, mixtures, metrics, intervals.

Speech and noise folders hold ``train``, ``valid`` and ``test``, disjoint in utterances and in
noise recordings. 16 kHz; square-root Hann windows of 25 ms every 10 ms (201 bins); 9 stacked
frames; SNRs of -6, -3, 0, 3, 6 and 9 dB. Models learn from ``train``; every choice, when to
stop among them, is made by 30 mixtures of ``valid`` (seed 2); 60 mixtures of ``test`` are drawn
with each of the seeds 1 to 6, and opened once for each row that is reported.
"""

import time
from pathlib import Path

import numpy as np
from harness import median_seconds
from pystoi import stoi
from sklearn.utils import Bunch
from threadpoolctl import threadpool_limits

from skunfold.audio import STFT
from skunfold.audio.context import Context
from skunfold.audio.features import recording_level, without_offset
from skunfold.datasets import load_recordings, make_mixtures
from skunfold.metrics import sdr, si_sdr

SAMPLE_RATE = 16_000
N_CONTEXT = 9
SNRS = (-6, -3, 0, 3, 6, 9)
N_TRAIN, N_VALID, N_TEST = 240, 30, 60  # mixtures: of a draw, in all, of a draw
VALID_SEED = 2
TEST_SEEDS = (1, 2, 3, 4, 5, 6)
N_BOOTSTRAP = 2000
N_TIMED, N_TIMINGS = 5, 5


def any_name(kind, name):
    """Keep every recording."""
    return True


def load(folder, subset, keep=any_name):
    """Return the recordings of a subset as (speech, noise).

    Those for which ``keep(kind, name)`` is true: kind is "speech" or "noise", name its file's.
    """
    kept = []
    for kind in ("speech", "noise"):
        data = load_recordings(Path(folder) / kind / subset, sample_rate=SAMPLE_RATE)
        pairs = zip(data.names, data.recordings)
        kept.append([recording for name, recording in pairs if keep(kind, name)])
    return tuple(kept)


def validation_mixtures(folder, keep=any_name):
    """Return the mixtures that choices are made by."""
    speech, noise = load(folder, "valid", keep)
    return make_mixtures(speech, noise, snrs=SNRS, n_mixtures=N_VALID, random_state=VALID_SEED)


def check_mixtures(folder, subset):
    """Yield (seed, mixtures) to score rows by: the draws of "test", or those of "valid"."""
    if subset == "valid":
        yield VALID_SEED, validation_mixtures(folder)
        return
    speech, noise = load(folder, "test")
    for seed in TEST_SEEDS:
        yield (
            seed,
            make_mixtures(speech, noise, snrs=SNRS, n_mixtures=N_TEST, random_state=seed),
        )


def utterances_of(folder, subset):
    """Return which utterance is in each mixture, draw by draw."""
    draws = check_mixtures(folder, subset)
    return [int(i) for _, mixtures in draws for i in mixtures.speech_index]


def masked(mixture, magnitudes_of, context_bands=None, context_averages=()):
    """Return a mixture with other magnitudes, and without its offset.

    As `SpeechEnhancer.enhance`, but at the level of the whole recording, as in training: deep
    NMF does not depend on the level, networks do.

    Parameters
    ----------
    mixture : ndarray of shape (n_samples,)
        The waveform.
    magnitudes_of : callable
        From features (n_frames, n_features) at level 1 to magnitudes (n_frames, 201).
    context_bands, context_averages
        As in `SpeechEnhancer`.
    """
    context = {"context_bands": context_bands, "context_averages": context_averages}
    return next(masked_stages(mixture, lambda X: [magnitudes_of(X)], **context))


def masked_stages(mixture, stages_of, context_bands=None, context_averages=()):
    """Yield a mixture with each of the magnitudes that `stages_of` makes, as `masked` does."""
    stft = STFT(SAMPLE_RATE)
    spectrum = stft.analyze(without_offset(mixture, SAMPLE_RATE))
    magnitudes = np.abs(spectrum)
    level = recording_level(magnitudes)
    floored = np.maximum(magnitudes, np.finfo(magnitudes.dtype).tiny)
    context = Context.of(stft, N_CONTEXT, context_bands, context_averages)
    for estimate in stages_of(context.features(magnitudes) / level):
        yield stft.synthesize(spectrum * (level * estimate / floored), len(mixture))


def ideal_ratio_mask(mixture, speech, noise):
    """Return a mixture masked by what is speech in it: |S| / (|S| + |N|)."""
    stft = STFT(SAMPLE_RATE)
    S, N = (np.abs(stft.analyze(x)) for x in (speech, noise))
    mask = S / np.maximum(S + N, np.finfo(S.dtype).tiny)
    return stft.synthesize(stft.analyze(mixture) * mask, len(mixture))


def measure(enhance, folder, subset):
    """Return the scores of a row.

    Parameters
    ----------
    enhance : callable
        From (mixture, speech, noise) to the enhanced waveform.
    folder : path
        Folder of speech and noise.
    subset : {"valid", "test"}
        What to score by.

    Returns
    -------
    dict
        "first": for each metric mean, improvement over the mixture and interval on the first
        draw, and its mean SI-SDR at every SNR; "all": the same for SI-SDR over all draws;
        "si_sdr_by_mixture": the SI-SDR of every mixture, draw by draw.
    """
    values, utterances = [], []
    for i, (_, mixtures) in enumerate(check_mixtures(folder, subset)):
        estimates = [
            enhance(*three) for three in zip(mixtures.noisy, mixtures.clean, mixtures.noise)
        ]
        si_sdrs = _each(si_sdr, mixtures.clean, estimates)
        values.append(
            np.stack([si_sdrs, si_sdrs - _each(si_sdr, mixtures.clean, mixtures.noisy)])
        )
        utterances.append(mixtures.speech_index)
        if i == 0:
            first = _first_draw(mixtures, estimates, values[0])
    values, utterances = np.concatenate(values, axis=1), np.concatenate(utterances)
    return {
        "first": first,
        "all": summary(*values, utterances),
        "si_sdr_by_mixture": values[0].round(2).tolist(),
    }


def _first_draw(mixtures, estimates, si_sdrs):
    """Return all metrics of one draw, given SI-SDR and its improvement."""
    by_snr = {
        f"{snr:g}": round(float(si_sdrs[0][mixtures.snr == snr].mean()), 3) for snr in SNRS
    }
    result = {"si_sdr": summary(*si_sdrs, mixtures.speech_index), "si_sdr_by_snr": by_snr}
    for name, metric in (("sdr", sdr), ("stoi", _stoi)):
        after = _each(metric, mixtures.clean, estimates)
        before = _each(metric, mixtures.clean, mixtures.noisy)
        result[name] = summary(after, after - before, mixtures.speech_index)
    return result


def real_time_factor(enhance, folder):
    """Return how many seconds of sound are enhanced in a second of one thread."""
    mixtures = validation_mixtures(folder).noisy[:N_TIMED]

    def enhance_all():
        for mixture in mixtures:
            enhance(mixture)

    with threadpool_limits(1):
        seconds = median_seconds(enhance_all, N_TIMINGS, time.process_time)
    return sum(map(len, mixtures)) / SAMPLE_RATE / seconds


def _each(metric, references, estimates):
    return np.array([metric(s, e) for s, e in zip(references, estimates)])


def _stoi(speech, estimate):
    return stoi(speech, estimate, SAMPLE_RATE)


def summary(values, improvements, utterances):
    """Return mean, mean improvement, and the 95 % interval of both over utterances."""
    return Bunch(
        mean=round(float(np.mean(values)), 3),
        interval=interval(values, utterances),
        improvement=round(float(np.mean(improvements)), 3),
        improvement_interval=interval(improvements, utterances),
    )


def interval(values, utterances):
    """Return the bootstrap interval (95 %) of a mean, with utterances drawn as a whole."""
    rng = np.random.default_rng(0)
    names, index = np.unique(utterances, return_inverse=True)
    sums, counts = np.bincount(index, values), np.bincount(index)
    drawn = rng.integers(len(names), size=(N_BOOTSTRAP, len(names)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    return [round(float(q), 3) for q in np.quantile(means, [0.025, 0.975])]
