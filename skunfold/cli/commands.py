"""The commands of ``skunfold``: each checks all its input before it does any work."""

import argparse
from collections.abc import Callable

from skunfold._estimator.data import was_interrupted
from skunfold._text import printable
from skunfold.audio import SpeechEnhancer
from skunfold.audio._pretrained import PRETRAINED
from skunfold.audio._regressor import RegressorError
from skunfold.cli import web_page
from skunfold.cli.demo import N_STAGES, check_demo_folder, run_demo
from skunfold.cli.enhance import enhance
from skunfold.cli.files import check_new_model, load_enhancer
from skunfold.cli.info import info
from skunfold.cli.output import tell
from skunfold.cli.progress import open_progress
from skunfold.cli.sources import (
    Source,
    bundled_source,
    complaints,
    describe,
    files_named,
    load_source,
)
from skunfold.cli.web_guard import Policy, reaches_other_computers
from skunfold.cli.workbench import (
    SNRS,
    adaptable,
    enhance_all,
    fit_enhancer,
    format_table,
    held_out_scores,
    make_enhancer,
    print_result,
    score_row,
)
from skunfold.datasets import make_mixtures
from skunfold.model_files import save_model


def run(options: argparse.Namespace) -> int:
    """Run the command that was chosen; return the exit code."""
    try:
        return _COMMANDS[options.command](options)
    except RegressorError as error:
        if not hasattr(options, "model"):
            raise
        raise ValueError(f"The model in {options.model} cannot be used: {error}") from error


def demo(options: argparse.Namespace) -> int:
    """Run the demonstration."""
    check_demo_folder(options.out, options.overwrite)
    with open_progress(N_STAGES) as progress:
        rows, text = run_demo(options.out, options.seed, progress)
    print_result({"rows": rows, "folder": str(options.out)}, text, as_json=options.json)
    return 0


def train(options: argparse.Namespace) -> int:
    """Train an enhancer on recordings, and write it to a model file."""
    check_new_model(options.output, options.overwrite)
    enhancer = _enhancer_to_train(options)
    with open_progress(2) as progress:
        progress.stage("load the recordings")
        speech, noise = _load_sources(options, enhancer.sample_rate)
        tell(describe(speech, noise))
        warnings = complaints(speech, noise)
        for warning in warnings:
            tell(f"skunfold: warning: {warning}")
        progress.stage("train", options.epochs)
        with files_named(speech, noise):
            seconds = fit_enhancer(
                enhancer,
                speech.recordings,
                noise.recordings,
                progress,
                n_mixtures=options.mixtures,
                keep_interrupted=True,
            )
    save_model(enhancer, options.output)
    regressor = enhancer.regressor_
    scores, learned = held_out_scores(regressor)
    fitted = {
        "model": str(options.output),
        "init": str(options.init or PRETRAINED) if options.adapts else None,
        "n_parameters": regressor.n_parameters_,
        "n_frames": enhancer.n_frames_,
        "n_iter": int(regressor.n_iter_),
        "fit_seconds": seconds,
        "speech": speech.summary(),
        "noise": noise.summary(),
        "validation_scores": scores,
        "warnings": warnings,
    }
    text = (
        f"Wrote {printable(options.output)}: {regressor.n_parameters_:,} parameters, fitted in "
        f"{seconds:.1f} s."
    )
    if options.adapts and options.init is None:
        learned.append(
            "It continues the model that comes with skunfold, so it is under CC-BY-SA-3.0 too; "
            "--new trains one that is yours alone."
        )
    print_result(fitted, "\n".join([text, *learned]), as_json=options.json)
    if was_interrupted(regressor):
        raise KeyboardInterrupt  # once the model is written
    return 0


def evaluate(options: argparse.Namespace) -> int:
    """Print scores of an enhancer on mixtures of two folders."""
    enhancer = load_enhancer(options.model)
    with open_progress(2) as progress:
        progress.stage("load and mix the recordings")
        speech, noise = _load_sources(options, enhancer.sample_rate)
        with files_named(speech, noise):
            mixtures = make_mixtures(
                speech.centered(), noise.centered(), snrs=SNRS, random_state=options.seed
            )
        progress.stage("denoise", len(mixtures.noisy))
        estimates = enhance_all(enhancer, mixtures.noisy, progress)
    n_parameters = getattr(enhancer.regressor_, "n_parameters_", 0)
    rows = [
        score_row("noisy", mixtures, mixtures.noisy),
        score_row("enhanced", mixtures, estimates, n_parameters=n_parameters),
    ]
    print_result({"rows": rows}, format_table(rows), as_json=options.json)
    return 0


def app(options: argparse.Namespace) -> int:
    """Show the web page until interrupted."""
    web_page.check_extra()
    policy = Policy(
        options.host,
        tuple(options.allow_host),
        options.max_upload * 1_000_000,
        web_page.read_password(options.password),
    )
    if reaches_other_computers(options.host):
        tell(f"skunfold: warning: {_open_to_others(options.host, policy)}")
    models = web_page.load_models(options.models)
    web_page.serve(models, options.host, options.port, policy, not options.no_browser)
    return 0


def _enhancer_to_train(options: argparse.Namespace) -> SpeechEnhancer:
    """Return a new enhancer, or the one that is to be adapted; None is that of the package."""
    if options.adapts:
        enhancer = load_enhancer(options.init)
        try:
            return adaptable(enhancer, options.seed, max_iter=options.epochs)
        except ValueError as error:
            raise ValueError(
                f"The model in {printable(options.init)} cannot be adapted: {error}"
            ) from error
    return make_enhancer(
        options.seed,
        sample_rate=options.sample_rate,
        n_context=options.context,
        n_components=options.components,
        n_layers=options.layers,
        n_trained_layers=options.trained_layers,
        n_sample_components=options.sample_components,
        tied=not options.untied,
        max_iter=options.epochs,
    )


def _open_to_others(host: str, policy: Policy) -> str:
    """Return the warning if other computers can use the page."""
    if policy.password is None:
        return (
            f"--host {host} lets everybody use the page who reaches this computer; --password "
            "asks them for one"
        )
    return (
        f"--host {host} lets other computers in; recordings and the password reach it "
        "unencrypted"
    )


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "demo": demo,
    "train": train,
    "enhance": enhance,
    "evaluate": evaluate,
    "info": info,
    "app": app,
}


def _load_sources(options: argparse.Namespace, sample_rate: int) -> tuple[Source, Source]:
    """Read the recordings of speech and noise; speech that was not given is the bundled one."""
    if options.speech is None:
        speech = bundled_source(sample_rate)
    else:
        speech = load_source("speech", options.speech, sample_rate)
    return speech, load_source("noise", options.noise, sample_rate)
