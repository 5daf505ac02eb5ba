"""Model files that are only data: arrays and one JSON document in one zip file.

A model file has the layout of NumPy's ``.npz``, so that any zip tool shows what is in it:

- ``model.json``: format, version, and a tree of class names, constructor parameters and fitted
  attributes
- ``array_0.npy``, ``array_1.npy``, ...: the numeric arrays the tree refers to

Classes come from a closed table, nothing is unpickled, and nothing is compressed: reading a
file takes no more memory than its size promises.
"""

import copy
import io
import json
import math
import os
import re
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from sklearn.base import BaseEstimator

from skunfold._model_files.tree import (
    FITTED_NAME,
    NUMERIC_TYPE,
    TreeReader,
    TreeWriter,
    check_classes_of_user,
)
from skunfold._model_files.values import check_sparse_size, shown
from skunfold._storage import replacing
from skunfold._version import __version__

__all__ = ["Checkpoint", "load_model", "save_model"]

_FORMAT = "skunfold-model"
_VERSION = 1
_DOCUMENT = "model.json"
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


def save_model(
    estimator: BaseEstimator, file: str | os.PathLike, *, training_state: bool = False
) -> None:
    """Write an estimator of skunfold to a model file.

    The file holds the constructor parameters and the public fitted attributes (names that end
    in an underscore) as data, never as code; `load_model` restores an estimator whose
    predictions are bit-identical.  The file is put in place only once it is complete: a model
    that was there before is intact until then.

    Parameters
    ----------
    estimator : estimator of skunfold
        Any of its classes, usually fitted; or a pipeline of them and of scikit-learn's scalers
        (MaxAbsScaler, MinMaxScaler, StandardScaler, RobustScaler, Normalizer, Binarizer, and
        FunctionTransformer without functions).  Among its parameters may be estimators of
        skunfold, such pipelines, FrozenEstimators, and scikit-learn's NMF, BernoulliRBM and
        MLPClassifier.  Of the last three only what they learned is stored, not what they need
        to be trained further.
    file : str or path-like
        Where to write.  Any name is allowed; no suffix is added.  An existing model file is
        replaced.
    training_state : bool, default=False
        Whether to store the state of training between two epochs as well: parameters, step
        size, running averages, random numbers.  The loaded model's `fit` with
        ``warm_start=True`` then continues as that of the saved one would have.  It makes the
        file up to five times as large.

    Raises
    ------
    TypeError
        If the estimator holds something that is not data: another kind of estimator, a
        function, a ``RandomState``, a callback.  Nothing is written.
    ValueError
        If a parameter is out of its range or does not fit what was learned, if its lists,
        dictionaries and strings take more than 16 MiB or hold more than 800,000 values, or if
        a sparse matrix has millions of rows and next to no elements.  Nothing is written.
    OSError
        If the file cannot be written, or exists and is not a model file.

    See Also
    --------
    load_model : The inverse.

    Notes
    -----
    Settings that scikit-learn keeps outside the parameters (``set_output``, metadata requests)
    are not stored.  Sparse matrices of other formats than COO, CSR and CSC are stored as CSR.
    Of a search, save the ``best_estimator_``.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skunfold.sparse_nmf import SparseNMF
    >>> file = Path(tempfile.mkdtemp()) / "model"
    >>> save_model(SparseNMF(n_components=3), file)
    >>> load_model(file).n_components
    3
    """
    target = check_model_target(file)
    text, arrays = _encoded(estimator, training_state)
    with replacing(target) as temporary, open(temporary, "xb") as stream:
        _write_archive(stream, text, arrays)


