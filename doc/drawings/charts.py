"""Charts of the results, drawn from the tables of ``doc/results``."""

import itertools
import re
from pathlib import Path

from svg import Drawing

RESULTS = Path(__file__).parents[1] / "results"
CHARTS = {}


def chart(function):
    """Register a function that returns a `Drawing` under its name."""
    CHARTS[function.__name__] = function
    return function


def column(page, name, key):
    """Return the numbers of a column of the first table that has it, by the key column."""
    lines = (RESULTS / page).read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    start = next(i for i, cells in enumerate(rows) if name in cells and key in cells)
    places = rows[start].index(key), rows[start].index(name)
    table = itertools.takewhile(lambda cells: len(cells) > 1, rows[start + 2 :])
    found = {cells[places[0]]: re.match(r"-?[\d.,]+", cells[places[1]]) for cells in table}
    return {row: float(n[0].replace(",", "")) for row, n in found.items() if n}


def _bars(d, x, y, title, bars, *, labels=170, width=160, digits=2, unit=""):
    """Draw horizontal bars (name, value, whether ours), the longest as wide as `width`."""
    d.words(x, y, title, "ink", size=14, weight=600, anchor="start")
    longest = max(value for _, value, _ in bars)
    for i, (name, value, ours) in enumerate(bars):
        top = y + 18 + 26 * i
        color = "teal" if ours else "line"
        d.words(x + labels - 8, top + 9, name, "ink", size=13, anchor="end")
        d.bar(x + labels, top, max(1.0, width * value / longest), 18, color)
        text = f"{value:,.{digits}f}{unit}"
        end = x + labels + max(1.0, width * value / longest) + 6
        d.words(end, top + 9, text, "ink", size=13, anchor="start", weight=600 if ours else 400)


@chart
def results_speech():
    """Noise suppressors: SI-SDR, and how much noise is heard in the background."""
    d = Drawing(880, 180)
    names = ("noisy", "RNNoise", "GTCRN", "DTLN", "skunfold")
    for x, measure, title in (
        (0, "SI-SDR", "SI-SDR (dB): skunfold is best"),
        (450, "DNSMOS BAK", "DNSMOS of the background: it is not"),
    ):
        values = column("speech_tools.md", measure, "tool")
        bars = [(name, values[name], name == "skunfold") for name in names]
        _bars(d, x, 18, title, bars, labels=90, width=250)
    return d


@chart
def results_parameters():
    """Networks and deep NMF on the same features: SI-SDR and parameters."""
    d = Drawing(880, 150)
    page = "speech_enhancement.md"
    best = (
        "deep NMF, tied, all layers, K=16, relaxed, projections, recurrent, "
        "100 bases a source, 40 bands, average, 16 draws"
    )
    rows = {
        "sparse NMF": "sparse NMF (C=0), K=25",
        "deep NMF": best,
        "rectifier network": "network, 3x1024 ReLU, 40 bands, average, 16 draws",
    }
    for x, name, title, digits in (
        (0, "SI-SDR, all", "SI-SDR (dB)", 2),
        (450, "parameters", "parameters", 0),
    ):
        values = column(page, name, "row")
        bars = [(label, values[row], label == "deep NMF") for label, row in rows.items()]
        _bars(d, x, 18, title, bars, labels=130, width=200, digits=digits)
    return d


@chart
def results_letters():
    """Handwritten letters in words: accuracy with and without neighbours."""
    d = Drawing(880, 154)
    values = column("crf.md", "accuracy", "model")
    rows = (
        ("LogisticRegression", "LogisticRegression", False),
        ("python-crfsuite", "python-crfsuite", False),
        ("skunfold, linear, untied mean field", "linear, mean field, untied", True),
        ("skunfold, 256 hidden units, BP", "256 hidden, BP", True),
    )
    bars = [(label, values[row], ours) for label, row, ours in rows]
    _bars(d, 0, 18, "Accuracy (%)", bars, labels=300, width=430)
    return d


@chart
def results_speed():
    """Training steps per second over those of PyTorch, one thread."""
    d = Drawing(880, 205)
    page = (RESULTS / "mrf_throughput.md").read_text(encoding="utf-8")
    bars = []
    for model, label in (
        ("mean field 784-256-10", "mean field"),
        ("BP 784-(64, 32)-10", "belief propagation"),
    ):
        for tied in ("True", "False"):
            for threads in (1, 2) if tied == "False" else (1,):
                row = rf"\| training step \| {re.escape(model)} \| {tied} \| {threads} \| "
                ratio = float(re.search(rf"{row}\d+ \| ([\d.]+)", page)[1])
                kind = "tied" if tied == "True" else "untied"
                plural = "two threads" if threads == 2 else "one thread"
                bars.append((f"{label}, {kind}, {plural}", ratio, ratio > 1))
    _bars(d, 0, 18, "Training steps per second, over PyTorch", bars, labels=300, width=430)
    return d
