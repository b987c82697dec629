"""Limits on uploads: viser collects whatever a browser sends, so transfers that are too large are dropped."""

from __future__ import annotations

import viser
from viser._messages import FileTransferPart, FileTransferStartUpload

from avatar.viewer.clips import MAX_BYTES

MAX_AT_ONCE = 4


def limit_uploads(server: viser.ViserServer, max_bytes: int = MAX_BYTES) -> None:
    """Drop uploads that announce or send more than `max_bytes`, and all beyond `MAX_AT_ONCE` at a time."""
    running = server.gui._current_file_upload_states

    def on_start(client: int, message: FileTransferStartUpload) -> None:
        if message.size_bytes > max_bytes or len(running) > MAX_AT_ONCE:
            running.pop(message.transfer_uuid, None)

    def on_part(client: int, message: FileTransferPart) -> None:
        state = running.get(message.transfer_uuid)
        if state is not None and state["transferred_bytes"] > max_bytes:
            running.pop(message.transfer_uuid, None)

    # viser's own handlers were registered before and run first, so the transfer is registered by now.
    server._websock_server.register_handler(FileTransferStartUpload, on_start)
    server._websock_server.register_handler(FileTransferPart, on_part)
