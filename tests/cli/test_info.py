"""``skunfold info``: what a model file holds."""

import json

import numpy as np
import pytest

from skunfold import DeepNMFRegressor, UnfoldedMeanFieldClassifier
from skunfold.cli import main
from skunfold.model_files import load_model, save_model


def test_of_an_enhancer(recordings, capsys):
    assert main(["info", recordings.model, "--json"]) == 0
    output = capsys.readouterr()
    data = json.loads(output.out)
    regressor = load_model(recordings.model).regressor_
    assert data["class"] == "SpeechEnhancer"
    assert data["regressor"] == "DeepNMFRegressor"
    assert data["sample_rate"] == 16000
    assert data["n_context"] == 2
    assert data["settings"]["n_layers"] == 2
    assert data["n_parameters"] == regressor.n_parameters_
    assert data["n_iter"] == 2
    assert data["validation_score"] == pytest.approx(regressor.best_validation_score_)
    assert main(["info", recordings.model]) == 0
    text = capsys.readouterr().out
    assert f"{regressor.n_parameters_:,}" in text
    assert "n_layers=2, " in text
    for line in (f"sample rate (Hz)  {16000:,}", "frames seen       2"):
        assert f"{line}\n" in text


@pytest.mark.parametrize(
    "model",
    [
        DeepNMFRegressor(3, n_trained_layers=0),
        UnfoldedMeanFieldClassifier(4, max_iter=3, random_state=0),
    ],
)
def test_of_other_models(model, tmp_path, capsys):
    X = np.random.default_rng(0).gamma(0.3, size=(30, 5))
    y = np.arange(30) % 2
    save_model(model.fit(X, y), tmp_path / "model")
    assert main(["info", str(tmp_path / "model"), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["class"] == type(model).__name__
    assert data["n_parameters"] == model.n_parameters_
    assert "sample_rate" not in data
    assert "validation_score" in data
    assert main(["info", str(tmp_path / "model")]) == 0
    assert "held-out" not in capsys.readouterr().out


def test_of_a_file_that_is_no_model(tmp_path, assert_one_sentence):
    (tmp_path / "notes").write_text("hello")
    assert main(["info", str(tmp_path / "notes")]) == 1
    assert_one_sentence("is not a skunfold model file")
