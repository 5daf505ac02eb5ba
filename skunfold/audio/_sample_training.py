"""Training of enhancers that take samples of noise.

From every recording of noise a sample is cut, of which bases are inferred, and the rest is
mixed with speech: what is learned is how to use the bases of a noise, not the noise. Therefore
each recording goes through other random equalizers in every draw. So that it does not matter
how speech was recorded, each mixture goes through a random microphone as well.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.signal import firwin, firwin2, oaconvolve

from skunfold._deep_nmf.episodes import Draw, EpisodeTraining
from skunfold._deep_nmf.inferred_bases import start_gains
from skunfold.audio._noise_sample import MIN_SECONDS
from skunfold.audio.mixing import make_mixtures
from skunfold.audio.waveforms import FloatArray

SECONDS = (0.5, 5.0)  # of the samples, where recordings are twice as long
N_SAMPLES = 40  # of a draw, at least
WITHOUT = 0.25  # of the mixtures are learned without a sample
N_GAINS = 9  # of random equalizers, along the mel scale
EQUALIZER, MICROPHONE = 6.0, 2.0  # their standard deviations in dB, of noise and of mixtures
TELEPHONES = 0.1  # of the microphones are those of telephones
TELEPHONE = (300, 3400)  # Hz
_N_TAPS = 129  # of the filters with these gains
_MAX_TRIES = 20


class Mixtures(NamedTuple):
    """A draw of mixtures to learn from."""

    noisy: list[FloatArray]
    clean: list[FloatArray]
    groups: NDArray  # the utterance in each
    samples: list[FloatArray | None]  # of the noise in each, from another place


def check_long_enough(noise: Sequence[FloatArray], sample_rate: int) -> None:
    """Raise a ValueError if a noise is too short to cut a sample off it."""
    shortest = round(2 * MIN_SECONDS * sample_rate)
    for i, waveform in enumerate(noise):
        if len(waveform) < shortest:
            raise ValueError(
                f"noise[{i}] has {len(waveform)} samples, fewer than the {shortest} that "
                "n_sample_components needs to learn from a sample and from the rest; leave it "
                "out."
            )


def draw_mixtures(
    speech: list[FloatArray],
    noise: list[FloatArray],
    sample_rate: int,
    rng: np.random.RandomState,
    without: float = WITHOUT,
    **mixing: Any,
) -> Mixtures:
    """Mix speech with equalized noise, of each of which a sample is cut off before.

    Every noise is recorded by another microphone, and the speech in the mixtures with it too.
    Some of the mixtures are given no sample; `without` is their share.
    """
    n_cuts = -(-N_SAMPLES // len(noise))
    samples, rests, microphones = [], [], []
    for i, waveform in enumerate(noise):
        for _ in range(n_cuts):
            parts = _parted(f"noise[{i}]", waveform, sample_rate, rng)
            sample, rest = _filtered(parts, _equalizer(rng, EQUALIZER))
            microphones.append(_microphone(rng, sample_rate))
            samples += _filtered([sample], microphones[-1])
            rests.append(rest)
    drawn = make_mixtures(speech, rests, random_state=rng, **mixing)
    left_out = rng.uniform(size=len(drawn.noisy)) < without
    pairs = [
        _filtered(pair, microphones[j])
        for *pair, j in zip(drawn.noisy, drawn.clean, drawn.noise_index)
    ]
    return Mixtures(
        [noisy for noisy, _ in pairs],
        [clean for _, clean in pairs],
        drawn.speech_index,
        [None if out else samples[j] for j, out in zip(drawn.noise_index, left_out)],
    )


def _equalizer(rng: np.random.RandomState, spread: float) -> NDArray:
    """Return the taps of a filter with random gains along the mel scale, of a spread in dB."""
    mel = np.log10(1 + np.linspace(0, 8000, _N_TAPS) / 700)
    gains = rng.normal(scale=spread, size=N_GAINS)
    decibels = np.interp(mel / mel[-1], np.linspace(0, 1, N_GAINS), gains)
    return firwin2(_N_TAPS, np.linspace(0, 1, _N_TAPS), 10 ** (decibels / 20))


def _microphone(rng: np.random.RandomState, sample_rate: int) -> NDArray:
    """Return the taps of a microphone: some have the band of a telephone alone."""
    if rng.uniform() < TELEPHONES and sample_rate > 2 * TELEPHONE[1]:
        return firwin(_N_TAPS, TELEPHONE, pass_zero=False, fs=sample_rate)
    return _equalizer(rng, MICROPHONE)


def _filtered(waveforms: Iterable[FloatArray], taps: NDArray) -> list[FloatArray]:
    """Return waveforms of the same lengths and dtypes, after one filter."""
    return [oaconvolve(x, taps.astype(x.dtype), mode="same") for x in waveforms]


def _parted(
    name: str, noise: FloatArray, sample_rate: int, rng: np.random.RandomState
) -> tuple[FloatArray, FloatArray]:
    """Return a random cut of a noise, half of it at most, and the rest; neither is silent."""
    shortest, longest = (min(round(s * sample_rate), len(noise) // 2) for s in SECONDS)
    for _ in range(_MAX_TRIES):
        n_samples = rng.randint(shortest, longest + 1)
        turned = np.roll(noise, -rng.randint(len(noise)))
        sample, rest = turned[:n_samples], turned[n_samples:]
        if sample.any() and rest.any():
            return sample, rest
    raise ValueError(
        f"{name} must not be silent, but {_MAX_TRIES} random cuts of it, or the rest, were all "
        "zeros; cut its silence away or leave it out"
    )


def train_with_samples(
    regressor: Any,
    gains: list[NDArray] | None,
    n_components: int,
    draws: Iterable[tuple[Draw, list[NDArray]]],
    n_draws: int,
    valid: Draw | None,
) -> tuple[list[NDArray], int]:
    """Train a regressor, in place, and the gains of inferred bases on draw after draw.

    Parameters
    ----------
    regressor : DeepNMFRegressor
        It is initialised by the first draw, unless it is fitted and has ``warm_start``.
    gains : list of ndarrays or None
        What training continues from; None: ones.
    n_components : int
        How many bases are inferred from a sample.
    draws : iterable of (Draw, list of 2 ndarrays)
        Each with the features of speech and noise alone.
    n_draws : int
        How many there are.
    valid : Draw or None
        What decides when to stop.

    Returns
    -------
    gains : list of ndarrays
        The trained ones.
    n_frames : int
        Number of frames of the last draw. Ctrl-C ends its fit, and there is no other draw.
    """
    training = None
    for draw, sources in draws:
        if training is None:
            if not (regressor.warm_start and hasattr(regressor, "bases_")):
                _initialise(regressor, draw, sources)
                gains = None
            gains = gains or start_gains(regressor)
            training = EpisodeTraining(regressor, gains, n_components)
        training.fit(draw, valid)
        if training.interrupted:
            break
    assert training is not None
    if n_draws == 1:
        training.warn_if_still_improving()
    return training.gains, len(draw.X)


def _initialise(regressor: Any, draw: Draw, sources: list[NDArray]) -> None:
    """Fit a regressor as sparse NMF, of which no layer is trained yet."""
    trained = {
        name: getattr(regressor, name) for name in ("n_trained_layers", "early_stopping")
    }
    regressor.set_params(n_trained_layers=0, early_stopping=False)
    try:
        regressor.fit(draw.X, draw.y, sources=sources, lengths=draw.lengths)
    finally:
        regressor.set_params(**trained)
