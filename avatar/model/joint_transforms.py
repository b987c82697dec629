"""Skinning transforms and rotation quaternions per joint."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body.skinning import ancestry, parent_indices, skinning_transforms
from avatar.kernels.dispatch import compiled_by
from avatar.model.rotation_tables import quat_from_rotation
from avatar.types import BodyPose


def _joint_transforms_and_quats_compiled(
    rest_joints: Float[Tensor, "joints 3"], parents: tuple[int, ...], pose: BodyPose
) -> Float[Tensor, "joints 16"]:
    from avatar.kernels.kinematics import JointTransforms

    joints: Tensor = JointTransforms.apply(pose.rotations, pose.root_position, rest_joints, parents)  # type: ignore[no-untyped-call]  # torch's
    return joints


@compiled_by(_joint_transforms_and_quats_compiled)
def joint_transforms_and_quats(
    rest_joints: Float[Tensor, "joints 3"], parents: tuple[int, ...], pose: BodyPose
) -> Float[Tensor, "joints 16"]:
    """The rest-to-world transform of each joint (3x4, row by row) and the quaternion (wxyz) of its rotation.

    Each quaternion has the sign that agrees with its parent's, so that no blend of neighbours passes through zero.

    Args:
        rest_joints: joint positions of the shaped body at rest, metres; no gradient goes to them.
        parents: parent of each joint, -1 for the root, which comes first.
        pose: an unbatched pose of all joints.
    """
    Ts = skinning_transforms(rest_joints, parents, pose)
    quats = quat_from_rotation(Ts[:, :3, :3])
    flipped = (quats * quats.index_select(0, parent_indices(parents, quats.device))).sum(-1) < 0
    # A joint's sign is the product of those from it to the root; in tensors, since a GPU would wait for an `if`.
    signs = 1 - 2 * ((ancestry(parents, quats.device).to(quats) @ flipped.to(quats)) % 2)
    return torch.cat([Ts[:, :3].flatten(1), quats * signs[:, None]], dim=1)
