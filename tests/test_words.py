"""Documentation, docstrings and messages avoid some phrases that are hard to read."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PLAIN = {  # a pattern, with \s for a break of any kind: what to write in its place
    r"(stands?|stood)": "is",
    r"of\s(its|their|your|one's)\sown": "its own, their own, separate",
    r"(go|goes|going|went)\son": "continue",
    r"anew": "again",
    r"for\sever": "always",
    r"(comes?|coming|came)\sback": "is restored, is returned",
    r"what\s(\S+\s){1,4}makes?\sof": "the result, the output, the estimate",
    r"from\s0\sto\sbelow": "in [0, 1)",
    r"by\sheart": "overfits",
    r"as\sit\sis\sknown": "standard",
    r"supposes?": "assumes",
    r"serves": "is for",
    r"would\sdo": "what is allowed, what to give",
    r"hands?\son": "passes on, exports",
    r"(is|are)\stold": "gets, is called for",
    r"makes?\sno\ssense": "is invalid",
    r"looks?\sback\sdown": "influences",
    r"\w+,\stoo(?!\s)": "also, as well",
}
BREAK = r"""[\s#"']+"""  # also in comments and strings of several lines


def plain_texts():
    """Return the files that users and contributors read."""
    pages = [
        *ROOT.glob("*.md"),
        *ROOT.glob("doc/*.rst"),
        *ROOT.glob("doc/*/*.rst"),
        *ROOT.glob("doc/results/*.md"),
        *ROOT.glob("doc/**/*.py"),
        *ROOT.glob("benchmarks/*.py"),
        *ROOT.glob("changelog.d/*.md"),
        *ROOT.glob("examples/*.py"),
        *ROOT.glob("skunfold/**/*.py"),
    ]
    made = {"auto_examples", "generated", "_build"}
    return [p for p in pages if p.name != "CHANGELOG.md" and not made & set(p.parts)]


def found(text):
    """Return (line, phrase, what to write) of each phrase that is not plain."""
    return [
        (text.count("\n", 0, match.start()) + 1, match[0], better)
        for pattern, better in PLAIN.items()
        for match in re.finditer(
            r"(?<!\w)" + pattern.replace(r"\s", BREAK) + r"(?!\w)", text, re.IGNORECASE
        )
    ]


def test_the_english_is_plain():
    texts = plain_texts()
    assert len(texts) > 150
    faults = [
        f"{path.relative_to(ROOT)}:{line}: {phrase!r}; write: {better}"
        for path in texts
        for line, phrase, better in found(path.read_text(encoding="utf-8"))
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    "text",
    [
        "Where it stands.",
        "layers with bases of\n    # their own",
        '"what the layers "\n"make of it"',
        "It does so, too.",
    ],
)
def test_a_phrase_is_found_also_across_lines(text):
    assert len(found(text)) == 1


@pytest.mark.parametrize(
    "text", ["understands", "a standard", "too many, too large", "Go only"]
)
def test_other_words_are_left_alone(text):
    assert found(text) == []
