"""Joint positions of a rest pose <-> bone vectors, whose lengths can be scaled."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


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