def load_model(file: str | os.PathLike, *, classes: Sequence[type] = ()) -> Any:
    """Read an estimator from a model file.

    A model file is only data: whatever it holds, reading it runs no code from the file, and
    takes no more memory than a small multiple of the file's size.  Its values are checked:
    parameters must be in their ranges, arrays finite and, where the model needs it,
    non-negative, and their shapes must agree.

    Parameters
    ----------
    file : str or path-like
        A file that `save_model` wrote.
    classes : sequence of type, default=()
        Your own iterations and readouts (`skunfold.unfolding`) that the file may hold. Their
        constructors are called with parameters from the file; no other class is ever looked
        up by a name from it.

    Returns
    -------
    estimator
        The estimator, with the parameters and fitted attributes it had.

    Raises
    ------
    ValueError
        If the file is damaged, is not a model file or not a regular file (a pipe, a device),
        holds invalid values, or was written in a format newer than this version of skunfold
        reads.
    TypeError
        If `classes` holds anything but iterations and readouts.
    OSError
        If the file does not exist or may not be read.

    See Also
    --------
    save_model : The inverse.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> file = Path(tempfile.mkdtemp()) / "notes.txt"
    >>> _ = file.write_text("not a model")
    >>> load_model(file)
    Traceback (most recent call last):
        ...
    ValueError: ...notes.txt is damaged or is not a skunfold model file: File is not a zip file.
    """
    check_classes_of_user(classes)
    if not os.path.exists(file):
        raise FileNotFoundError(f"There is no file {os.fspath(file)}; check the path.")
    if os.path.isdir(file):
        raise IsADirectoryError(f"{os.fspath(file)} is a folder; name the model's file.")
    if not os.path.isfile(file):  # opening a pipe would wait for a writer
        raise ValueError(f"{os.fspath(file)} is a pipe or a device; name the model's file.")
    with _ModelStream(file) as stream:
        try:
            return _read_archive(stream, os.fstat(stream.fileno()).st_size, classes)
        except _NewerFormatError as error:
            raise ValueError(f"{os.fspath(file)} {error}") from None
        # Damage shows itself in many ways inside zipfile, json and NumPy; to the caller all of
        # them are the same.
        except Exception as error:
            reason = " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__
            raise ValueError(
                f"{os.fspath(file)} is damaged or is not a skunfold model file: {reason}."
            ) from error


class Checkpoint:
    """Write a model file every few epochs of a fit, for training that may be interrupted.

    A callback for scikit-learn 1.9 or newer: ``estimator.set_callbacks(Checkpoint(file))``.
    The file holds the model as it would be if the fit had ended there, and the state of
    training, so that a fit of the loaded model with ``warm_start=True`` continues as if it had
    not been interrupted.  A new checkpoint replaces the last one only once it is complete.

    Parameters
    ----------
    file : str or path-like
        The model file.  All fits of an estimator and of its clones write the same one.
    every : int, default=1
        Number of epochs between two checkpoints, at least 1.  The last checkpoint is always
        written at the end of the fit.

    Raises
    ------
    TypeError
        From `fit`, before training begins, if the estimator holds something that a model file
        cannot, such as a ``RandomState`` or a cache (`memory`).
    OSError
        From `fit`, before training begins, if there is no folder for the file, or if the file
        exists and is not a model file.

    Warns
    -----
    UserWarning
        If a checkpoint could not be written, for example on a full disk.  Training continues,
        and the last checkpoint is kept.

    See Also
    --------
    load_model : Reads the file.

    Notes
    -----
    Give the continued fit the same data and parameters, except `max_iter`, which counts the
    epochs to come; then the result is bit-identical.  Two things are lost: with
    ``random_state=None`` which samples were held out, and the estimate of the curvature of the
    solver "lbfgs".

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_iris
    >>> from skunfold import UnfoldedMeanFieldClassifier
    >>> from skunfold.model_files import Checkpoint, load_model
    >>> X, y = load_iris(return_X_y=True)
    >>> file = Path(tempfile.mkdtemp()) / "model"
    >>> classifier = UnfoldedMeanFieldClassifier(5, max_iter=4, tol=0, random_state=0)
    >>> classifier.set_callbacks(Checkpoint(file, every=2)).fit(X, y)  # doctest: +SKIP
    >>> model = load_model(file).set_params(warm_start=True)  # doctest: +SKIP
    >>> model.set_params(max_iter=6 - len(model.history_)).fit(X, y)  # doctest: +SKIP
    """

    def __init__(self, file: str | os.PathLike, *, every: int = 1) -> None:
        if isinstance(every, bool) or not isinstance(every, int | np.integer) or every < 1:
            raise ValueError(f"every must be a positive integer, got {every!r}; 1 is usual")
        self.file = Path(file)
        self.every = every

    def setup(self, estimator: Any, context: Any) -> None:
        """Check, before a fit begins, that it can be saved."""
        check_model_target(self.file)
        unfitted = _without_callbacks(estimator)
        for name in filter(FITTED_NAME.fullmatch, list(vars(unfitted))):
            delattr(unfitted, name)  # the last fit may have been one of other parameters
        _encoded(unfitted, training_state=False)

    def teardown(self, estimator: Any, context: Any) -> None:
        """Leave the file as it is."""

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Wait for the end of the task."""

    def on_fit_task_end(self, estimator: Any, context: Any, *, fitted_estimator: Any) -> None:
        """Write the file if it is time."""
        if context.task_name == "epoch" and (context.task_id + 1) % self.every:
            return
        try:
            save_model(_without_callbacks(fitted_estimator), self.file, training_state=True)
        except OSError as error:
            warnings.warn(
                f"The checkpoint {self.file} could not be written ({error}); training "
                "continues, and the last checkpoint is kept."
            )


def check_model_target(file: str | os.PathLike) -> Path:
    """Return the path to write a model to, with links resolved; raise if it cannot be used."""
    target = Path(os.path.realpath(file))
    if target.is_dir():
        raise IsADirectoryError(f"{file} is a folder; name a file for the model.")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {target.parent}; make it first.")
    if target.exists() and not _may_be_replaced(target):
        raise FileExistsError(f"{file} exists and is no model; choose another name.")
    return target


def _may_be_replaced(file: Path) -> bool:
    """Return whether a file is a model, or empty, so that nothing of the user's is lost."""
    if not file.is_file():
        return False
    if file.stat().st_size == 0:
        return True
    try:
        with _ModelStream(file) as stream, zipfile.ZipFile(stream) as archive:
            return _DOCUMENT in archive.namelist()
    except Exception:  # whatever zipfile comes across in something else
        return False


