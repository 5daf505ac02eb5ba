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


KLNMF = module_of_guide("unfolded_nmf").KLNMF


class RandomISTA(module_of_guide("unfolded_ista").ISTA):
    """ISTA with random atoms, for data of any number of features."""

    def __init__(self, n_atoms=6, sparsity=0.05):
        self.n_atoms = n_atoms
        self.sparsity = sparsity

    def parameters(self, X, y, random_state):
        self.atoms = random_state.normal(size=(self.n_atoms, X.shape[1]))
        return super().parameters(X, y, random_state)
