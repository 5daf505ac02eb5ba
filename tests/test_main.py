"""The package as a command: ``python -m skunfold``."""

import runpy
import sys

import pytest


def test_the_package_is_a_command(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["skunfold", "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("skunfold", run_name="__main__")
    assert not ended.value.code
    assert "enhance" in capsys.readouterr().out
