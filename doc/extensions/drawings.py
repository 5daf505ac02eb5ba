"""Directives for what pages show and play from ``_static``.

``.. drawing:: drawings/unfolding.svg`` shows ``drawings/unfolding-light.svg`` or the same with
``-dark``, by the theme of the page, with its content as the caption; ``.. thumbnail:: NAME``
shows the picture of a card.  ``.. players::`` plays the recordings of
``doc/drawings/pictures.py``.  In Markdown, a paragraph with nothing but the image
``![text](../_static/drawings/page-crf-light.svg)`` becomes a drawing; other viewers of Markdown
show that image.
"""

from pathlib import PurePosixPath

from docutils import nodes
from docutils.parsers.rst import Directive, directives
from sphinx.transforms import SphinxTransform

CREDIT = (
    "Speech and birds at 0 dB; neither recording was used in training.  Voice: Maxim Topal "
    '(ivrvoice.ru), CC-BY-3.0; birds: James "swiftoid" Swift and mpfeiffer, CC0.'
)


def in_both_themes(stem, suffix, alt):
    """Return a box with the image for each theme; outside it, the theme hides the caption."""
    box = nodes.container()
    for theme in ("light", "dark"):
        classes = [f"only-{theme}", "dark-light"]
        box += nodes.image(uri=f"{stem}-{theme}{suffix}", alt=alt, classes=classes)
    return box


class Drawing(Directive):
    """A figure with one image for each theme."""

    required_arguments = 1
    has_content = True
    option_spec = {"alt": directives.unchanged_required, "class": directives.class_option}

    def run(self):
        """Return the figure."""
        path = PurePosixPath(self.arguments[0])
        figure = nodes.figure(classes=["drawing", *self.options.get("class", [])])
        stem = f"/_static/{path.parent}/{path.stem}".replace("/./", "/")
        figure += in_both_themes(stem, path.suffix, self.options["alt"])
        if self.content:
            parsed = nodes.Element()
            self.state.nested_parse(self.content, self.content_offset, parsed)
            figure += nodes.caption("", "", *parsed[0].children)
        return [figure]


class Thumbnail(Directive):
    """A small picture for a card, one image for each theme."""

    required_arguments = 1

    def run(self):
        """Return the images."""
        stem = f"/_static/drawings/thumbnail-{self.arguments[0]}"
        box = in_both_themes(stem, ".svg", "")
        box["classes"].append("thumbnail")
        return [box]


class DrawingsOfMarkdown(SphinxTransform):
    """Replace images of the light theme in Markdown by figures with an image for each theme."""

    default_priority = 400

    def apply(self):
        """Replace them."""
        for image in list(self.document.findall(nodes.image)):
            stem, light, suffix = image["uri"].rpartition("-light.")
            if light and not image["classes"]:
                figure = nodes.figure(classes=["drawing"])
                figure += in_both_themes(stem, f".{suffix}", image["alt"])
                image.parent.replace_self(figure)  # a paragraph of its image alone


class Players(Directive):
    """A player for the noisy recording, one for the enhanced, and whom they are from."""

    def run(self):
        """Return them as HTML."""
        root = "../" * self.state.document.settings.env.docname.count("/")
        players = [
            f"<figure><figcaption>{name}</figcaption>"
            f'<audio controls preload="none" src="{root}_static/{name.lower()}.mp3">'
            "</audio></figure>"
            for name in ("Noisy", "Enhanced")
        ]
        html = f'<div class="players">{"".join(players)}</div>\n<p class="credit">{CREDIT}</p>'
        return [nodes.raw("", html, format="html")]


def setup(app):
    """Register the directives."""
    app.add_directive("drawing", Drawing)
    app.add_directive("thumbnail", Thumbnail)
    app.add_directive("players", Players)
    app.add_transform(DrawingsOfMarkdown)
    return {"parallel_read_safe": True}
