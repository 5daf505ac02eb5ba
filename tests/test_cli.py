"""The commands, on recordings of a second and models of a few bases."""

import importlib.util
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from sklearn.utils import Bunch

import skunfold
from skunfold.audio import read_audio, write_audio
from skunfold.cli import demo, main, progress, workbench
from skunfold.model_files import load_model, save_model
from skunfold.sparse_nmf import SparseNMF

COMMANDS = ("demo", "train", "enhance", "evaluate")
SMALL = ["--layers", "2", "--components", "3", "--context", "2", "--epochs", "2"]


def make_speech(rng, n_samples=8000):
    """Tones that come and go."""
    time = np.arange(n_samples) / 16000
    tone = np.sin(2 * np.pi * rng.uniform(200, 400) * time)
    return (0.1 * tone * (1 + np.sin(2 * np.pi * 4 * time))).astype(np.float32)


def make_noise(rng, n_samples=16000):
    return (0.1 * rng.standard_normal(n_samples)).astype(np.float32)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """A folder with the folders "speech" and "noise", and the model "model" trained on them."""
    folder = tmp_path_factory.mktemp("recordings")
    rng = np.random.default_rng(0)
    for name, make in (("speech", make_speech), ("noise", make_noise)):
        (folder / name).mkdir()
        for i in range(2):
            write_audio(folder / name / f"{name}{i}.wav", make(rng), 16000)
    assert main(["train", *sources(folder), "-o", str(folder / "model"), *SMALL]) == 0
    return folder


def sources(folder):
    return ["--speech", str(folder / "speech"), "--noise", str(folder / "noise")]


def assert_one_sentence(capsys, *words):
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("skunfold: error: ")
    assert output.err.count("\n") == 1
    for word in words:
        assert str(word) in output.err


def test_version_and_help(capsys):
    for arguments in (["--help"], ["--version"], *([c, "--help"] for c in COMMANDS)):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 0
        assert "skunfold" in capsys.readouterr().out


