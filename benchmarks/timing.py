"""Timing by turns, for ratios that hold on a machine that other work shares."""

import json
import statistics
import time

from threadpoolctl import threadpool_info

SPINNING = 0.2  # seconds, more than OpenBLAS's and OpenMP's threads spin


def interleaved(functions, n_threads, runs=5, seconds=0.2):
    """Return the median seconds of one call of each of a dict of functions, run by turns.

    Each function is called often enough to take `seconds` in each of the runs. With one thread
    the time is that of the process's own work, else that of the clock on the wall; then threads
    of the function before, which spin for a while after a product, are let go to sleep first.
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


def blas_in_use():
    """Return the kernels of the BLAS libraries that are loaded, for the record."""
    infos = (info for info in threadpool_info() if info["user_api"] == "blas")
    return sorted(
        {f"{i['internal_api']} {i['version']} {i.get('architecture')}" for i in infos}
    )


def summary(ratios):
    """Return the median and the least of some ratios, as text."""
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f})"


def markdown(rows, columns):
    """Return rows, dicts, as a table of some of their columns."""
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    for row in rows:
        values = (row.get(column, "") for column in columns)
        texts = (f"{v:.2f}" if isinstance(v, float) else str(v) for v in values)
        lines.append("| " + " | ".join(texts) + " |")
    return "\n".join(lines)


def write_page(path, title, script, *parts):
    """Write a page of results in Markdown: its title, the command, and what follows."""
    command = f"    python benchmarks/{script} --markdown {path}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n\n".join([f"# {title}", command, *parts]) + "\n")


def write_json(path, **content):
    """Write results with what is needed to read them."""
    with open(path, "w") as file:
        json.dump({"blas": blas_in_use(), **content}, file, indent=1)
