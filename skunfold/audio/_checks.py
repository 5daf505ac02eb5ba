"""Checks of what a `skunfold.audio.SpeechEnhancer` is fitted to."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skunfold.audio.features import centered
from skunfold.audio.stft import STFT
from skunfold.audio.waveforms import FloatArray, check_waveform

_RATES = (1000, 192_000)  # Hz
_MIN_HOP_SECONDS = 0.0005
_MAX_OVERLAP = 16  # windows over each sample


def check_settings(stft: STFT) -> None:
    """Raise if a transform has a rate or a hop out of range, which would cost much memory."""
    lowest, highest = _RATES
    if not lowest <= stft.sample_rate <= highest:
        raise ValueError(
            f"sample_rate={stft.sample_rate} is out of range; give {lowest} to {highest} Hz."
        )
    smallest = max(_MIN_HOP_SECONDS, stft.n_window / _MAX_OVERLAP / stft.sample_rate)
    if stft.n_hop < np.floor(smallest * stft.sample_rate):
        raise ValueError(
            f"hop_length={stft.hop_length} s is too short; give at least {smallest:.2g} s for "
            f"window_length={stft.window_length} s."
        )


def check_recordings(name: str, recordings: Sequence[ArrayLike]) -> list[FloatArray]:
    """Return a list of checked waveforms of shape (n_samples_i,)."""
    if not isinstance(recordings, list | tuple):
        raise ValueError(
            f"{name} must be a list of waveforms, one array of shape (n_samples,) a recording, "
            f"got {type(recordings).__name__}"
        )
    if not recordings:
        raise ValueError(f"{name} must hold at least one waveform, got an empty list")
    return [check_waveform(f"{name}[{i}]", x) for i, x in enumerate(recordings)]


def check_sources(name: str, recordings: Sequence[ArrayLike]) -> list[FloatArray]:
    """Return the waveforms of a source without their offsets, none of them silent."""
    waveforms = [centered(x) for x in check_recordings(name, recordings)]
    for i, waveform in enumerate(waveforms):
        if not waveform.any():
            raise ValueError(
                f"{name}[{i}] must not be silent, but all its samples are equal; leave it out"
            )
    return waveforms


def check_pairs(
    X: Sequence[ArrayLike], y: Sequence[ArrayLike], suffix: str = ""
) -> tuple[list[FloatArray], list[FloatArray]]:
    """Return noisy and clean waveforms that belong together."""
    noisy, clean = check_recordings(f"X{suffix}", X), check_recordings(f"y{suffix}", y)
    if len(noisy) != len(clean):
        raise ValueError(
            f"X{suffix} and y{suffix} must hold equally many recordings, got {len(noisy)} and "
            f"{len(clean)}"
        )
    for i, (mixture, speech) in enumerate(zip(noisy, clean)):
        if len(mixture) != len(speech):
            raise ValueError(
                f"X{suffix}[{i}] and y{suffix}[{i}] must have the same length, got "
                f"{len(mixture)} and {len(speech)} samples"
            )
    return noisy, clean


def check_separable(noisy: list[FloatArray], clean: list[FloatArray]) -> None:
    """Raise if there is no speech or no noise to learn from."""
    for name, waveforms in (("X", noisy), ("y", clean)):
        if not any(waveform.any() for waveform in waveforms):
            raise ValueError(f"{name} must not be silent, but all its recordings are zeros")
    if all(np.array_equal(mixture, speech) for mixture, speech in zip(noisy, clean)):
        raise ValueError("X must hold noise besides the speech in y, but X equals y")


def check_draws(n_draws: int) -> None:
    """Raise if the number of draws is below one."""
    if isinstance(n_draws, bool) or not isinstance(n_draws, Integral) or n_draws < 1:
        raise ValueError(f"n_draws must be a positive integer, got {n_draws!r}; 1 mixes once")


def check_goes_on(regressor: Any, n_draws: int, validated: bool) -> None:
    """Raise if a regressor cannot be fitted to several draws, one after the other."""
    if "warm_start" not in regressor.get_params():
        raise ValueError(
            f"n_draws={n_draws} needs a regressor that can continue a fit, with a parameter "
            f"warm_start; {type(regressor).__name__} has none, so use n_draws=1"
        )
    if getattr(regressor, "early_stopping", False) and not validated:
        raise ValueError(
            f"n_draws={n_draws} with early_stopping=True needs validation data that stay the "
            "same from draw to draw: give X_val and y_val"
        )


def check_knows_sequences(regressor: Any) -> None:
    """Raise if a recurrent regressor is inside an estimator that takes no sequences."""
    if hasattr(regressor, "sequence"):
        return
    for name, value in regressor.get_params().items():
        if name.endswith("__recurrence") and np.any(np.ravel(value)[:1]):
            raise ValueError(
                f"regressor is a {type(regressor).__name__} with {name}={value}, but does not "
                "know where recordings begin; give the recurrent regressor itself, or set "
                f"{name}=0"
            )
