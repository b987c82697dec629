"""Fingers as anatomy has them: spread and bend of each, with ranges, and the hand at rest.

Four angles describe a finger: how far it spreads towards the thumb's side, and how far its three joints bend towards
the palm; zero is the straight hand (`avatar.body.hands`). The thumb's spread lifts it away from the palm, and its
joints bend across the palm.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.geometry import rotation_from_rotvec

# Directions of the open body's straight fingers in the plane of the palm: degrees from the arm's own direction towards
# the front, in the order of `avatar.body.skeleton.FINGER_JOINTS` (index, middle, pinky, ring, thumb).
AIMS = (-2.0, -16.0, -34.0, -26.0, 22.0)
# Degrees that hands reach without force; least, at rest, most. Rows are spread, knuckle, middle and tip.
_FINGER = ((-20.0, 0.0, 20.0), (-25.0, 22.0, 95.0), (-5.0, 28.0, 115.0), (-5.0, 15.0, 80.0))
_THUMB = ((-30.0, 25.0, 65.0), (-40.0, 18.0, 60.0), (-15.0, 12.0, 60.0), (-20.0, 15.0, 85.0))


def angle_ranges() -> Float[Tensor, "3 5 4"]:
    """Least angle, angle at rest and greatest angle of each finger, radians; the same for both hands."""
    table = torch.tensor([_FINGER] * 4 + [_THUMB])
    table[:4, 1, 1] += torch.tensor([-6.0, 0.0, 8.0, 4.0])  # at rest the little finger bends most
    return table.permute(2, 0, 1).deg2rad()


def finger_rotations(angles: Float[Tensor, "*b 2 5 4"]) -> Float[Tensor, "*b 30 3 3"]:
    """Rotations for `BodyPose.fingers` from the angles of both hands, left first, radians."""
    spread, bend = _axes(angles)
    rotvec = angles[..., 1:, None] * bend[:, None]
    turns = rotation_from_rotvec(rotvec)
    knuckles = rotation_from_rotvec(angles[..., :1] * spread) @ turns[..., 0, :, :]
    left = torch.cat([knuckles[..., None, :, :], turns[..., 1:, :, :]], dim=-3)
    # Mirroring at the plane x = 0 keeps turns about x and flips those about y and z.
    flip = torch.diag(torch.tensor([-1.0, 1.0, 1.0])).to(left)
    right = flip @ left[..., 1, :, :, :, :] @ flip
    return torch.stack([left[..., 0, :, :, :, :], right], dim=-5).flatten(-5, -3)


def relaxed_fingers() -> Float[Tensor, "30 3 3"]:
    """Both hands at rest."""
    return finger_rotations(angle_ranges()[1].expand(2, 5, 4))


def _axes(like: Tensor) -> tuple[Float[Tensor, "5 3"], Float[Tensor, "5 3"]]:
    """Axes of the left fingers' spreading and bending."""
    aim = [math.radians(angle) for angle in AIMS]
    spread = [(0.0, -1.0, 0.0)] * 4
    bend = [(math.sin(a), 0.0, -math.cos(a)) for a in aim[:4]]
    # The thumb bends down and towards the index at once, and spreads down and forwards.
    sine, cosine, half = math.sin(aim[4]), math.cos(aim[4]), math.sqrt(0.5)
    spread.append((half * sine, -half, -half * cosine))
    bend.append((half * sine, half, -half * cosine))
    return like.new_tensor(spread), like.new_tensor(bend)
