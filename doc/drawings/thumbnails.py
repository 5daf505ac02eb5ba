"""Small pictures for the cards of the user guide, 64 by 64 pixels."""

import math
from itertools import pairwise

from svg import Drawing

THUMBNAILS = {}


def thumbnail(function):
    """Register a function that draws on a `Drawing`, under its name."""

    def draw():
        drawing = Drawing(64, 64)
        function(drawing)
        return drawing

    THUMBNAILS[function.__name__] = draw
    return draw


def _network(d, columns, xs, colors, *, radius=5.5):
    """Draw columns of circles, each joined to all of the next."""
    places = [[(x, 32 + 15 * (i - (n - 1) / 2)) for i in range(n)] for x, n in zip(xs, columns)]
    for left, right in pairwise(places):
        for a in left:
            for b in right:
                d.line(*a, *b, "line", width=1)
    for column, color in zip(places, colors):
        for x, y in column:
            d.circle(x, y, radius, "", color)


@thumbnail
def which_estimator(d):
    d.box(20, 5, 24, 14, radius=7)
    for x, color in ((4, "teal"), (36, "blue")):
        d.line(32, 19, x + 12, 42, "line")
        d.box(x, 43, 24, 15, "", color, radius=4)


@thumbnail
def unfolding(d):
    d.path("M22 20A12 12 0 1 0 22 38", "orange", width=3.5)
    d.head(27, 38, 1, 0, "orange", size=9)
    for i, opacity in enumerate((0.5, 0.75, 1.0)):
        d.bar(32 + 10 * i, 16, 7, 32, "teal", radius=3, opacity=opacity)


@thumbnail
def deep_nmf(d):
    for i, heights in enumerate(((12, 12, 12), (20, 8, 14), (30, 3, 18))):
        for j, height in enumerate(heights):
            d.bar(4 + 21 * i + 5.5 * j, 50 - height, 4.5, height, "teal", radius=1)
        d.line(3 + 21 * i, 52, 20 + 21 * i, 52, "line")


@thumbnail
def mean_field(d):
    _network(d, (3, 3, 1), (9, 32, 55), ("", "teal", "orange"))


@thumbnail
def belief_propagation(d):
    d.circle(12, 32, 9, "", "teal")
    d.circle(52, 32, 9, "", "teal")
    d.arrow(20, 26, 44, 26, "orange")
    d.arrow(44, 38, 20, 38, "orange")


@thumbnail
def label_graphs(d):
    for i in range(3):
        for j in range(3):
            x, y = 12 + 20 * i, 12 + 20 * j
            if i < 2:
                d.line(x, y, x + 20, y, "line")
            if j < 2:
                d.line(x, y, x, y + 20, "line")
    for i in range(3):
        for j in range(3):
            d.circle(12 + 20 * i, 12 + 20 * j, 6, "", "teal" if i + j < 3 else "blue")


@thumbnail
def sequences(d):
    for i in range(4):
        x = 9 + 15.3 * i
        if i < 3:
            d.line(x, 24, x + 15.3, 24, "orange", width=2)
        d.line(x, 24, x, 48, "line")
        d.bar(x - 4.5, 46, 9, 7, "quiet", radius=1)
    for i, color in enumerate(("teal", "teal", "blue", "teal")):
        d.circle(9 + 15.3 * i, 24, 6, "", color)


@thumbnail
def choosing(d):
    for y, place in ((16, 42), (32, 20), (48, 32)):
        d.line(8, y, 56, y, "line", width=2.5)
        d.circle(place, y, 6, "", "teal")


@thumbnail
def training(d):
    d.path("M8 8V56H58", "line", width=2)
    d.path("M12 14C18 44 28 48 56 50", "teal", width=3)
    d.path("M12 18C20 38 32 38 56 36", "orange", width=2, dashed=True)


@thumbnail
def speech(d):
    for i in range(13):
        voice = abs(math.sin(0.62 * i)) * abs(math.sin(0.21 * i + 0.5))
        rough = 0.55 - 0.045 * i
        half = 3 + 24 * min(1.0, voice + max(0.0, rough))
        d.bar(5 + 4.2 * i, 32 - half, 2.8, 2 * half, "quiet" if i < 6 else "teal", radius=1)


@thumbnail
def noise_suppressors(d):
    for i, (width, color) in enumerate(
        ((20, "line"), (34, "line"), (42, "line"), (46, "teal"))
    ):
        d.bar(10, 10 + 12 * i, width, 8, color)
    d.line(9, 6, 9, 58, "line")


@thumbnail
def command_line(d):
    d.box(5, 11, 54, 42, radius=5)
    d.path("M13 24L21 31L13 38", "teal", width=3)
    d.line(27, 39, 42, 39, "teal", width=3)


@thumbnail
def app(d):
    d.box(5, 9, 54, 46, radius=5)
    d.line(5, 20, 59, 20, "line")
    d.path("M26 29L42 38L26 47Z", "teal", width=1.5, fill="teal")


@thumbnail
def unfold_your_own(d):
    d.words(32, 22, "*f( x , *h )", "ink", size=14)
    d.arrow(32, 33, 32, 41, "orange")
    for i in range(3):
        d.box(6 + 18 * i, 43, 15, 15, "", "teal", radius=3)
