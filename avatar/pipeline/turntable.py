"""The avatar turning once, as a film or a picture that moves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from avatar.io.files import replacing
from avatar.io.images import VideoWriter
from avatar.model.avatar import Avatar
from avatar.pipeline.previews import TURN_FPS, turntable_frames
from avatar.types import BodyPose

WEBP_QUALITY = 80


def write_turntable(avatar: Avatar, pose: BodyPose, path: Path, width: int, height: int, backend: str = "auto") -> None:
    """Write one turn of the avatar in one pose, on white: `.mp4`, `.webm`, `.gif` or `.webp` by the suffix.

    Raises:
        AvatarError: the suffix is none of these, or the file cannot be written.
    """
    frames = turntable_frames(avatar, pose, width, height, backend)
    if path.suffix.lower() == ".webp":
        _write_webp(frames, path)
        return
    with VideoWriter(path, TURN_FPS) as film:
        for frame in frames:
            film.add(frame)


def _write_webp(frames: Iterator[UInt8[np.ndarray, "h w 3"]], path: Path) -> None:
    from PIL import Image

    first, *others = [Image.fromarray(frame) for frame in frames]
    with replacing(path) as temporary:
        first.save(
            temporary, save_all=True, append_images=others, duration=1000 / TURN_FPS, loop=0, quality=WEBP_QUALITY
        )
