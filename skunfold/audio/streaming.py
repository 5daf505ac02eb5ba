"""Enhancement of sound that arrives in blocks."""

from collections.abc import Sequence
from numbers import Real
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from skunfold.audio._regressor import estimated
from skunfold.audio.context import Context, ContextStream
from skunfold.audio.features import OffsetRemover, RunningLevel
from skunfold.audio.resampling import ResampledChannel
from skunfold.audio.stft import STFT, AnalysisStream, ComplexArray, SynthesisStream
from skunfold.audio.waveforms import MAX_CHANNELS, FloatArray, check_rate, check_waveform

MAX_STRENGTH = 2
_MAX_GAIN = 1e6  # that a strength is applied to; a mask has none above 1


class EnhancementStream:
    """Enhance sound while it arrives.

    Blocks of any size go in, and the samples that are final come out; as many in total as
    went in, and the same, to rounding, as those of the whole recording at once. The memory
    used depends on the size of the blocks, not on their number. A constant offset is removed:
    the mean of the samples of the last tenth of a second.

    Parameters
    ----------
    regressor : object
        Its ``predict`` turns features, the current frame last, divided by the level so far,
        into magnitudes of shape (n_frames, n_bins). Negative ones count as zero. If it has a
        method ``sequence``, the ``predict`` of what that returns is called instead, block by
        block, as of `skunfold.DeepNMFRegressor.sequence`.
    stft : STFT
        The transform that the regressor was trained with.
    n_context : int
        Number of frames stacked, the current one last.
    n_channels : int or None, default=None
        None: blocks of shape (n_samples,). A number from 1 to 64: blocks of shape
        (n_samples, n_channels), each channel enhanced by itself.
    context_bands : int, "auto" or None, default=None
        Number of `mel_bands` that the frames before the current one are gathered into, as in
        `SpeechEnhancer`. None: they stay as they are.
    context_averages : sequence of float, default=()
        Time constants of running averages in seconds, as in `SpeechEnhancer`.
    sample_rate : int or None, default=None
        Rate of the blocks in Hz, above 0. None: that of ``stft``. Sound at another rate is
        resampled, and back. What lies above half the rate of ``stft`` is not analysed: it is
        attenuated as the top fifth of the band below it is, on average over its bins.
    strength : float, default=1.0
        What the attenuation of each bin in dB is multiplied by, from 0 to 2. 1: the magnitudes
        are those that the regressor predicts; 0: they stay as they are.

    Attributes
    ----------
    latency : int
        Most samples that `process` holds back at any time: one fewer than the window has; at
        another rate also those that the resampling waits for, twenty or a few more samples of
        the lower rate.

    Raises
    ------
    ValueError
        If ``n_channels`` is not from 1 to 64, ``context_bands`` does not suit the bins, a
        time constant is not above 0, or ``strength`` is out of its range.

    See Also
    --------
    skunfold.audio.SpeechEnhancer.stream : Makes one from a fitted enhancer.

    Examples
    --------
    With a regressor that takes the current frame as it is, a waveform without an offset is
    returned unchanged, but for the offset that its first samples seem to have:

    >>> import numpy as np
    >>> from skunfold.audio import STFT, EnhancementStream
    >>> class Unchanged:
    ...     def predict(self, X):
    ...         return X[:, -201:]
    >>> stream = EnhancementStream(Unchanged(), STFT(), n_context=9)
    >>> waveform = np.sin(np.arange(8000))
    >>> parts = [stream.process(block) for block in np.split(waveform, 4)] + [stream.flush()]
    >>> [len(part) for part in parts]
    [1680, 2080, 1920, 2080, 240]
    >>> bool(np.allclose(np.concatenate(parts)[800:], waveform[800:], atol=0.01))
    True
    """

    def __init__(
        self,
        regressor: Any,
        stft: STFT,
        n_context: int,
        n_channels: int | None = None,
        *,
        context_bands: int | Literal["auto"] | None = None,
        context_averages: Sequence[float] = (),
        sample_rate: int | None = None,
        strength: float = 1.0,
    ) -> None:
        if n_channels is not None and not 1 <= n_channels <= MAX_CHANNELS:
            raise ValueError(
                f"n_channels must be at least 1 and at most {MAX_CHANNELS}, or None, got "
                f"{n_channels!r}; blocks have shape (n_samples, n_channels)"
            )
        self.regressor = regressor
        self.stft = stft
        self.n_context = n_context
        self.n_channels = n_channels
        self.context_bands = context_bands
        self.context_averages = context_averages
        self.sample_rate = sample_rate
        self.strength = check_strength(strength)
        if sample_rate is not None:
            check_rate("sample_rate", sample_rate)
        self._context = Context.of(stft, n_context, context_bands, context_averages)
        self._restart()

    @property
    def latency(self) -> int:
        """Most samples held back at any time."""
        return self._channels[0].latency

    def _restart(self) -> None:
        self._channels = [self._channel() for _ in range(self.n_channels or 1)]

    def _channel(self) -> "_Channel | ResampledChannel":
        channel = _Channel(self.regressor, self._context, self.strength)
        if self.sample_rate in (None, self.stft.sample_rate):
            return channel
        return ResampledChannel(channel, self.stft, self.sample_rate)

    def process(self, block: ArrayLike) -> FloatArray:
        """Take the next samples and return those that have become final.

        Parameters
        ----------
        block : array-like of shape (n_samples,) or (n_samples, n_channels)
            The next samples, finite float32 or float64, any number.

        Returns
        -------
        ndarray of shape (n_final_samples,) or (n_final_samples, n_channels)
            Enhanced samples, perhaps none; float32 while all blocks are float32.

        Raises
        ------
        ValueError
            If the shape does not fit ``n_channels``, or the samples are not floating point or
            not finite.
        """
        samples = np.asarray(block)
        if samples.size:
            samples = check_waveform("block", samples, n_dims=(1, 2))
        expected = () if self.n_channels is None else (self.n_channels,)
        if samples.ndim == 0 or samples.shape[1:] != expected:
            wanted = f"(n_samples, {self.n_channels or ''}".rstrip() + ")"
            raise ValueError(f"block must have shape {wanted}, got {samples.shape}")
        if self.n_channels is None:
            return self._channels[0].process(samples)
        outputs = [c.process(samples[:, i]) for i, c in enumerate(self._channels)]
        return np.stack(outputs, axis=1)

    def flush(self) -> FloatArray:
        """Return the samples held back, and reset the stream.

        Returns
        -------
        ndarray of shape (n_last_samples,) or (n_last_samples, n_channels)
            Enhanced samples, at most `latency`.
        """
        nothing = np.empty(0, dtype=np.float32)
        outputs = [channel.process(nothing, last=True) for channel in self._channels]
        self._restart()
        return outputs[0] if self.n_channels is None else np.stack(outputs, axis=1)


