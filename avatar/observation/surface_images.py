"""IUV images: which part of the body, and where on it, a detector of the user's own sees in each pixel.

One PNG for each frame, as DensePose writes them (Güler et al. 2018): a channel with the part, 0 where nobody is, then
U, then V, 0 to 255. Our own exporter has the part in red; files that OpenCV wrote have it in blue, and V in red.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from avatar.errors import AvatarError, UsageError
from avatar.io.images import read_image
from avatar.types import ImageList

PARTS = 24
PROBED = 5  # images that tell which channel has the part
SAME_ASPECT = 0.01  # relative difference of the sides' ratio below which an image has the shape of the frames


def iuv_files(folder: Path) -> list[Path]:
    """The IUV images of a folder, by name.

    Raises:
        UsageError: there is no such folder, or no PNG in it.
    """
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder}: --iuv takes a folder with one PNG for each frame.")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".png")
    if not paths:
        raise UsageError(f"There is no PNG in {folder}: --iuv takes a folder with one PNG for each frame.")
    return paths


def read_iuv(paths: list[Path], width: int, height: int) -> ImageList:
    """Part, U and V of each frame, in this order, at the images' own resolution.

    Args:
        paths: one for each frame; width, height: of the frames, whose shape the images must have.

    Raises:
        AvatarError: a file is broken, of another shape, or no IUV image; also where the images are read.
    """
    probed = [paths[index] for index in np.unique(np.linspace(0, len(paths) - 1, PROBED).astype(int))]
    images = [_pixels(path, width, height) for path in probed]
    last = [max(int(image[..., channel].max()) for image in images) for channel in (0, 2)]
    if min(last) == 0:
        raise AvatarError(f"{paths[0].parent} has IUV images in which nobody is: {probed[0].name}, for one.")
    if min(last) > PARTS:
        raise AvatarError(
            f"{probed[0]} is no IUV image: neither its red nor its blue channel has the parts, which are 0 to {PARTS}."
        )
    reverse = last[1] < last[0] and last[1] <= PARTS
    return ImageList(len(paths), lambda index: _checked(paths[index], width, height, reverse))


def _pixels(path: Path, width: int, height: int) -> UInt8[np.ndarray, "h w 3"]:
    pixels = read_image(path)
    rows, columns = pixels.shape[:2]
    if abs(columns * height / (rows * width) - 1) > SAME_ASPECT:
        raise AvatarError(
            f"{path} is of {columns}x{rows} pixels and the frames of {width}x{height}: an IUV image must show the "
            "whole frame."
        )
    pixels = pixels[..., :3]
    if pixels.any() and (pixels == pixels[..., :1]).all():
        raise AvatarError(f"{path} is grey: an IUV image has three channels, the part, U and V.")
    return pixels


def _checked(path: Path, width: int, height: int, reverse: bool) -> UInt8[np.ndarray, "h w 3"]:
    pixels = _pixels(path, width, height)
    pixels = pixels[..., ::-1] if reverse else pixels
    if pixels[..., 0].max() > PARTS:
        raise AvatarError(f"{path} is no IUV image: it has part {pixels[..., 0].max()}, and the last is {PARTS}.")
    return np.ascontiguousarray(pixels)
