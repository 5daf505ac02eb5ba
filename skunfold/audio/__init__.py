"""Speech enhancement: reading recordings, spectrograms, features, enhancers."""

from skunfold.audio.context import mel_bands, stack_context
from skunfold.audio.enhancer import SpeechEnhancer
from skunfold.audio.io import read_audio, resample, write_audio
from skunfold.audio.stft import STFT
from skunfold.audio.streaming import EnhancementStream

__all__ = [
    "STFT",
    "EnhancementStream",
    "SpeechEnhancer",
    "mel_bands",
    "read_audio",
    "resample",
    "stack_context",
    "write_audio",
]
