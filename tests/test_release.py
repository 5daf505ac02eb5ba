"""What is released: one version everywhere, one list of dependencies, the files it needs."""

import re
import tomllib
from importlib.metadata import metadata
from pathlib import Path

import pytest

from skunfold import __version__

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONDA_NAMES = {"soundfile": "pysoundfile", "matplotlib": "matplotlib-base"}


def conda_requirements():
    """Return what the recipe needs at run time, without Python itself."""
    recipe = (ROOT / "conda" / "recipe.yaml").read_text()
    run = re.search(r"  run:\n((?:    - .*\n)+)", recipe).group(1)
    return {line.strip("- ").replace(" ", "") for line in run.splitlines()[1:]}


@pytest.mark.parametrize(
    ("file", "line"),
    [("CITATION.cff", r"^version: (.+)$"), ("conda/recipe.yaml", r'^  version: "(.+)"$')],
)
def test_every_file_with_a_version_has_that_of_the_package(file, line):
    assert re.findall(line, (ROOT / file).read_text(), re.MULTILINE) == [__version__]


def test_the_distribution_takes_its_version_from_the_package():
    assert "version" in PYPROJECT["project"]["dynamic"]
    assert PYPROJECT["tool"]["setuptools"]["dynamic"]["version"] == {
        "attr": "skunfold._version.__version__"
    }
    assert metadata("skunfold")["Version"] == __version__


def test_the_conda_package_needs_what_the_command_line_needs():
    extras = PYPROJECT["project"]["optional-dependencies"]
    needed = PYPROJECT["project"]["dependencies"] + extras["plotting"] + extras["cli"]
    expected = set()
    for requirement in needed:
        name, bound = re.fullmatch(r"([\w-]+)(>=.+|\[.+)", requirement).groups()
        if name != "skunfold":
            expected.add(CONDA_NAMES.get(name, name) + bound)
    assert conda_requirements() == expected


def test_fragments_of_the_changelog_are_of_a_known_type():
    types = {entry["directory"] for entry in PYPROJECT["tool"]["towncrier"]["type"]}
    fragments = {path.name for path in (ROOT / "changelog.d").iterdir()} - {"README.md"}
    pattern = rf"(\d+|\+[\w-]+)\.({'|'.join(types)})(\.\d+)?\.md"
    assert [name for name in fragments if not re.fullmatch(pattern, name)] == []
    assert PYPROJECT["tool"]["towncrier"]["start_string"] in (ROOT / "CHANGELOG.md").read_text()
