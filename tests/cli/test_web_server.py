"""The server of ``skunfold app``, asked over HTTP without a browser."""

import base64
import contextlib
import http.client
import importlib.util
import os
import re
import signal
import subprocess
import sys
import uuid

import pytest

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("gradio") is None or sys.platform == "win32",
    reason="needs gradio, and signals",
)
SCRIPT = """import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from skunfold.cli import main
sys.exit(main(sys.argv[1:]))"""
WAIT = 60  # seconds
PASSWORD = "naïve: word"


def credentials(password):
    return "Basic " + base64.b64encode(f"me:{password}".encode()).decode()


class Server:
    """``skunfold app`` in a process, and requests to it."""

    def __init__(self, model, folder, *options, **environment):
        command = [sys.executable, "-c", SCRIPT, "app", model, "--no-browser", *options]
        self.folder = folder
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"TMPDIR": str(folder)} | environment,
        )
        address = re.search(r"http://(\S+?)/? until", self.process.stdout.readline())
        assert address is not None, self.process.stderr.read()
        self.address = address[1]

    def ask(self, method="GET", path="/", body=None, **headers):
        """Return status and body of the answer; an underscore is a hyphen in a header."""
        headers = {"Authorization": credentials(PASSWORD)} | headers
        headers = {k: value for k, value in headers.items() if value is not None}
        connection = http.client.HTTPConnection(self.address, timeout=WAIT)
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        with contextlib.closing(connection):
            connection.request(method, path, body, headers)
            with connection.getresponse() as answer:
                return answer.status, answer.read()

    def upload(self, data, **headers):
        """Upload a file, as the page does."""
        boundary = uuid.uuid4().hex
        body = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="files"; '
            f'filename="mine.wav"\r\n\r\n'
        ).encode()
        body += data + f"\r\n--{boundary}--\r\n".encode()
        kind = f"multipart/form-data; boundary={boundary}"
        return self.ask("POST", "/gradio_api/upload", body, Content_Type=kind, **headers)

    def uploaded(self):
        return list(self.folder.glob("skunfold-*/**/mine.wav"))

    def end(self, number):
        """Send a signal; return the exit code and stderr."""
        self.process.send_signal(number)
        said = self.process.communicate(timeout=WAIT)[1]
        return self.process.returncode, said


@pytest.fixture(scope="module")
def server(recordings, tmp_path_factory):
    """One for all tests, since it takes seconds to begin: open to others, with a password."""
    folder = tmp_path_factory.mktemp("page")
    options = ("--max-upload", "2", "--allow-host", "proxy.example", "--allow-host", "a.b:81")
    options += ("--host", "0.0.0.0")
    server = Server(recordings.model, folder, *options, SKUNFOLD_PASSWORD=PASSWORD)
    yield server
    assert server.upload(b"voice" * 1000)[0] == 200
    assert len(server.uploaded()) > 0
    code, said = server.end(signal.SIGHUP)
    assert (code, list(folder.iterdir())) == (0, [])
    (line,) = said.splitlines()
    assert line.startswith("skunfold: warning: --host 0.0.0.0 lets other computers in")


def test_the_password(server):
    n_before = len(server.uploaded())
    paths = ("/", "/config", "/gradio_api/info", "/gradio_api/file=x/startup-events")
    for path in paths:
        assert server.ask("GET", path, Authorization=None)[0] == 401
    for wrong in ("", "Basic", "Basic ???", "Basic bWU=", credentials("word"), "Bearer x"):
        assert server.upload(b"voice", Authorization=wrong)[0] == 401
    assert len(server.uploaded()) == n_before
    assert server.ask("GET", "/")[0] == 200
    assert server.upload(b"voice")[0] == 200
    assert len(server.uploaded()) == n_before + 1


def test_size_of_uploads(server):
    n_before = len(server.uploaded())
    assert server.upload(bytes(2_000_001))[0] == 413
    assert server.upload(bytes(2_000_000))[0] == 200
    assert len(server.uploaded()) == n_before + 1
    for kind, size in (
        ("multipart/form-data; boundary=b", "4000000"),
        ("multipart/form-data; boundary=b", "9" * 15),
        ("application/json", "1100000"),  # which would be held in memory
    ):  # refused before it is sent
        headers = {"Content_Type": kind, "Content_Length": size}
        status, said = server.ask("POST", "/gradio_api/upload", **headers)
        assert (status, b"more than the 2 MB" in said) == (413, True)
    assert server.ask("POST", "/gradio_api/upload", Transfer_Encoding="chunked")[0] == 411


def test_pages_of_other_origins(server):
    own = server.address
    for origin, status in (
        (f"http://{own}", 200),
        ("http://proxy.example", 200),
        ("https://proxy.example:4430", 200),
        ("http://a.b:81", 200),
        ("http://a.b", 403),
        ("https://evil.example", 403),
        ("http://127.0.0.1:1", 403),
        (f"https://evil.example/{own}", 403),
        (f"http://{own}.evil.example", 403),
        ("null", 403),
        ("", 403),
    ):
        assert server.upload(b"voice", Origin=origin)[0] == status, origin
        assert server.ask("GET", "/", Origin=origin)[0] == status, origin


def test_other_names_of_the_host(server):
    port = server.address.split(":")[1]
    for host, status in (
        (f"localhost:{port}", 200),
        ("LOCALHOST.", 200),
        (f"[::1]:{port}", 200),
        ("proxy.example", 200),
        ("a.b:81", 200),
        ("a.b:82", 421),
        (f"evil.example:{port}", 421),
        ("127.0.0.1.evil.example", 421),
        ("evil.example@127.0.0.1", 421),
        ("192.0.2.1", 421),
        ("127.0.0.1:x", 421),
        ("", 421),
    ):
        assert server.ask("GET", "/", Host=host)[0] == status, host
        assert server.upload(b"voice", Host=host)[0] == status, host
