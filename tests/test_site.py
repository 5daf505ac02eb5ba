"""The tools of the documentation: addresses of the repository and of versions, links."""

import importlib
import json
import sys
from pathlib import Path

import pytest

DOC = Path(__file__).parent.parent / "doc"


@pytest.fixture
def load(monkeypatch):
    """Return a function that imports a module of the documentation."""

    def load(name, folder=DOC):
        monkeypatch.syspath_prepend(folder)
        monkeypatch.delitem(sys.modules, name, raising=False)
        return importlib.import_module(name)

    return load


def test_links_to_the_repository_come_with_its_address(load):
    addresses = load("addresses", DOC / "extensions")
    assert addresses.repository_options({}) == ({}, {})
    assert addresses.repository_options({"Source": "https://example.org/a/b"}) == ({}, {})
    options, context = addresses.repository_options({"Source": "https://github.com/a/b"})
    assert options == {"github_url": "https://github.com/a/b", "use_edit_page_button": True}
    assert (context["github_user"], context["github_repo"], context["doc_path"]) == (
        "a", "b", "doc",
    )  # fmt: skip


@pytest.mark.parametrize("built", [None, "stable"])
def test_the_list_of_versions(built, load, tmp_path, monkeypatch):
    monkeypatch.delenv("READTHEDOCS_VERSION", raising=False)
    if built:
        monkeypatch.setenv("READTHEDOCS_VERSION", built)
    urls = {"Documentation": "https://docs.example/en/stable"}
    option = load("addresses", DOC / "extensions").version_switcher(urls, "1.2", tmp_path)
    versions = json.loads((tmp_path / "versions.json").read_text())
    assert option["version_match"] == (built or "latest")
    assert option["version_match"] in {version["version"] for version in versions}
    assert {version["url"] for version in versions} == {
        "https://docs.example/en/stable/",
        "https://docs.example/en/latest/",
    }


def test_broken_links_are_found(load, tmp_path):
    check_links = load("check_links")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.html").write_text(
        '<h1 id="top"></h1><a href="../b.html#here"></a><a href="#top"></a>'
        '<a href="#nowhere"></a><img src="missing.png"><a href="https://example.org/"></a>'
        '<a href="../b.html#gone"></a><a href="data:text/plain,x"></a>'
    )
    (tmp_path / "b.html").write_text('<p id="here"><a href="a/x.html"></a></p>')
    broken, outer = check_links.check(tmp_path)
    assert broken == [
        (str(Path("a", "x.html")), link)
        for link in ("#nowhere", "../b.html#gone", "missing.png")
    ]
    assert outer == ["https://example.org/"]
