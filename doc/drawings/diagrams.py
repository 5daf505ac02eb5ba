"""Diagrams of the user guide, the logo, and the pictures of its index."""

import math

from svg import Drawing

DIAGRAMS = {}


def diagram(function):
    """Register a function that returns a `Drawing` under its name."""
    DIAGRAMS[function.__name__] = function
    return function


@diagram
def unfolding():
    """An algorithm on the left, the network of its iterations on the right."""
    d = Drawing(880, 300)
    d.words(120, 22, "the algorithm", "quiet", weight=600)
    d.words(575, 22, "the network", "quiet", weight=600)
    d.box(65, 110, 110, 56, "one iteration\n*h ← *f(x,h;θ)", "teal", size=14)
    d.path("M165 110C165 52 75 52 75 104", "teal", width=2)
    d.head(75, 110, 0, 1, "teal")
    d.words(120, 80, "repeat", "teal", size=13)
    d.arrow(120, 226, 120, 168)
    d.words(120, 242, "data *x")
    d.arrow(175, 138, 222, 138)
    d.words(236, 138, "*h")
    d.words(120, 280, "one θ, until it converges", "quiet", size=13)

    d.line(272, 40, 272, 260, "line", dashed=True)
    d.words(310, 138, "*h₀")
    left = 340
    for k in (1, 2, 3):
        x = left + (k - 1) * 128
        d.arrow(x - 18 if k == 1 else x - 28, 138, x, 138)
        d.box(x, 110, 100, 56, f"layer {k}\n*f(x,h;θ{'₁₂₃'[k - 1]})", "teal", size=14)
        d.arrow(x + 50, 212, x + 50, 168)
    d.line(left + 50, 212, left + 306, 212, "line")
    d.line(left + 178, 226, left + 178, 212, "line")
    d.words(left + 178, 242, "data *x")
    x = left + 3 * 128
    d.arrow(x - 28, 138, x, 138)
    d.box(x, 110, 76, 56, "readout\nθ₄", "blue", size=14)
    d.arrow(x + 76, 138, x + 96, 138)
    d.words(x + 112, 138, "*ŷ")
    d.path(
        f"M{x + 112} 122C{x + 112} 60 {left + 110} 60 {left + 56} 100", "orange", dashed=True
    )
    d.head(left + 50, 106, -0.7, 0.7, "orange")
    d.words(left + 260, 58, "the error of *ŷ trains all layers", "orange", size=13)
    d.words(
        575, 280, "a fixed number of iterations, each with its own θ (or all with one: tied)",
        "quiet", size=13,
    )  # fmt: skip
    return d


@diagram
def deep_nmf():
    """The layers of a deep NMF network with mask output."""
    d = Drawing(880, 330)
    d.words(58, 36, "sample *x", size=14)
    _spectrum(d, 20, 106, [0.5, 0.9, 0.35, 0.7, 0.2, 0.45, 0.1], "ink")
    d.arrow(100, 82, 136, 82)
    names = ["layer 1\nbases *W₁", "layer 2\nbases *W₂", "layer 8\nbases *W₈"]
    xs = [140, 306, 502]
    heights = [
        [0.5, 0.5, 0.5, 0.5, 0.5, 0.5],
        [0.7, 0.35, 0.6, 0.45, 0.5, 0.3],
        [0.95, 0.08, 0.75, 0.1, 0.5, 0.05],
    ]
    for i, (x, name) in enumerate(zip(xs, names)):
        d.box(x, 50, 110, 64, name, "teal", size=14)
        if i < 2:
            d.arrow(x + 110, 82, (xs[i + 1] if i == 0 else x + 150), 82)
        _spectrum(d, x + 22, 190, heights[i], "teal")
        d.line(x + 55, 114, x + 55, 136, "line", dashed=True)
    d.words(479, 82, "…", size=20)
    d.words(
        376,
        222,
        "activations: how much of each basis is in the sample, never negative",
        "quiet",
        size=13,
    )
    d.arrow(612, 82, 648, 82)
    d.box(652, 50, 96, 64, "output\nbases *U", "blue", size=14)
    d.arrow(748, 82, 784, 82)
    d.words(836, 36, "targets", size=14)
    _spectrum(d, 798, 106, [0.45, 0.05, 0.3, 0.06, 0.2, 0.04, 0.1], "orange")
    d.box(140, 250, 608, 60)
    for x, step, formula in (
        (228, "reconstruct the sample", "*v = *h *W"),
        (416, "compare it with the data", "*x / *v"),
        (640, "multiply by a ratio", "*h ← *h · (x/v) *Wᵀ / (1 *Wᵀ + μ)"),
    ):
        d.words(x, 268, step, "quiet", size=13)
        d.words(x, 291, formula, size=14)
    return d


def _spectrum(d, x, y, heights, color, *, width=9, height=50):
    """Draw bars above a line."""
    for i, value in enumerate(heights):
        d.bar(x + 11 * i, y - height * value, width, height * value, color)
    d.line(x - 3, y + 1, x + 11 * len(heights), y + 1, "line")


