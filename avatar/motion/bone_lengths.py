"""Bone vectors of a skeleton, and the proportions of another skeleton estimated from its joint positions."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body.skinning import joint_transforms
from avatar.types import BodyPose


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


def learn_rest(
    rest_joints: Float[Tensor, "j 3"],
    parents: tuple[int, ...],
    pose: BodyPose,
    targets: Float[Tensor, "t j 3"],
) -> Float[Tensor, "j 3"]:
    """The T-pose of the skeleton that `targets` belong to, from frames with a given body pose.

    Each bone is the mean over the frames of its vector in the parent's frame; the root is the mean offset from the
    body's own root. Use the result as `source_rest`. NaN targets are ignored.
    """
    Ts = joint_transforms(rest_joints, parents, pose)
    bones = []
    for joint, parent in enumerate(parents):
        origin = Ts[:, 0, :3, 3] if parent < 0 else targets[:, parent]
        R = Ts[:, max(parent, 0), :3, :3]
        bones.append((R.mT @ (targets[:, joint] - origin)[..., None]).squeeze(-1).nanmean(0))
    own = bone_vectors(rest_joints, parents)
    bones[0] = bones[0] + own[0]
    measured = torch.stack(bones)
    return joints_from_bones(torch.where(measured.isnan(), own, measured), parents)
