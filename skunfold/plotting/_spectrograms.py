"""Spectrograms of waveforms, and of enhanced ones."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skunfold.plotting._axes import grid_of_axes


class SpectrogramDisplay:
    """Spectrograms of a noisy recording and of the enhanced one, with the mask.

    The mask is the part of the noisy magnitude that is kept at each time and frequency, between
    0 and 1; where the enhanced magnitude is larger than the noisy one, it is 1.

    Use `from_estimator` or `from_predictions` to make one.

    Parameters
    ----------
    noisy, enhanced : array-like of shape (n_bins, n_frames)
        Levels in dB.
    clean : array-like of shape (n_bins, n_frames), default=None
        The level of the clean recording, if it is known.
    sample_rate : int
        Samples per second of the waveforms.
    hop_length : float
        Seconds from frame to frame.

    Attributes
    ----------
    mask : ndarray of shape (n_bins, n_frames)
        The mask.
    axes_ : ndarray of shape (n_panels,) of matplotlib.axes.Axes
        Those of the noisy recording, the mask, the enhanced and the clean recording.
    figure_ : matplotlib.figure.Figure
        Their figure.

    See Also
    --------
    plot_spectrograms : Spectrograms of any waveforms.

    Examples
    --------
    >>> import numpy as np
    >>> from skunfold.plotting import SpectrogramDisplay
    >>> time = np.arange(8000) / 16000
    >>> low, high = np.sin(2 * np.pi * 400 * time), np.sin(2 * np.pi * 3000 * time)
    >>> display = SpectrogramDisplay.from_predictions(low + high, low, sample_rate=16000)
    >>> bool(display.mask[10, 20] > 0.9), bool(display.mask[75, 20] < 0.1)
    (True, True)
    """

    def __init__(
        self,
        noisy: ArrayLike,
        enhanced: ArrayLike,
        clean: ArrayLike | None = None,
        *,
        sample_rate: int,
        hop_length: float,
    ) -> None:
        self.noisy = np.asarray(noisy)
        self.enhanced = np.asarray(enhanced)
        self.clean = None if clean is None else np.asarray(clean)
        self.sample_rate = sample_rate
        self.hop_length = hop_length
        self.mask = 10.0 ** (np.minimum(self.enhanced - self.noisy, 0.0) / 20.0)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        noisy: ArrayLike,
        clean: ArrayLike | None = None,
        *,
        dynamic_range: float = 70.0,
        ax: Any = None,
    ) -> Self:
        """Enhance a recording and draw the result.

        Parameters
        ----------
        estimator : skunfold.audio.SpeechEnhancer
            Fitted.
        noisy : array-like of shape (n_samples,)
            A mono waveform at the enhancer's sample rate.
        clean : array-like of shape (n_samples,), default=None
            The speech in it, if it is known.
        dynamic_range : float, default=70.0
            See `plot`.
        ax : matplotlib.axes.Axes or array of them, default=None
            One to draw all panels in, or one for each panel; None makes a figure.

        Returns
        -------
        SpectrogramDisplay

        Raises
        ------
        TypeError
            If the estimator does not enhance waveforms.
        ValueError
            If a waveform is not mono, empty or not finite, or their lengths differ.
        """
        if not hasattr(estimator, "enhance"):
            raise TypeError(
                f"{type(estimator).__name__} does not enhance waveforms; give a SpeechEnhancer."
            )
        noisy = _checked_waveform(noisy, "noisy")
        return cls.from_predictions(
            noisy,
            estimator.enhance(noisy),
            clean,
            sample_rate=estimator.sample_rate,
            window_length=estimator.window_length,
            hop_length=estimator.hop_length,
            dynamic_range=dynamic_range,
            ax=ax,
        )

    @classmethod
    def from_predictions(
        cls,
        noisy: ArrayLike,
        enhanced: ArrayLike,
        clean: ArrayLike | None = None,
        *,
        sample_rate: int,
        window_length: float = 0.025,
        hop_length: float = 0.010,
        dynamic_range: float = 70.0,
        ax: Any = None,
    ) -> Self:
        """Draw waveforms that any enhancer made.

        Parameters
        ----------
        noisy, enhanced : array-like of shape (n_samples,)
            Mono waveforms.
        clean : array-like of shape (n_samples,), default=None
            The speech in it, if it is known.
        sample_rate : int
            Samples per second, greater than 0.
        window_length : float, default=0.025
            Length of the analysis window (Hann) in seconds; at least two samples.
        hop_length : float, default=0.010
            Distance of neighbouring windows in seconds; at least one sample, at most a window.
        dynamic_range : float, default=70.0
            See `plot`.
        ax : matplotlib.axes.Axes or array of them, default=None
            One to draw all panels in, or one for each panel; None makes a figure.

        Returns
        -------
        SpectrogramDisplay

        Raises
        ------
        ValueError
            If a waveform is not mono, empty or not finite, their lengths differ, or a setting
            is out of its range.
        """
        given = {"noisy": noisy, "enhanced": enhanced, "clean": clean}
        signals = [_checked_waveform(w, name) for name, w in given.items() if w is not None]
        lengths = [signal.size for signal in signals]
        if len(set(lengths)) > 1:
            raise ValueError(f"waveforms have {lengths} samples; give some of one length.")
        window, hop = _window_and_hop(sample_rate, window_length, hop_length)
        levels = [_level(signal, window, hop) for signal in signals]
        display = cls(*levels, sample_rate=sample_rate, hop_length=hop / sample_rate)
        return display.plot(ax, dynamic_range=dynamic_range)

    def plot(self, ax: Any = None, *, dynamic_range: float = 70.0) -> Self:
        """Draw the spectrograms and the mask, one below the other.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or array of them, default=None
            One to draw all panels in, or one for each panel; None makes a figure.
        dynamic_range : float, default=70.0
            The colours reach from the loudest point of all, 0 dB, down to this many dB below
            it. Greater than 0.

        Returns
        -------
        SpectrogramDisplay
            This display.
        """
        _check_dynamic_range(dynamic_range)
        shown = {"noisy": self.noisy, "mask": self.mask, "enhanced": self.enhanced}
        if self.clean is not None:
            shown["clean"] = self.clean
        peak = max(float(level.max()) for name, level in shown.items() if name != "mask")
        self.axes_ = grid_of_axes(ax, len(shown), 1, (8.0, 1.8))[:, 0]
        for panel, (name, values) in zip(self.axes_, shown.items()):
            style = {"cmap": "magma", "vmin": -dynamic_range, "vmax": 0.0}
            if name == "mask":
                style = {"cmap": "gray", "vmin": 0.0, "vmax": 1.0}
            drawn = values if name == "mask" else values - peak
            image = _draw_panel(panel, drawn, self.sample_rate, self.hop_length, style)
            label = "kept" if name == "mask" else "level (dB)"
            panel.figure.colorbar(image, ax=panel, label=label, pad=0.02, fraction=0.05)
            panel.set_title(name, loc="left", fontsize="medium")
            panel.set_ylabel("kHz")
            panel.label_outer()
        self.axes_[-1].set_xlabel("time (s)")
        self.figure_ = self.axes_[0].figure
        return self


def plot_spectrograms(
    waveforms: Sequence[ArrayLike],
    sample_rate: int,
    titles: Sequence[str] | None = None,
    *,
    window_length: float = 0.025,
    hop_length: float = 0.010,
    dynamic_range: float = 70.0,
    figure: Any = None,
) -> Any:
    """Draw the spectrograms of waveforms one below the other, on one colour scale.

    Parameters
    ----------
    waveforms : sequence of arrays of shape (n_samples_i,)
        Mono waveforms, for example the noisy, the enhanced and the clean one.
    sample_rate : int
        Samples per second, greater than 0.
    titles : sequence of str, default=None
        A title for each waveform.  None draws none.
    window_length : float, default=0.025
        Length of the analysis window (Hann) in seconds; at least two samples.
    hop_length : float, default=0.010
        Distance of neighbouring windows in seconds; at least one sample, at most a window.
    dynamic_range : float, default=70.0
        The colours reach from the loudest point of all waveforms, 0 dB, down to this many dB
        below it.  Greater than 0.
    figure : matplotlib.figure.Figure, default=None
        An empty figure to draw on.  None makes one with ``matplotlib.pyplot``.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.  ``figure.savefig("picture.png")`` writes it.

    Raises
    ------
    ValueError
        If there is no waveform, one is not a non-empty mono waveform of finite numbers, the
        number of titles differs, or a setting is out of its range.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> from skunfold.plotting import plot_spectrograms
    >>> tone = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    >>> figure = plot_spectrograms([tone, tone / 2], 16000, ["a", "a / 2"], figure=Figure())
    >>> [axes.get_title(loc="left") for axes in figure.axes[:2]]
    ['a', 'a / 2']
    """
    signals = [_checked_waveform(w, f"waveforms[{i}]") for i, w in enumerate(waveforms)]
    if not signals:
        raise ValueError("waveforms is empty; give at least one waveform.")
    if titles is not None and len(titles) != len(signals):
        raise ValueError(
            f"titles has {len(titles)} entries for {len(signals)} waveforms; give one for each."
        )
    _check_dynamic_range(dynamic_range)
    window, hop = _window_and_hop(sample_rate, window_length, hop_length)
    levels = [_level(signal, window, hop) for signal in signals]
    if figure is None:
        import matplotlib.pyplot as plt

        figure = plt.figure()
    return _draw(figure, levels, titles, sample_rate, hop / sample_rate, dynamic_range)


def _draw(
    figure: Any,
    levels: list[np.ndarray],
    titles: Sequence[str] | None,
    sample_rate: int,
    seconds_per_frame: float,
    dynamic_range: float,
) -> Any:
    """Fill the figure with levels in dB, each of shape (n_bins, n_frames)."""
    figure.set_layout_engine("constrained")
    figure.set_size_inches(8.0, 1.0 + 1.7 * len(levels))
    peak = max(float(level.max()) for level in levels)
    axes = figure.subplots(len(levels), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
    style = {"cmap": "magma", "vmin": -dynamic_range, "vmax": 0.0}
    for i, (ax, level) in enumerate(zip(axes, levels)):
        image = _draw_panel(ax, level - peak, sample_rate, seconds_per_frame, style)
        if titles is not None:
            ax.set_title(titles[i], loc="left", fontsize="medium")
    axes[0].set_xlim(0.0, max(level.shape[1] for level in levels) * seconds_per_frame)
    axes[-1].set_xlabel("time (s)")
    figure.supylabel("frequency (kHz)", fontsize="medium")
    figure.colorbar(image, ax=list(axes), label="level (dB)", pad=0.02, fraction=0.05)
    return figure


def _draw_panel(
    ax: Any, values: np.ndarray, sample_rate: int, seconds_per_frame: float, style: dict
) -> Any:
    """Draw values of shape (n_bins, n_frames) against seconds and kHz; return the image."""
    ax.set_facecolor("black")
    return ax.imshow(
        values,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=(0.0, values.shape[1] * seconds_per_frame, 0.0, sample_rate / 2000),
        **style,
    )


def _check_dynamic_range(dynamic_range: float) -> None:
    if not dynamic_range > 0:
        raise ValueError(f"dynamic_range must be greater than 0 dB, got {dynamic_range!r}.")


def _checked_waveform(waveform: ArrayLike, name: str) -> np.ndarray:
    """Return the waveform as float64 array of shape (n_samples,)."""
    signal = np.asarray(waveform, dtype=np.float64)
    if signal.ndim != 1 or signal.size == 0:
        raise ValueError(
            f"{name} has shape {signal.shape}; give a mono waveform, (n_samples,)."
        )
    if not np.isfinite(signal).all():
        raise ValueError(f"{name} holds nan or infinity; remove them first.")
    return signal


def _window_and_hop(
    sample_rate: int, window_length: float, hop_length: float
) -> tuple[int, int]:
    """Return the lengths in samples."""
    if not sample_rate > 0:
        raise ValueError(f"sample_rate must be greater than 0 Hz, got {sample_rate!r}.")
    window, hop = round(window_length * sample_rate), round(hop_length * sample_rate)
    if window < 2:
        raise ValueError(
            f"window_length must be at least two samples, {2 / sample_rate:g} s, "
            f"got {window_length!r}."
        )
    if not 1 <= hop <= window:
        raise ValueError(
            f"hop_length must lie between one sample, {1 / sample_rate:g} s, and "
            f"window_length, {window_length!r} s; got {hop_length!r}."
        )
    return window, hop


def _level(signal: np.ndarray, window: int, hop: int) -> np.ndarray:
    """Return the spectrogram in dB, shape (n_bins, n_frames), frame k around sample k * hop."""
    n_frames = 1 + (signal.size - 1) // hop
    padded = np.zeros((n_frames - 1) * hop + window)
    padded[window // 2 : window // 2 + signal.size] = signal[: padded.size - window // 2]
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(window + 1)[:-1])) ** 2
    return 10.0 * np.log10(np.maximum(power.T, np.finfo(float).tiny))
