"""What the joints of a posed body do to what rides on them."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body.skinning import ancestry, parent_indices, skinning_transforms
from avatar.geometry import quat_from_rotation
from avatar.types import BodyPose


def joint_transforms_and_quats(
    rest_joints: Float[Tensor, "joints 3"], parents: tuple[int, ...], pose: BodyPose
) -> Float[Tensor, "joints 16"]:
    """What each joint does to what is at rest: the 3x4 transform of points, row by row, and its rotation's quaternion.

    Quaternions (wxyz) are of the sign that agrees with the parent joint's, so that no blend of neighbours passes
    through zero. On the CPU in float32 it runs in compiled code; elsewhere `joint_motions_torch` computes the same.

    Args:
        rest_joints: joint positions of the shaped body at rest, metres; no gradient goes to them.
        parents: parent of each joint, -1 for the root, which comes first.
        pose: an unbatched pose of all joints.
    """
    if rest_joints.device.type != "cpu" or pose.rotations.dtype != torch.float32:
        return joint_motions_torch(rest_joints, parents, pose)
    from avatar.kernels.kinematics import JointMotions

    motions: Tensor = JointMotions.apply(pose.rotations, pose.root_position, rest_joints, parents)
    return motions


def joint_motions_torch(
    rest_joints: Float[Tensor, "joints 3"], parents: tuple[int, ...], pose: BodyPose
) -> Float[Tensor, "joints 16"]:
    """The same as `joint_transforms_and_quats`, in tensors, for any device and floating type."""
    Ts = skinning_transforms(rest_joints, parents, pose)
    quats = quat_from_rotation(Ts[:, :3, :3])
    turned_over = (quats * quats[parent_indices(parents, quats.device)]).sum(-1) < 0
    # A joint's sign is the product of those from it to the root; in tensors, since a GPU would wait for an `if`.
    signs = 1 - 2 * ((ancestry(parents, quats.device).to(quats) @ turned_over.to(quats)) % 2)
    return torch.cat([Ts[:, :3].flatten(1), quats * signs[:, None]], dim=1)
