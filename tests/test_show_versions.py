"""What a report of a problem says about an installation."""

import numpy as np

import skunfold
from skunfold import _show_versions
from skunfold._kernels.fused import CORE


def test_versions_the_core_threads_and_the_blas(capsys):
    skunfold.show_versions()
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    for line in (f"version: {skunfold.__version__}", f"core: {CORE}", "user_api: blas"):
        assert line in lines
    assert f"numpy: {np.__version__}" in lines
    assert any(line.startswith("threads: ") for line in lines)


def test_a_package_that_is_missing_is_said_to_be(monkeypatch, capsys):
    monkeypatch.setattr(_show_versions, "PACKAGES", ("no-such-package",))
    skunfold.show_versions()
    assert "no-such-package: not installed" in capsys.readouterr().out
