"""Reading, writing and converting images."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from avatar.errors import AvatarError, short_message
from avatar.io.ffmpeg import MAX_PIXELS
from avatar.io.files import atomic_write, require_file
from avatar.io.heic import is_heic, read_heic

# Images are written through imageio but read through Pillow itself, because imageio has no list of allowed formats
# and no limit of size: Pillow knows dozens of formats, and the readers of odd ones are where its security bugs were.
READABLE_FORMATS = ("PNG", "JPEG", "WEBP", "AVIF")
JPEG_QUALITY = 98  # with colour at full resolution: about 50 dB, far above what a phone's video keeps
PNG_COMPRESSION = 1  # zlib's fastest: a third of the time of the default and files a tenth larger


def read_image(path: Path) -> UInt8[np.ndarray, "h w c"]:
    """Read a png, jpg, webp, heic or avif image, upright, as (h, w, 3) uint8 sRGB, or (h, w, 4) if it has alpha.

    The format is recognized by the content, whatever the suffix. The camera's orientation tag (EXIF) is applied. Grey
    images become RGB, 16-bit ones keep their upper eight bits, and alpha stays straight (not premultiplied).

    Raises:
        UsageError: there is no such file.
        AvatarError: the file is broken, of another format, in CMYK (whose colours need a printer's profile),
            or larger than `MAX_PIXELS`.
    """
    require_file(path)
    if is_heic(path):
        return read_heic(path)
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings(), Image.open(path, formats=READABLE_FORMATS) as file:
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            if file.width * file.height > MAX_PIXELS:
                raise AvatarError(f"{path} is {file.width}x{file.height}, more than {MAX_PIXELS // 10**6} megapixels.")
            if file.mode == "CMYK":
                raise AvatarError(f"{path} is in the print colours CMYK: save it as RGB.")
            ImageOps.exif_transpose(file, in_place=True)
            if file.mode.startswith("I"):
                return np.repeat((np.asarray(file) >> 8).astype(np.uint8)[..., None], 3, axis=2)
            transparent = file.mode in ("RGBA", "LA", "PA", "La") or "transparency" in file.info
            mode = "RGBA" if transparent else "RGB"
            return np.array(file if file.mode == mode else file.convert(mode))
    except AvatarError:
        raise
    except Exception as error:  # Pillow's readers raise many kinds on broken files
        raise AvatarError(
            f"{path} is not a readable png, jpg, webp, heic or avif image: {short_message(error)}."
        ) from error


def read_mask(path: Path) -> UInt8[np.ndarray, "h w"]:
    """Read a soft mask, 0 background to 255 person: the first channel of an image."""
    return read_image(path)[..., 0]


def read_depth(path: Path, unit: float = 0.001) -> Float[np.ndarray, "h w"]:
    """Depth along the optical axis in metres from a 16-bit grey png; 0 where nothing is.

    Args:
        unit: in which the file counts, metres.

    Raises:
        UsageError: there is no such file.
        AvatarError: the file is broken or of another kind.
    """
    require_file(path)
    from PIL import Image

    try:
        with Image.open(path, formats=["PNG"]) as file:
            if not file.mode.startswith("I") or file.width * file.height > MAX_PIXELS:
                raise AvatarError(f"{path} should be a 16-bit grey png.")
            return np.asarray(file, dtype=np.float32) * np.float32(unit)
    except AvatarError:
        raise
    except Exception as error:  # Pillow's readers raise many kinds on broken files
        raise AvatarError(f"{path} is not a readable png: {short_message(error)}.") from error


def write_depth(path: Path, depth: Float[np.ndarray, "h w"]) -> None:
    """Write what `read_depth` reads, in one step.

    Raises:
        AvatarError: the file cannot be written.
    """
    from PIL import Image

    millimetres = np.rint(depth * 1000).clip(0, 65535).astype(np.uint16)
    with atomic_write(path) as temporary:
        Image.fromarray(millimetres).save(temporary, "PNG", compress_level=PNG_COMPRESSION)


def write_image(path: Path, image: UInt8[np.ndarray, "h w *c"]) -> None:
    """Write a (h, w), (h, w, 3) or (h, w, 4) image in one step, in the format of the suffix.

    Raises:
        AvatarError: the file cannot be written, or the suffix is not that of an image.
    """
    import imageio.v3 as iio

    options: dict[str, dict[str, Any]] = {
        ".png": {"compress_level": PNG_COMPRESSION},
        ".jpg": {"quality": JPEG_QUALITY, "subsampling": 0},
        ".webp": {"quality": 95},
    }
    suffix = path.suffix.lower().replace(".jpeg", ".jpg")
    if suffix not in options:
        raise AvatarError(f"Cannot write an image as {path.name}: use .png, .jpg or .webp.")
    with atomic_write(path) as temporary:
        iio.imwrite(temporary, image, plugin="pillow", **options[suffix])


def to_uint8(image: Float[Tensor, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    """Values in [0, 1], clamped to that range, as the nearest of 0 to 255; on the CPU and detached."""
    return (image.detach().clamp(0, 1) * 255).round().byte().cpu().numpy()


def to_float(image: UInt8[np.ndarray, "*shape"] | UInt8[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Values of 0 to 255 as float32 in [0, 1], on the device of `image`."""
    return torch.as_tensor(image).float() / 255
