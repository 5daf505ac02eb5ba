"""Speech enhancement as a scikit-learn estimator: waveforms in, waveforms out."""

import os
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, BinaryIO, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skunfold._deep_nmf.inferred_bases import with_inferred
from skunfold._estimator.documentation import DocumentedEstimator
from skunfold.audio._checks import (
    check_draws,
    check_pairs,
    check_recordings,
    check_separable,
    check_sources,
)
from skunfold.audio._fitting import MixtureFitting
from skunfold.audio._noise_sample import check_noise_sample
from skunfold.audio._noise_search import AUTO, beginning, noise_in
from skunfold.audio._pretrained import PRETRAINED
from skunfold.audio._sample_training import (
    check_long_enough,
    draw_mixtures,
)
from skunfold.audio._voices import bundled_speech
from skunfold.audio.features import centered
from skunfold.audio.mixing import check_mixing, make_mixtures
from skunfold.audio.streaming import EnhancementStream, check_strength
from skunfold.audio.waveforms import FloatArray, check_axes, check_waveform
from skunfold.metrics import si_sdr

_BLOCK_SECONDS = 5


class SpeechEnhancer(DocumentedEstimator, MixtureFitting):
    """Remove noise from recordings of speech.

    Each recording is turned into a spectrogram. A regressor estimates the magnitudes of the
    speech in each frame from those of the frame and of the frames before it. With the phase of
    the mixture they give the enhanced waveform.

    Parameters
    ----------
    regressor : estimator, default=None
        Learns speech magnitudes of shape (n_frames, n_bins) from features of the mixture of
        shape (n_frames, n_features), the current frame last. None: a
        `skunfold.DeepNMFRegressor` with ``output="mask"``, 16 tied layers with separate
        projections and recurrence, 100 components a source and the settings of
        ``benchmarks/speech_enhancement.py``. Any other multi-output regressor can be used;
        negative predictions count as zero. To search over its parameters give it here, and
        name them ``regressor__n_layers``.
    sample_rate : int, default=16000
        Rate of all waveforms in Hz, from 1000 to 192000.
    window_length : float, default=0.025
        Length of the square-root Hann window in seconds, at least 2 samples.
    hop_length : float, default=0.010
        Time between frames in seconds, at least 0.0005 and a sixteenth of the window, at most
        half of it.
    n_context : int, default=9
        Number of frames that the regressor sees, the current one included; at least 1.
    context_bands : int, "auto" or None, default="auto"
        Number of mel bands, at least 2, into which the frames before the current one are
        gathered (`skunfold.audio.mel_bands`), so that the regressor has fewer parameters and
        is faster. None: all their bins are features. "auto": 40 bands, or None where there are
        too few bins for 40.
    context_averages : sequence of float, default=(3.0,)
        Time constants in seconds, each above 0, of running averages of all frames so far (of
        their bands, if there are any). They are further features, which describe the noise. A
        frame that many seconds ago counts ``1 / e`` times as much as the current one. (): none.
    n_sample_components : int or None, default=None
        Number of noise components, at least 1, that are inferred from a sample of the noise
        (`noise_sample` in `enhance`). They are added to the noise components of the regressor,
        which serve all noise. `fit_sources` then learns how to use them; the regressor has to
        be a `skunfold.DeepNMFRegressor` with ``output="mask"``, all layers of which are
        trained. None: no samples can be given.
    warm_start : bool, default=False
        Whether a fit continues with `regressor_`, if there is one, instead of fitting a clone
        of `regressor`. The ``warm_start`` of `regressor_` says whether it is trained further.
        With an int as `random_state` it gets the same mixtures and frames again.
    random_state : int, RandomState instance or None, default=None
        Draws the mixtures of `fit_sources`, the frames that initialise the bases, and the
        ``random_state`` of the default regressor. Pass an int for the same result every time.

    Attributes
    ----------
    regressor_ : estimator
        The fitted regressor.
    n_frames_ : int
        Number of frames it was fitted to; of the last draw, if there were several.
    sample_gains_ : list of ndarrays
        Only with `n_sample_components`: factors by which the inferred bases are multiplied
        where they act as bases, as projections and as output bases. The last array holds a
        number for each bin, the others one for each feature.

    See Also
    --------
    skunfold.DeepNMFRegressor : The default regressor.
    skunfold.datasets.load_bundled_recordings : Speech and noise to start with.
    skunfold.metrics.si_sdr : What `score` averages.

    Notes
    -----
    A regressor whose ``fit`` takes them is given `sources`, the features of speech and noise
    alone, to initialise itself; `groups`, the utterance that each frame is from, so that early
    stopping holds out whole utterances; and `lengths`, the numbers of frames of the recordings.

    In training each mixture, with its speech, is divided by its level over the whole recording;
    in enhancement each frame is divided by the level of all frames up to it, since a stream
    does not know its future. `enhance` does the same, so that a file and a stream give the same
    samples. A `DeepNMFRegressor` with ``beta_loss="kullback-leibler"`` gives the
    same result whatever the level; other regressors depend on it.

    A constant offset is removed from all waveforms, in training as in enhancement: from each
    sample the mean of the last tenth of a second. `fit_sources` mixes without offsets, and
    `score` does not count that of the clean speech.

    With `n_sample_components`, `fit_sources` cuts a sample of 0.5 to 5 s, half of it at most,
    off each recording of noise in each draw, puts both parts through a random equalizer, and
    mixes the rest with speech. Sample and mixture then go through one random microphone, which
    in one of ten cases has the band of a telephone (300 to 3400 Hz). The bases of the sample
    come from 40 updates of NMF; there is no gradient through these. A quarter of the mixtures
    are learned without their sample. Updates take blocks of 128 frames of as many mixtures as
    make a batch.

    The features take 4 bytes a frame (100 frames a second) and feature for float32
    waveforms, 0.25 GB for 20 minutes at the default settings; twice that for float64. There are
    ``(len(context_averages) + n_context - 1) * context_bands + n_bins`` of them, with
    ``n_bins`` instead of ``context_bands`` where these are None.

    References
    ----------
    J. Le Roux, J. R. Hershey and F. Weninger, "Deep NMF for speech separation", ICASSP 2015,
    section 4.

    Examples
    --------
    A tone in white noise:

    >>> import numpy as np
    >>> from skunfold import DeepNMFRegressor
    >>> from skunfold.audio import SpeechEnhancer
    >>> tone = np.sin(np.arange(16000) * 0.3)
    >>> noise = np.random.default_rng(0).normal(size=32000)
    >>> enhancer = SpeechEnhancer(
    ...     DeepNMFRegressor(n_components=4, output="mask", max_iter=10, random_state=0),
    ...     n_context=2, random_state=0,
    ... ).fit_sources([tone], [noise[:16000]], snrs=(0,))
    >>> enhancer.score([tone + noise[16000:]], [tone]) > 10
    True
    """

    _parameter_constraints: dict = {
        "regressor": [HasMethods(["fit", "predict"]), None],
        "sample_rate": [Interval(Integral, 1, None, closed="left")],
        "window_length": [Interval(Real, 0, None, closed="neither")],
        "hop_length": [Interval(Real, 0, None, closed="neither")],
        "n_context": [Interval(Integral, 1, None, closed="left")],
        "context_bands": [
            Interval(Integral, 2, None, closed="left"),
            StrOptions({"auto"}),
            None,
        ],
        "context_averages": ["array-like"],
        "n_sample_components": [Interval(Integral, 1, None, closed="left"), None],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        regressor: Any = None,
        *,
        sample_rate: int = 16000,
        window_length: float = 0.025,
        hop_length: float = 0.010,
        n_context: int = 9,
        context_bands: int | Literal["auto"] | None = "auto",
        context_averages: Sequence[float] = (3.0,),
        n_sample_components: int | None = None,
        warm_start: bool = False,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        super().__init__(
            regressor,
            sample_rate=sample_rate,
            window_length=window_length,
            hop_length=hop_length,
            n_context=n_context,
            context_bands=context_bands,
            context_averages=context_averages,
            n_sample_components=n_sample_components,
            warm_start=warm_start,
        )
        self.random_state = random_state

    @classmethod
    def pretrained(cls) -> Self:
        """Return the enhancer that comes with the package, already trained.

        It takes recordings of speech at 16 kHz, also of voices and noise that it has not
        heard, and is better with a sample of the noise. Its card, ``MODEL_CARD.md`` beside the
        model in ``skunfold/audio/pretrained``, says what it was trained on and how good it is.
        The model may be used and changed under CC-BY-SA-3.0.

        Returns
        -------
        SpeechEnhancer
            A new, fitted enhancer with ``n_sample_components=40``, so `enhance` takes a
            `noise_sample`.

        Examples
        --------
        >>> import numpy as np
        >>> from skunfold.audio import SpeechEnhancer
        >>> from skunfold.datasets import load_bundled_recordings, mix_at_snr
        >>> from skunfold.metrics import si_sdr
        >>> data = load_bundled_recordings("test")
        >>> clean, rain = data.speech[0], data.noise[1]
        >>> noisy, _ = mix_at_snr(clean, rain, 0, random_state=0)
        >>> enhanced = SpeechEnhancer.pretrained().enhance(noisy)
        >>> bool(si_sdr(clean, enhanced) > si_sdr(clean, noisy) + 5)
        True
        """
        from skunfold.model_files import load_model  # imports this module

        return load_model(PRETRAINED)

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: Sequence[ArrayLike],
        y: Sequence[ArrayLike],
        *,
        X_val: Sequence[ArrayLike] | None = None,
        y_val: Sequence[ArrayLike] | None = None,
    ) -> Self:
        """Learn from recordings of noisy speech and the speech in them.

        Parameters
        ----------
        X : list of n_recordings arrays of shape (n_samples_i,)
            Noisy waveforms, finite float32 or float64, at ``sample_rate``. Frames that are
            entirely silent are left out.
        y : list of n_recordings arrays of shape (n_samples_i,)
            The clean speech in each of them.
        X_val, y_val : lists of arrays, default=None
            Noisy waveforms and the clean speech in them, that decide when to stop, if the
            regressor takes such data; `skunfold.DeepNMFRegressor` does, with
            ``early_stopping=True``. Use other voices and other noise than in ``X`` to measure
            how well the enhancer generalises.

        Returns
        -------
        self : SpeechEnhancer
            The fitted enhancer.

        Raises
        ------
        ValueError
            If a parameter is out of its range, ``X`` or ``y`` is no list or is empty, numbers
            or lengths of recordings differ, a waveform is empty, not 1-D, not floating point
            or not finite, all of ``X`` or of ``y`` is silent, or ``X`` equals ``y``; likewise
            for ``X_val`` and ``y_val``, of which the regressor must have a use. If a recurrent
            `skunfold.DeepNMFRegressor` is inside another estimator, such as a pipeline.
        TypeError
            If the regressor is a classifier.
        """
        if self.n_sample_components is not None:
            raise ValueError(
                f"n_sample_components={self.n_sample_components} needs recordings of noise to "
                "cut samples from; use fit_sources, or n_sample_components=None."
            )
        noisy, clean = check_pairs(X, y)
        check_separable(noisy, clean)
        mixtures = [(noisy, clean, np.arange(len(noisy)))]
        rng = check_random_state(self.random_state)
        return self._fit_mixtures(mixtures, 1, rng, (X_val, y_val))

    @_fit_context(prefer_skip_nested_validation=False)
    def fit_sources(
        self,
        speech: Sequence[ArrayLike] | None = None,
        noise: Sequence[ArrayLike] | None = None,
        *,
        snrs: Sequence[float] = (-6, -3, 0, 3, 6, 9),
        n_mixtures: int | None = None,
        n_draws: int = 1,
        X_val: Sequence[ArrayLike] | None = None,
        y_val: Sequence[ArrayLike] | None = None,
        noise_samples_val: Sequence[ArrayLike] | None = None,
    ) -> Self:
        """Learn from recordings of speech and of noise, mixed here at random.

        Parameters
        ----------
        speech : list of arrays of shape (n_samples_i,), default=None
            Clean utterances, finite float32 or float64, at ``sample_rate``, none silent or
            constant. None: the voices that come with the package
            (`skunfold.datasets.load_bundled_recordings`), resampled to ``sample_rate``, which
            must be at most 16000 then, as they hold nothing above 8 kHz.
        noise : list of arrays of shape (n_noise_samples_j,)
            Noise at the same rate, none silent or constant; cut or repeated to the utterances'
            lengths. It has to be given.
        snrs : sequence of float, default=(-6, -3, 0, 3, 6, 9)
            Signal-to-noise ratios of the mixtures in dB, from -100 to 100.
        n_mixtures : int or None, default=None
            Number of mixtures in a draw, at least 1. None: every utterance at every SNR.
        n_draws : int, default=1
            How many times mixtures are drawn, at least 1. Above 1, the regressor continues from
            draw to draw by ``warm_start``, each time for at most its ``max_iter`` epochs: with
            ``max_iter=1`` every epoch sees new mixtures.
        X_val, y_val : lists of arrays, default=None
            Noisy waveforms and the clean speech in them, as in `fit`; for instance
            ``noisy`` and ``clean`` of `skunfold.datasets.make_mixtures`.
        noise_samples_val : list of arrays of shape (n_sample_samples_i,), default=None
            With `n_sample_components`, for each recording of ``X_val`` a sample of its noise,
            as `enhance` takes it.

        Returns
        -------
        self : SpeechEnhancer
            The fitted enhancer.

        Raises
        ------
        ValueError
            If a parameter is out of its range, ``noise`` is None, ``speech`` is None at a
            ``sample_rate`` above 16000, ``speech`` or ``noise`` is no list or is empty,
            or a waveform is empty, constant, not 1-D, not floating point or not finite;
            for ``X_val`` and ``y_val`` as in `fit`. If ``n_draws`` is above 1 and the regressor
            cannot continue from a previous fit, or would hold out a part of each draw.
            If a recurrent regressor is inside another estimator, as in `fit`. With
            `n_sample_components`, if the regressor does not suit it, a recording of noise is
            shorter than half a second, or one of ``noise_samples_val`` is no sample for
            `enhance`; without, if ``noise_samples_val`` is given.
        TypeError
            If the regressor is a classifier.

        See Also
        --------
        skunfold.datasets.make_mixtures : Makes the mixtures.
        """
        check_mixing(snrs, n_mixtures)
        check_draws(n_draws)
        rng = check_random_state(self.random_state)
        if noise is None:
            raise ValueError(
                "noise is missing; give a list of recordings of it, fit_sources(noise=[...])."
            )
        speech = check_sources(
            "speech", bundled_speech(self.sample_rate) if speech is None else speech
        )
        noise = check_sources("noise", noise)
        if noise_samples_val is not None and self.n_sample_components is None:
            raise ValueError(
                "noise_samples_val was given, but n_sample_components is None; leave it out, "
                "or set n_sample_components=24."
            )
        if self.n_sample_components is not None:
            check_long_enough(noise, self.sample_rate)
            mixing: dict[str, Any] = {"snrs": snrs, "n_mixtures": n_mixtures}
            drawn = (
                draw_mixtures(speech, noise, self.sample_rate, rng, **mixing)
                for _ in range(n_draws)
            )
            return self._fit_samples(drawn, n_draws, rng, (X_val, y_val, noise_samples_val))

        def mixtures():
            for _ in range(n_draws):
                drawn = make_mixtures(
                    speech, noise, snrs=snrs, n_mixtures=n_mixtures, random_state=rng
                )
                yield drawn.noisy, drawn.clean, drawn.speech_index

        return self._fit_mixtures(mixtures(), n_draws, rng, (X_val, y_val))

    def predict(self, X: Sequence[ArrayLike]) -> list[FloatArray]:
        """Enhance a list of recordings.

        Parameters
        ----------
        X : list of arrays of shape (n_samples_i,)
            Noisy waveforms, finite float32 or float64, at ``sample_rate``.

        Returns
        -------
        list of ndarrays of shape (n_samples_i,)
            Enhanced waveforms, of the lengths and dtypes of ``X``.

        Raises
        ------
        ValueError
            If ``X`` is no list or is empty, or a waveform is empty, not 1-D, not floating
            point or not finite.
        """
        check_is_fitted(self)
        return [self.enhance(waveform) for waveform in check_recordings("X", X)]

    def score(self, X: Sequence[ArrayLike], y: Sequence[ArrayLike]) -> float:
        """Return the mean SI-SDR of the enhanced recordings.

        Parameters
        ----------
        X : list of n_recordings arrays of shape (n_samples_i,)
            Noisy waveforms.
        y : list of n_recordings arrays of shape (n_samples_i,)
            The clean speech in each of them, none silent.

        Returns
        -------
        float
            Mean scale-invariant signal-to-distortion ratio in dB; higher is better.

        Raises
        ------
        ValueError
            If ``X`` or ``y`` is no list or is empty, numbers or lengths of recordings differ,
            a waveform is empty, not 1-D, not floating point or not finite, or a recording of
            ``y`` is silent.
        """
        check_is_fitted(self)
        noisy, clean = check_pairs(X, y)
        scores = [float(si_sdr(centered(s), self.enhance(x))) for x, s in zip(noisy, clean)]
        return float(np.mean(scores))

    def enhance(
        self,
        waveform: ArrayLike,
        *,
        noise_sample: ArrayLike | Literal["auto"] | None = None,
        strength: float = 1.0,
    ) -> FloatArray:
        """Enhance one recording.

        Parameters
        ----------
        waveform : array-like of shape (n_samples,) or (n_samples, n_channels)
            Finite float32 or float64 samples at ``sample_rate``, of at most 64 channels and not
            more channels than samples. Channels are enhanced one by one. Memory beyond input
            and output does not grow with the length.
        noise_sample : array-like of shape (n_sample_samples,), "auto" or None, default=None
            A recording of the noise alone at ``sample_rate``, of 0.25 s at least; 5 s are
            better. Its level does not matter. "auto": it is looked for in the waveform, which
            is enhanced once without a sample, and then with the tenth of it that has least
            speech in it. It needs an enhancer that was trained with `n_sample_components`; such
            an enhancer removes noise without a sample as well.
        strength : float, default=1.0
            How much is removed, from 0 to 2: what the attenuation of each frequency in dB is
            multiplied by. 0 changes nothing but a constant offset; 1 leaves what the regressor
            takes for speech; 1.5 turns an attenuation of 10 dB into one of 15 dB.

        Returns
        -------
        ndarray of the shape and dtype of ``waveform``
            The enhanced samples.

        Raises
        ------
        ValueError
            If the waveform is empty, not 1-D or 2-D, not floating point or not finite, or has
            its axes swapped. If the sample is too short, silent, not 1-D, not floating point
            or not finite, or the enhancer was trained without `n_sample_components`. If
            ``strength`` is out of its range.
        """
        samples = check_waveform("waveform", waveform, n_dims=(1, 2))
        check_axes("waveform", samples)
        if self._looks_for(noise_sample):
            noise_sample = noise_in(samples, self.sample_rate, self.enhance)
        n_channels = None if samples.ndim == 1 else samples.shape[1]
        stream = self.stream(n_channels, noise_sample=noise_sample, strength=strength)
        output = np.empty_like(samples)
        n_done = 0
        block_length = _BLOCK_SECONDS * self.sample_rate
        for start in range(0, len(samples), block_length):
            block = stream.process(samples[start : start + block_length])
            output[n_done : n_done + len(block)] = block
            n_done += len(block)
        output[n_done:] = stream.flush()
        return output

    def enhance_file(
        self,
        source: str | os.PathLike[str] | BinaryIO,
        destination: str | os.PathLike[str] | BinaryIO,
        *,
        noise_sample: ArrayLike | Literal["auto"] | None = None,
        strength: float = 1.0,
        subtype: str | None = None,
        on_block: Callable[[FloatArray, int], object] | None = None,
    ) -> None:
        """Enhance a file; sample rate, number of channels and encoding of the samples stay.

        The file is read, enhanced and written block by block: the memory used does not grow
        with its length.

        Parameters
        ----------
        source : path or file-like object
            The noisy recording, in any format that `skunfold.audio.read_audio` reads, at any
            rate.
        destination : path or file-like object
            Where to write, see `skunfold.audio.write_audio`; may be ``source`` itself.
        noise_sample : array-like of shape (n_sample_samples,), "auto" or None, default=None
            A recording of the noise alone at ``sample_rate``, as in `enhance`, whatever the
            rate of ``source``; `skunfold.audio.read_audio` reads one at that rate. "auto": it
            is looked for in the first minute of the recording.
        strength : float, default=1.0
            How much is removed, from 0 to 2, as in `enhance`.
        subtype : str or None, default=None
            Encoding of the samples that are written, such as "PCM_16", "PCM_24" or "FLOAT".
            None: that of ``source``, or as near to it as the format of ``destination`` can (a
            FLOAT file becomes 24-bit FLAC); for lossy codecs, such as MP3, the default of that
            format.
        on_block : callable, default=None
            Called with each block of ``source``, an array of shape (n_samples, n_channels), and
            with its sample rate in Hz: to show the progress, or to measure.

        Raises
        ------
        FileNotFoundError
            If there is no such file, or no such folder to write to.
        ValueError
            If the file is no audio, is empty or not finite, has more than 64 channels or a rate
            that `skunfold.audio.resample` does not take, or cannot be written so. If there
            is anything wrong with ``noise_sample`` or ``strength``, as in `enhance`.
        OSError
            If ``destination`` cannot be written, for example on a full disk. After any error,
            an existing file is left unchanged.

        Warns
        -----
        UserWarning
            If ``source`` is cut off, or the result was scaled down so that it does not clip. In
            that case the recording is enhanced twice, as its peak is known only at its end.

        Notes
        -----
        A recording at another rate than that of the enhancer is resampled, and back. Its
        frequencies above half the enhancer's rate are kept: at each time they get the mean gain
        of the top fifth of the band below them. To enhance that band like the rest, train an
        enhancer with a higher ``sample_rate``.
        """
        from skunfold.audio._files import enhance_file

        strength = check_strength(strength)
        if self._looks_for(noise_sample):
            start = beginning(source, self.sample_rate)
            noise_sample = noise_in(start, self.sample_rate, self.enhance)
        regressor = self._regressor_for(noise_sample)

        def open_stream(n_channels: int, sample_rate: int) -> EnhancementStream:
            return self._open_stream(regressor, n_channels, sample_rate, strength)

        enhance_file(open_stream, source, destination, subtype, on_block)

    def stream(
        self,
        n_channels: int | None = None,
        *,
        sample_rate: int | None = None,
        noise_sample: ArrayLike | None = None,
        strength: float = 1.0,
    ) -> EnhancementStream:
        """Enhance sound while it arrives.

        Parameters
        ----------
        n_channels : int or None, default=None
            None: blocks of shape (n_samples,). A number from 1 to 64: blocks of shape
            (n_samples, n_channels).
        sample_rate : int or None, default=None
            Rate of the blocks in Hz, above 0. None: that of the enhancer. At a higher rate,
            frequencies above half the enhancer's rate get the mean gain of the highest ones
            below.
        noise_sample : array-like of shape (n_sample_samples,), default=None
            A recording of the noise alone, as in `enhance`; at the rate of the enhancer,
            whatever that of the blocks. It cannot be looked for in sound that is yet to come.
        strength : float, default=1.0
            How much is removed, from 0 to 2, as in `enhance`.

        Returns
        -------
        EnhancementStream
            Its ``process(block)`` takes samples and returns those that have become final, its
            ``flush()`` the rest; it lags behind by less than a window.

        Raises
        ------
        ValueError
            If ``n_channels`` is not from 1 to 64, or ``sample_rate`` is not a positive integer
            or one that `skunfold.audio.resample` does not take. If there is anything wrong
            with ``noise_sample`` or ``strength``, as in `enhance`.
        """
        regressor = self._regressor_for(noise_sample)
        return self._open_stream(regressor, n_channels, sample_rate, strength)

    def _open_stream(self, regressor, n_channels, sample_rate, strength):
        return EnhancementStream(
            regressor,
            self._stft(),
            self.n_context,
            n_channels,
            context_bands=self.context_bands,
            context_averages=self.context_averages,
            sample_rate=sample_rate,
            strength=strength,
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.two_d_array = False
        return tags

    def _regressor_for(self, noise_sample):
        """Return the fitted regressor, with the bases of a sample if one is given."""
        check_is_fitted(self)
        if noise_sample is None:
            return self.regressor_
        self._check_takes_samples()
        if isinstance(noise_sample, str) and noise_sample == AUTO:
            raise ValueError(
                'noise_sample="auto" cannot be used in a stream, where most sound is yet to '
                "come; give a recording of the noise."
            )
        sample = check_noise_sample("noise_sample", noise_sample, self.sample_rate)
        bases = self._bases(sample, self._context(), self.regressor_)
        return with_inferred(self.regressor_, self.sample_gains_, bases)

    def _looks_for(self, noise_sample):
        """Return whether a sample of the noise is to be looked for in the recording."""
        if not isinstance(noise_sample, str) or noise_sample != AUTO:
            return False
        self._check_takes_samples()
        return True

    def _check_takes_samples(self):
        check_is_fitted(self)
        if self.n_sample_components is None or not hasattr(self, "sample_gains_"):
            raise ValueError(
                "noise_sample was given, but this enhancer was trained without samples; leave "
                "it out, or train one with n_sample_components=24 by fit_sources."
            )
