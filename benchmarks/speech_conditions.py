"""What noise suppressors are tried on: mixtures, and what else a microphone may bring."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from general_models import kind_of
from scipy.signal import butter, sosfiltfilt
from speech_peers import SAMPLE_RATE
from speech_protocol import N_TEST, SNRS

from skunfold.audio.features import centered
from skunfold.datasets import load_recordings, make_mixtures

SAMPLE_SECONDS = 5
TELEPHONE = (300, 3400)  # Hz
QUIET = 0.01  # 40 dB less
N_CLEAN = 20
SEED = 1


@dataclass(frozen=True)
class Item:
    """A waveform to enhance, what is wanted of it, and where both are from."""

    noisy: np.ndarray
    clean: np.ndarray
    noise: np.ndarray
    sample: np.ndarray  # of the noise alone, from the same recording, not in the mixture
    utterance: int = 0
    voice: str = ""
    kind: str = ""  # of noise
    snr: float = 0.0


def recordings(folder, kind, subset):
    """Return the names and the waveforms of "speech" or "noise".

    They are those of a subset, or all of them where the folder is not divided.
    """
    root = Path(folder) / kind
    data = load_recordings(
        root / subset if (root / subset).is_dir() else root, sample_rate=SAMPLE_RATE
    )
    return data.names, [centered(recording) for recording in data.recordings]


def mixtures(folder, subset):
    """Return mixtures of the utterances with the noise, each at one of six SNRs."""
    pairs = (zip(*recordings(folder, kind, subset)) for kind in ("speech", "noise"))
    return mixed(*map(list, pairs), N_TEST, SEED)


def mixed(speech, noise, n_mixtures, seed):
    """Return mixtures of recordings, pairs of a name and a waveform, as items.

    The first seconds of a recording of noise, half of it at most, are its sample.
    """
    n_samples = [min(SAMPLE_SECONDS * SAMPLE_RATE, len(x) // 2) for _, x in noise]
    drawn = make_mixtures(
        [x for _, x in speech],
        [x[n:] for (_, x), n in zip(noise, n_samples)],
        snrs=SNRS,
        n_mixtures=n_mixtures,
        random_state=seed,
    )
    return [
        Item(
            noisy=noisy,
            clean=clean,
            noise=scaled,
            sample=noise[j][1][: n_samples[j]],
            utterance=int(i),
            voice=kind_of(speech[i][0]),
            kind=kind_of(noise[j][0]),
            snr=float(snr),
        )
        for noisy, clean, scaled, i, j, snr in zip(
            drawn.noisy,
            drawn.clean,
            drawn.noise,
            drawn.speech_index,
            drawn.noise_index,
            drawn.snr,
        )
    ]


def faint_noise():
    """Return a sample of noise where there is none: white, 80 dB below full scale."""
    normal = np.random.default_rng(0).normal(size=SAMPLE_SECONDS * SAMPLE_RATE)
    return (1e-4 * normal).astype(np.float32)


def telephone(items):
    """Return the items with the band of a telephone alone."""
    band = butter(6, TELEPHONE, "bandpass", fs=SAMPLE_RATE, output="sos")

    def narrow(x):
        return sosfiltfilt(band, x).astype(np.float32)

    return [
        replace(
            item, **{k: narrow(getattr(item, k)) for k in ("noisy", "clean", "noise", "sample")}
        )
        for item in items
    ]


def quiet(items):
    """Return the items at a level 40 dB lower."""
    return [
        replace(
            item, **{k: QUIET * getattr(item, k) for k in ("noisy", "clean", "noise", "sample")}
        )
        for item in items
    ]


def clean_speech(items):
    """Return the utterances of the items, without any noise."""
    first = {item.utterance: item for item in reversed(items)}
    return [
        replace(
            item,
            noisy=item.clean,
            noise=np.zeros_like(item.clean),
            sample=faint_noise(),
            kind="none",
        )
        for item in list(first.values())[:N_CLEAN]
    ]


def music(folder, subset):
    """Return the music among the noise as if it were wanted, as items; maybe none."""
    names, noise = recordings(folder, "noise", subset)
    found = [x for name, x in zip(names, noise) if kind_of(name) == "music"]
    return [
        Item(noisy=x, clean=x, noise=np.zeros_like(x), sample=faint_noise(), utterance=i)
        for i, x in enumerate(found)
    ]


def silence():
    """Return ten seconds of nothing, as one item in a list."""
    nothing = np.zeros(10 * SAMPLE_RATE, np.float32)
    return [Item(noisy=nothing, clean=nothing, noise=nothing, sample=faint_noise())]
