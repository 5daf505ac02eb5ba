"""Parameters of classes that differ in model files of former versions.

The format of the file has its own version number.
"""

from collections.abc import Callable
from typing import Any

from skunfold._model_files.values import shown

_MAX_TARGETS = 1_000  # of files that give their number

Translation = Callable[[dict[str, Any], Any], None]


def dropped(params: dict[str, Any], value: Any) -> None:
    """Translate a parameter that changes nothing about a fitted model."""


def _grouped(params: dict[str, Any], n_targets: Any) -> None:
    """Translate the number of targets of a deep NMF into one size for each group."""
    if not (isinstance(n_targets, int) and 1 <= n_targets <= _MAX_TARGETS):
        raise ValueError(f"its n_targets={shown(n_targets)} is no number of targets")
    size = params.get("n_components", 25)
    if params.get("output") == "mask" and isinstance(size, int) and n_targets > 1:
        params["n_components"] = (size,) * (n_targets + 1)


def _with_length(params: dict[str, Any], length: Any) -> None:
    """Translate the time constant of a recurrence into the second item of a pair."""
    if params.get("recurrence"):
        params["recurrence"] = (params["recurrence"], length)


def _of_all_groups(params: dict[str, Any], n_targets: Any) -> None:
    """Check that the targets of masks are all groups but the last."""
    sizes = params.get("group_sizes")
    if not isinstance(sizes, list | tuple) or n_targets != len(sizes) - 1:
        raise ValueError(f"its n_targets={shown(n_targets)} does not fit its group_sizes")


# By class and by the name of a parameter that the class no longer has: a function that is given
# the parameters of a file, without this one, and its value, and changes the parameters to what
# they are today. It must not trust the values, which are checked afterwards.
FORMER_PARAMETERS: dict[str, dict[str, Translation]] = {
    "DeepNMFRegressor": {"n_targets": _grouped, "recurrence_length": _with_length},
    "MaskReadout": {"n_targets": _of_all_groups},
    "SpeechEnhancer": dict.fromkeys(("snrs", "n_mixtures", "n_draws"), dropped),
}

# What classes did when files were written that do not name a parameter, where that is not what
# its default does.
FORMER_DEFAULTS: dict[str, dict[str, Any]] = {
    "SpeechEnhancer": {"context_bands": None, "context_averages": ()},
}


def translated(class_name: str, params: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters that a file gives a class as this version names them."""
    current = FORMER_DEFAULTS.get(class_name, {}) | params
    for name, translate in FORMER_PARAMETERS.get(class_name, {}).items():
        if name in current:
            translate(current, current.pop(name))
    return current
