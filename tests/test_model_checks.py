"""Model files whose numbers make no sense are refused when they are opened."""

import io
import json
import runpy
import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from skunfold import cli
from skunfold._deep_nmf.inference import Inference
from skunfold._model_files.values import whole_number
from skunfold.audio import SpeechEnhancer, mel_bands
from skunfold.audio._regressor import RegressorError
from skunfold.deep_nmf import DeepNMFRegressor
from skunfold.model_files import load_model, save_model
from skunfold.mrf import UnfoldedMeanFieldClassifier

MODELS = Path(__file__).parent / "data" / "models-0.1.0"
Smoothing = runpy.run_path(str(MODELS.parent / "make_models.py"))["Smoothing"]


class Model:
    """The parts of a model file, to be changed."""

    def __init__(self, name):
        with zipfile.ZipFile(MODELS / f"{name}.model") as archive:
            self.document = json.loads(archive.read("model.json"))
            self.arrays = [
                np.load(io.BytesIO(archive.read(f"array_{i}.npy")))
                for i in range(len(archive.namelist()) - 1)
            ]
        self.tree = self.document["model"]

    @property
    def params(self):
        return self.tree["params"]

    @property
    def attributes(self):
        return self.tree["attributes"]

    @property
    def regressor(self):
        """The fitted regressor of an enhancer, as such parts."""
        inner = object.__new__(Model)
        inner.document, inner.arrays = self.document, self.arrays
        inner.tree = self.attributes["regressor_"]["estimator"]
        return inner

    def first(self, name):
        """Return an array, the first one of a list of them."""
        node = self.attributes[name]
        return self.arrays[(node[0] if isinstance(node, list) else node)["array"]]

    def add(self, array):
        """Add an array, and return what refers to it."""
        self.arrays.append(np.asarray(array))
        return {"array": len(self.arrays) - 1}

    def write(self, file):
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("model.json", json.dumps(self.document))
            for i, array in enumerate(self.arrays):
                stream = io.BytesIO()
                np.lib.format.write_array(stream, array, version=(1, 0))
                archive.writestr(f"array_{i}.npy", stream.getvalue())
        return file


def put(**values):
    """Return a change of parameters, or of attributes, whose names end in an underscore."""

    def change(model):
        for name, value in values.items():
            (model.attributes if name.endswith("_") else model.params)[name] = value

    return change


def of_regressor(change):
    return lambda model: change(model.regressor)


def remove(name):
    return lambda model: model.attributes.pop(name)


def element(name, value):
    """Return a change of one element of an array."""

    def change(model):
        model.first(name).flat[0] = value

    return change


def array(name, function):
    """Return a change of a whole array."""

    def change(model):
        model.attributes[name] = model.add(function(model.first(name)))

    return change


def potentials(function):
    """Return a change of the first set of potentials."""
    return lambda model: function(model, model.attributes["potentials_"][0]["dict"])


def hide_edges(model, potentials):
    """Claim a graph of all pairs of many labels, in one sweep."""
    model.arrays[potentials["intercepts"][0]["array"]] = np.zeros(1)
    n = 10**5
    model.attributes.update(n_outputs_=n, classes_=model.add(np.arange(n)))
    model.attributes["potentials_"] = model.attributes["potentials_"][:1]
    model.params.update(label_graph="full", n_layers=1)


def one_wide_layer(model, potentials):
    """Claim that all pairs of many hidden units are coupled."""
    n = 10**5
    for one in model.attributes["potentials_"]:
        one["dict"]["coefs"] = [model.add(np.zeros(shape)) for shape in ((4, n), (n, 3))]
        one["dict"]["intercepts"] = [model.add(np.zeros(k)) for k in (n, 3)]
        one["dict"]["lateral"] = [None, None]
    model.params["hidden_layer_sizes"] = n


