"""Which part of the body each vertex belongs to, for losses and sampling that treat hands and back differently."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

PARTS: tuple[str, ...] = ("torso", "head", "face", "arms", "hands", "legs", "feet")

_PART_OF_JOINT = {
    "head": "head", "jaw": "face", "eye": "face", "shoulder": "arms", "elbow": "arms", "wrist": "hands",
    "hand": "hands", "hip": "legs", "knee": "legs", "ankle": "feet", "foot": "feet",
}  # fmt: skip


def part_of_joint(joint: str) -> str:
    """The part that a joint such as "left_knee" or "right_index2" moves."""
    name = joint.split("_")[-1]
    if name[:-1] in ("index", "middle", "pinky", "ring", "thumb"):
        return "hands"
    return _PART_OF_JOINT.get(name, "torso")


def parts_by_joint(weights: Float[Tensor, "v j"], joint_names: tuple[str, ...]) -> Int[Tensor, " v"]:
    """Index into `PARTS` of each vertex, by the joint that moves it most."""
    of_joint = torch.tensor([PARTS.index(part_of_joint(name)) for name in joint_names], device=weights.device)
    return of_joint[weights.argmax(dim=1)]
