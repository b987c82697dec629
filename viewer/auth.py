"""Access control: every HTTP request and every websocket is checked before viser handles it.

If a later viser no longer lets them be checked, `authenticated_server` refuses to serve.
"""

from __future__ import annotations

import contextlib
import hmac
import http
import io
import secrets
import socket
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import viser
from websockets.datastructures import Headers
from websockets.http11 import Response

from avatar.errors import AvatarError, UsageError
from avatar.viewer.browser import checked_requests

MAX_PORT = 65535
LOOPBACK = ("127.0.0.1", "localhost", "::1")
REFUSED = "This page needs the token: open the whole address that stands in the terminal.\n"
FOREIGN = "This server answers only pages of its own.\n"


@dataclass(frozen=True)
class Auth:
    """What a request must show.

    Attributes:
        token: a secret in the address (and then in a cookie); None lets everyone in, which only loopback may do.
        cookie: name of the cookie that holds the token.
    """

    token: str | None = None
    cookie: str = field(default_factory=lambda: f"avatar-{secrets.token_hex(4)}")

    def check(self, path: str, headers: Headers) -> Response | None:
        """The refusal or redirect that answers a request, or None where it may pass."""
        if not _same_origin(headers) or (self.token is None and not _to_loopback(headers)):
            # Otherwise any page open in the user's browser could control this server: websockets are not subject to
            # CORS, and a page may use a host name of its own that resolves to 127.0.0.1 (DNS rebinding).
            return _answer(http.HTTPStatus.FORBIDDEN, FOREIGN)
        if self.token is None or self._is_token(_cookies(headers).get(self.cookie, "")):
            return None
        given = parse_qs(urlsplit(path).query).get("token", [""])[0]
        if not self._is_token(given):
            return _answer(http.HTTPStatus.FORBIDDEN, REFUSED)
        # The token moves into a cookie, so that it leaves the address bar and referrers.
        answer = _answer(http.HTTPStatus.SEE_OTHER, "")
        answer.headers["Location"] = "/"
        answer.headers["Set-Cookie"] = f"{self.cookie}={given}; Path=/; HttpOnly; SameSite=Strict"
        return answer

    def _is_token(self, given: str) -> bool:
        assert self.token is not None
        return hmac.compare_digest(given.encode(), self.token.encode())


def new_token() -> str:
    """A random token of 128 bits."""
    return secrets.token_urlsafe(16)


def check_address(host: str, port: int) -> None:
    """Refuse an address that no server could listen on; viser would hang or print a traceback.

    A port that is in use passes, since viser takes the next free one.

    Raises:
        UsageError: the port is out of range, or `host` is not an address of this machine.
    """
    if not 1 <= port <= MAX_PORT:
        raise UsageError(f"The port must lie between 1 and {MAX_PORT}, not {port}.")
    try:
        for family, kind, protocol, _, address in socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM):
            with socket.socket(family, kind, protocol) as probe:
                probe.bind(address)
    except OSError as error:
        raise UsageError(
            f"The host {host} is not an address of this machine: use 127.0.0.1, or 0.0.0.0 for all its addresses."
        ) from error


def authenticated_server(host: str, port: int, auth: Auth, label: str) -> viser.ViserServer:
    """A viser server on `port`, or the next free one, that answers only requests that pass `auth`.

    Raises:
        UsageError: see `check_address`.
        AvatarError: this version of viser does not let its requests be checked.
    """
    check_address(host, port)
    with checked_requests(auth.check) as served, contextlib.redirect_stdout(io.StringIO()):
        server = viser.ViserServer(host=host, port=port, label=label, verbose=False)
    if not served:
        server.stop()
        raise AvatarError("The requests of this version of viser cannot be checked: install viser 1.1.")
    return server


def _same_origin(headers: Headers) -> bool:
    """Whether a request comes from a page of this server, or from no page at all."""
    origin = headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == headers.get("Host")


def _to_loopback(headers: Headers) -> bool:
    return urlsplit(f"//{headers.get('Host', '')}").hostname in LOOPBACK


def _cookies(headers: Headers) -> dict[str, str]:
    pairs = (part.strip().partition("=") for part in headers.get("Cookie", "").split(";"))
    return {name: value for name, _, value in pairs}


def _answer(status: http.HTTPStatus, text: str) -> Response:
    body = text.encode()
    headers = Headers({"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(body))})
    return Response(status.value, status.phrase, headers, body)