FORGED = {
    "rows: units": ("crf", put(hidden_layer_sizes=10**9), "is not that of the fit"),
    "rows: layers": ("crf", put(n_layers=10**6), "n_layers is 1000000"),
    "rows: columns": ("crf", array("graph_columns_", lambda a: a + 100), "no columns of its"),
    "rows: other columns": ("crf", array("graph_columns_", lambda a: a - 1), "not that of the"),
    "rows: kinds": ("crf", array("symmetric_kinds_", np.invert), "is not that of the fit"),
    "rows: flags": ("crf", array("symmetric_kinds_", lambda a: 2 * a), "not true or false"),
    "rows: classes": ("crf", put(n_outputs_=10**9), "classes_ do not fit its n_outputs_"),
    "rows: parts": ("crf", potentials(lambda m, p: p.pop("tables")), "something else than w"),
    "rows: tables": (
        "crf",
        potentials(lambda m, p: p.update(tables=[])),
        "not that of the fit",
    ),
    "rows: numbers": (
        "crf",
        potentials(lambda m, p: p.update(tables=[m.add(np.full((3, 3), np.inf))])),
        "numbers that are not finite",
    ),
    "rows: dtypes": (
        "crf",
        potentials(lambda m, p: p.update(tables=[m.add(np.zeros((3, 3), np.float32))])),
        "of different types",
    ),
    "mask targets": ("deep_nmf_float32", put(n_targets=10**9), "n_targets=1000000000"),
    "layers": ("deep_nmf", put(n_layers=10**6), "n_layers is 1000000"),
    "some layers": ("deep_nmf", put(n_layers=4), "n_layers=4, but"),
    "no layers": ("deep_nmf", put(bases_=[]), "no list of arrays"),
    "trained layers": ("deep_nmf", put(n_trained_layers=10**9), "n_trained_layers"),
    "a huge number": ("deep_nmf", put(n_iter_no_change=10**400), "a huge number"),
    "a negative number": ("deep_nmf", put(max_iter=-1), "max_iter"),
    "text": ("deep_nmf", put(sparsity="much"), "sparsity"),
    "infinite sparsity": ("deep_nmf", put(sparsity=1e308, beta_loss=1e300), "predict"),
    "a huge beta": ("deep_nmf", put(beta_loss=10**200), "beta_loss is a huge number"),
    "components": ("deep_nmf", put(n_components=10**9), "source groups"),
    "groups": (
        "deep_nmf_float32",
        put(group_sizes_={"tuple": [3, 1]}),
        "do not fit its bases_",
    ),
    "no bases": ("deep_nmf", remove("bases_"), "is fitted, but has no bases_"),
    "no output": ("deep_nmf", remove("output_bases_"), "has no output_bases_"),
    "no scale": ("deep_nmf", remove("data_scale_"), "has no data_scale_"),
    "a scale of zero": ("deep_nmf", put(data_scale_=0.0), "not a positive number"),
    "a scale of nothing": ("deep_nmf", put(data_scale_=1e-320), "predict"),
    "an infinite scale": ("deep_nmf", put(initial_activation_=float("inf")), "positive number"),
    "a scale of null": ("deep_nmf", put(target_scale_=None), "positive number"),
    "negative bases": ("deep_nmf", element("bases_", -1e-9), "negative somewhere"),
    "infinite bases": ("deep_nmf", element("bases_", np.inf), "not finite"),
    "NaN": ("deep_nmf_float32", element("output_bases_", np.nan), "not finite"),
    "output of integers": (
        "deep_nmf",
        array("output_bases_", lambda U: U.astype(int)),
        "array of floats",
    ),
    "turned output": (
        "deep_nmf",
        array("output_bases_", np.transpose),
        "do not fit its bases_",
    ),
    "other outputs": ("deep_nmf", put(n_outputs_=3), "n_outputs_ does not fit"),
    "other features": ("deep_nmf", put(n_features_in_=10**9), "do not fit its n_features_in_"),
    "no projections": (
        "deep_nmf",
        put(fit_projections=True),
        "has no projections_|fitted with",
    ),
    "names": ("deep_nmf", put(feature_names_in_={"strings": 0}), "range|feature_names"),
    "history": ("deep_nmf", put(history_=5), "history_ is no list"),
    "a count": ("deep_nmf", put(n_parameters_="many"), "n_parameters_"),
    "a loss": ("deep_nmf", put(loss_="low"), "loss_"),
    "updates": ("sparse_nmf", put(max_iter=10**9), "max_iter is 1000000000"),
    "no components": ("sparse_nmf", remove("components_"), "has no components_"),
    "other components": ("sparse_nmf", put(n_components=10**9), "components_ do not fit"),
    "negative components": ("sparse_nmf", element("components_", -1), "negative somewhere"),
    "a bad scale": ("sparse_nmf", put(data_scale_=-1.0), "positive number"),
    "hidden units": ("mean_field", put(hidden_layer_sizes=10**9), "hidden_layer_sizes"),
    "other units": (
        "mean_field",
        put(hidden_layer_sizes={"tuple": [10**9, 2]}),
        "hidden_layer_sizes",
    ),
    "sweeps": ("mean_field", put(n_layers=10**6), "n_layers is 1000000"),
    "no potentials": ("mean_field", put(potentials_=[]), "not those of n_layers=2"),
    "potentials of numbers": ("mean_field", put(potentials_=[1, 2]), "something else"),
    "no couplings": (
        "mean_field",
        potentials(lambda model, one: one.update(coefs=[])),
        "no list of arrays",
    ),
    "infinite biases": (
        "mean_field",
        potentials(lambda model, one: model.arrays[one["intercepts"][0]["array"]].fill(np.nan)),
        "not finite",
    ),
    "one wide layer": ("mean_field", potentials(one_wide_layer), "lateral"),
    "hidden edges": ("belief_propagation", potentials(hide_edges), "label_edges_"),
    "classes": ("mean_field", put(n_outputs_=10**9), "classes_ do not fit"),
    "activation": ("mean_field", put(out_activation_="identity"), "classes_ do not fit"),
    "no classes": ("mean_field", remove("classes_"), "has no classes_"),
    "a graph of classes": ("mean_field", put(label_graph="full"), "label_graph"),
    "no graph": ("belief_propagation", put(label_graph=None), "label_edges_"),
    "features of labels": ("belief_propagation", put(n_features_in_=3), "multiple of 4"),
    "untied": ("belief_propagation", put(tied=False), "couplings|tied"),
    "power": ("belief_propagation", put(power=0), "power"),
    "rate": ("enhancer", put(sample_rate=16_000_000), "sample_rate=16000000 is out of range"),
    "rate and window": (
        "enhancer",
        put(sample_rate=16_000_000, window_length=4e-6, hop_length=2e-6),
        "sample_rate=16000000 is out of range",
    ),
    "low rate": ("enhancer", put(sample_rate=64, window_length=1.0, hop_length=0.5), "rate=64"),
    "hop of a sample": ("enhancer", put(hop_length=1 / 16000), "hop_length=6.25e-05 s is too"),
    "context": ("enhancer", put(n_context=10**6), "n_context is 1000000, not"),
    "some context": ("enhancer", put(n_context=3), "66 features, but its frames have 99"),
    "context beyond 64 bits": (
        "enhancer",
        put(n_context={"scalar": ["int64", 2**63 - 1]}),
        "n_context is",
    ),
    "bands": ("enhancer", put(context_bands=10**6), "too many for 33 bins"),
    "averages": ("enhancer", put(context_averages=[1.0]), "features, but its frames"),
    "averages of zero": ("enhancer", put(context_averages=[0.0]), "context_averages"),
    "window": ("enhancer", put(window_length=0.01), "features, but its frames"),
    "no regressor": ("enhancer", put(regressor_=None), "predicts no magnitudes"),
    "targets of masks": ("enhancer", of_regressor(put(n_targets=2)), "source groups"),
    "layers of an enhancer": ("enhancer", of_regressor(put(n_layers=10**6)), "n_layers"),
    "bases of an enhancer": ("enhancer", of_regressor(remove("bases_")), "has no bases_"),
    "an empty pipeline": ("pipeline", put(steps=[]), "no steps"),
    "a step of text": ("pipeline", put(steps=[{"tuple": ["a", "b"]}]), "no step"),
    "steps of numbers": ("pipeline", put(steps=[1, 2]), "no named step"),
    "a network as a scaler": (
        "pipeline",
        lambda model: model.params["steps"].insert(0, {"tuple": ["x", {"estimator": MLP}]}),
        "transforms nothing",
    ),
}
MLP = {"class": "MLPClassifier", "params": {}, "attributes": {}}


