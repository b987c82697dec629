"""One person's hands: where finger joints and tips stand for given angles, seen from the wrist."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from avatar.body import Body
from avatar.body.hand_angles import finger_rotations
from avatar.body.hands import as_rested

# Where the 21 points of hand networks (wrist, then thumb to little finger, four each from root to tip) stand among
# those of `HandModel.points` (five fingers of four points in SMPL-H's order: index, middle, pinky, ring, thumb).
POINT_ORDER = (4, 0, 1, 3, 2)


@dataclass(frozen=True)
class HandModel:
    """The hands of a shaped body.

    Attributes:
        roots: places of the 30 finger joints at rest, relative to their wrists, metres.
        tips: places of the ten fingertips likewise.
        straight: see `Body.straight_hand`; the identity for hands that rest straight.
    """

    roots: Float[Tensor, "30 3"]
    tips: Float[Tensor, "10 3"]
    straight: Float[Tensor, "30 3 3"]

    @staticmethod
    def of(body: Body, betas: Float[Tensor, " s"]) -> HandModel | None:
        """The hands of a body with this shape; None where it has no fingers."""
        rich = body.with_hands_and_face or body
        if rich.finger_joints.stop == 0:
            return None
        rest = body.rest(betas)
        joints = rich.joint_regressor @ rest.vertices
        fingers = joints[rich.finger_joints]
        wrists = joints[[rich.joint_names.index(f"{side}_wrist") for side in ("left", "right")]]
        straight = rich.straight_hand
        return HandModel(
            roots=fingers - wrists.repeat_interleave(15, 0),
            tips=rest.vertices[fingertips(rich)] - wrists.repeat_interleave(5, 0),
            straight=torch.eye(3).repeat(30, 1, 1) if straight is None else straight,
        )

    def points(self, angles: Float[Tensor, "*b 2 5 4"]) -> Float[Tensor, "*b 2 21 3"]:
        """Wrist and finger points in the order of hand networks, in the wrist's frame, metres."""
        rotations = as_rested(finger_rotations(angles), self.straight.to(angles)).unflatten(-3, (10, 3))
        roots = self.roots.to(angles).view(10, 3, 3)
        ends = torch.cat([roots, self.tips.to(angles)[:, None]], dim=1).diff(dim=1)
        places, turned = [roots[:, 0].expand(*angles.shape[:-3], 10, 3)], rotations[..., 0, :, :]
        for joint in range(3):
            if joint:
                turned = turned @ rotations[..., joint, :, :]
            places.append(places[-1] + (turned @ ends[:, joint, :, None]).squeeze(-1))
        fingers = torch.stack(places, dim=-2).unflatten(-3, (2, 5))[..., list(POINT_ORDER), :, :].flatten(-3, -2)
        return torch.cat([torch.zeros_like(fingers[..., :1, :]), fingers], dim=-2)


def fingertips(body: Body) -> Int[Tensor, " 10"]:
    """The vertex at the end of each finger, in the order of `FINGER_JOINTS`."""
    start = body.finger_joints.start
    joints = body.joint_regressor @ body.template
    tips = []
    for finger in range(10):
        last = start + 3 * finger + 2
        along = F.normalize(joints[last] - joints[last - 1], dim=-1)
        reach = (body.template - joints[last]) @ along
        tips.append(int(torch.where(body.weights[:, last] > 0.5, reach, -1.0).argmax()))
    return torch.tensor(tips)
