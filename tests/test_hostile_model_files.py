"""Hostile model files are refused by one sentence, run no code, and cost next to nothing."""

import io
import json
import os
import pickle
import zipfile

import numpy as np
import pytest

from skunfold.model_files import load_model, save_model
from skunfold.sparse_nmf import SparseNMF


def write_model(file, document, members=(), compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("model.json", document)
        for name, data in members:
            archive.writestr(name, data)


def document(value, **changes):
    tree = {"class": "SparseNMF", "params": {"init": value}, "attributes": {}}
    whole = {"format": "skunfold-model", "version": 1, "skunfold": "0.1.0", "strings": []}
    return {**whole, "model": tree, **changes}


def npy(array, **options):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, **options)
    return stream.getvalue()


def header_only(descr, shape):
    stream = io.BytesIO()
    content = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, content)
    return stream.getvalue()


class Bomb:
    """A pickle that would set a flag if it were opened."""

    exploded: list = []

    def __reduce__(self):
        return (Bomb.exploded.append, (True,))


HOSTILE_ARRAYS = {
    "missing": [],
    "a pickle": [("array_0.npy", pickle.dumps(Bomb()))],
    "an object array": [("array_0.npy", npy(np.array([Bomb()], dtype=object)))],
    "a huge shape": [("array_0.npy", header_only("<f8", (10**9, 10**6)))],
    "empty columns": [("array_0.npy", header_only("<f8", (10**9, 0)))],
    "a huge shape without size": [("array_0.npy", header_only("<f8", (0, 10**15)))],
    "an overflowing shape": [("array_0.npy", header_only("<f8", (2**32, 2**32)) + bytes(8))],
    "many dimensions": [("array_0.npy", header_only("<f8", (1,) * 100) + bytes(8))],
    "a structured type": [("array_0.npy", header_only("V800", (1,)) + bytes(800))],
    "too few bytes": [("array_0.npy", npy(np.ones(9))[:-1])],
    "too many bytes": [("array_0.npy", npy(np.ones(9)) + b"\0")],
    "an expression": [("array_0.npy", npy(np.ones(9)).replace(b"(9,)", b"9**9"))],
    "version 2": [("array_0.npy", npy(np.ones(9), version=(2, 0)))],
    "nothing": [("array_0.npy", b"")],
}


@pytest.mark.parametrize("name", HOSTILE_ARRAYS)
def test_hostile_arrays(name, tmp_path):
    write_model(tmp_path / "evil", json.dumps(document({"array": 0})), HOSTILE_ARRAYS[name])
    with pytest.raises(ValueError, match="evil is damaged or is not a skunfold model file"):
        load_model(tmp_path / "evil")
    assert not Bomb.exploded


def strings(dtype, shape, values):
    return {"strings": [{"dtype": dtype, "shape": shape, "values": values}]}


def estimator_node(**changes):
    return {"estimator": {"class": "SparseNMF", "params": {}, "attributes": {}, **changes}}


CACHED = {"class": "DeepNMFRegressor", "params": {"memory": "/tmp"}, "attributes": {}}
HOSTILE_DOCUMENTS = {
    "not JSON": ("{", "Expecting"),
    "not an object": ("[]", "does not name the format"),
    "another format": ("{}", "does not name the format"),
    "deep brackets": ("[" * 10**5, "recursion|Stack overflow"),
    "many values": ("[" + "[]," * 10**6 + "1]", "more than 800000 values"),
    "many estimators": (document([estimator_node()] * 101), "more than 100 estimators"),
    "equal keys": (document({"dict": [[1, 2], [True, 3]]}), "two keys"),
    "a list as a key": (document({"dict": [[[], 2]]}), "where that is not allowed"),
    "an array before the first": (document({"array": -1}), "refers to an array -1"),
    "deep values": (document(json.loads("[" * 40 + "]" * 40)), "nested more than"),
    "a huge integer": ('{"version": ' + "9" * 10**5 + "}", "integer string conversion"),
    "a strange version": (document(1, version="1"), "version"),
    "no model": (document(1, model=None), "where that is not allowed"),
    "an unknown class": (document(estimator_node(**{"class": "os.system"})), "os.system"),
    "a class that is a list": (document(estimator_node(**{"class": []})), "is not allowed"),
    "an unknown parameter": (document(estimator_node(params={"shell": 1})), "no parameter"),
    "a cache": (document({"estimator": CACHED}), "files could run code"),
    "a sparse class": (document({"sparse": {"class": "linalg"}}), "unknown class"),
    **{
        f"{kind} of rows": (document({"sparse": {"class": f"{kind}_array"}}), "unknown class")
        for kind in ("bsr", "dia", "dok", "lil")
    },
    "a method": (document(estimator_node(attributes={"predict": 1})), "name of a fitted"),
    "a dunder": (document(estimator_node(attributes={"__class__": 1})), "name of a fitted"),
    "an unknown kind": (document({"pickle": "x"}), "unknown kind"),
    "two kinds": (document({"array": 0, "tuple": []}), "too many values"),
    "an unknown float": (document({"float": "1e400"}), "1e400"),
    "an unknown scalar": (document({"scalar": ["object", 1]}), "unknown type"),
    "a scalar that is a list": (document({"scalar": ["float32", [1, 2]]}), "is not allowed"),
    "a scalar out of range": (document({"scalar": ["int64", 10**30]}), "too large|too big"),
    "strings of numbers": (document({"strings": 0}, **strings("<f8", [1], ["1"])), "f8"),
    "numbers for strings": (document({"strings": 0}, **strings("|O", [1], [1])), "not allowed"),
    "wrong shape": (document({"strings": 0}, **strings("|O", [2], ["a"])), "reshape"),
    "wide strings": (document({"strings": 0}, **strings("<U99999999", [1], ["a"])), "large"),
    "no strings": (document({"strings": 7}), "range"),
}


