"""The benchmarks of noise suppressors, and of noise that is taught."""

import copy
import importlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Bunch

from skunfold.audio import write_audio
from skunfold.cli.workbench import make_enhancer
from skunfold.metrics import si_sdr
from skunfold.model_files import load_model

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
RATE = 16000


@pytest.fixture
def script(monkeypatch):
    """Import a module of the benchmarks."""
    pytest.importorskip("pystoi")
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two voices and two kinds of noise, of a second or two each."""
    root, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    time = np.arange(RATE) / RATE
    for subset in ("train", "valid", "test"):
        for kind, names in (("speech", ("ann_0", "bob_0")), ("noise", ("hum_0", "music_0"))):
            place = root / kind / subset
            place.mkdir(parents=True)
            for name in names:
                tone = np.sin(2 * np.pi * rng.uniform(200, 2000) * time)
                sound = tone * (1 + np.sin(2 * np.pi * 3 * time)) if kind == "speech" else tone
                waveform = np.tile(sound, 2) + rng.normal(size=2 * RATE) * 0.1
                write_audio(place / f"{name}.wav", 0.1 * waveform, RATE)
    return root


def test_delays_of_peers_are_taken_out(script):
    peers = script("speech_peers")

    class Late(peers.Peer):
        sample_rate = 48_000
        delay = 480

        def _process(self, waveform):
            return np.concatenate([np.zeros(480, np.float32), waveform])[: len(waveform)]

    x = np.sin(np.arange(8000) * 0.1).astype(np.float32)
    y = Late()(x)
    assert y.shape == x.shape
    assert si_sdr(x, y) > 30


def test_blocks_of_integers(script):
    peers = script("speech_peers")
    lengths = []

    def halve(block):
        assert block.dtype == np.int16
        lengths.append(len(block))
        return block // 2

    x = np.linspace(-1.5, 1.5, 250, dtype=np.float32)
    y = peers.in_blocks(x, 100, halve, np.int16)
    assert lengths == [100, 100, 100]
    np.testing.assert_allclose(y[:250], np.clip(x, -1, 1) / 2, atol=1e-4)


def test_missing_packages_are_named(script):
    with pytest.raises(ModuleNotFoundError, match="needs the package no-such-package"):
        script("speech_peers").file_of("no-such-package", "model.onnx")


def test_samples_of_noise_are_not_in_the_mixtures(script, folder):
    conditions = script("speech_conditions")
    items = conditions.mixtures(folder, "test")
    _, noise = conditions.recordings(folder, "noise", "test")
    assert {item.kind for item in items} == {"hum", "music"}
    for item in items[:6]:
        np.testing.assert_allclose(item.noisy, item.clean + item.noise, atol=1e-6)
        (whole,) = (x for x in noise if np.array_equal(x[: len(item.sample)], item.sample))
        tail = whole[len(item.sample) :]
        scale = item.noise.std() / tail.std()
        assert np.isin(np.round(item.noise[:50] / scale, 4), np.round(tail, 4)).mean() > 0.9
    names, _ = conditions.recordings(folder / "speech", "test", "elsewhere")
    assert names == ["ann_0.wav", "bob_0.wav"]  # of a folder that is not divided


def test_conditions_change_what_they_say(script, folder):
    conditions = script("speech_conditions")
    items = conditions.mixtures(folder, "test")[:2]
    (narrow, _), (quiet, _) = conditions.telephone(items), conditions.quiet(items)
    power = np.abs(np.fft.rfft(narrow.noisy)) ** 2
    hz = np.fft.rfftfreq(len(narrow.noisy), 1 / RATE)
    assert power[hz > 4500].sum() < 1e-4 * power.sum()
    np.testing.assert_allclose(quiet.noisy, items[0].noisy / 100, rtol=1e-5)
    clean = conditions.clean_speech(conditions.mixtures(folder, "test"))
    assert sorted(item.voice for item in clean) == ["ann", "bob"]
    assert all(item.noisy is item.clean for item in clean)


def test_tools_are_compared(script, folder, tmp_path, monkeypatch):
    tools, out = script("speech_tools"), tmp_path / "tools.json"
    monkeypatch.setattr(tools, "MEASURES", tools.FEW)
    monkeypatch.setattr(script("speech_conditions"), "N_TEST", 6)
    options = ["--data", str(folder), "--no-training", "--only", "^(noisy|ideal)"]
    monkeypatch.setattr("sys.argv", ["speech_tools.py", *options, "--out", str(out)])
    pytest.importorskip("matplotlib")
    tools.main()
    rows = json.loads(out.read_text())["rows"]
    assert len(rows) == 2 * 6
    noisy, ideal = (rows[f"{name}, mixtures"]["scores"]["SI-SDR"] for name in (
        "noisy", "ideal ratio mask"))  # fmt: skip
    np.testing.assert_allclose(noisy, rows["noisy, mixtures"]["snr"], atol=0.5)
    assert np.mean(ideal) > np.mean(noisy) + 3
    assert rows["noisy, silence"]["scores"]["level"] == [-200]
    page = out.with_suffix(".md").read_text()
    assert "| -6 dB | -3 dB |" in page
    assert out.with_suffix(".png").exists()


def test_a_recurrent_network_is_trained_once(script, folder, tmp_path, monkeypatch):
    pytest.importorskip("torch")
    pytest.importorskip("matplotlib")
    tools, out = script("speech_tools"), tmp_path / "tools.json"
    monkeypatch.setattr(tools, "MEASURES", tools.FEW)
    monkeypatch.setattr(tools, "RECURRENT", {"small": (8, None), "brief": (4, 1)})
    monkeypatch.setattr(script("general_models"), "N_TRAIN", 6)
    monkeypatch.setattr(script("speech_conditions"), "N_TEST", 6)
    options = ["--data", str(folder), "--draws", "2", "--only", "^(small|brief), mix"]
    monkeypatch.setattr("sys.argv", ["speech_tools.py", *options, "--out", str(out)])
    tools.main()
    rows = json.loads(out.read_text())["rows"]
    n_in = 9 * 40 + 201
    for name, n in (("small", 8), ("brief", 4)):
        row = rows[f"{name}, mixtures"]
        n_parameters = (n_in + 1 + 4) * n + 3 * (2 * n + 2) * n + (n + 1) * 201
        assert row["megabytes"] == pytest.approx(4e-6 * n_parameters)
        assert row["fit_cpu_seconds"] > 0
    trained = sorted(file.name for file in out.with_suffix(".models").iterdir())
    assert trained == ["brief, 1 draws.joblib", "small, 2 draws.joblib"]


def test_a_noise_is_taught(script, folder, tmp_path, monkeypatch):
    teach, out = script("teach_noise"), tmp_path / "teach.json"
    voices = Bunch(speech=[0.1 * np.sin(np.arange(RATE) * 0.1 * f).astype(np.float32)
                           for f in (1, 1.5)], speech_names=["bob_0.wav"])  # fmt: skip
    monkeypatch.setattr(teach, "load_bundled_recordings", lambda: voices)

    def make_small(seed, **sizes):
        return make_enhancer(seed, n_context=2, n_components=3, n_layers=2, max_iter=2)

    package = make_small(0).set_params(n_sample_components=2)
    package.fit_sources([*voices.speech], [np.random.default_rng(0).normal(size=2 * RATE)])
    monkeypatch.setattr(teach, "make_enhancer", make_small)
    monkeypatch.setattr(teach.SpeechEnhancer, "pretrained", lambda: copy.deepcopy(package))
    monkeypatch.setattr(teach, "N_MIXTURES", 6)
    options = ["--data", str(folder), "--only", "^hum, (noisy|model|.* 10 s)"]
    monkeypatch.setattr("sys.argv", ["teach_noise.py", *options, "--out", str(out)])
    teach.main()
    rows = json.loads(out.read_text())["rows"]
    assert len(rows) == 5
    noisy, new, adapted = (
        np.mean(rows[f"hum, {name}"]["SI-SDR"])
        for name in (teach.NOISY, f"{teach.NEW}, 10 s", f"{teach.ADAPTED}, 10 s")
    )
    assert new > noisy + 2
    assert adapted > noisy + 1
    assert rows[f"hum, {teach.NEW}, 10 s"]["cpu_seconds"] > 0
    assert "hum 2 s" in out.with_suffix(".md").read_text()


def test_the_model_of_the_package_is_trained_on_what_may_be_passed_on(
    script, folder, tmp_path, monkeypatch
):
    pretrained, out, model = script("pretrained_model"), tmp_path / "a.json", tmp_path / "model"
    data = tmp_path / "data"
    shutil.copytree(folder, data)
    lines = ["file\tlicense"]
    for file in sorted(data.rglob("*.wav")):
        free = file.name[:3] in ("ann", "hum")
        place = file.relative_to(data).as_posix()
        lines.append(f"dev/{place}\t{'CC-BY-3.0' if free else 'GPL-2'}")
    (data / "MANIFEST.tsv").write_text("\n".join(lines))
    recorded = pretrained.Data(data)
    for heard, names in ((True, ["ann_0.wav"]), (False, ["bob_0.wav"])):
        assert [name for name, _ in recorded("speech", "train", heard)] == names
    for name, value in (("N_DRAWS", 1), ("N_TEST", 6), ("N_VALID", 6), ("N_TRAIN", 12)):
        monkeypatch.setattr(pretrained, name, value)

    monkeypatch.setattr(script("noise_sample"), "N_LAYERS", 2)
    monkeypatch.setattr(script("variety"), "N_SYNTHETIC", 1)
    options = ["--data", str(data), "--model", str(model), "--only", "noisy|skunfold"]
    monkeypatch.setattr("sys.argv", ["pretrained_model.py", *options, "--out", str(out)])
    with pytest.warns(ConvergenceWarning):
        pretrained.main()
    assert load_model(model).n_sample_components == 40
    rows = json.loads(out.read_text())["rows"]
    assert len(rows) == 4 * 5
    assert set(rows[f"noisy, {pretrained.TRIED}"]["kind"]) == {"music"}
    assert (
        "Unheard voices are bob, unheard noise is music" in out.with_suffix(".md").read_text()
    )


def test_samples_are_drawn_evenly(script, folder, tmp_path):
    teach = script("teach_noise")
    place = tmp_path / "noise" / "train"
    place.mkdir(parents=True)
    for i, seconds in enumerate((1, 4, 5)):
        write_audio(place / f"hum_{i}.wav", np.sin(np.arange(seconds * RATE) * 0.1) / 2, RATE)
    lengths = [len(x) / RATE for x in teach.sample(tmp_path, "hum", 6)]
    assert lengths == [1, 2.5, 2.5]
    assert sum(map(len, teach.sample(tmp_path, "hum", 60))) == 10 * RATE
