"""Poses of made-up people."""

import torch

from avatar.geometry import rotation_from_rotvec
from avatar.types import BodyPose


def turning(count: int) -> BodyPose:
    """A full turn on the spot in `count` poses, arms lowered."""
    rotvec = torch.zeros(count, 24, 3)
    rotvec[:, 0, 1] = torch.linspace(0, 2 * torch.pi, count + 1)[:-1]
    rotvec[:, 16, 2], rotvec[:, 17, 2] = -0.8, 0.8
    return BodyPose(torch.zeros(count, 3), rotation_from_rotvec(rotvec))
