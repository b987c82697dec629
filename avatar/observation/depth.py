"""The depth images of the frames that are used of a recording with depth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float

from avatar.errors import AvatarError
from avatar.io.depth_recording import DepthVideo, cut_shares
from avatar.io.images import write_depth
from avatar.io.observations_file import image_path
from avatar.io.videos import Video
from avatar.observation.time_spans import spans_in_words
from avatar.runtime.thread_map import map_in_threads
from avatar.types import Cameras


def store_depth(
    recording: DepthVideo, source: Video, times: Float[np.ndarray, " n"], folder: Path
) -> tuple[Cameras | None, list[str]]:
    """Store the depth images of some frames, those that cannot be read as empty ones.

    Args:
        source: the part of the recording's video that is used; times: of the frames in it, seconds.
        folder: of the observations.

    Returns:
        The frames' cameras, where the recording tells them, and notes for the user.

    Raises:
        AvatarError: no depth image can be read.
    """
    cameras = recording.cameras
    indices = source.indices(times).clip(0, None if cameras is None else len(cameras) - 1)
    box = content_shares(source, recording.video)

    def store(position: int) -> AvatarError | None:
        try:
            depth, error = recording.depth(int(indices[position])), None
        except AvatarError as why:
            depth, error = np.zeros((1, 1), np.float32), why
        write_depth(image_path(folder / "depth", position), cut_shares(depth, box))
        return error

    errors = list(map_in_threads(store, range(len(indices))))
    broken = np.array([error is not None for error in errors])
    if cameras is not None:
        cameras = cameras[indices.tolist()]
        if source.content is not None:
            rows, columns = source.content
            cameras = cameras.cropped(columns.start, rows.start, source.width, source.height)
    if not broken.any():
        return cameras, []
    first = next(error for error in errors if error is not None)
    if broken.all():
        raise AvatarError(f"{recording.recording.path}: none of its depth images can be read: {first}")
    note = (
        f"The depth of {broken.sum()} of {len(broken)} frames is missing or broken, {spans_in_words(times, broken)}: "
        "these frames go by their images alone."
    )
    return cameras, [note]


def content_shares(source: Video, whole: Video) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of what is used of a video's images, as shares of their sides."""
    if source.content is None:
        return 0.0, 0.0, 1.0, 1.0
    rows, columns = source.content
    return columns.start / whole.width, rows.start / whole.height, columns.stop / whole.width, rows.stop / whole.height
