"""Check the links inside built documentation: ``python doc/check_links.py HTML``.

Every link and every picture, sound or script must lead to a file of the folder HTML, and to an
anchor that the page has.  ``--outer`` lists the addresses elsewhere, which are not followed.
"""

import argparse
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The links of a page, and the anchors that it has."""

    def __init__(self, file):
        super().__init__()
        self.links, self.anchors = set(), set()
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        """Note the links and anchors of an element."""
        for name, value in attrs:
            if name in ("href", "src") and value and tag != "base":
                self.links.add(value)
            elif name in ("id", "name") and value:
                self.anchors.add(value)


def check(folder):
    """Return broken links as pairs (page, link), and the addresses elsewhere."""
    files = [file for file in folder.rglob("*.html") if "_static" not in file.parts]
    pages = {file.resolve(): Page(file) for file in files}
    broken, outer = [], set()
    for file, page in pages.items():
        for link in page.links:
            address = urlsplit(link)
            if address.scheme or address.netloc:
                outer.add(link)
                continue
            target = (file.parent / unquote(address.path)).resolve() if address.path else file
            anchors = pages[target].anchors if target in pages else {address.fragment}
            if not target.exists() or unquote(address.fragment) not in {"", *anchors}:
                broken.append((str(file.relative_to(folder.resolve())), link))
    return sorted(broken), sorted(link for link in outer if not link.startswith("data:"))


def main():
    """Print what is broken; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("html", type=Path)
    parser.add_argument("--outer", action="store_true")
    options = parser.parse_args()
    broken, outer = check(options.html)
    for page, link in broken:
        print(f"{page}: {link}")
    if options.outer:
        print("\n".join(outer))
    print(f"{len(broken)} broken links inside, {len(outer)} addresses elsewhere")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
