"""A surface where no picture showed one: sown anew, and drawn in until no picture speaks against it.

What no picture shows has no gradient but noise, and where the fitted body sticks out of the person's outline
everything was pruned, so that one would see through it from the side. The outlines of all pictures tell how far in
the true surface must lie (the visual hull, Laurentini 1994, here one point and its normal at a time).
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
from avatar.training.inpainting import SEEN
from avatar.training.views import TrainingFrame
from avatar.types import BodyPose

WORTHLESS = 0.1  # `observed` below which a Gaussian that nothing holds is taken away
DEEPEST, DEPTHS = 0.04, 9  # m; how far in a Gaussian may be drawn, and how many depths are tried
LEAST_ROOM = 0.8  # a place so deep must still be so far from any other side, as a share of its depth


@torch.no_grad()
def resample_unobserved(
    avatar: Avatar,
    optimizer: torch.optim.Adam,
    sow: Callable[[int], TriangleGaussians],
    count: int,
    cap: int,
    shown: Sequence[tuple[TrainingFrame, BodyPose]],
) -> None:
    """Replace Gaussians that were hardly observed by new ones wherever none was well seen.

    Args:
        optimizer: of the avatar's Gaussians.
        sow: makes so many new Gaussians all over the body, of which those are taken that are needed.
        count: how many are sown; fewer and larger ones where the avatar would have more than `cap`.
        shown: pictures, and the poses that they show.
    """
    gaussians = avatar.gaussians
    keep = (gaussians.observed >= WORTHLESS).nonzero().squeeze(1)
    fresh = sow(count)
    bare, room = _bare(avatar, fresh), cap - len(keep)
    if len(bare) > room:
        fresh = sow(count * room // len(bare))
        bare = _bare(avatar, fresh)[:room]
    replace_gaussians(gaussians, optimizer, keep, fresh, bare)
    avatar.refresh()
    new = torch.arange(len(keep), len(gaussians), device=keep.device)
    gaussians.offset[new, 2] = -_depths(avatar, new, shown)


def _bare(avatar: Avatar, fresh: TriangleGaussians) -> Int[Tensor, " bare"]:
    """Which of the new Gaussians lie where no well seen one is near."""
    from scipy.spatial import cKDTree

    seen = (avatar.observed >= SEEN).cpu().numpy()
    here, there = (gaussians.anchors(avatar.frames).cpu().numpy() for gaussians in (avatar.gaussians, fresh))
    distance = torch.from_numpy(cKDTree(here[seen]).query(there)[0]).to(fresh.scales)
    return (distance > fresh.scales.amax(1)).nonzero().squeeze(1)


def _depths(
    avatar: Avatar, new: Int[Tensor, " m"], shown: Sequence[tuple[TrainingFrame, BodyPose]]
) -> Float[Tensor, " m"]:
    """How far in from the body's surface each new Gaussian has to lie for no picture to speak against it, metres."""
    from scipy.spatial import cKDTree

    depths = torch.linspace(0, DEEPEST, DEPTHS, device=avatar.device)
    believed = torch.ones(len(new), DEPTHS, dtype=torch.bool, device=avatar.device)
    for frame, pose in shown:
        places, normals = avatar.pose(pose, lit=False).means[new], avatar.posed_normals(pose)[new]
        believed &= _within(places[:, None] - depths[:, None] * normals[:, None], frame)
    anchors = avatar.surface.anchors
    inner = anchors[new, None] - depths[:, None] * avatar.surface.normals[new, None]
    room = torch.from_numpy(cKDTree(anchors.cpu().numpy()).query(inner.cpu().numpy())[0]).to(depths)
    possible = (room >= LEAST_ROOM * depths - 1e-6).cummin(1).values
    good = believed & possible
    chosen = torch.where(good.any(1), good.int().argmax(1), possible.sum(1) - 1)
    return depths[chosen]


def _within(points: Float[Tensor, "m d 3"], frame: TrainingFrame) -> Bool[Tensor, "m d"]:
    """Whether the picture shows the person where each point is projected to."""
    pixels, _depth = project(frame.camera.K[0], frame.camera.T_camera_world[0], points.flatten(0, 1))
    size = pixels.new_tensor([frame.camera.width, frame.camera.height])
    grid = (pixels / size * 2 - 1).view(1, *points.shape[:2], 2)
    return F.grid_sample(frame.mask[None, None], grid, padding_mode="border", align_corners=False)[0, 0] > 0.5
