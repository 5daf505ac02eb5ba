"""Estimators are imported when they are asked for."""

import subprocess
import sys

import pytest

import skunfold


def test_the_package_alone_imports_nothing_of_others():
    code = "import skunfold, sys; print({'sklearn', 'scipy', 'numpy'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "set()"


@pytest.mark.parametrize("name", skunfold.__all__)
def test_every_name_is_there(name):
    assert name in dir(skunfold)
    assert getattr(skunfold, name) is getattr(skunfold, name)


def test_no_other_name_is_there():
    with pytest.raises(AttributeError, match="module 'skunfold' has no attribute 'NMF'"):
        _ = skunfold.NMF