@pytest.mark.parametrize("name", FORGED)
def test_forged_numbers(name, tmp_path):
    kind, change, message = FORGED[name]
    model = Model(kind)
    change(model)
    model.write(tmp_path / "forged.model")
    tracemalloc.start()
    began = time.perf_counter()
    with pytest.raises(ValueError, match=rf"(?s)forged\.model is damaged .*({message})"):
        load_model(tmp_path / "forged.model")
    seconds, (_, peak) = time.perf_counter() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < 2
    assert peak < 100e6


@pytest.mark.parametrize("name", sorted(file.stem for file in MODELS.glob("*.model")))
def test_what_is_not_forged_is_read(name, tmp_path):
    load_model(Model(name).write(tmp_path / "model"), classes=[Smoothing])


SCALER = {
    "no features": (put(n_features_in_=None), "n_features_in_"),
    "many features": (put(n_features_in_=10**9), "shape"),
    "a scale of zeros": (array("scale_", np.zeros_like), "zeros"),
    "a scale of NaN": (element("scale_", np.nan), "not finite"),
    "no scale": (remove("scale_"), "has no scale_"),
    "a private attribute": (put(shell_=1), "name of a fitted attribute"),
}


@pytest.mark.parametrize("name", SCALER)
def test_forged_scalers(name, tmp_path):
    change, message = SCALER[name]
    model = Model("pipeline")
    outer = model.tree
    model.tree = model.params["steps"][0]["tuple"][1]["estimator"]
    change(model)
    model.document["model"] = outer
    with pytest.raises(ValueError, match=f"(?s)forged is damaged .*({message})"):
        load_model(model.write(tmp_path / "forged"))


