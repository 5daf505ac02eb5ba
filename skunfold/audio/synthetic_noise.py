"""Synthetic noise: other noise than was recorded, for enhancers to learn from."""

from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import firwin2, oaconvolve, resample_poly
from sklearn.utils import Bunch, check_random_state

from skunfold.audio._checks import check_settings, check_sources
from skunfold.audio.stft import STFT
from skunfold.audio.waveforms import FloatArray, check_rate

KINDS = ("coloured", "modulated", "impulsive", "harmonic", "babble")
LEVEL = 0.05  # RMS of every recording
SHARE_MIXED = 0.3  # of the recordings hold another kind as well
_N_TAPS, _N_BANDS = 257, 12  # of the filters, and of the random gains that they have
_MAX_TONE = 0.45  # of the sample rate: partials above it are left out
_MAX_PARTIALS = 40


def make_noise(
    n_recordings: int = 20,
    *,
    seconds: float = 10.0,
    sample_rate: int = 16000,
    kinds: Sequence[str] | None = None,
    speech: Sequence[ArrayLike] | None = None,
    random_state: int | np.random.RandomState | None = None,
) -> Bunch:
    """Make recordings of synthetic noise, each of another sound.

    An enhancer that has heard few kinds of noise removes those alone. With synthetic noise
    beside the recorded noise it learns to remove kinds that it has not heard.

    Parameters
    ----------
    n_recordings : int, default=20
        Number of recordings, at least 1.
    seconds : float, default=10.0
        Length of each, at least 1.
    sample_rate : int, default=16000
        Rate in Hz, from 1000 to 192000.
    kinds : sequence of str, default=None
        Kinds of noise that are made in turn: "coloured" (steady, with a random spectrum),
        "modulated" (bands that swell and fade), "impulsive" (clicks and knocks), "harmonic"
        (hums and whines) and "babble" (several voices at once, which needs `speech`). None:
        all of them, "babble" only if there is `speech`. Three of ten recordings have another
        kind mixed in.
    speech : sequence of arrays of shape (n_samples_i,), default=None
        Waveforms at ``sample_rate``, none silent, of which babble is made.
    random_state : int, RandomState instance or None, default=None
        Draws the noise. Pass an int for the same recordings every time.

    Returns
    -------
    data : Bunch
        recordings : list of float32 ndarrays of shape (n_samples,)
            The noise, with an RMS of 0.05 each.
        kinds : list of str
            The kind of each.
        sample_rate : int
            Their rate in Hz.

    Raises
    ------
    ValueError
        If a parameter is out of its range, a kind is unknown, "babble" is asked for without
        ``speech``, or one of ``speech`` is empty, silent, not 1-D, not floating point or not
        finite.

    See Also
    --------
    make_mixtures : Mix the noise with speech.
    load_bundled_recordings : Recorded noise and speech.

    Examples
    --------
    >>> from skunfold.datasets import make_noise
    >>> noise = make_noise(5, seconds=2, random_state=0)
    >>> noise.kinds
    ['coloured', 'modulated', 'impulsive', 'harmonic', 'coloured']
    >>> noise.recordings[0].shape
    (32000,)
    """
    voices, wanted = _check(n_recordings, seconds, sample_rate, kinds, speech)
    rng = check_random_state(random_state)
    studio = _Studio(round(seconds * sample_rate), sample_rate, voices, rng)
    made = [wanted[i % len(wanted)] for i in range(n_recordings)]
    recordings = []
    for kind in made:
        noise = _normalized(studio.make(kind))
        if rng.uniform() < SHARE_MIXED:
            other = _normalized(studio.make(wanted[rng.randint(len(wanted))]))
            noise = _normalized(noise + _amplitude(rng.uniform(-10, 0)) * other)
        recordings.append((LEVEL * noise).astype(np.float32))
    return Bunch(recordings=recordings, kinds=made, sample_rate=sample_rate)


def change_speed(
    waveform: FloatArray, octaves: float, random_state: int | np.random.RandomState | None
) -> FloatArray:
    """Return a waveform played faster or slower, by up to so many octaves."""
    factor = 2 ** check_random_state(random_state).uniform(-octaves, octaves)
    return resample_poly(waveform, 40, round(40 * factor)).astype(waveform.dtype)


