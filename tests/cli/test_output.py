"""Stdout gets everything, or the exit code is 1 and a sentence names it."""

import contextlib
import io
import os
import subprocess
import sys

import pytest

from skunfold.cli import main, output

pytestmark = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
CODE = "import sys; from skunfold.cli import main; sys.exit(main(sys.argv[1:]))"
FULL = "skunfold: error: stdout cannot be written to: No space left on device."
SMALL = ["--layers", "2", "--components", "3", "--context", "2", "--epochs", "1"]


def start(arguments, *, unbuffered=False, redirect=""):
    """Run a command in a process with streams that the shell redirects; return the process."""
    environment = os.environ | {"PYTHONUNBUFFERED": "1" if unbuffered else ""}
    shell = ["sh", "-c", f'exec "$@" {redirect}', "sh", sys.executable, "-c", CODE]
    command = [*shell, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, check=False)


@pytest.fixture
def run(monkeypatch):
    """Run a command with a file as stdout, and perhaps bytes as stdin; return its exit code."""

    def run(arguments, file, *, unbuffered, stdin=b""):
        raw = open(file, "wb", buffering=0 if unbuffered else -1)  # noqa: SIM115
        stdout = io.TextIOWrapper(raw, encoding="utf-8", write_through=unbuffered)
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
            patch.setattr(sys, "stdout", stdout)
            try:
                return main(list(map(str, arguments)))
            finally:
                stdout.close()  # without an error: what does not fit was dropped

    return run


@pytest.mark.parametrize("unbuffered", [False, True])
def test_a_recording_that_does_not_fit(unbuffered, run, recordings, tmp_path, capsys):
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    source, file = recordings.speech / "speech0.wav", tmp_path / "part.wav"
    for name in (source, "-"):
        command = ["enhance", "-m", recordings.model, name, "-o", "-"]
        resource.setrlimit(resource.RLIMIT_FSIZE, (9000, hard))
        try:
            code = run(command, file, unbuffered=unbuffered, stdin=source.read_bytes())
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        said = capsys.readouterr().err.splitlines()[-1]
        assert said == "skunfold: error: stdout cannot be written to: File too large."
        assert (code, file.stat().st_size) == (1, 9000)


@pytest.mark.parametrize("unbuffered", [False, True])
@pytest.mark.parametrize("as_json", [False, True])
def test_results_on_a_full_disk(unbuffered, as_json, run, recordings, tmp_path, capsys):
    target = tmp_path / "out.wav"
    source = recordings.speech / "speech0.wav"
    for arguments in (
        ["enhance", "-m", recordings.model, source, "-o", target],
        ["evaluate", "-m", recordings.model, *recordings.sources],
        ["train", *recordings.sources, "-o", tmp_path / "model", *SMALL],
    ):
        arguments += ["--json"] if as_json else []
        assert run(arguments, "/dev/full", unbuffered=unbuffered) == 1
        assert capsys.readouterr().err.splitlines()[-1] == FULL
    assert target.exists()


@pytest.mark.parametrize("unbuffered", [False, True])
@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["enhance", "--help"]])
def test_help_on_a_full_disk(unbuffered, arguments, run, capsys):
    assert run(arguments, "/dev/full", unbuffered=unbuffered) == 1
    assert capsys.readouterr().err == FULL + "\n"


@pytest.mark.parametrize("unbuffered", [False, True])
def test_a_process_says_it_once(unbuffered):
    process = start(["--version"], unbuffered=unbuffered, redirect="> /dev/full")
    assert (process.returncode, process.stderr.decode()) == (1, FULL + "\n")


def test_streams_that_are_closed(recordings, monkeypatch, capsys):
    enhance = [
        "enhance",
        "-m",
        recordings.model,
        str(recordings.speech / "speech0.wav"),
        "-o",
        "-",
    ]
    for name, arguments in (
        ("stdout", enhance),
        ("stdin", ["enhance", "-m", recordings.model, "-", "-o", "-"]),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(sys, name, None)  # as Python has it then
            assert main(arguments) == 1
        assert f"skunfold: error: {name} is closed" in capsys.readouterr().err
    process = start(["--version"], redirect=">&-")
    assert (process.returncode, process.stdout) == (1, b"")
    assert "skunfold: error: stdout is closed" in process.stderr.decode()


@pytest.mark.parametrize("redirect", ["2>&-", "2> /dev/full"])
def test_no_word_gets_into_the_recording(redirect, run, recordings, tmp_path):
    source = recordings.speech / "speech0.wav"
    enhance = ["enhance", "-m", recordings.model, source, "-o", "-"]
    assert run(enhance, tmp_path / "expected.wav", unbuffered=False) == 0
    expected = (tmp_path / "expected.wav").read_bytes()
    assert len(expected) == 44 + 16000
    process = start(enhance, redirect=redirect)
    assert (process.returncode, process.stdout) == (0, expected)


class Pipe(io.RawIOBase):
    """A stream that takes a few bytes at a time, and none when it is full."""

    def __init__(self, room):
        self.room, self.data = room, b""

    def writable(self):
        return True

    def write(self, data):
        part = bytes(data[: min(3, self.room - len(self.data))])
        self.data += part
        return len(part) or None


@pytest.mark.parametrize("room", [7, 1000])
def test_streams_that_take_a_part(room, monkeypatch):
    pipe = Pipe(room)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(pipe, write_through=True))
    fails = pytest.raises(OSError, match=r"stdout .* takes no data")
    with fails if room < 10 else contextlib.nullcontext():
        output.print_text("a line that is longer than that")
    assert pipe.data == b"a line that is longer than that\n"[:room]


def test_text_that_stdout_cannot_encode(monkeypatch):
    stdout = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stdout)
    output.print_text("Wrote ü\udcff.wav.")
    assert stdout.buffer.getvalue() == b"Wrote \\xfc\\udcff.wav.\n"


def test_a_stdout_of_text_alone():
    with contextlib.redirect_stdout(io.StringIO()) as text:
        output.print_text("Wrote ü.wav.")
    assert text.getvalue() == "Wrote ü.wav.\n"
