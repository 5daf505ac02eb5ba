"""Draw diagrams and charts of the documentation: ``python doc/drawings/draw.py``.

They are kept in ``doc/_static/drawings``, each in the colours of light and of dark pages.
``tests/test_drawings.py`` fails where a file is not what this script draws.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from charts import CHARTS
from diagrams import DIAGRAMS
from page_charts import PAGES
from thumbnails import THUMBNAILS

FOLDER = Path(__file__).parents[1] / "_static" / "drawings"


def all_files():
    """Return path and content of every drawing."""
    files = {FOLDER.parent / "favicon.svg": DIAGRAMS["logo"]().text("light")}
    for name, draw in (DIAGRAMS | CHARTS).items():
        files |= draw().files(FOLDER, name)
    for name, draw in PAGES.items():
        files |= draw().files(FOLDER, f"page-{name}")
    for name, draw in THUMBNAILS.items():
        files |= draw().files(FOLDER, f"thumbnail-{name}")
    return files


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for path, content in all_files().items():
        path.write_text(content, encoding="utf-8")
        print(f"{path.name}: {len(content):,} bytes")
