"""Features of a spectrogram: stacked context frames, and the level they are divided by.

The frames before the current one say how it came about; they may be gathered into a few mel
bands, which leaves regressors fewer parameters.

The level is the root mean square of the magnitudes over frames and bins. With the unit-energy
window of `skunfold.audio.STFT` that is the RMS of the waveform, within a few per cent for
sounds of many frames without much energy at 0 Hz (which counts twice).

In training each mixture, with its speech and its noise, is divided by its level over the whole
recording. When a recording is enhanced its future is unknown, so each frame is divided by the
level of all that was heard up to it; the two agree at the last frame. A network with
``beta_loss`` Kullback-Leibler is exactly scale-equivariant: its output is the same whatever the
level. Other divergences, and other regressors, depend on it.
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skunfold.audio.io import FloatArray
from skunfold.audio.stft import STFT

AUTO_BANDS = 40


def mel_bands(n_bins: int, n_bands: int, sample_rate: int = 16000) -> NDArray:
    """Return the weights by which bands gather the bins of a spectrum.

    Triangles, equally spaced on the mel scale from 0 Hz to half the sample rate, each from
    the centre of one neighbour to that of the other: the weights of each bin add up to one.

    Parameters
    ----------
    n_bins : int
        Number of bins, at least 2, equally spaced from 0 Hz to half the sample rate.
    n_bands : int
        Number of bands, at least 2.
    sample_rate : int, default=16000
        In Hz.

    Returns
    -------
    ndarray of shape (n_bins, n_bands)
        The weights, between 0 and 1.

    Raises
    ------
    ValueError
        If there are fewer than two bins or bands, or so many bands that one holds no bin.

    Notes
    -----
    The scale is that of O'Shaughnessy, "Speech communication: human and machine" (1987):
    2595 log10(1 + f / 700 Hz).

    Examples
    --------
    >>> from skunfold.audio import mel_bands
    >>> mel_bands(5, 3, sample_rate=8000).round(2)
    array([[1.  , 0.  , 0.  ],
           [0.07, 0.93, 0.  ],
           [0.  , 0.58, 0.42],
           [0.  , 0.25, 0.75],
           [0.  , 0.  , 1.  ]])
    """
    for name, value in (("n_bins", n_bins), ("n_bands", n_bands)):
        if value < 2:
            raise ValueError(f"{name} must be at least 2, got {value}")
    mel = 2595 * np.log10(1 + np.linspace(0, sample_rate / 2, n_bins) / 700)
    centres, distance = np.linspace(0, mel[-1], n_bands, retstep=True)
    weights = np.maximum(0, 1 - np.abs(mel[:, None] - centres) / distance)
    if not weights.any(axis=0).all():
        raise ValueError(f"n_bands={n_bands} are too many for {n_bins} bins; give fewer")
    return weights


def stack_context(
    frames: ArrayLike,
    n_context: int,
    past: ArrayLike | None = None,
    bands: ArrayLike | None = None,
) -> NDArray:
    """Put the frames before each frame in front of it.

    Parameters
    ----------
    frames : array-like of shape (n_frames, n_bins)
        One row a frame, in order of time.
    n_context : int
        Number of frames stacked, the current one included; at least 1.
    past : array-like of shape (n_context - 1, n_bins), default=None
        The frames before the first. None: zeros.
    bands : array-like of shape (n_bins, n_bands), default=None
        Weights that gather the bins of the frames before the current one into bands, see
        `mel_bands`. None: they stay as they are.

    Returns
    -------
    ndarray of shape (n_frames, (n_context - 1) * n_bands + n_bins)
        The oldest frame first, the current frame last; a new array of the frames' dtype.
        Without bands its width is ``n_context * n_bins``.

    Raises
    ------
    ValueError
        If ``frames`` is not 2-D, ``n_context`` is below 1, or ``past`` or ``bands`` have
        another shape.

    Notes
    -----
    Le Roux, Hershey, Weninger, "Deep NMF for speech separation" (ICASSP 2015), section 4, take
    9 frames: the current one and 8 before it.

    Examples
    --------
    >>> from skunfold.audio import stack_context
    >>> stack_context([[1, 2], [3, 4], [5, 6]], n_context=2)
    array([[0, 0, 1, 2],
           [1, 2, 3, 4],
           [3, 4, 5, 6]])
    """
    frames = np.asarray(frames)
    if frames.ndim != 2:
        raise ValueError(f"frames must be of shape (n_frames, n_bins), got {frames.shape}")
    if n_context < 1:
        raise ValueError(f"n_context must be at least 1, got {n_context!r}")
    expected = (n_context - 1, frames.shape[1])
    past = np.zeros(expected, frames.dtype) if past is None else np.asarray(past)
    if past.shape != expected:
        raise ValueError(f"past must be of shape {expected}, got {past.shape}")
    before = np.concatenate([past.astype(frames.dtype, copy=False), frames])
    if bands is not None:
        weights = np.asarray(bands, dtype=np.result_type(frames, np.float32))
        if weights.ndim != 2 or len(weights) != frames.shape[1]:
            raise ValueError(
                f"bands must be of shape ({frames.shape[1]}, n_bands), got {weights.shape}"
            )
        before = before @ weights
    stacked = [before[i : i + len(frames)] for i in range(n_context - 1)]
    return np.concatenate([*stacked, frames], axis=1)


def context_bands_of(stft: STFT, n_bands: int | Literal["auto"] | None) -> NDArray | None:
    """Return the weights of mel bands for a transform's bins, or None for no bands.

    "auto" are `AUTO_BANDS`, or none where one of them would hold no bin.
    """
    if n_bands is None:
        return None
    wanted = AUTO_BANDS if n_bands == "auto" else n_bands
    try:
        return mel_bands(stft.n_bins, wanted, stft.sample_rate)
    except ValueError as error:
        if n_bands == "auto":
            return None
        raise ValueError(f"context_bands={n_bands} does not suit: {error}, or None") from None


class RunningLevel:
    """Level of a spectrogram up to each frame, for frames that arrive in blocks.

    Examples
    --------
    >>> from skunfold.audio.features import RunningLevel
    >>> level = RunningLevel()
    >>> level.update([[0.0, 0.0], [2.0, 2.0]]), level.update([[1.0, 1.0]])
    (array([1.        , 1.41421356]), array([1.29099445]))
    """

    def __init__(self) -> None:
        self._power = 0.0
        self._n_frames = 0

    def update(self, magnitudes: ArrayLike) -> NDArray:
        """Take the next frames and return the level up to each of them.

        Parameters
        ----------
        magnitudes : array-like of shape (n_frames, n_bins)
            Magnitudes of the next frames, any number.

        Returns
        -------
        ndarray of shape (n_frames,)
            The RMS of all magnitudes so far, of their dtype; 1 while all were zero.
        """
        magnitudes = np.asarray(magnitudes)
        power = np.square(magnitudes, dtype=np.float64).mean(axis=1)
        power = np.cumsum(np.concatenate([[self._power], power]))[1:]
        counts = self._n_frames + np.arange(1, len(power) + 1)
        if len(power):
            self._power, self._n_frames = power[-1], counts[-1]
        levels = np.sqrt(power / counts).astype(magnitudes.dtype)
        levels[levels == 0] = 1
        return levels


def recording_level(magnitudes: ArrayLike) -> float:
    """Return the level of a whole recording.

    Parameters
    ----------
    magnitudes : array-like of shape (n_frames, n_bins)
        Magnitudes of its spectrogram, at least one frame.

    Returns
    -------
    float
        The RMS of the magnitudes: what `RunningLevel` gives for the last frame. 1 if all are
        zero.

    Examples
    --------
    >>> import numpy as np
    >>> from skunfold.audio import STFT
    >>> from skunfold.audio.features import recording_level
    >>> noise = np.random.default_rng(0).normal(scale=0.1, size=160000)
    >>> round(float(recording_level(np.abs(STFT().analyze(noise)))), 2)
    0.1
    """
    return RunningLevel().update(magnitudes)[-1]


def training_frames(
    noisy: list[FloatArray],
    clean: list[FloatArray],
    *,
    stft: STFT,
    n_context: int,
    bands: NDArray | None,
    max_source_frames: int,
    random_state: np.random.RandomState,
) -> tuple[NDArray, NDArray, list[NDArray], NDArray]:
    """Return what a regressor learns from: the frames of recordings at their own level.

    Parameters
    ----------
    noisy : list of n_recordings arrays of shape (n_samples_i,)
        Waveforms of the mixtures. Frames in which one is entirely silent are left out.
    clean : list of n_recordings arrays of shape (n_samples_i,)
        Waveforms of the speech in them.
    stft : STFT
        The transform.
    n_context : int
        Number of frames stacked, at least 1.
    bands : ndarray of shape (n_bins, n_bands) or None
        What the frames before the current one are gathered by, see `stack_context`.
    max_source_frames : int
        Most frames of each source returned, at least 1.
    random_state : RandomState
        Draws them, if there are more.

    Returns
    -------
    X : ndarray of shape (n_frames, n_features)
        Stacked magnitudes of the mixtures; float32 if all waveforms are.
    y : ndarray of shape (n_frames, n_bins)
        Magnitudes of the speech.
    sources : list of 2 ndarrays of shape (n_source_frames, n_features)
        Stacked magnitudes of the speech, and of the rest of the mixture, in the same frames.
    recording : ndarray of int of shape (n_frames,)
        Which recording each frame is from.
    """
    n_frames = sum(stft.n_frames(len(waveform)) for waveform in noisy)
    dtype = np.result_type(*{waveform.dtype for waveform in noisy + clean})
    width = stft.n_bins if bands is None else bands.shape[1]
    X = np.empty((n_frames, (n_context - 1) * width + stft.n_bins), dtype=dtype)
    y = np.empty((n_frames, stft.n_bins), dtype=dtype)
    drawn = np.zeros(n_frames, dtype=bool)
    n_drawn = min(n_frames, max_source_frames)
    drawn[random_state.choice(n_frames, n_drawn, replace=False)] = True
    sources: tuple[list[NDArray], list[NDArray]] = ([], [])
    recording = np.empty(n_frames, dtype=int)
    n_kept = n_seen = 0
    for i, (mixture, speech) in enumerate(zip(noisy, clean)):
        magnitudes = [np.abs(stft.analyze(x)) for x in (mixture, speech, mixture - speech)]
        level = recording_level(magnitudes[0])
        stacked = [stack_context(m, n_context, bands=bands) / level for m in magnitudes]
        sounding = np.asarray(magnitudes[0].any(axis=1))
        rows = slice(n_kept, n_kept + int(sounding.sum()))
        X[rows] = stacked[0][sounding]
        y[rows] = magnitudes[1][sounding] / level
        recording[rows] = i
        chosen = sounding & drawn[n_seen : n_seen + len(sounding)]
        for source, frames in zip(sources, stacked[1:]):
            source.append(frames[chosen])
        n_kept, n_seen = rows.stop, n_seen + len(sounding)
    drawn_sources = [np.concatenate(source) for source in sources]
    return X[:n_kept], y[:n_kept], drawn_sources, recording[:n_kept]
