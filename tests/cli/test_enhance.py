"""``skunfold enhance`` with files and folders."""

import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from skunfold.audio import read_audio, write_audio
from skunfold.cli import main, progress
from skunfold.cli.meter import measure
from skunfold.datasets import load_recordings
from skunfold.model_files import load_model, save_model
from skunfold.sparse_nmf import SparseNMF


def enhanced(recordings, source, folder):
    """Return what `SpeechEnhancer.enhance_file` writes."""
    target = folder / "expected.wav"
    load_model(recordings.model).enhance_file(source, target)
    data = target.read_bytes()
    target.unlink()
    return data


def test_one_recording(recordings, tmp_path, capsys):
    source = recordings.speech / "speech0.wav"
    waveform, _ = read_audio(source)
    for output, target in (
        (tmp_path / "clean.flac", tmp_path / "clean.flac"),
        (tmp_path, tmp_path / "speech0.wav"),
        (f"{tmp_path}/new/", tmp_path / "new" / "speech0.wav"),
    ):
        assert main(["enhance", "-m", recordings.model, str(source), "-o", str(output)]) == 0
        assert capsys.readouterr().out == f"Wrote {target}.\n"
        output, rate = read_audio(target)
        assert rate == 16000
        assert output.shape == waveform.shape
    assert (tmp_path / "speech0.wav").read_bytes() == enhanced(recordings, source, tmp_path)


def test_several_recordings(recordings, tmp_path, capsys):
    inputs = sorted(str(file) for file in recordings.speech.iterdir())
    output = tmp_path / "out"
    assert main(["enhance", "-m", recordings.model, *inputs, "-o", str(output)]) == 0
    assert capsys.readouterr().out == f"Wrote 2 of 2 recordings into {output}.\n"
    assert sorted(os.listdir(output)) == ["speech0.wav", "speech1.wav"]


@pytest.fixture
def tree(recordings, tmp_path):
    """A folder with recordings at two depths, and things that are none."""
    root = tmp_path / "in"
    (root / "monday" / "noon").mkdir(parents=True)
    (root / ".cache").mkdir()
    source = recordings.speech / "speech0.wav"
    names = ("a.wav", "monday/a.wav", "monday/noon/b.WAV", ".hidden.wav", ".cache/c.wav")
    for name in names:
        shutil.copy(source, root / name)
    (root / "notes.txt").write_text("mine")
    return root


def found(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("inside", [False, True])
def test_a_folder_keeps_its_structure(inside, recordings, tree, tmp_path, capsys):
    output = tree / "clean" if inside else tmp_path / "out"
    command = ["enhance", "-m", recordings.model, str(tree), "-o", str(output)]
    for options in ([], ["--overwrite"]):  # the second time, outputs inside are no inputs
        assert main([*command, *options]) == 0
        assert capsys.readouterr().out == f"Wrote 3 of 3 recordings into {output}.\n"
        assert found(output) == ["a.wav", "monday/a.wav", "monday/noon/b.WAV"]


def test_a_broken_file_does_not_stop_the_others(recordings, tree, tmp_path, capsys):
    (tree / "monday" / "broken.wav").write_text("not audio")
    (tree / "monday" / "empty.wav").write_bytes(b"")
    write_audio(tree / "nan.wav", np.full(800, 0.1), 16000, subtype="FLOAT")
    data = (tree / "nan.wav").read_bytes()
    (tree / "nan.wav").write_bytes(data[:-4] + np.float32(np.nan).tobytes())
    output = tmp_path / "out"
    assert (
        main(["enhance", "-m", recordings.model, str(tree), "-o", str(output), "--json"]) == 1
    )
    said = capsys.readouterr()
    outcomes = json.loads(said.out)["recordings"]
    failed = [outcome for outcome in outcomes if outcome["status"] == "failed"]
    assert [os.path.basename(outcome["input"]) for outcome in failed] == [
        "broken.wav",
        "empty.wav",
        "nan.wav",
    ]
    assert found(output) == ["a.wav", "monday/a.wav", "monday/noon/b.WAV"]
    *errors, summary = said.err.splitlines()[1:]
    assert errors == [f"skunfold: error: {outcome['error']}" for outcome in failed]
    assert summary == f"Wrote 3 of 6 recordings into {output}: 3 failed."
    done = outcomes[0]
    assert (done["status"], done["error"], done["warnings"]) == ("done", None, [])
    assert (done["sample_rate"], done["n_channels"], done["seconds"]) == (16000, 1, 0.5)
    assert (done["clipped"], done["silent"]) == (0.0, False)


@pytest.fixture
def locked(tree, monkeypatch):
    """A tree of recordings with a folder that cannot be read."""
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "noon":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)  # root may read all
    return tree / "monday" / "noon"


