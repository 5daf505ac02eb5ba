"""What the benchmarks share, and that all of them start."""

import functools
import importlib
import json
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
NO_SCRIPTS = {
    "crf_data",
    "crf_peers",
    "deep_nmf_cells",
    "deep_nmf_peers",
    "general_models",
    "gru_mask",
    "harness",
    "mask_network",
    "speech_conditions",
    "speech_measures",
    "speech_peers",
    "speech_protocol",
    "variety",
}
SCRIPTS = sorted(p.stem for p in (ROOT / "benchmarks").glob("*.py") if p.stem not in NO_SCRIPTS)
NEEDED = ("torch", "pystoi", "matplotlib", "jax")  # by some


@pytest.fixture
def script(monkeypatch):
    """Import a module of the benchmarks, or skip the test where that needs what is missing."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")

    def imported(name):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name not in NEEDED:
                raise
            pytest.skip(f"needs {error.name}")

    return imported


@pytest.fixture
def begin(script, monkeypatch):
    """Begin a benchmark with a setting, as if called with these arguments."""
    harness = script("harness")

    def begun(*arguments, former=None):
        monkeypatch.setattr("sys.argv", ["some.py", *map(str, arguments)])
        parser = harness.make_parser("A benchmark.", "some.json")
        parser.add_argument("--draws", type=int, default=2)
        return harness.begin(parser, ["draws"], former)

    return begun


def test_rows_are_computed_once(begin, tmp_path, capsys):
    calls = []

    def row(value):
        calls.append(value)
        return {"value": np.float32(value), "list": [1, 2]}

    rows = {"one, a": (1.0,), "two, a": (2.0,), "three, b": (3.0,)}
    out = tmp_path / "folder" / "results"
    _, results = begin("--out", out, "--only", "a$")
    results.compute(row, rows)
    assert calls == [1, 2]
    assert "two, a: value: 2.00\n" in capsys.readouterr().out
    _, results = begin("--out", f"{out}.json")
    results.compute(row, rows)
    assert calls == [1, 2, 3]
    assert [r["value"] for r in results.of(reversed(rows))] == [3, 2, 1]
    assert f"In {out}.json already: 2 rows\n" in capsys.readouterr().out
    content = json.loads(Path(f"{out}.json").read_text())
    assert [run["rows"] for run in content["runs"]] == [["one, a", "two, a"], ["three, b"]]
    assert list(out.parent.iterdir()) == [Path(f"{out}.json")]


def test_rows_of_other_settings_are_not_mixed(begin, tmp_path, capsys):
    out = tmp_path / "results.json"
    _, results = begin("--out", out, "--draws", 1)
    results.add("row", {"value": 1})
    before = out.read_text()
    with pytest.raises(SystemExit):
        begin("--out", out)
    assert f"{out}: its results are with draws=1, not 2" in capsys.readouterr().err
    assert out.read_text() == before
    for text in ("[1]", '{"row": 1}', "{"):
        out.write_text(text)
        with pytest.raises(SystemExit):
            begin("--out", out)


def test_files_of_former_scripts_have_the_default_settings(begin, tmp_path):
    out = tmp_path / "results.json"
    out.write_text('{"row": {"value": 1}}')
    _, results = begin("--out", out, former=dict)
    assert results.rows == {"row": {"value": 1}}
    assert results.machines() == "1 row computed on a machine that was not recorded."
    with pytest.raises(SystemExit):
        begin("--out", out, "--draws", 3, former=dict)
    results.add("other", {"value": 2})
    _, again = begin("--out", out)
    assert list(again.rows) == ["row", "other"]


def test_pages_name_the_machine(begin, script, tmp_path):
    harness, page = script("harness"), tmp_path / "pages" / "page.md"
    options, results = begin("--out", tmp_path / "results.json", "--markdown", page)
    results.add("row", {"name": "a", "value": 1 / 3, "none": None})
    harness.report(options, results, "Title", harness.table(results.of(["row"])))
    title, command, table, machine = page.read_text().strip().split("\n\n")
    assert title == "# Title"
    assert command.startswith("    python benchmarks/some.py --out ")
    assert table.splitlines() == [
        "| name | value | none |",
        "| --- | --- | --- |",
        "| a | 0.33 |  |",
    ]
    described = harness.describe_machine()
    assert described["processor"]
    assert any("blas" in library.lower() for library in described["libraries"])
    for part in (described["processor"], *described["simd"], *described["libraries"]):
        assert part in machine


def test_pages_keep_what_people_wrote(begin, script, tmp_path):
    harness, page = script("harness"), tmp_path / "page.md"
    options, results = begin("--out", tmp_path / "results.json", "--markdown", page)
    harness.report(options, results, "Title", "The first tables.")
    written = page.read_text()
    head, notes = "- **Best:** 1.\n\n![A chart](chart.svg)", "## Notes\n\nOne.\n\nTwo."
    title, rest = written.split("\n\n", 1)
    page.write_text(f"{title}\n\n{head}\n\n{rest}\n{notes}\n")
    harness.report(options, results, "Title", "The second tables.")
    again = written.replace("# Title\n", f"# Title\n\n{head}\n").replace("first", "second")
    assert page.read_text() == f"{again}\n{notes}\n"


def test_kept_results_can_be_continued(script):
    results, harness = ROOT / "doc" / "results", script("harness")
    mrf = script("mrf_classification")
    rows = harness.read_file(results / "mrf_classification.json", mrf.former_rows)["rows"]
    assert set(rows) == {mrf.name_of(data, name) for data in mrf.DATA for name in mrf.ROWS}
    assert mrf.BASELINE in next(table for table in mrf.tables(_Rows(rows)) if "|" in table)
    unseen = script("unseen_conditions")
    rows = harness.read_file(results / "unseen_conditions.json", dict)["rows"]
    assert {unseen.ALL}.union(*unseen.CONDITIONS.values()) == set(rows)
    rows = harness.read_file(results / "speech_enhancement.json", dict)["rows"]
    assert set(rows) - {"utterances", "noisy", "ideal ratio mask"} <= set(unseen.ROWS)


def test_the_guard_names_what_is_beyond_its_bound(script):
    guard = script("guard")
    bounds = json.loads(guard.BOUNDS.read_text())
    loops = {name: {"compiled": bound} for name, bound in bounds["loops"].items()}
    assert guard.faults(loops, bounds["cells"], bounds) == []
    loops["adam float32"] = {"compiled": 2 * bounds["loops"]["adam float32"]}
    cells = {**bounds["cells"], "inference beta=1": 0.1, "another": 1.0}
    loop, cell, missing = sorted(guard.faults(loops, cells, bounds))
    assert loop.startswith("adam float32 takes ")
    assert cell.startswith("another is measured or bounded, but not both.")
    assert missing.startswith("inference beta=1 is 0.10 of its products; at least ")


def test_the_guard_knows_every_loop(script):
    guard = script("guard")
    bounded = {name.split()[0] for name in json.loads(guard.BOUNDS.read_text())["loops"]}
    assert {name for name, *_ in guard.loops("float32")} == bounded
    assert set(guard.FUSED) <= bounded


class _Rows:
    def __init__(self, rows):
        self.rows = rows


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_have_help(script, name, monkeypatch, capsys):
    main = script(name).main
    monkeypatch.setattr("sys.argv", [f"{name}.py", "--help"])
    with pytest.raises(SystemExit, match="0"):
        main()
    assert "--out" in capsys.readouterr().out


def test_one_sample(script, tmp_path, monkeypatch):
    out = tmp_path / "results.json"
    monkeypatch.setattr("sys.argv", ["one_sample.py", "--calls", "5", "--out", str(out)])
    script("one_sample").main()
    rows = json.loads(out.read_text())["rows"].values()
    assert len(rows) == 2
    assert all(row["ms, kept"] > 0 and row["ms, prepared again"] > 0 for row in rows)


def test_adjoints(script, tmp_path, monkeypatch):
    adjoints, out = script("adjoints"), tmp_path / "results.json"
    quick = functools.partial(adjoints.interleaved, runs=1, seconds=0.01)
    monkeypatch.setattr(adjoints, "interleaved", quick)
    monkeypatch.setattr("sys.argv", ["adjoints.py", "--only", "small.*=1$", "--out", str(out)])
    adjoints.main()
    assert len(json.loads(out.read_text())["rows"]) == 2
