"""Who gets in, and how much they may send."""

from __future__ import annotations

import http.client
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
import viser
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from avatar.errors import UsageError
from avatar.viewer.auth import Auth, authenticated_server, check_address, new_token
from avatar.viewer.browser import limit_uploads

SUBPROTOCOL = [f"viser-v{viser.__version__}"]


@pytest.fixture(scope="module")
def locked() -> Iterator[int]:
    server = authenticated_server("127.0.0.1", 8790, Auth("secret", "cookie"), "test")
    yield server.get_port()
    server.stop()


@pytest.fixture(scope="module")
def local() -> Iterator[viser.ViserServer]:
    server = authenticated_server("127.0.0.1", 8795, Auth(), "test")
    yield server
    server.stop()


def status(port: int, path: str = "/", **headers: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers=headers)
    return connection.getresponse().status


def websocket(port: int, **headers: str) -> bool:
    """Whether a websocket opens."""
    try:
        with connect(f"ws://127.0.0.1:{port}", subprotocols=SUBPROTOCOL, additional_headers=headers):  # type: ignore[arg-type]
            return True
    except InvalidStatus as refusal:
        assert refusal.response.status_code == 403
        return False


@pytest.mark.parametrize("path", ["/", "/?token=", "/?token=Secret", "/index.html?token=secrets", "/?x=secret"])
def test_pages_are_refused_without_the_token(locked: int, path: str) -> None:
    assert status(locked, path) == 403


def test_the_token_opens_and_moves_into_a_cookie(locked: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", locked, timeout=10)
    connection.request("GET", "/?token=secret")
    answer = connection.getresponse()
    assert answer.status == 303
    assert answer.headers["Location"] == "/"
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
    assert status(locked, Cookie=cookie.split(";")[0]) == 200


def test_websockets_need_the_cookie_too(locked: int) -> None:
    assert not websocket(locked)
    assert not websocket(locked, Cookie="cookie=guess")
    assert websocket(locked, Cookie="cookie=secret")


def test_other_pages_in_the_same_browser_are_refused(locked: int, local: viser.ViserServer) -> None:
    assert not websocket(locked, Cookie="cookie=secret", Origin="http://evil.example")
    assert not websocket(local.get_port(), Origin="http://evil.example")
    assert websocket(local.get_port(), Origin=f"http://127.0.0.1:{local.get_port()}")


def test_a_foreign_name_for_this_machine_is_refused(local: viser.ViserServer) -> None:
    assert status(local.get_port(), Host="evil.example") == 403
    assert status(local.get_port(), Host="localhost:1234") == 200


@pytest.mark.parametrize("path", ["/../../../etc/passwd", "/..%2f..%2f..%2fetc/passwd", "/%2e%2e/_viser.py"])
def test_no_path_leads_out(local: viser.ViserServer, path: str) -> None:
    assert status(local.get_port(), path) == 404


def test_a_taken_port_gives_the_next_one(locked: int) -> None:
    second = authenticated_server("127.0.0.1", locked, Auth(), "test")
    assert second.get_port() > locked
    second.stop()


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 0), ("127.0.0.1", 99999), ("203.0.113.9", 8080)])
def test_an_address_that_cannot_be_served_is_refused_in_one_sentence(host: str, port: int) -> None:
    with pytest.raises(UsageError, match=r"^The (port|host) [^\n]*\.$"):
        authenticated_server(host, port, Auth(), "test")


def test_a_port_in_use_passes(locked: int) -> None:
    check_address("127.0.0.1", locked)


def test_tokens_differ() -> None:
    assert len({new_token() for _ in range(50)}) == 50


def test_uploads_that_are_too_large_are_forgotten(local: viser.ViserServer) -> None:
    limit_uploads(local, max_bytes=1000)
    button = local.gui.add_upload_button("file")
    running = local.gui._current_file_upload_states

    def start(size: int) -> dict[str, Any]:
        return {
            "type": "FileTransferStartUpload", "source_component_uuid": button._impl.uuid, "filename": "x",
            "transfer_uuid": uuid.uuid4().hex, "mime_type": "", "part_count": 50, "size_bytes": size,
        }  # fmt: skip

    def part(upload: dict[str, Any], index: int) -> dict[str, Any]:
        return {
            "type": "FileTransferPart", "source_component_uuid": button._impl.uuid,
            "transfer_uuid": upload["transfer_uuid"], "part_index": index, "content": bytes(300),
        }  # fmt: skip

    large, honest, liar = start(2000), start(900), start(900)

    def arrived() -> bool:
        upload = running.get(honest["transfer_uuid"])
        return upload is not None and upload["transferred_bytes"] == 300

    address = f"ws://127.0.0.1:{local.get_port()}"
    with connect(address, subprotocols=SUBPROTOCOL) as socket:  # type: ignore[arg-type]
        for message in (large, honest, liar, *(part(liar, index) for index in range(5)), part(honest, 0)):
            socket.send(msgspec.msgpack.encode(message))
        wait_until(arrived)
        assert large["transfer_uuid"] not in running
        assert liar["transfer_uuid"] not in running


def wait_until(condition: Callable[[], bool]) -> None:
    import time

    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
