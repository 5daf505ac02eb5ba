"""The base of `skunfold.audio.SpeechEnhancer`, which fits its regressor to mixtures."""

import copy
from collections.abc import Iterable, Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.utils.validation import has_fit_parameter

from skunfold._deep_nmf.episodes import Draw
from skunfold._deep_nmf.inferred_bases import check_takes_samples
from skunfold.audio._checks import (
    check_goes_on,
    check_knows_sequences,
    check_pairs,
    check_recordings,
    check_settings,
)
from skunfold.audio._noise_sample import check_noise_sample, noise_bases
from skunfold.audio._regressor import default_regressor, fit_to_draws
from skunfold.audio._sample_training import train_with_samples
from skunfold.audio.context import Context
from skunfold.audio.features import training_frames
from skunfold.audio.stft import STFT
from skunfold.audio.waveforms import FloatArray

_MAX_SOURCE_FRAMES = 10_000  # of each source, for the initialisation of the bases


class MixtureFitting(BaseEstimator):
    """Base of the enhancer: settings become frames, and the regressor learns from them."""

    regressor_: Any
    sample_gains_: list[NDArray]

    def __init__(
        self,
        regressor: Any,
        *,
        sample_rate: int,
        window_length: float,
        hop_length: float,
        n_context: int,
        context_bands: int | Literal["auto"] | None,
        context_averages: Sequence[float],
        n_sample_components: int | None,
        warm_start: bool,
    ) -> None:
        self.regressor = regressor
        self.sample_rate = sample_rate
        self.window_length = window_length
        self.hop_length = hop_length
        self.n_context = n_context
        self.context_bands = context_bands
        self.context_averages = context_averages
        self.n_sample_components = n_sample_components
        self.warm_start = warm_start

    def _stft(self) -> STFT:
        stft = STFT(self.sample_rate, self.window_length, self.hop_length)
        check_settings(stft)
        return stft

    def _context(self) -> Context:
        return Context.of(
            self._stft(), self.n_context, self.context_bands, self.context_averages
        )

    def _fit_mixtures(
        self,
        mixtures: Iterable[tuple[list[FloatArray], list[FloatArray], NDArray]],
        n_draws: int,
        rng: np.random.RandomState,
        validation: tuple[Sequence[ArrayLike] | None, Sequence[ArrayLike] | None],
    ) -> Self:
        """Fit the regressor to each of n_draws (noisy, clean, group of each recording)."""
        regressor = self._regressor_to_fit(rng)
        context = self._context()
        known = self._validation_frames(regressor, context, *validation)
        if n_draws > 1:
            check_goes_on(regressor, n_draws, bool(known))
        draws = (self._frames(context, *mixture, rng) for mixture in mixtures)
        self.n_frames_ = fit_to_draws(regressor, draws, n_draws, known)
        self.regressor_ = regressor
        self.__dict__.pop("sample_gains_", None)
        return self

    def _fit_samples(self, drawn, n_draws, rng, validation):
        """Fit the regressor and the gains of inferred bases to n_draws Mixtures."""
        assert self.n_sample_components is not None
        regressor = self._regressor_to_fit(rng)
        check_takes_samples(regressor)
        context = self._context()
        valid = self._validation_draw(regressor, context, *validation)
        if n_draws > 1:
            check_goes_on(regressor, n_draws, valid is not None)
        draws = (self._draw(regressor, context, rng, *mixtures) for mixtures in drawn)
        gains = getattr(self, "sample_gains_", None) if self.warm_start else None
        self.sample_gains_, self.n_frames_ = train_with_samples(
            regressor, gains, self.n_sample_components, draws, n_draws, valid
        )
        self.regressor_ = regressor
        return self

    def _draw(self, regressor, context, rng, noisy, clean, groups, samples):
        """Return a Draw with the bases of the samples, and the features of the sources."""
        X, y, known = self._frames(context, noisy, clean, groups, rng)
        inferred = {
            id(sample): None if sample is None else self._bases(sample, context, regressor)
            for sample in samples
        }
        bases = [inferred[id(sample)] for sample in samples]
        return Draw(X, y, known["lengths"], bases, groups), known["sources"]

    def _bases(self, sample, context, regressor):
        assert self.n_sample_components is not None
        return noise_bases(sample, context, self.n_sample_components, regressor.beta_loss)

    def _validation_draw(self, regressor, context, X_val, y_val, samples):
        """Return the Draw that decides when to stop, or None if there is none."""
        if X_val is None and y_val is None and samples is None:
            return None
        noisy, clean = self._validation_pairs(X_val, y_val)
        samples = check_recordings("noise_samples_val", samples)
        if len(samples) != len(noisy):
            raise ValueError(
                f"X_val and noise_samples_val must hold equally many recordings, got "
                f"{len(noisy)} and {len(samples)}"
            )
        if not regressor.early_stopping:
            raise ValueError(
                "X_val and y_val were given, but early_stopping of the regressor is False; set "
                "early_stopping=True"
            )
        samples = [
            check_noise_sample(f"noise_samples_val[{i}]", x, self.sample_rate)
            for i, x in enumerate(samples)
        ]
        rng, groups = np.random.RandomState(0), np.arange(len(noisy))
        return self._draw(regressor, context, rng, noisy, clean, groups, samples)[0]

    def _regressor_to_fit(self, rng):
        """Return a new regressor, or a copy of the fitted one if that is trained further."""
        regressor = default_regressor(rng) if self.regressor is None else clone(self.regressor)
        if self.warm_start and hasattr(self, "regressor_"):
            regressor = copy.deepcopy(self.regressor_)  # which stays as it is if a draw fails
        if is_classifier(regressor):
            raise TypeError(
                f"regressor is a classifier, {type(regressor).__name__}; magnitudes need a "
                "regressor, such as DeepNMFRegressor(output='mask')"
            )
        check_knows_sequences(regressor)
        return regressor

    def _frames(self, context, noisy, clean, groups, rng):
        """Return features, targets, and what else `fit_to_draws` takes."""
        X, y, sources, recording = training_frames(
            noisy,
            clean,
            context=context,
            max_source_frames=_MAX_SOURCE_FRAMES,
            random_state=rng,
        )
        known = {"sources": sources, "groups": groups[recording]}
        return X, y, known | {"lengths": np.bincount(recording, minlength=len(noisy))}

    def _validation_pairs(self, X_val, y_val):
        if X_val is None or y_val is None:
            raise ValueError("give X_val and y_val together; one of them is missing")
        return check_pairs(X_val, y_val, suffix="_val")

    def _validation_frames(self, regressor, context, X_val, y_val):
        """Return what `fit` of the regressor is given for validation, a dict."""
        if X_val is None and y_val is None:
            return {}
        noisy, clean = self._validation_pairs(X_val, y_val)
        if not has_fit_parameter(regressor, "X_val"):
            raise ValueError(
                f"X_val and y_val were given, but fit of {type(regressor).__name__} takes no "
                "X_val; leave them out"
            )
        groups = np.arange(len(noisy))
        X, y, known = self._frames(context, noisy, clean, groups, np.random.RandomState(0))
        return {"X_val": X, "y_val": y, "lengths_val": known["lengths"]}
