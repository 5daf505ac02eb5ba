"""``skunfold train`` and ``evaluate``."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

from skunfold import DeepNMFRegressor
from skunfold._training import loop
from skunfold.audio import SpeechEnhancer, read_audio, write_audio
from skunfold.audio._pretrained import PRETRAINED
from skunfold.cli import demo, main, sources
from skunfold.cli.parser import parse
from skunfold.cli.workbench import print_result
from skunfold.datasets import load_bundled_recordings
from skunfold.model_files import load_model, save_model


def test_train_writes_what_was_asked_for(recordings, tmp_path, capsys):
    options = ["--trained-layers", "1", "--untied", "--mixtures", "3", "--seed", "5"]
    model = tmp_path / "model"
    train = ["train", *recordings.sources, "-o", str(model), *recordings.small, *options]
    assert main(train) == 0
    output = capsys.readouterr()
    assert f"Wrote {model}" in output.out
    assert "[2/2] train" in output.err
    enhancer = load_model(model)
    expected = {"n_layers": 2, "n_components": 3, "n_trained_layers": 1, "tied": False}
    assert expected.items() <= enhancer.regressor.get_params().items()
    assert (enhancer.n_context, enhancer.random_state) == (2, 5)


def test_train_mixes_as_often_as_asked_for(recordings, tmp_path, capsys):
    train = ["train", *recordings.sources, "--json", *recordings.small]
    n_frames = []
    for n_mixtures in ("2", "6"):
        model = str(tmp_path / n_mixtures)
        assert main([*train, "-o", model, "--mixtures", n_mixtures]) == 0
        n_frames.append(json.loads(capsys.readouterr().out)["n_frames"])
    assert n_frames[1] == 3 * n_frames[0]


def test_training_is_repeatable_and_told_as_json(recordings, tmp_path, capsys):
    model = str(tmp_path / "model")
    train = ["train", *recordings.sources, "-o", model, *recordings.small, "--json"]
    assert main(train) == 0
    output = capsys.readouterr()
    fitted = json.loads(output.out)
    assert f"Wrote {model}" in output.err
    first, second = load_model(recordings.model), load_model(model)
    for one, other in zip(first.regressor_.bases_, second.regressor_.bases_):
        np.testing.assert_array_equal(one, other)
    assert fitted.pop("fit_seconds") > 0
    scores = second.regressor_.validation_scores_
    best = np.argmin(second.regressor_.validation_loss_curve_)
    assert f"{scores[best]:.3f} after epoch {best + 1} of {len(scores)}" in output.err
    assert "Found 2 recordings of speech (0.0 minutes) and 2 recordings of noise" in output.err
    warnings = fitted.pop("warnings")
    assert [("only 1.0 s of speech" in w, "only 2.0 s of noise" in w) for w in warnings] == [
        (True, False),
        (False, True),
    ]
    assert all(f"skunfold: warning: {w}\n" in output.err for w in warnings)
    assert fitted == {
        "model": model,
        "init": None,
        "n_parameters": second.regressor_.n_parameters_,
        "n_frames": second.n_frames_,
        "n_iter": second.regressor_.n_iter_,
        "speech": {"n_recordings": 2, "seconds": 1.0, "bundled": False},
        "noise": {"n_recordings": 2, "seconds": 2.0, "bundled": False},
        "validation_scores": scores,
    }


def test_a_model_is_only_overwritten_when_told_to(
    recordings, tmp_path, capsys, assert_one_sentence
):
    model = tmp_path / "model"
    model.write_bytes(Path(recordings.model).read_bytes())
    before = model.read_bytes()
    train = ["train", *recordings.sources, "-o", str(model), *recordings.small, "--seed", "7"]
    assert main(train) == 1
    assert_one_sentence(model, "exists", "--overwrite")
    assert model.read_bytes() == before
    assert main([*train, "--overwrite"]) == 0
    assert load_model(model).random_state == 7
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_train_refuses_before_it_reads_anything(recordings, tmp_path, assert_one_sentence):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "empty").mkdir()
    empty = ["--speech", str(tmp_path / "empty"), "--noise", str(recordings.noise)]
    missing = ["--speech", str(tmp_path / "speech"), "--noise", str(recordings.noise)]
    for folders, output, word in (
        (recordings.sources, tmp_path / "notes.txt", "is no model"),
        (recordings.sources, tmp_path, "is a folder"),
        (recordings.sources, tmp_path / "none" / "model", "no folder"),
        (missing, tmp_path / "model", "no file or folder"),
        (empty, tmp_path / "model", "holds no"),
    ):
        assert main(["train", *folders, "-o", str(output), "--overwrite"]) == 1
        assert_one_sentence(word)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_recording_of_noise_is_enough(recordings, tmp_path, capsys):
    noise, model = recordings.noise / "noise1.wav", tmp_path / "my.model"
    train = ["train", "--noise", str(noise), "-o", str(model), *recordings.small, "--json"]
    assert main([*train, "--mixtures", "2"]) == 0
    output = capsys.readouterr()
    fitted = json.loads(output.out)
    assert fitted["speech"]["bundled"]
    assert fitted["noise"] == {"n_recordings": 1, "seconds": 1.0, "bundled": False}
    assert "1 recording of noise (0.0 minutes); speech is that of the package, 13" in output.err
    voices = load_bundled_recordings("train").speech
    assert fitted["speech"]["seconds"] == sum(map(len, voices)) / 16000
    enhancer = load_model(recordings.model)
    enhancer.fit_sources(noise=[read_audio(noise, 16000, mono=True)[0]], n_mixtures=2)
    for one, other in zip(enhancer.regressor_.bases_, load_model(model).regressor_.bases_):
        np.testing.assert_array_equal(one, other)


def test_bundled_voices_do_not_suit_a_higher_rate(recordings, tmp_path, assert_one_sentence):
    train = ["train", "--noise", str(recordings.noise), "-o", str(tmp_path / "model")]
    assert main([*train, *recordings.small, "--sample-rate", "48000"]) == 1
    assert_one_sentence("nothing above 8000 Hz", "sample_rate=48000", "recordings of speech")


def test_a_model_is_adapted(recordings, tmp_path, capsys):
    adapted, former = str(tmp_path / "adapted"), load_model(recordings.model)
    train = ["train", *recordings.sources, "--init", recordings.model, "--mixtures", "2"]
    assert main([*train, "-o", adapted, "--epochs", "1", "--seed", "4", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["init"] == recordings.model
    enhancer = load_model(adapted)
    begun, done = former.regressor_.bases_[0], enhancer.regressor_.bases_[0]
    assert begun.shape == done.shape
    assert 0 < np.abs(done / begun - 1).max() < 0.5  # it went on from there
    assert enhancer.random_state == 4
    assert not enhancer.warm_start
    assert not enhancer.regressor_.warm_start
    assert load_model(recordings.model).random_state == 0  # as it was


def test_what_cannot_be_adapted(recordings, tmp_path, assert_one_sentence, capsys):
    sparse, other = tmp_path / "sparse", tmp_path / "other"
    train = ["train", *recordings.sources, *recordings.small]
    assert main([*train, "-o", str(sparse), "--trained-layers", "0"]) == 0
    regressor = make_pipeline(MaxAbsScaler(), DeepNMFRegressor(2, n_layers=1, max_iter=1))
    noisy, clean = np.random.default_rng(0).normal(size=(2, 1, 900))
    save_model(SpeechEnhancer(regressor, n_context=1).fit(list(noisy), list(clean)), other)
    capsys.readouterr()
    for model, words in ((sparse, "no layer is trained"), (other, "Pipeline")):
        adapt = ["train", *recordings.sources, "--init", str(model)]
        assert main([*adapt, "-o", str(tmp_path / "new")]) == 1
        assert_one_sentence(f"The model in {model} cannot be adapted", words)
    with pytest.raises(SystemExit, match="2"):
        main([*adapt, "-o", str(tmp_path / "new"), "--layers", "8"])
    assert "argument --layers: not allowed with --init" in capsys.readouterr().err


def train_on(recordings, speech, noise, model):
    options = ["--speech", str(speech), "--noise", str(noise)]
    return main(["train", *options, "-o", str(model), *recordings.small, "--mixtures", "2"])


def test_recordings_that_are_speech_and_noise(recordings, waveforms, tmp_path, capsys):
    outer, inner = tmp_path / "outer", tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    for i, noise in enumerate(waveforms.noise):
        write_audio(outer / f"{i}.wav", noise, 16000)
    write_audio(inner / "voice.wav", waveforms.speech[0], 16000)
    (tmp_path / "link").symlink_to(outer)
    for speech, noise, named in (
        (outer, outer, "0.wav, and 2 others"),
        (outer, tmp_path / "link", "0.wav, and 2 others"),
        (inner, outer, "voice.wav: in"),
        (outer, inner, "voice.wav: in"),
    ):
        assert train_on(recordings, speech, noise, tmp_path / "model") == 0
        error = capsys.readouterr().err
        assert f"skunfold: warning: {speech}" in error
        assert named in error
        assert "in the folder of speech as well as in that of noise" in error
        (tmp_path / "model").unlink()


def test_enough_of_two_kinds_is_no_reason_to_warn(waveforms):
    speech, noise = (
        sources.Source(kind, [Path("a.wav"), Path("b.wav")], [w, w[:8000]], len(w) // 30)
        for kind, w in (("speech", waveforms.speech[0]), ("noise", waveforms.noise[0]))
    )
    assert sources.complaints(speech, noise) == []
    assert sources.describe(speech, noise) == (
        "Found 2 recordings of speech (1.0 minutes) and 2 recordings of noise (0.8 minutes)."
    )


def test_sparse_nmf_holds_nothing_out(recordings, tmp_path, capsys):
    command = ["train", *recordings.sources, "-o", str(tmp_path / "model"), *recordings.small]
    assert main([*command, "--trained-layers", "0", "--json"]) == 0
    output = capsys.readouterr()
    assert json.loads(output.out)["validation_scores"] is None
    assert "Held-out" not in output.err


@pytest.mark.parametrize("kind", ["speech", "noise"])
@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_a_silent_recording_is_named(command, kind, recordings, waveforms, tmp_path, capsys):
    folders = {"speech": recordings.speech, "noise": recordings.noise, kind: tmp_path / kind}
    folders[kind].mkdir()
    for name in ("a.wav", "b.wav"):
        write_audio(folders[kind] / name, waveforms.noise[0], 16000)
    write_audio(folders[kind] / "culprit.wav", np.full(8000, 0.25), 16000)
    options = ["--speech", str(folders["speech"]), "--noise", str(folders["noise"])]
    arguments = {
        "train": ["train", *options, "-o", str(tmp_path / "model"), *recordings.small],
        "evaluate": ["evaluate", "-m", recordings.model, *options],
    }
    assert main(arguments[command]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    error = output.err.splitlines()[-1]
    assert error.startswith(f"skunfold: error: {folders[kind] / 'culprit.wav'} must not be")
    assert not (tmp_path / "model").exists()


def test_a_file_that_cannot_be_read_is_named(recordings, tmp_path, assert_one_sentence):
    (tmp_path / "speech").mkdir()
    (tmp_path / "speech" / "culprit.wav").write_text("not audio")
    assert train_on(recordings, tmp_path / "speech", recordings.noise, tmp_path / "model") == 1
    assert_one_sentence(tmp_path / "speech" / "culprit.wav", "cannot be read as audio")


def test_a_model_for_another_rate(recordings, tmp_path):
    model = tmp_path / "model"
    command = ["train", *recordings.sources, "-o", str(model), *recordings.small]
    assert main([*command, "--sample-rate", "8000"]) == 0
    enhancer = load_model(model)
    assert enhancer.sample_rate == 8000
    assert enhancer.regressor_.n_outputs_ == 101


def test_evaluation_does_not_hear_offsets(recordings, waveforms, tmp_path, capsys):
    shifted = []
    for name in ("speech", "noise"):
        (tmp_path / name).mkdir()
        for i, waveform in enumerate(getattr(waveforms, name)):
            file = tmp_path / name / f"{name}{i}.wav"
            write_audio(file, waveform + np.float32(0.2), 16000, subtype="FLOAT")
        shifted += [f"--{name}", str(tmp_path / name)]
    means = []
    for folders in (recordings.sources, shifted):
        assert main(["evaluate", "-m", recordings.model, *folders, "--json"]) == 0
        rows = json.loads(capsys.readouterr().out)["rows"]
        means.append([row["mean_si_sdr"] for row in rows])
    np.testing.assert_allclose(means[1], means[0], atol=0.05)


def test_evaluate(recordings, capsys):
    command = ["evaluate", "-m", recordings.model, *recordings.sources]
    assert main([*command, "--json"]) == 0
    output = capsys.readouterr()
    rows = json.loads(output.out)["rows"]
    assert [row["name"] for row in rows] == ["noisy", "enhanced"]
    assert list(rows[0]["si_sdr"]) == ["-6", "-3", "0", "3", "6", "9"]
    for snr, value in rows[0]["si_sdr"].items():
        assert value == pytest.approx(float(snr), abs=0.5)
    assert rows[1]["n_parameters"] > 0
    assert main(command) == 0
    text = capsys.readouterr().out
    assert text in output.err
    table = text.splitlines()
    assert len({len(line) for line in table}) == 1
    assert table[2].startswith("noisy")
    assert f"{rows[1]['mean_si_sdr']:.2f}" in table[3]


def test_sparse_nmf_with_more_iterations(recordings, tmp_path):
    model = tmp_path / "model"
    sparse = [*recordings.small, "--trained-layers", "0"]
    assert main(["train", *recordings.sources, "-o", str(model), *sparse]) == 0
    enhancer = load_model(model)
    deeper = demo._with_layers(enhancer, 3)
    X = np.random.default_rng(0).uniform(size=(5, enhancer.regressor_.n_features_in_))
    *_, before, _ = deeper.regressor_.staged_predict(X)
    np.testing.assert_allclose(enhancer.regressor_.predict(X), before, rtol=1e-12)
    assert enhancer.regressor_.n_layers == len(enhancer.regressor_.bases_) == 2


def interrupt(*arguments):
    raise KeyboardInterrupt


@pytest.mark.filterwarnings("default:Training was interrupted")
def test_an_interrupted_training_keeps_its_best(recordings, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(loop, "train_epoch", interrupt)
    model = tmp_path / "model"
    assert main(["train", *recordings.sources, "-o", str(model), *recordings.small]) == 130
    output = capsys.readouterr()
    assert f"Wrote {model}" in output.out
    assert "interrupted" in output.err
    assert load_model(model).regressor_.n_iter_ == 1


@pytest.mark.filterwarnings("default:Training was interrupted")
def test_an_interrupted_demo_goes_no_further(waveforms, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "load_bundled_recordings", lambda subset: waveforms)
    monkeypatch.setattr(loop, "train_epoch", interrupt)
    assert main(["demo", "--out", str(tmp_path / "demo")]) == 130
    assert list((tmp_path / "demo").iterdir()) == []


def test_scores_without_a_number_are_null(capsys):
    print_result({"rows": [{"mean_si_sdr": float("inf"), "snr": 3}]}, "", as_json=True)
    assert json.loads(capsys.readouterr().out) == {"rows": [{"mean_si_sdr": None, "snr": 3}]}


def test_without_speech_the_model_of_the_package_learns_the_noise(recordings, tmp_path, capsys):
    model, bundled = str(tmp_path / "model"), SpeechEnhancer.pretrained()
    train = ["train", "--noise", str(recordings.noise), "-o", model, "--mixtures", "2"]
    assert main([*train, "--epochs", "1", "--json"]) == 0
    output = capsys.readouterr()
    assert json.loads(output.out)["init"] == str(PRETRAINED)
    assert "so it is under CC-BY-SA-3.0 too" in output.err
    enhancer = load_model(model)
    assert enhancer.n_sample_components == bundled.n_sample_components
    begun, done = bundled.regressor_.bases_[0], enhancer.regressor_.bases_[0]
    assert np.abs(done / np.maximum(begun, 1e-30) - 1).max() > 0
    assert np.abs(done - begun).max() < 0.5 * np.abs(begun).max()
    assert main([*train, "--overwrite", "--json", *recordings.small]) == 0
    output = capsys.readouterr()
    assert json.loads(output.out)["init"] is None
    assert "CC-BY-SA" not in output.err


def test_when_a_new_model_is_trained():
    train = ["train", "--noise", "noise", "-o", "model"]
    for options, adapts, epochs in (
        ([], True, 8),
        (["--epochs", "3"], True, 3),
        (["--init", "other"], True, 8),
        (["--new"], False, 30),
        (["--layers", "8"], False, 30),
        (["--speech", "speech"], False, 30),
        (["--speech", "speech", "--init", "other"], True, 8),
    ):
        settled = parse([*train, *options])
        assert (settled.adapts, settled.epochs) == (adapts, epochs)