class _ModelStream(io.FileIO):
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


class _NewerFormatError(Exception):
    """The file is sound, but newer than this code."""


def _without_callbacks(estimator: Any) -> Any:
    """Return a shallow copy, whose callbacks are not those of the estimator."""
    return copy.copy(estimator).set_callbacks()


def _encoded(estimator: BaseEstimator, training_state: bool) -> tuple[str, list[np.ndarray]]:
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


def _write_archive(stream: BinaryIO, text: str, arrays: list[np.ndarray]) -> None:
    """Write the document and the arrays, uncompressed and without dates."""
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(_DOCUMENT), text)
        for i, array in enumerate(arrays):
            info = zipfile.ZipInfo(f"array_{i}.npy")
            with archive.open(info, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)


def _count_values(text: bytes) -> int:
    """Return how many values a document has at most: what brackets and commas separate."""
    return sum(text.count(mark) for mark in (b",", b"[", b"{"))


def _read_archive(stream: _ModelStream, size: int, classes: Sequence[type]) -> Any:
    """Check the archive's declared sizes against the file's, then read its tree."""
    with zipfile.ZipFile(stream) as archive:
        stream.unchecked = False
        members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("it is compressed, as no model file is")
        if sum(member.file_size for member in members) > size:
            raise ValueError("its parts claim more bytes than the file has")
        if archive.getinfo(_DOCUMENT).file_size > _MAX_DOCUMENT_BYTES:
            raise ValueError(f"its {_DOCUMENT} is larger than {_MAX_DOCUMENT_BYTES} bytes")
        text = archive.read(_DOCUMENT)
        if _count_values(text) > _MAX_DOCUMENT_VALUES:
            raise ValueError(f"its {_DOCUMENT} holds more than {_MAX_DOCUMENT_VALUES} values")
        document = json.loads(text.decode("utf-8"))
        if not isinstance(document, dict) or document.get("format") != _FORMAT:
            raise ValueError(f"its {_DOCUMENT} does not name the format {_FORMAT!r}")
        version = document["version"]
        if type(version) is not int or version < 1:
            raise ValueError(f"its format version {shown(version)} is not a positive integer")
        if version > _VERSION:
            writer = shown(document.get("skunfold"))
            raise _NewerFormatError(
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
