"""The avatar's file and what it says, as docs/formats/player-file.md describes it."""

import base64
import json
import zlib
from pathlib import Path
from typing import Any


def page_avatar(page: Path) -> bytes:
    """The avatar's file that a page holds."""
    text = page.read_text(encoding="utf-8").split('<script id="avatar" type="text/plain">')[1].split("</script>")[0]
    return base64.b64decode(text)


def header_of(content: bytes) -> dict[str, Any]:
    assert content[:8] == b"AVATAR1\n"
    unpacked = zlib.decompress(content[8:])
    length = int.from_bytes(unpacked[:4], "little")
    header: dict[str, Any] = json.loads(unpacked[4 : 4 + length])
    return header
