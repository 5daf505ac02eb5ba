"""Drawings of boxes, arrows and words as SVG, each for light and for dark pages."""

from html import escape
from pathlib import Path

THEMES = {
    "light": {
        "ink": "#1f2937",
        "quiet": "#5b6776",
        "line": "#8996a8",
        "box": "#f1f5f9",
        "teal": "#0f766e",
        "orange": "#b45309",
        "blue": "#4338ca",
        "teal box": "#ccfbf1",
        "orange box": "#ffedd5",
        "blue box": "#e0e7ff",
    },
    "dark": {
        "ink": "#e5e9f0",
        "quiet": "#a3b0c2",
        "line": "#73839a",
        "box": "#232b38",
        "teal": "#2dd4bf",
        "orange": "#fbbf24",
        "blue": "#a5b4fc",
        "teal box": "#134e4a",
        "orange box": "#5b3a0d",
        "blue box": "#312e81",
    },
}
_FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"


class Drawing:
    """Shapes in pixels, whose colours are names of a theme."""

    def __init__(self, width, height):
        self.width = width
        self.height = height
        self._shapes = []

    def box(self, x, y, width, height, text="", color="", *, size=15, radius=8):
        """Draw a rounded box with lines of text in its middle; return its centre."""
        stroke = color or "line"
        fill = f"{color} box" if color else "box"
        self._shapes.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius:g}" '
            f'fill="{{{fill}}}" stroke="{{{stroke}}}" stroke-width="1.5"/>'
        )
        middle = x + width / 2, y + height / 2
        self.words(*middle, text, size=size)
        return middle

    def bar(self, x, y, width, height, color, *, radius=2, opacity=1.0):
        """Draw a filled rectangle."""
        faint = "" if opacity == 1 else f' opacity="{opacity:.2f}"'
        self._shapes.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'rx="{radius:g}" fill="{{{color}}}"{faint}/>'
        )

    def circle(self, x, y, radius, text="", color="", *, size=15):
        """Draw a circle with text in its middle."""
        fill = f"{color} box" if color else "box"
        self._shapes.append(
            f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" fill="{{{fill}}}" '
            f'stroke="{{{color or "line"}}}" stroke-width="1.5"/>'
        )
        self.words(x, y, text, size=size)

    def words(self, x, y, text, color="ink", *, size=15, anchor="middle", weight=400):
        """Write lines of text, centred in height; a ``*`` before a word makes it italic."""
        lines = text.split("\n") if text else []
        top = y - 0.62 * size * (len(lines) - 1) + 0.35 * size
        for i, line in enumerate(lines):
            bold = f' font-weight="{weight}"' if weight != 400 else ""
            self._shapes.append(
                f'<text x="{x:g}" y="{top + 1.24 * size * i:.1f}" font-size="{size:g}" '
                f'fill="{{{color}}}" text-anchor="{anchor}"{bold}>{_rich(line)}</text>'
            )

    def path(self, d, color="line", *, width=1.5, dashed=False, fill=""):
        """Draw a path."""
        dashes = ' stroke-dasharray="5 4"' if dashed else ""
        inside = f"{{{fill}}}" if fill else "none"
        self._shapes.append(
            f'<path d="{d}" fill="{inside}" stroke="{{{color}}}" stroke-width="{width:g}" '
            f'stroke-linecap="round" stroke-linejoin="round"{dashes}/>'
        )

    def line(self, x1, y1, x2, y2, color="line", *, width=1.5, dashed=False):
        """Draw a straight line."""
        self.path(f"M{x1:g} {y1:g}L{x2:g} {y2:g}", color, width=width, dashed=dashed)

    def arrow(self, x1, y1, x2, y2, color="line", *, width=1.8, dashed=False):
        """Draw a straight arrow."""
        length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
        dx, dy = (x2 - x1) / length, (y2 - y1) / length
        self.line(x1, y1, x2 - 5 * dx, y2 - 5 * dy, color, width=width, dashed=dashed)
        self.head(x2, y2, dx, dy, color)

    def head(self, x, y, dx, dy, color="line", *, size=8):
        """Draw the head of an arrow that ends at a point, in a direction of length one."""
        back, side = (x - size * dx, y - size * dy), 0.5 * size
        corners = [
            (x, y),
            (back[0] - side * dy, back[1] + side * dx),
            (back[0] + side * dy, back[1] - side * dx),
        ]
        d = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in corners) + "Z"
        self.path(d, color, width=1, fill=color)

    def text(self, theme):
        """Return the drawing in the colours of a theme, as SVG."""
        body = "\n".join(self._shapes)
        for name, color in THEMES[theme].items():
            body = body.replace("{" + name + "}", color)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
            f'width="{self.width}" height="{self.height}" font-family="{_FONT}">\n'
            f"{body}\n</svg>\n"
        )

    def files(self, folder, name):
        """Return path and content of the files of the drawing: one for each theme."""
        return {Path(folder) / f"{name}-{theme}.svg": self.text(theme) for theme in THEMES}


def _rich(line):
    """Return a line of text as SVG, with its italic words."""
    words = [
        f'<tspan font-style="italic">{escape(word[1:])}</tspan>'
        if word.startswith("*") and len(word) > 1
        else escape(word)
        for word in line.split(" ")
    ]
    return " ".join(words)
