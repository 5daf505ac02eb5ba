"""What the benchmarks share: options, results that are kept row by row, timing, pages.

A script computes rows, each under a name. They are kept in the JSON file ``--out``, beside the
machines that they were computed on::

    {"settings": {"draws": 2}, "runs": [{"machine": {...}, "rows": [NAME, ...]}], "rows": {...}}

Rows that are there are not computed again, so a script may be interrupted and restarted,
or be split by ``--only``, a regular expression that is searched for in the names of rows.
"""

import argparse
import json
import os
import platform
import re
import shlex
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import joblib
import numpy as np
from threadpoolctl import threadpool_info

SPINNING = 0.2  # seconds, more than OpenBLAS's and OpenMP's threads spin
PACKAGES = ("numpy", "scipy", "sklearn", "skunfold", "torch", "jax")


# Options and results


def make_parser(doc, out, *, data=False, tables=True):
    """Return a parser of the options that all scripts have.

    Parameters
    ----------
    doc : str
        The script's docstring.
    out : str
        Where the results are kept, unless ``--out`` says otherwise.
    data : bool, default=False
        Whether the script needs the recordings of a folder.
    tables : bool, default=True
        Whether the script computes rows and writes tables of them.
    """
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    if data:
        parser.add_argument(
            "--data", type=Path, required=True, help="folder of speech and noise"
        )
    parser.add_argument(
        "--out", type=_json_file, default=Path(out), help="JSON file of the results"
    )
    if tables:
        parser.add_argument("--markdown", type=Path, help="also write the tables to this file")
        parser.add_argument(
            "--only",
            type=re.compile,
            default=re.compile(""),
            metavar="REGEX",
            help="compute only rows in whose names this is found",
        )
    return parser


def _json_file(text):
    return Path(text if text.endswith(".json") else f"{text}.json")


def begin(parser, settings=(), former=None):
    """Return the options and the results that are there already.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Made by `make_parser`.
    settings : sequence of str
        Names of options which all rows of a file have to share.
    former : callable, default=None
        As in `read_file`. The settings of such a file are the defaults.
    """
    options = parser.parse_args()
    defaults = {name: parser.get_default(name) for name in settings}
    chosen = {name: getattr(options, name) for name in settings}
    results = Results(options.out, options.only, chosen)
    if options.out.exists():
        try:
            results.read(defaults, former)
        except ValueError as error:
            parser.error(f"{options.out}: {error}; give another --out")
    return options, results


def read_file(file, former=None):
    """Return the content of a file of results; ValueError if it is none.

    Parameters
    ----------
    file : Path
        What `Results` has written.
    former : callable, default=None
        From the content of a file that has no "runs", as the script wrote it once, to its rows.
    """
    content = json.loads(file.read_text())
    if isinstance(content, dict) and "runs" in content:
        return content
    if not isinstance(content, dict) or former is None:
        raise ValueError("these are no results of this script")
    return {"settings": {}, "runs": [], "rows": former(content)}


class Results:
    """The rows of a benchmark by name, and on which machines they were computed."""

    def __init__(self, file, only, settings):
        self.file, self.only, self.settings = file, only, settings
        self.rows, self.runs = {}, []
        self._run = {"machine": describe_machine(), "rows": []}

    def read(self, defaults, former=None):
        """Take the rows of the file; ValueError if it has other settings or no rows."""
        content = read_file(self.file, former)
        for name, value in (defaults | content["settings"]).items():
            mine = self.settings.get(name)
            if value != mine:
                raise ValueError(f"its results are with {name}={value}, not {mine}")
        self.runs, self.rows = content["runs"], content["rows"]

    def missing(self, names):
        """Return the names that are to be computed."""
        chosen = [name for name in names if self.only.search(name)]
        missing = [name for name in chosen if name not in self.rows]
        if len(missing) < len(chosen):
            print(f"In {self.file} already: {_rows(len(chosen) - len(missing))}")
        return missing

    def add(self, name, row, shown=None):
        """Keep a row, and print what is to be shown of it."""
        row = json.loads(json.dumps(row, default=np.generic.item))
        if not self._run["rows"]:
            self.runs.append(self._run)
        self._run["rows"].append(name)
        self.rows[name] = row
        content = {"settings": self.settings, "runs": self.runs, "rows": self.rows}
        self.file.parent.mkdir(parents=True, exist_ok=True)
        partial = self.file.with_suffix(".partial")
        partial.write_text(json.dumps(content))
        partial.replace(self.file)
        print(f"{name}: {_brief(row) if shown is None else shown}", flush=True)

    def compute(self, function, arguments, shown=None):
        """Compute missing rows.

        Parameters
        ----------
        function : callable
            Returns a row.
        arguments : dict
            Tuples of what the function is called with, by the names of rows.
        shown : callable, default=None
            From a row to what is printed of it. None: all of its numbers.
        """
        for name in self.missing(arguments):
            row = function(*arguments[name])
            self.add(name, row, shown and shown(row))

    def of(self, names):
        """Return the rows that are there, in the order of the names."""
        return [self.rows[name] for name in names if name in self.rows]

    def machines(self):
        """Return on which machines the rows were computed, as Markdown."""
        loads, counts = {}, {}
        for run in self.runs:
            text = machine_text(run["machine"])
            loads.setdefault(text, []).extend(run["machine"]["load"][:1])
            counts[text] = counts.get(text, 0) + len(set(run["rows"]) & set(self.rows))
        lines = [
            f"{_rows(n)} computed on {text}; load average {_range_of(loads[text])}."
            for text, n in counts.items()
        ]
        if unknown := len(self.rows) - sum(counts.values()):
            lines.append(f"{_rows(unknown)} computed on a machine that was not recorded.")
        return "\n".join(lines)


