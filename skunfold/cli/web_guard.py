"""Who may use the web page of ``skunfold app``: ASGI middleware, without Gradio."""

import base64
import hmac
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

_Scope = Mapping[str, Any]
_Message = dict[str, Any]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[_Scope, Any, _Send], Awaitable[None]]

_ENVELOPE = 1 << 20  # bytes of a request besides the recording in it, or without one
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_OPEN_PATH = "/gradio_api/startup-events"  # Gradio asks itself for it, without a password
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


@dataclass(frozen=True)
class Policy:
    """Which requests are answered.

    Parameters
    ----------
    host : str
        The host that the server listens on. Browsers may ask for it, for localhost and for
        the address that a request comes to.
    names : tuple of str
        Other hosts that browsers may ask for, or whose pages may use this one; NAME:PORT
        means that port alone.
    max_bytes : int
        Size of the largest upload.
    password : str or None
        What visitors have to know; None: nothing.
    """

    host: str
    names: tuple[str, ...]
    max_bytes: int
    password: str | None = None

    def refuse(self, scope: _Scope) -> tuple[int, str] | None:
        """Return the HTTP status and the sentence that refuse a request, None if it is fine.

        Parameters
        ----------
        scope : mapping
            What ASGI says about a request.
        """
        headers = {name.decode("latin-1").lower(): value for name, value in scope["headers"]}
        text = {name: value.decode("latin-1") for name, value in headers.items()}
        host, origin = text.get("host", ""), text.get("origin")
        if not self._knows_host(host, scope.get("server")):
            return 421, (
                f"The page is not known as {host or 'a host without a name'}; start it with "
                "--allow-host and that name."
            )
        if origin is not None and not self._knows_origin(origin, host):
            return 403, (
                f"A page of {origin} may not use this one; --allow-host with its host, when "
                "this one is started, lets it."
            )
        too_large = self._refuse_size(text)
        if too_large is not None:
            return too_large
        if self.password is None or scope["path"] == _OPEN_PATH:
            return None
        if not _holds_password(text.get("authorization", ""), self.password):
            return 401, "The page asks for a password; the name does not matter."
        return None

    def _knows_host(self, host: str, server: tuple[str, int | None] | None) -> bool:
        """Return whether a Host header names this server.

        A site that has its own name point here (DNS rebinding) sends that name.
        """
        address = _address(f"http://{host}")
        own = () if server is None else (server[0],)
        return address is not None and _is_among(
            address, (*_LOOPBACK, *own, self.host, *self.names)
        )

    def _knows_origin(self, origin: str, host: str) -> bool:
        """Return whether an Origin header names this page, or one that is named."""
        address = _address(origin)
        if address is None:
            return False
        scheme = urlsplit(origin).scheme
        return address == _address(f"{scheme}://{host}") or _is_among(address, self.names)

    def _refuse_size(self, headers: Mapping[str, str]) -> tuple[int, str] | None:
        """Look at how much a request holds."""
        if "transfer-encoding" in headers:
            return 411, "A request must say how long it is."
        length = headers.get("content-length", "0")
        uploads = headers.get("content-type", "").lower().startswith("multipart/form-data")
        largest = _ENVELOPE + (self.max_bytes if uploads else 0)
        if not length.isdecimal() or len(length) > 18 or int(length) > largest:
            return 413, (
                f"This is more than the {self.max_bytes / 1e6:g} MB that can be uploaded; "
                "--max-upload, when the page is started, allows more."
            )
        return None


class Guard:
    """An ASGI application that answers only what a policy lets through."""

    def __init__(self, app: _App, policy: Policy) -> None:
        self._app = app
        self._policy = policy

    async def __call__(self, scope: _Scope, receive: Any, send: _Send) -> None:
        """Answer a request."""
        if scope["type"] not in ("http", "websocket"):  # the server's own start and end
            await self._app(scope, receive, send)
            return
        refusal = self._policy.refuse(scope)
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await _answer(send, *refusal)


def reaches_other_computers(host: str) -> bool:
    """Return whether a server that listens on a host can be reached from elsewhere."""
    try:
        found = socket.getaddrinfo(host.strip("[]"), None)
    except (OSError, UnicodeError):
        return True
    return not all(ipaddress.ip_address(str(entry[4][0])).is_loopback for entry in found)


async def _answer(send: _Send, status: int, sentence: str) -> None:
    """Send a sentence as the whole answer."""
    body = f"{sentence}\n".encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),  # what is left of the request is not read
    ]
    if status == 401:
        headers.append((b"www-authenticate", b'Basic realm="skunfold", charset="UTF-8"'))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _address(url: str) -> tuple[str, int | None] | None:
    """Return host and port of a URL, or None if it has no host."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host or "@" in parts.netloc:
        return None
    return host.rstrip("."), _PORTS.get(parts.scheme) if port is None else port


def _is_among(address: tuple[str, int | None], names: Iterable[str]) -> bool:
    """Return whether a host with a port is one of some names, which may hold a port."""
    for name in names:
        bare = name.count(":") > 1 and not name.startswith("[")  # an IPv6 address
        host, port = _address(f"//[{name}]" if bare else f"//{name}") or (None, None)
        if host == address[0] and port in (None, address[1]):
            return True
    return False


def _holds_password(authorization: str, password: str) -> bool:
    """Return whether an Authorization header (Basic) holds the password, after any name."""
    scheme, _, encoded = authorization.partition(" ")
    try:
        given = base64.b64decode(encoded, validate=True).partition(b":")[2]
    except ValueError:
        return False
    return scheme.lower() == "basic" and hmac.compare_digest(given, password.encode())
