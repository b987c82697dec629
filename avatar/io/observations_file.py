"""Observations as a folder: `frames/00000.jpg`, `masks/00000.png`, `observations.npz` with the rest.

Where confidence differs between pixels, `trust/00000.png` holds it; what a depth camera measured lies in
`depth/00000.png`, 16-bit millimetres. Frames of a video, which is compressed anyway, are
stored as JPEG of high quality, since coding PNG takes ten times as long; images that must stay exact (a photo, a
dataset) as `frames/00000.png`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import UInt8

from avatar.errors import AvatarError, short_message
from avatar.io.files import read_npz, write_npz
from avatar.io.image_cache import shared_cache
from avatar.io.images import read_depth, read_image, read_mask, write_depth, write_image
from avatar.landmark_layouts import DETECTOR_LAYOUTS, LAYOUTS
from avatar.types import Cameras, ImageList, Observations

VERSION = 1


def stored_images(folder: Path, count: int, read: Callable[[Path], np.ndarray], suffix: str = ".png") -> ImageList:
    """The numbered images of a folder, each decoded once as far as memory allows (`avatar.io.image_cache`)."""
    cache = shared_cache(folder)
    return ImageList(count, lambda index: cache.read(image_path(folder, index, suffix), read))


def image_path(folder: Path, index: int, suffix: str = ".png") -> Path:
    """Path of the image with this index in a folder of numbered images."""
    return folder / f"{index:05d}{suffix}"


def frame_path(folder: Path, index: int) -> Path:
    """Path of a stored video frame."""
    return image_path(folder / "frames", index, ".jpg")


def stored_frames(folder: Path, count: int) -> ImageList:
    """The stored images of the video or photo, read when they are used."""
    suffix = ".png" if image_path(folder / "frames", 0).is_file() else ".jpg"
    return stored_images(folder / "frames", count, read_color, suffix)


def stored_masks(folder: Path, count: int) -> ImageList:
    """The stored masks, read when they are used."""
    return stored_images(folder / "masks", count, read_mask)


def stored_depth(folder: Path, count: int) -> ImageList:
    """The stored depth images, read when they are used."""
    return stored_images(folder / "depth", count, read_depth)


def read_color(path: Path) -> UInt8[np.ndarray, "h w 3"]:
    """Read an image file without its alpha channel."""
    return read_image(path)[..., :3]


def save_observations(observations: Observations, folder: Path, frames: Literal[".png", ".jpg"] = ".png") -> None:
    """Write everything; `observations.npz` comes last, so that a folder that has it is whole.

    Args:
        frames: how images are stored; ".jpg" for those of videos.
    """
    for index in range(len(observations)):
        write_image(image_path(folder / "frames", index, frames), observations.images[index])
        write_image(image_path(folder / "masks", index), observations.masks[index])
        if observations.trust is not None:
            write_image(image_path(folder / "trust", index), observations.trust[index])
        if observations.depth is not None:
            write_depth(image_path(folder / "depth", index), observations.depth[index])
    save_arrays(observations, folder)


def save_arrays(observations: Observations, folder: Path) -> None:
    """Write `observations.npz` alone, for images that already lie in `folder`."""
    arrays = {name: getattr(observations, name).numpy() for name in ("keypoints", "keypoints_3d", "instant", "times")}
    for name in ("frame_weight", "hands", "hands_3d", "face", "face_units"):
        if (value := getattr(observations, name)) is not None:
            arrays[name] = value.numpy()
    if observations.cameras is not None:
        arrays["K"] = observations.cameras.K.numpy()
        arrays["T_camera_world"] = observations.cameras.T_camera_world.numpy()
    write_npz(
        folder / "observations.npz",
        version=np.array(VERSION),
        layout=np.array(observations.layout),
        source=np.array(observations.source),
        notes=np.array(observations.notes, dtype=np.str_),
        size=np.array([observations.width, observations.height]),
        start=np.array(observations.start),
        **arrays,
    )


def load_observations(folder: Path) -> Observations:
    """Read what `save_observations` wrote; images stay on disk until they are used.

    Raises:
        UsageError: the folder holds no observations.
        AvatarError: they are of another version, broken, or do not fit together.
    """
    path = folder / "observations.npz"
    arrays = read_npz(path)
    try:
        return _observations(arrays, folder)
    except (KeyError, ValueError, TypeError, IndexError, OverflowError) as error:
        raise AvatarError(
            f"{path} does not hold observations as this version writes them: {short_message(error)}."
        ) from error


def _observations(arrays: dict[str, np.ndarray], folder: Path) -> Observations:
    if int(arrays["version"]) != VERSION:
        raise ValueError(f"version {int(arrays['version'])} instead of {VERSION}")
    layout, count = str(arrays["layout"]), len(arrays["keypoints"])
    if layout not in DETECTOR_LAYOUTS:
        raise ValueError(f"unknown landmark layout {layout!r}")
    joints = len(LAYOUTS[layout])
    width, height = (int(n) for n in arrays["size"])
    if not (1 <= width < 10**5 and 1 <= height < 10**5 and count):
        raise ValueError(f"{count} images of {width} x {height} pixels")
    tensors = {
        name: _tensor(arrays[name], shape, holes=name in ("keypoints_3d", "hands_3d", "face_units"))
        for name, shape in (
            ("keypoints", (count, joints, 3)), ("keypoints_3d", (count, joints, 3)), ("times", (count,)),
            ("hands", (count, 2, 21, 3)), ("hands_3d", (count, 2, 21, 3)), ("face", (count, 478, 3)),
            ("face_units", (count, 52)), ("frame_weight", (count,)), ("K", (count, 3, 3)),
            ("T_camera_world", (count, 4, 4)),
        )
        if name in arrays
    }  # fmt: skip
    K, T_camera_world = tensors.pop("K", None), tensors.pop("T_camera_world", None)
    cameras = None if K is None or T_camera_world is None else Cameras(K, T_camera_world, width, height)
    instant = _tensor(arrays["instant"], (count,)).long()
    if instant.min() < 0 or instant.max() >= count:
        raise ValueError("frames of instants that do not exist")
    return Observations(
        images=stored_frames(folder, count),
        masks=stored_masks(folder, count),
        trust=stored_images(folder / "trust", count, read_mask) if (folder / "trust").is_dir() else None,
        depth=stored_depth(folder, count) if (folder / "depth").is_dir() else None,
        iuv=None,  # the user's own, read where the fit needs them
        layout=layout,
        instant=instant,
        width=width,
        height=height,
        cameras=cameras,
        source=str(arrays["source"]),
        notes=tuple(str(note) for note in arrays.get("notes", ())),
        start=float(arrays.get("start", 0.0)),
        **tensors,
    )


def _tensor(array: np.ndarray, shape: tuple[int, ...], holes: bool = False) -> torch.Tensor:
    """Numbers of the expected shape, all finite; with `holes`, NaN may mark missing entries."""
    if array.shape != shape:
        raise ValueError(f"an array of shape {array.shape} instead of {shape}")
    if array.dtype.kind not in "iuf":
        raise ValueError("an array that does not hold numbers")
    values = array[~np.isnan(array)] if holes else array
    if not (np.abs(values) < np.finfo(np.float32).max).all():
        raise ValueError("an array with entries that are not finite numbers")
    return torch.from_numpy(array.astype(np.float32))
