"""The web page of ``skunfold app``; Gradio is imported when it is made."""

import getpass
import importlib.util
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from skunfold._install import install_advice
from skunfold._text import printable
from skunfold._version import __version__
from skunfold.audio import SpeechEnhancer, read_audio, write_audio
from skunfold.cli.demo import train_demo_model
from skunfold.cli.files import load_enhancer
from skunfold.cli.meter import measure
from skunfold.cli.output import print_text
from skunfold.cli.progress import open_progress
from skunfold.cli.web_guard import Guard, Policy
from skunfold.datasets import load_bundled_recordings, mix_at_snr
from skunfold.model_files import save_model
from skunfold.plotting import plot_spectrograms

EXAMPLE_SNR = 0  # dB
SHOWN_SECONDS = 30  # of a recording, in the picture

_HEAD = """\
# Removing noise from speech
Upload a recording, record one, or take an example.  It stays on the computer that runs
`skunfold app`, and is deleted when the app ends.
"""


def check_extra() -> None:
    """Raise if what the page needs is not installed."""
    for package in ("gradio", "matplotlib"):
        if importlib.util.find_spec(package) is None:
            raise ModuleNotFoundError(
                f"{package} is not installed; {install_advice('app')} brings what the web page "
                "needs."
            )


def load_models(files: list[Path]) -> dict[str, SpeechEnhancer]:
    """Return the models of files by their names, or the bundled one if there are no files."""
    if not files:
        return {"trained on the bundled recordings": _bundled_model()}
    models = {}
    for file in files:
        name = printable(file.name)
        name = printable(file) if name in models else name
        models[name] = load_enhancer(file)
    return models


def read_password(asked: bool) -> str | None:
    """Return the password of the environment, or what is typed if it is asked for."""
    password = os.environ.get("SKUNFOLD_PASSWORD")
    if password or not asked:
        return password or None
    if sys.stdin is None or not sys.stdin.isatty():
        raise ValueError(
            "--password cannot ask for one, since stdin is no terminal; put it into the "
            "environment variable SKUNFOLD_PASSWORD."
        )
    password = getpass.getpass("Password for the page: ")
    if not password:
        raise ValueError("The password is empty; type one, or leave out --password.")
    return password


def serve(
    models: Mapping[str, SpeechEnhancer],
    host: str,
    port: int | None,
    policy: Policy,
    browser: bool,
) -> None:
    """Show the page until Ctrl-C is pressed, or the process is asked to end.

    Parameters
    ----------
    models : mapping of str to SpeechEnhancer
        What can be chosen; the first is chosen at first.
    host : str
        The address to listen on.
    port : int or None
        None: the first free one from 7860 on.
    policy : Policy
        Who may use the page, and how.
    browser : bool
        Whether to open a browser.
    """
    _check_host(host)
    with _ending_by_signals(), _temporary_folder() as folder:
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        os.environ["GRADIO_TEMP_DIR"] = str(folder)  # where uploads go
        import gradio
        from starlette.middleware import Middleware

        page = _build(models, folder)
        theme = gradio.themes.Default(
            primary_hue="teal",
            font=["system-ui", "sans-serif"],  # the default ones come from a server
            font_mono=["ui-monospace", "monospace"],
        )
        try:
            page.launch(
                server_name=f"[{host}]" if ":" in host and host[0] != "[" else host,
                server_port=port,
                inbrowser=browser,
                share=False,  # whatever GRADIO_SHARE says
                max_file_size=policy.max_bytes,
                app_kwargs={"middleware": [Middleware(Guard, policy=policy)]},
                prevent_thread_lock=True,
                quiet=True,
                footer_links=[],
                run_history=False,
                theme=theme,
            )
        except OSError as error:
            raise OSError(f"The page cannot listen on {host}, port {port}: {error}") from error
        print_text(f"The page is at {page.local_url} until you press Ctrl-C.")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            page.close(verbose=False)


