"""Stdout gets everything, or the exit code is 1 and a sentence names it."""

import contextlib
import io
import os
import signal
import subprocess
import sys

import pytest

from skunfold.cli import main, output

pytestmark = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
CODE = "import sys; from skunfold.cli import main; sys.exit(main(sys.argv[1:]))"
FULL = "skunfold: error: stdout cannot be written to: No space left on device."
SMALL = ["--layers", "2", "--components", "3", "--context", "2", "--epochs", "1"]


def start(arguments, *, unbuffered=False, redirect="", **kwargs):
    """Run a command in a process with streams that the shell redirects; return the process."""
    environment = os.environ | {"PYTHONUNBUFFERED": "1" if unbuffered else ""}
    shell = ["sh", "-c", f'exec "$@" {redirect}', "sh", sys.executable, "-c", CODE]
    command = [*shell, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, check=False, **kwargs)


@pytest.mark.parametrize("unbuffered", [False, True])
def test_a_recording_that_does_not_fit(unbuffered, recordings):
    resource = pytest.importorskip("resource")

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (9000, resource.RLIM_INFINITY))

    source = recordings.speech / "speech0.wav"
    for name, stdin in ((source, None), ("-", source.read_bytes())):
        file = recordings.folder / "part.wav"
        process = start(
            ["enhance", recordings.model, name, "-o", "-"],
            unbuffered=unbuffered,
            redirect=f"> {file}",
            input=stdin,
            preexec_fn=limit,
        )
        said = process.stderr.decode().splitlines()[-1]
        assert said == "skunfold: error: stdout cannot be written to: File too large."
        assert (process.returncode, file.stat().st_size) == (1, 9000)
        file.unlink()


@pytest.fixture
def full(monkeypatch):
    """Run a command with a full disk as stdout; return its exit code."""

    def run(arguments, *, unbuffered):
        file = open("/dev/full", "wb", buffering=0 if unbuffered else -1)  # noqa: SIM115
        stdout = io.TextIOWrapper(file, encoding="utf-8", write_through=unbuffered)
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", stdout)
            try:
                return main(list(map(str, arguments)))
            finally:
                stdout.close()  # without an error: what does not fit was dropped

    return run


@pytest.mark.parametrize("unbuffered", [False, True])
@pytest.mark.parametrize("as_json", [False, True])
def test_results_on_a_full_disk(unbuffered, as_json, full, recordings, tmp_path, capsys):
    target = tmp_path / "out.wav"
    source = recordings.speech / "speech0.wav"
    for arguments in (
        ["enhance", recordings.model, source, "-o", target],
        ["evaluate", recordings.model, *recordings.sources],
        ["train", *recordings.sources, "-o", tmp_path / "model", *SMALL],
    ):
        arguments += ["--json"] if as_json else []
        assert full(arguments, unbuffered=unbuffered) == 1
        assert capsys.readouterr().err.splitlines()[-1] == FULL
    assert target.exists()


@pytest.mark.parametrize("unbuffered", [False, True])
@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["enhance", "--help"]])
def test_help_on_a_full_disk(unbuffered, arguments, full, capsys):
    assert full(arguments, unbuffered=unbuffered) == 1
    assert capsys.readouterr().err == FULL + "\n"


@pytest.mark.parametrize("unbuffered", [False, True])
def test_a_process_says_it_once(unbuffered):
    process = start(["--version"], unbuffered=unbuffered, redirect="> /dev/full")
    assert (process.returncode, process.stderr.decode()) == (1, FULL + "\n")


def test_streams_that_are_closed(recordings):
    source = recordings.speech / "speech0.wav"
    enhance = ["enhance", recordings.model, source, "-o", "-"]
    for arguments, redirect, words in (
        (enhance, ">&-", "stdout is closed"),
        (["enhance", recordings.model, "-", "-o", "-"], "<&-", "stdin is closed"),
        (["--version"], ">&-", "stdout is closed"),
    ):
        process = start(arguments, redirect=redirect)
        assert (process.returncode, process.stdout) == (1, b"")
        assert f"skunfold: error: {words}" in process.stderr.decode()
    expected = start(enhance).stdout
    assert len(expected) == 44 + 16000
    for redirect in ("2>&-", "2> /dev/full"):  # no word of it gets into the recording
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
