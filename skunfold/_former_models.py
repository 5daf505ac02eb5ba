"""What model files of former versions say otherwise than this version does.

The format of a file has a version of its own; here are the parameters of classes.
"""

from collections.abc import Callable
from typing import Any

Translation = Callable[[dict[str, Any], Any], None]


def dropped(params: dict[str, Any], value: Any) -> None:
    """Translate a parameter that changes nothing about a fitted model."""


# By class and by the name of a parameter that the class no longer has: a function that is given
# the parameters of a file, without this one, and its value, and changes the parameters to what
# they are today. It must not trust the values, which are checked afterwards.
FORMER_PARAMETERS: dict[str, dict[str, Translation]] = {
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