def test_python_m():
    command = [sys.executable, "-m", "skunfold", "--version"]
    output = subprocess.run(command, capture_output=True, text=True, check=True)
    assert output.stdout.strip() == f"skunfold {skunfold.__version__}"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["dance"],
        ["train", "-o", "model"],
        ["train", "--speech", "a", "--noise", "b", "-o", "c", "--layers", "0"],
        ["train", "--speech", "a", "--noise", "b", "-o", "c", "--trained-layers", "most"],
        ["train", "--speech", "a", "--noise", "b", "-o", "c", "--trained-layers", "10"],
        ["demo", "--seed", "-1"],
    ],
)
def test_usage_errors(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "usage: skunfold" in capsys.readouterr().err


def test_train_writes_what_was_asked_for(recordings, tmp_path, capsys):
    options = ["--trained-layers", "1", "--tied", "--mixtures", "3", "--seed", "5"]
    model = tmp_path / "model"
    assert main(["train", *sources(recordings), "-o", str(model), *SMALL, *options]) == 0
    output = capsys.readouterr()
    assert f"Wrote {model}" in output.out
    assert "[2/2] train" in output.err
    enhancer = load_model(model)
    expected = {"n_layers": 2, "n_components": 3, "n_trained_layers": 1, "tied": True}
    assert expected.items() <= enhancer.regressor.get_params().items()
    assert (enhancer.n_context, enhancer.n_mixtures, enhancer.random_state) == (2, 3, 5)


def test_training_is_repeatable(recordings, tmp_path):
    model = tmp_path / "model"
    assert main(["train", *sources(recordings), "-o", str(model), *SMALL]) == 0
    first, second = load_model(recordings / "model"), load_model(model)
    for one, other in zip(first.regressor_.bases_, second.regressor_.bases_):
        np.testing.assert_array_equal(one, other)


def test_enhance_one_recording(recordings, tmp_path, capsys):
    model, source = str(recordings / "model"), recordings / "speech" / "speech0.wav"
    waveform, _ = read_audio(source)
    for output, target in (
        (tmp_path / "clean.flac", tmp_path / "clean.flac"),
        (tmp_path, tmp_path / "speech0.wav"),
        (f"{tmp_path}/new/", tmp_path / "new" / "speech0.wav"),
    ):
        assert main(["enhance", model, str(source), "-o", str(output)]) == 0
        assert capsys.readouterr().out == f"Wrote {target}.\n"
        enhanced, rate = read_audio(target)
        assert rate == 16000
        assert enhanced.shape == waveform.shape


def test_enhance_several_recordings(recordings, tmp_path, capsys):
    inputs = sorted(str(file) for file in (recordings / "speech").iterdir())
    output = tmp_path / "out"
    assert main(["enhance", str(recordings / "model"), *inputs, "-o", str(output)]) == 0
    assert capsys.readouterr().out == f"Wrote 2 recordings into {output}.\n"
    assert sorted(os.listdir(output)) == ["speech0.wav", "speech1.wav"]


def test_enhance_refuses(recordings, tmp_path, capsys):
    model, speech = str(recordings / "model"), recordings / "speech"
    one, two = str(speech / "speech0.wav"), str(speech / "speech1.wav")
    before = (speech / "speech0.wav").read_bytes()
    (tmp_path / "speech0.wav").write_bytes(before)
    for name in ("text.wav", "notes"):
        (tmp_path / name).write_text("not audio")
    (tmp_path / "model").write_text("not a model")
    save_model(SparseNMF(), tmp_path / "sparse")
    for arguments, words in (
        ([model, one, "-o", one], [one, "one of the inputs"]),
        ([model, one, two, "-o", str(speech)], ["one of the inputs"]),
        ([model, one, str(tmp_path / "speech0.wav"), "-o", "out"], ["different folders"]),
        ([model, one, "-o", str(tmp_path / "clean.txt")], ["clean.txt", ".flac"]),
        ([model, one, "-o", str(tmp_path / "none" / "clean.wav")], ["no folder"]),
        ([model, one, two, "-o", str(tmp_path / "text.wav")], ["one recording", "a folder"]),
        ([model, one, two, "-o", str(tmp_path / "notes")], ["is a file; name a folder"]),
        ([model, "missing.wav", "-o", "out.wav"], ["missing.wav"]),
        ([model, str(tmp_path / "text.wav"), "-o", "out.wav"], ["text.wav", "audio"]),
        (["missing", one, "-o", "out.wav"], ["There is no model missing"]),
        ([str(tmp_path / "model"), one, "-o", "out.wav"], ["not a skunfold model file"]),
        ([str(tmp_path / "sparse"), one, "-o", "out.wav"], ["SparseNMF"]),
    ):
        assert main(["enhance", *arguments]) == 1
        assert_one_sentence(capsys, *words)
    assert (speech / "speech0.wav").read_bytes() == before


def test_train_refuses_before_it_reads_anything(recordings, tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "empty").mkdir()
    empty = ["--speech", str(tmp_path / "empty"), "--noise", str(recordings / "noise")]
    for folders, output, word in (
        (sources(recordings), tmp_path / "notes.txt", "is no model"),
        (sources(recordings), tmp_path, "is a folder"),
        (sources(recordings), tmp_path / "none" / "model", "no folder"),
        (sources(tmp_path), tmp_path / "model", "speech"),
        (empty, tmp_path / "model", "holds no"),
    ):
        assert main(["train", *folders, "-o", str(output)]) == 1
        output = capsys.readouterr()
        assert output.out == ""
        assert output.err.splitlines()[-1].startswith("skunfold: error: ")
        assert word in output.err
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is read-only to root"
)
def test_a_folder_that_cannot_be_written(tmp_path, capsys):
    tmp_path.chmod(0o500)
    assert main(["demo", "--out", str(tmp_path)]) == 1
    assert_one_sentence(capsys, "cannot be written")


