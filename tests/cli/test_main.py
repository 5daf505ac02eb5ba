"""What all commands share: help, usage errors, exit codes, warnings, progress."""

import re
import signal
import subprocess
import sys
import time

import pytest

import skunfold
from skunfold._kernels.fused import CORE
from skunfold._storage import replacing
from skunfold.cli import main, progress, web_page, workbench
from skunfold.model_files import load_model

COMMANDS = ("demo", "train", "enhance", "evaluate", "info", "app")


def test_version_and_help(capsys):
    for arguments in (["--help"], ["--version"], *([c, "--help"] for c in COMMANDS)):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 0
        output = capsys.readouterr().out
        assert "skunfold" in output
        assert ("examples:\n  skunfold" in output) == ("--help" in arguments)


def test_without_a_command_it_prints_help(capsys):
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 0
    output = capsys.readouterr()
    assert output.out.startswith("usage: skunfold")
    assert "skunfold demo" in output.out
    assert output.err == ""


def test_python_m():
    command = [sys.executable, "-m", "skunfold", "--version"]
    output = subprocess.run(command, capture_output=True, text=True, check=True)
    assert output.stdout == f"skunfold {skunfold.__version__}\ncore: {CORE}\n"


TRAIN = ["train", "--speech", "a", "--noise", "b", "-o", "c"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["dance"],
        ["train", "-o", "model"],
        [*TRAIN, "--layers", "0"],
        [*TRAIN, "--trained-layers", "most"],
        [*TRAIN, "--trained-layers", "10"],
        ["demo", "--seed", "-1"],
        ["enhance", "-m", "model", "a.wav", "b.wav"],
        ["enhance", "-m", "model", "-", "--json"],
        ["enhance", "-m", "model", "-", "a.wav", "-o", "out"],
        ["enhance", "-m", "model", "a.wav", "b.wav", "-o", "-"],
        ["enhance", "-m", "model", "a.wav", "-o", "-", "--json"],
        ["enhance", "-m", "model", "a.wav", "-o", "b.wav", "--overwrite", "--skip-existing"],
        *(["app", "--port", port] for port in ("0", "-1", "65536", "99999", "9" * 5000, "x")),
        *(["app", "--host", host] for host in ("", "a b", "http://localhost")),
        *(["app", "--allow-host", host] for host in ("", "*", "https://proxy.example")),
        *(["app", "--max-upload", size] for size in ("0", "1.5", "100001")),
        ["demo", "--seed", str(2**32)],
        *(
            [*TRAIN, "--layers", "1001"],
            [*TRAIN, "--layers", "1000", "--trained-layers", "1002"],
        ),
        *([*TRAIN, "--components", "10001"], [*TRAIN, "--context", "1001"]),
        *([*TRAIN, "--mixtures", "1000001"], [*TRAIN, "--epochs", "1000001"]),
    ],
)
def test_usage_errors(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "usage: skunfold" in capsys.readouterr().err


def test_failure_and_traceback(tmp_path, assert_one_sentence, monkeypatch):
    def fail(*arguments):
        raise RuntimeError("first line\nsecond line")

    command = ["demo", "--out", str(tmp_path)]
    monkeypatch.setattr("skunfold.cli.commands.run_demo", fail)
    assert main(command) == 1
    assert_one_sentence("first line second line")
    with pytest.raises(RuntimeError):
        main(["--traceback", *command])


def test_interrupt(tmp_path, capsys, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("skunfold.cli.commands.run_demo", interrupt)
    assert main(["demo", "--out", str(tmp_path)]) == 130
    assert capsys.readouterr().err == "skunfold: interrupted\n"


@pytest.mark.skipif(sys.platform == "win32", reason="has no such signal")
def test_ctrl_c_ends_a_process_cleanly(recordings, tmp_path):
    script = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    script += "from skunfold.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [
        "train",
        *recordings.sources,
        "-o",
        str(tmp_path / "model"),
        "--mixtures",
        "500",  # enough to be at it when the signal comes
        "--epochs",
        "100000",
    ]
    process = subprocess.Popen(
        [sys.executable, "-c", script, *command], stderr=subprocess.PIPE, text=True
    )
    while process.stderr.readline().strip() != "[2/2] train":
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.endswith("skunfold: interrupted\n")
    assert "Traceback" not in said
    for file in tmp_path.iterdir():  # a model, if there were bases already
        assert load_model(file).regressor_.n_iter_ >= 1


@pytest.mark.skipif(sys.platform == "win32", reason="pipes end otherwise")
def test_a_reader_that_leaves(recordings):
    command = [sys.executable, "-m", "skunfold", "evaluate", "-m", recordings.model, "--json"]
    with subprocess.Popen(
        [*command, *recordings.sources],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdout.close()
        said = process.stderr.read()
        assert process.wait(timeout=60) == 1
    assert said.splitlines() == ["[1/2] load and mix the recordings", "[2/2] denoise"]


def test_bar(capsys, monkeypatch, waveforms):
    pytest.importorskip("rich")
    monkeypatch.setenv("FORCE_COLOR", "1")
    enhancer = workbench.make_enhancer(0, n_context=2, n_components=3, n_layers=2, max_iter=2)
    with progress.open_progress(2) as bar:
        bar.stage("first")
        bar.stage("train", 5)
        workbench.fit_enhancer(enhancer, waveforms.speech, waveforms.noise, bar)
    shown = re.sub(r"\x1b\[[^A-Za-z]*[A-Za-z]", "", capsys.readouterr().err)
    assert "[1/2] first" in shown
    assert "[2/2] train" in shown
    if hasattr(enhancer.regressor, "set_callbacks"):
        assert re.search(r"\[2/2\] train \S+ 2/2", shown)
        assert not getattr(enhancer.regressor_, "_skl_callbacks", None)


@pytest.fixture(params=["SIGTERM", "SIGHUP"])
def number(request):
    """Return the number of a signal that nobody ignores, as nohup makes its command do."""
    number = getattr(signal, request.param)
    before = signal.signal(number, signal.SIG_DFL)
    yield number
    signal.signal(number, before)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
def test_signals_to_end_unwind_a_command(number, monkeypatch, tmp_path):
    target = tmp_path / "model"

    def command(options):
        with replacing(target) as temporary:
            temporary.write_text("half")
            signal.raise_signal(number)
        return 0

    monkeypatch.setattr("skunfold.cli.commands.run", command)
    with pytest.raises(SystemExit) as stop:
        main(["demo"])
    assert stop.value.code == 128 + number
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(number) == signal.SIG_DFL


def test_an_address_of_another_machine_is_refused_at_once():
    with pytest.raises(ValueError, match=r"--host 999\.1\.1\.1 is no address of this machine"):
        web_page.serve({}, "999.1.1.1", None, None, False)


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def monotonic(self):
        return self.now


def test_lines_of_progress_come_at_long_intervals(capsys, monkeypatch):
    monkeypatch.setattr(progress, "time", clock := Clock())
    lines = progress._LineProgress(1)
    lines.stage("denoise", 3600, progress.SOUND)
    for clock.now in (1.0, 9.9, 12.0, 13.0):
        lines.advance(100)
    assert capsys.readouterr().err.splitlines() == [
        "[1/1] denoise",
        "[1/1] denoise: 300 of 3600 s of sound, 25x real time",
    ]
    lines.stage("train", 30)
    for clock.now in range(14, 30):
        lines.advance()
    assert capsys.readouterr().err.splitlines() == ["[2/1] train", "[2/1] train: 10 of 30"]


def test_the_bar_shows_the_speed_of_sound_alone(capsys, monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress.open_progress(2) as bar:
        bar.stage("denoise", 60, progress.SOUND)
        time.sleep(0.01)
        bar.advance(60)
        bar.stage("train", 5)
        bar.advance()
    shown = re.sub(r"\x1b\[[^A-Za-z]*[A-Za-z]", "", capsys.readouterr().err)
    assert re.search(r"denoise \S+ 60/60 s of sound, \S+x real time", shown)
    assert re.search(r"train +\S+ 1/1 +0:00", shown)
