"""Charts of the index of results and of the first pages, drawn from ``doc/results``."""

from charting import bars, column, number, tables
from svg import Drawing

CHARTS = {}


def chart(function):
    """Register a function that returns a `Drawing` under its name."""
    CHARTS[function.__name__] = function
    return function


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
        rows = [(name, values[name], name == "skunfold") for name in names]
        bars(d, x, 18, title, rows, labels=90, width=250)
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
    names = {
        "sparse NMF": "sparse NMF (C=0), K=25",
        "deep NMF": best,
        "rectifier network": "network, 3x1024 ReLU, 40 bands, average, 16 draws",
    }
    for x, name, title, digits in (
        (0, "SI-SDR, all", "SI-SDR (dB)", 2),
        (450, "parameters", "parameters", 0),
    ):
        values = column(page, name, "row")
        rows = [(label, values[row], label == "deep NMF") for label, row in names.items()]
        bars(d, x, 18, title, rows, labels=130, width=200, digits=digits)
    return d


@chart
def results_letters():
    """Handwritten letters in words: accuracy with and without neighbours."""
    d = Drawing(880, 154)
    values = column("crf.md", "accuracy", "model")
    names = (
        ("LogisticRegression", "LogisticRegression", False),
        ("python-crfsuite", "python-crfsuite", False),
        ("skunfold, linear, untied mean field", "linear, mean field, untied", True),
        ("skunfold, 256 hidden units, BP", "256 hidden, BP", True),
    )
    rows = [(label, values[row], ours) for label, row, ours in names]
    bars(d, 0, 18, "Accuracy (%)", rows, labels=300, width=430)
    return d


@chart
def results_speed():
    """Training steps per second over those of PyTorch."""
    d = Drawing(880, 205)
    labels = {"mean field 784-256-10": "mean field", "BP 784-(64, 32)-10": "belief propagation"}
    ratios = {
        (row["model"], row["tied"], row["threads"]): number(row["ratio"])
        for row in tables("mrf_throughput.md")[0]
        if row["task"] == "training step"
    }
    rows = []
    for model, label in labels.items():
        for tied, threads in (("True", "1"), ("False", "1"), ("False", "2")):
            ratio = ratios[model, tied, threads]
            kind = "tied" if tied == "True" else "untied"
            plural = "two threads" if threads == "2" else "one thread"
            rows.append((f"{label}, {kind}, {plural}", ratio, ratio > 1))
    bars(d, 0, 18, "Training steps per second, over PyTorch", rows, labels=300, width=430)
    return d
