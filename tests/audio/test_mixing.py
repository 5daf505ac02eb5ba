from collections import Counter

import numpy as np
import pytest

from skunfold.datasets import make_mixtures, mix_at_snr


def waveforms(lengths, dtype="float64", seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(n).astype(dtype) for n in lengths]


def snr_of(speech, noise):
    return 10 * np.log10(np.sum(np.float64(speech) ** 2) / np.sum(np.float64(noise) ** 2))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("snr", [-6, 0.0, np.float32(9.0), 60])
@pytest.mark.parametrize("n_noise", [1, 300, 1000, 5000])
def test_mix_at_snr(dtype, snr, n_noise):
    (speech,) = waveforms([1000], dtype)
    (noise,) = waveforms([n_noise], "float64", seed=1)
    mixture, scaled = mix_at_snr(speech, noise, snr, random_state=0)
    assert mixture.dtype == scaled.dtype == dtype
    np.testing.assert_array_equal(mixture, speech + scaled)
    assert snr_of(speech, scaled) == pytest.approx(snr, abs=1e-5)


def test_noise_that_cannot_be_made_loud_enough():
    speech, noise = waveforms([1000, 1000], "float32")
    for speech_level, noise_level, snr in ((1, 1e-38, -100), (1e18, 1e-40, 0)):
        with pytest.raises(ValueError, match=r"noise is so quiet beside speech that .*e\+"):
            mix_at_snr(
                speech * np.float32(speech_level / 10), noise * np.float32(noise_level), snr
            )


def test_long_noise_is_cut_and_short_noise_repeated():
    speech = np.ones(10)
    ramp = np.arange(1.0, 101.0)
    _, cut = mix_at_snr(speech, ramp, 0.0, random_state=0)
    np.testing.assert_allclose(np.diff(cut), cut[1] - cut[0])
    _, repeated = mix_at_snr(speech, ramp[:4], 0.0, random_state=0)
    np.testing.assert_array_equal(repeated[:6], repeated[4:])
    assert sorted(repeated[:4] / repeated[:4].min()) == pytest.approx([1, 2, 3, 4])
    starts = {float(mix_at_snr(speech, ramp[:4], 0, random_state=k)[1][0]) for k in range(30)}
    assert len(starts) == 4


def test_silent_stretches_of_noise_are_drawn_again():
    noise = np.zeros(300)
    noise[100:200] = 1.0
    for seed in range(30):
        assert mix_at_snr(np.ones(50), noise, 0.0, random_state=seed)[1].any()


def test_inputs_stay_as_they_are():
    speech, noise = waveforms([100, 50])
    copies = speech.copy(), noise.copy()
    mix_at_snr(speech, noise, 3.0)
    np.testing.assert_array_equal((*speech, *noise), (*copies[0], *copies[1]))


@pytest.mark.parametrize(
    ("speech", "noise", "snr", "message"),
    [
        (np.zeros(9), np.ones(9), 0, "speech must not be silent"),
        (np.ones(9), np.zeros(9), 0, "noise must not be silent"),
        (np.ones(0), np.ones(9), 0, "speech holds no samples"),
        (np.ones((9, 2)), np.ones(9), 0, "speech must have shape"),
        (np.ones(9), np.array([np.nan]), 0, "noise must be finite"),
        (np.ones(9), np.ones(9, dtype=int), 0, "noise must be float32 or float64"),
        (np.ones(9), np.ones(9), np.nan, "snr must be a number of dB"),
        (np.ones(9), np.ones(9), 1000, "snr must be a number of dB"),
        (np.ones(9), np.ones(9), "loud", "snr must be a number of dB"),
    ],
)
def test_what_cannot_be_mixed_is_refused(speech, noise, snr, message):
    with pytest.raises(ValueError, match=message):
        mix_at_snr(speech, noise, snr)


def test_every_utterance_at_every_snr():
    speech, noise = waveforms([400, 500, 600], "float32"), waveforms([300, 900], "float32")
    data = make_mixtures(speech, noise, random_state=0)
    assert len(data.noisy) == len(data.clean) == len(data.noise) == 18
    assert Counter(zip(data.speech_index, data.snr)) == Counter(
        {(i, snr): 1 for i in range(3) for snr in (-6, -3, 0, 3, 6, 9)}
    )
    assert set(data.noise_index) == {0, 1}
    for k, noisy in enumerate(data.noisy):
        assert noisy.dtype == np.float32
        np.testing.assert_array_equal(data.clean[k], speech[data.speech_index[k]])
        np.testing.assert_array_equal(noisy, data.clean[k] + data.noise[k])
        assert snr_of(data.clean[k], data.noise[k]) == pytest.approx(data.snr[k], abs=1e-4)


@pytest.mark.parametrize("n_mixtures", [None, 7])
def test_the_seed_decides(n_mixtures):
    speech, noise = waveforms([40, 50, 60]), waveforms([30, 90])
    first, second, other = (
        make_mixtures(speech, noise, n_mixtures=n_mixtures, random_state=seed)
        for seed in (3, 3, 4)
    )
    for a, b in zip(first.noisy, second.noisy):
        np.testing.assert_array_equal(a, b)
    for key in ("snr", "speech_index", "noise_index"):
        np.testing.assert_array_equal(first[key], second[key])
    assert any(len(a) != len(b) or (a != b).any() for a, b in zip(first.noisy, other.noisy))


@pytest.mark.parametrize("n_speech", [1, 2, 4, 6, 7, 12])
@pytest.mark.parametrize("n_snrs", [1, 2, 3, 6])
def test_utterances_and_snrs_are_balanced(n_speech, n_snrs):
    speech, noise = waveforms([5] * n_speech), waveforms([9, 9])
    snrs = tuple(range(n_snrs))
    for n_mixtures in (1, 5, n_speech * n_snrs, n_speech * n_snrs + 5):
        data = make_mixtures(speech, noise, snrs=snrs, n_mixtures=n_mixtures, random_state=1)
        assert len(data.noisy) == n_mixtures
        for used, n_choices in [
            (data.speech_index.tolist(), n_speech),
            (data.snr.tolist(), n_snrs),
            (list(zip(data.speech_index, data.snr)), n_speech * n_snrs),
        ]:
            counts = Counter(used)
            least = min(counts.values()) if len(counts) == n_choices else 0
            assert max(counts.values()) - least <= 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"speech": None}, "speech must be a list of waveforms"),
        ({"speech": []}, "speech must be a list of waveforms"),
        ({"speech": np.ones(9)}, "speech must be a list of waveforms"),
        ({"speech": [np.ones(9), np.zeros(9)]}, r"speech\[1\] must not be silent"),
        ({"noise": [np.ones(9), np.zeros(9)]}, r"noise\[1\] must not be silent"),
        ({"noise": [np.ones((9, 2))]}, r"noise\[0\] must have shape"),
        ({"snrs": ()}, "snrs must be a list"),
        ({"snrs": 6}, "snrs must be a list"),
        ({"snrs": (0, np.inf)}, r"snrs\[1\] must be a number of dB"),
        ({"n_mixtures": 0}, "n_mixtures must be a positive integer"),
        ({"n_mixtures": True}, "n_mixtures must be a positive integer .* got True"),
        ({"snrs": [True]}, r"snrs\[0\] must be a number of dB .* got True"),
        ({"n_mixtures": 2.5}, "n_mixtures must be a positive integer"),
    ],
)
def test_bad_arguments_are_refused(changes, message):
    arguments = {"speech": [np.ones(9)], "noise": [np.ones(9)], **changes}
    with pytest.raises(ValueError, match=message):
        make_mixtures(**arguments)
