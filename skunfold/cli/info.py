"""``skunfold info``: what a model file holds."""

import argparse
import inspect
from pathlib import Path
from typing import Any

from skunfold._text import printable
from skunfold.audio import SpeechEnhancer
from skunfold.audio._pretrained import PRETRAINED
from skunfold.cli.workbench import print_result
from skunfold.model_files import load_model

_LABELS = {  # what a person reads in place of the keys of JSON
    "model": "model",
    "class": "class",
    "bytes": "size (bytes)",
    "sample_rate": "sample rate (Hz)",
    "window_length": "frame (s)",
    "hop_length": "hop (s)",
    "n_context": "frames seen",
    "n_sample_components": "from a sample",
    "regressor": "regressor",
    "settings": "settings",
    "n_parameters": "parameters",
    "n_iter": "epochs",
    "validation_score": "held-out score",
}


def info(options: argparse.Namespace) -> int:
    """Print what a model is."""
    data = describe(options.model or PRETRAINED)
    width = max(map(len, _LABELS.values()))
    lines = [
        f"{label:<{width}}  {_text(data[name])}"
        for name, label in _LABELS.items()
        if data.get(name) is not None
    ]
    print_result(data, "\n".join(lines), as_json=options.json)
    return 0


def describe(file: Path) -> dict[str, Any]:
    """Return what there is to say about the model in a file.

    Returns
    -------
    dict
        ``model``, ``bytes``, ``class`` and ``settings`` (those that are not the default) of
        any model; of an enhancer also its sample rate and frames, and how many components it
        infers from a sample of the noise, if it takes samples; of what was trained
        ``n_parameters``, ``n_iter`` and ``validation_score``, the best on held-out samples.
        None where it is unknown.
    """
    model = load_model(file)
    data: dict[str, Any] = {
        "model": printable(file),
        "bytes": file.stat().st_size,
        "class": type(model).__name__,
    }
    trained = model
    if isinstance(model, SpeechEnhancer):
        trained = getattr(model, "regressor_", model.regressor)
        names = (
            "sample_rate",
            "window_length",
            "hop_length",
            "n_context",
            "n_sample_components",
        )
        data |= {name: getattr(model, name) for name in names}
        data["regressor"] = type(trained).__name__
    data |= {
        "settings": _settings(trained),
        "n_parameters": getattr(trained, "n_parameters_", None),
        "n_iter": _epochs(trained),
        "validation_score": _score(trained),
    }
    return data


def _settings(model: Any) -> dict[str, Any]:
    """Return the parameters of a model that are not the default and can be shown in a line."""
    parameters = inspect.signature(type(model)).parameters
    return {
        name: value
        for name, value in model.get_params(deep=False).items()
        if isinstance(value, bool | int | float | str | tuple)
        and value != parameters[name].default
    }


def _epochs(model: Any) -> int | None:
    """Return how many epochs a model was trained for."""
    history = getattr(model, "history_", None)
    return len(history) if history else getattr(model, "n_iter_", None)


def _score(model: Any) -> float | None:
    """Return the best score on held-out samples."""
    score = getattr(model, "best_validation_score_", None)
    return None if score is None else float(score)


def _text(value: Any) -> str:
    """Return a value as a person reads it."""
    if isinstance(value, dict):
        return ", ".join(f"{name}={item!r}" for name, item in value.items()) or "all defaults"
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
