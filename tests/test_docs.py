"""The documentation: its code runs, and every public name stands in it."""

import doctest
import importlib
import pkgutil
import re
import textwrap
from pathlib import Path

import pytest

import skunfold
from skunfold.cli import main

ROOT = Path(__file__).parent.parent
DOC = ROOT / "doc"
PAGES = sorted(DOC.glob("*.rst")) + sorted(DOC.glob("user_guide/*.rst"))


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
    for line in (DOC / "api.rst").read_text().splitlines():
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
def test_examples_of_a_page(page):
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    assert doctest.testfile(str(page), module_relative=False, optionflags=flags).failed == 0


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory):
    """Run the Python blocks of the first page, in order, in an empty folder; return it."""
    folder = tmp_path_factory.mktemp("getting_started")
    page = DOC / "getting_started.rst"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        names = {}
        for block in code_blocks(page, "python"):
            exec(compile(block, str(page), "exec"), names)
    return folder, names


def test_the_first_page_works(newcomer):
    folder, names = newcomer
    assert names["errors"][-1] < names["errors"][0]
    assert {path.name for path in folder.iterdir()} == {
        "noisy.wav",
        "enhanced.wav",
        "speech.model",
    }


def test_its_commands(newcomer, monkeypatch):
    folder, _ = newcomer
    monkeypatch.chdir(folder)
    install, enhance = code_blocks(DOC / "getting_started.rst", "bash")
    # What installs and runs the demo is tested where the README's commands are.
    assert f"```bash\n{install.strip()}\n```" in (ROOT / "README.md").read_text()
    assert main(enhance.split()[1:]) == 0
