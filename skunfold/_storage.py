"""Files: found in folders, larger than memory, written whole or not at all."""

import errno
import math
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from sklearn import get_config

from skunfold._text import printable

NO_ROOM = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}  # only writing raises these
_IN_MEMORY = 1 << 24  # bytes of a recording that are kept there


def working_memory():
    """Return the limit, in bytes: ``sklearn.set_config(working_memory=MiB)``; else 1 GiB."""
    return int(get_config()["working_memory"] * 2**20)


def large_array(shape, dtype):
    """Return an uninitialised array: in memory, or in a temporary file if it is over the limit.

    The file is gone as soon as the array is.
    """
    if math.prod(shape) * np.dtype(dtype).itemsize <= working_memory():
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile(prefix="skunfold-") as file:
        return np.memmap(file, dtype, "w+", shape=shape)


def find_files(
    root: Path, wanted: Callable[[Path], bool], *, but: Path | None = None
) -> tuple[list[Path], list[str]]:
    """Look for files below a folder. What is hidden, by a dot, is left out.

    Parameters
    ----------
    root : Path
        The folder.
    wanted : callable
        Takes the path of a file, says by its name whether to look for it.
    but : Path or None
        A resolved folder that is not searched.

    Returns
    -------
    names : list of Path
        Paths below the folder, sorted.
    left_out : list of str
        Sentences about folders that could not be searched, links to folders, which are not
        followed, and wanted files that cannot be reached, such as links to nothing.
    """
    names: list[Path] = []
    left_out: list[str] = []

    def note(error: OSError) -> None:
        left_out.append(f"{printable(error.filename)} is left out: {error.strerror}.")

    for place, folders, files in os.walk(root, onerror=note):
        here = Path(place)
        folders[:] = [
            name
            for name in sorted(folders)
            if not name.startswith(".") and (here / name).resolve() != but
        ]
        left_out.extend(
            f"{printable(here / name)} is left out: it is a link to a folder."
            for name in folders
            if (here / name).is_symlink()
        )
        for file in (here / name for name in sorted(files) if not name.startswith(".")):
            if wanted(file):
                try:
                    if stat.S_ISREG(file.stat().st_mode):
                        names.append(file.relative_to(root))
                    else:
                        left_out.append(
                            f"{printable(file)} is left out: it is no regular file."
                        )
                except OSError as error:
                    note(error)
    return sorted(names), left_out


@contextmanager
def replacing(target: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield the path of a new file in the same folder, which takes the place of the target.

    It does so once the block ends and all is on the disk. If the block fails, what was written
    is removed, and an existing file is left unchanged. Links are followed, and the permissions
    of an existing file are kept. If the disk is full, or the new file fails, the error names
    the target.
    """
    place = Path(os.path.realpath(target))
    temporary = place.with_name(f".skunfold-{secrets.token_hex(8)}.tmp")
    try:
        yield temporary
        if place.exists():
            shutil.copymode(place, temporary)
        _flush_to_disk(temporary)
        os.replace(temporary, place)
    except OSError as error:
        if error.errno in NO_ROOM or str(error.filename) == str(temporary):
            raise OSError(error.errno, error.strerror, os.fspath(target)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


class Spool(tempfile.SpooledTemporaryFile):
    """A binary file in memory, or if much is written in a temporary file.

    Parameters
    ----------
    name : str
        What messages call it.
    """

    def __init__(self, name: str) -> None:
        super().__init__(_IN_MEMORY, prefix="skunfold-")
        self._label = name

    def __repr__(self) -> str:
        return self._label

    @contextmanager
    def filling(self) -> Iterator[None]:
        """Go to the start once the block has written all; an error closes the file.

        An error for want of room names the temporary folder.
        """
        try:
            yield
            self.seek(0)
        except BaseException as error:
            with suppress(OSError):  # there is still no room
                self.close()
            if isinstance(error, OSError) and error.errno in NO_ROOM and not error.filename:
                folder = tempfile.gettempdir()
                raise OSError(error.errno, error.strerror, folder) from error
            raise


def _flush_to_disk(file: Path) -> None:
    """Wait until a file is on the disk: no crash can then leave its name without its data."""
    descriptor = os.open(file, os.O_RDWR)
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(file)) from error
    finally:
        os.close(descriptor)