@diagram
def mean_field():
    """Two sweeps of mean field through a field with hidden layers, as layers of a network."""
    d = Drawing(880, 350)
    xs = [70, 250, 430]
    titles = ["data *x", "hidden units *h₁", "hidden units *h₂"]
    rows = [80, 140, 200]
    for x, title in zip(xs, titles):
        d.words(x, 40, title, "quiet", size=14)
    d.words(600, 40, "class *y", "quiet", size=14)
    for a, b in ((0, 1), (1, 2)):
        for y1 in rows:
            for y2 in rows:
                d.line(xs[a] + 18, y1, xs[b] - 18, y2, "line", width=1)
    for y1 in rows:
        d.line(448, y1, 576, 140, "line", width=1)
    for i, x in enumerate(xs):
        for y in rows:
            d.circle(x, y, 18, "", "" if i == 0 else "teal")
    d.circle(600, 140, 24, "", "orange")
    d.arrow(90, 250, 580, 250, "teal", width=2.4)
    d.words(
        335,
        268,
        "sweep 1: beliefs from below only. This is a sigmoid network.",
        "teal",
        size=14,
    )
    d.path("M600 290C560 318 300 318 250 296", "orange", width=2.4)
    d.head(243, 293, -0.88, -0.42, "orange")
    d.words(425, 330, "sweep 2: the class also influences the hidden units", "orange", size=14)
    d.words(
        640,
        140,
        "belief = probability of being on,\ngiven the neighbours' beliefs",
        "quiet",
        size=13,
        anchor="start",
    )
    return d


@diagram
def messages():
    """Messages between the rows of a sequence, an image and a graph."""
    d = Drawing(880, 300)
    d.words(150, 22, "sequence", "quiet", weight=600)
    d.words(460, 22, "image", "quiet", weight=600)
    d.words(740, 22, "graph", "quiet", weight=600)
    for i, (word, tag) in enumerate(
        zip(("Anna", "lives", "in", "Oslo"), ("PER", "O", "O", "LOC"))
    ):
        x = 40 + 74 * i
        d.words(x, 222, word, size=14)
        d.arrow(x, 206, x, 150)
        d.circle(x, 122, 24, tag, "teal", size=13)
        if i < 3:
            d.arrow(x + 25, 114, x + 50, 114, "orange")
            d.arrow(x + 50, 130, x + 25, 130, "orange")
    for row in range(3):
        for column in range(3):
            x, y = 386 + 74 * column, 66 + 68 * row
            kind = "teal" if column + row < 2 else "blue"
            d.circle(x, y, 17, "", kind)
            if column < 2:
                d.arrow(x + 19, y - 5, x + 55, y - 5, "orange", width=1.4)
                d.arrow(x + 55, y + 5, x + 19, y + 5, "orange", width=1.4)
            if row < 2:
                d.arrow(x - 5, y + 19, x - 5, y + 49, "orange", width=1.4)
                d.arrow(x + 5, y + 49, x + 5, y + 19, "orange", width=1.4)
    nodes = [(660, 80, "teal"), (740, 60, "teal"), (700, 150, "teal"), (820, 110, "blue"),
             (790, 190, "blue"), (690, 215, "blue")]  # fmt: skip
    for a, b in ((0, 1), (0, 2), (1, 2), (1, 3), (3, 4), (2, 4), (4, 5), (2, 5)):
        (x1, y1, _), (x2, y2, _) = nodes[a], nodes[b]
        length = math.hypot(x2 - x1, y2 - y1)
        dx, dy = (x2 - x1) / length, (y2 - y1) / length
        for way in (1, -1):  # there, and back beside it
            ox, oy = -5 * dy * way, 5 * dx * way
            ends = [
                (x1 + 19 * dx + ox, y1 + 19 * dy + oy),
                (x2 - 19 * dx + ox, y2 - 19 * dy + oy),
            ]
            start, end = ends[::way]
            d.arrow(*start, *end, "orange", width=1.4)
    for x, y, kind in nodes:
        d.circle(x, y, 17, "", kind)
    legend = (
        "Each row of X is a node.  One layer is one round of messages:\n"
        "each node tells its neighbours what it believes about their classes."
    )
    d.words(440, 276, legend, "quiet", size=13)
    return d


@diagram
def enhancer():
    """The steps from a noisy waveform to the enhanced one."""
    d = Drawing(880, 230)
    _wave(d, 14, 70, 84, 26, "quiet", seed=1.0)
    d.words(56, 118, "noisy", size=14)
    steps = [
        (132, "1. Spectrogram\nof short frames", ""),
        (286, "2. Features\nstacked frames", ""),
        (440, "3. Mask\ndeep NMF", "teal"),
        (594, "4. Waveform\nphase as before", ""),
    ]
    d.arrow(102, 70, 128, 70)
    for x, text, color in steps:
        d.box(x, 38, 134, 64, text, color, size=13)
        d.arrow(x + 134, 70, x + 152, 70)
    _wave(d, 752, 70, 84, 26, "teal", seed=0.0)
    d.words(794, 118, "enhanced", size=14)
    for i, (frame, kept) in enumerate(
        zip(
            [(3, 9, 5, 8), (7, 4, 9, 5), (2, 8, 4, 9)],
            [(3, 9, 5, 1), (1, 4, 9, 1), (2, 8, 1, 1)],
        )
    ):
        for j in range(4):
            d.bar(160 + 24 * i, 150 + 14 * j, 20, 11, "ink", opacity=frame[j] / 10)
            d.bar(468 + 24 * i, 150 + 14 * j, 20, 11, "teal", opacity=kept[j] / 10)
    d.words(250, 178, "how loud each\nfrequency is", "quiet", size=13, anchor="start")
    d.words(558, 178, "which part of it\nis speech, 0 to 1", "quiet", size=13, anchor="start")
    d.line(199, 106, 199, 144, "line", dashed=True)
    d.line(507, 106, 507, 144, "line", dashed=True)
    return d


