"""What the web page of ``skunfold app`` shows and does; Gradio is imported when it is made."""

import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from skunfold._estimator.documentation import documentation_address
from skunfold.audio import SpeechEnhancer, read_audio, write_audio
from skunfold.audio._noise_sample import MIN_SECONDS
from skunfold.audio._recording import Recording
from skunfold.audio.streaming import MAX_STRENGTH
from skunfold.audio.waveforms import FloatArray
from skunfold.cli.meter import measure
from skunfold.cli.web_player import player
from skunfold.datasets import load_bundled_recordings, mix_at_snr
from skunfold.plotting import plot_spectrograms

EXAMPLE_SNR = 0  # dB
SHOWN_SECONDS = 30  # of a recording, in the picture

_HEAD = """\
# skunfold: removing noise from speech
Upload a recording, record one, or press an example.  It stays on the computer that runs
`skunfold app`, and is deleted when the app ends.  [Documentation]({address})
"""


def build(models: Mapping[str, SpeechEnhancer], folder: Path) -> Any:
    """Return the page; files that it shows are written into the folder."""
    import gradio

    examples = _write_examples(folder)
    enhance = _enhance_on(models, folder)
    waveform = {"waveform_color": "#94a3b8", "waveform_progress_color": "#0d9488"}
    with gradio.Blocks(title="skunfold", analytics_enabled=False) as page:
        gradio.Markdown(_HEAD.format(address=documentation_address()))
        with gradio.Row():
            with gradio.Column(scale=2):
                source = gradio.Audio(
                    label="Noisy",
                    sources=["upload", "microphone"],
                    type="filepath",
                    buttons=[],
                    waveform_options=waveform,
                )
                samples = gradio.Examples(
                    [[str(file)] for file in examples],
                    source,
                    label=f"Examples: bundled speech in noise, at {EXAMPLE_SNR} dB",
                    example_labels=[file.stem for file in examples],
                )
                model = gradio.Dropdown(list(models), label="Model", visible=len(models) > 1)
                strength = gradio.Slider(
                    0, MAX_STRENGTH, 1, step=0.1, label="Strength",
                    info="what the attenuation is multiplied by: 0 removes nothing, 2 most",
                )  # fmt: skip
                with gradio.Row():
                    starts = gradio.Number(
                        None, label="Noise alone from (s)", minimum=0,
                        info="where nobody speaks, if there is such a place",
                    )  # fmt: skip
                    ends = gradio.Number(
                        None, label="to (s)", minimum=0, info="half a second later or more"
                    )
                with gradio.Row():
                    button = gradio.Button("Enhance", variant="primary")
                    download = gradio.DownloadButton("Download", interactive=False)
            with gradio.Column(scale=3):
                sound = gradio.HTML(visible=False)
                picture = gradio.Image(
                    show_label=False, container=False, interactive=False, buttons=[],
                    visible=False,
                )  # fmt: skip
        inputs, results = [source, model, strength, starts, ends], [sound, download, picture]
        samples.load_input_event.then(enhance, inputs, results)
        button.click(enhance, inputs, results)
        source.upload(_check, source, source)
        source.change(lambda: _results(None, None, None), None, results)
    return page


def _check(source: str | None) -> Any:
    """Say at once if what was uploaded is no recording, and take it off the page."""
    import gradio

    if source is None:
        return None
    try:
        with Recording(source):
            return source
    except (OSError, ValueError) as error:
        gradio.Warning(_sentence(error, source))
        return None


def _enhance_on(models: Mapping[str, SpeechEnhancer], folder: Path) -> Callable[..., Any]:
    """Return what the button calls."""
    import gradio

    def enhance(
        source: str | None,
        model: str,
        strength: float,
        starts: float | None,
        ends: float | None,
    ) -> tuple[Any, Any, Any]:
        if source is None:
            raise gradio.Error("Upload or record something first.", print_exception=False)
        place = Path(tempfile.mkdtemp(dir=folder))
        region = (starts or 0.0, ends or np.inf) if starts or ends else None
        try:
            target, picture, complaints = enhance_recording(
                models[model], Path(source), place, strength, region
            )
        except (OSError, ValueError) as error:
            raise gradio.Error(_sentence(error, source), print_exception=False) from error
        for complaint in complaints:
            gradio.Warning(complaint)
        return _results(player(Path(source), target), target, picture)

    return enhance


