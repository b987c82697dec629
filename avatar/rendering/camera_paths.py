"""Cameras that show a person: fixed in front, on an orbit, or following a path.

All take the box (`low`, `high`: opposite corners, metres, world) that must stay in view. Angles are in degrees;
azimuth 0 stands in front of a person who faces +Z, 90 sees the left side.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from avatar.geometry import invert_rigid, rigid
from avatar.types import Cameras

FOV = 35.0  # across the longer side of the image, as a phone at twice its widest
ELEVATION = 5.0
MARGIN = 0.06  # of the image's half size, left free on each side


def intrinsics(width: int, height: int, fov: float = FOV) -> Float[Tensor, "3 3"]:
    """A centred pinhole with square pixels that sees `fov` degrees across the longer side of the image."""
    focal = max(width, height) / 2 / math.tan(math.radians(fov) / 2)
    return torch.tensor([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])


def look_at(eye: Float[Tensor, "*b 3"], target: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 4 4"]:
    """World-to-camera transforms of upright cameras at `eye` with `target` in the middle of the image."""
    forward = F.normalize(target - eye, dim=-1)
    down = torch.tensor([0.0, -1.0, 0.0], dtype=eye.dtype).expand_as(forward)
    right = F.normalize(torch.linalg.cross(down, forward), dim=-1)
    R_world_camera = torch.stack([right, torch.linalg.cross(forward, right), forward], dim=-1)
    return invert_rigid(rigid(R_world_camera, eye))


def front(
    low: Float[Tensor, " 3"],
    high: Float[Tensor, " 3"],
    frames: int,
    width: int,
    height: int,
    azimuth: float = 0.0,
    elevation: float = ELEVATION,
    fov: float = FOV,
) -> Cameras:
    """A fixed camera from which the whole box is in view."""
    azimuths = torch.full((frames,), azimuth)
    return _around((low + high).expand(frames, 3) / 2, low, high, azimuths, width, height, elevation, fov)


def orbit(
    low: Float[Tensor, " 3"],
    high: Float[Tensor, " 3"],
    frames: int,
    width: int,
    height: int,
    turns: float = 1.0,
    azimuth: float = 0.0,
    elevation: float = ELEVATION,
    fov: float = FOV,
) -> Cameras:
    """Cameras going round the box at one distance; whole `turns` make a video that loops without a jump."""
    azimuths = azimuth + 360 * turns * torch.arange(frames) / max(frames, 1)
    return _around((low + high).expand(frames, 3) / 2, low, high, azimuths, width, height, elevation, fov)


def follow(
    path: Float[Tensor, "frames 3"],
    low: Float[Tensor, " 3"],
    high: Float[Tensor, " 3"],
    width: int,
    height: int,
    azimuth: float = 0.0,
    elevation: float = ELEVATION,
    fov: float = FOV,
) -> Cameras:
    """Cameras that travel along `path` and keep the box, given relative to the path, in view.

    The path should be smooth already, and level where the person jumps, or the video shakes.
    """
    azimuths = torch.full((len(path),), azimuth)
    return _around(path + (low + high) / 2, low, high, azimuths, width, height, elevation, fov)


def _around(
    centers: Float[Tensor, "frames 3"],
    low: Float[Tensor, " 3"],
    high: Float[Tensor, " 3"],
    azimuths: Float[Tensor, " frames"],
    width: int,
    height: int,
    elevation: float,
    fov: float,
) -> Cameras:
    """Cameras looking at `centers` from the given azimuths, far enough to see the box everywhere."""
    K = intrinsics(width, height, fov)
    turn, tilt = azimuths.deg2rad(), math.radians(elevation)
    away = torch.stack(
        [turn.sin() * math.cos(tilt), torch.full_like(turn, math.sin(tilt)), turn.cos() * math.cos(tilt)], -1
    )
    corners = torch.cartesian_prod(*((high - low)[:, None] / 2 * torch.tensor([-1.0, 1.0])))
    R = look_at(away, torch.zeros_like(away))[:, :3, :3]
    x, y, z = (R @ corners.T).unbind(-2)
    # A corner at (x, y, z + distance) lies in the image when |x| / (z + distance) is below the half width.
    wide = K[0, 0] * x.abs() / (width / 2 * (1 - MARGIN)) - z
    tall = K[1, 1] * y.abs() / (height / 2 * (1 - MARGIN)) - z
    distance = float(torch.maximum(wide, tall).max())
    T_camera_world = look_at(centers + distance * away, centers)
    return Cameras(K.expand(len(centers), 3, 3).clone(), T_camera_world, width, height)