def _brief(row):
    """Return the numbers and texts of a row, without its lists."""
    if not isinstance(row, dict):
        return ""
    return "; ".join(f"{k}: {text_of(v)}" for k, v in row.items() if np.isscalar(v))


def _rows(n):
    return f"{n} row{'' if n == 1 else 's'}"


def _range_of(values):
    ends = dict.fromkeys(f"{end(values):.2f}" for end in (min, max)) if values else ["unknown"]
    return " to ".join(ends)


def kept(file, make):
    """Return the object of a joblib file, made first if there is none."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        joblib.dump(make(), file)
    return joblib.load(file)


# The machine


def describe_machine():
    """Return the processor, what NumPy and BLAS use of it, versions and the load average."""
    simd = np.show_config(mode="dicts")["SIMD Extensions"]
    return {
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "simd": [*simd.get("baseline", []), *simd.get("found", [])],
        "libraries": sorted({_library(info) for info in threadpool_info()}),
        "versions": {"python": platform.python_version()}
        | {name: sys.modules[name].__version__ for name in PACKAGES if name in sys.modules},
        "load": list(os.getloadavg()) if hasattr(os, "getloadavg") else [],
    }


def _processor():
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = re.findall(r"^model name\s*: (.+)$", cpuinfo.read_text(), re.MULTILINE)
        if names:
            return names[0]
    return platform.processor() or platform.machine()


def _library(info):
    """Return a library of threads as text, such as "openblas 0.3.30 Haswell, 2 threads"."""
    parts = (info["internal_api"], info["version"], info.get("architecture"))
    return f"{' '.join(filter(None, parts))}, {info['num_threads']} threads"


def machine_text(machine):
    """Return the description of a machine as text, without its load."""
    return "; ".join(
        [
            f"{machine['processor']}, {machine['cpus']} CPUs",
            f"NumPy with {', '.join(machine['simd'])}",
            *machine["libraries"],
            ", ".join(f"{name} {version}" for name, version in machine["versions"].items()),
        ]
    )


# Timing


def interleaved(functions, n_threads, runs=5, seconds=0.2):
    """Return the median seconds of one call of each of a dict of functions, run by turns.

    By turns, ratios hold on a machine that other work shares. Each function is called often
    enough to take `seconds` in each of the runs. With one thread the time is that of the
    process's own work, else that of the clock on the wall; then threads of the function before,
    which spin for a while after a product, are let go to sleep first.
    """
    clock = time.process_time if n_threads == 1 else time.perf_counter

    def seconds_of(function, n_calls):
        if n_threads > 1:
            time.sleep(SPINNING)
            function()
        began = clock()
        for _ in range(n_calls):
            function()
        return (clock() - began) / n_calls

    for function in functions.values():
        function()
    n_calls = {
        name: max(1, int(seconds / max(seconds_of(function, 1), 1e-9)))
        for name, function in functions.items()
    }
    times = {name: [] for name in functions}
    for _ in range(runs):
        for name, function in functions.items():
            times[name].append(seconds_of(function, n_calls[name]))
    return {name: statistics.median(values) for name, values in times.items()}


def median_seconds(function, n_calls, clock=time.perf_counter):
    """Return the median seconds of a call, after one that does not count."""
    function()
    times = []
    for _ in range(n_calls):
        began = clock()
        function()
        times.append(clock() - began)
    return statistics.median(times)


def in_a_process(function, *arguments):
    """Return what a function of a module returns, run in a new process."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


# Pages


def summary(ratios):
    """Return the median and the least of some ratios, as text."""
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f})"


def text_of(value):
    """Return a value as a cell of a table: floats with two digits, None as nothing."""
    if isinstance(value, float):
        return f"{value:.2f}"
    return "" if value is None else str(value)


def table(rows, columns=None):
    """Return rows, dicts, as a table in Markdown, of all columns of the first or of some."""
    if not rows:
        return "There are no rows yet."
    columns = list(rows[0] if columns is None else columns)
    cells = [[text_of(row.get(column)) for column in columns] for row in rows]
    lines = [columns, ["---"] * len(columns), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def report(options, results, title, *parts):
    """Print a page of results, and write it to ``--markdown``.

    It is Markdown: the title, the command, what `parts` say, and on which machines. Words that
    people wrote into the page are kept: all between the title and the command (the best, a
    typical and the worst result, a chart), and the section "Notes" at the end.
    """
    command = shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
    head, notes = written_by_people(options.markdown)
    page = [f"# {title}", head, f"    {command}", *parts, results.machines(), notes]
    page = "\n\n".join(part for part in page if part) + "\n"
    print(page)
    if options.markdown:
        options.markdown.parent.mkdir(parents=True, exist_ok=True)
        options.markdown.write_text(page)


def written_by_people(file):
    """Return what a page has between its title and its command, and its notes."""
    page = file.read_text() if file and file.exists() else ""
    head = re.match(r"# [^\n]*\n(.*?)^    python ", page, re.DOTALL | re.MULTILINE)
    notes = re.search(r"^## Notes\n.*", page, re.DOTALL | re.MULTILINE)
    return head[1].strip() if head else "", notes[0].strip() if notes else ""
