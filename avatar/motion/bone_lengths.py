"""Bones of a skeleton, and the proportions of another skeleton learned from where its joints are."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body.skinning import joint_transforms
from avatar.types import BodyPose


def bone_vectors(joints: Float[Tensor, "j 3"], parents: tuple[int, ...]) -> Float[Tensor, "j 3"]:
    """From each joint's parent to the joint; for the root, its place."""
    above = torch.stack([torch.zeros_like(joints[0]) if p < 0 else joints[p] for p in parents])
    return joints - above


def joints_from_bones(bones: Float[Tensor, "j 3"], parents: tuple[int, ...]) -> Float[Tensor, "j 3"]:
    """The inverse of `bone_vectors`."""
    joints: list[Tensor] = []
    for bone, parent in zip(bones, parents, strict=True):
        joints.append(bone if parent < 0 else joints[parent] + bone)
    return torch.stack(joints)


def learn_rest(
    rest_joints: Float[Tensor, "j 3"],
    parents: tuple[int, ...],
    pose: BodyPose,
    targets: Float[Tensor, "t j 3"],
) -> Float[Tensor, "j 3"]:
    """The T-pose of the skeleton that `targets` belong to, from frames in which the body's pose is known.

    Each bone is the mean over the frames of how it lies in its parent's frame, and the root its mean place from
    the body's own root; use it as `source_rest`. NaN targets are left out.
    """
    Ts = joint_transforms(rest_joints, parents, pose)
    found = []
    for joint, parent in enumerate(parents):
        origin = Ts[:, 0, :3, 3] if parent < 0 else targets[:, parent]
        R = Ts[:, max(parent, 0), :3, :3]
        found.append((R.mT @ (targets[:, joint] - origin)[..., None]).squeeze(-1).nanmean(0))
    own = bone_vectors(rest_joints, parents)
    found[0] = found[0] + own[0]
    measured = torch.stack(found)
    return joints_from_bones(torch.where(measured.isnan(), own, measured), parents)