class _Studio:
    """Makes noise of a length, drawn by a RandomState; babble of speech."""

    def __init__(
        self,
        n_samples: int,
        sample_rate: int,
        speech: list[FloatArray],
        rng: np.random.RandomState,
    ) -> None:
        self.n_samples = n_samples
        self.sample_rate = sample_rate
        self.speech = speech
        self.rng = rng

    def make(self, kind: str) -> NDArray:
        """Return noise of a kind, at any level."""
        make: Callable[[], NDArray] = getattr(self, kind)
        return make()

    def coloured(self) -> NDArray:
        """Return white noise with a random spectrum, which mostly falls with frequency."""
        return self._equalized(self.rng.normal(size=self.n_samples), spread=10, falling=True)

    def modulated(self) -> NDArray:
        """Return up to three bands of noise, each with its own level over time."""
        parts = [
            self.coloured() * self._envelope(2 ** self.rng.uniform(-1, 4))
            for _ in range(self.rng.randint(1, 4))
        ]
        return np.sum(parts, axis=0)

    def impulsive(self) -> NDArray:
        """Return clicks at random times, each with the same two resonances, in faint noise."""
        rng, clicks = self.rng, np.zeros(self.n_samples)
        n_clicks = rng.poisson(self.n_samples / self.sample_rate * 2 ** rng.uniform(0, 5))
        places = rng.randint(self.n_samples, size=max(2, n_clicks))
        np.add.at(clicks, places, rng.lognormal(sigma=0.8, size=len(places)))
        n_ringing = int(self.sample_rate * 2 ** rng.uniform(-7, -2))
        decay = np.exp(-6 * np.arange(n_ringing) / n_ringing)
        parts = []
        for _ in range(2):
            ringing = oaconvolve(clicks, rng.normal(size=n_ringing) * decay)[: self.n_samples]
            parts.append(self._equalized(ringing, spread=10, falling=True))
        knocks = _normalized(np.sum(parts, axis=0))
        return knocks + 10 ** rng.uniform(-2, -0.5) * _normalized(self.coloured())

    def harmonic(self) -> NDArray:
        """Return up to three tones with overtones, whose pitch and level drift, in noise."""
        rng, output = self.rng, np.zeros(self.n_samples)
        for _ in range(rng.randint(1, 4)):
            drift = self._envelope(2) ** (0.1 * rng.uniform())
            pitch = 2 ** rng.uniform(4.5, 9) * drift  # Hz
            phase = 2 * np.pi * np.cumsum(pitch) / self.sample_rate
            n_partials = int(_MAX_TONE * self.sample_rate / pitch.max())
            falling = rng.uniform(0.3, 1.5)
            for k in range(1, min(n_partials, _MAX_PARTIALS) + 1):
                partial = np.sin(k * phase + rng.uniform(2 * np.pi)) * self._envelope(3) ** 0.3
                output += rng.lognormal() / k**falling * partial
        output *= self._envelope(4) ** rng.uniform()
        tones = _normalized(self._equalized(output, spread=4))
        return tones + 10 ** rng.uniform(-1.5, 0) * _normalized(self.coloured())

    def babble(self) -> NDArray:
        """Return four to nine voices at once, each made of utterances at other speeds."""
        rng, output = self.rng, np.zeros(self.n_samples)
        for _ in range(rng.randint(4, 10)):
            parts: list[FloatArray] = []
            while sum(map(len, parts)) < self.n_samples:
                utterance = self.speech[rng.randint(len(self.speech))]
                parts.append(change_speed(utterance, 0.35, rng))
            voice = _normalized(np.concatenate(parts)[: self.n_samples])
            output += voice * _amplitude(rng.uniform(-6, 6))
        return self._equalized(output, spread=4)

    def _envelope(self, rate: float) -> NDArray:
        """Return a positive level over time with so many random values a second."""
        n_values = max(4, int(self.n_samples / self.sample_rate * rate) + 2)
        places = np.linspace(0, n_values - 1, self.n_samples)
        return np.exp(np.interp(places, np.arange(n_values), self.rng.normal(size=n_values)))

    def _equalized(self, noise: NDArray, spread: float, falling: bool = False) -> NDArray:
        """Return noise through a filter of random gains, of that spread in dB, in mel bands."""
        bands = np.linspace(0, 1, _N_BANDS)
        gains = self.rng.normal(scale=spread, size=_N_BANDS)
        if falling:
            gains -= 24 * self.rng.uniform() * bands
        frequencies = np.linspace(0, 1, _N_TAPS)
        mel = np.log1p(frequencies * self.sample_rate / 2 / 700)
        decibels = np.interp(mel / mel[-1], bands, gains)
        return oaconvolve(noise, firwin2(_N_TAPS, frequencies, _amplitude(decibels)), "same")


def _amplitude(decibels: Any) -> Any:
    """Return what a change of the level in dB multiplies a waveform by."""
    return 10 ** (decibels / 20)


def _normalized(noise: NDArray) -> NDArray:
    """Return noise without an offset, at an RMS of 1."""
    noise = noise - noise.mean()
    return noise / max(noise.std(), np.finfo(float).tiny)


def _check(
    n_recordings: int,
    seconds: float,
    sample_rate: int,
    kinds: Sequence[str] | None,
    speech: Sequence[ArrayLike] | None,
) -> tuple[list[FloatArray], list[str]]:
    """Return the waveforms of speech and the kinds to make, if all parameters are in range."""
    for name, value, number in (
        ("n_recordings", n_recordings, Integral),
        ("seconds", seconds, Real),
    ):
        if isinstance(value, bool) or not isinstance(value, number) or not 1 <= value < np.inf:
            what = "an integer" if number is Integral else "a number"
            raise ValueError(f"{name} must be {what} of at least 1, got {value!r}")
    check_rate("sample_rate", sample_rate)
    check_settings(STFT(sample_rate))
    voices = [] if speech is None else check_sources("speech", speech)
    if kinds is None:
        return voices, [kind for kind in KINDS if voices or kind != "babble"]
    if isinstance(kinds, str) or not len(kinds) or set(kinds) - set(KINDS):
        raise ValueError(f"kinds must be a list of some of {', '.join(KINDS)}; got {kinds!r}")
    if "babble" in kinds and not voices:
        raise ValueError(
            "speech is missing, of which babble is made; give recordings of voices, or leave "
            '"babble" out of kinds.'
        )
    return voices, list(kinds)
