"""Coordinates on the body's surface, part by part, as DensePose has them (Güler et al. 2018), with charts of our own.

A part is what one of SMPL's 24 joints moves most. On it, V runs along the bone from 0 to 1, and U once around it, from
the direction that faces backwards at rest (downwards for feet, whose bone points forward). The body's vertices set the
charts, so that all avatars of one body have the same ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from avatar.body.model import Body, RestBody
from avatar.body.skeleton import SMPL_JOINTS, SMPL_PARENTS

UPRIGHT = ("pelvis", "spine1", "spine2", "spine3", "neck", "head")  # whose charts run straight up
ENDS = ("hand", "foot", "head")  # joints without a child; they go on as the bone before


@dataclass(frozen=True)
class SurfaceCharts:
    """The charts of a body at rest, one for each of SMPL's 24 joints.

    Attributes:
        origins: in the middle of each part, metres.
        bones, backs: unit vectors along it and to where U begins.
        low, high: where along the bone V is 0 and 1, metres from the origin.
    """

    origins: Float[Tensor, "24 3"]
    bones: Float[Tensor, "24 3"]
    backs: Float[Tensor, "24 3"]
    low: Float[Tensor, " 24"]
    high: Float[Tensor, " 24"]

    def at(self, points: Float[Tensor, "k 3"], parts: Int[Tensor, " k"]) -> Float[Tensor, "k 2"]:
        """U and V in [0, 1] of points of the surface at rest that belong to these parts."""
        local, bones, backs = points - self.origins[parts], self.bones[parts], self.backs[parts]
        along = (local * bones).sum(-1)
        angle = torch.atan2((local * torch.linalg.cross(bones, backs)).sum(-1), (local * backs).sum(-1))
        span = (self.high - self.low).clamp_min(1e-6)[parts]
        return torch.stack([angle / (2 * math.pi) % 1.0, ((along - self.low[parts]) / span).clamp(0, 1)], -1)


def surface_charts(body: Body, rest: RestBody) -> SurfaceCharts:
    """The charts of a body at rest, on the CPU."""
    vertices, joints = rest.vertices.cpu(), rest.smpl_joints.cpu()
    parts = parts_of(body, body.weights.cpu())
    bones = torch.stack([_bone(name, part, joints) for part, name in enumerate(SMPL_JOINTS)])
    backs = torch.stack([_back(bone) for bone in bones])
    origins, low, high = joints.clone(), torch.zeros(len(bones)), torch.ones(len(bones))
    for part, bone in enumerate(bones):
        mine = vertices[parts == part]
        if len(mine):
            origins[part] = mine.mean(0)
            along = (mine - origins[part]) @ bone
            low[part], high[part] = along.min(), along.max()
    return SurfaceCharts(origins, bones, backs, low, high)


def parts_of(body: Body, weights: Float[Tensor, "k joints"]) -> Int[Tensor, " k"]:
    """Index into SMPL's joints of the one that moves points of these skinning weights most.

    Fingers belong to the hand, the jaw to the head.
    """
    of_joint: list[int] = []
    for index, name in enumerate(body.joint_names):
        of_joint.append(SMPL_JOINTS.index(name) if name in SMPL_JOINTS else of_joint[body.parents[index]])
    return torch.tensor(of_joint)[weights.argmax(1)]


def _bone(name: str, part: int, joints: Float[Tensor, "24 3"]) -> Float[Tensor, " 3"]:
    """Unit vector along a part at rest."""
    if name in UPRIGHT:
        return torch.tensor([0.0, 1.0, 0.0])
    children = [child for child, parent in enumerate(SMPL_PARENTS) if parent == part]
    start, end = (SMPL_PARENTS[part], part) if name.endswith(ENDS) else (part, children[0])
    return F.normalize(joints[end] - joints[start], dim=0)


def _back(bone: Float[Tensor, " 3"]) -> Float[Tensor, " 3"]:
    """The direction across a bone that faces backwards, or downwards for a bone that points forward."""
    back = torch.tensor([0.0, 0.0, -1.0]) if abs(float(bone[2])) < 0.7 else torch.tensor([0.0, -1.0, 0.0])
    return F.normalize(back - (back @ bone) * bone, dim=0)
