"""`avatar describe`: say in words how somebody stands or moves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro


def describe(
    motion: Annotated[str, tyro.conf.Positional],
    time: float | None = None,
    format: str | None = None,
    up: str | None = None,
    json: bool = False,
) -> None:
    """Say a pose, or the poses of a motion, in the words that `avatar animate --pose` understands.

    Args:
        motion: a motion file of any known kind, a JSON of joint angles, or a built-in motion.
        time: the second to describe; otherwise one line for each second.
        format: the kind of the file, if it is not recognised.
        up: what points up in the file, if it cannot be told: y, z, -y or x.
        json: print the joint angles of the pose (at --time, or the first) as JSON instead.
    """
    from avatar.motion.motion import ReadOptions
    from avatar.motion.retarget import Retargeting, resample
    from avatar.motion.text.describe import describe_pose
    from avatar.motion.text.pose_file import is_pose_file, pose_from_option, pose_to_json
    from avatar.pipeline.motions import find_motion, motion_of_pose

    if is_pose_file(Path(motion)):
        found = motion_of_pose(pose_from_option(motion), seconds=0.0)
    else:
        found = find_motion(motion, ReadOptions(up=up), format)
    last = float(found.track.times[-1])
    start = 0.0 if time is None else time
    track = resample(found.track, Retargeting(fps=1.0, start=start, end=last if time is None else start))
    if json:
        print(pose_to_json(track.poses.rotations[0]))
        return
    for second, rotations in zip(track.times.tolist(), track.poses.rotations, strict=True):
        print(f"{start + second:6.2f} s: {describe_pose(rotations)}" if last > 0 else describe_pose(rotations))
