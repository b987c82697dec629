"""Files of other programs that are not read: what they are, and which free tool converts them."""

from __future__ import annotations

import re
from pathlib import Path

_BLENDER = "Blender opens it (File > Import) and exports the animation (File > Export > glTF 2.0)"
_OPENSIM = "OpenSim writes the positions of joints or markers as TRC, which is read"
# The first bytes, or None for any with this suffix; name; how to convert.
_KINDS: tuple[tuple[str, bytes | None, str, str], ...] = (
    ("", rb"(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?<COLLADA", "COLLADA", _BLENDER),
    ("", rb"#usda|PXR-USDC", "USD", _BLENDER),
    (".usdz", None, "USD", _BLENDER),
    ("", rb"Ogawa|\x89HDF\r\n\x1a\n.*abc", "Alembic (it holds no skeleton)", "export the skeleton as FBX or glTF"),
    ("", rb"BLENDER", "a Blender project", "export the animation from Blender (File > Export > glTF 2.0)"),
    ("", rb"Vocaloid Motion Data", "a motion of MikuMikuDance", "Blender with the add-on MMD Tools exports it as glTF"),
    ("", rb"(#!?[^\n]*\n|\s)*:FULLY-SPECIFIED|(#!?[^\n]*\n)*1\r?\nroot ",
     "Acclaim's AMC (its skeleton is in an ASF file)", "Blender with an add-on for ASF/AMC exports both as BVH"),
    (".asf", None, "Acclaim's skeleton without a motion", "Blender with an add-on for ASF/AMC exports both as BVH"),
    ("", rb"(?s).{0,4000}?inDegrees\s*=.*?endheader", "OpenSim's table of joint angles", _OPENSIM),
    ("", rb"%YAML.*\n%TAG !u! tag:unity3d\.com", "an animation of Unity", "Unity's package FBX Exporter writes FBX"),
)  # fmt: skip


def reason_unread(path: Path, start: bytes) -> str | None:
    """One sentence about a file of a known kind that is not read, or None.

    Args:
        start: its first few thousand bytes.
    """
    for suffix, pattern, name, advice in _KINDS:
        by_content = pattern is not None and re.match(pattern, start) is not None
        if by_content or (pattern is None and path.suffix.lower() == suffix):
            return f"{path} is {name}, which is not read: {advice}."
    return None
