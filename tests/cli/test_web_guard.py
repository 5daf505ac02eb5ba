"""Who may use the page of ``skunfold app``: what can be tested without Gradio."""

import asyncio
import base64
import os
import signal
import subprocess
import sys
import types

import pytest

from skunfold.cli import main, web_page
from skunfold.cli.web_guard import Guard, Policy, reaches_other_computers

POLICY = Policy("192.0.2.9", ("proxy.example", "other.example:81", "::2"), 5_000_000)


def scope(path="/", kind="http", server=("127.0.0.1", 7860), **headers):
    """Return what an ASGI server says about a request."""
    headers = {"Host": "localhost:7860"} | headers
    pairs = [
        (name.replace("_", "-").lower().encode(), value.encode("latin-1"))
        for name, value in headers.items()
        if value is not None
    ]
    return {"type": kind, "path": path, "server": server, "headers": pairs}


def status(policy=POLICY, **request):
    refusal = policy.refuse(scope(**request))
    return None if refusal is None else refusal[0]


KNOWN = "localhost LocalHost.:1 127.0.0.1:7860 [::1]:7860 192.0.2.9 proxy.example"
KNOWN += " proxy.example:443 other.example:81 [::2]:5"
UNKNOWN = "evil.example evil.example:7860 localhost.evil.example 10.0.0.1 [::3] other.example"
UNKNOWN += " other.example:82 x@localhost localhost:port ["


@pytest.mark.parametrize("host", KNOWN.split())
def test_hosts_that_are_known(host):
    assert status(Host=host) is None


@pytest.mark.parametrize("host", [*UNKNOWN.split(), "", None])
def test_hosts_that_are_not(host):
    refusal = POLICY.refuse(scope(Host=host))
    assert refusal[0] == 421
    assert "--allow-host" in refusal[1]


def test_the_address_that_a_request_comes_to_is_known():
    assert status(Host="10.0.0.1:7860", server=("10.0.0.1", 7860)) is None
    assert status(Host="[fd00::1]", server=("fd00::1", 7860)) is None
    assert status(Host="10.0.0.2:7860", server=("10.0.0.1", 7860)) == 421
    assert status(Host="10.0.0.1", server=None) == 421


@pytest.mark.parametrize(
    ("host", "origin", "fine"),
    [
        ("localhost:7860", None, True),
        ("localhost:7860", "http://localhost:7860", True),
        ("localhost", "http://localhost:80", True),
        ("proxy.example", "https://proxy.example", True),
        ("localhost:7860", "https://proxy.example", True),
        ("localhost:7860", "http://other.example:81", True),
        ("localhost:7860", "http://other.example", False),
        ("localhost:7860", "http://localhost:3000", False),
        ("localhost:7860", "http://localhost", False),
        ("localhost:7860", "http://127.0.0.1:7860", False),
        ("127.0.0.1:7860", "http://192.0.2.9:7860", False),
        ("localhost:7860", "https://evil.example", False),
        ("localhost:7860", "http://localhost:7860@evil.example", False),
        ("localhost:7860", "null", False),
        ("localhost:7860", "", False),
    ],
)
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_origins(host, origin, fine, kind):
    assert status(Host=host, Origin=origin, kind=kind) == (None if fine else 403)


@pytest.mark.parametrize(
    ("kind", "length", "expected"),
    [
        ("multipart/form-data; boundary=x", "6000000", None),
        ("multipart/form-data; boundary=x", "6100000", 413),
        ("application/json", "1000000", None),
        ("application/json", "1100000", 413),
        ("application/json", "9" * 5000, 413),
        ("application/json", "-1", 413),
        ("application/json", "x", 413),
    ],
)
def test_sizes(kind, length, expected):
    assert status(Content_Type=kind, Content_Length=length) == expected
    assert status(Content_Type=kind, Transfer_Encoding="chunked") == 411


def credentials(name, password):
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def test_passwords():
    policy = Policy("127.0.0.1", (), 1, "a:ö")
    for right in (credentials("", "a:ö"), credentials("me", "a:ö").replace("Basic", "basic")):
        assert status(policy, Authorization=right) is None
    for wrong in (None, "", "Basic", "Basic ö", credentials("a", "ö"), credentials("me", "")):
        assert status(policy, Authorization=wrong) == 401
    assert status(policy, path="/gradio_api/startup-events") is None
    assert status(policy, path="/gradio_api/file=/gradio_api/startup-events") == 401


