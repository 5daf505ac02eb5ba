"""What a report of a problem needs to say about an installation."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from threadpoolctl import threadpool_info

from skunfold._kernels.blocks import BlockThreads
from skunfold._kernels.fused import CORE
from skunfold._version import __version__

PACKAGES = (
    *("numpy", "scipy", "scikit-learn", "joblib", "soundfile", "threadpoolctl"),
    *("matplotlib", "rich", "gradio", "distributed", "pandas", "pip", "setuptools"),
)


def show_versions() -> None:
    """Print which core computes, its threads, the BLAS, and the versions of dependencies.

    Add the output to a report of a problem. "compiled" is the compiled core, with the kind of
    processor that its loops are for; "NumPy" is the one that computes everywhere, with the
    reason. The environment variable ``SKUNFOLD_FUSED`` chooses: 0 is NumPy, 1 fails where the
    compiled core is missing. As :func:`sklearn.show_versions`.

    Examples
    --------
    >>> import skunfold
    >>> skunfold.show_versions()  # doctest: +SKIP
    """
    with BlockThreads() as threads:
        n_threads = threads.n_threads
    print_section(
        "System",
        python=sys.version.replace("\n", " "),
        executable=sys.executable,
        machine=platform.platform(),
    )
    print_section("skunfold", version=__version__, core=CORE, threads=n_threads)
    print_section("Python dependencies", **{name: _version_of(name) for name in PACKAGES})
    for library in threadpool_info():
        print_section(f"Library of threads: {library['user_api']}", **library)


def print_section(title: str, **lines: object) -> None:
    """Print a title, and below it names and values."""
    width = max(map(len, lines))
    print(f"{title}:", *(f"{name:>{width}}: {lines[name]}" for name in lines), sep="\n")
    print()


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
