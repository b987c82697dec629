"""The server of the page that follows a camera: who gets in, and encryption for phones."""

from __future__ import annotations

import http.client
import os
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from avatar.errors import AvatarError, UsageError
from avatar.viewer.auth import Auth
from avatar.viewer.lan import lan_address, qr_code, self_signed_certificate
from avatar.viewer.page_server import PageServer

PAGE = "<!doctype html><title>é</title>".encode()


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AVATAR_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def server() -> Iterator[PageServer]:
    server = PageServer(PAGE, "127.0.0.1", 8820, Auth("secret", "cookie"))
    server.start()
    yield server
    server.stop()


def get(
    connection: http.client.HTTPConnection, path: str, **headers: str
) -> tuple[int, bytes, http.client.HTTPMessage]:
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read(), answer.headers


def test_the_page_needs_the_token_once(server: PageServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    assert get(connection, "/")[0] == 403
    status, _, headers = get(connection, "/?token=secret")
    assert status == 303
    cookie = headers["Set-Cookie"].split(";")[0]
    status, body, headers = get(connection, "/", Cookie=cookie)
    assert (status, body) == (200, PAGE) and headers["Content-Type"] == "text/html; charset=utf-8"
    assert get(connection, "/etc/passwd", Cookie=cookie)[0] == 404


def test_foreign_pages_and_names_are_refused_without_a_token() -> None:
    server = PageServer(PAGE, "127.0.0.1", 8830, Auth())
    server.start()
    try:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        assert get(connection, "/")[1] == PAGE
        assert get(connection, "/", Origin="https://elsewhere.example")[0] == 403
        assert get(connection, "/", Host="elsewhere.example")[0] == 403
    finally:
        server.stop()


def test_the_next_free_port_is_taken(server: PageServer) -> None:
    other = PageServer(PAGE, "127.0.0.1", server.port, Auth("secret"))
    assert other.port == server.port + 1
    other.start()
    other.stop()


def test_phones_are_served_with_a_certificate_of_this_machine(own_cache: Path) -> None:
    pytest.importorskip("cryptography")
    certificate, fingerprint = self_signed_certificate("127.0.0.1")
    assert self_signed_certificate("127.0.0.1") == (certificate, fingerprint), "a phone that accepted it knows it again"
    assert certificate.is_relative_to(own_cache)
    assert os.name != "posix" or certificate.parent.stat().st_mode & 0o077 == 0
    server = PageServer(PAGE, "127.0.0.1", 8840, Auth("secret", "cookie"), certificate)
    server.start()
    try:
        trusting = ssl.create_default_context(cafile=str(certificate))
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=10, context=trusting)
        assert get(connection, "/", Cookie="cookie=secret")[:2] == (200, PAGE)
        assert connection.sock.getpeercert(binary_form=True) is not None
        with pytest.raises(ssl.SSLCertVerificationError):
            http.client.HTTPSConnection("127.0.0.1", server.port, timeout=10).request("GET", "/")
    finally:
        server.stop()


def test_a_qr_code_holds_the_address() -> None:
    pytest.importorskip("segno")
    drawn = qr_code("https://192.0.2.7:8090/?token=abc")
    lines = drawn.splitlines()
    assert len(lines) > 12 and len({len(line) for line in lines if line}) <= 2


def test_without_the_extra_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> None:
    for name in ("segno", "cryptography", "cryptography.x509"):
        monkeypatch.setitem(sys.modules, name, None)
    for call in (lambda: qr_code("x"), lambda: self_signed_certificate("127.0.0.1")):
        with pytest.raises(UsageError, match="lan"):
            call()


def test_the_address_in_the_network_is_numeric_or_one_sentence() -> None:
    try:
        parts = lan_address().split(".")
    except AvatarError as error:
        assert "network" in str(error)
    else:
        assert len(parts) == 4 and all(part.isdigit() for part in parts)