class _Channel:
    """One channel of a stream: offset, analysis, level, context, regressor, synthesis.

    `gains` are those of the frames that the last call has made complete: the mean over the top
    fifth of the bins of what is left of each magnitude.
    """

    def __init__(self, regressor: Any, context: Context, strength: float) -> None:
        self.predictor = regressor.sequence() if hasattr(regressor, "sequence") else regressor
        self.offset = OffsetRemover(context.stft.sample_rate)
        self.analysis = AnalysisStream(context.stft)
        self.context = ContextStream(context)
        self.level = RunningLevel()
        self.strength = strength
        self.synthesis = SynthesisStream(context.stft)
        self.latency = context.stft.n_window - 1
        self.n_held_back = 0
        self.top = slice(context.stft.n_bins * 4 // 5, None)
        self.gains: FloatArray = np.empty(0)

    def process(self, samples: FloatArray, last: bool = False) -> FloatArray:
        """Return the samples that the next ones make final; all that are left, if the last."""
        spectra = self.analysis.process(self.offset.process(samples))
        if last:
            spectra = np.concatenate([spectra, self.analysis.flush()])
        self.n_held_back += len(samples)
        output = self._enhance(spectra)[: self.n_held_back]
        self.n_held_back -= len(output)
        return output

    def _enhance(self, spectra: ComplexArray) -> FloatArray:
        """Return the samples that the next frames make final."""
        magnitudes = np.abs(spectra)
        self.gains = np.empty(0)
        if len(spectra):
            level = self.level.update(magnitudes)[:, None]
            features = self.context.process(magnitudes)
            features /= level
            estimate = estimated(self.predictor, features, spectra.shape[1]) * level
            estimate = estimate.astype(magnitudes.dtype)
            divisors = np.maximum(magnitudes, np.finfo(magnitudes.dtype).tiny)
            if self.strength != 1.0:
                gains = np.minimum(estimate / divisors, _MAX_GAIN)
                estimate = magnitudes * gains**self.strength
            spectra = spectra / divisors * estimate
            self.gains = _mean_gain(magnitudes[:, self.top], estimate[:, self.top])
        return self.synthesis.process(spectra)


def check_strength(strength: float) -> float:
    """Return the strength as a float, or raise a ValueError if it is out of its range."""
    is_number = isinstance(strength, Real) and not isinstance(strength, bool)
    if not is_number or not 0 <= strength <= MAX_STRENGTH:
        raise ValueError(
            f"strength must be a number from 0 to {MAX_STRENGTH}, got {strength!r}"
        )
    return float(strength)


def _mean_gain(magnitudes: FloatArray, estimate: FloatArray) -> FloatArray:
    """Return the mean ratio of estimate to magnitude of each frame, from 0 to 1."""
    kept = np.minimum(estimate, magnitudes)
    gains = np.divide(kept, magnitudes, out=np.ones_like(kept), where=magnitudes > 0)
    return gains.mean(axis=1)
