"""Charts at the top of the pages of ``doc/results``, drawn from their tables."""

import math

from charting import bars, legend, number, pairs, tables, title
from svg import Drawing

PAGES = {}


def page(function):
    """Register a function that returns a `Drawing` under its name, that of the page."""
    PAGES[function.__name__] = function
    return function


@page
def crf():
    """Letters and snakes: accuracy with and without neighbours."""
    d = Drawing(880, 208)
    letters, snakes = tables("crf.md")[:2]
    for x, text, rows, names in (
        (
            0,
            "Letters: accuracy (%)",
            letters,
            {
                "LogisticRegression": "LogisticRegression",
                "python-crfsuite": "python-crfsuite",
                "linear, exact, likelihood": "linear, exact",
                "linear, BP, untied": "linear, BP, untied",
                "linear, mean field, untied": "linear, mean field, untied",
                "256 hidden, BP": "256 hidden, BP",
            },
        ),
        (
            440,
            "Snakes: accuracy (%)",
            snakes,
            {
                "64 hidden, no graph": "64 hidden, no graph",
                "tables, converged": "tables, converged",
                "tables, 10 rounds": "tables, 10 rounds",
                "tables, 10 rounds, untied": "the same, untied",
                "edge features, 3 rounds": "edge features, 3 rounds",
                "edge features, 10 rounds": "edge features, 10 rounds",
            },
        ),
    ):
        values = {row["model"]: number(row["accuracy"]) for row in rows}
        peers = ("LogisticRegression", "python-crfsuite")
        chosen = [(label, values[name], name not in peers) for name, label in names.items()]
        bars(d, x, 18, text, chosen, labels=182, width=178)
    return d


@page
def crf_entities():
    """Names in sentences: F1 and time to fit."""
    d = Drawing(880, 156)
    (rows,) = tables("crf_entities.md")
    for x, name, text in ((0, "F1", "F1 (%)"), (450, "fit (CPU s)", "CPU seconds of a fit")):
        chosen = [(r["model"], number(r[name]), r["model"] != "python-crfsuite") for r in rows]
        bars(d, x, 18, text, chosen, labels=160, width=190)
    return d


@page
def speech_tools():
    """SI-SDR of skunfold and of the best general tool by kind of noise."""
    d = Drawing(880, 425)
    rows = {row["tool"]: row for row in tables("speech_tools.md")[2]}
    title(d, 0, 16, "SI-SDR (dB) by kind of noise")
    legend(d, 250, 17, {"DTLN": "line", "skunfold": "teal"})
    kinds = [kind for kind in rows["DTLN"] if kind != "tool"]
    chosen = [(k, *(number(rows[tool][k]) for tool in ("DTLN", "skunfold"))) for k in kinds]
    pairs(d, 44, chosen, labels=150, width=640, low=-2.81)
    return d


@page
def noise_sample():
    """SI-SDR with and without a sample of the noise by kind of noise."""
    d = Drawing(880, 425)
    rows = {row["way"]: row for row in tables("noise_sample.md")[1]}
    names = ("network without a sample", "network with samples, 5 s")
    title(d, 0, 16, "SI-SDR (dB), noise not in training")
    legend(d, 290, 17, {"without a sample": "line", "with 5 s of the noise": "teal"})
    kinds = [kind for kind in rows[names[0]] if kind != "way"]
    chosen = [(kind, *(number(rows[name][kind]) for name in names)) for kind in kinds]
    pairs(d, 44, chosen, labels=150, width=660, low=-0.49)
    return d


@page
def pretrained_model():
    """SI-SDR of the model of the package and of the best general tool by condition."""
    d = Drawing(880, 215)
    found = tables("pretrained_model.md")
    names = ("DTLN", "skunfold, 5 s of the noise")
    title(d, 0, 16, "SI-SDR (dB)")
    legend(d, 250, 17, {"DTLN": "line", "skunfold, with 5 s of the noise": "teal"})
    conditions = {
        "unheard voices, unheard noise": 0,
        "unheard voices, heard noise": 3,
        "heard voices, heard noise": 4,
        "telephone": 5,
        "clean speech": 6,
    }
    chosen = []
    for condition, i in conditions.items():
        rows = {row["tool"]: row for row in found[i]}
        chosen.append((condition, *(number(rows[name]["SI-SDR"]) for name in names)))
    pairs(d, 44, chosen, labels=230, width=560)
    return d


