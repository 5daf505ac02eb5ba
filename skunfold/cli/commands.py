"""The commands of ``skunfold``: each checks everything first, and raises if it cannot go on."""

import argparse
import json
import os
import zipfile
from pathlib import Path

import soundfile
from sklearn.utils import Bunch

from skunfold.audio import SpeechEnhancer
from skunfold.cli.demo import N_STAGES, run_demo
from skunfold.cli.progress import open_progress
from skunfold.cli.workbench import (
    SNRS,
    enhance_all,
    fit_enhancer,
    format_table,
    make_enhancer,
    score_row,
)
from skunfold.datasets import load_recordings, make_mixtures
from skunfold.model_files import load_model, save_model


def demo(options: argparse.Namespace) -> None:
    """Run the demonstration."""
    _make_folder(options.out)
    with open_progress(N_STAGES) as progress:
        report = run_demo(options.out, options.seed, progress)
    print(report)


def train(options: argparse.Namespace) -> None:
    """Train an enhancer on two folders, and write it to a model file."""
    _check_model_target(options.output)
    enhancer = make_enhancer(
        options.seed,
        n_context=options.context,
        n_mixtures=options.mixtures,
        n_components=options.components,
        n_layers=options.layers,
        n_trained_layers=options.trained_layers,
        tied=options.tied,
        max_iter=options.epochs,
    )
    with open_progress(2) as progress:
        progress.stage("load the recordings")
        data = _load_folders(options, enhancer.sample_rate)
        progress.stage("train", options.epochs)
        seconds = fit_enhancer(enhancer, data.speech, data.noise, progress)
    save_model(enhancer, options.output)
    n_parameters = enhancer.regressor_.n_parameters_
    print(f"Wrote {options.output}: {n_parameters:,} parameters, fitted in {seconds:.1f} s.")


def enhance(options: argparse.Namespace) -> None:
    """Denoise recordings."""
    enhancer = _load_enhancer(options.model)
    targets = _plan_outputs(options.inputs, options.output)
    with open_progress(1) as progress:
        progress.stage("denoise", len(targets))
        for source, target in zip(options.inputs, targets):
            enhancer.enhance_file(source, target)
            progress.advance()
    many = f"{len(targets)} recordings into {targets[0].parent}"
    print(f"Wrote {targets[0] if len(targets) == 1 else many}.")


def evaluate(options: argparse.Namespace) -> None:
    """Print scores of an enhancer on mixtures of two folders."""
    enhancer = _load_enhancer(options.model)
    with open_progress(2) as progress:
        progress.stage("load and mix the recordings")
        data = _load_folders(options, enhancer.sample_rate)
        mixtures = make_mixtures(data.speech, data.noise, snrs=SNRS, random_state=options.seed)
        progress.stage("denoise", len(mixtures.noisy))
        estimates = enhance_all(enhancer, mixtures.noisy, progress)
    n_parameters = getattr(enhancer.regressor_, "n_parameters_", 0)
    rows = [
        score_row("noisy", mixtures, mixtures.noisy),
        score_row("enhanced", mixtures, estimates, n_parameters=n_parameters),
    ]
    print(json.dumps({"rows": rows}, indent=2) if options.json else format_table(rows))


def _load_folders(options: argparse.Namespace, sample_rate: int) -> Bunch:
    """Read the recordings of speech and noise."""
    return Bunch(
        speech=load_recordings(options.speech, sample_rate=sample_rate).recordings,
        noise=load_recordings(options.noise, sample_rate=sample_rate).recordings,
    )


def _load_enhancer(file: Path) -> SpeechEnhancer:
    """Read a model and check that it is a fitted enhancer."""
    if not file.is_file():
        raise FileNotFoundError(f"There is no model {file}; `skunfold train` makes one.")
    model = load_model(file)
    if not isinstance(model, SpeechEnhancer) or not hasattr(model, "regressor_"):
        raise ValueError(
            f"{file} holds a {type(model).__name__}, not a fitted SpeechEnhancer; "
            "`skunfold train` makes one."
        )
    return model


def _plan_outputs(inputs: list[Path], output: str) -> list[Path]:
    """Return a target for each recording, after checking that all can be read and written."""
    for source in inputs:
        if not source.is_file():
            raise FileNotFoundError(f"There is no recording {source}; check the path.")
        try:
            soundfile.info(source)
        except (soundfile.LibsndfileError, TypeError) as error:
            raise ValueError(f"{source} cannot be read as audio: {error}") from error
    if len(inputs) > 1 and _is_audio_name(Path(output)) and not Path(output).is_dir():
        raise ValueError(
            f"{output} is the name of one recording, but there are {len(inputs)} to denoise; "
            "name a folder."
        )
    into_folder = len(inputs) > 1 or output.endswith(("/", os.sep)) or Path(output).is_dir()
    targets = [Path(output) / source.name if into_folder else Path(output) for source in inputs]
    for i, target in enumerate(targets):
        if target in targets[:i]:
            raise ValueError(
                f"Two recordings are called {target.name}; denoise them into different folders."
            )
        if any(target.resolve() == source.resolve() for source in inputs):
            raise ValueError(f"{target} is one of the inputs; choose another output.")
        if not _is_audio_name(target):
            raise ValueError(
                f"{target} has no suffix that names an audio format; use .wav, .flac or .ogg."
            )
    if into_folder:
        _make_folder(Path(output))
    else:
        _check_writable(targets[0].parent)
    return targets


def _is_audio_name(file: Path) -> bool:
    """Return whether a suffix names a format that can be written."""
    return file.suffix[1:].upper() in soundfile.available_formats()


def _check_model_target(file: Path) -> None:
    """Raise unless a model may be written there."""
    if file.is_dir():
        raise IsADirectoryError(f"{file} is a folder; name a file for the model.")
    if file.exists() and not zipfile.is_zipfile(file):
        raise FileExistsError(f"{file} exists and is no model; choose another name.")
    _check_writable(file.parent)


def _make_folder(folder: Path) -> None:
    """Make a folder, and check that files can be written into it."""
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file; name a folder.")
    folder.mkdir(parents=True, exist_ok=True)
    _check_writable(folder)


def _check_writable(folder: Path) -> None:
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}; make it first.")
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"The folder {folder} cannot be written to; choose another.")
