"""More voices and kinds of noise than were recorded, for models that have to serve any."""

from speech_protocol import SAMPLE_RATE

from skunfold.audio.synthetic_noise import change_speed
from skunfold.datasets import make_noise

SPEECH_OCTAVES, NOISE_OCTAVES = 0.5, 0.7  # most changes of speed
N_SPEEDS = 2  # changed copies of each recording
N_SYNTHETIC = 8  # recordings for each of these of noise
KINDS = (  # made in turn: babble, of voices that are to be kept, once in eight
    "coloured", "modulated", "impulsive", "modulated",
    "harmonic", "coloured", "impulsive", "babble",
)  # fmt: skip
SHORTEST = SAMPLE_RATE  # of a recording of noise, in samples


def varied(speech, noise, rng):
    """Return speech and noise at other speeds as well, and synthetic noise beside the noise."""
    voices = speech + _copies(speech, SPEECH_OCTAVES, rng)
    recorded = noise + _copies(noise, NOISE_OCTAVES, rng)
    made = make_noise(N_SYNTHETIC * len(recorded), kinds=KINDS, speech=speech, random_state=rng)
    return voices, [x for x in recorded + made.recordings if len(x) >= SHORTEST]


def _copies(recordings, octaves, rng):
    return [change_speed(x, octaves, rng) for x in recordings for _ in range(N_SPEEDS)]