@pytest.mark.parametrize("name", HOSTILE_DOCUMENTS)
def test_hostile_documents(name, tmp_path):
    text, message = HOSTILE_DOCUMENTS[name]
    write_model(tmp_path / "evil", text if isinstance(text, str) else json.dumps(text))
    with pytest.raises(ValueError, match=f"(?s)evil is damaged .*{message}"):
        load_model(tmp_path / "evil")


def test_newer_format(tmp_path):
    write_model(tmp_path / "new", json.dumps(document(1, version=2, skunfold="9.0", strings=0)))
    with pytest.raises(
        ValueError, match=r"new was written by skunfold '9.0' in model file format 2"
    ):
        load_model(tmp_path / "new")


def test_compressed_and_lying_archives(tmp_path, monkeypatch):
    evil = tmp_path / "evil"
    bomb = [("array_0.npy", bytes(10**7))]
    write_model(evil, json.dumps(document(1)), bomb, zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match="compressed"):
        load_model(evil)
    save_model(SparseNMF(init=np.ones((3, 3))), evil)
    data = bytearray(evil.read_bytes())
    entry = data.rindex(b"PK\x01\x02")
    data[entry + 20 : entry + 28] = (2**31).to_bytes(4, "little") * 2
    evil.write_bytes(data)
    with pytest.raises(ValueError, match="claim more bytes than the file has"):
        load_model(evil)
    monkeypatch.setattr("skunfold._model_files.archive._MAX_DOCUMENT_BYTES", 10)
    write_model(evil, json.dumps(document(1)))
    with pytest.raises(ValueError, match="larger than"):
        load_model(evil)


@pytest.mark.parametrize("kind", ["coo_array", "csr_matrix", "csc_array"])
@pytest.mark.parametrize("shape", [(3 * 10**7, 3), (3, 3 * 10**7), (2**62, 2**62)])
def test_a_sparse_matrix_of_nothing_but_rows(tmp_path, kind, shape):
    empty = [(f"array_{i}.npy", npy(np.zeros(0, int))) for i in range(3)]
    parts = {name: {"array": i} for i, name in enumerate(("row", "col", "data"))}
    node = {"sparse": {"class": kind, "shape": shape, **parts}}
    write_model(tmp_path / "evil", json.dumps(document(node)), empty)
    with pytest.raises(ValueError, match=r"evil is damaged .* too many for .* bytes"):
        load_model(tmp_path / "evil")
    small = {"sparse": {"class": kind, "shape": (10_000, 3), **parts}}
    write_model(tmp_path / "evil", json.dumps(document([small] * 1000)), empty)
    with pytest.raises(ValueError, match="too many for"):
        load_model(tmp_path / "evil")


def test_a_file_of_nothing_but_names(tmp_path):
    with zipfile.ZipFile(tmp_path / "evil", "w") as archive:
        for i in range(100):
            archive.writestr(zipfile.ZipInfo(f"{i:60000}"), b"")
    with pytest.raises(ValueError, match=r"evil is damaged .* directory is larger"):
        load_model(tmp_path / "evil")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_or_a_device_is_no_model(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for file in (tmp_path / "pipe", os.devnull):
        with pytest.raises(ValueError, match="is a pipe or a device; name the model's file"):
            load_model(file)
    with pytest.raises(FileExistsError, match="exists and is no model"):
        save_model(SparseNMF(), tmp_path / "pipe")
