"""A player of a recording before and after: both waveforms to one scale, one position."""

from html import escape
from pathlib import Path

import numpy as np

from skunfold.audio._recording import Recording

_N_COLUMNS = 600  # of the drawn waveforms
_BLOCK = 256  # samples whose peak is kept
_HEIGHT = 120

STYLE = """
.skunfold-player { padding: 0.75rem 1rem; }
.skunfold-player svg { width: 100%; height: 9rem; display: block; cursor: pointer; }
.skunfold-player .noisy { fill: #94a3b8; }
.skunfold-player .enhanced { fill: #0d9488; }
.skunfold-player .position { stroke: #b45309; stroke-width: 2; }
.skunfold-player[data-heard=noisy] .enhanced { opacity: 0.25; }
.skunfold-player .controls { display: flex; flex-wrap: wrap; gap: 0.5rem; margin-top: 0.5rem; }
.skunfold-player button { border: 1px solid #94a3b8; border-radius: 0.5rem; }
.skunfold-player button { padding: 0.3rem 0.9rem; }
.skunfold-player button[aria-pressed=true] { background: #0d9488; color: white; }
.skunfold-player .time { font-variant-numeric: tabular-nums; margin-left: auto; }
"""

SCRIPT = """
<script>
(() => {
  const find = (element) => {
    const player = element.closest && element.closest(".skunfold-player");
    if (!player) return null;
    const [noisy, enhanced] = player.querySelectorAll("audio");
    const heard = player.dataset.heard === "noisy" ? noisy : enhanced;
    return { player, heard, other: heard === noisy ? enhanced : noisy };
  };
  const clock = (seconds) =>
    `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
  const show = ({ player, heard }) => {
    const x = 600 * heard.currentTime / (heard.duration || 1);
    const line = player.querySelector(".position");
    line.setAttribute("x1", x);
    line.setAttribute("x2", x);
    player.querySelector(".time").textContent =
      `${clock(heard.currentTime)} / ${clock(heard.duration || 0)}`;
    player.querySelector(".play").textContent = heard.paused ? "Play" : "Pause";
  };
  document.addEventListener("click", (event) => {
    const found = find(event.target);
    if (!found) return;
    const { player, heard, other } = found;
    const button = event.target.closest("button");
    if (button && button.value && button.value !== player.dataset.heard) {
      const playing = !heard.paused;
      heard.pause();
      other.currentTime = heard.currentTime;
      player.dataset.heard = button.value;
      for (const each of player.querySelectorAll("button[value]"))
        each.setAttribute("aria-pressed", each === button);
      if (playing) other.play();
    } else if (button && !button.value) {
      heard.paused ? heard.play() : heard.pause();
    } else if (event.target.closest("svg")) {
      const box = event.target.closest("svg").getBoundingClientRect();
      heard.currentTime = heard.duration * (event.clientX - box.left) / box.width;
    }
    show(find(player));
  });
  for (const name of ["timeupdate", "play", "pause", "loadedmetadata", "seeked"])
    document.addEventListener(name, (event) => {
      const found = find(event.target);
      if (found && event.target === found.heard) show(found);
    }, true);
})();
</script>
"""


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
