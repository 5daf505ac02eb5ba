"""The documentation: its code runs, and every public name stands in it."""

import doctest
import importlib
import pkgutil
import re
import textwrap
import tomllib
from pathlib import Path

import numpy as np
import pytest

import skunfold
from skunfold._install import ON_PYPI, install_command
from skunfold.cli import main

ROOT = Path(__file__).parent.parent
DOC = ROOT / "doc"
PAGES = [
    page for where in ("", "api/", "user_guide/") for page in sorted(DOC.glob(f"{where}*.rst"))
]
REFERENCE = "\n".join(page.read_text() for page in sorted((DOC / "api").glob("*.rst")))


def code_blocks(page, language):
    """Return the code blocks of a page, unindented."""
    pattern = rf"\.\. code-block:: {language}\n\n((?:   .*\n|\n)+)"
    return [textwrap.dedent(block) for block in re.findall(pattern, page.read_text())]


def public_names():
    """Return the full name of everything in the `__all__` of a public module."""
    found = pkgutil.walk_packages(skunfold.__path__, "skunfold.")
    modules = ["skunfold", *(info.name for info in found if "._" not in info.name)]
    places = {}
    for module in map(importlib.import_module, modules):
        for name in getattr(module, "__all__", []):
            places.setdefault(id(getattr(module, name)), []).append(f"{module.__name__}.{name}")
    return {min(names, key=len) for names in places.values()}


def documented_names():
    """Return the full names in the tables of the API reference."""
    module, names = None, {"skunfold.__version__"}
    for line in REFERENCE.splitlines():
        if line.startswith(".. currentmodule::"):
            module = line.split()[-1]
        elif re.fullmatch(r"   \w+", line):
            names.add(f"{module}.{line.strip()}")
    return names


def test_every_public_name_stands_in_the_api_reference():
    names = public_names()
    assert "skunfold.audio.SpeechEnhancer" in names
    assert names - documented_names() == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples_of_a_page(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    assert doctest.testfile(str(page), module_relative=False, optionflags=flags).failed == 0


def test_the_tests_that_pages_name_exist():
    named = {
        name for page in PAGES for name in re.findall(r"``(tests/.+?)``", page.read_text())
    }
    assert "tests/test_common.py" in named
    assert [name for name in named if not (ROOT / name).exists()] == []


NUMBER = re.compile(r"\d+\.\d*")  # with a point: what rounding may change


def same_output(printed, promised):
    """Return whether two texts are the same but for spaces and small changes of numbers."""
    words = [
        " ".join(NUMBER.sub("#", text).split()).replace(" ]", "]")
        for text in (printed, promised)
    ]
    numbers = [[float(n) for n in NUMBER.findall(text)] for text in (printed, promised)]
    return words[0] == words[1] and np.allclose(*numbers, rtol=0.1, atol=0.02)


@pytest.mark.parametrize("page", ["index.rst", "getting_started.rst"])
def test_the_first_pages_can_be_copied_line_by_line(page, tmp_path, monkeypatch, capsys):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    page = DOC / page
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in code_blocks(page, "python"):
        exec(compile(block, str(page), "exec"), names)
    pyplot.close("all")
    promised = "\n".join(code_blocks(page, "text"))
    assert same_output(capsys.readouterr().out, promised)
    if page.stem != "getting_started":
        return
    (enhance,) = code_blocks(page, "bash")
    before = Path("enhanced.wav").read_bytes()
    assert main(enhance.split()[1:]) == 0
    assert Path("enhanced-again.wav").read_bytes() == before


README = (ROOT / "README.md").read_text()


def test_the_readme_has_the_example_of_the_first_page():
    for language in ("python", "text"):
        (block,) = code_blocks(DOC / "index.rst", language)
        assert f"```{language}\n{block.strip()}\n```" in README


def test_commands_that_install_are_those_of_the_package():
    assert install_command("cli") in README
    written = re.compile(r"pip install (?!-)\S*(skunfold|\.\[|\.$)")
    places = [page for page in PAGES if written.search(page.read_text())]
    assert [page.name for page in places] == [
        "command_line.rst"
    ]  # it quotes what --help prints
    help_text = " ".join(places[0].read_text().split())
    assert install_command("app") in help_text


def test_links_of_the_readme_lead_somewhere():
    links = re.findall(r'(?:\]\(|src="|srcset=")([^)"#]+)', README)
    local = [link for link in links if "://" not in link]
    assert "doc/install.rst" in local
    assert [link for link in local if not (ROOT / link).exists()] == []


def test_pictures_of_the_readme_are_where_its_readers_find_them():
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]
    folder = f"{urls['Documentation']}/_static/" if ON_PYPI else "doc/_static/"
    pictures = re.findall(r'(?:src|srcset)="([^"]+)"', README)
    assert len(pictures) == 4
    assert [p for p in pictures if not p.startswith(folder)] == []
    assert all((DOC / "_static" / p.removeprefix(folder)).exists() for p in pictures)
    steps = (ROOT / "CONTRIBUTING.md").read_text()
    assert f"'s|doc/_static/|{urls['Documentation']}/_static/|' README.md" in steps


FIGURE = re.compile(r"\d[\d,]*(?:\.\d+)?")


@pytest.mark.parametrize(
    ("page", "figures"),
    [
        (
            "speech_tools.md",
            ["noisy 1.50", "RNNoise 5.97", "GTCRN 7.17", "DTLN 7.63", "**7.99", "1.06 MB"],
        ),
        ("pretrained_model.md", ["noisy 1.50", "RNNoise 3.37", "DTLN 5.85", "4.60", "**5.74"]),
        ("speech_enhancement.md", ["8.58 dB", "2,880,713", "**8.64", "264,600"]),
        ("crf.md", ["LogisticRegression 78.52", "CRFsuite 86.33", "**95.60"]),
    ],
)
def test_the_figures_of_the_first_page_are_those_of_the_results(page, figures):
    results = (DOC / "results" / page).read_text()
    for text in (README, " ".join((DOC / "index.rst").read_text().split())):
        for figure in figures:
            assert figure in text
            assert re.search(rf"\| {FIGURE.search(figure)[0]}\b", results)


RESULT_PAGES = sorted((DOC / "results").glob("*.md"))


@pytest.mark.parametrize("page", RESULT_PAGES, ids=lambda page: page.stem)
def test_pages_of_results_begin_with_the_best_a_typical_and_the_worst(page):
    title, lines, rest = page.read_text().split("\n\n", 2)
    assert title.startswith("# ")
    items = re.split(r"\n(?=- )", lines)
    assert [item.split(" ")[1] for item in items] == ["**Best:**", "**Typical:**", "**Worst:**"]
    assert all(len(item.splitlines()) <= 3 for item in items)
    rest = re.sub(r"!\[.*?\]\(.*?\)", "", rest)  # what a chart shows is no source
    shown, *said = ({f.rstrip(",") for f in FIGURE.findall(text)} for text in (rest, *items))
    assert all(said)
    assert set().union(*said) - shown == set()
