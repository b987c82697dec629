"""The joints of our T-pose, their bone vectors, and both scaled to the bones of somebody else."""

from __future__ import annotations

from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body import load_body
from avatar.body.skeleton import SMPL_JOINTS, SMPL_PARENTS
from avatar.motion.motion import MEAN_LEG


def bone_vectors(joints: Float[Tensor, "j 3"], parents: tuple[int, ...]) -> Float[Tensor, "j 3"]:
    """The vector from each joint's parent to the joint; for the root, its position."""
    above = torch.stack([torch.zeros_like(joints[0]) if p < 0 else joints[p] for p in parents])
    return joints - above


def joints_from_bones(bones: Float[Tensor, "j 3"], parents: tuple[int, ...]) -> Float[Tensor, "j 3"]:
    """The inverse of `bone_vectors`."""
    joints: list[Tensor] = []
    for bone, parent in zip(bones, parents, strict=True):
        joints.append(bone if parent < 0 else joints[parent] + bone)
    return torch.stack(joints)


@cache
def model_rest() -> Float[Tensor, "24 3"]:
    """The joints of our T-pose: those of the open body's mean shape, metres."""
    body = load_body("open")
    return body.rest(torch.zeros(body.shape_dirs.shape[-1])).smpl_joints.double()


def leg_length(rest_joints: Float[Tensor, "j 3"]) -> float:
    """Mean length from hip over knee to ankle, metres."""
    hip, knee, ankle = (
        rest_joints[[SMPL_JOINTS.index(f"{s}_{n}") for s in ("left", "right")]] for n in ("hip", "knee", "ankle")
    )
    return float(((hip - knee).norm(dim=-1) + (knee - ankle).norm(dim=-1)).mean())


def bone_length(at: dict[str, Tensor], a: str, b: str) -> float:
    """Median distance of two parts of a limb ("hip", "knee") over both sides and all frames."""
    sides = [(at[f"{s}_{a}"] - at[f"{s}_{b}"]).norm(dim=-1) for s in ("left", "right") if f"{s}_{b}" in at]
    return float(torch.cat(sides).median())


def sized_rest(at: dict[str, Tensor]) -> Float[Tensor, "24 3"]:
    """Our T-pose with the limbs, hips, torso and shoulders scaled to the joints `at`, by SMPL name.

    Otherwise the spine would bend to fit a torso that is longer or shorter than ours.
    """
    own = model_rest()
    by_name = {name: own[index][None] for index, name in enumerate(SMPL_JOINTS)}
    leg = MEAN_LEG / leg_length(own)

    def middle(where: dict[str, Tensor], part: str) -> Tensor:
        return (where[f"left_{part}"] + where[f"right_{part}"]) / 2

    def width(where: dict[str, Tensor], part: str) -> float:
        return float((where[f"left_{part}"] - where[f"right_{part}"]).norm(dim=-1).median())

    def torso(where: dict[str, Tensor]) -> float:
        # A bent back is shorter than the spine, so a high quantile is used.
        return float((middle(where, "shoulder") - middle(where, "hip")).norm(dim=-1).quantile(0.9))

    factors = dict.fromkeys(SMPL_JOINTS, leg)
    for joint, a, b in (
        ("knee", "hip", "knee"),
        ("ankle", "knee", "ankle"),
        ("elbow", "shoulder", "elbow"),
        ("wrist", "elbow", "wrist"),
    ):
        for side in ("left", "right"):
            if f"{side}_{b}" in at:
                factors[f"{side}_{joint}"] = bone_length(at, a, b) / bone_length(by_name, a, b)
    for side in ("left", "right"):
        factors[f"{side}_hip"] = width(at, "hip") / width(by_name, "hip")
        factors[f"{side}_collar"] = factors[f"{side}_shoulder"] = width(at, "shoulder") / width(by_name, "shoulder")
    for name in ("spine1", "spine2", "spine3", "neck", "head"):
        factors[name] = torso(at) / torso(by_name)
    scale = torch.tensor([min(max(factors[name], 0.3), 3.0) for name in SMPL_JOINTS], dtype=own.dtype)
    return joints_from_bones(bone_vectors(own, SMPL_PARENTS) * scale[:, None], SMPL_PARENTS)