def _wave(d, x, y, width, height, color, *, seed):
    """Draw bars like a waveform, rougher with a seed above 0."""
    n = 21
    for i in range(n):
        voice = abs(math.sin(0.52 * i)) * abs(math.sin(0.17 * i + 0.6))
        level = min(1.0, voice + seed * (0.28 + 0.2 * abs(math.sin(5.1 * i))))
        half = max(1.0, height * level)
        d.bar(x + i * width / n, y - half, 0.6 * width / n, 2 * half, color, radius=1)


@diagram
def chooser():
    """Which estimator to use."""
    d = Drawing(880, 590)

    def ask(x, y, text):
        d.box(x - 96, y - 28, 192, 56, text, size=14, radius=28)

    def answer(x, y, text, color="teal"):
        d.box(x - 114, y - 28, 228, 56, text, color, size=13)

    def edge(x1, y1, x2, y2):
        d.arrow(x1, y1, x2, y2, width=1.8)

    def detour(x, y1, side, y2, end):
        """Draw an arrow that leaves a question sideways and enters another box below it."""
        d.path(f"M{x} {y1}H{side}V{y2}H{end}", width=1.8)
        d.head(end, y2, 1 if end > side else -1, 0)

    ask(440, 36, "What do you predict?")
    edge(344, 36, 190, 94)
    d.words(268, 52, "non-negative amounts", "orange", size=13, anchor="end")
    edge(440, 64, 440, 124)
    d.words(452, 94, "classes", "orange", size=13, anchor="start")
    edge(536, 36, 736, 94)
    d.words(650, 54, "by your own algorithm", "orange", size=13, anchor="start")

    ask(156, 124, "Is the data sound,\nspeech in noise?")
    edge(156, 152, 156, 198)
    d.words(168, 175, "yes", "orange", size=13, anchor="start")
    answer(156, 228, "SpeechEnhancer\nwaveforms in, waveforms out")
    detour(60, 124, 18, 316, 58)
    d.words(26, 175, "no", "orange", size=13, anchor="start")
    ask(156, 316, "Are there targets\nto learn from?")
    edge(156, 344, 156, 390)
    d.words(168, 367, "yes", "orange", size=13, anchor="start")
    answer(156, 420, "DeepNMFRegressor\nconcentrations, counts, sources")
    detour(60, 316, 18, 500, 40)
    d.words(26, 367, "no", "orange", size=13, anchor="start")
    answer(156, 500, "SparseNMF\nparts of non-negative data")

    ask(440, 154, "Do rows depend on\neach other?")
    edge(440, 182, 440, 228)
    d.words(430, 205, "yes: sequence,", "orange", size=13, anchor="end")
    d.words(452, 205, "image, graph", "orange", size=13, anchor="start")
    answer(440, 258, "UnfoldedCRFClassifier\na class for each row")
    detour(536, 154, 574, 346, 538)
    d.words(582, 205, "no", "orange", size=13, anchor="start")
    ask(440, 346, "How many labels\ndoes a row have?")
    edge(430, 374, 424, 448)
    d.words(418, 412, "one", "orange", size=13, anchor="end")
    edge(500, 374, 660, 448)
    d.words(612, 400, "several that depend on each other", "orange", size=13, anchor="start")
    answer(420, 478, "UnfoldedMeanFieldClassifier\nbegins as a sigmoid network")
    answer(680, 478, "UnfoldedBPClassifier\nwith a graph of labels")

    answer(752, 124, "UnfoldedRegressor,\nUnfoldedClassifier", "blue")
    d.words(752, 176, "any iteration that you can\nwrite with its adjoint", "quiet", size=13)
    d.words(
        440, 564, "Fit the untrained model first: it is the baseline to beat.", "quiet", size=14
    )  # fmt: skip
    return d


@diagram
def logo():
    """A loop that unrolls under three layers."""
    d = Drawing(96, 96)
    d.path("M44 27.2A24 24 0 1 0 32 72H80", "orange", width=7)
    d.head(94, 72, 1, 0, "orange", size=17)
    for i, opacity in enumerate((0.5, 0.75, 1.0)):
        d.bar(43 + 15 * i, 36 - 9 * i, 10, 26 + 9 * i, "teal", radius=4, opacity=opacity)
    return d
