"""Pictures; matplotlib is imported when one is drawn."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["plot_spectrograms"]


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
    signals = [_checked_waveform(waveform, i) for i, waveform in enumerate(waveforms)]
    if not signals:
        raise ValueError("waveforms is empty; give at least one waveform.")
    if titles is not None and len(titles) != len(signals):
        raise ValueError(
            f"titles has {len(titles)} entries for {len(signals)} waveforms; give one for each."
        )
    if not dynamic_range > 0:
        raise ValueError(f"dynamic_range must be greater than 0 dB, got {dynamic_range!r}.")
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
    for i, (ax, level) in enumerate(zip(axes, levels)):
        image = ax.imshow(
            level - peak,
            origin="lower",
            aspect="auto",
            interpolation="nearest",
            cmap="magma",
            vmin=-dynamic_range,
            vmax=0.0,
            extent=(0.0, level.shape[1] * seconds_per_frame, 0.0, sample_rate / 2000),
        )
        ax.set_facecolor("black")
        if titles is not None:
            ax.set_title(titles[i], loc="left", fontsize="medium")
    axes[0].set_xlim(0.0, max(level.shape[1] for level in levels) * seconds_per_frame)
    axes[-1].set_xlabel("time (s)")
    figure.supylabel("frequency (kHz)", fontsize="medium")
    figure.colorbar(image, ax=list(axes), label="level (dB)", pad=0.02, fraction=0.05)
    return figure


def _checked_waveform(waveform: ArrayLike, index: int) -> np.ndarray:
    """Return the waveform as float64 array of shape (n_samples,)."""
    signal = np.asarray(waveform, dtype=np.float64)
    if signal.ndim != 1 or signal.size == 0:
        raise ValueError(
            f"waveforms[{index}] has shape {signal.shape}; give a mono waveform, (n_samples,)."
        )
    if not np.isfinite(signal).all():
        raise ValueError(f"waveforms[{index}] holds nan or infinity; remove them first.")
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
