import subprocess
import sys

import numpy as np
import pytest

from skunfold.audio import SpeechEnhancer
from skunfold.plotting import SpectrogramDisplay, plot_spectrograms

Figure = pytest.importorskip("matplotlib.figure").Figure


def tone(frequency, seconds=1.0, rate=16000):
    return np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)


def images(figure):
    return [axes.get_images()[0] for axes in figure.axes if axes.get_images()]


def test_levels_places_and_scale():
    loud, quiet = tone(2000), tone(4000, seconds=0.5) / 10
    figure = plot_spectrograms([loud, quiet], 16000, ["loud", "quiet"], figure=Figure())
    first, second = images(figure)
    for image, frequency, level, seconds in ((first, 2, 0, 1.0), (second, 4, -20, 0.5)):
        data = np.asarray(image.get_array())
        peak, _ = np.unravel_index(data.argmax(), data.shape)
        assert peak * 8 / (len(data) - 1) == pytest.approx(frequency, abs=0.05)
        assert data.max() == pytest.approx(level, abs=0.1)
        assert image.get_clim() == (-70, 0)
        left, right, bottom, top = image.get_extent()
        assert (left, bottom, top) == (0, 0, 8)
        assert right == pytest.approx(seconds)
    assert [axes.get_title(loc="left") for axes in figure.axes[:2]] == ["loud", "quiet"]
    assert figure.axes[0].get_xlim() == (0, 1)


def test_time_of_a_click():
    click = np.zeros(16000)
    click[8000] = 1.0
    [image] = images(plot_spectrograms([click], 16000, figure=Figure()))
    frame = np.asarray(image.get_array()).sum(axis=0).argmax()
    assert frame * 0.01 == pytest.approx(0.5)


@pytest.mark.parametrize("n_samples", [1, 2, 159, 160, 161, 400, 401])
def test_short_and_silent(n_samples):
    figure = plot_spectrograms([np.zeros(n_samples)], 16000, figure=Figure())
    [image] = images(figure)
    assert np.isfinite(np.asarray(image.get_array())).all()
    figure.canvas.draw()


def test_a_new_figure_and_a_file(tmp_path):
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    figure = plot_spectrograms([tone(440)], 16000, window_length=0.05, dynamic_range=40)
    assert plt.gcf() is figure
    figure.savefig(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes()[:4] == b"\x89PNG"
    plt.close(figure)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"waveforms": []}, "waveforms is empty"),
        ({"waveforms": [np.ones((2, 3))]}, r"waveforms\[0\] has shape \(2, 3\)"),
        ({"waveforms": [tone(440), []]}, r"waveforms\[1\] has shape \(0,\)"),
        ({"waveforms": [[0.0, np.nan]]}, "nan or infinity"),
        ({"titles": ["a", "b"]}, "titles has 2 entries for 1 waveforms"),
        ({"sample_rate": 0}, "sample_rate must be greater than 0 Hz, got 0"),
        ({"dynamic_range": -1}, "dynamic_range must be greater than 0 dB, got -1"),
        ({"window_length": 1e-5}, "window_length must be at least two samples"),
        ({"hop_length": 1e-6}, "hop_length must lie between"),
        ({"hop_length": 1.0}, "hop_length must lie between"),
    ],
)
def test_bad_input(changes, message):
    arguments = {"waveforms": [tone(440)], "sample_rate": 16000, "figure": Figure()}
    with pytest.raises(ValueError, match=message):
        plot_spectrograms(**{**arguments, **changes})


def test_importing_the_package_leaves_matplotlib_alone():
    code = "import sys, skunfold.cli, skunfold.plotting; print('matplotlib' in sys.modules)"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert output.stdout.strip() == "False", output.stderr


# Displays


@pytest.fixture
def _agg():
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    yield
    plt.close("all")


@pytest.mark.usefixtures("_agg")
@pytest.mark.parametrize("with_clean", [False, True])
def test_mask_is_what_is_kept(with_clean):
    low, high = tone(1000), tone(4000)
    clean = low if with_clean else None
    display = SpectrogramDisplay.from_predictions(
        low + high, low + high / 10, clean, sample_rate=16000
    )
    kept, quieter = (display.mask[round(f * 0.025)] for f in (1000, 4000))
    assert kept[2:-2] == pytest.approx(1.0, abs=0.01)
    assert quieter[2:-2] == pytest.approx(0.1, abs=0.01)
    assert display.mask.min() >= 0
    assert display.mask.max() <= 1
    titles = [ax.get_title(loc="left") for ax in display.axes_]
    assert titles == ["noisy", "mask", "enhanced", "clean"][: 3 + with_clean]
    assert np.asarray(images(display.figure_)[0].get_array()).max() == 0
    display.figure_.canvas.draw()
    display.plot(display.figure_.subplots(3 + with_clean, 1), dynamic_range=30)
    assert images(display.figure_)[-1].get_clim() == (-30, 0)


@pytest.mark.usefixtures("_agg")
def test_display_of_an_enhancer_has_its_settings():
    from sklearn.linear_model import LinearRegression

    rng = np.random.default_rng(0)
    clean, noise = tone(500, rate=8000), 0.3 * rng.normal(size=8000)
    enhancer = SpeechEnhancer(
        LinearRegression(), sample_rate=8000, window_length=0.032, hop_length=0.008, n_context=2
    ).fit([clean + noise], [clean])
    display = SpectrogramDisplay.from_estimator(enhancer, clean + noise, clean)
    expected = SpectrogramDisplay.from_predictions(
        clean + noise,
        enhancer.enhance(clean + noise),
        sample_rate=8000,
        window_length=0.032,
        hop_length=0.008,
    )
    assert display.noisy.shape == (129, 125)
    np.testing.assert_array_equal(display.mask, expected.mask)
    left, right, bottom, top = display.axes_[0].get_images()[0].get_extent()
    assert (left, bottom, top) == (0, 0, 4)
    assert right == pytest.approx(1.0)


def test_mistakes_in_displays():
    with pytest.raises(TypeError, match="object does not enhance waveforms"):
        SpectrogramDisplay.from_estimator(object(), tone(440))
    with pytest.raises(ValueError, match=r"\[16000, 8000\] samples; give some of one length"):
        SpectrogramDisplay.from_predictions(tone(440), tone(440, 0.5), sample_rate=16000)
    with pytest.raises(ValueError, match=r"clean has shape \(2, 3\)"):
        SpectrogramDisplay.from_predictions(
            tone(440), tone(440), np.ones((2, 3)), sample_rate=16000
        )
    with pytest.raises(ValueError, match="dynamic_range must be greater than 0 dB"):
        SpectrogramDisplay.from_predictions(
            tone(440), tone(440), sample_rate=16000, dynamic_range=0
        )
