"""Motions that the timeline can play."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Float

from avatar.errors import AvatarError
from avatar.model.avatar import Avatar
from avatar.motion.motion import uniform_track
from avatar.types import BodyPose, BodyTrack

TRAINING = "as filmed"
OWN_KINDS = ("pose-", "keyframes-")  # what the viewer's own files in a run begin with
MOTION_SUFFIXES = (".npz", ".pkl", ".pt", ".bvh", ".json", ".smpl", ".glb", ".npy")
MAX_BYTES = 50 * 2**20


@dataclass(frozen=True, eq=False)
class Clip:
    """One motion.

    Attributes:
        name: as the timeline lists it.
        poses: one per frame.
        fps: frames per second.
        confidence: how far each frame is trusted, in [0, 1]; None where the motion was not estimated.
        check: how well it agrees with the joints of its file, in one line; empty where the file has none of its own.
        times: of each frame, seconds from the first; None where they are evenly spaced.
    """

    name: str
    poses: BodyPose
    fps: float
    confidence: Float[torch.Tensor, " frames"] | None = None
    check: str = ""
    times: Float[torch.Tensor, " frames"] | None = None

    def __len__(self) -> int:
        return len(self.poses)

    @property
    def seconds(self) -> list[float]:
        """The time of each frame, from the first one."""
        if self.times is not None:
            return [float(time) for time in self.times]
        return [frame / self.fps for frame in range(len(self))]

    @property
    def filmed(self) -> bool:
        """Whether it was estimated from images, so that its position belongs to the cameras."""
        return self.confidence is not None

    @cached_property
    def even(self) -> Clip:
        """The same motion in evenly spaced frames, for files that know only a rate."""
        from avatar.pipeline.motions import evenly_timed

        if self.times is None:
            return self
        poses = self.poses
        track = uniform_track(poses.rotations, poses.root_position, self.fps, fingers=poses.fingers, face=poses.face)
        return clip_of_track(self.name, evenly_timed(replace(track, times=self.times)))

    @cached_property
    def on_spot(self) -> Clip:
        """The same motion without its path over the floor; motions of a video keep it."""
        if self.filmed:
            return self
        roots = self.poses.root_position.clone()
        roots[:, [0, 2]] = roots[:1, [0, 2]]
        return replace(self, poses=replace(self.poses, root_position=roots))


# A motion, or the function that reads it on first use.
Source = Clip | Callable[[], Clip]


def clip_of_track(name: str, track: BodyTrack) -> Clip:
    """A track as a motion; the confidence of a frame is the mean over its joints."""
    trusted = track.confidence.mean(1)
    surely = bool((trusted == 1).all())
    times = None if track.is_even else track.times - track.times[0]
    return Clip(name, track.poses, track.fps, None if surely and track.cameras is None else trusted, times=times)


def clip_of_file(path: Path, avatar: Avatar) -> Clip:
    """A motion file of any supported format, retargeted to the avatar's body.

    Raises:
        AvatarError: it is broken or its format is not supported.
    """
    from avatar.motion import load_motion
    from avatar.motion.retarget import retarget

    motion = load_motion(path)
    clip = clip_of_track(path.name, retarget(motion, avatar.rest))
    return clip if motion.check is None else replace(clip, check=motion.check.summary)


def clip_of_own_file(path: Path) -> Clip:
    """A motion that the viewer saved for this very body, so it needs no retargeting."""
    from avatar.io.track_file import load_track

    return clip_of_track(path.name, load_track(path))


def file_clips(folder: Path, avatar: Avatar) -> dict[str, Source]:
    """The motion files of a run, each read on first use."""
    paths = sorted(path for path in folder.glob("*") if path.suffix in MOTION_SUFFIXES)
    return {path.name: _reader(path, avatar) for path in paths}


def _reader(path: Path, avatar: Avatar) -> Callable[[], Clip]:
    if path.stem.startswith(OWN_KINDS):
        return lambda: clip_of_own_file(path)
    return lambda: clip_of_file(path, avatar)


def clip_from_upload(name: str, content: bytes, avatar: Avatar) -> Clip:
    """A motion that a browser sent. Its name loses its folders and all unusual characters.

    Raises:
        AvatarError: it is larger than `MAX_BYTES`, broken, or of an unsupported format.
    """
    if len(content) > MAX_BYTES:
        raise AvatarError(f"The file is larger than {MAX_BYTES // 2**20} MB.")
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(name).name)[-60:].lstrip(".-") or "motion"
    if Path(plain).suffix.lower() not in MOTION_SUFFIXES:
        raise AvatarError(f"{plain} is no motion file: they end in {', '.join(MOTION_SUFFIXES)}.")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / plain
        path.write_bytes(content)
        try:
            return clip_of_file(path, avatar)
        except AvatarError as error:
            # The temporary folder means nothing to the user.
            raise AvatarError(str(error).replace(f"{folder}{os.sep}", "")) from error


def builtin_clips(avatar: Avatar) -> dict[str, Source]:
    """The built-in motions, repeated as often as exporters repeat them."""
    from avatar.motion.procedural import BUILTIN
    from avatar.pipeline.motions import builtin_track

    def maker(name: str) -> Callable[[], Clip]:
        return lambda: clip_of_track(name, builtin_track(avatar, name))

    return {name: maker(name) for name in BUILTIN}
