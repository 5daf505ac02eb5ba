"""Mixtures of speech and noise at a given signal-to-noise ratio."""

import math
from collections.abc import Sequence
from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import Bunch, check_random_state

from skunfold.audio.waveforms import FloatArray, check_waveform

_MAX_SNR = 100.0  # dB; float32 holds no more
_MAX_CUTS = 20


def mix_at_snr(
    speech: ArrayLike,
    noise: ArrayLike,
    snr: float,
    *,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Add noise to an utterance at a signal-to-noise ratio over the whole utterance.

    Parameters
    ----------
    speech : array-like of shape (n_samples,)
        Floating-point waveform, not silent. Its level stays as it is.
    noise : array-like of shape (n_noise_samples,)
        Floating-point waveform at the same sampling rate. If longer than the speech, it is
        cut at a random place (a silent cut is drawn again, 20 times at most); if shorter, it
        is repeated from a random place on.
    snr : float
        Ratio of the energies of speech and noise in dB, between -100 and 100.
    random_state : int, RandomState instance or None, default=None
        Draws the place in the noise. Pass an int for the same mixture every time.

    Returns
    -------
    mixture : ndarray of shape (n_samples,)
        ``speech + scaled_noise``, in the dtype of `speech`. It may exceed +-1.
    scaled_noise : ndarray of shape (n_samples,)
        The noise in the mixture, in the dtype of `speech`.

    Raises
    ------
    ValueError
        If a waveform is empty, silent, not one-dimensional, not floating point or not finite,
        `snr` is out of its range, or the noise is too quiet to be scaled to it.

    See Also
    --------
    make_mixtures : Many mixtures of many recordings.

    Examples
    --------
    >>> import numpy as np
    >>> from skunfold.datasets import mix_at_snr
    >>> speech, noise = np.random.default_rng(0).standard_normal((2, 1000))
    >>> mixture, scaled = mix_at_snr(speech, noise, 10.0, random_state=0)
    >>> round(float(10 * np.log10(np.sum(speech**2) / np.sum(scaled**2))), 6)
    10.0
    """
    clean = check_waveform("speech", speech)
    interference = check_waveform("noise", noise)
    _check_snr("snr", snr)
    if not clean.any():
        raise ValueError("speech must not be silent, but is all zeros; leave it out")
    return _mix(clean, interference, snr, check_random_state(random_state), "noise")


def make_mixtures(
    speech: Sequence[ArrayLike],
    noise: Sequence[ArrayLike],
    *,
    snrs: Sequence[float] = (-6, -3, 0, 3, 6, 9),
    n_mixtures: int | None = None,
    random_state: int | np.random.RandomState | None = None,
) -> Bunch:
    """Mix utterances with randomly drawn noise at several signal-to-noise ratios.

    Parameters
    ----------
    speech : sequence of arrays of shape (n_samples_i,)
        Floating-point waveforms, none silent.
    noise : sequence of arrays of shape (n_noise_samples_j,)
        Floating-point waveforms at the same sampling rate, none silent.
    snrs : sequence of float, default=(-6, -3, 0, 3, 6, 9)
        Ratios in dB, between -100 and 100.
    n_mixtures : int or None, default=None
        Number of mixtures, at least 1. None mixes every utterance at every SNR, ordered by
        utterance. With a number, utterances, SNRs and pairs of both are each used equally
        often, give or take one, in a shuffled order.
    random_state : int, RandomState instance or None, default=None
        Draws the noise, the place in it and the order. The same int gives the same mixtures
        bit for bit.

    Returns
    -------
    data : Bunch
        noisy : list of ndarrays of shape (n_samples_i,)
            ``clean + noise``, in the dtype of the speech.
        clean : list of ndarrays of shape (n_samples_i,)
            The utterance in each mixture.
        noise : list of ndarrays of shape (n_samples_i,)
            The scaled noise in each mixture.
        snr : ndarray of shape (n_mixtures,)
            SNR of each mixture in dB.
        speech_index : ndarray of shape (n_mixtures,)
            Which element of `speech` is in each mixture.
        noise_index : ndarray of shape (n_mixtures,)
            Which element of `noise` is in each mixture.

    Raises
    ------
    ValueError
        If a list is empty or holds a waveform that `mix_at_snr` would not take, an SNR is
        out of its range, or `n_mixtures` is below 1.

    See Also
    --------
    mix_at_snr : One mixture.
    load_bundled_recordings : Speech and noise to start with.

    Examples
    --------
    >>> import numpy as np
    >>> from skunfold.datasets import make_mixtures
    >>> waveforms = list(np.random.default_rng(0).standard_normal((5, 800)))
    >>> data = make_mixtures(waveforms[:3], waveforms[3:], snrs=(0, 6), random_state=0)
    >>> data.speech_index, data.snr
    (array([0, 0, 1, 1, 2, 2]), array([0., 6., 0., 6., 0., 6.]))
    """
    utterances = _check_recordings("speech", speech)
    noises = _check_recordings("noise", noise)
    levels = check_mixing(snrs, n_mixtures)
    rng = check_random_state(random_state)
    speech_index, snr_index = _design(len(utterances), len(levels), n_mixtures, rng)
    noise_index = rng.randint(len(noises), size=len(speech_index))
    clean = [utterances[i] for i in speech_index]
    mixed = [
        _mix(s, noises[j], levels[k], rng, f"noise[{j}]")
        for s, j, k in zip(clean, noise_index, snr_index)
    ]
    return Bunch(
        noisy=[mixture for mixture, _ in mixed],
        clean=clean,
        noise=[scaled for _, scaled in mixed],
        snr=levels[snr_index],
        speech_index=speech_index,
        noise_index=noise_index,
    )


def check_mixing(snrs: Sequence[float], n_mixtures: int | None) -> NDArray[np.float64]:
    """Return the SNRs as an array, if they and the number of mixtures are in their ranges."""
    if np.ndim(snrs) != 1 or len(snrs) == 0:
        raise ValueError(f"snrs must be a list of SNRs in dB, got {snrs!r}; try (0, 6)")
    if n_mixtures is not None and (
        isinstance(n_mixtures, bool) or not isinstance(n_mixtures, Integral) or n_mixtures < 1
    ):
        raise ValueError(
            f"n_mixtures must be a positive integer or None (every utterance at every SNR), "
            f"got {n_mixtures!r}"
        )
    return np.array([_check_snr(f"snrs[{i}]", snr) for i, snr in enumerate(snrs)])


def _design(
    n_speech: int, n_snrs: int, n_mixtures: int | None, rng: np.random.RandomState
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Choose utterance and SNR of every mixture: two arrays of shape (n_mixtures,).

    Both indices cycle at once. They repeat after lcm(n_speech, n_snrs) steps, when one index is
    shifted by one, so that n_speech * n_snrs steps meet every pair once.
    """
    if n_mixtures is None:
        pairs = np.divmod(np.arange(n_speech * n_snrs), n_snrs)
        return pairs[0], pairs[1]
    step = np.arange(n_mixtures)
    shift = step // math.lcm(n_speech, n_snrs)
    speech_index = rng.permutation(n_speech)[step % n_speech]
    snr_index = rng.permutation(n_snrs)[(step + shift) % n_snrs]
    order = rng.permutation(n_mixtures)
    return speech_index[order], snr_index[order]


def _mix(
    clean: FloatArray, noise: FloatArray, snr: float, rng: np.random.RandomState, name: str
) -> tuple[FloatArray, FloatArray]:
    """Return what `mix_at_snr` does; messages call the noise by its name."""
    cut = _cut(noise, len(clean), rng, name)
    gain = math.sqrt(_energy(clean) / _energy(cut)) * 10.0 ** (-snr / 20.0)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = (cut * gain).astype(clean.dtype)
        mixture = clean + scaled
    if not np.isfinite(mixture).all():
        raise ValueError(
            f"{name} is so quiet beside speech that {gain:.3g} times as much overflows; scale "
            "one of them"
        )
    return mixture, scaled


def _cut(
    noise: FloatArray, n_samples: int, rng: np.random.RandomState, name: str
) -> FloatArray:
    """Take n_samples of noise from a random place on, going round if it is too short."""
    n_places = len(noise) - n_samples + 1 if len(noise) >= n_samples else len(noise)
    for _ in range(_MAX_CUTS):
        start = rng.randint(n_places)
        cut = noise.take(np.arange(start, start + n_samples), mode="wrap")
        if _energy(cut) > 0.0:
            return cut
    raise ValueError(
        f"{name} must not be silent, but {_MAX_CUTS} random cuts of {n_samples} samples were "
        "all zeros; cut its silence away or leave it out"
    )


def _energy(waveform: FloatArray) -> float:
    """Sum of squares, in double precision."""
    return float(np.sum(np.square(waveform, dtype=np.float64)))


def _check_recordings(name: str, recordings: Sequence[ArrayLike]) -> list[FloatArray]:
    """Return a list of waveforms, none empty or silent."""
    listed = hasattr(recordings, "__len__") and len(recordings) > 0
    if not listed or np.ndim(recordings[0]) == 0:
        raise ValueError(
            f"{name} must be a list of waveforms, at least one, each of shape (n_samples,)"
        )
    shape = np.shape(recordings) if isinstance(recordings, np.ndarray) else ()
    if len(shape) == 2 and shape[0] > shape[1]:
        raise ValueError(
            f"{name} has shape {shape}, more recordings than samples; give a list of "
            "waveforms, each of shape (n_samples,)"
        )
    arrays = [check_waveform(f"{name}[{i}]", x) for i, x in enumerate(recordings)]
    for i, array in enumerate(arrays):
        if not array.any():
            raise ValueError(f"{name}[{i}] must not be silent, but is all zeros; leave it out")
    return arrays


def _check_snr(name: str, snr: float) -> float:
    """Return the SNR as a float, or raise a ValueError that names the parameter."""
    is_number = isinstance(snr, Real) and not isinstance(snr, bool)
    if not is_number or not abs(snr) <= _MAX_SNR:
        raise ValueError(f"{name} must be a number of dB from -100 to 100, got {snr!r}")
    return float(snr)
