"""Names that are not UTF-8, that stdout cannot print, or that a terminal would obey."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from skunfold._text import one_line, printable
from skunfold.audio import read_audio
from skunfold.cli import main
from skunfold.datasets import load_recordings

pytestmark = pytest.mark.skipif(os.name != "posix", reason="names are not bytes there")
HOSTILE = "a\x1b[31m\nb\u202ec.wav"
SHOWN = r"a\x1b[31m\nb\u202ec.wav"


def test_printable():
    assert printable(HOSTILE) == SHOWN
    assert printable("café 名前 (1).wav") == "café 名前 (1).wav"
    assert one_line("a\n b\x07") == r"a b\x07"


@pytest.fixture
def folder(recordings, tmp_path):
    """A folder with the same recording under three names, and a model's name that is bytes."""
    root = tmp_path / "in"
    root.mkdir()
    source = recordings.speech / "speech0.wav"
    for name in (os.fsdecode(b"caf\xe9.wav"), "名前.wav", HOSTILE):
        shutil.copy(source, root / name)
    model = tmp_path / os.fsdecode(b"mod\xe8le")
    shutil.copy(recordings.model, model)
    return root, str(model)


def test_a_folder_of_odd_names(folder, tmp_path, capsys):
    root, model = folder
    output = tmp_path / os.fsdecode(b"\xe9t\xe9")
    assert main(["enhance", "-m", model, str(root), "-o", str(output), "--json"]) == 0
    said = capsys.readouterr()
    outcomes = json.loads(said.out)["recordings"]
    assert {o["input"] for o in outcomes} == {str(file) for file in root.iterdir()}
    for outcome in outcomes:
        assert len(read_audio(outcome["output"])[0]) == 8000
    assert said.out.isascii()
    assert "\x1b" not in said.err
    assert len(load_recordings(root).recordings) == 3


def test_messages_of_odd_names(folder, tmp_path, capsys):
    root, model = folder
    (root / HOSTILE).write_text("not audio")
    (root / "名前.wav").write_bytes((root / "名前.wav").read_bytes()[:-100])
    assert main(["enhance", "-m", model, str(root), "-o", str(tmp_path / "out")]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert any(f"{SHOWN} cannot be read as audio" in line for line in lines)
    assert sum(line.startswith("skunfold: ") for line in lines) == 2
    assert all(line.isprintable() for line in lines)
    (root / f"link{HOSTILE}").symlink_to(tmp_path)
    assert main(["enhance", "-m", model, str(root), "-o", str(tmp_path / "new")]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert any(f"link{SHOWN} is left out: it is a link" in line for line in lines)
    assert all(line.isprintable() for line in lines)
    (root / f"link{HOSTILE}").unlink()
    for arguments in (
        [model, str(root / "no") + HOSTILE, "-o", "x.wav"],
        [str(root / "no") + HOSTILE, str(root), "-o", str(tmp_path / "new")],
        [model, str(root), "-o", str(root / os.fsdecode(b"caf\xe9.wav"))],
    ):
        assert main(["enhance", "-m", *arguments]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("skunfold: error: ")
        assert line.isprintable()


@pytest.mark.parametrize(
    ("encoding", "source", "target"),
    [("cp1252", "名前.wav", "出.wav"), ("ascii:strict", "caf\udce9.wav", "\udce9.wav")],
)
def test_what_stdout_cannot_print(encoding, source, target, folder, tmp_path):
    root, model = folder
    command = ["enhance", "-m", model, str(root / source), "-o", str(tmp_path / target)]
    done = subprocess.run(
        [sys.executable, "-m", "skunfold", *command],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
    )
    assert (done.returncode, (tmp_path / target).exists()) == (0, True)
    assert done.stdout.startswith(b"Wrote ")
    assert done.stderr == b"[1/1] denoise\n"
