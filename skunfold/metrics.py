"""Distortion ratios between waveforms in dB, and scorers for speech enhancers.

Notation: s is the reference, e the estimate, both with n_samples samples. Every ratio here is
that of the energy of an orthogonal projection P e of the estimate to that of what is left,
``10 log10(|P e|^2 / |e - P e|^2)``:

- SI-SDR projects on the line through s;
- SDR projects on the span of s delayed by 0, 1, ..., filter_length - 1 samples, so that a
  short filter applied to the reference counts as no distortion.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft
from scipy.linalg import LinAlgError, matmul_toeplitz, solve_toeplitz

__all__ = [
    "sdr",
    "sdr_improvement",
    "sdr_scorer",
    "si_sdr",
    "si_sdr_improvement",
    "si_sdr_improvement_scorer",
    "si_sdr_scorer",
]

Float64Array = NDArray[np.float64]

_MAX_RESIDUAL = (
    1e-9  # of the Toeplitz system, relative; beyond it the recursion has broken down
)
_LOAD = 1e-12  # then added to the diagonal, relative


def si_sdr(y_true: ArrayLike, y_pred: ArrayLike) -> float | Float64Array:
    """Scale-invariant signal-to-distortion ratio, in dB; higher is better.

    The mean of the signals is not removed (as in the paper's definition), so that a constant
    offset of the estimate counts as distortion.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_signals, n_samples)
        Reference waveforms. None may be silent. Several channels of `read_audio` are the
        columns of what it returns: give its transpose.
    y_pred : array-like of the same shape as `y_true`
        Estimated waveforms. Their scale does not matter.

    Returns
    -------
    ratio : float or ndarray of shape (n_signals,)
        A float for one-dimensional input. An estimate without distortion has a ratio of
        about 300 dB or `inf`; an estimate that is silent has `-inf`.

    Raises
    ------
    ValueError
        If the shapes differ, there are more signals than samples, a signal is empty or not
        finite, or a reference is silent.

    See Also
    --------
    si_sdr_improvement : The gain over the unprocessed mixture.
    sdr : The ratio that also forgives a short filter.

    References
    ----------
    J. Le Roux, S. Wisdom, H. Erdogan and J. R. Hershey, "SDR - half-baked or well done?",
    ICASSP 2019, section 2.2.

    Examples
    --------
    >>> from skunfold.metrics import si_sdr
    >>> si_sdr([1.0, 0.0, -1.0, 0.0], [2.0, 0.2, -2.0, -0.2])
    20.0
    """
    return _ratio_of_each(y_true, y_pred, _project_on_reference)


def sdr(
    y_true: ArrayLike, y_pred: ArrayLike, *, filter_length: int = 512
) -> float | Float64Array:
    """Signal-to-distortion ratio of BSS Eval for a single reference, in dB.

    Higher is better. The part of the estimate that a filter of `filter_length` taps can make
    out of the reference is the signal, everything else is distortion. The mean of the signals
    is not removed.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_signals, n_samples)
        Reference waveforms. None may be silent. Several channels of `read_audio` are the
        columns of what it returns: give its transpose.
    y_pred : array-like of the same shape as `y_true`
        Estimated waveforms.
    filter_length : int, default=512
        Taps of the filter, at least 1, in samples (512 is 32 ms at 16 kHz). With 1 the ratio
        is the SI-SDR.

    Returns
    -------
    ratio : float or ndarray of shape (n_signals,)
        A float for one-dimensional input. An estimate without distortion has a very large
        ratio or `inf`; an estimate that is silent has `-inf`.

    Raises
    ------
    ValueError
        If the shapes differ, there are more signals than samples, a signal is empty or not
        finite, a reference is silent, or `filter_length` is no positive integer.

    See Also
    --------
    si_sdr : The ratio that forgives a change of scale only.

    Notes
    -----
    The filter solves the Toeplitz system of the autocorrelation of the reference and its
    correlation with the estimate, in double precision. Only if the delayed copies of the
    reference are so alike that the recursion breaks down (a smooth bump, not audio), 1e-12 of
    the diagonal is added to it.

    References
    ----------
    E. Vincent, R. Gribonval and C. Fevotte, "Performance measurement in blind audio source
    separation", IEEE Trans. Audio, Speech, Lang. Process. 14(4), 2006, section III.

    Examples
    --------
    A delay and a change of scale are no distortion:

    >>> import numpy as np
    >>> from skunfold.metrics import sdr
    >>> y = np.random.default_rng(0).standard_normal(4000)
    >>> y[-100:] = 0.0
    >>> sdr(y, 0.5 * np.roll(y, 10)) > 100.0
    True
    """
    if not isinstance(filter_length, int | np.integer) or filter_length < 1:
        raise ValueError(
            f"filter_length must be a positive integer, got {filter_length!r}; 512 is usual"
        )

    def project(reference: Float64Array, estimate: Float64Array) -> Float64Array:
        return _project_on_delays(reference, estimate, int(filter_length))

    return _ratio_of_each(y_true, y_pred, project)


def si_sdr_improvement(
    y_true: ArrayLike, y_pred: ArrayLike, mixture: ArrayLike
) -> float | Float64Array:
    """SI-SDR of the estimate minus that of the unprocessed mixture, in dB.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_signals, n_samples)
        Reference waveforms. None may be silent. Several channels of `read_audio` are the
        columns of what it returns: give its transpose.
    y_pred : array-like of the same shape as `y_true`
        Estimated waveforms.
    mixture : array-like of the same shape as `y_true`
        The waveforms that were enhanced.

    Returns
    -------
    improvement : float or ndarray of shape (n_signals,)
        Positive where the estimate is better than the mixture.

    Raises
    ------
    ValueError
        As `si_sdr`; also if a mixture is silent or has no distortion at all, as no
        improvement over it can be told.

    See Also
    --------
    si_sdr : The ratio itself, its definition and reference.

    Examples
    --------
    >>> from skunfold.metrics import si_sdr_improvement
    >>> clean, noisy = [1.0, 0.0, -1.0, 0.0], [1.0, 1.0, -1.0, -1.0]
    >>> si_sdr_improvement(clean, [2.0, 0.2, -2.0, -0.2], noisy)
    20.0
    """
    return _improvement(si_sdr, y_true, y_pred, mixture)


def sdr_improvement(
    y_true: ArrayLike, y_pred: ArrayLike, mixture: ArrayLike, *, filter_length: int = 512
) -> float | Float64Array:
    """SDR of the estimate minus that of the unprocessed mixture, in dB.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_signals, n_samples)
        Reference waveforms. None may be silent. Several channels of `read_audio` are the
        columns of what it returns: give its transpose.
    y_pred : array-like of the same shape as `y_true`
        Estimated waveforms.
    mixture : array-like of the same shape as `y_true`
        The waveforms that were enhanced.
    filter_length : int, default=512
        Taps of the filter, at least 1, in samples.

    Returns
    -------
    improvement : float or ndarray of shape (n_signals,)
        Positive where the estimate is better than the mixture.

    Raises
    ------
    ValueError
        As `sdr`; also if a mixture is silent or has no distortion at all, as no improvement
        over it can be told.

    See Also
    --------
    sdr : The ratio itself, its definition and reference.

    Examples
    --------
    >>> import numpy as np
    >>> from skunfold.metrics import sdr_improvement
    >>> clean, noise = np.random.default_rng(0).standard_normal((2, 8000))
    >>> round(sdr_improvement(clean, clean + 0.1 * noise, clean + noise, filter_length=1))
    20
    """

    def metric(y_true: ArrayLike, y_pred: ArrayLike) -> float | Float64Array:
        return sdr(y_true, y_pred, filter_length=filter_length)

    return _improvement(metric, y_true, y_pred, mixture)


def si_sdr_scorer(estimator: Any, X: Sequence[ArrayLike], y: Sequence[ArrayLike]) -> float:
    """Mean SI-SDR of an enhancer over recordings, in dB; pass it as ``scoring=``.

    Parameters
    ----------
    estimator : object
        A fitted speech enhancer: ``estimator.predict(X)`` returns one waveform a recording.
    X : sequence of n_recordings arrays of shape (n_samples_i,)
        Noisy waveforms.
    y : sequence of n_recordings arrays of shape (n_samples_i,)
        Clean waveforms.

    Returns
    -------
    score : float
        Mean over the recordings, each with the same weight.

    Raises
    ------
    ValueError
        If there is no recording, if `X`, `y` and the predictions differ in number, or as
        `si_sdr` for one of the recordings.

    Examples
    --------
    >>> from skunfold.metrics import si_sdr_scorer
    >>> class Identity:
    ...     def predict(self, X):
    ...         return X
    >>> si_sdr_scorer(Identity(), [[1.0, 0.1, -1.0, -0.1]], [[1.0, 0.0, -1.0, 0.0]])
    20.0
    """
    return _mean_score(lambda true, pred, _: si_sdr(true, pred), estimator, X, y)


def si_sdr_improvement_scorer(
    estimator: Any, X: Sequence[ArrayLike], y: Sequence[ArrayLike]
) -> float:
    """Mean SI-SDR improvement of an enhancer over its input, in dB; for ``scoring=``.

    Parameters
    ----------
    estimator : object
        A fitted speech enhancer: ``estimator.predict(X)`` returns one waveform a recording.
    X : sequence of n_recordings arrays of shape (n_samples_i,)
        Noisy waveforms.
    y : sequence of n_recordings arrays of shape (n_samples_i,)
        Clean waveforms.

    Returns
    -------
    score : float
        Mean over the recordings, each with the same weight.

    Raises
    ------
    ValueError
        If there is no recording, if `X`, `y` and the predictions differ in number, or as
        `si_sdr_improvement` for one of the recordings.
    """
    return _mean_score(si_sdr_improvement, estimator, X, y)


def sdr_scorer(estimator: Any, X: Sequence[ArrayLike], y: Sequence[ArrayLike]) -> float:
    """Mean SDR (512 taps) of an enhancer over recordings, in dB; for ``scoring=``.

    Parameters
    ----------
    estimator : object
        A fitted speech enhancer: ``estimator.predict(X)`` returns one waveform a recording.
    X : sequence of n_recordings arrays of shape (n_samples_i,)
        Noisy waveforms.
    y : sequence of n_recordings arrays of shape (n_samples_i,)
        Clean waveforms.

    Returns
    -------
    score : float
        Mean over the recordings, each with the same weight.

    Raises
    ------
    ValueError
        If there is no recording, if `X`, `y` and the predictions differ in number, or as
        `sdr` for one of the recordings.
    """
    return _mean_score(lambda true, pred, _: sdr(true, pred), estimator, X, y)


def _ratio_of_each(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    project: Callable[[Float64Array, Float64Array], Float64Array],
) -> float | Float64Array:
    """Ratio in dB of every pair of signals; project maps (s, e) to P e, maybe longer than e."""
    references = _check_signals("y_true", y_true)
    estimates = _check_signals("y_pred", y_pred)
    if references.shape != estimates.shape:
        raise ValueError(
            f"y_pred must have the shape of y_true, got {estimates.shape} and "
            f"{references.shape}; cut or pad the estimates to the references' length"
        )
    silent = np.flatnonzero(~np.atleast_2d(references).any(axis=1))
    if silent.size:
        raise ValueError(
            f"y_true must not be silent, but its signal {silent[0]} is all zeros; leave "
            "recordings without a reference out"
        )
    ratios = np.array(
        [
            _ratio(s, e, project)
            for s, e in zip(np.atleast_2d(references), np.atleast_2d(estimates))
        ]
    )
    return float(ratios[0]) if references.ndim == 1 else ratios


def _ratio(
    reference: Float64Array,
    estimate: Float64Array,
    project: Callable[[Float64Array, Float64Array], Float64Array],
) -> float:
    """Ratio in dB of one pair of signals, at peak 1 so that no square over- or underflows."""
    peak = np.abs(estimate).max()
    if peak == 0.0:
        return float("-inf")
    estimate = estimate / peak
    target = project(reference / np.abs(reference).max(), estimate)
    distortion = target.copy()
    distortion[: len(estimate)] -= estimate
    with np.errstate(divide="ignore"):
        return float(10.0 * np.log10((target @ target) / (distortion @ distortion)))


def _project_on_reference(reference: Float64Array, estimate: Float64Array) -> Float64Array:
    """Project e on the line through s: shape (n_samples,)."""
    return (reference @ estimate) / (reference @ reference) * reference


def _project_on_delays(
    reference: Float64Array, estimate: Float64Array, n_taps: int
) -> Float64Array:
    """Project e on s delayed by 0 to n_taps - 1: shape (n_samples + n_taps - 1,)."""
    n_out = len(reference) + n_taps - 1
    n_fft = fft.next_fast_len(n_out, real=True)
    S, E = fft.rfft(reference, n_fft), fft.rfft(estimate, n_fft)
    autocorrelation = fft.irfft(S.real**2 + S.imag**2, n_fft)[:n_taps]
    correlation = fft.irfft(S.conj() * E, n_fft)[:n_taps]
    taps = _solve_toeplitz(autocorrelation, correlation)
    return fft.irfft(fft.rfft(taps, n_fft) * S, n_fft)[:n_out]


def _solve_toeplitz(autocorrelation: Float64Array, correlation: Float64Array) -> Float64Array:
    """Solve the Toeplitz system, also if the delayed copies are dependent to rounding."""
    try:
        taps = solve_toeplitz(autocorrelation, correlation)
        error = np.linalg.norm(matmul_toeplitz(autocorrelation, taps) - correlation)
        if error <= _MAX_RESIDUAL * np.linalg.norm(correlation):
            return taps
    except LinAlgError:
        pass
    loaded = autocorrelation.copy()
    loaded[0] *= 1.0 + _LOAD
    return solve_toeplitz(loaded, correlation)


def _improvement(
    metric: Callable[[ArrayLike, ArrayLike], float | Float64Array],
    y_true: ArrayLike,
    y_pred: ArrayLike,
    mixture: ArrayLike,
) -> float | Float64Array:
    """Difference of a metric between the estimate and the mixture."""
    references = _check_signals("y_true", y_true)
    mixtures = _check_signals("mixture", mixture)
    if mixtures.shape != references.shape:
        raise ValueError(
            f"mixture must have the shape of y_true, got {mixtures.shape} and "
            f"{references.shape}; cut or pad it to the references' length"
        )
    before = metric(references, mixtures)
    if not np.all(np.isfinite(before)):
        raise ValueError(
            f"mixture must hold speech and noise, but its ratio is {before} dB: there is no "
            "improvement over a silent or a clean mixture; leave such recordings out"
        )
    return metric(references, y_pred) - before


def _mean_score(
    metric: Callable[[ArrayLike, ArrayLike, ArrayLike], float | Float64Array],
    estimator: Any,
    X: Sequence[ArrayLike],
    y: Sequence[ArrayLike],
) -> float:
    """Mean of metric(clean, enhanced, noisy) over the recordings."""
    if len(X) == 0 or len(X) != len(y):
        raise ValueError(
            f"X and y must hold the same number of recordings, at least one, got {len(X)} "
            f"and {len(y)}"
        )
    enhanced = estimator.predict(X)
    if len(enhanced) != len(X):
        raise ValueError(
            f"estimator.predict(X) must return one waveform a recording, got {len(enhanced)} "
            f"for {len(X)} recordings"
        )
    scores = []
    for index, (noisy, pred, clean) in enumerate(zip(X, enhanced, y)):
        try:
            scores.append(float(np.mean(metric(clean, pred, noisy))))
        except ValueError as error:
            raise ValueError(f"recording {index}: {error}") from error
    return float(np.mean(scores))


def _check_signals(name: str, signals: ArrayLike) -> Float64Array:
    """Return the signals as float64 of shape (n_samples,) or (n_signals, n_samples)."""
    try:
        array = np.asarray(signals)
    except ValueError as error:
        raise ValueError(
            f"{name} must be one array of numbers; signals of different lengths are passed "
            "one by one"
        ) from error
    if array.ndim not in (1, 2) or array.size == 0:
        raise ValueError(
            f"{name} must have shape (n_samples,) or (n_signals, n_samples) with at least "
            f"one sample, got {array.shape}"
        )
    if array.ndim == 2 and array.shape[0] > array.shape[1]:
        raise ValueError(
            f"{name} has shape {array.shape}, more signals than samples; give (n_signals, "
            "n_samples), the transpose of what read_audio returns"
        )
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{name} must hold real numbers, got dtype {array.dtype}")
    array = array.astype(np.float64, copy=False)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, but holds NaN or infinity; remove them")
    return array