def test_a_folder_that_cannot_be_read(recordings, tree, locked, tmp_path, capsys):
    output = tmp_path / "out"
    assert (
        main(["enhance", "-m", recordings.model, str(tree), "-o", str(output), "--json"]) == 1
    )
    said = capsys.readouterr()
    sentence = f"{locked} is left out: Permission denied."
    assert json.loads(said.out)["left_out"] == [sentence]
    assert f"skunfold: error: {sentence}\n" in said.err
    assert f"Wrote 2 of 2 recordings into {output}." in said.err
    assert found(output) == ["a.wav", "monday/a.wav"]
    assert (
        main(["enhance", "-m", recordings.model, str(locked), "-o", str(tmp_path / "new")]) == 1
    )
    assert f"holds no recording: {sentence}" in capsys.readouterr().err
    for name in ("speech", "noise"):
        sources = {"speech": recordings.speech, "noise": recordings.noise, name: tree}
        arguments = [f"--{key}={value}" for key, value in sources.items()]
        assert main(["train", *arguments, "-o", str(tmp_path / "model")]) == 1
        assert sentence in capsys.readouterr().err
        assert main(["evaluate", "-m", recordings.model, *arguments]) == 1
        assert sentence in capsys.readouterr().err


def test_links_in_a_folder(recordings, tree, tmp_path, capsys):
    output, away = tree / "out", tmp_path / "away"
    away.mkdir()
    output.symlink_to(away)  # where the results go, no recordings to denoise
    (tree / "song.wav").symlink_to(tree / "a.wav")
    (tree / ".secret").symlink_to(recordings.speech)
    (tree / "text.txt").symlink_to("nothing")
    command = ["enhance", "-m", recordings.model, str(tree), "-o", str(output), "-f"]
    assert main(command) == 0
    assert "song.wav" in found(away)
    assert capsys.readouterr().err == "[1/1] denoise\n"
    output.unlink()
    command[5] = str(away)
    for name, target, reason in (
        ("speech", recordings.speech, "it is a link to a folder"),
        ("loop", tree, "it is a link to a folder"),
        ("gone.wav", "nothing", "No such file"),
        ("round.wav", "round.wav", "symbolic link"),
    ):
        link = tree / name
        link.symlink_to(target)
        assert main(command) == 1
        _, sentence = capsys.readouterr().err.splitlines()
        assert sentence.startswith(f"skunfold: error: {link} is left out: ")
        assert reason in sentence
        with pytest.raises(OSError, match=rf"{name} is left out"):
            load_recordings(tree)
        link.unlink()


