"""The camera file: JSON that other programs can write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from avatar.errors import AvatarError
from avatar.io.files import read_json, write_json
from avatar.types import Cameras


def save_cameras(path: Path, cameras: Cameras) -> None:
    """Write cameras as JSON: `width`, `height`, and for each frame `K` (3x3) and `T_camera_world` (4x4)."""
    content = {"width": cameras.width, "height": cameras.height, "K": cameras.K.tolist()}
    write_json(path, {**content, "T_camera_world": cameras.T_camera_world.tolist()})


def load_cameras(path: Path) -> Cameras:
    """Read cameras that `save_cameras` wrote, or another program in the same format.

    Raises:
        UsageError: there is no such file.
        AvatarError: it is not a camera file; the message names what is missing.
    """
    content: Any = read_json(path)
    try:
        K, T = (torch.tensor(content[name], dtype=torch.float32) for name in ("K", "T_camera_world"))
        width, height = int(content["width"]), int(content["height"])
    except (KeyError, TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise AvatarError(
            f"{path} is not a camera file: it needs width, height, K (frames x 3 x 3) and T_camera_world "
            "(frames x 4 x 4)."
        ) from error
    fine = K.dim() == 3 and K.shape[1:] == (3, 3) and T.shape == (len(K), 4, 4)
    if not fine or not len(K) or width < 1 or height < 1 or not (K.isfinite().all() and T.isfinite().all()):
        raise AvatarError(
            f"{path} is not a camera file: K has the shape {tuple(K.shape)} and T_camera_world "
            f"{tuple(T.shape)} for images of {width}x{height}."
        )
    return Cameras(K, T, width, height)
