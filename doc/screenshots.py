"""Photograph the built documentation and the web app: ``python doc/screenshots.py HTML OUT``.

HTML is the folder that ``sphinx-build`` wrote.  Each page is photographed in a headless
Chromium as wide as a desktop and as a phone, in light and in dark colours.  With ``--app
MODEL`` the page of ``skunfold app`` is photographed as well, with an example enhanced.  It
needs the extra ``browser-tests``, ``chromium`` and ``chromedriver``.
"""

import argparse
import base64
import contextlib
import functools
import http.server
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

PAGES = {
    "home": "index",
    "install": "install",
    "getting-started": "getting_started",
    "guide": "user_guide/index",
    "guide-choosing": "user_guide/which_estimator",
    "guide-deep-nmf": "user_guide/deep_nmf",
    "guide-speech": "user_guide/speech",
    "gallery": "auto_examples/index",
    "api": "api",
    "api-deep-nmf": "generated/skunfold.DeepNMFRegressor",
    "results": "results/index",
    "results-speech": "results/speech_tools",
    "faq": "faq",
}
WIDTHS = {"desktop": 1440, "phone": 390}
THEMES = ("light", "dark")
LONGEST = 3000  # pixels of a page that are shown


@contextlib.contextmanager
def served(folder):
    """Serve a folder; return its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            """Say nothing."""

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextlib.contextmanager
def app(model):
    """Run ``skunfold app``; return its address."""
    command = [sys.executable, "-m", "skunfold", "app", str(model), "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield re.search(r"http://\S+", process.stdout.readline())[0]
        process.terminate()


def open_chromium():
    """Return a headless Chromium."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
        options.add_argument(flag)
    return webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))


def dress(driver, width, theme):
    """Set the width of the page and the colours that it prefers."""
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    preference = {"name": "prefers-color-scheme", "value": theme}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [preference]})


def photograph(driver, file):
    """Write a picture of the whole page, and say if it is wider than the window."""
    size = driver.execute_script(
        "return [document.documentElement.scrollWidth, window.innerWidth,"
        " document.documentElement.scrollHeight]"
    )
    if size[0] > size[1]:
        print(f"{file.name}: the page is {size[0]} pixels wide in a window of {size[1]}")
    clip = {"x": 0, "y": 0, "width": size[1], "height": min(size[2], LONGEST), "scale": 1}
    data = driver.execute_cdp_cmd(
        "Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": True}
    )["data"]
    file.write_bytes(base64.b64decode(data))


def enhance_example(driver):
    """Choose the first example of the app, and wait for the enhanced recording."""
    deadline = time.monotonic() + 60
    pressed = False
    while time.monotonic() < deadline:
        if not pressed:
            for cell in driver.find_elements("css selector", "button.gallery-item"):
                cell.click()
                pressed = True
                break
        elif driver.find_elements("css selector", "img[src*='spectrograms']"):
            time.sleep(2)
            return
        time.sleep(0.2)
    raise TimeoutError("The app has not enhanced the example.")


def main():
    """Photograph what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("html", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--app", type=Path, metavar="MODEL")
    parser.add_argument("--only", default="", metavar="REGEX", help="names of pages")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    looks = [(name, width, theme) for name, width in WIDTHS.items() for theme in THEMES]
    driver = open_chromium()
    with contextlib.closing(driver), served(options.html) as address:
        for page, path in PAGES.items():
            if re.search(options.only, page):
                for name, width, theme in looks:
                    dress(driver, width, theme)
                    driver.get(f"{address}/{path}.html")
                    time.sleep(0.4)
                    photograph(driver, options.out / f"{page}-{name}-{theme}.png")
        if options.app:
            with app(options.app) as page:
                for name, width, theme in looks:
                    dress(driver, width, theme)
                    driver.get(page)
                    enhance_example(driver)
                    photograph(driver, options.out / f"app-{name}-{theme}.png")
    driver.quit()


if __name__ == "__main__":
    main()
