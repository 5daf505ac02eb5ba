"""Builds the compiled core, `skunfold._kernels._fused`; pyproject.toml says everything else.

The environment variable SKUNFOLD_BUILD_FUSED is 1 where a core that cannot be built is an
error, and 0 to build none. Unless it is set, skunfold is installed without the core where no C
compiler works.
"""

import os

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

FLAGS = {
    "msvc": ["/O2", "/std:c11"],
    "unix": ["-O3", "-g0", "-fno-math-errno", "-fno-trapping-math", "-fopenmp-simd"],
}
KERNELS = "skunfold/_kernels"


class BuildWithFlags(build_ext):
    """Compiles with the flags of the compiler that there is."""

    def build_extensions(self):
        """Give all extensions the flags, then build them."""
        for extension in self.extensions:
            extension.extra_compile_args = FLAGS.get(self.compiler.compiler_type, [])
        super().build_extensions()


def extensions():
    """Return the compiled core, or nothing."""
    wanted = os.environ.get("SKUNFOLD_BUILD_FUSED", "")
    if wanted not in ("", "0", "1"):
        raise SystemExit(f"SKUNFOLD_BUILD_FUSED is {wanted!r} in the environment; give 0 or 1.")
    if wanted == "0":
        return []
    from Cython.Build import cythonize

    core = Extension(
        "skunfold._kernels._fused",
        [f"{KERNELS}/_fused.pyx"],
        include_dirs=[KERNELS],
        depends=[f"{KERNELS}/_fused{part}.h" for part in ("", "_loops", "_chains")],
    )
    cores = cythonize([core], build_dir="build/cython")
    for core in cores:  # these are others, which Cython makes
        core.optional = wanted != "1"
    return cores


setup(ext_modules=extensions(), cmdclass={"build_ext": BuildWithFlags})
