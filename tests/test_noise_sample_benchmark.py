"""The benchmark of noise samples, on recordings of a second or two."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from skunfold.audio import write_audio

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
RATE = 16000


@pytest.fixture
def folder(tmp_path):
    """Two voices, and two kinds of noise: bands at different places."""
    rng = np.random.default_rng(0)
    time = np.arange(2 * RATE) / RATE
    for subset in ("train", "valid", "test"):
        for kind in ("speech", "noise"):
            (tmp_path / kind / subset).mkdir(parents=True)
        for name, pitch in (("ann_0", 300), ("bob_0", 500)):
            tone = np.sin(2 * np.pi * pitch * time) * (1 + np.sin(2 * np.pi * 3 * time))
            write_audio(tmp_path / "speech" / subset / f"{name}.wav", 0.1 * tone[:RATE], RATE)
        for i, name in enumerate(("fan_0", "hum_0")):
            phase = np.cumsum(rng.normal(1, 0.3, len(time)))
            hiss = np.sin(2 * np.pi * (1500 * i + 1000) / RATE * phase)
            write_audio(tmp_path / "noise" / subset / f"{name}.wav", 0.1 * hiss, RATE)
    return tmp_path


def test_a_sample_is_worth_something(folder, tmp_path, monkeypatch):
    pytest.importorskip("pystoi")
    monkeypatch.syspath_prepend(BENCHMARKS)
    script = importlib.import_module("noise_sample")
    out = tmp_path / "out.json"
    for name, value in {
        "N_TRAIN": 6, "N_VALID": 4, "N_COMPONENTS": 3, "N_LAYERS": 3, "N_SAMPLE_COMPONENTS": 3
    }.items():  # fmt: skip
        monkeypatch.setattr(script, name, value)
    monkeypatch.setattr(importlib.import_module("speech_conditions"), "N_TEST", 4)
    monkeypatch.setattr(script, "available", lambda *_: [script.Distortion()])
    options = ["--data", str(folder), "--draws", "2", "--out", str(out)]
    only = ["--only", "noisy|none given|samples, 5 s|features, 5 s|without a sample"]
    monkeypatch.setattr("sys.argv", ["noise_sample.py", *options, *only])
    script.main()
    rows = json.loads(out.read_text())["rows"]
    mean = {
        way: np.mean([
            x for name, row in rows.items() for x in row["scores"]["SI-SDR"]
            if name.startswith(f"{way}, models without")
        ])
        for way in script.WAYS if f"{way}, models without fan" in rows
    }  # fmt: skip
    assert len(mean) == 6
    assert all(value > mean["noisy"] + 3 for name, value in mean.items() if name != "noisy")
    informed, baseline = "network with samples, 5 s", "network without a sample"
    assert mean[informed] != mean["network with samples, none given"]
    assert rows[f"{informed}, models without hum"]["training"] > 0
    page = out.with_suffix(".md").read_text()
    assert "| fan | hum |" in page
    line = next(line for line in page.splitlines() if line.startswith(f"| {informed} |"))
    assert f"| {mean[informed] - mean[baseline]:+.2f} [" in line