def test_what_exists_is_left_alone(recordings, tree, tmp_path, capsys, assert_one_sentence):
    output = tmp_path / "out"
    (output / "monday").mkdir(parents=True)
    (output / "monday" / "a.wav").write_text("mine")
    command = ["enhance", "-m", recordings.model, str(tree), "-o", str(output)]
    assert main(command) == 1
    assert_one_sentence(output / "monday" / "a.wav", "exists", "--skip-existing")
    assert found(output) == ["monday/a.wav"]
    assert main([*command, "--skip-existing"]) == 0
    summary = f"Wrote 2 of 3 recordings into {output}: 1 skipped.\n"
    assert capsys.readouterr().out == summary
    assert (output / "monday" / "a.wav").read_text() == "mine"
    one = ["enhance", "-m", recordings.model, str(tree / "a.wav"), "-o", str(output / "a.wav")]
    before = (output / "a.wav").read_bytes()
    (output / "a.wav").write_bytes(b"old")
    assert main([*one, "--skip-existing"]) == 0
    assert "Left out" in capsys.readouterr().out
    assert main([*one, "-f"]) == 0
    assert (output / "a.wav").read_bytes() == before


def test_interrupted_batch(recordings, tree, tmp_path, capsys, monkeypatch):
    from skunfold.audio import SpeechEnhancer

    enhance_file = SpeechEnhancer.enhance_file

    def interrupted(self, source, target, **options):
        if source.name == "b.WAV":
            raise KeyboardInterrupt
        enhance_file(self, source, target, **options)

    monkeypatch.setattr(SpeechEnhancer, "enhance_file", interrupted)
    output = tmp_path / "out"
    assert (
        main(["enhance", "-m", recordings.model, str(tree), "-o", str(output), "--json"]) == 130
    )
    said = capsys.readouterr()
    assert f"Wrote 2 of 3 recordings into {output}: 1 not done." in said.err
    assert said.err.endswith("skunfold: interrupted\n")
    statuses = [outcome["status"] for outcome in json.loads(said.out)["recordings"]]
    assert statuses == ["done", "done", "not done"]


def test_refusals(recordings, tmp_path, assert_one_sentence):
    model, speech = recordings.model, recordings.speech
    one, two = str(speech / "speech0.wav"), str(speech / "speech1.wav")
    before = (speech / "speech0.wav").read_bytes()
    (tmp_path / "speech0.wav").write_bytes(before)
    (tmp_path / "link").symlink_to(speech)
    (tmp_path / "none").mkdir()
    for name in ("text.wav", "notes"):
        (tmp_path / name).write_text("not audio")
    (tmp_path / "model").write_text("not a model")
    save_model(SparseNMF(), tmp_path / "sparse")
    new = str(tmp_path / "out.wav")
    for arguments, words in (
        ([model, one, "-o", one], [one, "one of the inputs"]),
        ([model, one, two, "-o", str(speech)], ["one of the inputs"]),
        ([model, str(speech), "-o", str(speech)], ["one of the inputs"]),
        ([model, str(speech), "-o", str(tmp_path / "link")], ["one of the inputs"]),
        ([model, one, str(tmp_path / "speech0.wav"), "-o", new[:-4]], ["different folders"]),
        ([model, one, "-o", str(tmp_path / "clean.txt")], ["clean.txt", ".flac"]),
        ([model, one, "-o", str(tmp_path / "no" / "clean.wav")], ["no folder"]),
        ([model, one, two, "-o", new], ["one recording", "a folder"]),
        ([model, str(speech), "-o", new], ["one recording", "is a folder"]),
        ([model, str(speech), "-o", "-"], ["one recording", "is a folder"]),
        ([model, one, two, "-o", str(tmp_path / "notes")], ["is a file; name a folder"]),
        ([model, str(tmp_path / "none"), "-o", new[:-4]], ["holds no recording"]),
        ([model, "missing.wav", "-o", new], ["missing.wav"]),
        (
            [model, one, model, "-o", new[:-4]],
            [f"{model} is no recording", f"give a model as -m {model}"],
        ),
        ([model, one, "missing.wav", "-o", new[:-4]], ["missing.wav"]),
        ([model, str(tmp_path / "text.wav"), "-o", new], ["text.wav", "audio"]),
        (["missing", one, "-o", new], ["There is no model missing"]),
        ([str(tmp_path / "model"), one, "-o", new], ["not a skunfold model file"]),
        ([str(tmp_path / "sparse"), one, "-o", new], ["SparseNMF"]),
        ([one, model, "-o", new], [one, "a recording, not a model; name a model file"]),
    ):
        assert main(["enhance", "-m", *arguments, "--overwrite"]) == 1
        assert_one_sentence(*words)
    assert (speech / "speech0.wav").read_bytes() == before
    assert not (tmp_path / "out").exists()
    with pytest.raises(ValueError, match=r"text\.wav"):
        main(["--traceback", "enhance", "-m", model, str(tmp_path / "text.wav"), "-o", new])


