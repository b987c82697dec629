"""Pose metrics; joints in metres."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Bool, Float
from torch import Tensor

from avatar.geometry import procrustes

STANDING_SPEED = 0.25  # m/s; a foot that is truly slower than this stands on the floor


def mpjpe(
    joints: Float[Tensor, "t j 3"], truth: Float[Tensor, "t j 3"], root: Sequence[int] | None = None
) -> Float[Tensor, " t"]:
    """Mean per-joint position error at each instant, metres.

    Args:
        root: joints whose mean is aligned first (one for a pelvis, both hips for their middle).
    """
    if root is not None:
        joints, truth = (x - x[:, list(root)].mean(1, keepdim=True) for x in (joints, truth))
    error: Tensor = (joints - truth).norm(dim=-1).mean(-1)
    return error


def pa_mpjpe(joints: Float[Tensor, "t j 3"], truth: Float[Tensor, "t j 3"]) -> Float[Tensor, " t"]:
    """Mean per-joint position error after the best similarity at each instant (Procrustes), metres."""
    scale, R, t = procrustes(joints, truth)
    aligned = scale[:, None, None] * (joints @ R.mT) + t[:, None]
    error: Tensor = (aligned - truth).norm(dim=-1).mean(-1)
    return error


def with_constant_offsets(
    Ts_world_joint: Float[Tensor, "t j 4 4"], truth: Float[Tensor, "t j 3"]
) -> Float[Tensor, "t j 3"]:
    """The joints moved, each by one offset that is constant in its own bone's frame, closest to the truth.

    Skeletons disagree on where a joint lies in the body; such an offset is no error of the pose.
    """
    joints, R = Ts_world_joint[..., :3, 3], Ts_world_joint[..., :3, :3]
    offsets = (R.mT @ (truth - joints)[..., None]).mean(0)
    return joints + (R @ offsets).squeeze(-1)


def acceleration_error(
    joints: Float[Tensor, "t j 3"], truth: Float[Tensor, "t j 3"], fps: float
) -> Float[Tensor, " inner"]:
    """Mean distance of the joints' accelerations (second differences) from the true ones, m/s^2."""
    difference = joints - truth
    second = difference[2:] - 2 * difference[1:-1] + difference[:-2]
    error: Tensor = second.norm(dim=-1).mean(-1) * fps**2
    return error


def standing(feet: Float[Tensor, "t f 3"], fps: float) -> Bool[Tensor, "steps f"]:
    """Which feet stand still between each frame and the next, judged by the true feet."""
    still: Tensor = (feet[1:] - feet[:-1]).norm(dim=-1) * fps < STANDING_SPEED
    return still


def foot_sliding(feet: Float[Tensor, "t f 3"], contact: Bool[Tensor, "steps f"], fps: float) -> float | None:
    """Mean speed of the feet along the floor (world y is up) while they should stand, m/s; None if none stands."""
    speed = (feet[1:] - feet[:-1])[..., [0, 2]].norm(dim=-1) * fps
    return float(speed[contact].mean()) if bool(contact.any()) else None


def pve(
    vertices: Float[Tensor, "t v 3"],
    truth: Float[Tensor, "t v 3"],
    root: Float[Tensor, "t 3"],
    true_root: Float[Tensor, "t 3"],
) -> Float[Tensor, " t"]:
    """Mean per-vertex error at each instant after aligning the roots, metres; both meshes have the same vertices.

    After Procrustes instead (PA-PVE) it is `pa_mpjpe` of the vertices.
    """
    return mpjpe(vertices - root[:, None], truth - true_root[:, None])
