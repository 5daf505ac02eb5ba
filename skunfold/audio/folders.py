"""Loading recordings from a folder."""

import os
from pathlib import Path

from sklearn.utils import Bunch

from skunfold._storage import find_files
from skunfold._text import printable
from skunfold.audio.io import read_audio
from skunfold.audio.waveforms import check_rate


def load_recordings(folder: str | os.PathLike[str], *, sample_rate: int = 16000) -> Bunch:
    """Load every recording below a folder as one channel.

    Parameters
    ----------
    folder : path
        Searched with its subfolders for files with the suffix of a format that `read_audio`
        reads (``.wav``, ``.flac``, ``.ogg``, ``.mp3``, ``.aif``, ...), in upper or lower case.
        Hidden files and folders, whose names start with a dot, are left out.
    sample_rate : int, default=16000
        Rate in Hz, above 0, that the recordings are resampled to.

    Returns
    -------
    data : Bunch
        recordings : list of float32 ndarrays of shape (n_samples_i,)
            The waveforms, channels averaged, full scale at +-1.
        names : list of str
            Paths below `folder` with forward slashes, sorted; in the order of `recordings`.
        sample_rate : int
            Rate of every waveform in Hz.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    NotADirectoryError
        If it is a file.
    OSError
        If a subfolder or file cannot be read, or is a link to a folder or to nothing: links to
        folders are not followed.
    ValueError
        If the folder holds no such file, a file cannot be read, is empty or holds NaN or
        infinity, or `sample_rate` is no positive integer.

    See Also
    --------
    load_bundled_recordings : Recordings that come with the package.
    make_mixtures : Mix speech and noise at given SNRs.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from skunfold.audio.io import write_audio
    >>> from skunfold.datasets import load_recordings
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_audio(f"{folder}/hello.wav", np.zeros(8000), 8000)
    ...     data = load_recordings(folder)
    >>> data.names, data.recordings[0].shape
    (['hello.wav'], (16000,))
    """
    from skunfold.audio.formats import can_be_read

    check_rate("sample_rate", sample_rate)
    root = Path(folder)
    if root.is_file():
        raise NotADirectoryError(f"{printable(root)} is a file; name the folder that it is in")
    if not root.is_dir():
        raise FileNotFoundError(f"there is no folder {printable(root)}; check the path")
    found, left_out = find_files(root, can_be_read)
    if left_out:
        raise OSError(f"folder {printable(root)} cannot be loaded whole: {left_out[0]}")
    files = {name.as_posix(): root / name for name in found}
    if not files:
        raise ValueError(
            f"folder {printable(root)} holds no recording (.wav, .flac, .ogg, .mp3, ...); "
            "convert other formats first"
        )
    names = sorted(files)
    recordings = [read_audio(files[name], sample_rate, mono=True)[0] for name in names]
    return Bunch(recordings=recordings, names=names, sample_rate=int(sample_rate))
