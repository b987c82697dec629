"""`avatar describe`: a pose or a motion in words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from avatar.cli.motion_file import AS_RECOGNISED, MotionFile
from avatar.cli.options import Switch
from avatar.errors import UsageError


def describe_motion(
    motion: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MOTION")],
    time: float | None = None,
    find: str | None = None,
    json: Switch = False,
    file: MotionFile = AS_RECOGNISED,
) -> None:
    """Describe a pose, or the poses of a motion, in the words that `avatar animate --pose` understands.

    Args:
        motion: a motion file, a JSON file of joint angles, or a built-in motion.
        time: time to describe, in seconds; otherwise one line per second.
        find: print when this holds instead, such as "left hand above the head", "feet apart" or "both knees bent 90";
            conditions between commas must all hold.
        json: print the joint angles of the pose (at --time, or the first) as JSON instead.
    """
    from avatar.motion.retarget import Retargeting, resample
    from avatar.motion.text.describe import describe_pose
    from avatar.motion.text.find import find_moments, intervals
    from avatar.motion.text.pose_file import is_pose_file, pose_from_option, pose_to_json
    from avatar.pipeline.motions import find_motion, motion_of_pose

    if is_pose_file(Path(motion)):
        source = motion_of_pose(pose_from_option(motion), seconds=0.0)
    else:
        source = find_motion(motion, file.reading(), file.format)
    last = float(source.track.times[-1])
    if time is not None and not 0 <= time <= last:
        raise UsageError(f"--time must be from 0 to {last:.2f} s, where {motion} ends, not {time:g}.")
    if find is not None:
        frames = resample(source.track, Retargeting(fps=30.0))
        moments = intervals(find_moments(frames.poses, find), frames.times)
        for first, end in moments:
            print(f"{first:6.2f} s to {end:6.2f} s")
        if not moments:
            print(f"no moment of {motion}: {find}")
        return
    start = 0.0 if time is None else time
    track = resample(source.track, Retargeting(fps=1.0, start=start, end=last if time is None else start))
    if json:
        print(pose_to_json(track.poses.rotations[0]))
        return
    for second, rotations in zip(track.times.tolist(), track.poses.rotations, strict=True):
        print(f"{start + second:6.2f} s: {describe_pose(rotations)}" if last > 0 else describe_pose(rotations))
