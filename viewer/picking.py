"""Which joint moves the part of the body that was clicked."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body.skeleton import SMPL_JOINTS
from avatar.model.avatar import Avatar
from avatar.types import BodyPose

REACH = 0.02  # metres from the ray to the centre of a splat that was hit
SOLID = 0.3  # opacity


@torch.no_grad()
def joint_at_ray(
    avatar: Avatar, pose: BodyPose, origin: Float[Tensor, " 3"], direction: Float[Tensor, " 3"]
) -> int | None:
    """The one of the common 24 joints that carries the first solid splat on a ray, or None where it meets none.

    Args:
        pose: of the avatar.
        origin, direction: of the ray, world; the direction has length 1.
    """
    gaussians = avatar.own_pose(pose.to(avatar.device))
    offset = gaussians.means.cpu() - origin
    depth = offset @ direction
    distance = (offset - depth[:, None] * direction).norm(dim=1)
    hit = (distance < REACH) & (depth > 0) & (gaussians.opacities.cpu() > SOLID)
    if not hit.any():
        return None
    nearest = torch.where(hit, depth, torch.inf).argmin()
    weights = avatar.weights[nearest].cpu()
    return _common_joint(avatar, int(weights.argmax()))


def _common_joint(avatar: Avatar, joint: int) -> int:
    """The common joint that a body's own joint belongs to: itself or the nearest one above it."""
    common = {own: index for index, own in enumerate(avatar.body.smpl_index)}
    while joint not in common and joint >= 0:
        joint = int(avatar.body.parents[joint])
    return common.get(joint, SMPL_JOINTS.index("pelvis"))