@pytest.mark.parametrize(
    ("change", "word", "share", "silent"),
    [
        (lambda x: np.clip(30 * x, -1, 1), "clipped", (0.3, 0.9), False),
        (lambda x: 1e-5 * x, "silent", (0.0, 0.0), True),
        (lambda x: x / np.abs(x).max(), None, (0.0, 0.0), False),  # one sample at full scale
    ],
)
def test_clipped_and_silent_recordings(
    change, word, share, silent, recordings, waveforms, tmp_path, capsys
):
    source, target = tmp_path / "in.wav", tmp_path / "out.wav"
    write_audio(source, change(waveforms.speech[0]).astype(np.float32), 16000)
    command = ["enhance", "-m", recordings.model, str(source), "-o", str(target), "--json"]
    assert main(command) == 0
    said = capsys.readouterr()
    (outcome,) = json.loads(said.out)["recordings"]
    assert outcome["silent"] == silent
    assert share[0] <= outcome["clipped"] <= share[1]
    if word is None:
        assert not any("is clipped" in warning for warning in outcome["warnings"])
        return
    warning = outcome["warnings"][0]
    assert word in warning
    assert f"skunfold: warning: {source}: {warning}\n" in said.err
    if word == "clipped":
        assert f"{100 * outcome['clipped']:.2g} %" in warning
    assert np.isfinite(read_audio(target)[0]).all()


def test_the_bar_counts_seconds_of_sound(recordings, tmp_path, monkeypatch):
    stages, advanced = [], []

    class Bar(progress._LineProgress):
        def stage(self, name, total=None, unit=""):
            stages.append((name, total, unit))

        def advance(self, n_steps=1):
            advanced.append(n_steps)

    monkeypatch.setattr("skunfold.cli.enhance.open_progress", Bar)
    (tmp_path / "in").mkdir()
    for name in ("a.wav", "b.wav"):
        write_audio(tmp_path / "in" / name, np.full((60000, 2), 0.1), 8000)
    (tmp_path / "in" / "broken.wav").write_text("not audio")
    command = [
        "enhance",
        "-m",
        recordings.model,
        str(tmp_path / "in"),
        "-o",
        str(tmp_path / "out"),
    ]
    assert main(command) == 1
    assert stages == [("denoise", 15, "s")]
    assert len(advanced) > 2
    assert sum(advanced) == pytest.approx(15)


def test_a_warning_of_the_output_names_the_recording(recordings, waveforms, tmp_path, capsys):
    source, target = str(tmp_path / "loud.wav"), str(tmp_path / "clean.flac")
    write_audio(source, 20 * waveforms.speech[0], 16000, subtype="FLOAT")
    assert main(["enhance", "-m", recordings.model, source, "-o", target]) == 0
    stage, *warnings = capsys.readouterr().err.splitlines()
    assert stage == "[1/1] denoise"
    assert all(line.startswith(f"skunfold: warning: {source}: ") for line in warnings)
    assert any("beyond full scale" in line for line in warnings)


