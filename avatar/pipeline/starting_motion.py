"""The motion of another body fitter, from which the fit of a video starts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from avatar.errors import UsageError
from avatar.io.videos import open_video
from avatar.motion import load_motion
from avatar.motion.retarget import at_times
from avatar.types import BodyTrack, Observations

MOST_FRAMES_OFF = 0.02  # difference of the numbers of frames that cuts at an end explain, as a share


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
    whole = open_video(video)
    part = whole if start is None and end is None else whole.part(start or 0.0, end)
    for source, offset in ((part, 0.0), (whole, start or 0.0)):
        frames = source.expected_frames
        if frames is not None and abs(len(motion) - frames) <= max(2.0, MOST_FRAMES_OFF * frames):
            timed = replace(motion, times=torch.arange(len(motion)) / source.fps)
            poses, confidence = at_times(timed, observations.times.double() + offset)
            count = torch.arange(len(observations))
            return replace(timed, poses=poses, confidence=confidence, times=observations.times, instant=count)
    raise UsageError(
        f"{file} has {len(motion)} poses, and the video has {part.expected_frames or 'an unknown number of'} frames: "
        "the motion to start from needs one pose for each frame."
    )
