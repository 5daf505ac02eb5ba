"""Model files: equal to the bit after a round trip, and never more than data."""

import json
import math
import os
import sys
import zipfile

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans
from sklearn.decomposition import MiniBatchNMF
from sklearn.model_selection import GridSearchCV

from skunfold._model_files import tree as _model_tree
from skunfold.audio import SpeechEnhancer
from skunfold.deep_nmf import DeepNMFRegressor
from skunfold.model_files import load_model, save_model
from skunfold.mrf import UnfoldedBPClassifier
from skunfold.sparse_nmf import SparseNMF


class Tiny(BaseEstimator):
    """An estimator without arithmetic: whatever value, as parameter or attribute."""

    def __init__(self, value=None, inner=None, random_state=None):
        self.value = value
        self.inner = inner
        self.random_state = random_state


@pytest.fixture(autouse=True)
def _register_tiny(monkeypatch):
    monkeypatch.setitem(sys.modules, "tiny_estimators", sys.modules[Tiny.__module__])
    monkeypatch.setitem(_model_tree.CLASSES, "Tiny", "tiny_estimators")


def round_trip(estimator, folder):
    save_model(estimator, folder / "model")
    return load_model(folder / "model")


def assert_same(actual, expected):
    assert type(actual) is type(expected)
    if isinstance(expected, np.ndarray):
        assert actual.dtype == expected.dtype
        np.testing.assert_array_equal(actual, expected)
        assert actual.flags.f_contiguous == expected.flags.f_contiguous
        assert actual.flags.writeable
    elif isinstance(expected, dict):
        assert_same(list(actual), list(expected))
        for key in expected:
            assert_same(actual[key], expected[key])
    elif isinstance(expected, list | tuple):
        assert len(actual) == len(expected)
        for one, other in zip(actual, expected):
            assert_same(one, other)
    elif isinstance(expected, float | np.floating) and math.isnan(expected):
        assert math.isnan(actual)
    else:
        assert actual == expected


VALUES = {
    "none": None,
    "bool": True,
    "int": -(2**70),
    "float": 0.1,
    "nan": math.nan,
    "infinities": [math.inf, -math.inf],
    "str": 'naïve \x00 "quoted" \ud800',
    "list": [1, [2.0, "three"], []],
    "tuple": (1, (None, False), ()),
    "keys of any scalar type": {
        None: [1],
        True: "yes",
        3: (2,),
        -(2**70): None,
        0.5: math.nan,
        math.inf: {1: {2: 3}},
        "text": {"more": {}},
        np.int64(4): 4,
        np.float32(0.1): "float32",
        np.str_("label"): 5,
        np.uint8(7): [],
    },
    "dict": {"array": [1], "tuple": {"": None}, "with space": (1,)},
    "numpy scalars": [np.float32(0.1), np.float64(1 / 3), np.int8(-3), np.uint64(2**64 - 1)],
    "more numpy scalars": [np.bool_(True), np.str_("text"), np.float16(math.inf)],
    "float32": np.arange(6, dtype=np.float32).reshape(2, 3),
    "Fortran order": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "strided": np.arange(20.0).reshape(4, 5)[::2, ::-1],
    "big endian": np.arange(3, dtype=">i4"),
    "booleans": np.array([True, False]),
    "half": np.array([1, math.nan], dtype=np.float16),
    "no rows": np.empty((0, 3), dtype=np.uint8),
    "no dimension": np.array(5.0),
    "str array": np.array([["a", "bcd"], ["", "é"]], dtype="U7"),
    "object array of str": np.array(["a", "trailing\x00"], dtype=object),
}


@pytest.mark.parametrize("name", VALUES)
def test_values(name, tmp_path):
    estimator = Tiny(value=VALUES[name])
    estimator.value_ = VALUES[name]
    estimator.hidden = estimator._hidden_ = "not fitted, not public"
    loaded = round_trip(estimator, tmp_path)
    assert_same(loaded.value, VALUES[name])
    assert_same(loaded.value_, VALUES[name])
    assert set(vars(loaded)) == {"value", "inner", "random_state", "value_"}


def test_shared_arrays_and_nested_estimators(tmp_path):
    weights, names = np.ones((2, 3)), np.array(["x", "y"], dtype=object)
    inner = Tiny(value=weights)
    inner.names_in_ = names
    outer = Tiny(value=[weights, weights.copy()], inner=inner, random_state=3)
    outer.fitted_, outer.names_ = {"inner": inner}, names
    loaded = round_trip(outer, tmp_path)
    assert loaded.value[0] is loaded.inner.value is loaded.fitted_["inner"].value
    assert loaded.value[1] is not loaded.value[0]
    assert loaded.names_ is loaded.inner.names_in_
    assert loaded.random_state == 3


