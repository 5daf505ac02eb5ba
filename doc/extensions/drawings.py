"""Directives for what pages show and play from ``_static``.

``.. drawing:: drawings/unfolding.svg`` shows ``drawings/unfolding-light.svg`` or the same with
``-dark``, by the theme of the page, with its content as the caption; ``.. thumbnail:: NAME``
shows the picture of a card.  ``.. players::`` plays the recordings of
``doc/drawings/pictures.py``.
"""

from pathlib import PurePosixPath

from docutils import nodes
from docutils.parsers.rst import Directive, directives

CREDIT = (
    "Speech and birds at 0 dB; neither recording was used in training.  Voice: Maxim Topal "
    '(ivrvoice.ru), CC-BY-3.0; birds: James "swiftoid" Swift and mpfeiffer, CC0.'
)


class Drawing(Directive):
    """A figure with one image for each theme."""

    required_arguments = 1
    has_content = True
    option_spec = {"alt": directives.unchanged_required, "class": directives.class_option}

    def run(self):
        """Return the figure."""
        path = PurePosixPath(self.arguments[0])
        figure = nodes.figure(classes=["drawing", *self.options.get("class", [])])
        images = nodes.container()  # beside them, the theme would hide the caption
        figure += images
        for theme in ("light", "dark"):
            uri = f"/_static/{path.parent}/{path.stem}-{theme}{path.suffix}"
            images += nodes.image(
                uri=uri.replace("/./", "/"),
                alt=self.options["alt"],
                classes=[f"only-{theme}", "dark-light"],
            )
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
        name = self.arguments[0]
        box = nodes.container(classes=["thumbnail"])
        for theme in ("light", "dark"):
            uri = f"/_static/drawings/thumbnail-{name}-{theme}.svg"
            box += nodes.image(uri=uri, alt="", classes=[f"only-{theme}", "dark-light"])
        return [box]


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
    return {"parallel_read_safe": True}