def test_evaluate(recordings, capsys):
    command = ["evaluate", str(recordings / "model"), *sources(recordings)]
    assert main([*command, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["name"] for row in rows] == ["noisy", "enhanced"]
    assert list(rows[0]["si_sdr"]) == ["-6", "-3", "0", "3", "6", "9"]
    for snr, value in rows[0]["si_sdr"].items():
        assert value == pytest.approx(float(snr), abs=0.5)
    assert rows[1]["n_parameters"] > 0
    assert main(command) == 0
    table = capsys.readouterr().out.splitlines()
    assert len({len(line) for line in table}) == 1
    assert table[2].startswith("noisy")
    assert f"{rows[1]['mean_si_sdr']:.2f}" in table[3]


@pytest.fixture
def tiny_demo(monkeypatch):
    rng = np.random.default_rng(0)
    data = Bunch(
        speech=[make_speech(rng) for _ in range(2)],
        noise=[make_noise(rng) for _ in range(2)],
        sample_rate=16000,
    )
    monkeypatch.setattr(demo, "load_bundled_recordings", lambda subset: data)
    for name, value in (
        ("N_CONTEXT", 2),
        ("N_COMPONENTS", 3),
        ("N_MIXTURES", 4),
        ("N_LAYERS", 2),
        ("SPARSE_N_LAYERS", (2, 4)),
        ("MAX_ITER", 2),
    ):
        monkeypatch.setattr(demo, name, value)


@pytest.mark.parametrize("matplotlib", [True, False])
def test_demo(matplotlib, tiny_demo, tmp_path, capsys, monkeypatch):
    if not matplotlib:
        find_spec = importlib.util.find_spec
        hidden = {"matplotlib": None}
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name: hidden.get(name, find_spec(name))
        )
    folder = tmp_path / "a" / "demo"
    assert main(["--traceback", "demo", "--out", str(folder), "--seed", "1"]) == 0
    output = capsys.readouterr()
    rows = json.loads((folder / "results.json").read_text())["rows"]
    assert [row["name"] for row in rows] == ["noisy", "sparse NMF", "deep NMF"]
    for row in rows:
        assert list(row) == ["name", "mean_si_sdr", "si_sdr", "n_parameters", "fit_seconds"]
        assert f"{row['mean_si_sdr']:.2f}" in output.out
        mean = np.mean(list(row["si_sdr"].values()))
        assert row["mean_si_sdr"] == pytest.approx(mean)
    assert (rows[0]["n_parameters"], rows[0]["fit_seconds"]) == (0, 0.0)
    assert rows[2]["n_parameters"] > rows[1]["n_parameters"] > 0
    assert len(os.listdir(folder / "wav")) == 12
    assert load_model(folder / "model").regressor_.n_layers == 2
    assert (folder / "spectrograms.png").exists() == matplotlib
    assert ('pip install "skunfold[plotting]"' in output.out) != matplotlib
    assert output.err.splitlines()[-1] == "[6/6] write the results"


def test_demo_finds_that_its_folder_is_a_file(tmp_path, capsys):
    (tmp_path / "file").write_text("mine")
    assert main(["demo", "--out", str(tmp_path / "file")]) == 1
    assert_one_sentence(capsys, "is a file")
    assert (tmp_path / "file").read_text() == "mine"


def test_sparse_nmf_with_more_iterations(recordings, tmp_path):
    model = tmp_path / "model"
    sparse = ["--trained-layers", "0"]
    assert main(["train", *sources(recordings), "-o", str(model), *SMALL, *sparse]) == 0
    enhancer = load_model(model)
    deeper = demo._with_layers(enhancer, 3)
    X = np.random.default_rng(0).uniform(size=(5, 2 * 201))
    *_, before, _ = deeper.regressor_.staged_predict(X)
    np.testing.assert_allclose(enhancer.regressor_.predict(X), before, rtol=1e-12)
    assert enhancer.regressor_.n_layers == len(enhancer.regressor_.bases_) == 2


def test_interrupt_and_traceback(tmp_path, capsys, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    def fail(*arguments):
        raise RuntimeError("first line\nsecond line")

    command = ["demo", "--out", str(tmp_path)]
    monkeypatch.setattr("skunfold.cli.commands.run_demo", interrupt)
    assert main(command) == 1
    assert capsys.readouterr().err == "skunfold: interrupted\n"
    monkeypatch.setattr("skunfold.cli.commands.run_demo", fail)
    assert main(command) == 1
    assert_one_sentence(capsys, "first line second line")
    with pytest.raises(RuntimeError):
        main(["--traceback", *command])


@pytest.mark.filterwarnings("default")
def test_a_warning_is_one_line(recordings, tmp_path, capsys):
    loud = 20 * make_speech(np.random.default_rng(0))
    source, target = str(tmp_path / "loud.wav"), str(tmp_path / "clean.flac")
    write_audio(source, loud, 16000, subtype="FLOAT")
    assert main(["enhance", str(recordings / "model"), source, "-o", target]) == 0
    stage, warning = capsys.readouterr().err.splitlines()
    assert stage == "[1/1] denoise"
    assert warning.startswith("skunfold: warning: ")


def test_bar(capsys, monkeypatch, recordings):
    pytest.importorskip("rich")
    monkeypatch.setenv("FORCE_COLOR", "1")
    enhancer = workbench.make_enhancer(0, n_context=2, n_components=3, n_layers=2, max_iter=2)
    rng = np.random.default_rng(0)
    with progress.open_progress(2) as bar:
        bar.stage("first")
        bar.stage("train", 5)
        speech = [make_speech(rng), make_speech(rng)]
        workbench.fit_enhancer(enhancer, speech, [make_noise(rng)], bar)
    shown = re.sub(r"\x1b\[[^A-Za-z]*[A-Za-z]", "", capsys.readouterr().err)
    assert "[1/2] first" in shown
    assert "[2/2] train" in shown
    if hasattr(enhancer.regressor, "set_callbacks"):
        assert re.search(r"\[2/2\] train \S+ 2/2", shown)
        assert not getattr(enhancer.regressor_, "_skl_callbacks", None)
