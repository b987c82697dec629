"""Images of everything around a place: equirectangular, as Radiance .hdr, OpenEXR, or ordinary image files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped

from avatar.errors import AvatarError, UsageError, short_message
from avatar.io.exposure import linear_light
from avatar.io.ffmpeg import MAX_PIXELS
from avatar.io.files import require_file
from avatar.io.images import read_image

RADIANCE, OPENEXR = b"#?", b"\x76\x2f\x31\x01"  # how the files begin
SIZE = (64, 128)  # rows and columns that the light of distant surroundings needs at most
ASPECT_TOLERANCE = 0.02  # relative


def read_environment(path: Path) -> Float[np.ndarray, "64 128 3"]:
    """Read the light from all directions as linear RGB: rows from straight up to straight down, columns right round.

    The format is recognized by the content. Ordinary images are sRGB, whose brightest pixels hold less light than there
    was; .hdr and .exr keep all of it.

    Raises:
        UsageError: there is no such file, or OpenEXR is not installed.
        AvatarError: the file is broken, is not twice as wide as high, or holds no light.
    """
    require_file(path)
    with path.open("rb") as file:
        start = file.read(4)
    if start == OPENEXR:
        radiance = _read_exr(path)
    elif start.startswith(RADIANCE):
        radiance = _read_hdr(path)
    else:
        radiance = linear_light(read_image(path)[..., :3].astype(np.float32) / 255)
    height, width = radiance.shape[:2]
    if abs(width / height - 2) > 2 * ASPECT_TOLERANCE:
        raise AvatarError(
            f"{path} is {width}x{height}: an image of the surroundings is equirectangular, twice as wide as high."
        )
    if not np.isfinite(radiance).all() or radiance.min() < 0:
        raise AvatarError(f"{path} is broken: it holds values that are no amounts of light.")
    if not radiance.max() > 0:
        raise AvatarError(f"{path} is black: it holds no light.")
    return _shrunk(radiance.astype(np.float32))


def _shrunk(radiance: Float[np.ndarray, "h w 3"]) -> Float[np.ndarray, "64 128 3"]:
    import cv2

    rows, columns = SIZE
    # The mean of each area keeps small bright lamps whole; a smaller image is only repeated.
    return np.asarray(cv2.resize(radiance, (columns, rows), interpolation=cv2.INTER_AREA), dtype=np.float32)


def _read_hdr(path: Path) -> Float[np.ndarray, "h w 3"]:
    import cv2

    try:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    except cv2.error as error:
        raise AvatarError(f"{path} is not a readable .hdr image: {short_message(error)}.") from error
    if image is None or image.dtype != np.float32:
        raise AvatarError(f"{path} is not a readable .hdr image: it is broken or cut off.")
    return np.asarray(image[..., ::-1])


def _read_exr(path: Path) -> Shaped[np.ndarray, "h w 3"]:
    try:
        import OpenEXR
    except ImportError as error:
        raise UsageError(f"{path} is an OpenEXR image: pip install 'splat-avatar[exr]', or save it as .hdr.") from error
    try:
        low, high = OpenEXR.File(str(path), header_only=True).header()["dataWindow"]
        if (high[0] - low[0] + 1) * (high[1] - low[1] + 1) > MAX_PIXELS:
            raise AvatarError(f"{path} has more than {MAX_PIXELS // 10**6} megapixels.")
        with OpenEXR.File(str(path), separate_channels=True) as file:
            channels = {name: np.asarray(channel.pixels) for name, channel in file.channels().items()}
    except AvatarError:
        raise
    except Exception as error:  # the library raises many kinds on broken files
        raise AvatarError(f"{path} is not a readable OpenEXR image: {short_message(error)}.") from error
    names = ("R", "G", "B") if "R" in channels else ("Y", "Y", "Y")
    if any(name not in channels for name in names):
        raise AvatarError(f"{path} has no channels R, G and B, only {', '.join(sorted(channels)) or 'none'}.")
    return np.stack([channels[name] for name in names], -1)
