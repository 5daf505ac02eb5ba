"""The server of the web page of ``skunfold app``."""

import getpass
import importlib.util
import os
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from skunfold._install import install_advice
from skunfold._text import printable
from skunfold.audio import SpeechEnhancer
from skunfold.cli.files import load_enhancer
from skunfold.cli.output import print_text
from skunfold.cli.signals import raised_by
from skunfold.cli.web_guard import Guard, Policy
from skunfold.cli.web_player import SCRIPT, STYLE
from skunfold.cli.web_view import build


def check_extra() -> None:
    """Raise if what the page needs is not installed."""
    for package in ("gradio", "matplotlib"):
        if importlib.util.find_spec(package) is None:
            raise ModuleNotFoundError(
                f"{package} is not installed; {install_advice('app')} brings what the web page "
                "needs."
            )


def load_models(files: list[Path]) -> dict[str, SpeechEnhancer]:
    """Return the models of files by their names; that of the package if there are no files."""
    if not files:
        return {"comes with skunfold": load_enhancer(None)}
    models = {}
    for file in files:
        name = printable(_short_name(file))
        name = printable(file) if name in models else name
        models[name] = load_enhancer(file)
    return models


def _short_name(file: Path) -> str:
    """Return the name of a model file, or that of its folder where it is called "model"."""
    return file.resolve().parent.name if file.name == "model" else file.name


def read_password(asked: bool) -> str | None:
    """Return the password of the environment, or what is typed if it is asked for."""
    password = os.environ.get("SKUNFOLD_PASSWORD")
    if password or not asked:
        return password or None
    if sys.stdin is None or not sys.stdin.isatty():
        raise ValueError(
            "--password cannot ask for one, since stdin is no terminal; put it into the "
            "environment variable SKUNFOLD_PASSWORD."
        )
    password = getpass.getpass("Password for the page: ")
    if not password:
        raise ValueError("The password is empty; type one, or leave out --password.")
    return password


def serve(
    models: Mapping[str, SpeechEnhancer],
    host: str,
    port: int | None,
    policy: Policy,
    browser: bool,
) -> None:
    """Show the page until Ctrl-C is pressed, or the process is asked to end.

    Parameters
    ----------
    models : mapping of str to SpeechEnhancer
        What can be chosen; the first is chosen at first.
    host : str
        The address to listen on.
    port : int or None
        None: the first free one from 7860 on.
    policy : Policy
        Who may use the page, and how.
    browser : bool
        Whether to open a browser.
    """
    _check_host(host)
    with _ending_by_signals(), _temporary_folder() as folder:
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        os.environ["GRADIO_TEMP_DIR"] = str(folder)  # where uploads go
        import gradio
        from starlette.middleware import Middleware

        page = build(models, folder)
        theme = gradio.themes.Default(
            primary_hue="teal",
            font=["system-ui", "sans-serif"],  # the default ones come from a server
            font_mono=["ui-monospace", "monospace"],
        )
        try:
            page.launch(
                server_name=f"[{host}]" if ":" in host and host[0] != "[" else host,
                server_port=port,
                inbrowser=browser,
                share=False,  # whatever GRADIO_SHARE says
                max_file_size=policy.max_bytes,
                app_kwargs={"middleware": [Middleware(Guard, policy=policy)]},
                prevent_thread_lock=True,
                quiet=True,
                footer_links=[],
                run_history=False,
                theme=theme,
                css=STYLE,
                head=SCRIPT,
                allowed_paths=[str(folder)],
            )
        except OSError as error:
            raise OSError(f"The page cannot listen on {host}, port {port}: {error}") from error
        print_text(f"The page is at {page.local_url} until you press Ctrl-C.")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            page.close(verbose=False)


def _check_host(host: str) -> None:
    """Check that this machine can listen on an address; Gradio would try port after port."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host.strip("[]"), 0, type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.bind(address)
    except (OSError, UnicodeError) as error:
        raise ValueError(
            f"--host {host} is no address of this machine ({error}); use 127.0.0.1, or 0.0.0.0 "
            "for all."
        ) from error


def _ending_by_signals() -> AbstractContextManager[None]:
    """Let SIGTERM and SIGHUP end the block as Ctrl-C does."""
    return raised_by("SIGINT", "SIGTERM", "SIGHUP", error=lambda number: KeyboardInterrupt())


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    """Make a folder, and delete it with all that is in it."""
    folder = Path(tempfile.mkdtemp(prefix="skunfold-"))
    try:
        yield folder
    finally:
        for pause in (0.01, 0.1, 1.0):  # something may still be written into it
            shutil.rmtree(folder, ignore_errors=True)
            if not folder.exists():
                break
            time.sleep(pause)
        else:
            shutil.rmtree(folder)
