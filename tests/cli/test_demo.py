"""``skunfold demo``, made small."""

import importlib.util
import json
import os

import numpy as np
import pytest

from skunfold._install import install_advice
from skunfold.cli import demo, main
from skunfold.model_files import load_model


@pytest.fixture
def tiny_demo(monkeypatch, waveforms):
    monkeypatch.setattr(demo, "load_bundled_recordings", lambda subset: waveforms)
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
    deep = load_model(folder / "model").regressor_
    assert rows[1]["n_parameters"] == deep.bases_[0].size  # those of sparse NMF are its bases
    assert len(os.listdir(folder / "wav")) == 12
    assert load_model(folder / "model").regressor_.n_layers == 2
    assert (folder / "spectrograms.png").exists() == matplotlib
    assert (install_advice("plotting") in output.out) != matplotlib
    assert output.err.splitlines()[-1] == "[6/6] write the results"


def test_only_a_folder_of_a_demo_may_be_used_again(
    tiny_demo, tmp_path, capsys, assert_one_sentence
):
    command = ["demo", "--out", str(tmp_path), "--json"]
    assert main(command) == 0
    output = capsys.readouterr()
    written = json.loads((tmp_path / "results.json").read_text())
    assert json.loads(output.out) == {**written, "folder": str(tmp_path)}
    assert "mean SI-SDR" in output.err
    demo.check_demo_folder(tmp_path, overwrite=False)
    (tmp_path / "thesis.tex").write_text("mine")
    assert main(command) == 1
    assert_one_sentence("thesis.tex", "--overwrite")
    demo.check_demo_folder(tmp_path, overwrite=True)


def test_demo_finds_that_its_folder_is_a_file(tmp_path, assert_one_sentence):
    (tmp_path / "file").write_text("mine")
    assert main(["demo", "--out", str(tmp_path / "file")]) == 1
    assert_one_sentence("is a file")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is read-only to root"
)
def test_a_folder_that_cannot_be_written(tmp_path, assert_one_sentence):
    tmp_path.chmod(0o500)
    assert main(["demo", "--out", str(tmp_path)]) == 1
    assert_one_sentence("cannot be written")
