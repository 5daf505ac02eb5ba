"""Short-time Fourier transform: whole recordings, or streams of any block size.

Frame ``t`` covers the ``n_window`` samples that end just before sample ``(t + 1) * n_hop``;
what lies outside the recording counts as zero. So a frame is complete as soon as its last
sample has arrived, and since all frames that touch a sample exist, the canonical dual window
restores it exactly.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray
from scipy.fft import irfft, rfft
from scipy.signal import ShortTimeFFT
from scipy.signal.windows import hann

from skunfold.audio.waveforms import FloatArray, check_rate, check_waveform

ComplexArray = NDArray[np.complexfloating]


@dataclass(frozen=True)
class STFT:
    """Short-time Fourier transform with a square-root Hann window.

    The (periodic) window has unit energy, so that white noise of unit RMS has spectra of unit
    mean square in every bin, whatever the window length. The dual window is that of
    `scipy.signal.ShortTimeFFT`; ``synthesize(analyze(x), len(x))`` is ``x`` to rounding.

    Parameters
    ----------
    sample_rate : int, default=16000
        Samples a second (Hz), above 0.
    window_length : float, default=0.025
        Length of the window in seconds, at most 1; at least 2 samples.
    hop_length : float, default=0.010
        Time between frames in seconds; at least 1 sample, at most half the window.

    Attributes
    ----------
    n_window : int
        Length of the window in samples, rounded.
    n_hop : int
        Samples between frames, rounded.
    n_bins : int
        Bins of a one-sided spectrum, ``n_window // 2 + 1``.

    Raises
    ------
    ValueError
        If a length lies outside its range.

    Examples
    --------
    >>> import numpy as np
    >>> from skunfold.audio import STFT
    >>> stft = STFT()
    >>> waveform = np.sin(np.arange(16000))
    >>> spectrogram = stft.analyze(waveform)
    >>> spectrogram.shape
    (102, 201)
    >>> bool(np.allclose(stft.synthesize(spectrogram, 16000), waveform))
    True
    """

    sample_rate: int = 16000
    window_length: float = 0.025
    hop_length: float = 0.010

    def __post_init__(self) -> None:
        check_rate("sample_rate", self.sample_rate)
        for name in ("window_length", "hop_length"):
            value = getattr(self, name)
            if not (isinstance(value, int | float | np.number) and 0 < value <= 1):
                raise ValueError(
                    f"{name} must be in seconds, above 0 and at most 1 (usual are 0.025 and "
                    f"hops of 0.010), got {value!r}"
                )
        if self.n_window < 2:
            raise ValueError(
                f"window_length must be at least 2 samples, got {self.window_length!r} s: "
                f"{self.n_window} samples at {self.sample_rate} Hz"
            )
        if not 1 <= self.n_hop <= self.n_window // 2:
            raise ValueError(
                f"hop_length must be between 1 sample and half of window_length "
                f"({self.n_window} samples), got {self.hop_length!r} s: "
                f"{self.n_hop} samples at {self.sample_rate} Hz"
            )

    @property
    def n_window(self) -> int:
        """Length of the window in samples."""
        return round(self.window_length * self.sample_rate)

    @property
    def n_hop(self) -> int:
        """Samples between frames."""
        return round(self.hop_length * self.sample_rate)

    @property
    def n_bins(self) -> int:
        """Bins of a one-sided spectrum."""
        return self.n_window // 2 + 1

    @cached_property
    def windows(self) -> tuple[FloatArray, FloatArray]:
        """The analysis window and its dual, two float64 arrays of shape (n_window,)."""
        window = np.sqrt(hann(self.n_window, sym=False))
        transform = ShortTimeFFT(
            window / np.linalg.norm(window), hop=self.n_hop, fs=self.sample_rate
        )
        return transform.win, transform.dual_win

    def n_frames(self, n_samples: int) -> int:
        """Return the number of frames of a recording.

        Parameters
        ----------
        n_samples : int
            Length of the recording, at least 0.

        Returns
        -------
        int
            ``ceil((n_samples + n_window - n_hop) / n_hop)``: all frames that touch it.
        """
        return -(-(n_samples + self.n_window - self.n_hop) // self.n_hop)

    def analyze(self, waveform: ArrayLike) -> ComplexArray:
        """Return the spectrogram of a whole recording.

        Parameters
        ----------
        waveform : array-like of shape (n_samples,)
            Finite float32 or float64 samples, at least one.

        Returns
        -------
        ndarray of shape (n_frames, n_bins)
            One-sided spectra, one row a frame: complex64 for float32, else complex128.

        Raises
        ------
        ValueError
            If the waveform is empty, not 1-D, not floating point or not finite.
        """
        stream = AnalysisStream(self)
        frames = stream.process(check_waveform("waveform", waveform))
        return np.concatenate([frames, stream.flush()])

    def synthesize(self, spectrogram: ComplexArray, n_samples: int) -> FloatArray:
        """Return the waveform of a whole spectrogram.

        Parameters
        ----------
        spectrogram : ndarray of shape (n_frames, n_bins)
            One-sided complex spectra, as `analyze` gives them.
        n_samples : int
            Length of the recording, at least 0.

        Returns
        -------
        ndarray of shape (n_samples,)
            The samples: float32 for complex64, else float64. For a changed spectrogram, the
            windowed overlap-add of its frames.

        Raises
        ------
        ValueError
            If the shape of the spectrogram is not (``n_frames(n_samples)``, ``n_bins``).
        """
        expected = (self.n_frames(n_samples), self.n_bins)
        if np.shape(spectrogram) != expected:
            raise ValueError(
                f"spectrogram must have shape {expected} for n_samples={n_samples}, "
                f"got {np.shape(spectrogram)}"
            )
        return SynthesisStream(self).process(spectrogram)[:n_samples]


class AnalysisStream:
    """Spectra of a recording that arrives in blocks.

    The frames returned, put together, are those of `STFT.analyze`. Between calls it holds
    fewer than ``n_window`` samples.

    Parameters
    ----------
    stft : STFT
        The transform.

    Examples
    --------
    >>> import numpy as np
    >>> from skunfold.audio.stft import STFT, AnalysisStream
    >>> stream = AnalysisStream(STFT())
    >>> [len(stream.process(np.ones(100))) for _ in range(4)], len(stream.flush())
    ([0, 1, 0, 1], 2)
    """

    def __init__(self, stft: STFT) -> None:
        self.stft = stft
        self._restart()

    def _restart(self) -> None:
        self._pending = np.zeros(self.stft.n_window - self.stft.n_hop, dtype=np.float32)

    def process(self, block: ArrayLike) -> ComplexArray:
        """Take the next samples and return the frames that they complete.

        Parameters
        ----------
        block : array-like of shape (n_samples,)
            The next samples, finite float32 or float64, any number.

        Returns
        -------
        ndarray of shape (n_new_frames, n_bins)
            Complex spectra, perhaps none; complex64 while all blocks are float32.

        Raises
        ------
        ValueError
            If the block is not 1-D, not floating point or not finite.
        """
        samples = self._pending
        if np.size(block):
            samples = np.concatenate([samples, check_waveform("block", block)])
        n_window, n_hop = self.stft.n_window, self.stft.n_hop
        n_frames = max(0, (len(samples) - n_window) // n_hop + 1)
        self._pending = samples[n_frames * n_hop :].copy()
        if n_frames == 0:
            return np.empty((0, self.stft.n_bins), np.result_type(samples, np.complex64))
        frames = sliding_window_view(samples, n_window)[::n_hop]
        return rfft(frames * self.stft.windows[0].astype(samples.dtype), axis=1)

    def flush(self) -> ComplexArray:
        """Return the frames that reach past the end, and reset the stream.

        Returns
        -------
        ndarray of shape (n_last_frames, n_bins)
            Complex spectra.
        """
        n_frames = -(-len(self._pending) // self.stft.n_hop)
        n_missing = (n_frames - 1) * self.stft.n_hop + self.stft.n_window - len(self._pending)
        frames = self.process(np.zeros(n_missing, dtype=self._pending.dtype))
        self._restart()
        return frames


class SynthesisStream:
    """Samples of a spectrogram that arrives in blocks of frames.

    The samples returned, put together and cut to the recording's length (its last frames
    reach past its end), are those of `STFT.synthesize`. Between calls it holds less than a
    window and a hop of samples.

    Parameters
    ----------
    stft : STFT
        The transform.

    Examples
    --------
    >>> from skunfold.audio.stft import STFT, SynthesisStream
    >>> stft = STFT()
    >>> spectrogram = stft.analyze([1.0, 2.0, 3.0])
    >>> stream = SynthesisStream(stft)
    >>> [len(stream.process(frame[None])) for frame in spectrogram]
    [0, 80]
    """

    def __init__(self, stft: STFT) -> None:
        self.stft = stft
        self._n_parts = -(-stft.n_window // stft.n_hop)
        self._carry = np.zeros((self._n_parts - 1, stft.n_hop), dtype=np.float32)
        self._n_before = stft.n_window - stft.n_hop

    def process(self, frames: ComplexArray) -> FloatArray:
        """Take the next frames and return the samples that no later frame will touch.

        Parameters
        ----------
        frames : ndarray of shape (n_frames, n_bins)
            One-sided complex spectra, any number.

        Returns
        -------
        ndarray of shape (n_new_samples,)
            The samples, perhaps none; float32 while all frames are complex64.
        """
        n_frames, n_hop, n_window = len(frames), self.stft.n_hop, self.stft.n_window
        dtype = np.result_type(self._carry.dtype, frames.real.dtype)
        sums = np.zeros((n_frames + self._n_parts - 1, n_hop), dtype=dtype)
        sums[: self._n_parts - 1] = self._carry
        if n_frames:
            pieces = np.zeros((n_frames, self._n_parts * n_hop), dtype=dtype)
            pieces[:, :n_window] = irfft(frames, n=n_window, axis=1)
            pieces[:, :n_window] *= self.stft.windows[1].astype(dtype)
            pieces = pieces.reshape(n_frames, self._n_parts, n_hop)
            # The oldest frame is added first, as it is when frames come one by one.
            for part in reversed(range(self._n_parts)):
                sums[part : part + n_frames] += pieces[:, part]
        self._carry = sums[n_frames:].copy()
        samples = sums[:n_frames].ravel()
        n_skipped = min(self._n_before, len(samples))
        self._n_before -= n_skipped
        return samples[n_skipped:]
