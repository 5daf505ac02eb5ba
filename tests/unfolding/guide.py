"""The iterations of the user guide, as modules that can be imported and pickled."""

import importlib.util
import sys
from pathlib import Path

GUIDE = Path(__file__).parents[2] / "doc" / "user_guide"


def module_of_guide(name):
    """Import a module of the user guide."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, GUIDE / f"{name}.py")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]
