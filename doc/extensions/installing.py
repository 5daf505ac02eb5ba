"""Directive and role ``install``: the commands that ``skunfold._install`` returns.

``.. install:: app`` is a block with the command that installs that extra, ``.. install::`` one
without an extra; lines of content follow the command.  ``:install:`app``` is the command within
a sentence, ``:install:`-``` that without an extra.
"""

from docutils import nodes
from docutils.parsers.rst import Directive

from skunfold._install import install_command


class Install(Directive):
    """A block of shell commands that begins with the installation."""

    optional_arguments = 1
    has_content = True

    def run(self):
        """Return the block."""
        command = install_command(*self.arguments)
        text = "\n".join([command, *self.content])
        block = nodes.literal_block(text, text)
        block["language"] = "bash"
        return [block]


def install_role(name, rawtext, text, lineno, inliner, options=None, content=None):
    """Return the command as a literal."""
    command = install_command(text.strip("-"))
    return [nodes.literal(rawtext, command)], []


def setup(app):
    """Register both."""
    app.add_directive("install", Install)
    app.add_role("install", install_role)
    return {"parallel_read_safe": True}
