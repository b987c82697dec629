"""Coordinates on the body's surface, part by part, as DensePose has them (Güler et al. 2018), with charts of our own.

A part is what one of SMPL's 24 joints moves most. On it, V runs along the bone from 0 to 1, and U once around it, from
the direction that faces backwards at rest (downwards for feet, whose bone points forward).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatar.body.skeleton import SMPL_JOINTS, SMPL_PARENTS
from avatar.model.avatar import Avatar

UPRIGHT = ("pelvis", "spine1", "spine2", "spine3", "neck", "head")  # whose charts run straight up
ENDS = ("hand", "foot", "head")  # joints without a child; they go on as the bone before


@dataclass(frozen=True)
class Charts:
    """Part, coordinates and garment of each of an avatar's splats.

    Attributes:
        parts: index into SMPL's joints; chart: U and V in [0, 1].
        garments: index into `avatar.model.garments.GARMENTS`; None where nobody asks for them.
    """

    parts: Int[Tensor, " n"]
    chart: Float[Tensor, "n 2"]
    garments: Int[Tensor, " n"] | None = None

    def at(self, splats: Int[Tensor, " k"]) -> tuple[Int[Tensor, " k"], Float[Tensor, "k 2"], Int[Tensor, " k"]]:
        """1 + part, coordinates, and 1 + garment of splats by index; 0 for those beyond the avatar's own: props."""
        own = splats < len(self.parts)
        index = splats.clamp(max=len(self.parts) - 1)
        parts, chart = torch.where(own, self.parts[index] + 1, 0), torch.where(own[:, None], self.chart[index], 0.0)
        garments = torch.zeros_like(parts) if self.garments is None else self.garments[index] + 1
        return parts, chart, torch.where(own, garments, 0)


@torch.no_grad()
def surface_charts(avatar: Avatar, garments: Int[Tensor, " n"] | None = None) -> Charts:
    """The charts of an avatar's splats, from its body at rest, with the garments that they belong to."""
    points = avatar.surface.anchors.cpu()
    parts = _smpl_of_joint(avatar)[avatar.weights.argmax(1).cpu()]
    joints = avatar.rest.smpl_joints.cpu()
    chart = torch.zeros(len(points), 2)
    for part, name in enumerate(SMPL_JOINTS):
        mine = parts == part
        if bool(mine.any()):
            chart[mine] = _chart(points[mine], joints[part], _bone(name, part, joints))
    return Charts(parts, chart, garments)


def _smpl_of_joint(avatar: Avatar) -> Int[Tensor, " joints"]:
    """For each joint of the body the SMPL joint that it is or belongs to: fingers to the hand, the jaw to the head."""
    body = avatar.body
    of_joint: list[int] = []
    for index, name in enumerate(body.joint_names):
        if name in SMPL_JOINTS:
            of_joint.append(SMPL_JOINTS.index(name))
        else:
            of_joint.append(of_joint[body.parents[index]])
    return torch.tensor(of_joint)


def _bone(name: str, part: int, joints: Float[Tensor, "24 3"]) -> Float[Tensor, " 3"]:
    """Unit vector along a part at rest."""
    if name in UPRIGHT:
        return torch.tensor([0.0, 1.0, 0.0])
    children = [child for child, parent in enumerate(SMPL_PARENTS) if parent == part]
    start, end = (SMPL_PARENTS[part], part) if name.endswith(ENDS) else (part, children[0])
    return torch.nn.functional.normalize(joints[end] - joints[start], dim=0)


def _chart(points: Float[Tensor, "k 3"], joint: Float[Tensor, " 3"], bone: Float[Tensor, " 3"]) -> Float[Tensor, "k 2"]:
    back = torch.tensor([0.0, 0.0, -1.0]) if abs(float(bone[2])) < 0.7 else torch.tensor([0.0, -1.0, 0.0])
    back = torch.nn.functional.normalize(back - (back @ bone) * bone, dim=0)
    side = torch.linalg.cross(bone, back)
    local = points - joint
    along = local @ bone
    low, high = along.min(), along.max()
    across = local - along[:, None] * bone
    middle = across.mean(0)
    angle = torch.atan2((across - middle) @ side, (across - middle) @ back)
    return torch.stack([angle / (2 * math.pi) % 1.0, (along - low) / (high - low).clamp_min(1e-6)], 1)
