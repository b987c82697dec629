"""HEIC photos, as iPhones take them: decoded by the ffmpeg that is here for videos.

The bundled libraries of Python's own readers are under licences that this project does not take in.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from avatar.errors import AvatarError
from avatar.io.ffmpeg import MAX_PIXELS, STALL_SECONDS, messages, opened_safely

# Brands of ISO 23008-12, annex B: images of HEVC. "mif1" leaves the codec open, so AVIF may state it too.
BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


def is_heic(path: Path) -> bool:
    """Whether the first bytes are those of an HEIC or HEIF image."""
    with path.open("rb") as file:
        start = file.read(64)
    if start[4:8] != b"ftyp" or start[8:12] not in BRANDS:
        return False
    box = start[: min(int.from_bytes(start[:4], "big"), len(start))]
    return not any(box[at : at + 4] in (b"avif", b"avis") for at in range(8, len(box), 4))


def read_heic(path: Path) -> UInt8[np.ndarray, "h w 3"]:
    """Read an HEIC image, upright, as sRGB.

    Raises:
        AvatarError: it is broken, larger than `MAX_PIXELS`, or of a kind that the installed ffmpeg cannot put together.
    """
    header = messages(path)
    size = re.search(r"Tile Grid:.*?, (\d+)x(\d+)", header)
    if size and int(size[1]) * int(size[2]) > MAX_PIXELS:
        raise AvatarError(f"{path} is {size[1]}x{size[2]}, more than {MAX_PIXELS // 10**6} megapixels.")
    if size is None and len(re.findall(r"Stream #0:\d+.*Video: hevc", header)) > 1:
        raise AvatarError(
            f"{path} is an HEIC photo in tiles, which this ffmpeg does not put together: update imageio-ffmpeg, or "
            "export the photo as JPEG."
        )
    command = [*opened_safely(path), "-frames:v", "1", "-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "pipe:1"]
    try:
        data = subprocess.run(command, capture_output=True, timeout=STALL_SECONDS, check=False).stdout
    except subprocess.TimeoutExpired as error:
        raise AvatarError(f"{path} cannot be read: no data came in {STALL_SECONDS:.0f} s.") from error
    match = re.match(rb"P6\n(\d+) (\d+)\n255\n", data)
    width, height = (int(match[1]), int(match[2])) if match else (0, 0)
    if match is None or len(data) - match.end() < 3 * width * height:
        raise AvatarError(f"{path} is an HEIC photo that cannot be read: export it as JPEG.")
    return np.frombuffer(data, np.uint8, 3 * width * height, match.end()).reshape(height, width, 3)