def _sentence(error: Exception, source: str) -> str:
    """Return what to say about an error, with the name of the upload in place of its path."""
    return str(error).replace(source, Path(source).name)


def _results(sound: str | None, target: Path | None, picture: Path | None) -> tuple[Any, ...]:
    """Return what the player, the button to download and the picture become."""
    import gradio

    file = None if target is None else str(target)
    return (
        gradio.HTML(value=sound, visible=sound is not None),
        gradio.DownloadButton(value=file, interactive=file is not None),
        gradio.Image(
            value=None if picture is None else str(picture), visible=picture is not None
        ),
    )


def enhance_recording(
    enhancer: SpeechEnhancer,
    source: Path,
    folder: Path,
    strength: float = 1.0,
    region: tuple[float, float] | None = None,
) -> tuple[Path, Path, list[str]]:
    """Denoise a recording, and draw it before and after.

    Parameters
    ----------
    enhancer : SpeechEnhancer
        A fitted one.
    source, folder : Path
        The recording, and where the results are written.
    strength : float, default=1.0
        How much is removed, from 0 to 2, as in `SpeechEnhancer.enhance`.
    region : (float, float) or None, default=None
        From when to when there is nothing but noise, in seconds: the sample of the noise.

    Returns
    -------
    target : Path
        What ``skunfold enhance`` would write, as WAV.
    picture : Path
        Spectrograms of the first `SHOWN_SECONDS`, channels averaged.
    complaints : list of str
        What is wrong with the recording, in sentences.
    """
    from matplotlib.figure import Figure

    target = folder / f"{source.stem}-enhanced.wav"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        sample = None if region is None else _sample(enhancer, source, region)
        enhancer.enhance_file(source, target, noise_sample=sample, strength=strength)
    complaints = measure(source).complaints() + [str(warning.message) for warning in caught]
    waveforms = []
    for file in (source, target):
        waveform, rate = read_audio(file, enhancer.sample_rate, mono=True)
        waveforms.append(waveform[: SHOWN_SECONDS * rate])
    picture = folder / "spectrograms.png"
    titles = ["noisy", "enhanced"]
    figure = plot_spectrograms(waveforms, enhancer.sample_rate, titles, figure=Figure(dpi=120))
    figure.set_size_inches(11, 4.6)
    figure.savefig(picture)
    return target, picture, complaints


def _sample(enhancer: SpeechEnhancer, source: Path, region: tuple[float, float]) -> FloatArray:
    """Return the part of a recording, in seconds, that is a sample of the noise."""
    waveform, rate = read_audio(source, enhancer.sample_rate, mono=True)
    start, end = (round(min(second * rate, len(waveform))) for second in region)
    shortest = MIN_SECONDS * rate
    if end - start < shortest:
        raise ValueError(
            f"There are {(end - start) / rate:.2f} s of sound from {region[0]:g} to "
            f"{region[1]:g} s; the noise alone must last {MIN_SECONDS} s or more."
        )
    return waveform[start:end]


def _write_examples(folder: Path) -> list[Path]:
    """Write mixtures of bundled recordings, one for each noise, each with another utterance."""
    data = load_bundled_recordings("test")
    files = []
    for speech, noise, name in zip(data.speech, data.noise, data.noise_names):
        mixture, _ = mix_at_snr(speech, noise, EXAMPLE_SNR, random_state=0)
        mixture *= min(1.0, 0.99 / np.abs(mixture).max())
        files.append(folder / f"{name.split('_')[0]}.wav")
        write_audio(files[-1], mixture, data.sample_rate)
    return files
