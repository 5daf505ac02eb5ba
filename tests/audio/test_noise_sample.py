"""SpeechEnhancer with samples of noise: training, enhancing, errors, files."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from enhancers import WienerLike, make_recordings, small_network
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skunfold._model_files import writing
from skunfold._model_files.checks import check_model
from skunfold.audio import SpeechEnhancer, _sample_training, read_audio, write_audio
from skunfold.audio._noise_sample import noise_bases
from skunfold.audio._sample_training import SECONDS, draw_mixtures
from skunfold.metrics import si_sdr
from skunfold.model_files import load_model, save_model

RATE = 16000


def hiss(rng, centre, n_samples=16000):
    """Noise of one band, which is another kind of noise at another centre."""
    spectrum = np.fft.rfft(rng.standard_normal(n_samples))
    frequency = np.fft.rfftfreq(n_samples, 1 / RATE)
    spectrum *= np.exp(-(((frequency - centre) / 300) ** 2))
    waveform = np.fft.irfft(spectrum, n_samples)
    return (0.1 * waveform / waveform.std()).astype(np.float32)


@pytest.fixture(scope="module")
def sources():
    rng = np.random.default_rng(0)
    noise = [hiss(rng, centre) for centre in (1200, 2500, 3500, 5500, 7000)]
    return make_recordings()[1], noise


@pytest.fixture(scope="module")
def trained(sources):
    network = small_network(fit_projections=True, batch_size=256, max_iter=1)
    enhancer = SpeechEnhancer(network, n_context=2, n_sample_components=3, random_state=0)
    return enhancer.fit_sources(*sources, n_mixtures=12, n_draws=4)


@pytest.fixture(scope="module")
def unknown():
    """A mixture with a noise that was not in training, the speech in it, and a sample."""
    rng = np.random.default_rng(1)
    clean, noise = make_recordings()[1][0], hiss(rng, 900)
    return clean + noise[-len(clean) :], clean, noise[:8000]


def test_a_sample_of_an_unknown_noise_helps(trained, unknown):
    noisy, clean, sample = unknown
    without, informed = trained.enhance(noisy), trained.enhance(noisy, noise_sample=sample)
    assert informed.dtype == np.float32
    assert si_sdr(clean, informed) > si_sdr(clean, without) + 5
    assert si_sdr(clean, without) > si_sdr(clean, noisy)


def test_the_level_and_the_offset_of_a_sample_do_not_matter(trained, unknown):
    noisy, _, sample = unknown
    expected = trained.enhance(noisy, noise_sample=sample)
    np.testing.assert_allclose(
        trained.enhance(noisy, noise_sample=0.01 * sample.astype(float) + 0.3),
        expected,
        rtol=0,
        atol=1e-4,
    )


def test_a_stream_gives_the_same(trained, unknown):
    noisy, _, sample = unknown
    expected = trained.enhance(noisy, noise_sample=sample)
    stream = trained.stream(noise_sample=sample)
    parts = [stream.process(block) for block in np.array_split(noisy, 7)] + [stream.flush()]
    np.testing.assert_allclose(np.concatenate(parts), expected, rtol=0, atol=1e-6)
    again = [stream.process(noisy), stream.flush()]  # a stream that is reset keeps its sample
    np.testing.assert_allclose(np.concatenate(again), expected, rtol=0, atol=1e-6)


def test_a_file_is_enhanced_alike(trained, unknown, tmp_path):
    noisy, _, sample = unknown
    write_audio(tmp_path / "in.wav", noisy, RATE, subtype="FLOAT")
    trained.enhance_file(tmp_path / "in.wav", tmp_path / "out.wav", noise_sample=sample)
    output, _ = read_audio(tmp_path / "out.wav")
    expected = trained.enhance(noisy, noise_sample=sample)
    np.testing.assert_allclose(output, expected, rtol=0, atol=1e-5)


def test_without_a_sample_it_is_the_regressor_alone(trained, unknown):
    plain = SpeechEnhancer(trained.regressor, n_context=2)
    plain.regressor_ = trained.regressor_
    np.testing.assert_array_equal(trained.enhance(unknown[0]), plain.enhance(unknown[0]))


def test_model_files_and_pickles_keep_it(trained, unknown, tmp_path):
    noisy, _, sample = unknown
    save_model(trained, tmp_path / "model")
    expected = trained.enhance(noisy, noise_sample=sample)
    for other in (load_model(tmp_path / "model"), pickle.loads(pickle.dumps(trained))):
        np.testing.assert_array_equal(other.enhance(noisy, noise_sample=sample), expected)
    assert not hasattr(clone(trained), "sample_gains_")


def test_a_fit_is_repeatable_and_can_be_continued(sources, trained, unknown):
    again = clone(trained).fit_sources(*sources, n_mixtures=12, n_draws=4)
    for one, other in zip(again.sample_gains_, trained.sample_gains_, strict=True):
        np.testing.assert_array_equal(one, other)
    before = [g.copy() for g in again.sample_gains_]
    again.regressor_.set_params(warm_start=True)
    again.set_params(warm_start=True).fit_sources(*sources, n_mixtures=24)
    changes = [np.abs(np.log(a / b)).max() for a, b in zip(again.sample_gains_, before)]
    assert 0 < max(changes) < 1
    again.regressor_.set_params(early_stopping=False)
    again.set_params(n_sample_components=None).fit_sources(*sources, n_mixtures=12)
    assert not hasattr(again, "sample_gains_")
    with pytest.raises(ValueError, match="trained without samples"):
        again.enhance(unknown[0], noise_sample=unknown[2])


def test_only_a_single_draw_may_have_been_too_short(sources):
    enhancer = SpeechEnhancer(small_network(max_iter=1), n_context=2, n_sample_components=3)
    with pytest.warns(ConvergenceWarning, match="max_iter=1 epochs and was still improving"):
        enhancer.fit_sources(*sources, n_mixtures=6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        enhancer.fit_sources(*sources, n_mixtures=6, n_draws=2)


def test_validation_recordings_have_samples(sources, unknown):
    noisy, clean, sample = unknown
    network = small_network(early_stopping=True, max_iter=1)
    enhancer = SpeechEnhancer(network, n_context=2, n_sample_components=3, random_state=0)
    known = {"X_val": [noisy, np.zeros(4000)], "y_val": [clean, np.zeros(4000)]}
    samples = [sample] * 2
    enhancer.fit_sources(*sources, n_mixtures=6, n_draws=2, **known, noise_samples_val=samples)
    assert np.isfinite(enhancer.regressor_.validation_loss_curve_).all()
    assert len(enhancer.regressor_.validation_scores_) == 2
    known = {"X_val": [noisy], "y_val": [clean]}
    with pytest.raises(ValueError, match="noise_samples_val must be a list"):
        enhancer.fit_sources(*sources, **known)
    with pytest.raises(ValueError, match="equally many recordings, got 1 and 2"):
        enhancer.fit_sources(*sources, **known, noise_samples_val=[sample] * 2)
    with pytest.raises(ValueError, match="give X_val and y_val together"):
        enhancer.fit_sources(*sources, noise_samples_val=[sample])
    with pytest.raises(ValueError, match=r"noise_samples_val\[0\] is silent"):
        enhancer.fit_sources(*sources, **known, noise_samples_val=[np.ones(8000)])
    plain = clone(enhancer).set_params(n_sample_components=None)
    with pytest.raises(ValueError, match="given, but n_sample_components is None"):
        plain.fit_sources(*sources, **known, noise_samples_val=[sample])
    network.set_params(early_stopping=False)
    with pytest.raises(ValueError, match="early_stopping of the regressor is False"):
        enhancer.fit_sources(*sources, **known, noise_samples_val=[sample])


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (np.zeros(8000), "noise_sample is silent: all its samples are equal"),
        (np.ones(8000, np.float32), "noise_sample is silent"),
        (np.ones(3999), "noise_sample has 3999 samples, 0.250 s at 16000 Hz; give at least"),
        (np.ones((8000, 2)), "noise_sample must have shape"),
        (np.ones(8000, int), "noise_sample must be float32 or float64"),
        (np.full(8000, np.nan), "noise_sample must be finite"),
        ("noise.wav", "noise_sample must hold samples"),
    ],
)
def test_what_is_no_sample(trained, unknown, sample, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        trained.enhance(unknown[0], noise_sample=sample)
    with pytest.raises(ValueError, match=message):
        trained.stream(noise_sample=sample)
    target = tmp_path / "out.wav"
    with pytest.raises(ValueError, match=message):
        trained.enhance_file(tmp_path / "none.wav", target, noise_sample=sample)
    assert not target.exists()


def test_an_enhancer_without_samples_says_so(fitted, unknown):
    with pytest.raises(ValueError, match="trained without samples; leave it out, or train"):
        fitted.enhance(unknown[0], noise_sample=unknown[2])


@pytest.mark.parametrize(
    ("regressor", "message"),
    [
        (WienerLike(), "needs a DeepNMFRegressor with output='mask'"),
        (small_network(output="linear"), "needs a DeepNMFRegressor with output='mask'"),
        (small_network(n_trained_layers=1), "n_trained_layers=1; set n_trained_layers='all'"),
        (small_network(n_jobs=2), "n_jobs=None, got 2"),
    ],
)
def test_regressors_that_cannot_take_samples(sources, regressor, message):
    enhancer = SpeechEnhancer(regressor, n_sample_components=3)
    with pytest.raises(ValueError, match=message):
        enhancer.fit_sources(*sources)


def test_samples_need_recordings_of_noise(sources):
    enhancer = SpeechEnhancer(small_network(), n_sample_components=3)
    with pytest.raises(ValueError, match="use fit_sources, or n_sample_components=None"):
        enhancer.fit(*make_recordings())
    with pytest.raises(ValueError, match=r"noise\[1\] has 7999 samples, fewer than the 8000"):
        enhancer.fit_sources(sources[0], [sources[1][0], sources[1][1][:7999]])
    mostly_silent = np.zeros(64000, np.float32)
    mostly_silent[:2] = 1, -1
    with pytest.raises(ValueError, match=r"noise\[0\] must not be silent, but 20 random cuts"):
        enhancer.fit_sources(sources[0], [mostly_silent])


def test_samples_are_from_another_place_of_the_same_noise(monkeypatch):
    monkeypatch.setattr(_sample_training, "_filtered", lambda parts, taps: list(parts))
    speech = make_recordings(dtype="float64")[1]
    noise = [np.arange(1, 40001, dtype=float) + 10**5 * i for i in range(3)]
    drawn = draw_mixtures(
        speech, noise, RATE, np.random.RandomState(0), n_mixtures=30, snrs=[0]
    )
    assert len({id(x) for x in drawn.samples if x is not None}) > 10
    n_without = sum(x is None for x in drawn.samples)
    assert 0 < n_without < 15
    for noisy, clean, sample in zip(drawn.noisy, drawn.clean, drawn.samples):
        if sample is None:
            continue
        assert SECONDS[0] * RATE <= len(sample) <= 20000
        mixed = noisy - clean
        assert np.linalg.norm(clean) / np.linalg.norm(mixed) == pytest.approx(1)
        values = np.round(mixed / np.median(np.diff(mixed))).astype(int)
        assert set(values // 10**5) == {int(sample[0]) // 10**5}
        assert not set(values) & set(sample.astype(int))


def change_of(taps, n_bands=16):
    """Return what a filter changes in the levels of bands of white noise, in dB."""
    noise = np.random.default_rng(0).standard_normal(32000).astype(np.float32)
    (output,) = _sample_training._filtered([noise], taps)
    assert output.dtype == noise.dtype
    assert output.shape == noise.shape
    before, after = (
        10 * np.log10(np.add.reduceat(np.abs(np.fft.rfft(x)) ** 2, range(0, 16000, 1000)))
        for x in (noise, output)
    )
    return after - before


def test_every_draw_hears_other_noise():
    rng = np.random.RandomState(0)
    one, other = (change_of(_sample_training._equalizer(rng, 6.0)) for _ in range(2))
    assert all(1 < np.std(change) < 12 for change in (one, other))
    assert np.std(one - other) > 1


def test_some_microphones_are_telephones():
    rng = np.random.RandomState(0)
    changes = [change_of(_sample_training._microphone(rng, RATE)) for _ in range(100)]
    narrow = [change[8:].max() < -20 for change in changes]  # above 4 kHz
    assert 5 < sum(narrow) < 30
    for change, telephone in zip(changes, narrow):
        assert np.abs(change[1:6]).max() < (1 if telephone else 15)
    assert not any(
        change_of(_sample_training._microphone(rng, 6000))[8:].max() < -20 for _ in range(50)
    )


def test_speech_and_sample_go_through_the_microphone_of_their_mixture():
    rng = np.random.default_rng(0)
    speech = [rng.standard_normal(16000).astype(np.float32) for _ in range(2)]
    noise = [rng.standard_normal(32000).astype(np.float32) for _ in range(2)]
    random_state = np.random.RandomState(0)
    drawn = draw_mixtures(speech, noise, RATE, random_state, n_mixtures=60, without=0)
    of_sample = {}

    def treble(waveform):
        power = np.abs(np.fft.rfft(waveform)) ** 2
        half = len(power) // 2
        return 10 * np.log10(power[half:].mean() / power[:half].mean())

    for clean, sample in zip(drawn.clean, drawn.samples):
        narrow = treble(clean) < -20
        assert narrow == (treble(sample) < -20)
        assert of_sample.setdefault(id(sample), narrow) == narrow
    assert {True, False} == set(of_sample.values())


def test_bases_of_a_sample_are_the_same_every_time(sources):
    context = SpeechEnhancer()._context()
    sample = sources[1][0][:8000]
    bases = [noise_bases(sample, context, 4, "kullback-leibler") for _ in range(2)]
    np.testing.assert_array_equal(*bases)
    assert bases[0].shape == (4, context.n_features)
    np.testing.assert_allclose(np.linalg.norm(bases[0], axis=1), 1, rtol=1e-5)
    gap = np.concatenate([sample, np.zeros(16000, np.float32)])
    assert np.isfinite(noise_bases(gap, context, 4, "itakura-saito")).all()


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"n_sample_components": None}, "its n_sample_components is None"),
        ({"n_sample_components": 10**6}, "not a whole number from 1 to 10000"),
        ({"sample_gains_": None}, "is no list of arrays"),
        ({"sample_gains_": lambda gains: gains[:-1]}, "do not fit the arrays"),
        ({"sample_gains_": lambda gains: [g[:-1] for g in gains]}, "do not fit the arrays"),
        ({"sample_gains_": lambda gains: [g.astype(float) for g in gains]}, "do not fit the"),
        ({"sample_gains_": lambda gains: [-g for g in gains]}, "negative somewhere"),
        ({"sample_gains_": lambda gains: [np.inf * g for g in gains]}, "are? not finite"),
    ],
)
def test_gains_of_model_files_are_checked(trained, broken, message, tmp_path, monkeypatch):
    enhancer = copy.copy(trained)
    for name, value in broken.items():
        setattr(enhancer, name, value(trained.sample_gains_) if callable(value) else value)
    with pytest.raises(ValueError, match=message):
        check_model(enhancer)
    with monkeypatch.context() as patch:
        patch.setattr(writing, "check_model", lambda _: None)
        save_model(enhancer, tmp_path / "model")
    with pytest.raises(ValueError, match=message):
        load_model(tmp_path / "model")


def test_gains_of_a_model_that_takes_no_samples_are_refused(trained):
    enhancer = copy.copy(trained)
    enhancer.regressor_ = copy.copy(trained.regressor_).set_params(n_trained_layers=1)
    with pytest.raises(ValueError, match=r"it has sample_gains_, but .* n_trained_layers=1"):
        check_model(enhancer)
