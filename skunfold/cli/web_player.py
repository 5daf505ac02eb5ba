"""A player of a recording before and after: both waveforms to one scale, one position."""

from html import escape
from pathlib import Path

import numpy as np

from skunfold.audio._recording import Recording

_N_COLUMNS = 600  # of the drawn waveforms
_BLOCK = 256  # samples whose peak is kept
_HEIGHT = 120

STYLE = Path(__file__).with_suffix(".css").read_text(encoding="utf-8")
SCRIPT = f"<script>\n{Path(__file__).with_suffix('.js').read_text(encoding='utf-8')}</script>"


def player(noisy: Path, enhanced: Path) -> str:
    """Return the player of two recordings of one length as HTML."""
    peaks = {"noisy": peaks_of(noisy), "enhanced": peaks_of(enhanced)}
    loudest = max(1e-9, *(float(values.max(initial=0.0)) for values in peaks.values()))
    shapes = "".join(
        f'<path class="{name}" d="{_outline(values / loudest)}"/>'
        for name, values in peaks.items()
    )
    sounds = "".join(
        f'<audio preload="auto" src="gradio_api/file={escape(str(file), quote=True)}"></audio>'
        for file in (noisy, enhanced)
    )
    return (
        '<div class="skunfold-player" data-heard="enhanced">'
        f'<svg viewBox="0 0 {_N_COLUMNS} {_HEIGHT}" preserveAspectRatio="none" role="img" '
        'aria-label="Waveforms of the noisy and of the enhanced recording, to one scale">'
        f'{shapes}<line class="position" x1="0" x2="0" y1="0" y2="{_HEIGHT}"/></svg>'
        '<div class="controls"><button class="play">Play</button>'
        '<button value="noisy" aria-pressed="false">Noisy</button>'
        '<button value="enhanced" aria-pressed="true">Enhanced</button>'
        f'<span class="time">0:00</span></div>{sounds}</div>'
    )


def peaks_of(file: Path) -> np.ndarray:
    """Return the largest absolute samples of equal parts of a recording, at most 600."""
    with Recording(file) as recording:
        peaks = [float(np.abs(block).max(initial=0.0)) for block in recording.blocks(_BLOCK)]
    n_columns = min(_N_COLUMNS, len(peaks))
    starts = np.arange(n_columns) * len(peaks) // n_columns
    return np.maximum.reduceat(np.array(peaks), starts)


def _outline(peaks: np.ndarray) -> str:
    """Return a symmetric shape with these half heights, from 0 to 1, as an SVG path."""
    x = np.linspace(0, _N_COLUMNS, len(peaks))
    half = _HEIGHT / 2 * np.maximum(peaks, 0.01)
    upper = [f"{a:.1f} {_HEIGHT / 2 - b:.1f}" for a, b in zip(x, half)]
    lower = [f"{a:.1f} {_HEIGHT / 2 + b:.1f}" for a, b in zip(x, half)]
    return f"M{'L'.join([*upper, *reversed(lower)])}Z"
