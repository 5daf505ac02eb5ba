"""Measures of enhanced speech, each group of them where its package is installed."""

import numpy as np
from speech_peers import SAMPLE_RATE, onnx_session

from skunfold.metrics import sdr, si_sdr


def available(*makers):
    """Return functions of (clean, estimate) to scores by name, those that can be computed."""
    functions = []
    for make in makers:
        try:
            functions.append(make())
        except ModuleNotFoundError as error:
            print(f"{make.__name__} is left out: it needs {error.name}")
    return functions


class Distortion:
    """Scale-invariant signal-to-distortion ratio in dB."""

    def __call__(self, clean, estimate):
        """Return it."""
        return {"SI-SDR": si_sdr(clean, estimate)}


class FilteredDistortion:
    """Signal-to-distortion ratio in dB, which forgives a filter of 512 taps."""

    def __call__(self, clean, estimate):
        """Return it."""
        return {"SDR": sdr(clean, estimate)}


class Levels:
    """Level of the estimate, and its difference from that of the waveform, in dB."""

    FLOOR = 1e-10  # 200 dB below full scale

    def __call__(self, waveform, estimate):
        """Return both."""
        before, after = (np.sqrt(np.mean(np.square(x))) for x in (waveform, estimate))
        before, after = (20 * np.log10(max(self.FLOOR, x)) for x in (before, after))
        return {"level": after, "gain": after - before}


class Pesq:
    """Perceptual evaluation of speech quality, wide band (ITU-T P.862.2): 1.04 to 4.64."""

    def __init__(self):
        import pesq

        self._pesq, self._on_error = pesq.pesq, pesq.PesqError.RETURN_VALUES

    def __call__(self, clean, estimate):
        """Return the score; NaN where no speech is found."""
        loud = [x / max(1e-5, np.abs(clean).max()) for x in (clean, estimate)]
        score = self._pesq(SAMPLE_RATE, *loud, "wb", on_error=self._on_error)
        return {"PESQ": score if score > 0 else np.nan}


class Intelligibility:
    """Short-time objective intelligibility, as published (STOI) and extended (ESTOI)."""

    def __init__(self):
        from pystoi import stoi

        self._stoi = stoi

    def __call__(self, clean, estimate):
        """Return both."""
        return {
            "STOI": self._stoi(clean, estimate, SAMPLE_RATE),
            "ESTOI": self._stoi(clean, estimate, SAMPLE_RATE, extended=True),
        }


class Dnsmos:
    """Opinion scores that a network predicts without the clean speech (ITU-T P.835), 1 to 5."""

    LENGTH = round(9.01 * SAMPLE_RATE)
    SCORES = {  # polynomials from what the network says, the highest power first
        "DNSMOS SIG": (-0.08397278, 1.22083953, 0.0052439),
        "DNSMOS BAK": (-0.13166888, 1.60915514, -0.39604546),
        "DNSMOS OVRL": (-0.06766283, 1.11546468, 0.04602535),
    }

    def __init__(self):
        self._session = onnx_session("speechmos", "speechmos/dnsmos_models/sig_bak_ovr.onnx")

    def __call__(self, clean, estimate):
        """Return means over windows of 9 s, one each second, of the estimate, repeated."""
        x = np.asarray(estimate, np.float32) / max(1, np.abs(estimate).max())
        if len(x) < self.LENGTH:
            x = np.resize(x, self.LENGTH)
        starts = range(0, len(x) - self.LENGTH + 1, SAMPLE_RATE)
        windows = np.stack([x[start : start + self.LENGTH] for start in starts])
        (raw,) = self._session.run(None, {"input_1": windows})
        return {
            name: float(np.polyval(polynomial, scores).mean())
            for (name, polynomial), scores in zip(self.SCORES.items(), raw.T)
        }


FEW = (Distortion, Pesq)
ALL = (Distortion, FilteredDistortion, Pesq, Intelligibility, Dnsmos)
