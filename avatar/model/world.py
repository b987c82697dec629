"""All that one image shows: people, each with what they carry, and the scene around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from avatar.model.avatar import Avatar
from avatar.types import BodyPose, Gaussians


@dataclass(frozen=True)
class World:
    """People and the scene around them. The one place where splats of different origin come together.

    Attributes:
        people: avatars, at least one, all on one device; an avatar brings its props along.
        scene: what stands still around them, world, metres, floor at y = 0; None: nothing.
    """

    people: tuple[Avatar, ...]
    scene: Gaussians | None = None

    @property
    def device(self) -> torch.device:
        """The device that holds everything."""
        return self.people[0].device

    def posed(self, poses: Sequence[BodyPose], lit: bool = True) -> Gaussians:
        """The splats of everything, person after person and then the scene.

        Args:
            poses: one per person, unbatched, on any device.
            lit: see `Avatar.pose`; the scene keeps its own colours.
        """
        parts = [person.pose(pose.to(self.device), lit) for person, pose in zip(self.people, poses, strict=True)]
        return Gaussians.cat(parts if self.scene is None else [*parts, self.scene.to(self.device)])
