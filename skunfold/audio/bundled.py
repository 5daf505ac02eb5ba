"""The recordings that come with the package."""

from pathlib import Path
from typing import Literal

from sklearn.utils import Bunch

from skunfold.audio.folders import load_recordings

_DATA = Path(__file__).parents[1] / "datasets" / "data"


def load_bundled_recordings(
    subset: Literal["train", "test"] = "train", *, sample_rate: int = 16000
) -> Bunch:
    """Load the speech and noise that come with the package.

    Two voices (Italian and Russian, about 90 s in all) and three kinds of noise (birds, rain,
    traffic; about 80 s), enough to try things out and too little to compare methods.
    Utterances and stretches of noise differ between the subsets; the voices and the kinds of
    noise do not.

    Parameters
    ----------
    subset : {"train", "test"}, default="train"
        Which part to load.
    sample_rate : int, default=16000
        Rate in Hz, above 0, that the recordings, stored at 16000 Hz, are resampled to.

    Returns
    -------
    data : Bunch
        speech : list of float32 ndarrays of shape (n_samples_i,)
            Clean utterances of 3 to 8 s, full scale at +-1.
        noise : list of float32 ndarrays of shape (n_samples_i,)
            Noise of 5 to 20 s.
        speech_names : list of str
            File names, such as "carlo_000.flac"; what is before "_" is the voice.
        noise_names : list of str
            File names, such as "rain_00.ogg"; what is before "_" is the kind of noise.
        sample_rate : int
            Rate of every waveform in Hz.
        DESCR : str
            Licences (CC-BY-3.0 and CC0-1.0), credits, and the source of every file.

    Raises
    ------
    ValueError
        If `subset` is neither "train" nor "test", or `sample_rate` is no positive integer.

    See Also
    --------
    load_recordings : Load your own recordings.
    make_mixtures : Mix speech and noise at given SNRs.

    Examples
    --------
    >>> from skunfold.datasets import load_bundled_recordings
    >>> data = load_bundled_recordings("test")
    >>> len(data.speech), data.noise_names
    (5, ['birds_00.ogg', 'rain_00.ogg', 'traffic_00.ogg'])
    """
    if subset not in ("train", "test"):
        raise ValueError(f'subset must be "train" or "test", got {subset!r}')
    speech = load_recordings(_DATA / "speech" / subset, sample_rate=sample_rate)
    noise = load_recordings(_DATA / "noise" / subset, sample_rate=sample_rate)
    credits_ = (_DATA / "LICENSES.md").read_text(encoding="utf-8")
    manifest = (_DATA / "MANIFEST.tsv").read_text(encoding="utf-8")
    return Bunch(
        speech=speech.recordings,
        noise=noise.recordings,
        speech_names=speech.names,
        noise_names=noise.names,
        sample_rate=speech.sample_rate,
        DESCR=f"{credits_}\n## Files\n\n{manifest}",
    )
