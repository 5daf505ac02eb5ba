"""The zip file of a model: one JSON document and arrays, whose sizes are checked first."""

import io
import json
import math
import re
import zipfile
from collections.abc import Sequence
from typing import Any, BinaryIO, Literal

import numpy as np
from sklearn.base import BaseEstimator

from skunfold._model_files.reading import TreeReader
from skunfold._model_files.tree import NUMERIC_TYPE
from skunfold._model_files.values import check_sparse_size, shown
from skunfold._model_files.writing import TreeWriter
from skunfold._version import __version__

_FORMAT = "skunfold-model"
_VERSION = 1
DOCUMENT = "model.json"
_MAX_DOCUMENT_BYTES = 1 << 24
_MAX_DOCUMENT_VALUES = 800_000  # which take up to 100 bytes each, once read
_MAX_DIRECTORY_BYTES = 1 << 22  # of the zip file: some 50,000 arrays
_MAX_EMPTY_ROWS = 1 << 20  # which cost a file nothing
_MAX_DIMENSIONS = 32
# The header of a .npy file, to the letter as NumPy writes it.
_NPY_HEADER = re.compile(
    r"\{'descr': '([^']*)', 'fortran_order': (True|False), "
    r"'shape': \(((?:\d{1,15}, )*(?:\d{1,15},?)?)\), \} *\n"
)


class ModelStream(io.FileIO):
    """A file, of which no more than the directory of a model is read before it is checked."""

    unchecked = True

    def read(self, size: int | None = -1, /) -> bytes:
        """Read bytes; zipfile asks for its whole directory at once."""
        if self.unchecked:
            if size is None or size < 0:  # the end of the file, after its directory
                size = _MAX_DIRECTORY_BYTES
            if size > _MAX_DIRECTORY_BYTES:
                raise ValueError("its directory is larger than that of any model")
        return super().read(size)


class NewerFormatError(Exception):
    """The file is sound, but newer than this code."""


def encoded(estimator: BaseEstimator, training_state: bool) -> tuple[str, list[np.ndarray]]:
    """Return the document of an estimator and the arrays that it refers to."""
    name = type(estimator).__name__
    writer = TreeWriter(training_state)
    tree = writer.encode_estimator(estimator, name, 0)
    document = {"format": _FORMAT, "version": _VERSION, "skunfold": __version__}
    text = json.dumps({**document, "strings": writer.strings, "model": tree}, allow_nan=False)
    if len(text) > _MAX_DOCUMENT_BYTES:
        raise ValueError(
            f"The lists and strings of this {name} take {len(text)} bytes, more than the "
            f"{_MAX_DOCUMENT_BYTES} a model file may hold; keep numbers in arrays."
        )
    if (n_values := _count_values(text.encode())) > _MAX_DOCUMENT_VALUES:
        raise ValueError(
            f"The lists of this {name} hold {n_values} values, more than the "
            f"{_MAX_DOCUMENT_VALUES} a model file may hold; keep numbers in arrays."
        )
    n_bytes = len(text) + sum(array.nbytes for array in writer.arrays)
    check_sparse_size(writer.sparse_size, n_bytes)
    return text, writer.arrays


def write_archive(stream: BinaryIO, text: str, arrays: list[np.ndarray]) -> None:
    """Write the document and the arrays, uncompressed and without dates."""
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(DOCUMENT), text)
        for i, array in enumerate(arrays):
            info = zipfile.ZipInfo(f"array_{i}.npy")
            with archive.open(info, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)


def _count_values(text: bytes) -> int:
    """Return how many values a document has at most: what brackets and commas separate."""
    return sum(text.count(mark) for mark in (b",", b"[", b"{"))


def read_archive(stream: ModelStream, size: int, classes: Sequence[type]) -> Any:
    """Check the archive's declared sizes against the file's, then read its tree."""
    with zipfile.ZipFile(stream) as archive:
        stream.unchecked = False
        members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("it is compressed, as no model file is")
        if sum(member.file_size for member in members) > size:
            raise ValueError("its parts claim more bytes than the file has")
        if archive.getinfo(DOCUMENT).file_size > _MAX_DOCUMENT_BYTES:
            raise ValueError(f"its {DOCUMENT} is larger than {_MAX_DOCUMENT_BYTES} bytes")
        text = archive.read(DOCUMENT)
        if _count_values(text) > _MAX_DOCUMENT_VALUES:
            raise ValueError(f"its {DOCUMENT} holds more than {_MAX_DOCUMENT_VALUES} values")
        document = json.loads(text.decode("utf-8"))
        if not isinstance(document, dict) or document.get("format") != _FORMAT:
            raise ValueError(f"its {DOCUMENT} does not name the format {_FORMAT!r}")
        version = document["version"]
        if type(version) is not int or version < 1:
            raise ValueError(f"its format version {shown(version)} is not a positive integer")
        if version > _VERSION:
            writer = shown(document.get("skunfold"))
            raise NewerFormatError(
                f"was written by skunfold {writer} in model file format {version}; skunfold "
                f"{__version__} reads formats up to {_VERSION}: upgrade it."
            )
        reader = TreeReader(
            lambda index: _decode_array(archive.read(f"array_{index}.npy"), index),
            document["strings"],
            size,
            classes,
        )
        return reader.decode_estimator(document["model"], 0)


def _decode_array(data: bytes, index: int) -> np.ndarray:
    """Read a .npy file of version 1.0 that holds numbers; its shape must match its size."""
    start = 10 + int.from_bytes(data[8:10], "little")
    header = _NPY_HEADER.fullmatch(data[10:start].decode("latin1"))
    if data[:8] != b"\x93NUMPY\x01\x00" or header is None:
        raise ValueError(f"array {index} does not begin as an array does")
    if not NUMERIC_TYPE.fullmatch(header[1]):
        raise ValueError(f"array {index} is of type {shown(header[1])}, not of numbers")
    dtype = np.dtype(header[1])
    shape = tuple(int(n) for n in re.findall(r"\d+", header[3]))
    size = len(data) - start
    if len(shape) > _MAX_DIMENSIONS or math.prod(shape) * dtype.itemsize != size:
        raise ValueError(f"array {index} has {size} bytes, but declares the shape {shape}")
    if size == 0 and max(shape) > _MAX_EMPTY_ROWS:
        raise ValueError(f"array {index} is empty, but declares the shape {shape}")
    order: Literal["C", "F"] = "F" if header[2] == "True" else "C"
    return np.ndarray(shape, dtype, buffer=data, offset=start, order=order).copy(order)
