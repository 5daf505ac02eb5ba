"""What charts share: the tables that they read, bars, titles."""

import re
from pathlib import Path

RESULTS = Path(__file__).parents[1] / "results"


def tables(name):
    """Return the tables of a page: lists of rows, each a dict of texts by column."""
    found, header = [], None
    for line in (RESULTS / name).read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            header = None
        elif header is None:
            header = cells
            found.append([])
        elif not re.fullmatch(r":?-+:?", cells[0]):
            found[-1].append(dict(zip(header, cells)))
    return found


def number(text):
    """Return the first number of a cell."""
    return float(re.match(r"[+-]?[\d.,]+", text)[0].replace(",", ""))


def title(d, x, y, text):
    """Write the title of a chart."""
    d.words(x, y, text, "ink", size=14, weight=600, anchor="start")


def bars(d, x, y, text, rows, *, labels=170, width=160, digits=2, unit=""):
    """Draw horizontal bars (name, value, whether ours), the longest as wide as `width`."""
    title(d, x, y, text)
    longest = max(value for _, value, _ in rows)
    for i, (name, value, ours) in enumerate(rows):
        top, size = y + 18 + 26 * i, max(1.0, width * value / longest)
        d.words(x + labels - 8, top + 9, name, "ink", size=13, anchor="end")
        d.bar(x + labels, top, size, 18, "teal" if ours else "line")
        shown, weight = f"{value:,.{digits}f}{unit}", 600 if ours else 400
        d.words(x + labels + size + 6, top + 9, shown, size=13, anchor="start", weight=weight)


def legend(d, x, y, names):
    """Name the colours of a chart; return nothing."""
    for name, color in names.items():
        d.bar(x, y - 7, 14, 14, color)
        d.words(x + 20, y, name, size=13, anchor="start")
        x += 48 + 7.2 * len(name)


def pairs(d, y, rows, *, colors=("line", "teal"), labels=130, width=560, low=0.0, digits=2):
    """Draw two thin bars a row (name, value, value), from 0 to the left or the right."""
    high = max(max(row[1:]) for row in rows)
    step = width / (high - low)
    zero = labels - low * step
    for i, (name, *values) in enumerate(rows):
        top = y + 34 * i
        d.words(labels - 46 if low < 0 else labels - 8, top + 13, name, size=13, anchor="end")
        for value, color, place in zip(values, colors, (top, top + 13)):
            size = max(1.0, abs(value) * step)
            d.bar(zero if value >= 0 else zero - size, place, size, 12, color)
            end, side = (zero + size + 5, "start") if value >= 0 else (zero - size - 5, "end")
            d.words(end, place + 6.5, f"{value:.{digits}f}", size=11.5, anchor=side)
    if low < 0:
        d.line(zero, y - 4, zero, y + 34 * len(rows) - 6, "quiet", width=1)


def column(page, name, key):
    """Return the numbers of a column of the first table that has it, by the key column."""
    rows = next(rows for rows in tables(page) if {name, key} <= rows[0].keys())
    return {row[key]: number(row[name]) for row in rows if row[name]}
