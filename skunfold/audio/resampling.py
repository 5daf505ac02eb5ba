"""Other sample rates for sound that arrives in blocks, and for its enhancement."""

import math
from typing import Any

import numpy as np

from skunfold.audio.io import check_resampling, polyphase
from skunfold.audio.stft import STFT
from skunfold.audio.waveforms import FloatArray

_FILTER = 10  # length to either side of the filter of `polyphase`, at the lower rate


class StreamResampler:
    """`skunfold.audio.resample` for a waveform that arrives in blocks.

    What is returned, put together, is to rounding what the whole waveform becomes.

    Parameters
    ----------
    source_rate : int
        Rate of the blocks in Hz.
    target_rate : int
        Rate wanted in Hz.

    Attributes
    ----------
    latency : int
        Most samples of the source that are held back: the filter needs those to come.

    Examples
    --------
    >>> import numpy as np
    >>> from skunfold.audio.resampling import StreamResampler
    >>> stream = StreamResampler(48000, 16000)
    >>> [len(stream.process(np.ones(48))) for _ in range(3)]
    [6, 16, 16]
    >>> len(stream.process(np.ones(0), last=True))
    10
    """

    def __init__(self, source_rate: int, target_rate: int) -> None:
        self._rates = source_rate, target_rate
        self._up, self._down = check_resampling(source_rate, target_rate)
        reach = _FILTER * max(self._up, self._down) / self._up
        # A multiple, so that each segment begins at a sample of the output
        self._margin = self._down * math.ceil(reach / self._down)
        self._buffer = np.zeros(0, dtype=np.float32)
        self._n_done = 0  # samples at the buffer's start that only the filter needs

    @property
    def latency(self) -> int:
        """Most samples of the source that are held back."""
        return 0 if self._up == self._down else self._margin + self._down - 1

    def process(self, block: FloatArray, last: bool = False) -> FloatArray:
        """Take the next samples and return those that have become final.

        Parameters
        ----------
        block : ndarray of shape (n_samples,)
            The next samples, any number.
        last : bool, default=False
            Whether no others follow.

        Returns
        -------
        ndarray of shape (n_final_samples,)
            Samples at the rate wanted, perhaps none.
        """
        if self._up == self._down:
            return block
        self._buffer = np.concatenate([self._buffer, block])
        if last:
            end = n_heard = len(self._buffer)
        else:
            end = len(self._buffer) - self._margin
            end -= end % self._down
            n_heard = end + self._margin
        if end <= self._n_done:
            return self._buffer[:0]
        start, stop = (-(-n * self._up // self._down) for n in (self._n_done, end))
        output = polyphase(self._buffer[:n_heard], *self._rates)[start:stop]
        kept = max(end - self._margin, 0)
        self._buffer, self._n_done = self._buffer[kept:], end - kept
        return output


class ResampledChannel:
    """A channel of an `EnhancementStream` for sound at another rate than its transform's.

    Parameters
    ----------
    channel : object
        Its ``process(samples, last)`` enhances samples at the rate of the transform; its
        `gains` are those of the top of the band in the frames that this has made complete.
    stft : STFT
        The transform.
    sample_rate : int
        Rate of what is processed in Hz.

    Attributes
    ----------
    latency : int
        Most samples held back at any time.
    """

    def __init__(self, channel: Any, stft: STFT, sample_rate: int) -> None:
        self._channel = channel
        self._there = StreamResampler(sample_rate, stft.sample_rate)
        self._back = StreamResampler(stft.sample_rate, sample_rate)
        self._upper = _UpperBand(stft, sample_rate) if sample_rate > stft.sample_rate else None
        self._n_held_back = 0
        inner = channel.latency + self._back.latency + 1
        self.latency = self._there.latency + -(-inner * sample_rate // stft.sample_rate)

    def process(self, samples: FloatArray, last: bool = False) -> FloatArray:
        """Return the samples that the next ones make final; all that are left, if the last."""
        low = self._there.process(samples, last)
        output = self._back.process(self._channel.process(low, last), last)
        self._n_held_back += len(samples)
        output = output[: self._n_held_back]
        self._n_held_back -= len(output)
        if self._upper is None:
            return output
        self._upper.update(samples, low, self._channel.gains, last)
        return output + self._upper.take(len(output))


class _UpperBand:
    """What resampling to a lower rate loses of a waveform, with gains that change in time.

    It is the difference between the waveform and what is left of it after resampling there and
    back. The gain of a sample lies on the line between those of the frames whose centres are
    before and after it.
    """

    def __init__(self, stft: STFT, sample_rate: int) -> None:
        self._stft = stft
        self._sample_rate = sample_rate
        self._back = StreamResampler(stft.sample_rate, sample_rate)
        self._waveform = np.zeros(0, dtype=np.float32)  # of which the lower band is to come
        self._band = np.zeros(0, dtype=np.float32)  # to be taken
        self._n_taken = 0
        self._gains = np.zeros(0)
        self._first = 0  # number of the frame of the first gain

    def update(
        self, samples: FloatArray, low: FloatArray, gains: FloatArray, last: bool
    ) -> None:
        """Take the next samples, the same at the lower rate, and gains of frames."""
        lower = self._back.process(low, last)
        waveform = np.concatenate([self._waveform, samples])
        band = waveform[: len(lower)] - lower[: len(waveform)]
        self._waveform = waveform[len(lower) :]
        self._band = np.concatenate([self._band, band])
        self._gains = np.concatenate([self._gains, gains])

    def take(self, n_samples: int) -> FloatArray:
        """Return the next samples of the band, of which all frames are known."""
        band, self._band = self._band[:n_samples], self._band[n_samples:]
        if not n_samples:
            return band
        places = self._n_taken + np.arange(n_samples)
        lower_places = places * (self._stft.sample_rate / self._sample_rate)
        frames = (lower_places + self._stft.n_window / 2) / self._stft.n_hop - 1
        numbers = self._first + np.arange(len(self._gains))
        gains = np.interp(frames, numbers, self._gains).astype(band.dtype)
        self._n_taken += n_samples
        n_passed = max(int(frames[-1]) - self._first, 0)
        self._gains, self._first = self._gains[n_passed:], self._first + n_passed
        return band * gains
