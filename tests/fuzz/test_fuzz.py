"""A small, fixed part of the fuzz; ``python tests/fuzz/fuzz.py`` runs as much as one likes."""

import fuzz
import pytest


@pytest.mark.parametrize("target", fuzz.TARGETS)
def test_hostile_files_are_read_or_refused(target):
    report = fuzz.run(target, range(200))
    assert report.failures == []
    assert report.outcomes["refused"] > 50
    assert report.outcomes["read"] > 0


def test_the_fuzz_notices(monkeypatch, tmp_path):
    def run_code(file):
        exec("1 + 1")

    def crash(file):
        raise KeyError(file)

    def be_unclear(file):
        raise ValueError("no")

    def write(file):
        with open(tmp_path / "evil", "w"):
            pass

    make, change, _ = fuzz.TARGETS["models"]
    for read in (run_code, crash, be_unclear, write):
        with monkeypatch.context() as patch:
            calls = []

            def read_once_sound(file, read=read, calls=calls):
                calls.append(file)
                if len(calls) > len(fuzz.MODELS):
                    read(file)

            patch.setitem(fuzz.TARGETS, "models", (make, change, read_once_sound))
            report = fuzz.run("models", range(2), keep=tmp_path)
        assert [case for case, _ in report.failures] == [0, 1]
    assert (tmp_path / "models-0").exists()
