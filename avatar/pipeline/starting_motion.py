"""The motion of another body fitter, from which the fit of a video starts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from avatar.motion import load_motion
from avatar.pipeline.frame_files import rows_of_frames
from avatar.types import BodyTrack, Observations

MOST_LOST = 0.02  # of the frames: other programs leave some out at the end


def starting_motion(
    file: Path, observations: Observations, video: Path, start: float | None = None, end: float | None = None
) -> BodyTrack:
    """The poses in `file` at the times of the observations.

    The file has one pose for each observation, for each frame of the part of the video from `start` to `end` seconds,
    or for each frame of the whole video.

    Raises:
        UsageError: there is no such file, or it has another number of poses. AvatarError: the file is broken.
    """
    motion = load_motion(file).track
    if len(motion) == len(observations):
        return motion
    what = f"{file} has {len(motion)} poses"
    rows = rows_of_frames(len(motion), observations, what, "--init", video, start, end, MOST_LOST)
    return replace(
        motion, poses=motion.poses[rows], confidence=motion.confidence[rows], times=observations.times,
        instant=torch.arange(len(rows)),
    )  # fmt: skip
