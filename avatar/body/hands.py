"""The straight hand, which all finger rotations refer to, and how a body whose own hand rests otherwise takes them.

SMPL-H and SMPL-X mean by zero a flat hand: fingers straight and a little above the plane of the palm, the thumb beside
the index. The open body's fingers rest as MakeHuman sculpted them, curled by some 25 degrees.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from avatar.body.skeleton import FINGER_PARENTS
from avatar.geometry import shortest_rotation

RAISED = 10.0  # degrees of a straight finger above the line from wrist to knuckle, whose joint lies deeper in the hand
THUMB_ASIDE = 25.0  # degrees between the straight thumb and the straight index


def straight_turns(wrists: Float[Tensor, "2 3"], fingers: Float[Tensor, "30 3"]) -> Float[Tensor, "30 3 3"]:
    """For each finger bone the rotation, in the axes of the T-pose, from its own rest to the straight hand.

    Args:
        wrists: left and right; fingers: places of the finger joints at rest.
    """
    turns = torch.eye(3, device=wrists.device).repeat(30, 1, 1)
    for side, wrist in enumerate(wrists):
        joints = fingers[15 * side : 15 * side + 15].view(5, 3, 3)
        for finger, straight in enumerate(_straight_directions(wrist, joints, mirrored=side == 1)):
            at = 15 * side + 3 * finger
            bones = joints[finger].diff(dim=0)
            # The last bone has no joint at its end and goes on as the one before it.
            turns[at : at + 2] = shortest_rotation(F.normalize(bones, dim=-1), straight.expand(2, 3))
            turns[at + 2] = turns[at + 1]
    return turns


def _straight_directions(
    wrist: Float[Tensor, "3"], joints: Float[Tensor, "5 3 3"], mirrored: bool
) -> Float[Tensor, "5 3"]:
    """Directions of the straight fingers of one hand, in the order of `FINGER_JOINTS`."""
    along = F.normalize(joints[1, 0] - wrist, dim=-1)
    across = joints[0, 0] - joints[2, 0]  # from the little finger to the index
    up = F.normalize(torch.linalg.cross(across, along), dim=-1) * (-1 if mirrored else 1)
    ahead = torch.linalg.cross(along, up) * (-1 if mirrored else 1)
    flat = joints[:, 2] - joints[:, 0]
    flat = F.normalize(flat - (flat @ up)[:, None] * up, dim=-1)
    index = math.atan2(float(flat[0] @ ahead), float(flat[0] @ along)) + math.radians(THUMB_ASIDE)
    flat[4] = math.cos(index) * along + math.sin(index) * ahead
    raised = math.radians(RAISED)
    return math.cos(raised) * flat + math.sin(raised) * up


def as_rested(fingers: Float[Tensor, "*b 30 3 3"], turns: Float[Tensor, "30 3 3"]) -> Float[Tensor, "*b 30 3 3"]:
    """Finger rotations away from the straight hand -> away from a hand at whose rest each bone still has to turn by
    `turns` to be straight."""
    return _turns_above(turns).mT @ fingers @ turns


def _turns_above(turns: Float[Tensor, "30 3 3"]) -> Float[Tensor, "30 3 3"]:
    """The turn of each finger joint's parent; none for those at the wrist."""
    still = torch.eye(3, device=turns.device, dtype=turns.dtype)
    return torch.stack([still if parent < 0 else turns[parent] for parent in FINGER_PARENTS])
