"""The voices that an enhancer learns from if the user has recorded only the noise."""

from skunfold.audio.bundled import load_bundled_recordings
from skunfold.audio.waveforms import FloatArray

_HIGHEST_RATE = 16000  # Hz, at which they are stored


def bundled_speech(sample_rate: int) -> list[FloatArray]:
    """Return the training utterances of the package, of 3 to 8 s, at a sample rate.

    Parameters
    ----------
    sample_rate : int
        Rate in Hz that they are resampled to, at most 16000.

    Returns
    -------
    list of float32 ndarrays of shape (n_samples_i,)
        The waveforms.

    Raises
    ------
    ValueError
        If the rate is higher: an enhancer would learn that speech ends at 8 kHz.
    """
    if sample_rate > _HIGHEST_RATE:
        raise ValueError(
            f"speech is missing, and the bundled voices hold nothing above "
            f"{_HIGHEST_RATE // 2} Hz, so they do not suit sample_rate={sample_rate}; give "
            f"recordings of speech at that rate, or a sample_rate of at most {_HIGHEST_RATE}."
        )
    return load_bundled_recordings("train", sample_rate=sample_rate).speech
