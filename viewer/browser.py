"""Everything that the viewer uses of viser beyond its public interface; `docs/viewer.md` lists what it lacks.

A later viser that changes these parts breaks this file alone, and its tests.
"""

from __future__ import annotations

import contextlib
import functools
import json
import threading
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any

import viser
import websockets.asyncio.server
from viser._messages import (
    FileTransferPart,
    FileTransferStartUpload,
    RemoveNotificationMessage,
    RunJavascriptMessage,
)
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

MAX_UPLOADS_AT_ONCE = 4
SOFTWARE_NOTICE = "webgl-software-rendering"  # its id in viser's client/src/BrowserWarning.tsx
SCRIPTS = ("connection.js", "uploads.js", "panel.js", "timeline.js", "compare.js", "progress.js", "page.js")

# What answers a request: a refusal or redirect, or None where it may pass.
Check = Callable[[str, Headers], Response | None]
# What happens in a page: the tab, the event's name and its values.
Listener = Callable[[viser.ClientHandle, str, dict[str, Any]], None]


@contextlib.contextmanager
def checked_requests(check: Check) -> Iterator[list[bool]]:
    """Servers that viser starts inside this block ask `check` before each request; the list is filled when one was.

    viser has no hook for this, so the function of the websockets library that makes its server is wrapped.
    """
    original = websockets.asyncio.server.serve
    served: list[bool] = []

    @functools.wraps(original)
    def serve(handler: Any, *args: Any, process_request: Callable[..., Any], **kwargs: Any) -> Any:
        def checked(connection: Any, request: Request) -> Any:
            refusal = check(request.path, request.headers)
            return process_request(connection, request) if refusal is None else refusal

        served.append(True)
        return original(handler, *args, process_request=checked, **kwargs)

    websockets.asyncio.server.serve = serve  # type: ignore[assignment, misc]
    try:
        yield served
    finally:
        websockets.asyncio.server.serve = original  # type: ignore[misc]


def hide_software_notice(client: viser.ClientHandle) -> None:
    """Close the notice that viser's page opens over the scene when the browser has no GPU; it never closes itself.

    viser has no setting for it. The page shows it before it connects, so one message after that is enough.
    """
    client.gui._websock_interface.queue_message(RemoveNotificationMessage(SOFTWARE_NOTICE))


def limit_uploads(server: viser.ViserServer, max_bytes: int) -> None:
    """Drop uploads that announce or send more than `max_bytes`, and all beyond `MAX_UPLOADS_AT_ONCE` at a time.

    viser collects whatever a browser sends.
    """
    running = server.gui._current_file_upload_states

    def on_start(client: int, message: FileTransferStartUpload) -> None:
        if message.size_bytes > max_bytes or len(running) > MAX_UPLOADS_AT_ONCE:
            running.pop(message.transfer_uuid, None)

    def on_part(client: int, message: FileTransferPart) -> None:
        state = running.get(message.transfer_uuid)
        if state is not None and state["transferred_bytes"] > max_bytes:
            running.pop(message.transfer_uuid, None)

    # viser's own handlers were registered before and run first, so the transfer is registered by now.
    server._websock_server.register_handler(FileTransferStartUpload, on_start)
    server._websock_server.register_handler(FileTransferPart, on_part)


def add_hotkey(gui: viser.GuiApi, label: str, key: str, icon: viser.IconName, act: Callable[[], None]) -> None:
    """A command of the palette (Ctrl+K) with a key; viser's type lists letters only, its page takes any key."""
    handle = gui.add_command(label, hotkey=key, icon=icon)  # type: ignore[arg-type]

    async def triggered(event: viser.CommandEvent) -> None:
        act()

    handle.on_trigger(triggered)


class Browser:
    """The program's own part of the page in every tab (`viewer/page`): sends it values, and hears its events.

    viser runs a script in its page for plots, so the page's own parts are sent in that way. Its events come back as
    the value of a text field that is never visible.

    Args:
        parts: which optional parts the page gets: "timeline" with the comparison, "progress".
        listener: is called in the order of the events.
    """

    def __init__(
        self, server: viser.ViserServer, max_bytes: int, parts: tuple[str, ...], listener: Listener | None = None
    ) -> None:
        self.server, self.listener = server, listener
        self.inbox = server.gui.add_text("events of the page", "", visible=False)
        self._values: dict[str, Any] = {}
        self._sent: dict[int, dict[str, Any]] = {}
        self._sending = threading.Lock()  # a tab that connects is served by another thread than the loop
        self._start = page_script() + _call(
            "connect", {"inbox": self.inbox._impl.uuid, "maxBytes": max_bytes, "parts": parts}
        )
        self.inbox.on_update(self._heard)
        limit_uploads(server, max_bytes)
        server.on_client_connect(self._connected)
        server.on_client_disconnect(self._gone)

    def show(self, values: dict[str, Any]) -> None:
        """Bring the page's own parts in all tabs to `values` (as JSON has them). Only what changed is sent."""
        with self._sending:
            self._values = values
            for key, client in self.server.get_clients().items():
                if key in self._sent:
                    self._send(client)

    def _send(self, client: viser.ClientHandle) -> None:
        """Bring one tab up to date."""
        sent = self._sent[client.client_id]
        changes = {name: value for name, value in self._values.items() if sent.get(name, ...) != value}
        if changes:
            sent.update(changes)
            _run(client, _call("show", changes))

    def _connected(self, client: viser.ClientHandle) -> None:
        hide_software_notice(client)
        with self._sending:
            _run(client, self._start)
            self._sent[client.client_id] = {}
            self._send(client)

    def _gone(self, client: viser.ClientHandle) -> None:
        self._sent.pop(client.client_id, None)

    async def _heard(self, event: viser.GuiEvent[Any]) -> None:
        if event.client is None or self.listener is None:
            return
        try:
            values = json.loads(event.target.value)
            name = str(values.pop("type"))
        except (ValueError, AttributeError, KeyError, TypeError):
            return  # no event of our page
        self.listener(event.client, name, values)


@functools.cache
def page_script() -> str:
    """The page's own parts as one script."""
    folder = files("avatar.viewer") / "page"
    style = (folder / "page.css").read_text(encoding="utf-8")
    text = "\n".join((folder / name).read_text(encoding="utf-8") for name in SCRIPTS)
    return f"{{const CSS_TEXT = {json.dumps(style)};\n{text}}}\n"


def _call(name: str, values: dict[str, Any]) -> str:
    return f"window.avatarPage.{name}({json.dumps(values)});"


def _run(client: viser.ClientHandle, source: str) -> None:
    client.gui._websock_interface.queue_message(RunJavascriptMessage(source))
