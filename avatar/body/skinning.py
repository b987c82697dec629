"""Linear blend skinning, the only one in the project: batched and differentiable in every input."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatar.body.skeleton import chain_levels
from avatar.geometry import rigid
from avatar.types import BodyPose


@cache
def _chain(
    parents: tuple[int, ...], device: torch.device
) -> tuple[list[tuple[Int[Tensor, " level"], Int[Tensor, " level"]]], Int[Tensor, " j"], Int[Tensor, " j"]]:
    """For each level after the root its joints and where their parents stand in the level before; the order that
    brings the joints, listed level by level, back into their own; and each joint's parent, the root's being itself.

    Kept on `device`, so that a GPU need not wait for indices.
    """

    def index(values: Iterable[int]) -> Int[Tensor, " k"]:
        return torch.tensor(list(values), device=device)

    levels = chain_levels(parents)
    steps = [(index(level), index(above.index(parents[joint]) for joint in level)) for above, level in pairwise(levels)]
    listed = [joint for level in levels for joint in level]
    own_order = index(listed.index(joint) for joint in range(len(parents)))
    return steps, own_order, index(max(parent, 0) for parent in parents)


@cache
def ancestry(parents: tuple[int, ...], device: torch.device) -> Float[Tensor, "j j"]:
    """One where the second joint is the first one or stands between it and the root, or is the root."""
    rows = torch.eye(len(parents))
    for joint, parent in enumerate(parents):
        if parent >= 0:
            rows[joint] += rows[parent]
    return rows.to(device)


def parent_indices(parents: tuple[int, ...], device: torch.device) -> Int[Tensor, " j"]:
    """Each joint's parent; the root's is itself."""
    return _chain(parents, device)[2]


def joint_transforms(
    rest_joints: Float[Tensor, "j 3"], parents: tuple[int, ...], pose: BodyPose
) -> Float[Tensor, "*b j 4 4"]:
    """`Ts_world_joint`: where each joint's frame stands in the world (forward kinematics).

    The origin of a joint's frame is the joint itself; in the rest pose its axes are those of the rest space.

    Args:
        rest_joints: joint positions of the shaped body at rest, metres.
        parents: parent of each joint, -1 for the root, which comes first.
        pose: the pose or poses; as many rotations as there are joints.
    """
    steps, own_order, parent_of = _chain(parents, rest_joints.device)
    offsets = rest_joints - rest_joints[parent_of]
    Ts_parent_joint = rigid(pose.rotations, offsets.expand(*pose.rotations.shape[:-2], 3))
    levels = [rigid(pose.rotations[..., :1, :, :], pose.root_position[..., None, :])]
    for joints, above in steps:
        # `index_select`, since the gradient of an index by a tensor sorts on a GPU.
        levels.append(levels[-1].index_select(-3, above) @ Ts_parent_joint.index_select(-3, joints))
    return torch.cat(levels, dim=-3).index_select(-3, own_order)


def skinning_transforms(
    rest_joints: Float[Tensor, "j 3"], parents: tuple[int, ...], pose: BodyPose
) -> Float[Tensor, "*b j 4 4"]:
    """`Ts_world_rest`: for each joint the transform that carries rest-space points along with it."""
    Ts_world_joint = joint_transforms(rest_joints, parents, pose)
    R = Ts_world_joint[..., :3, :3]
    return rigid(R, Ts_world_joint[..., :3, 3] - (R @ rest_joints[..., None]).squeeze(-1))


def skin(
    points: Float[Tensor, "*#b n 3"], weights: Float[Tensor, "n j"], Ts_world_rest: Float[Tensor, "*b j 4 4"]
) -> Float[Tensor, "*b n 3"]:
    """Move rest-space points into the world by their weighted mean transform.

    Args:
        points: in rest space, metres; one set for all poses or one per pose.
        weights: share of each joint in each point, rows summing to one.
        Ts_world_rest: from `skinning_transforms`.
    """
    blended = torch.unflatten(weights @ Ts_world_rest[..., :3, :].flatten(-2), -1, (3, 4))
    return (blended[..., :3] @ points[..., None]).squeeze(-1) + blended[..., 3]
