"""Which motions go into an export: the filmed one, built-in ones, and files."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import torch

from avatar.errors import UsageError
from avatar.io.track_file import load_track
from avatar.model.avatar import Avatar
from avatar.motion import load_motion
from avatar.motion.procedural import BUILTIN, builtin_motion
from avatar.motion.retarget import Retargeting, retarget
from avatar.motion.skeletons import leg_length
from avatar.pipeline.run_folder import RunFolder
from avatar.types import BodyPose, BodyTrack

FILMED = "filmed"
# What a page plays if nobody says: the filmed motion first, then these.
FOR_PAGES = ("wave", "walk", "squat", "dance", "jumping-jack")
FPS = 30.0
# A step or a jump alone is over before one has seen it.
SHORTEST = 3.0


def motion_by_name(run: RunFolder, avatar: Avatar, name: str) -> BodyTrack:
    """A motion for this avatar: "filmed", the name of a built-in one, or the path of a motion file.

    Raises:
        UsageError: there is no such motion or file, or the run holds no filmed motion.
        AvatarError: the file is broken.
    """
    if name == FILMED:
        track = load_track(run.track)
        # A body that was given longer legs stands higher, and steps farther.
        legs = leg_length(avatar.rest.joints) / leg_length(avatar.body.rest(track.betas.to(avatar.device)).joints)
        return replace(track, cameras=None, poses=replace(track.poses, root_position=track.poses.root_position * legs))
    if name in BUILTIN:
        return builtin_track(avatar, name)
    path = Path(name)
    if not path.is_file():
        raise UsageError(f"There is no motion {name!r}: give {FILMED}, {', '.join(BUILTIN)}, or the path of a file.")
    return retarget(load_motion(path), avatar.rest, Retargeting(fps=FPS))


def builtin_track(avatar: Avatar, name: str) -> BodyTrack:
    """A built-in motion for this avatar, repeated until it lasts some seconds."""
    motion = builtin_motion(name)
    rounds = math.ceil(SHORTEST / max(float(motion.track.times[-1]), 1 / FPS))
    return retarget(motion, avatar.rest, Retargeting(fps=FPS, loop=rounds))


def motions_for_page(run: RunFolder, avatar: Avatar, names: tuple[str, ...]) -> dict[str, BodyTrack]:
    """The named motions, or the filmed one and some built-in ones, by the names that the page shows."""
    if not names:
        names = ((FILMED,) if run.track.is_file() else ()) + FOR_PAGES
    return {_shown(name): motion_by_name(run, avatar, name) for name in names}


def _shown(name: str) -> str:
    if name == FILMED:
        return "as filmed"
    return name.replace("-", " ") if name in BUILTIN else Path(name).stem


def pose_by_name(run: RunFolder, avatar: Avatar, name: str) -> BodyPose:
    """One pose: "rest" (the T-pose on the body's own place), or MOTION:FRAME, such as "walk:12".

    Raises:
        UsageError: there is no such motion or frame.
    """
    if name == "rest":
        return BodyPose(avatar.rest.joints[0], torch.eye(3).expand(24, 3, 3))
    motion, _, frame = name.rpartition(":") if ":" in name else (name, "", "0")
    track = motion_by_name(run, avatar, motion)
    if not frame.isdigit() or int(frame) >= len(track):
        raise UsageError(f"--pose {name}: {motion} has the frames 0 to {len(track) - 1}, not {frame!r}.")
    return track.poses[int(frame)]