@page
def unseen_conditions():
    """What is lost on a voice or a kind of noise that was not in training."""
    d = Drawing(880, 156)
    overall = tables("unseen_conditions.md")[1]
    for x, kind, text in (
        (0, "speech", "dB lost on an unseen voice"),
        (450, "noise", "dB lost on unseen noise"),
    ):
        rows = [row for row in overall if row["kind"] == kind]
        names = [row["model"].partition(",")[0] for row in rows]
        names = [
            row["model"].partition(", ")[2] if name == "network" else name.partition(" (")[0]
            for row, name in zip(rows, names)
        ]
        chosen = [(n, number(r["loss"]), n == "deep NMF") for n, r in zip(names, rows)]
        bars(d, x, 18, text, chosen, labels=120, width=220)
    return d


PEERS = {
    "inference": {
        "bound": "its matrix products alone",
        "plain": "PyTorch, plain",
        "tuned": "PyTorch, tuned by hand",
    },
    "training": {"bound": "its matrix products alone", "eager": "PyTorch's autograd"},
}


@page
def throughput():
    """Speed of deep NMF over others: medians, and from the least to the greatest."""
    d = Drawing(880, 330)
    found = tables("throughput.md")
    inference, training = (next(t for t in found if key in t[0]) for key in ("beta", "tied"))
    title(
        d, 0, 16, "Speed over that of others (above 1: faster), median and range of the cells"
    )
    left, width, y = 330, 490, 44
    low, high = math.log(0.15), math.log(7)

    def place(ratio):
        return left + width * (math.log(ratio) - low) / (high - low)

    for tick in (0.2, 0.5, 1, 2, 5):
        strong = {"color": "quiet"} if tick == 1 else {"dashed": True}
        d.line(place(tick), y - 12, place(tick), y + 246, width=1, **strong)
        d.words(place(tick), y + 258, f"{tick:g}", "quiet", size=12)
    for task, rows in (("inference", inference), ("training", training)):
        for peer, label in PEERS[task].items():
            for threads in ("1", "2"):
                some = sorted(number(r[peer]) for r in rows if r["threads"] == threads)
                median = (some[(len(some) - 1) // 2] + some[len(some) // 2]) / 2
                plural = "1 thread" if threads == "1" else "2 threads"
                name = f"{task}, {label}, {plural}"
                d.words(left - 12, y, name, size=12.5, anchor="end")
                d.bar(place(some[0]), y - 4, place(some[-1]) - place(some[0]), 8, "line")
                d.circle(place(median), y, 6, color="teal")
                y += 24
    return d


@page
def mrf_throughput():
    """Speed of fields over PyTorch."""
    d = Drawing(880, 260)
    (rows,) = tables("mrf_throughput.md")
    for x, task in ((0, "training step"), (450, "inference")):
        chosen = []
        for row in (row for row in rows if row["task"] == task):
            name = "mean field" if row["model"].startswith("mean field") else "BP"
            kind = "tied" if row["tied"] == "True" else "untied"
            plural = "1 thread" if row["threads"] == "1" else "2 threads"
            ratio = number(row["ratio"])
            chosen.append((f"{name}, {kind}, {plural}", ratio, ratio > 1))
        text = f"{task.capitalize()}: speed over PyTorch"
        bars(d, x, 18, text, chosen, labels=205, width=160)
    return d


@page
def mrf_classification():
    """Accuracy over MLPClassifier with standard errors, on three data sets."""
    found = tables("mrf_classification.md")
    models = [row["model"] for row in found[0][1:]]
    d = Drawing(880, 62 + 24 * len(models))
    title(d, 0, 16, "Points over MLPClassifier")
    for i, model in enumerate(models):
        d.words(285, 50 + 24 * i, model, size=12.5, anchor="end")
    for panel, (name, rows) in enumerate(zip(("digits", "breast cancer", "wine"), found)):
        left = 310 + 192 * panel
        title(d, left, 16, name)

        def place(points, left=left):
            return left + 174 * (points + 1.0) / 3.5

        bottom = 40 + 24 * len(models)
        for tick in (-1, 0, 1, 2):
            strong = {"color": "quiet"} if tick == 0 else {"dashed": True}
            d.line(place(tick), 36, place(tick), bottom, width=1, **strong)
            d.words(place(tick), bottom + 10, f"{tick:+d}" if tick else "0", "quiet", size=11)
        for i, row in enumerate(rows[1:]):
            mean, error = (100 * float(t) for t in row["accuracy, difference"].split(" ± "))
            y = 50 + 24 * i
            d.line(place(mean - error), y, place(mean + error), y, "teal", width=2)
            d.circle(place(mean), y, 4.5, color="teal" if "MLP" not in row["model"] else "")
    return d


@page
def fewer_layers():
    """SI-SDR by number of iterations or layers."""
    d = Drawing(880, 300)
    iterations, rows = tables("fewer_layers.md")
    title(d, 0, 16, "SI-SDR (dB) by number of iterations or layers")
    left, width, top, height = 60, 600, 44, 210

    def point(n, value):
        across = left + width * math.log2(n) / math.log2(200)
        return across, top + height * (6.2 - value) / 3.0

    for tick in (4, 5, 6):
        y = point(1, tick)[1]
        d.line(left - 14, y, left - 8, y, width=1)
        d.words(left - 20, y, str(tick), "quiet", size=12, anchor="end")
    for tick in (1, 2, 4, 8, 25, 50, 100, 200):
        d.words(point(tick, 3)[0], top + height + 28, str(tick), "quiet", size=12)
    curves = {
        "deep NMF, untied": ("orange", [r for r in rows if r["bases"] == "untied"], "K"),
        "deep NMF, tied": ("teal", [r for r in rows if r["bases"] == "tied"], "K"),
        "sparse NMF, not trained": ("line", iterations, "iterations"),
    }
    for name, (color, some, key) in curves.items():
        points = [point(number(row[key]), number(row["SI-SDR"])) for row in some]
        d.path("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points), color, width=2)
        for x, y in points:
            d.circle(x, y, 4, color="" if color == "line" else color)
        x, y = points[-1]
        d.words(x + 12, y, name, size=13, anchor="start")
    return d


@page
def grid_marginals():
    """Mean error of marginals of mean field and of belief propagation."""
    d = Drawing(880, 150)
    (rows,) = tables("grid_marginals.md")
    title(d, 0, 16, "Mean error of a marginal")
    legend(d, 250, 17, {"mean field": "line", "belief propagation": "teal"})
    chosen = [(r["couplings"], number(r["mean field"]), number(r["BP"])) for r in rows]
    pairs(d, 44, chosen, labels=130, width=620, digits=5)
    return d


@page
def label_graph_denoising():
    """Log-loss of models by their number of parameters."""
    d = Drawing(880, 206)
    (rows,) = tables("label_graph_denoising.md")
    names = {
        "MLPClassifier, 100 units": "MLPClassifier, 12,964 parameters",
        "MLPClassifier, 800 units": "MLPClassifier, 103,264 parameters",
        "BP, shared, up to 1": "BP, 27 parameters",
        "BP, local, up to 1": "BP, 185 parameters",
        "BP, local, up to 4.3": "BP, 1,185 parameters",
        "BP, local, all pixels": "BP, 2,089 parameters",
    }
    losses = {row["model"]: number(row["test"]) for row in rows}
    chosen = [(label, losses[n], n.startswith("BP")) for n, label in names.items()]
    bars(
        d,
        0,
        18,
        "Log-loss of a pixel: lower is better",
        chosen,
        labels=270,
        width=460,
        digits=4,
    )
    return d
