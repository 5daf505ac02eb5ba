"""The page of the documentation holds the help of every command, and no other."""

import argparse
import re
import textwrap
from pathlib import Path

import pytest

from skunfold.cli.parser import build_parser

PAGE = Path(__file__).parents[2] / "doc" / "user_guide" / "command_line.rst"


def parsers():
    parser = build_parser()
    (commands,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return {"skunfold": parser, **{f"skunfold {k}": v for k, v in commands.choices.items()}}


def words(text):
    """Return the words of a help text, the same for every version of Python."""
    text = re.sub(r"(-\w) (\w+), (--)", r"\1, \3", text)  # -o OUT, --output OUT before 3.13
    return re.sub(r"\x1b\[[0-9;]*m", "", text).split()


@pytest.mark.parametrize("command", parsers())
def test_the_page_holds_what_help_prints(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "96")  # narrower lines would break words at hyphens
    title = re.escape(f"\n{command}\n{'=' * len(command)}\n\n.. code-block:: text\n\n")
    shown = re.search(title + r"((?:   .*\n|\n)+)", PAGE.read_text())
    assert shown is not None
    assert words(textwrap.dedent(shown[1])) == words(parsers()[command].format_help())
