"""Model files that are only data: arrays and one JSON document in one zip file.

A model file has the layout of NumPy's ``.npz``, so that any zip tool shows what is in it:

- ``model.json``: format, version, and a tree of class names, constructor parameters and fitted
  attributes
- ``array_0.npy``, ``array_1.npy``, ...: the numeric arrays the tree refers to

Classes come from a closed table, nothing is unpickled, and nothing is compressed: reading a
file takes no more memory than its size promises.
"""

import copy
import os
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from skunfold._model_files.archive import (
    DOCUMENT,
    ModelStream,
    NewerFormatError,
    encoded,
    read_archive,
    write_archive,
)
from skunfold._model_files.tree import FITTED_NAME, check_classes_of_user
from skunfold._storage import replacing

__all__ = ["Checkpoint", "load_model", "save_model"]


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
    text, arrays = encoded(estimator, training_state)
    with replacing(target) as temporary, open(temporary, "xb") as stream:
        write_archive(stream, text, arrays)


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
    with ModelStream(file) as stream:
        try:
            return read_archive(stream, os.fstat(stream.fileno()).st_size, classes)
        except NewerFormatError as error:
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
        encoded(unfitted, training_state=False)

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
        with ModelStream(file) as stream, zipfile.ZipFile(stream) as archive:
            return DOCUMENT in archive.namelist()
    except Exception:  # whatever zipfile comes across in something else
        return False


def _without_callbacks(estimator: Any) -> Any:
    """Return a shallow copy, whose callbacks are not those of the estimator."""
    return copy.copy(estimator).set_callbacks()
