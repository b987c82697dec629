"""Serves one page, for cameras: browsers give theirs only to pages of this machine and to encrypted ones."""

from __future__ import annotations

import http.server
import socket
import ssl
import threading
from http import HTTPStatus
from pathlib import Path
from typing import Any

from websockets.datastructures import Headers

from avatar.errors import UsageError
from avatar.viewer.auth import MAX_PORT, Auth

PORTS_TRIED = 20
SILENT_SECONDS = 30.0  # after which a connection is closed


class PageServer:
    """Serves a page to browsers that pass `auth`, in threads of its own.

    Args:
        page: the page, as HTML.
        host, port: where to listen; the next free port is taken when `port` is in use.
        certificate: a file with a certificate and its key (PEM), for https; None serves http.

    Raises:
        UsageError: nothing can listen at this address.
    """

    def __init__(self, page: bytes, host: str, port: int, auth: Auth, certificate: Path | None = None) -> None:
        context = None
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
        self._server = _listening(host, port, page, auth, context)
        self._thread = threading.Thread(target=self._server.serve_forever, name="page server", daemon=True)

    @property
    def port(self) -> int:
        """The port that the server listens on."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def wait(self) -> None:
        """Return when the server has stopped."""
        self._thread.join()

    def stop(self) -> None:
        """Stop answering and listening."""
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    context: ssl.SSLContext | None = None

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept a connection; its thread shakes hands, so that a silent client holds up no one else."""
        connection, address = super().get_request()
        if self.context is not None:
            connection = self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: browsers drop connections, above all those with a certificate that they do not know."""


def _listening(host: str, port: int, page: bytes, auth: Auth, context: ssl.SSLContext | None) -> _Server:
    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = SILENT_SECONDS
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            """Answer with the page, or with what the token asks for."""
            answer = auth.check(self.path, Headers(self.headers.items()))
            if answer is not None:
                self._send(answer.status_code, dict(answer.headers.raw_items()), bytes(answer.body))
            elif self.path.split("?")[0] != "/":
                self._send(HTTPStatus.NOT_FOUND, {}, b"There is one page here: /\n")
            else:
                kind = {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store"}
                self._send(HTTPStatus.OK, kind, page)

        def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in (headers | {"Content-Length": str(len(body)), "Referrer-Policy": "no-referrer"}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Keep the terminal quiet."""

    for candidate in range(port, min(port + PORTS_TRIED, MAX_PORT + 1)):
        try:
            server = _Server((host, candidate), Handler)
        except OSError:
            continue
        server.context = context
        return server
    raise UsageError(f"The ports {port} to {candidate} are in use: choose another --port.")
