"""The model that comes with the package, and its card."""

import re
from pathlib import Path

import pytest

from skunfold.audio import SpeechEnhancer
from skunfold.audio._pretrained import PRETRAINED
from skunfold.datasets import load_bundled_recordings, make_mixtures
from skunfold.metrics import si_sdr

CARD = PRETRAINED.with_name("MODEL_CARD.md").read_text(encoding="utf-8")
RESULTS = Path(__file__).parents[2] / "doc" / "results" / "pretrained_model.md"


def test_the_card_says_what_the_model_is():
    enhancer = SpeechEnhancer.pretrained()
    regressor = enhancer.regressor_
    n_parameters = regressor.n_parameters_ + sum(g.size for g in enhancer.sample_gains_)
    for said in (
        f"{regressor.n_layers} tied layers",
        f"{enhancer.n_sample_components} inferred from a sample",
        f"{n_parameters:,} parameters",
        f"{PRETRAINED.stat().st_size / 1e6:.2f} MB",
    ):
        assert said in CARD


def test_the_figures_of_the_card_are_those_of_the_results():
    shown = set(re.findall(r"-?\d+\.\d\d", RESULTS.read_text(encoding="utf-8")))
    (table,) = re.findall(r"(?:^\|.*\bDTLN \|\n)((?:\|.*\n)+)", CARD, flags=re.MULTILINE)
    figures = re.findall(r"-?\d+\.\d\d", table)
    assert len(figures) == 58
    assert set(figures) <= shown


@pytest.mark.parametrize("sample", [None, "auto", "given"])
def test_it_removes_noise_without_any_training(sample):
    test = load_bundled_recordings("test")
    mixtures = make_mixtures(test.speech, test.noise, snrs=(-3, 3), random_state=0)
    enhancer = SpeechEnhancer.pretrained()
    for noisy, clean, j in zip(mixtures.noisy, mixtures.clean, mixtures.noise_index):
        given = test.noise[j] if sample == "given" else sample
        enhanced = enhancer.enhance(noisy, noise_sample=given)
        assert si_sdr(clean, enhanced) > si_sdr(clean, noisy) + 2
