"""``skunfold app``: what it does, and the page in a browser."""

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from skunfold._install import install_advice
from skunfold.audio import SpeechEnhancer, read_audio, write_audio
from skunfold.cli import main, web_page, web_player, web_view
from skunfold.datasets import load_bundled_recordings, mix_at_snr
from skunfold.model_files import load_model

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
MISSING = [name for name in ("gradio", "selenium") if importlib.util.find_spec(name) is None]
MISSING += [
    name for name, path in (("chromium", CHROMIUM), ("chromedriver", DRIVER)) if not path
]
in_a_browser = pytest.mark.skipif(
    bool(MISSING), reason=f"needs {', '.join(MISSING)}: see Test in CONTRIBUTING.md"
)
FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run
--disable-background-networking --disable-component-update --disable-sync
--window-size=1200,900 --use-fake-ui-for-media-stream --use-fake-device-for-media-stream"""
WAIT = 60  # seconds, for a page of a busy machine


@pytest.fixture(scope="module")
def noisy(tmp_path_factory):
    """A bundled utterance in bundled noise."""
    data = load_bundled_recordings("test")
    file = tmp_path_factory.mktemp("noisy") / "noisy.wav"
    mixture, _ = mix_at_snr(data.speech[3], data.noise[2], 3, random_state=0)
    write_audio(file, mixture, data.sample_rate)
    return file


def test_without_the_extra_it_says_what_to_install(monkeypatch, assert_one_sentence):
    monkeypatch.setattr(web_page.importlib.util, "find_spec", lambda name: None)
    assert main(["app"]) == 1
    assert_one_sentence("gradio is not installed", install_advice("app"))


def test_models_of_files_and_the_bundled_one(recordings, tmp_path):
    files = [tmp_path / "street" / "model", tmp_path / "b" / "street" / "model"]
    files += [tmp_path / "office.model"]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(recordings.model, file)
    models = web_page.load_models(files)  # "model" says nothing, its folder does
    assert list(models) == ["street", str(files[1]), "office.model"]
    ((name, enhancer),) = web_page.load_models([]).items()
    assert name == "comes with skunfold"
    assert enhancer.n_sample_components > 0


def test_what_the_button_does(recordings, tmp_path):
    pytest.importorskip("matplotlib")
    stereo = np.clip(np.random.default_rng(0).normal(size=(9600, 2)), -1, 1)
    source = tmp_path / "call.flac"
    write_audio(source, stereo, 48000)
    enhancer = load_model(recordings.model)
    target, picture, complaints = web_view.enhance_recording(enhancer, source, tmp_path)
    assert target.name == "call-enhanced.wav"
    assert read_audio(target)[0].shape == stereo.shape
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert "clipped" in complaints[0]


def test_the_strength_of_the_page_is_that_of_the_enhancer(recordings, noisy, tmp_path):
    pytest.importorskip("matplotlib")
    enhancer = load_model(recordings.model)
    target, _, _ = web_view.enhance_recording(enhancer, noisy, tmp_path, 0.5)
    expected = tmp_path / "expected.wav"
    enhancer.enhance_file(noisy, expected, strength=0.5)
    assert target.read_bytes() == expected.read_bytes()


def test_a_region_of_the_recording_is_a_sample_of_the_noise(recordings, noisy, tmp_path):
    pytest.importorskip("matplotlib")
    enhancer = SpeechEnhancer.pretrained()
    region = (0.1, 0.4)
    target, _, _ = web_view.enhance_recording(enhancer, noisy, tmp_path, region=region)
    waveform, rate = read_audio(noisy, 16000)
    expected = tmp_path / "expected.wav"
    enhancer.enhance_file(
        noisy, expected, noise_sample=waveform[round(0.1 * rate) : round(0.4 * rate)]
    )
    assert target.read_bytes() == expected.read_bytes()
    with pytest.raises(ValueError, match=r"There are 0\.05 s of sound from 0\.1 to 0\.15 s"):
        web_view.enhance_recording(enhancer, noisy, tmp_path, region=(0.1, 0.15))
    with pytest.raises(ValueError, match="of sound from 900 to inf s"):
        web_view.enhance_recording(enhancer, noisy, tmp_path, region=(900, np.inf))
    untold = load_model(recordings.model)
    with pytest.raises(ValueError, match="trained without samples"):
        web_view.enhance_recording(untold, noisy, tmp_path, region=region)


def test_waveforms_of_the_player_have_one_scale(tmp_path):
    for name, level in (("a.wav", 0.8), ("b.wav", 0.2)):
        waveform = np.full((4000, 2), 0.01, np.float32)
        waveform[2000, 1] = -level
        write_audio(tmp_path / name, waveform, 8000, subtype="FLOAT")
        peaks = web_player.peaks_of(tmp_path / name)
        assert len(peaks) == 16  # blocks of 256 samples
        assert peaks.max() == pytest.approx(level)
        assert np.argmax(peaks) == 7
    html = web_player.player(tmp_path / "a.wav", tmp_path / "b.wav")
    loud, quiet = (
        [float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", d)]
        for d in re.findall(r' d="(.*?)"', html)
    )
    assert min(loud) == pytest.approx(0, abs=0.06)
    assert min(quiet) == pytest.approx(60 - 60 * 0.2 / 0.8, abs=0.06)
    assert html.count("<audio") == 2


@pytest.fixture(scope="module")
def page(recordings):
    """The address of the page that ``skunfold app`` serves."""
    script = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    script += "from skunfold.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", script, "app", recordings.model, "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        address = re.search(r"http://\S+", process.stdout.readline())
        assert address is not None
        yield address[0]
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=WAIT) == 0


class Browser:
    """Chromium, with what the tests do in it."""

    def __init__(self, folder, *flags):
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        self.downloads = folder / "downloads"
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for flag in [*FLAGS.split(), f"--user-data-dir={folder / 'profile'}", *flags]:
            options.add_argument(flag)
        options.add_experimental_option(
            "prefs", {"download.default_directory": str(self.downloads)}
        )
        options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(DRIVER))

    def find(self, selector, text="", least_width=0):
        """Wait for an element with a text in it, and return it."""
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline:
            for element in self.driver.find_elements("css selector", selector):
                fits = element.size["width"] >= least_width and text in element.text
                if fits and element.is_enabled():
                    return element
            time.sleep(0.1)
        raise AssertionError(f"the page has no {selector} {text}")

    def download(self, name):
        """Press the button, and return what it gives."""
        self.find("button", "Download").click()
        file, deadline = self.downloads / name, time.monotonic() + WAIT
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        return file.read_bytes()

    def hosts(self):
        """Return whom the page asked for something."""
        messages = [
            json.loads(e["message"])["message"] for e in self.driver.get_log("performance")
        ]
        urls = [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]
        return {url.split("/")[2] for url in urls if url.startswith(("http:", "https:", "ws"))}


@pytest.fixture
def browser(tmp_path, noisy):
    browser = Browser(tmp_path, f"--use-file-for-fake-audio-capture={noisy}")
    yield browser
    browser.driver.quit()


@in_a_browser
def test_upload_enhance_and_download(page, browser, recordings, noisy, tmp_path):
    browser.driver.get(page)
    browser.find("input[type=file]").send_keys(str(noisy))
    browser.find("[data-testid=audio-player-Noisy]")
    browser.find("button", "Enhance").click()
    browser.find(".skunfold-player")
    browser.find("img[src*=spectrograms]", least_width=500)
    assert not browser.driver.find_elements("css selector", "[aria-label=Model]")  # only one
    target = tmp_path / "expected.wav"
    assert main(["enhance", "-m", recordings.model, str(noisy), "-o", str(target)]) == 0
    assert browser.download("noisy-enhanced.wav") == target.read_bytes()
    assert browser.hosts() == {page.split("/")[2]}  # no fonts, no scripts, no statistics
    if "SKUNFOLD_SCREENSHOT" in os.environ:
        browser.driver.save_screenshot(os.environ["SKUNFOLD_SCREENSHOT"])


@in_a_browser
def test_record(page, browser):
    browser.driver.get(page)
    browser.find("[aria-label='Record audio']").click()
    browser.find("button", "Record").click()
    time.sleep(2)
    browser.find("button", "Stop").click()
    browser.find("[data-testid=audio-player-Noisy]")
    browser.find("button", "Enhance").click()
    browser.find(".skunfold-player")
    browser.find("button", "Download").click()


@in_a_browser
def test_an_example_is_enhanced_at_once_and_heard_before_and_after(page, browser):
    browser.driver.get(page)
    browser.find("button", "rain").click()
    browser.find(".skunfold-player")
    sounds = browser.driver.find_elements("css selector", ".skunfold-player audio")
    ready = "return arguments[0].every(sound => sound.readyState > 1)"
    deadline = time.monotonic() + WAIT
    while not browser.driver.execute_script(ready, sounds) and time.monotonic() < deadline:
        time.sleep(0.1)
    browser.driver.execute_script("arguments[0][1].currentTime = 1.5", sounds)
    browser.find(".skunfold-player button[value=noisy]").click()
    times = browser.driver.execute_script(
        "return arguments[0].map(sound => sound.currentTime)", sounds
    )
    assert times == pytest.approx([1.5, 1.5], abs=0.01)
    assert browser.find(".skunfold-player").get_attribute("data-heard") == "noisy"
    browser.find(".skunfold-player button", "Play").click()
    playing = browser.driver.execute_script(
        "return arguments[0].map(sound => !sound.paused)", sounds
    )
    assert playing == [True, False]
    browser.find(".skunfold-player button", "Pause").click()
    assert "Documentation" in browser.find("a[href^='https://skunfold']").text


@in_a_browser
def test_what_is_no_recording_is_said_on_the_page(page, browser, tmp_path):
    file = tmp_path / "text.wav"
    file.write_text("not audio")
    browser.driver.get(page)
    browser.find("input[type=file]").send_keys(str(file))
    browser.find("[class*=toast]", "text.wav cannot be read as audio")  # at once
    browser.find("button", "Enhance").click()
    browser.find("[class*=toast]", "Upload or record something first")
