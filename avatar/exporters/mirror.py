"""The mirror of a page: MediaPipe's pose network in the browser, and the scripts that let the avatar follow a camera.

What is embedded lies in `assets/live` (a program for browsers and its landmark network), in the pose model that the
program itself uses (the person detector), and in `player/mirror/`.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import zipfile

from avatar.body import Body
from avatar.exporters.page_tables import mirror_table
from avatar.io.assets import asset_path

ENTRY = "mirror/live_page.js"
# Each block of the page and the asset that it holds, compressed.
BLOCKS = {"bundle": "vision_bundle.mjs", "loader": "vision_wasm_internal.js", "wasm": "vision_wasm_internal.wasm"}
LANDMARKS, DETECTOR = "pose_landmarks_detector.tflite", "pose_detector.tflite"
# What the page's policy must allow beyond the usual: programs made from the blocks, WebAssembly among them.
POLICY = "'wasm-unsafe-eval' blob:"
NOTICE = " Landmarks by MediaPipe, © The MediaPipe Authors, Apache License 2.0."


def mirror_elements(body: Body) -> str:
    """The elements that the scripts of the mirror read: the words of the fit, and MediaPipe's files.

    Args:
        body: of the avatar.

    Raises:
        AvatarError: a file is missing from this installation.
    """
    words = json.dumps(mirror_table(body), separators=(",", ":"), allow_nan=False)
    blocks = {name: asset_path("live", f"{file}.gz").read_bytes() for name, file in BLOCKS.items()}
    blocks["model"] = gzip.compress(pose_bundle(), 9)
    return "\n".join(
        [
            f'<script id="mirror-words" type="application/json">{words}</script>',
            *(
                f'<script id="mirror-{name}" type="text/plain">{base64.b64encode(content).decode()}</script>'
                for name, content in blocks.items()
            ),
        ]
    )


def pose_bundle() -> bytes:
    """The light pose model as a bundle for MediaPipe's task API, which wants its networks uncompressed."""
    landmarks = gzip.decompress(asset_path("live", f"{LANDMARKS}.gz").read_bytes())
    with zipfile.ZipFile(asset_path("models", "pose_landmarker_heavy.task")) as heavy:
        detector = heavy.read(DETECTOR)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as bundle:
        for name, network in ((DETECTOR, detector), (LANDMARKS, landmarks)):
            bundle.writestr(zipfile.ZipInfo(name), network)
    return content.getvalue()
