"""Poses in the terms of the body instead of in rotations: raise an arm, bend a knee, lean, look.

Every function gives the rotations of a few joints for one or many frames; angles are degrees, tensors of one shape
(frames,), and zero is the T-pose unless stated otherwise. `assemble` makes poses of them.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from avatar.body.skeleton import SMPL_JOINTS
from avatar.geometry import rotation_from_rotvec

JointRotations = dict[str, Tensor]
# How much of raising an arm the collar bone takes: about a third above the horizontal (scapulohumeral rhythm).
COLLAR_SHARE = 0.3
SIGNS = {"left": 1.0, "right": -1.0}


def about(axis: str, degrees: Float[Tensor, " t"]) -> Float[Tensor, "t 3 3"]:
    """A rotation about one axis of the T-pose."""
    vector = torch.zeros(*degrees.shape, 3, dtype=degrees.dtype)
    vector[..., "xyz".index(axis)] = degrees.deg2rad()
    return rotation_from_rotvec(vector)


def arm(
    side: str,
    elevation: Float[Tensor, " t"],
    forward: Float[Tensor, " t"],
    bend: Float[Tensor, " t"],
    twist: Float[Tensor, " t"] | None = None,
) -> JointRotations:
    """Collar bone, shoulder and elbow.

    Args:
        side: "left" or "right".
        elevation: of the upper arm: -90 hanging, 0 level, 90 straight up.
        forward: where a level arm points: 0 to the side, 90 to the front, -30 behind.
        bend: of the elbow; in a hanging arm the hand comes forward and up.
        twist: of the upper arm about itself; positive turns the crook of the elbow (and a bent forearm) upwards.
    """
    sign = SIGNS[side]
    up, ahead = elevation.deg2rad(), forward.deg2rad()
    direction = torch.stack([sign * up.cos() * ahead.cos(), up.sin(), up.cos() * ahead.sin()], -1)
    swing = shortest_rotation(torch.tensor([sign, 0.0, 0.0], dtype=direction.dtype), direction)
    if twist is not None:
        swing = swing @ about("x", -twist)
    collar = about("z", sign * COLLAR_SHARE * elevation.clamp(min=-20.0)) @ about(
        "y", -sign * 0.15 * forward.clamp(0, 120)
    )
    return {
        f"{side}_collar": collar,
        f"{side}_shoulder": collar.mT @ swing,
        f"{side}_elbow": about("y", -sign * bend),
    }


def leg(
    side: str,
    raise_: Float[Tensor, " t"],
    spread: Float[Tensor, " t"],
    bend: Float[Tensor, " t"],
    point: Float[Tensor, " t"] | None = None,
    turn_out: Float[Tensor, " t"] | None = None,
) -> JointRotations:
    """Hip, knee and ankle: thigh raised forwards, spread to the side, knee bent, toes pointed, leg turned out."""
    sign = SIGNS[side]
    zero = torch.zeros_like(bend)
    out = zero if turn_out is None else turn_out
    return {
        f"{side}_hip": about("x", -raise_) @ about("z", sign * spread) @ about("y", sign * out),
        f"{side}_knee": about("x", bend),
        f"{side}_ankle": about("x", zero if point is None else point),
    }


def back(lean: Float[Tensor, " t"], left: Float[Tensor, " t"], twist: Float[Tensor, " t"]) -> JointRotations:
    """The spine, bent forwards, to the left and turned to the left, a third in each of its joints."""
    third = about("y", twist / 3) @ about("z", -left / 3) @ about("x", lean / 3)
    return dict.fromkeys(("spine1", "spine2", "spine3"), third)


def gaze(down: Float[Tensor, " t"], left: Float[Tensor, " t"], tilt: Float[Tensor, " t"]) -> JointRotations:
    """Neck and head: nodded down, turned to the left, tilted to the left, half in each."""
    half = about("y", left / 2) @ about("z", -tilt / 2) @ about("x", down / 2)
    return {"neck": half, "head": half}


def hand(side: str, up: Float[Tensor, " t"], palm: Float[Tensor, " t"]) -> JointRotations:
    """The wrist: hand lifted towards its back, and the palm turned from downwards (T-pose) to the front."""
    sign = SIGNS[side]
    return {f"{side}_wrist": about("x", -palm) @ about("z", sign * up)}


def assemble(*parts: JointRotations, root: Float[Tensor, "t 3 3"] | None = None) -> Float[Tensor, "t 24 3 3"]:
    """All 24 rotations; joints without a part stay as in the T-pose; later parts multiply earlier ones."""
    frames = max([len(R) for part in parts for R in part.values()], default=1 if root is None else len(root))
    eye = torch.eye(3)
    joints = {name: eye.expand(frames, 3, 3) for name in SMPL_JOINTS}
    for part in parts:
        for name, R in part.items():
            joints[name] = joints[name] @ R.float()
    if root is not None:
        joints["pelvis"] = root.float()
    return torch.stack([joints[name] for name in SMPL_JOINTS], 1)


def shortest_rotation(a: Float[Tensor, " 3"], b: Float[Tensor, "t 3"]) -> Float[Tensor, "t 3 3"]:
    """The shortest rotation from the unit vector `a` to each of `b`; half turns are about the vertical."""
    axis = torch.linalg.cross(a.expand_as(b), b)
    sine = axis.norm(dim=-1, keepdim=True)
    upright = torch.tensor([0.0, 1.0, 0.0], dtype=b.dtype).expand_as(b)
    axis = torch.where(sine < 1e-6, upright, F.normalize(axis, dim=-1))
    return rotation_from_rotvec(axis * torch.atan2(sine, (b * a).sum(-1, keepdim=True)))
