"""Loose clothes and hair swing in the viewer as in videos: the swing of each motion, frame by frame as it is shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.model.avatar import Avatar
from avatar.model.spring_motion import swings
from avatar.types import BodyPose
from avatar.viewer.clips import Clip


@dataclass
class _Course:
    """The swing in the frames of a motion so far, and in those to come."""

    coming: Iterator[Float[Tensor, "nodes 3 3"]]
    known: list[Float[Tensor, "nodes 3 3"]] = field(default_factory=list)

    def at(self, frame: int) -> Float[Tensor, "nodes 3 3"]:
        while len(self.known) <= frame:
            self.known.append(next(self.coming))
        return self.known[frame]


class Swings:
    """What hangs loose on one avatar, in its motions and in single poses.

    A motion is simulated once, from its first frame to the last one that was asked for. So a frame looks the same
    however one comes to it, and a motion that plays costs one step per frame. Not for several threads at once.
    """

    def __init__(self, avatar: Avatar) -> None:
        self.avatar = avatar
        self._courses: WeakKeyDictionary[Clip, _Course] = WeakKeyDictionary()

    def clear(self) -> None:
        """Forget everything: the avatar has another shape, or holds other things."""
        self._courses.clear()

    def in_frame(self, clip: Clip, frame: int, pose: BodyPose) -> BodyPose:
        """The pose of a frame with what swings; the very same pose if nothing does.

        Args:
            clip: the motion along its path; pose: of the frame, maybe elsewhere.
        """
        if self.avatar.springs is None:
            return pose
        course = self._courses.get(clip)
        if course is None:
            course = self._courses.setdefault(clip, _Course(swings(clip.poses, clip.seconds, self.avatar)))
        return replace(pose, swing=course.at(frame))

    def in_rest(self, pose: BodyPose) -> BodyPose:
        """A pose of no motion, in which everything has come to rest; the very same pose if nothing hangs loose."""
        if self.avatar.springs is None:
            return pose
        return replace(pose, swing=next(swings(pose[None], [0.0], self.avatar)))

    def throughout(self, clip: Clip) -> Clip:
        """A whole motion with what swings; the same motion if nothing does."""
        if self.avatar.springs is None:
            return clip
        swing = torch.stack(list(swings(clip.poses, clip.seconds, self.avatar)))
        return replace(clip, poses=replace(clip.poses, swing=swing))
