"""What a user gives for each frame of a video, such as a camera: which of it belongs to which frame that is used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from avatar.errors import UsageError
from avatar.io.videos import open_video
from avatar.types import Observations

MOST_OFF = 2  # frames: the length that a video states is rounded


def rows_of_frames(
    count: int,
    observations: Observations,
    what: str,
    option: str,
    video: Path | None = None,
    start: float | None = None,
    end: float | None = None,
    lost: float = 0.0,
) -> list[int]:
    """Which of `count` rows belongs to each frame that is used.

    There is one row for each of these frames, for each frame of the whole video, or for each frame of its part.

    Args:
        what, option: for the message: "FILE has 3 cameras", "--camera".
        video: by default the source of the observations.
        start, end: the part of the video that was observed, seconds.
        lost: share of the frames that may be missing at the end.

    Raises:
        UsageError: there is another number of rows.
    """
    if count == len(observations):
        return list(range(count))
    source = video or Path(observations.source)
    whole = open_video(source) if source.is_file() else None
    times = observations.times.double().numpy()
    if whole is not None:
        if (start, end) != (None, None) and _holds(whole.part(start or 0.0, end).expected_frames, count, lost):
            return _rows(np.rint(times * whole.fps), count)
        if _holds(whole.expected_frames, count, lost):
            first = observations.start if start is None else start
            return _rows(replace(whole, start=first).indices(times), count)
    frames = None if whole is None else whole.expected_frames
    of_video = "" if frames is None else f" of the video's {frames}"
    raise UsageError(
        f"{what}, but {len(observations)} frames{of_video} are used: {option} needs one per frame that is used, or one "
        "per frame of the video."
    )


def _holds(frames: int | None, count: int, lost: float) -> bool:
    return frames is not None and abs(frames - count) <= max(MOST_OFF, lost * frames)


def _rows(indices: np.ndarray, count: int) -> list[int]:
    rows: list[int] = indices.astype(int).clip(0, count - 1).tolist()
    return rows