def test_a_model_that_no_longer_fits_its_parameters_is_not_written(tmp_path):
    X = np.random.default_rng(0).uniform(size=(20, 3))
    model = DeepNMFRegressor(2, n_layers=2, max_iter=1, random_state=0).fit(X, X)
    model.set_params(n_layers=3)
    with pytest.raises(ValueError, match=r"cannot be saved: n_layers=3, but .* set it back"):
        save_model(model, tmp_path / "model")
    classifier = UnfoldedMeanFieldClassifier(2, max_iter=1, random_state=0)
    classifier.fit(X, X[:, 0] > 0.5).set_params(hidden_layer_sizes=3)
    with pytest.raises(ValueError, match="cannot be saved: hidden_layer_sizes"):
        save_model(classifier, tmp_path / "model")
    assert not list(tmp_path.iterdir())


class Bad:
    """A regressor that is fitted, and then fails in one of several ways."""

    def __init__(self, result):
        self.result = result

    def predict(self, X):
        if isinstance(self.result, Exception):
            raise self.result
        return np.full((len(X), 33), self.result)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (AttributeError("'NoneType' object"), "failed to predict: 'NoneType' object"),
        (np.nan, "not finite"),
        (np.inf, "not finite"),
        (1e30, "not finite, or above"),
        (np.zeros(33)[:, None, None], "regressor failed|shape"),
    ],
    ids=str,
)
def test_the_recording_is_not_to_blame(result, message):
    enhancer = load_model(MODELS / "enhancer.model")
    enhancer.regressor_ = Bad(result)
    waveform = 0.1 * np.random.default_rng(0).normal(size=4000)
    with pytest.raises(RegressorError, match=f"enhancer's regressor.*({message})"):
        enhancer.enhance(waveform)