def _check_host(host: str) -> None:
    """Check that this machine can listen on an address; Gradio would try port after port."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), 0, type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.bind(address)
    except (OSError, UnicodeError) as error:
        raise ValueError(
            f"--host {host} is no address of this machine ({error}); use 127.0.0.1, or 0.0.0.0 "
            "for all."
        ) from error


@contextmanager
def _ending_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block as Ctrl-C does; none disturbs its cleaning up."""
    numbers = [getattr(signal, name, None) for name in ("SIGINT", "SIGTERM", "SIGHUP")]
    before = {number: signal.getsignal(number) for number in numbers if number is not None}
    handled = {
        number: handler
        for number, handler in before.items()
        if handler in (signal.SIG_DFL, signal.default_int_handler)  # nohup's stays
    }

    def end(number: int, frame: object) -> NoReturn:
        for other in handled:
            signal.signal(other, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in handled:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in handled.items():
            signal.signal(number, handler)


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    """Make a folder, and delete it with all that is in it."""
    folder = Path(tempfile.mkdtemp(prefix="skunfold-"))
    try:
        yield folder
    finally:
        for pause in (0.01, 0.1, 1.0):  # something may still be written into it
            shutil.rmtree(folder, ignore_errors=True)
            if not folder.exists():
                break
            time.sleep(pause)
        else:
            shutil.rmtree(folder)


def _build(models: Mapping[str, SpeechEnhancer], folder: Path) -> Any:
    """Return the page; files that it shows are written into the folder."""
    import gradio

    examples = _write_examples(folder)
    waveform = {"waveform_color": "#94a3b8", "waveform_progress_color": "#0d9488"}
    with gradio.Blocks(title="skunfold", analytics_enabled=False) as page:
        gradio.Markdown(_HEAD)
        with gradio.Row():
            with gradio.Column():
                source = gradio.Audio(
                    label="Noisy",
                    sources=["upload", "microphone"],
                    type="filepath",
                    buttons=[],
                    waveform_options=waveform,
                )
                gradio.Examples(
                    [[str(file)] for file in examples],
                    source,
                    label=f"Examples: bundled speech in noise, at {EXAMPLE_SNR} dB",
                    example_labels=[file.stem for file in examples],
                )
            with gradio.Column():
                target = gradio.Audio(
                    label="Enhanced", interactive=False, buttons=[], waveform_options=waveform
                )
                model = gradio.Dropdown(list(models), label="Model")
                with gradio.Row():
                    button = gradio.Button("Enhance", variant="primary")
                    download = gradio.DownloadButton("Download", interactive=False)
        picture = gradio.Image(
            show_label=False, container=False, interactive=False, buttons=[], visible=False
        )
        results = [target, download, picture]
        button.click(_enhance_on(models, folder), [source, model], results)
        source.change(lambda: _results(None, None), None, results)
    return page


def _enhance_on(models: Mapping[str, SpeechEnhancer], folder: Path) -> Callable[..., Any]:
    """Return what the button calls."""
    import gradio

    def enhance(source: str | None, model: str) -> tuple[str | None, Any, Any]:
        if source is None:
            raise gradio.Error("Upload or record something first.", print_exception=False)
        place = Path(tempfile.mkdtemp(dir=folder))
        try:
            target, picture, complaints = enhance_recording(models[model], Path(source), place)
        except (OSError, ValueError) as error:
            sentence = str(error).replace(source, Path(source).name)
            raise gradio.Error(sentence, print_exception=False) from error
        for complaint in complaints:
            gradio.Warning(complaint)
        return _results(target, picture)

    return enhance


def _results(target: Path | None, picture: Path | None) -> tuple[str | None, Any, Any]:
    """Return what the player, the button to download and the picture become."""
    import gradio

    file = None if target is None else str(target)
    return (
        file,
        gradio.DownloadButton(value=file, interactive=file is not None),
        gradio.Image(
            value=None if picture is None else str(picture), visible=picture is not None
        ),
    )


def enhance_recording(
    enhancer: SpeechEnhancer, source: Path, folder: Path
) -> tuple[Path, Path, list[str]]:
    """Denoise a recording, and draw it before and after.

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
        enhancer.enhance_file(source, target)
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


def _bundled_model() -> SpeechEnhancer:
    """Return the demo's model, trained at the first call and then kept."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "skunfold"
    file = cache / f"demo-{__version__}.model"
    if not file.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with open_progress(1) as progress:
            save_model(train_demo_model(0, progress), file)
    return load_enhancer(file)


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