REFUSED = {
    "a function": (lambda x: x, "Tiny.value is of type function"),
    "a RandomState": (np.random.RandomState(0), "set it to an integer or None"),
    "a generator": ([np.random.default_rng(0)], r"Tiny\.value\[0\].*set it to an integer"),
    "another estimator": (KMeans(), "Tiny.value is of class KMeans, .* it holds .* NMF"),
    "bases of another estimator": (
        MiniBatchNMF(2).fit(np.ones((3, 3))),
        "class MiniBatchNMF.*give its components_, an array, instead",
    ),
    "a search": (
        GridSearchCV(
            SparseNMF(), {"n_components": [1]}, cv=2, scoring=lambda model, X: 0.0
        ).fit(np.ones((4, 2))),
        "class GridSearchCV.*save its best_estimator_",
    ),
    "an array of objects": (np.array([None, 1]), "Tiny.value is an array of object"),
    "dates": (np.array(["2020-01-01"], dtype="M8[D]"), "array of datetime64"),
    "a date": (np.datetime64("2020-01-01"), "datetime64.* scalar"),
    "complex numbers": (np.ones(2, dtype=complex), "array of complex128"),
    "tuples as keys": ({"a": {(1,): 2}}, "Tiny.value.a has a key of type tuple.*None will do"),
    "dates as keys": ({np.datetime64("2020-01-01"): 2}, "datetime64.* scalar"),
    "a set": ({1}, "of type set"),
    "many strings": (np.zeros(1000, dtype="U20000"), "use dtype object"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_before_anything_is_written(name, tmp_path):
    value, message = REFUSED[name]
    with pytest.raises(TypeError, match=message):
        save_model(Tiny(value=value), tmp_path / "model")
    assert os.listdir(tmp_path) == []


def test_refused_estimators(tmp_path):
    class Impostor(Tiny):
        pass

    Impostor.__name__ = "Tiny"
    with_callbacks = Tiny()
    with_callbacks._skl_callbacks = [print]
    endless: list = []
    endless.append(endless)
    for estimator, message in (
        (KMeans(), "KMeans is of class KMeans"),
        (Impostor(), "Tiny is of class Tiny"),
        (with_callbacks, "callbacks"),
        (DeepNMFRegressor(memory="cache"), "has a cache"),
        (Tiny(value=endless), "nested more than"),
    ):
        with pytest.raises(TypeError, match=message):
            save_model(estimator, tmp_path / "model")
    with pytest.raises(ValueError, match="keep numbers in arrays"):
        save_model(Tiny(value=["x" * 1000] * 20000), tmp_path / "model")
    assert os.listdir(tmp_path) == []


def test_places_that_cannot_be_written(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a folder"):
        save_model(Tiny(), tmp_path)
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        save_model(Tiny(), tmp_path / "missing" / "model")
    with pytest.raises(FileNotFoundError):
        load_model(tmp_path / "missing")


def test_a_failed_write_keeps_the_old_model(tmp_path, monkeypatch):
    save_model(Tiny(value=1), tmp_path / "model")

    def full(*args, **kwargs):
        raise OSError("No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array", full)
    with pytest.raises(OSError, match="No space"):
        save_model(Tiny(value=np.ones(3)), tmp_path / "model")
    assert load_model(tmp_path / "model").value == 1
    assert os.listdir(tmp_path) == ["model"]


def test_the_layout_is_that_of_npz(tmp_path):
    save_model(Tiny(value=np.arange(3.0)), tmp_path / "model")
    with np.load(tmp_path / "model", allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["array_0"], [0, 1, 2])
        assert json.loads(archive["model.json"])["format"] == "skunfold-model"


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(60, 6)).astype(np.float32)
    y = X[:, 3:] * rng.uniform(size=(60, 3)).astype(np.float32)
    regressor = DeepNMFRegressor(n_components=3, n_layers=4, max_iter=2, random_state=0)
    return regressor.fit(X, y), X


def damaged(data, rng, how):
    data = bytearray(data)
    if how == "truncated":
        return data[: rng.integers(len(data))]
    if how == "blocks":
        first, second = sorted(rng.integers(len(data), size=2))
        return data[:first] + data[second:] + data[first:second]
    for position in rng.integers(len(data), size=rng.integers(1, 4)):
        data[position] ^= 1 << rng.integers(8)
    return data


@pytest.mark.parametrize("how", ["flipped", "truncated", "blocks"])
def test_a_damaged_file_loads_or_says_so(how, fitted, tmp_path):
    save_model(fitted[0], tmp_path / "model")
    data = (tmp_path / "model").read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(200):
        (tmp_path / "damaged").write_bytes(damaged(data, rng, how))
        try:
            load_model(tmp_path / "damaged")
        except ValueError:
            refused += 1
    assert refused > 100


def sharing(arrays):
    """For each array, the first place where the same object stands."""
    return [next(i for i, one in enumerate(arrays) if one is other) for other in arrays]


@pytest.mark.parametrize(
    "params",
    [{}, {"n_trained_layers": 0}, {"tied": True}, {"fit_projections": True, "recurrence": 0.5}],
    ids=str,
)
def test_deep_nmf(params, fitted, tmp_path):
    regressor, X = fitted
    if params:
        y = X[:, 3:] * X[:, :3]
        regressor = DeepNMFRegressor(3, n_layers=4, max_iter=2, random_state=0, **params)
        regressor.fit(X, y)
    loaded = round_trip(regressor, tmp_path)
    np.testing.assert_array_equal(loaded.predict(X), regressor.predict(X))
    assert loaded.predict(X).dtype == np.float32
    for name in {"bases_", "projections_"}.intersection(vars(regressor)):
        assert sharing(getattr(loaded, name)) == sharing(getattr(regressor, name))
    assert loaded.loss_curve_ == regressor.loss_curve_
    assert loaded.get_params() == regressor.get_params()
    public = {name for name in vars(regressor) if not name.startswith("_")}
    assert public == {name for name in vars(loaded) if not name.startswith("_")}


def test_feature_names(tmp_path):
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    X = pandas.DataFrame(rng.uniform(size=(40, 4)), columns=["a", "b", "c", "d"])
    regressor = DeepNMFRegressor(n_components=2, n_layers=2, max_iter=1, random_state=0)
    loaded = round_trip(regressor.fit(X, X.to_numpy()[:, :2]), tmp_path)
    assert loaded.feature_names_in_.dtype == object
    np.testing.assert_array_equal(loaded.predict(X), regressor.predict(X))


@pytest.mark.parametrize(
    "kind", ["coo_array", "csr_matrix", "csc_array", "lil_array", "dia_matrix"]
)
def test_sparse_matrices(tmp_path, kind):
    graph = getattr(sparse, kind)(np.eye(4, k=1) + np.eye(4, k=-1))
    model = UnfoldedBPClassifier((), label_graph=graph, max_iter=2, tol=0, random_state=0)
    X = np.random.default_rng(0).normal(size=(30, 4))
    model.fit(X, (X > 0).astype(int))
    loaded = round_trip(model, tmp_path)
    kept = (
        type(graph) if kind[:3] in ("coo", "csr", "csc") else getattr(sparse, "csr" + kind[3:])
    )
    assert type(loaded.label_graph) is kept
    np.testing.assert_array_equal(loaded.label_graph.toarray(), graph.toarray())
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


def test_speech_enhancer(tmp_path):
    rng = np.random.default_rng(0)
    speech, noise = rng.normal(size=(2, 3, 8000)) * 0.1
    regressor = DeepNMFRegressor(2, n_layers=2, output="mask", max_iter=1, random_state=0)
    enhancer = SpeechEnhancer(regressor, n_context=2, random_state=0)
    enhancer.fit_sources(list(speech), list(noise))
    loaded = round_trip(enhancer, tmp_path)
    np.testing.assert_array_equal(loaded.enhance(speech[0]), enhancer.enhance(speech[0]))
    assert isinstance(loaded.regressor, DeepNMFRegressor)


@pytest.mark.parametrize("name", ["notes.txt", "archive.zip"])
def test_a_file_that_is_no_model_is_not_replaced(tmp_path, name):
    file = tmp_path / name
    if name == "archive.zip":
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("thesis.txt", "all of it")
    else:
        file.write_text("all of it")
    before = file.read_bytes()
    with pytest.raises(FileExistsError, match=f"{name} exists and is no model; choose"):
        save_model(SparseNMF(2), file)
    assert file.read_bytes() == before


def test_a_model_or_an_empty_file_is_replaced(tmp_path):
    file = tmp_path / "model"
    file.touch()
    for n_components in (2, 3):
        save_model(SparseNMF(n_components), file)
        assert load_model(file).n_components == n_components


def test_a_missing_model_and_a_folder_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no file .*nowhere; check the path"):
        load_model(tmp_path / "nowhere")
    with pytest.raises(IsADirectoryError, match="is a folder; name the model's file"):
        load_model(tmp_path)


def test_what_would_not_be_read_is_not_written(tmp_path):
    for estimator, message in (
        (Tiny(value=sparse.coo_array((2**40, 3))), "sparse matrices are .* too many"),
        (Tiny(value=[0] * 10**6), "hold .* values, more than the 800000"),
        (SparseNMF(n_components=-1), "SparseNMF cannot be saved: The 'n_components' parameter"),
        (
            DeepNMFRegressor(init=[SparseNMF(max_iter=0)]),
            r"init\[0\] cannot be saved: .*max_iter",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            save_model(estimator, tmp_path / "model")
    assert os.listdir(tmp_path) == []


def test_what_zipfile_cannot_read_is_not_replaced(tmp_path):
    save_model(Tiny(), tmp_path / "model")
    data = bytearray((tmp_path / "model").read_bytes())
    data[-10:-6] = (2**31).to_bytes(4, "little")  # the length of the directory
    (tmp_path / "model").write_bytes(data)
    with pytest.raises(FileExistsError, match="exists and is no model"):
        save_model(Tiny(), tmp_path / "model")
