"""Modules import from their own layer and those below it, and nowhere in a circle."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import skunfold

PACKAGE = Path(skunfold.__file__).parent

# From the lowest up: modules of `skunfold`, a package standing for all that is in it.
LAYERS = (
    # what needs nothing of the package but each other
    "_version _install _text _storage _running metrics",
    "_kernels",
    "_show_versions",
    "_training",
    # the loop's estimators, and what they check of their data
    "_estimator unfolding",
    # what the estimators below are made of
    "_deep_nmf _mrf _crf",
    # estimators, and functions that make some
    "deep_nmf mrf crf sparse_nmf convert",
    "_model_files model_files",
    "audio",
    "datasets",
    "plotting",
    "cli",
    "__main__",
)
HEIGHT = {name: height for height, layer in enumerate(LAYERS) for name in layer.split()}

FILES = {
    ".".join((PACKAGE.name, *file.relative_to(PACKAGE).with_suffix("").parts)): file
    for file in PACKAGE.rglob("*.py")
}
MODULES = {name.removesuffix(".__init__"): file for name, file in FILES.items()}


def imported(file):
    """Return the modules of the package that a file imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} has a relative import"
            for alias in node.names:
                module = f"{node.module}.{alias.name}"
                found.add(module if module in MODULES else node.module)
    return found & set(MODULES)


IMPORTS = {name: imported(file) for name, file in MODULES.items()}


def height(module):
    """Return the number of a module's layer; the package hands on what is in it."""
    return HEIGHT[module.split(".")[1]] if "." in module else len(LAYERS)


def test_every_module_has_a_layer():
    here = {name.split(".")[1] for name in MODULES if "." in name}
    assert here - set(HEIGHT) == set()


def test_no_module_imports_from_a_layer_above():
    upward = [
        f"{name} imports {other}"
        for name, others in sorted(IMPORTS.items())
        for other in sorted(others)
        if height(other) > height(name)
    ]
    assert upward == []


def test_no_modules_import_each_other_in_a_circle():
    TopologicalSorter(IMPORTS).prepare()


def test_imports_inside_functions_and_of_submodules_are_seen(tmp_path):
    source = "def f():\n    from skunfold.audio import stft\n    import skunfold.cli\n"
    (tmp_path / "module.py").write_text(source)
    assert imported(tmp_path / "module.py") == {"skunfold.audio.stft", "skunfold.cli"}
