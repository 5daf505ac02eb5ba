"""What a waveform is, and checks of one.

A waveform is a floating-point array of shape (n_samples,) for one channel or
(n_samples, n_channels), with full scale at +-1.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.floating]

MAX_CHANNELS = 64  # of a recording
_LOUDEST = {"float32": 1e18, "float64": 1e150}  # sums of squares of such samples are finite


def check_channels(name: str, n_channels: int) -> None:
    """Raise a ValueError that names the recording if it has more channels than a recording."""
    if n_channels > MAX_CHANNELS:
        raise ValueError(
            f"{name} has {n_channels} channels, more than the {MAX_CHANNELS} that a recording "
            "may have; split it"
        )


def check_rate(name: str, rate: int) -> None:
    """Raise a ValueError that names the parameter unless the rate is a positive integer."""
    if not isinstance(rate, int | np.integer) or rate <= 0:
        raise ValueError(f"{name} must be a positive integer in Hz, got {rate!r}; try 16000")


def check_waveform(
    name: str, waveform: ArrayLike, n_dims: tuple[int, ...] = (1,)
) -> FloatArray:
    """Return the waveform as an array, or raise a ValueError that names the parameter.

    Parameters
    ----------
    name : str
        What the waveform is called in the message.
    waveform : array-like
        Finite samples, at least one: float32 up to 1e18, or float64 up to 1e150.
    n_dims : tuple of int, default=(1,)
        Allowed numbers of dimensions: 1 for (n_samples,), 2 for (n_samples, n_channels).

    Returns
    -------
    waveform : ndarray
        The same array where it was one.
    """
    if isinstance(waveform, tuple) and len(waveform) == 2 and np.ndim(waveform[0]) > 0:
        raise ValueError(
            f"{name} must hold samples, got a pair; if read_audio returned it, give its first "
            "part, and the second as the sample rate"
        )
    array = np.asarray(waveform)
    if array.dtype.kind == "U":
        raise ValueError(
            f"{name} must hold samples, got {waveform!r}; read_audio returns those of a file"
        )
    if array.dtype not in (np.float32, np.float64):
        raise ValueError(
            f"{name} must be float32 or float64 with full scale at +-1, got dtype "
            f"{array.dtype}; divide 16-bit integers by 32768"
        )
    if array.ndim not in n_dims:
        shapes = " or ".join(["(n_samples,)", "(n_samples, n_channels)"][: max(n_dims)])
        raise ValueError(f"{name} must have shape {shapes}, got {array.shape}")
    if array.size == 0:
        raise ValueError(f"{name} holds no samples; give a recording that is not empty")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, but holds NaN or infinity; remove them")
    largest = max(float(array.max()), -float(array.min()))
    if largest > _LOUDEST[array.dtype.name]:
        raise ValueError(
            f"{name} holds a sample of size {largest:.3g}, too large to compute with; full "
            "scale is +-1, so scale it down"
        )
    return array


def check_axes(name: str, waveform: FloatArray) -> None:
    """Raise a ValueError if the axes of (n_samples, n_channels) are certainly swapped."""
    if waveform.ndim == 1:
        return
    n_samples, n_channels = waveform.shape
    if n_channels > n_samples:
        raise ValueError(
            f"{name} has shape {waveform.shape}, more channels than samples; give "
            "(n_samples, n_channels)"
        )
    if n_channels > MAX_CHANNELS:
        raise ValueError(
            f"{name} has shape {waveform.shape}, more than {MAX_CHANNELS} channels; give "
            "(n_samples, n_channels)"
        )
