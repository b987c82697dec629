"""Motions that the timeline can play."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float

from avatar.errors import AvatarError
from avatar.model import Avatar
from avatar.types import BodyPose, BodyTrack

TRAINING = "as filmed"


@dataclass(frozen=True)
class Clip:
    """One motion.

    Attributes:
        poses: one a frame.
        confidence: how far each frame is trusted, in [0, 1]; None where the motion was not estimated.
    """

    name: str
    poses: BodyPose
    fps: float
    confidence: Float[torch.Tensor, " frames"] | None = None

    def __len__(self) -> int:
        return len(self.poses)

    def at(self, frame: float) -> BodyPose:
        """The pose nearest to a place in the motion."""
        return self.poses[min(max(round(frame), 0), len(self) - 1)]


def clip_of_track(name: str, track: BodyTrack) -> Clip:
    """A track as a motion; a frame is trusted as its joints are on average."""
    trusted = track.confidence.mean(1)
    surely = bool((trusted == 1).all())
    return Clip(name, track.poses, track.fps, None if surely and track.cameras is None else trusted)


def motion_clips(folder: Path, avatar: Avatar) -> list[Clip]:
    return []


def builtin_clips(avatar: Avatar) -> list[Clip]:
    return []


def clip_from_upload(name: str, content: bytes, avatar: Avatar) -> Clip:
    raise AvatarError("x")
