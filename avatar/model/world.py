"""All that one image shows: people, each with what they carry, and the scene around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from avatar.geometry import invert_rigid, transform
from avatar.model.avatar import Avatar
from avatar.types import BodyPose, Cameras, Gaussians

BEFORE = 0.2  # metres before the people that stay when a scene is cut open
FLOOR = 0.1  # metres above the ground up to which all of it stays


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

    def posed(self, poses: Sequence[BodyPose], lit: bool = True, seen_from: Cameras | None = None) -> Gaussians:
        """The splats of everything, person after person and then the scene.

        Args:
            poses: one per person, unbatched, on any device.
            lit: see `Avatar.pose`; the scene keeps its own colours.
            seen_from: the camera of a video, for which walls before the people are cut away; see `cut_open`.
        """
        pairs = zip(self.people, poses, strict=True)
        people = Gaussians.cat([person.pose(pose.to(self.device), lit) for person, pose in pairs])
        if self.scene is None:
            return people
        scene = self.scene.to(self.device)
        return Gaussians.cat([people, scene if seen_from is None else cut_open(scene, people, seen_from)])


def cut_open(scene: Gaussians, people: Gaussians, camera: Cameras) -> Gaussians:
    """The scene without what would hide the people from a camera that stands outside of it, as behind a wall.

    The floor stays, and so does everything for a camera inside.

    Args:
        camera: one, on the device of the Gaussians.
    """
    T = camera.T_camera_world[0]
    eye = invert_rigid(T)[:3, 3]
    low, high = scene.inner_box
    if bool(((eye > low) & (eye < high)).all()):
        return scene
    nearest = transform(T, people.means)[:, 2].min()
    kept = (transform(T, scene.means)[:, 2] > nearest - BEFORE) | (scene.means[:, 1] < FLOOR)
    return Gaussians(*(getattr(scene, name)[kept] for name in scene.__dataclass_fields__))
