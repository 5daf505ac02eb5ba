"""
====================================
Denoise speech with trained deep NMF
====================================

A :class:`~skunfold.audio.SpeechEnhancer` learns from a minute of two voices and a minute of
birds, rain and traffic, and removes the noise from recordings that were not used for training.
Training starts from sparse NMF: the same layers, none of them trained.
"""

# %%
# Recordings
# ----------
# They come with the package. Speech and noise are mixed at two signal-to-noise ratios.
import warnings

from sklearn.exceptions import ConvergenceWarning

from skunfold.datasets import load_bundled_recordings, make_mixtures

warnings.simplefilter("ignore", ConvergenceWarning)
train, test = load_bundled_recordings("train"), load_bundled_recordings("test")
mixtures = make_mixtures(test.speech, test.noise, snrs=(-3, 3), random_state=0)

# %%
# Sparse NMF, and deep NMF from the same bases
# --------------------------------------------
from skunfold import DeepNMFRegressor
from skunfold.audio import SpeechEnhancer

settings = {"n_components": 25, "output": "mask", "sparsity": 5.0, "random_state": 0}
sparse = SpeechEnhancer(
    DeepNMFRegressor(n_layers=25, n_trained_layers=0, init="sparse_nmf", **settings),
    n_context=5,
    random_state=0,
).fit_sources(train.speech, train.noise)

bases = sparse.regressor_.bases_[0]
deep = SpeechEnhancer(
    DeepNMFRegressor(
        n_layers=4, tied=True, init=bases, early_stopping=True, max_iter=10, **settings
    ),
    n_context=5,
    random_state=0,
).fit_sources(train.speech, train.noise)

for name, enhancer in {"sparse": sparse, "deep": deep}.items():
    print(f"{name} NMF: {enhancer.score(mixtures.noisy, mixtures.clean):.2f} dB SI-SDR")

# %%
# Spectrograms
# ------------
# The recording is speech with bird song. Deep NMF removes more of the birds, and less of the
# speech. In the pauses it leaves faint noise, which hardly changes the squared error.
from skunfold.metrics import si_sdr
from skunfold.plotting import LossCurveDisplay, SpectrogramDisplay, plot_spectrograms

noisy, clean = mixtures.noisy[9], mixtures.clean[9]
shown = {"noisy": noisy, "sparse NMF": sparse.enhance(noisy), "deep NMF": deep.enhance(noisy)}
titles = [f"{name}: {si_sdr(clean, waveform):.1f} dB" for name, waveform in shown.items()]
figure = plot_spectrograms([*shown.values(), clean], test.sample_rate, [*titles, "clean"])

# %%
# The mask
# --------
# The mask is the fraction of the noisy magnitude that is kept at each time and frequency. It is
# dark where birds call, as at 1 and at 6 seconds, and in the low hum, except at the harmonics
# of the voice. Above 5 kHz, where there is little noise, nearly everything is kept.
SpectrogramDisplay.from_estimator(deep, noisy, clean)

# %%
# Learning curves
# ---------------
# Training returns the parameters with the lowest loss on held-out utterances.
import matplotlib.pyplot as plt

display = LossCurveDisplay.from_estimator(deep.regressor_)
display.ax_.set_ylabel("squared error per frame")
plt.show()
