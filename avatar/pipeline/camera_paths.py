"""Cameras around a person: `avatar.rendering.camera_paths` with defaults, for an avatar, its Gaussians or a box."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.model.avatar import Avatar
from avatar.rendering import camera_paths
from avatar.rendering.camera_paths import ELEVATION, FOV
from avatar.types import Cameras, Gaussians

Box = tuple[Float[Tensor, " 3"], Float[Tensor, " 3"]]
FRAMES = 24
WIDTH, HEIGHT = 540, 960


def orbit(
    subject: Avatar | Gaussians | Box,
    frames: int = FRAMES,
    width: int = WIDTH,
    height: int = HEIGHT,
    *,
    turns: float = 1.0,
    azimuth: float = 0.0,
    elevation: float = ELEVATION,
    fov: float = FOV,
) -> Cameras:
    """Cameras on a circle around the subject, far enough to keep all of it in view.

    Args:
        subject: see `box_of`.
        frames: number of cameras; width, height: of their images, pixels.
        turns: full rotations; azimuth, elevation: of the first camera, degrees; azimuth 0 is in front of a person who
            faces +Z, 90 on the person's left. fov: degrees across the longer side of the image.
    """
    low, high = box_of(subject)
    return camera_paths.orbit(low, high, frames, width, height, turns, azimuth, elevation, fov)


def front(
    subject: Avatar | Gaussians | Box,
    frames: int = 1,
    width: int = WIDTH,
    height: int = HEIGHT,
    *,
    azimuth: float = 0.0,
    elevation: float = ELEVATION,
    fov: float = FOV,
) -> Cameras:
    """One standing camera, repeated for `frames` images; the arguments are those of `orbit`."""
    low, high = box_of(subject)
    return camera_paths.front(low, high, frames, width, height, azimuth, elevation, fov)


@torch.no_grad()
def box_of(subject: Avatar | Gaussians | Box) -> Box:
    """Opposite corners of the box that cameras keep in view, metres, world.

    An avatar stands in its T-pose on the floor at the origin, where retargeted motions start; Gaussians are taken
    where they are; a box is a pair of opposite corners.
    """
    if isinstance(subject, Avatar):
        vertices = subject.rest.vertices.detach().cpu()
        pelvis = subject.rest.joints[0].detach().cpu()
        origin = torch.stack([pelvis[0], vertices[:, 1].min(), pelvis[2]])
        return (vertices - origin).amin(0), (vertices - origin).amax(0)
    if isinstance(subject, Gaussians):
        means = subject.means.detach().cpu()
        return means.amin(0), means.amax(0)
    return subject