def test_the_middleware():
    passed = []

    async def app(scope, receive, send):
        passed.append(scope["type"])

    def answer(**request):
        sent = []

        async def send(message):
            sent.append(message)

        asyncio.run(Guard(app, Policy("127.0.0.1", (), 1, "x"))(scope(**request), None, send))
        return sent

    assert answer(kind="lifespan") == []
    assert answer(Authorization=credentials("", "x")) == []
    assert passed == ["lifespan", "http"]
    assert answer(kind="websocket") == [{"type": "websocket.close", "code": 1008}]
    start, body = answer()
    assert start["status"] == 401
    headers = dict(start["headers"])
    assert headers[b"www-authenticate"].startswith(b"Basic ")
    assert headers[b"content-length"] == str(len(body["body"])).encode()
    assert b"asks for a password" in body["body"]
    assert b"www-authenticate" not in dict(answer(Host="evil.example")[0]["headers"])
    assert passed == ["lifespan", "http"]


def test_what_other_computers_reach():
    assert not any(map(reaches_other_computers, ["127.0.0.1", "127.8.9.1", "localhost", "::1"]))
    names = ["0.0.0.0", "::", "192.0.2.1", "no-such-host.invalid", "x" * 300]
    assert all(map(reaches_other_computers, names))


def test_where_the_password_is_from(monkeypatch):
    terminal = types.SimpleNamespace(isatty=lambda: True)
    monkeypatch.setenv("SKUNFOLD_PASSWORD", "secret")
    assert web_page.read_password(False) == web_page.read_password(True) == "secret"
    monkeypatch.setenv("SKUNFOLD_PASSWORD", "")
    assert web_page.read_password(False) is None
    for stdin in (None, types.SimpleNamespace(isatty=lambda: False)):
        monkeypatch.setattr(sys, "stdin", stdin)
        with pytest.raises(ValueError, match="SKUNFOLD_PASSWORD"):
            web_page.read_password(True)
    monkeypatch.setattr(sys, "stdin", terminal)
    monkeypatch.setattr(web_page.getpass, "getpass", lambda prompt: "typed")
    assert web_page.read_password(True) == "typed"
    monkeypatch.setattr(web_page.getpass, "getpass", lambda prompt: "")
    with pytest.raises(ValueError, match="password is empty"):
        web_page.read_password(True)


@pytest.fixture
def served(monkeypatch, recordings):
    """Run ``skunfold app`` with no page; return what it would have been served with."""
    monkeypatch.setattr(web_page, "check_extra", lambda: None)
    monkeypatch.delenv("SKUNFOLD_PASSWORD", raising=False)
    calls = []
    monkeypatch.setattr(web_page, "serve", lambda *arguments: calls.append(arguments))

    def run(*options):
        assert main(["app", recordings.model, *options]) == 0
        return calls.pop()[1:]

    return run


def test_options(served, monkeypatch, capsys):
    assert served() == ("127.0.0.1", None, Policy("127.0.0.1", (), 200_000_000), True)
    assert capsys.readouterr().err == ""
    options = ["--host", "0.0.0.0", "--port", "65535", "--max-upload", "7", "--no-browser"]
    options += ["--allow-host", "a.example", "--allow-host", "b.example:8"]
    policy = Policy("0.0.0.0", ("a.example", "b.example:8"), 7_000_000)
    assert served(*options) == ("0.0.0.0", 65535, policy, False)
    assert "warning: --host 0.0.0.0 lets everybody use the page" in capsys.readouterr().err
    monkeypatch.setenv("SKUNFOLD_PASSWORD", "secret")
    assert served("--host", "0.0.0.0")[2].password == "secret"
    said = capsys.readouterr().err
    assert "warning: --host 0.0.0.0 lets other computers in" in said
    assert "secret" not in said


CLEAN_UP = """import shutil, signal, sys, threading, time
from skunfold.cli.web_page import _ending_by_signals, _temporary_folder
signal.signal(signal.SIGINT, signal.default_int_handler)
rmtree = shutil.rmtree
def slow(*arguments, **options):
    time.sleep(0.3)
    if len(list(folder.iterdir())) == 1:
        (folder / "late").write_text("written meanwhile")  # as by a request that is not done
    else:
        rmtree(*arguments, **options)
shutil.rmtree = slow
try:
    with _ending_by_signals(), _temporary_folder() as folder:
        (folder / "mine.wav").write_text("voice")
        print(folder, flush=True)
        threading.Event().wait()
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no such signals")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_signals_delete_the_folder(name, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", CLEAN_UP],
        stdout=subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        text=True,
    )
    folder = process.stdout.readline().strip()
    assert os.listdir(folder) == ["mine.wav"]
    process.send_signal(getattr(signal, name))
    try:
        process.wait(0.1)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)  # it does not end what is being cleaned up
    said, _ = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, "interrupted\n")
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="has no such signals")
def test_signals_that_are_ignored_stay_so():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with web_page._ending_by_signals():
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) != signal.SIG_DFL
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)
