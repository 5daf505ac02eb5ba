"""The drawings of the documentation are those that its scripts draw."""

import re
import sys
from pathlib import Path

import pytest

DOC = Path(__file__).parent.parent / "doc"


@pytest.fixture
def draw(monkeypatch):
    """Return the module that draws."""
    monkeypatch.syspath_prepend(DOC / "drawings")
    for name in (path.stem for path in (DOC / "drawings").glob("*.py")):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import draw

    return draw


def test_every_drawing_is_up_to_date(draw):
    files = draw.all_files()
    assert len(files) > 30
    stale = [
        path.name for path, text in files.items() if path.read_text(encoding="utf-8") != text
    ]
    assert not stale, f"run python doc/drawings/draw.py: {stale}"
    assert set(draw.FOLDER.iterdir()) <= set(files)


def test_drawings_use_only_the_colours_of_their_theme(draw):
    for path, text in draw.all_files().items():
        assert "{" not in text, path.name
        colours = set(re.findall(r"#[0-9a-f]{6}", text))
        theme = "dark" if path.stem.endswith("-dark") else "light"
        assert colours <= set(sys.modules["svg"].THEMES[theme].values())


def test_every_drawing_that_a_page_shows_exists():
    pages = [*DOC.glob("*.rst"), *DOC.glob("*/*.rst")]
    text = "\n".join(page.read_text() for page in pages)
    shown = {
        f"{name}-{theme}{suffix}"
        for name, suffix in re.findall(r"\.\. drawing:: (\S+)(\.\w+)\n", text)
        for theme in ("light", "dark")
    }
    for page in DOC.glob("results/*.md"):
        for stem in re.findall(r"\]\(\.\./_static/(.+?)-light\.svg\)", page.read_text()):
            shown |= {f"{stem}-light.svg", f"{stem}-dark.svg"}
    assert {"drawings/chooser-dark.svg", "drawings/page-crf-dark.svg"} <= shown
    assert [name for name in shown if not (DOC / "_static" / name).exists()] == []
