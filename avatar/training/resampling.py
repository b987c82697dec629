"""Resamples unobserved regions of the surface and pulls them inside the visual hull.

Unobserved Gaussians have no gradient but noise, and where the fitted body sticks out of the person's silhouette all
Gaussians were pruned, which leaves holes in side views. The silhouettes of all images bound the depth of
the true surface (the visual hull, Laurentini 1994, here one point and its normal at a time).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from avatar.geometry import project
from avatar.model.avatar import Avatar
from avatar.model.gaussians import TriangleGaussians
from avatar.training.densification import replace_gaussians
from avatar.training.inpainting import OBSERVED
from avatar.training.views import TrainingView
from avatar.training.visibility import PosedView

MIN_OBSERVED = 0.1  # `observed` below which a Gaussian is removed
MAX_DEPTH, DEPTHS = 0.04, 9  # m; how far in a Gaussian may be pulled, and how many depths are tried
FAR_OUTSIDE = 0.02  # m from the silhouette, in more than a fifth of the images, at which nothing is missing
FEW = 0.2
MIN_CLEARANCE = 0.8  # distance to the opposite side that a depth needs, as a share of the depth


@torch.no_grad()
def resample_unobserved(
    avatar: Avatar,
    optimizer: torch.optim.Adam,
    sample: Callable[[int], TriangleGaussians],
    count: int,
    cap: int,
    views: Sequence[PosedView],
) -> None:
    """Replace Gaussians that were hardly observed by new ones wherever no well observed one is near.

    Args:
        optimizer: of the avatar's Gaussians.
        sample: makes a number of new Gaussians all over the body; only those in gaps are used.
        count: how many are sampled; fewer and larger ones if the avatar would have more than `cap`.
        views: images with the body's pose in each.
    """
    gaussians = avatar.gaussians
    keep = (gaussians.observed >= MIN_OBSERVED).nonzero().squeeze(1)
    fresh = sample(count)
    bare, room = _uncovered(avatar, fresh), cap - len(keep)
    if len(bare) > room:
        fresh = sample(count * room // len(bare))
        bare = _uncovered(avatar, fresh)[:room]
    replace_gaussians(gaussians, optimizer, keep, fresh, bare)
    avatar.refresh()
    new = torch.arange(len(keep), len(gaussians), device=keep.device)
    gaussians.offset[new, 2] = -_depths(avatar, new, views)
    # A thumb that was assumed elsewhere leaves no hole.
    outside = torch.stack([_distance_outside(avatar.pose(pose, lit=False).means[new], view) for view, pose in views])
    missing = new[(outside > FAR_OUTSIDE).float().mean(0) <= FEW]
    old = torch.arange(len(keep), device=keep.device)
    replace_gaussians(gaussians, optimizer, torch.cat([old, missing]), fresh, bare[:0])
    avatar.refresh()


def _uncovered(avatar: Avatar, fresh: TriangleGaussians) -> Int[Tensor, " bare"]:
    """Indices of the new Gaussians that lie where no well observed one is near."""
    from scipy.spatial import cKDTree

    observed = (avatar.observed >= OBSERVED).cpu().numpy()
    old, new = (gaussians.anchors(avatar.frames).cpu().numpy() for gaussians in (avatar.gaussians, fresh))
    distance = torch.from_numpy(cKDTree(old[observed]).query(new)[0]).to(fresh.scales)
    return (distance > fresh.scales.amax(1)).nonzero().squeeze(1)


def _depths(avatar: Avatar, new: Int[Tensor, " m"], views: Sequence[PosedView]) -> Float[Tensor, " m"]:
    """The smallest depth below the body's surface, metres, at which each new Gaussian is inside all silhouettes."""
    from scipy.spatial import cKDTree

    depths = torch.linspace(0, MAX_DEPTH, DEPTHS, device=avatar.device)
    inside = torch.ones(len(new), DEPTHS, dtype=torch.bool, device=avatar.device)
    for view, pose in views:
        means, normals = avatar.pose(pose, lit=False).means[new], avatar.posed_normals(pose)[new]
        inside &= _inside_mask(means[:, None] - depths[:, None] * normals[:, None], view)
    anchors = avatar.surface.anchors
    inner = anchors[new, None] - depths[:, None] * avatar.surface.normals[new, None]
    clearance = torch.from_numpy(cKDTree(anchors.cpu().numpy()).query(inner.cpu().numpy())[0]).to(depths)
    possible = (clearance >= MIN_CLEARANCE * depths - 1e-6).cummin(1).values
    good = inside & possible
    chosen = torch.where(good.any(1), good.int().argmax(1), possible.sum(1) - 1)
    return depths[chosen]


def _inside_mask(points: Float[Tensor, "m d 3"], view: TrainingView) -> Bool[Tensor, "m d"]:
    """Whether each point projects onto the person in the image."""
    pixels, _depth = project(view.camera.K[0], view.camera.T_camera_world[0], points.flatten(0, 1))
    size = pixels.new_tensor([view.camera.width, view.camera.height])
    grid = (pixels / size * 2 - 1).view(1, *points.shape[:2], 2)
    return F.grid_sample(view.possible_mask[None, None], grid, padding_mode="border", align_corners=False)[0, 0] > 0.5


def _distance_outside(points: Float[Tensor, "m 3"], view: TrainingView) -> Float[Tensor, " m"]:
    """How far each point lies outside the person in the image, metres at its depth; 0 inside."""
    import cv2

    empty = (view.possible_mask <= 0.5).to(torch.uint8).cpu().numpy()
    distance = torch.from_numpy(cv2.distanceTransform(empty, cv2.DIST_L2, 5)).to(points)
    pixels, depth = project(view.camera.K[0], view.camera.T_camera_world[0], points)
    x, y = (pixels[:, axis].long().clamp(0, size - 1) for axis, size in ((0, empty.shape[1]), (1, empty.shape[0])))
    return distance[y, x] * depth / view.camera.K[0, 0, 0]
