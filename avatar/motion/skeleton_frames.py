"""From the joint frames of a foreign skeleton to those of ours: one constant rotation per joint.

`G_ours = G_theirs C`: the frames of both skeletons move alike, so C is constant. It follows from the rest pose, or
from joint positions in the frames where the rest pose shows no body.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from avatar.geometry import nearest_rotation, shortest_rotation
from avatar.motion.bone_lengths import bone_length
from avatar.motion.ik import HINGES
from avatar.motion.skeleton_axes import LIMBS, Places, middle, own_limb, top_of_trunk

HINGE_SHARE = 0.1  # weight of the usual axis of a knee or elbow against the normal of the bent limb
STANDING = 0.04  # of the leg, above its lowest place, up to which an ankle belongs to a foot that stands
CONTROL_DEGREES = 40.0  # by which legs and spine together turn back a pelvis that is a control and no bone


def offsets_from_rest(
    rest: Places, rest_rotations: dict[str, Tensor], B: Float[Tensor, "3 3"]
) -> dict[str, Float[Tensor, "3 3"]]:
    """C of each joint, from a rest pose whose axes are `B` (see `rest_axes`).

    Limbs of another rest pose (arms lowered, seated legs) turn to those of our T-pose by the shortest rotation.
    """
    turns = {}
    for joint, end in LIMBS.items():
        if joint in rest and end in rest:
            turns[joint] = shortest_rotation(own_limb(joint), B @ F.normalize(rest[end] - rest[joint], dim=0))
    for side in ("left", "right"):
        if f"{side}_elbow" in turns:
            turns[f"{side}_wrist"] = turns[f"{side}_elbow"]
    eye = torch.eye(3, dtype=B.dtype)
    return {joint: R.T @ B.T @ turns.get(joint, eye) for joint, R in rest_rotations.items()}


def offsets_from_frames(at: Places, rotations: dict[str, Tensor]) -> dict[str, Float[Tensor, "3 3"]]:
    """C of each joint, from where the joints are in the frames: the mean rotation between both skeletons.

    Args:
        at, rotations: places (t, 3) and frames (t, 3, 3) of the joints by SMPL name, in our axes.
    """
    ours = _frames_of_places(at)
    offsets = {joint: nearest_rotation((R.mT @ ours[joint]).mean(0)) for joint, R in rotations.items() if joint in ours}
    return offsets | _offsets_of_feet(at, rotations)


def _frames_of_places(at: Places) -> dict[str, Float[Tensor, "t 3 3"]]:
    """Our joints' frames as their places show them; what they leave open follows the trunk.

    Thighs and upper arms turn about themselves until the knee and the elbow bend about their own axes.
    """
    trunk = F.normalize(top_of_trunk(at) - middle(at, "hip"), dim=-1)
    hips, shoulders = (F.normalize(at[f"left_{part}"] - at[f"right_{part}"], dim=-1) for part in ("hip", "shoulder"))
    x = torch.tensor([1.0, 0.0, 0.0], dtype=trunk.dtype)
    y = torch.tensor([0.0, 1.0, 0.0], dtype=trunk.dtype)
    pelvis, chest = _carry(x, y, hips, trunk), _carry(y, x, trunk, shoulders)
    frames = {
        "pelvis": pelvis, "spine1": nearest_rotation(2 * pelvis + chest),
        "spine2": nearest_rotation(pelvis + 2 * chest), "spine3": chest, "neck": chest, "head": chest,
    }  # fmt: skip
    for side in ("left", "right"):
        frames[f"{side}_collar"] = chest
        for upper, lower, end, above in (("hip", "knee", "ankle", pelvis), ("shoulder", "elbow", "wrist", chest)):
            joint, hinge = f"{side}_{upper}", torch.tensor(HINGES[f"{side}_{lower}"], dtype=trunk.dtype)
            bone = F.normalize(at[f"{side}_{lower}"] - at[joint], dim=-1)
            usual = shortest_rotation(above @ own_limb(joint), bone) @ above @ hinge
            if f"{side}_{end}" not in at:
                frames[joint] = frames[f"{side}_{lower}"] = _carry(own_limb(joint), hinge, bone, usual)
                continue
            below = F.normalize(at[f"{side}_{end}"] - at[f"{side}_{lower}"], dim=-1)
            axis = torch.linalg.cross(bone, below) + HINGE_SHARE * usual
            frames[joint] = _carry(own_limb(joint), hinge, bone, axis)
            frames[f"{side}_{lower}"] = _carry(own_limb(f"{side}_{lower}"), hinge, below, axis)
            frames[f"{side}_{end}"] = frames[f"{side}_{lower}"]
        frames[f"{side}_foot"], frames[f"{side}_hand"] = frames[f"{side}_ankle"], frames[f"{side}_elbow"]
    return frames


def _carry(
    a: Float[Tensor, " 3"], normal_a: Float[Tensor, " 3"], b: Float[Tensor, "t 3"], normal_b: Float[Tensor, "t 3"]
) -> Float[Tensor, "t 3 3"]:
    """The rotation that brings the direction `a` to `b` and, as far as that allows, one normal to the other."""

    def frame(along: Tensor, normal: Tensor) -> Tensor:
        side = F.normalize(torch.linalg.cross(normal, along), dim=-1)
        return torch.stack([along, side, torch.linalg.cross(along, side)], dim=-1)

    R: Tensor = frame(b, normal_b) @ frame(a, normal_a).mT
    return R


def _offsets_of_feet(at: Places, rotations: dict[str, Tensor]) -> dict[str, Float[Tensor, "3 3"]]:
    """C of ankles and toes: a foot is level where its ankle is lowest, and points to its toes.

    Skeletons place ankles and toes at different heights, so the bone between them does not tell.
    """
    leg = bone_length(at, "hip", "knee") + bone_length(at, "knee", "ankle")
    offsets = {}
    for side in ("left", "right"):
        if f"{side}_foot" not in at:
            continue
        ankle = at[f"{side}_ankle"]
        stands = ankle[:, 1] < ankle[:, 1].amin() + STANDING * leg
        toes = (at[f"{side}_foot"] - ankle)[stands]
        forward = F.normalize(toes * torch.tensor([1.0, 0.0, 1.0], dtype=toes.dtype), dim=-1)
        if float((F.normalize(toes, dim=-1) * forward).sum(-1).median()) < 0.5:
            continue  # it hangs, so nothing tells how it would stand
        up = torch.tensor([0.0, 1.0, 0.0], dtype=toes.dtype).expand_as(forward)
        level = torch.stack([torch.linalg.cross(up, forward), up, forward], dim=-1)
        for joint in (f"{side}_ankle", f"{side}_foot"):
            offsets[joint] = nearest_rotation((rotations[joint][stands].mT @ level).mean(0))
    return offsets


def pelvis_of_body(world: dict[str, Float[Tensor, "t 3 3"]]) -> tuple[Float[Tensor, "t 3 3"], float]:
    """The pelvis from the thighs and the lowest of the spine, and the degrees by which all turn back its own bone."""
    spine = next((name for name in ("spine1", "spine2", "spine3", "neck") if name in world), None)
    parts = [world["left_hip"], world["right_hip"]] + ([world[spine]] * 2 if spine else [])
    together = nearest_rotation(torch.stack(parts).mean(0))
    turned = _degrees(world["pelvis"].mT @ together)
    spread = torch.stack([_degrees(together.mT @ part) for part in parts]).mean(0)
    against = float(turned.median())
    if spine is None or against < CONTROL_DEGREES or float(spread.median()) > against / 2:
        return world["pelvis"], 0.0
    up = world[spine][..., 1]
    across = torch.stack([part[..., 0] for part in parts]).mean(0)
    left = F.normalize(across - (across * up).sum(-1, keepdim=True) * up, dim=-1)
    return torch.stack([left, up, torch.linalg.cross(left, up)], dim=-1), against


def align_limbs(world: dict[str, Float[Tensor, "t 3 3"]], at: Places) -> dict[str, Float[Tensor, " t"]]:
    """Turn the limbs of `world` (in place) to where the joints of the file are, by the shortest rotation.

    Joints between two of ours (twist bones, empty joints) may turn a limb that its upper joint does not.

    Returns:
        By how many degrees each limb turned.
    """
    turned = {}
    for joint, end in LIMBS.items():
        if joint in at and end in at:
            bone = at[end] - at[joint]
            ours = world[joint] @ own_limb(joint)
            theirs = torch.where(bone.norm(dim=-1, keepdim=True) > 1e-9, bone, ours)
            R = shortest_rotation(ours, F.normalize(theirs, dim=-1))
            turned[joint] = _degrees(R)
            world[joint] = R @ world[joint]
    return turned


def _degrees(R: Float[Tensor, "*t 3 3"]) -> Float[Tensor, "*t"]:
    # Through the half chord, which is exact for small angles where the arc cosine of the trace is not.
    chord = (R - torch.eye(3, dtype=R.dtype)).square().sum((-1, -2)).div(8).sqrt()
    return 2 * chord.clamp(max=1).asin().rad2deg()
