"""Splats in few rigid groups, so that a moving avatar costs kilobytes per frame instead of a megabyte.

Each splat belongs to the group whose joint weights are most like its own. While a motion plays, only one rigid
transform per group is sent to the browser: the blend of the joints' transforms by the group's mean weights. The rest
(a splat's own weights, shear, pose-driven wrinkles, light) returns when the motion stands still.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatar.body.skinning import skinning_transforms
from avatar.geometry import nearest_rotation, quat_from_rotation, quat_multiply, rotation_from_quat
from avatar.model.avatar import Avatar
from avatar.types import BodyPose, Gaussians

CLUSTERS = 160
ITERATIONS = 12


@dataclass(frozen=True)
class Clusters:
    """Rigid groups of an avatar's splats.

    Attributes:
        group: the group of each splat.
        weights: mean joint weights of each group.
        centers: mean rest position of each group's splats, metres.
    """

    group: Int[Tensor, " n"]
    weights: Float[Tensor, "groups joints"]
    centers: Float[Tensor, "groups 3"]

    def of(self, splats: Int[Tensor, " chosen"]) -> Clusters:
        """The same groups, of some of the splats only."""
        return replace(self, group=self.group[splats])


def cluster(avatar: Avatar, groups: int = CLUSTERS) -> Clusters:
    """Group splats by their joint weights (Lloyd's k-means, started from points far from each other)."""
    weights, means = avatar.weights.detach(), avatar.rest_means().detach()
    centers = _far_apart(weights, min(groups, len(weights)))
    for _ in range(ITERATIONS):
        group = torch.cdist(weights, centers).argmin(1)
        # A group that lost all its splats falls away.
        _, group = torch.unique(group, return_inverse=True)
        centers = _group_means(weights, group)
    return Clusters(group, centers, _group_means(means, group))


def rigid_motion(
    clusters: Clusters, avatar: Avatar, pose: BodyPose
) -> tuple[Float[Tensor, "groups 4"], Float[Tensor, "groups 3"]]:
    """Rotation (wxyz) and translation (metres) that carry each group from the rest pose into the world.

    The rotation is the one nearest to the blend of the joints' matrices; the translation puts the group's centre
    exactly where skinning puts it.
    """
    full = avatar.body.complete(pose)
    Ts = skinning_transforms(avatar.rest.joints, avatar.body.parents, full)
    blended = (clusters.weights @ Ts[:, :3].flatten(1)).unflatten(1, (3, 4))
    quats = quat_from_rotation(nearest_rotation(blended[..., :3]))
    landed = (blended[..., :3] @ clusters.centers[..., None]).squeeze(-1) + blended[..., 3]
    return quats, landed - (rotation_from_quat(quats) @ clusters.centers[..., None]).squeeze(-1)


def unposed(clusters: Clusters, avatar: Avatar, pose: BodyPose, gaussians: Gaussians) -> Gaussians:
    """The avatar's Gaussians in `pose`, carried back by their groups' transforms.

    Moved forward again in the same pose they look exactly as they did; so wrinkles and light of that pose stay in.
    """
    quats, shifts = rigid_motion(clusters, avatar, pose)
    back = quats[clusters.group] * quats.new_tensor([1.0, -1.0, -1.0, -1.0])
    moved = gaussians.means - shifts[clusters.group]
    return replace(
        gaussians,
        means=(rotation_from_quat(back) @ moved[..., None]).squeeze(-1),
        quats=quat_multiply(back, gaussians.quats),
    )


def _far_apart(points: Float[Tensor, "n d"], count: int) -> Float[Tensor, "k d"]:
    """Farthest-point sampling: each new point is the one farthest from those chosen (Gonzalez 1985)."""
    chosen = [0]
    nearest = points.new_full((len(points),), torch.inf)
    for _ in range(count - 1):
        nearest = torch.minimum(nearest, (points - points[chosen[-1]]).square().sum(1))
        chosen.append(int(nearest.argmax()))
    return points[chosen]


def _group_means(values: Float[Tensor, "n d"], group: Int[Tensor, " n"]) -> Float[Tensor, "k d"]:
    count = torch.bincount(group)
    sums = values.new_zeros(len(count), values.shape[1]).index_add_(0, group, values)
    return sums / count[:, None]