@pytest.mark.parametrize(
    ("suffix", "subtype", "options", "written"),
    [
        ("wav", "FLOAT", [], "FLOAT"),
        ("wav", "PCM_24", [], "PCM_24"),
        ("wav", "PCM_U8", [], "PCM_U8"),
        ("flac", "PCM_24", [], "PCM_24"),
        ("aif", "FLOAT", [], "FLOAT"),
        ("wav", "FLOAT", ["--subtype", "pcm_16"], "PCM_16"),
        ("flac", "PCM_16", ["--subtype", "PCM_24"], "PCM_24"),
    ],
)
def test_the_sample_format_stays(suffix, subtype, options, written, recordings, tmp_path):
    waveform, rate = read_audio(recordings.speech / "speech0.wav")
    (tmp_path / "in").mkdir()
    write_audio(tmp_path / "in" / f"a.{suffix}", waveform, rate, subtype=subtype)
    write_audio(tmp_path / "in" / f"b.{suffix}", waveform, rate)
    command = [
        "enhance",
        "-m",
        recordings.model,
        str(tmp_path / "in"),
        "-o",
        str(tmp_path / "out"),
    ]
    assert main([*command, *options]) == 0
    assert soundfile.info(tmp_path / "out" / f"a.{suffix}").subtype == written
    other = written if options else "PCM_16"
    assert soundfile.info(tmp_path / "out" / f"b.{suffix}").subtype == other


def test_a_sample_format_that_one_output_cannot_have(
    recordings, tree, tmp_path, assert_one_sentence
):
    shutil.copy(tree / "a.wav", tree / "b.flac")
    command = ["enhance", "-m", recordings.model, str(tree), "-o", str(tmp_path / "out")]
    assert main([*command, "--subtype", "DOUBLE"]) == 1
    assert_one_sentence("subtype must be one of", "for .flac, got 'DOUBLE'")
    assert not (tmp_path / "out").exists()


def test_a_folder_of_many_formats(recordings, waveforms, tmp_path):
    source, output = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    names = ["a.AIF", "b.oga", "c.opus", "d.snd", "e.wave", "f.mp3", "g.caf", "h.w64", "i.rf64"]
    for name in names:
        write_audio(source / name, waveforms.speech[0], 16000)
    soundfile.write(source / "j.gsm", waveforms.speech[0], 8000, "GSM610", format="RAW")
    (source / "k.txt").write_text("not audio")
    assert main(["enhance", "-m", recordings.model, str(source), "-o", str(output)]) == 0
    assert found(output) == [*names, "j.wav"]
    for name in found(output):
        assert len(read_audio(output / name)[0]) >= 8000
    assert soundfile.info(output / "c.opus").subtype == "OPUS"


def test_floating_point_samples_beyond_full_scale_are_not_clipped(tmp_path):
    loud = 4 * np.sin(np.arange(16000) * 0.05)
    for samples, share in ((loud, (0, 0)), (np.clip(loud, -1, 1), (0.8, 0.9))):
        soundfile.write(tmp_path / "a.wav", samples, 16000, subtype="FLOAT")
        meter = measure(tmp_path / "a.wav")
        assert share[0] <= meter.clipped <= share[1]
        assert bool(meter.complaints()) == bool(share[1])


def test_without_an_output_it_is_beside_the_input(recordings, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "calls"
    folder.mkdir()
    for name in ("a.wav", "b.flac"):
        write_audio(folder / name, np.full(8000, 0.1), 16000)
    assert main(["enhance", "-m", recordings.model, str(folder / "a.wav")]) == 0
    assert (folder / "a-enhanced.wav").exists()
    assert main(["enhance", "-m", recordings.model, str(folder / "a.wav")]) == 1
    assert "a-enhanced.wav exists" in capsys.readouterr().err
    assert main(["enhance", "-m", recordings.model, f"{folder}/"]) == 0
    names = sorted(path.name for path in (tmp_path / "calls-enhanced").iterdir())
    assert names == ["a-enhanced.wav", "a.wav", "b.flac"]
    monkeypatch.chdir(folder)
    assert main(["enhance", "-m", recordings.model, ".", "--overwrite"]) == 0
    assert main(["enhance", "-m", recordings.model, "b.flac"]) == 0
    assert (folder / "b-enhanced.flac").exists()