def test_the_command_line_names_the_model(tmp_path, capsys, monkeypatch):
    soundfile.write(tmp_path / "x.wav", np.zeros(1000) + 0.01, 16000)
    arguments = [str(tmp_path / name) for name in ("bad.model", "x.wav")]
    arguments = ["enhance", "-m", *arguments, "-o", str(tmp_path / "out.wav")]
    model = Model("enhancer")
    model.regressor.attributes.pop("output_bases_")
    model.write(tmp_path / "bad.model")
    assert cli.main(arguments) == 1
    printed = capsys.readouterr()
    assert "bad.model is damaged or is not a skunfold model file" in printed.err
    assert "x.wav" not in printed.err
    # One whose numbers each make sense, but not together.
    Model("enhancer").write(tmp_path / "bad.model")
    monkeypatch.setattr(Inference, "predictions", lambda *_: np.full((100, 33), np.nan))
    monkeypatch.setattr("skunfold._model_files.checks._check_prediction", lambda *_: None)
    assert cli.main(arguments) == 1
    printed = capsys.readouterr()
    assert f"The model in {tmp_path / 'bad.model'} cannot be used" in printed.err
    assert "x.wav" not in printed.err
    assert not (tmp_path / "out.wav").exists()


def test_settings_beyond_all_use_are_refused_before_training():
    waveforms = list(np.random.default_rng(0).normal(size=(2, 8000)))
    for params, message in (
        ({"sample_rate": 16_000_000}, "sample_rate=16000000 is out of range; give 1000 to"),
        (
            {"hop_length": 1 / 16000},
            r"too short; give at least 0.0016 s for window_length=0.025",
        ),
        ({"context_bands": 10**9}, "too many for 201 bins"),
    ):
        with pytest.raises(ValueError, match=message):
            SpeechEnhancer(**params).fit_sources(waveforms[:1], waveforms[1:])
    with pytest.raises(ValueError, match="too many for 100000 bins"):
        mel_bands(100_000, 10_000)


def test_whole_numbers_are_no_booleans():
    with pytest.raises(ValueError, match="its x is True, not a whole number from 0 to 5"):
        whole_number("x", True, 0, 5)


def test_targets_of_masks_follow_from_the_groups(tmp_path):
    def with_targets(n_targets):
        kind = Model("unfolded_mask")
        readouts = [kind.tree["params"]["readout"], kind.tree["attributes"]["readout_"]]
        for readout in readouts:
            readout["estimator"]["params"]["n_targets"] = n_targets
        return kind.write(tmp_path / "model")

    assert load_model(with_targets(1), classes=[Smoothing]).readout.group_sizes == (2, 2)
    with pytest.raises(ValueError, match="its n_targets=2 does not fit its group_sizes"):
        load_model(with_targets(2), classes=[Smoothing])


def test_parameters_that_have_become_others_are_read(tmp_path):
    kind = Model("deep_nmf_float32")
    put(n_targets=1, recurrence=0.5, recurrence_length=20.0)(kind)
    model = load_model(kind.write(tmp_path / "model"))
    assert model.recurrence == (0.5, 20.0)
    of_two = Model("deep_nmf_float32")
    put(n_components=3, n_targets=2)(of_two)
    of_two.attributes.clear()
    of_two.tree.pop("training", None)
    assert load_model(of_two.write(tmp_path / "model")).n_components == (3, 3, 3)
