"""Model files that releases of skunfold have written are read, and predict what they did."""

import importlib.util
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skunfold import DeepNMFRegressor
from skunfold._model_files import former_models
from skunfold._model_files.former_models import FORMER_PARAMETERS
from skunfold._model_files.scikit_learn_models import MODULE_OF
from skunfold._model_files.tree import CLASSES
from skunfold.model_files import load_model, save_model

DATA = Path(__file__).parent / "data"
FILES = sorted(DATA.glob("models-*/*.model"))

spec = importlib.util.spec_from_file_location("make_models", DATA / "make_models.py")
make_models = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make_models)


def check(file):
    with np.load(file.parent / "predictions.npz") as stored:
        model = load_model(file, classes=[make_models.Smoothing])
        expected = stored[file.stem]
        predicted = make_models.predict(model, stored["X"], stored["waveform"])
    assert predicted.dtype == expected.dtype
    rtol = 1e-10 if expected.dtype == np.float64 else 1e-4
    assert_allclose(predicted, expected, rtol=rtol, atol=rtol * np.abs(expected).max())
    return model


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name} {file.stem}")
def test_an_old_model_predicts_what_it_did(file, tmp_path):
    model = check(file)
    save_model(model, tmp_path / file.name)
    shutil.copy(file.parent / "predictions.npz", tmp_path)
    check(tmp_path / file.name)


@pytest.mark.parametrize(
    "file", [f for f in FILES if f.stem == "deep_nmf"], ids=lambda file: file.parent.name
)
def test_an_old_training_goes_on(file):
    model = load_model(file)
    with np.load(file.parent / "predictions.npz") as stored:
        X = stored["X"]
    y = X[:, 2:] * [0.5, 2.0]
    loss = model.loss_
    model.set_params(warm_start=True, max_iter=20).fit(X, y)
    assert (model.n_iter_, len(model.history_)) == (20, 23)
    assert model.loss_ < loss


def test_an_enhancer_from_before_there_were_bands_and_averages_has_none():
    enhancer = load_model(DATA / "models-0.1.0" / "enhancer.model")
    assert enhancer.context_bands is None
    assert enhancer.context_averages == ()


def test_an_enhancer_is_read_without_parameters_that_it_no_longer_has():
    file = DATA / "models-0.1.0" / "enhancer.model"
    with zipfile.ZipFile(file) as archive:
        [stored] = re.findall(r'"params": ({.*}), "attr', archive.read("model.json").decode())
    former = {"snrs", "n_mixtures", "n_draws"}
    assert former == set(FORMER_PARAMETERS["SpeechEnhancer"])
    assert all(f'"{name}"' in stored for name in former)
    assert not former & set(load_model(file).get_params(deep=False))


def test_a_former_parameter_can_be_translated(monkeypatch, tmp_path):
    def into_recurrence(params, value):
        params["recurrence"] *= value

    former = {"DeepNMFRegressor": {"damping_of_old": into_recurrence}}
    monkeypatch.setattr(former_models, "FORMER_PARAMETERS", former)
    save_model(DeepNMFRegressor(recurrence=0.5), tmp_path / "model")
    with zipfile.ZipFile(tmp_path / "model") as archive:
        text = archive.read("model.json").decode()
    with zipfile.ZipFile(tmp_path / "old", "w") as archive:
        changed = text.replace('"params": {', '"params": {"damping_of_old": 0.25, ')
        archive.writestr("model.json", changed)
    assert load_model(tmp_path / "old").recurrence == 0.125
    monkeypatch.setattr(former_models, "FORMER_PARAMETERS", {})
    with pytest.raises(ValueError, match="has no parameter 'damping_of_old'"):
        load_model(tmp_path / "old")


def classes_in(files):
    """Return the names of all estimators in model files, those inside others included."""
    names = set()
    for file in files:
        with zipfile.ZipFile(file) as archive:
            text = archive.read("model.json").decode()
        names.update(re.findall(r'"class": "([A-Z]\w*)"', text))
    return names


def test_every_kind_of_model_stands_there():
    assert classes_in(FILES) == {*CLASSES, *MODULE_OF, "Smoothing"}


def test_the_script_writes_every_kind(tmp_path, monkeypatch):
    monkeypatch.setattr(make_models, "__file__", str(tmp_path / "make_models.py"))
    make_models.main()
    files = sorted(tmp_path.glob("models-*/*.model"))
    assert classes_in(files) == {*CLASSES, *MODULE_OF, "Smoothing"}
    for file in files:
        check(file)
