"""Make the pictures and recordings of the first pages: ``python doc/drawings/pictures.py``.

The model that comes with the package removes the noise from a bundled test recording at 0 dB; a
conditional random field segments the image of ``examples/plot_segment_image.py``. The pictures
of "Getting started" are those that its code draws. It takes about a minute and needs the extra
``docs``. The sound files are MP3, which every browser plays.
"""

import contextlib
import re
import runpy
import sys
import tempfile
import textwrap
from pathlib import Path

import matplotlib as mpl
import numpy as np
import soundfile
from PIL import Image
from sklearn.linear_model import LogisticRegression

sys.path.insert(0, str(Path(__file__).parent))

import matplotlib.pyplot as plt
from svg import THEMES

from skunfold.audio import STFT, SpeechEnhancer
from skunfold.datasets import load_bundled_recordings, make_mixtures
from skunfold.metrics import si_sdr

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "doc" / "_static"
SHOWN = 4.0  # seconds of the recording in the picture


def denoised():
    """Return noisy and enhanced waveform, sample rate, and SI-SDR (dB) of both."""
    test = load_bundled_recordings("test")
    mixtures = make_mixtures(test.speech, test.noise, snrs=(0,), random_state=0)
    noisy, clean = mixtures.noisy[2], mixtures.clean[2]
    enhanced = SpeechEnhancer.pretrained().enhance(noisy)
    scores = [float(si_sdr(clean, wave)) for wave in (noisy, enhanced)]
    return noisy, enhanced, test.sample_rate, scores


def segmented():
    """Return a noisy image, its regions found without and with neighbours, and accuracies."""
    mpl.use("Agg")
    example = runpy.run_path(str(ROOT / "examples" / "plot_segment_image.py"))
    plt.close("all")
    alone = LogisticRegression().fit(example["X"][:, :3], example["y"])
    estimates = [
        alone.predict(example["X_test"][:, :3]),
        example["model"].predict(example["X_test"]),
    ]
    scores = [float(np.mean(estimate == example["y_test"])) for estimate in estimates]
    image = np.clip(example["noisy"][:, example["half"] :], 0, 1)
    return image, *(estimate.reshape(image.shape[:2]) for estimate in estimates), scores


def level(waveform, sample_rate):
    """Return the spectrogram in dB below its maximum."""
    magnitudes = np.abs(STFT(sample_rate).analyze(waveform[: int(SHOWN * sample_rate)]))
    return 20 * np.log10(np.maximum(magnitudes, 1e-6) / magnitudes.max()).T


def draw(theme, sound, image):
    """Draw the picture of the first page in the colours of a theme."""
    noisy, enhanced, rate, decibels = sound
    pixels, alone, together, accuracies = image
    ink = THEMES[theme]["ink"]
    plt.rcParams.update({"font.size": 11, "text.color": ink, "axes.edgecolor": ink})
    figure = plt.figure(figsize=(11, 3.9), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1.05, 1))
    left.suptitle("Speech: noisy, and enhanced by deep NMF", weight="bold", fontsize=12)
    bare = {"xticks": [], "yticks": []}
    for ax, wave, name, score in zip(
        left.subplots(2, 1, subplot_kw=bare), (noisy, enhanced), ("noisy", "enhanced"), decibels
    ):
        ax.imshow(
            level(wave, rate), origin="lower", aspect="auto", cmap="magma", vmin=-70, vmax=0
        )
        title = f"{name}, SI-SDR {abs(round(score, 1))} dB"
        ax.text(
            0.015, 0.93, title, transform=ax.transAxes, va="top", color="white",
            bbox={"facecolor": "#000000a0", "edgecolor": "none", "pad": 3},
        )  # fmt: skip
    right.suptitle("Image: which pixel is which region", weight="bold", fontsize=12)
    axes = right.subplots(1, 3, subplot_kw=bare)
    regions = mpl.colors.ListedColormap(["#0f766e", "#f59e0b", "#1e1b4b"])
    axes[0].imshow(pixels)
    axes[1].imshow(alone, cmap=regions)
    axes[2].imshow(together, cmap=regions)
    titles = [
        "noisy image",
        f"each pixel alone\n{accuracies[0]:.0%} right",
        f"with its neighbours\n{accuracies[1]:.0%} right",
    ]
    for ax, title in zip(axes, titles):
        ax.set_title(title, fontsize=11)
    file = FOLDER / f"first_page-{theme}.png"
    save(figure, file, dpi=110, transparent=True)


def save(figure, file, n_colours=96, **settings):
    """Write a figure as a PNG of few colours."""
    figure.savefig(file, **settings)
    plt.close(figure)
    picture = Image.open(file).quantize(n_colours, method=Image.Quantize.FASTOCTREE)
    picture.save(file, optimize=True)
    print(f"{file.name}: {file.stat().st_size:,} bytes")


def draw_getting_started():
    """Run the code of the page, and keep its two figures."""
    page = (ROOT / "doc" / "getting_started.rst").read_text()
    names = {}
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for block in re.findall(r"\.\. code-block:: python\n\n((?:   .*\n|\n)+)", page):
            exec(textwrap.dedent(block), names)
    save(names["figure"], FOLDER / "getting_started_digits.png", 32, dpi=100)
    save(names["display"].figure_, FOLDER / "getting_started_speech.png", dpi=80)


if __name__ == "__main__":
    sound, image = denoised(), segmented()
    for theme in THEMES:
        draw(theme, sound, image)
    noisy, enhanced, rate, _ = sound
    gain = 0.95 / max(np.abs(noisy).max(), np.abs(enhanced).max())
    for name, wave in (("noisy", noisy), ("enhanced", enhanced)):
        file = FOLDER / f"{name}.mp3"
        soundfile.write(file, gain * wave, rate, format="MP3")
        print(f"{file.name}: {len(wave) / rate:.1f} s, {file.stat().st_size:,} bytes")
    plt.rcdefaults()
    draw_getting_started()
    print("SI-SDR", np.round(sound[3], 2), "accuracies", np.round(image[3], 3))
