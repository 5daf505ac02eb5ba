"""The frames that a regressor learns from, without the offset and at the level of recordings.

The offset is the mean of the samples, an inaudible constant voltage of the sound card. A window
spreads it over the lowest bins, where speech is, so it is removed from the waveform before
analysis, in training as in enhancement, and not added again. It is estimated from the samples
so far, as a stream does not know its future.

The level is the root mean square of the magnitudes over frames and bins. With the unit-energy
window of `skunfold.audio.STFT` that is the RMS of the waveform, within a few per cent for
sounds of many frames without much energy at 0 Hz (which counts twice).

In training each mixture, with its speech and its noise, is divided by its level over the whole
recording. When a recording is enhanced its future is unknown, so each frame is divided by the
level of all frames up to it; the two agree at the last frame. A network with
``beta_loss`` Kullback-Leibler is exactly scale-equivariant: its output is the same whatever the
level. Other divergences, and other regressors, depend on it.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skunfold._running import RunningSums
from skunfold.audio.context import Context
from skunfold.audio.waveforms import FloatArray

OFFSET_SECONDS = 0.1  # time constant of its estimate: follows steps, spares voices


class OffsetRemover:
    """Subtract the running mean of a waveform that arrives in blocks.

    The mean is that of all samples up to each one, which count the less the older they are:
    ``1 / e`` times as much after `OFFSET_SECONDS`. The first sample becomes zero, and a
    constant offset is gone from the start.

    Parameters
    ----------
    sample_rate : int
        In Hz.

    Examples
    --------
    >>> import numpy as np
    >>> from skunfold.audio.features import OffsetRemover
    >>> remover = OffsetRemover(16000)
    >>> remover.process(np.array([0.25, 0.25])), remover.process(np.array([0.5, 0.25])).round(3)
    (array([0., 0.]), array([ 0.167, -0.063]))
    """

    def __init__(self, sample_rate: int) -> None:
        self._mean = RunningSums(np.exp(-1 / (OFFSET_SECONDS * sample_rate)), 1)

    def process(self, samples: FloatArray) -> FloatArray:
        """Take the next samples and return them without their offset.

        Parameters
        ----------
        samples : ndarray of shape (n_samples,)
            Floating-point samples, any number.

        Returns
        -------
        ndarray of shape (n_samples,)
            A new array of their dtype.
        """
        sums, weights = self._mean.update(samples[:, None])
        return (samples - (sums / weights)[:, 0]).astype(samples.dtype)


def without_offset(waveform: FloatArray, sample_rate: int) -> FloatArray:
    """Return a whole recording as `OffsetRemover` leaves it."""
    return OffsetRemover(sample_rate).process(waveform)


def centered(waveform: FloatArray) -> FloatArray:
    """Return a recording without its mean, which would count as energy when it is mixed.

    Digital silence stays silent: the mean is that of the other samples. The array is new; if
    the waveform is constant it is all zeros.
    """
    sounding = waveform != 0
    output = np.zeros_like(waveform)
    if waveform.min() < waveform.max():
        samples = waveform[sounding]
        output[sounding] = samples - samples.mean(dtype=np.float64)
    return output


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
    context: Context,
    max_source_frames: int,
    random_state: np.random.RandomState,
) -> tuple[NDArray, NDArray, list[NDArray], NDArray]:
    """Return the training data of a regressor: frames of recordings, each divided by its level.

    Parameters
    ----------
    noisy : list of n_recordings arrays of shape (n_samples_i,)
        Waveforms of the mixtures. Frames in which one is entirely silent are left out.
    clean : list of n_recordings arrays of shape (n_samples_i,)
        Waveforms of the speech in them.
    context : Context
        How features are made of frames.
    max_source_frames : int
        Most frames of each source returned, at least 1.
    random_state : RandomState
        Draws them, if there are more.

    Returns
    -------
    X : ndarray of shape (n_frames, n_features)
        Features of the mixtures; float32 if all waveforms are.
    y : ndarray of shape (n_frames, n_bins)
        Magnitudes of the speech.
    sources : list of 2 ndarrays of shape (n_source_frames, n_features)
        Features of the speech, and of the rest of the mixture, in the same frames.
    recording : ndarray of int of shape (n_frames,)
        Which recording each frame is from.
    """
    stft = context.stft
    n_frames = sum(stft.n_frames(len(waveform)) for waveform in noisy)
    dtype = np.result_type(*{waveform.dtype for waveform in noisy + clean})
    X = np.empty((n_frames, context.n_features), dtype=dtype)
    y = np.empty((n_frames, stft.n_bins), dtype=dtype)
    drawn = np.zeros(n_frames, dtype=bool)
    n_drawn = min(n_frames, max_source_frames)
    drawn[random_state.choice(n_frames, n_drawn, replace=False)] = True
    sources: tuple[list[NDArray], list[NDArray]] = ([], [])
    recording = np.empty(n_frames, dtype=int)
    n_kept = n_seen = 0
    for i, (mixture, speech) in enumerate(zip(noisy, clean)):
        sounding = np.asarray(stft.analyze(mixture).any(axis=1))
        mixture, speech = (without_offset(x, stft.sample_rate) for x in (mixture, speech))
        magnitudes = [np.abs(stft.analyze(x)) for x in (mixture, speech, mixture - speech)]
        level = recording_level(magnitudes[0])
        features = [context.features(m) / level for m in magnitudes]
        rows = slice(n_kept, n_kept + int(sounding.sum()))
        X[rows] = features[0][sounding]
        y[rows] = magnitudes[1][sounding] / level
        recording[rows] = i
        chosen = sounding & drawn[n_seen : n_seen + len(sounding)]
        for source, frames in zip(sources, features[1:]):
            source.append(frames[chosen])
        n_kept, n_seen = rows.stop, n_seen + len(sounding)
    drawn_sources = [np.concatenate(source) for source in sources]
    return X[:n_kept], y[:n_kept], drawn_sources, recording[:n_kept]
