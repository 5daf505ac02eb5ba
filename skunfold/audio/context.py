"""The features of each frame: averages of the past, the frames before it, and the frame itself.

The frames before the current one show how it developed; averages of the past describe the
noise. Both may be gathered into a few mel bands, so that regressors need fewer parameters.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skunfold._kernels.blocks import product
from skunfold._running import RunningSums
from skunfold.audio.stft import STFT

AUTO_BANDS = 40
_MAX_WEIGHTS = 1 << 22


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
        If there are fewer than two bins or bands, so many bands that one holds no bin, or more
        than 2 ** 22 pairs of a bin and a band.

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
    too_many = f"n_bands={n_bands} are too many for {n_bins} bins; give fewer"
    # A bin lies in two bands at most.
    if n_bands > 2 * n_bins or n_bands * n_bins > _MAX_WEIGHTS:
        raise ValueError(too_many)
    mel = 2595 * np.log10(1 + np.linspace(0, sample_rate / 2, n_bins) / 700)
    centres, distance = np.linspace(0, mel[-1], n_bands, retstep=True)
    weights = np.maximum(0, 1 - np.abs(mel[:, None] - centres) / distance)
    if not weights.any(axis=0).all():
        raise ValueError(too_many)
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
        before = product(before, weights)
    stacked = [before[i : i + len(frames)] for i in range(n_context - 1)]
    return np.concatenate([*stacked, frames], axis=1)


@dataclass(frozen=True)
class Context:
    """How features are made from the frames of a spectrogram."""

    stft: STFT
    n_context: int  # frames stacked, the current one included
    bands: NDArray | None  # (n_bins, n_bands), what the past is gathered by
    decays: tuple[float, ...]  # of the running averages: what a frame counts for one later

    @classmethod
    def of(
        cls,
        stft: STFT,
        n_context: int,
        n_bands: int | Literal["auto"] | None,
        averages: Sequence[float],
    ) -> "Context":
        """Return the context that the parameters of `SpeechEnhancer` ask for."""
        hop = stft.n_hop / stft.sample_rate
        seconds = [_time_constant(i, value) for i, value in enumerate(averages)]
        decays = tuple(float(np.exp(-hop / value)) for value in seconds)
        return cls(stft, n_context, _bands_of(stft, n_bands), decays)

    @property
    def width(self) -> int:
        """Number of features of a past frame, or of an average."""
        return self.stft.n_bins if self.bands is None else self.bands.shape[1]

    @property
    def n_features(self) -> int:
        """Number of features in all."""
        return (len(self.decays) + self.n_context - 1) * self.width + self.stft.n_bins

    def features(self, magnitudes: NDArray) -> NDArray:
        """Return the features of a whole recording.

        Parameters
        ----------
        magnitudes : ndarray of shape (n_frames, n_bins)
            Its spectrogram.

        Returns
        -------
        ndarray of shape (n_frames, n_features)
            Running averages of all frames up to each one, then what `stack_context` makes.
        """
        return ContextStream(self).process(magnitudes)


class ContextStream:
    """The features of frames that arrive in blocks: the same as those of all at once.

    Parameters
    ----------
    context : Context
        How they are made.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self._past = np.zeros((context.n_context - 1, context.stft.n_bins), np.float32)
        self._sums = [RunningSums(decay, context.width) for decay in context.decays]

    def process(self, magnitudes: NDArray) -> NDArray:
        """Return the features (n_frames, n_features) of the next frames, any number."""
        context = self.context
        stacked = stack_context(magnitudes, context.n_context, self._past, context.bands)
        recent = np.concatenate([self._past, magnitudes])
        self._past = recent[len(recent) - len(self._past) :]
        if not context.decays:
            return stacked
        frames = magnitudes if context.bands is None else product(magnitudes, context.bands)
        averages = [sums / weights for sums, weights in (s.update(frames) for s in self._sums)]
        return np.concatenate([*averages, stacked], axis=1, dtype=stacked.dtype)


def _time_constant(i: int, value: float) -> float:
    """Return one of the `context_averages`, or say what is wrong with it."""
    if not isinstance(value, Real) or not 0 < value < np.inf:
        raise ValueError(
            f"context_averages[{i}] must be a number of seconds above 0, got {value!r}; for "
            "none, give ()"
        )
    return float(value)


def _bands_of(stft: STFT, n_bands: int | Literal["auto"] | None) -> NDArray | None:
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
