"""Names of files in messages: on one line, and harmless to a terminal."""

import os
import re

# Control characters, line separators, marks that nobody sees or that reverse the direction of
# writing, and the surrogates for bytes of a name that is not UTF-8.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff]"
)


def printable(name: str | os.PathLike[str]) -> str:
    r"""Return a name with what a terminal would obey escaped as in Python, ``\x1b`` say."""
    return _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], os.fspath(name))


def one_line(text: str) -> str:
    """Return a text as one line that can be printed."""
    return printable(" ".join(text.split()))
