"""Splats for clothes that hang away from hips and legs: skirts, dresses, coats.

Gaussians start on the body, and none finds the way to cloth between the legs. Where the person is filmed from all
sides, the masks together enclose the clothes (the visual hull, Laurentini 1994), here in the rest frame: each point of
a grid around the body is carried into the frames by its skinning weights, diffused as those of the Gaussians are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from avatar.body.skinning import skin, skinning_transforms
from avatar.geometry import quat_from_rotation, transform
from avatar.model.avatar import Avatar
from avatar.model.diffused_skinning import diffused_weights
from avatar.model.gaussians import FLATNESS, TriangleGaussians, evenly_spread_faces
from avatar.training.config import TrainConfig
from avatar.training.densification import rebind_to_nearest_face
from avatar.training.views import TrainingView
from avatar.types import BodyPose

VOXEL, REACH = 0.015, 0.14  # metres; REACH: how far from the body clothes are looked for
LOOSE = 0.03  # metres from the body beyond which its own Gaussians do not serve
INSIDE = 0.9  # share of the frames whose mask covers a point of the clothes; tracked poses are not exact
LOWER = ("pelvis", "hip", "knee", "ankle")  # joints of the skirts and coats
DOWNWARD = -0.7  # upward component of normals of the underside
SECTORS, ALL_ROUND = 12, 10  # directions around the person, and how many of them make an enclosure
LEAST = 0.06  # area of loose clothes by that of the body; trousers and errors of poses make up to 0.045
SURFACE_SAMPLES = 20_000
WIDTH = 0.6  # of a new Gaussian by the spacing


@torch.no_grad()
def loose_gaussians(
    avatar: Avatar, views: Sequence[tuple[TrainingView, BodyPose]], per_area: float, rng: torch.Generator
) -> TriangleGaussians | None:
    """Grey Gaussians on the surface that the masks enclose away from the body, bound to the nearest triangles.

    Args:
        views: frames with their poses.
        per_area: Gaussians per square metre.

    Returns:
        None where the views come from fewer than `ALL_ROUND` directions, so that masks enclose nothing, or where
        hardly anything is loose, and so no skirt or coat.
    """
    if directions(views) < ALL_ROUND:
        return None
    points, normals = _loose_surface(avatar, views)
    area = len(points) * VOXEL**2
    if area < LEAST * float(avatar.frames.area.sum()):
        return None
    count = round(per_area * area)
    chosen = torch.randint(len(points), (count,), generator=rng)
    tangents = _tangents(normals[chosen])
    aside = (torch.rand(count, 2, generator=rng) - 0.5) * VOXEL
    means = points[chosen] + (tangents[..., :2] * aside[:, None]).sum(-1)
    return _bound_gaussians(avatar, means, tangents, WIDTH / math.sqrt(per_area))


def held_loosely(config: TrainConfig) -> TrainConfig:
    """The configuration for loose clothes, which images from all sides hold where the body cannot."""
    return replace(config, weights=replace(config.weights, offset_l2=config.weights.offset_l2_loose))


def directions(views: Sequence[tuple[TrainingView, BodyPose]]) -> int:
    """From how many of `SECTORS` directions around the person the cameras look."""
    sectors = set()
    for view, pose in views:
        R, t = view.camera.T_camera_world[0, :3, :3], view.camera.T_camera_world[0, :3, 3]
        eye = pose.rotations[0].mT @ (-R.mT @ t - pose.root_position)
        sectors.add(int(torch.atan2(eye[0], eye[2]) / (2 * math.pi) * SECTORS % SECTORS))
    return len(sectors)


@dataclass(frozen=True)
class _Grid:
    """Points around the body at rest.

    Attributes:
        points: metres; size: of the whole grid; index: of the points in it.
        distance: from the body; outside: beyond its skin; weights: skinning weights.
    """

    points: Float[Tensor, "n 3"]
    size: tuple[int, ...]
    index: Int[Tensor, " n"]
    distance: Float[Tensor, " n"]
    outside: Bool[Tensor, " n"]
    weights: Float[Tensor, "n joints"]


def _grid_around(avatar: Avatar) -> _Grid:
    from scipy.spatial import cKDTree

    frames, vertices = avatar.frames, avatar.rest.vertices
    low, high = vertices.amin(0) - REACH, vertices.amax(0) + REACH
    axes = [torch.arange(float(a), float(b), VOXEL, device=vertices.device) for a, b in zip(low, high, strict=True)]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).flatten(0, 2)
    face = evenly_spread_faces(frames, SURFACE_SAMPLES)
    places = frames.vertices[face].mean(1)
    distances, nearest = cKDTree(places.cpu().numpy()).query(points.cpu().numpy(), distance_upper_bound=REACH)
    distance = torch.from_numpy(distances).to(points)
    index = distance.isfinite().nonzero()[:, 0]
    place = torch.from_numpy(nearest).to(index)[index]
    points, distance, face = points[index], distance[index], face[place]
    outside = ((points - places[place]) * frames.corner_normals[face].mean(1)).sum(1) > 0
    weights = avatar.body.weights[avatar.body.faces[face]].mean(1)
    weights = diffused_weights(points, torch.where(outside, distance, 0.0), weights, avatar.body, frames)
    return _Grid(points, tuple(map(len, axes)), index, distance, outside, weights)


def _loose_surface(
    avatar: Avatar, views: Sequence[tuple[TrainingView, BodyPose]]
) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3"]]:
    """Points on the surface of what the masks enclose away from the body, about one per square of `VOXEL`; normals."""
    grid = _grid_around(avatar)
    covered = torch.stack([_covered(avatar, grid, *view) for view in views]).float().mean(0)
    volume = covered.new_zeros(math.prod(grid.size))
    volume[grid.index] = torch.where(grid.outside, covered, 1.0)
    volume = volume.view(grid.size)
    inside = volume >= INSIDE
    # Normals of the smoothed volume, which do not follow single voxels.
    smooth = F.avg_pool3d(volume[None, None], 3, stride=1, padding=1)[0, 0]
    slopes = torch.stack(torch.gradient(smooth, spacing=VOXEL), dim=-1).flatten(0, 2)[grid.index]
    # Inside, with a neighbour outside.
    inner = -F.max_pool3d(-inside[None, None].float(), 3, stride=1, padding=1)[0, 0] > 0
    shell = (inside & ~inner).flatten()[grid.index]
    loose = shell & grid.outside & (grid.distance > LOOSE) & (grid.distance < REACH - 2 * VOXEL)
    normals = -F.normalize(slopes, dim=1)
    # Cameras at one height see into no armpit, and those shapes at the arms are no sleeves.
    lower = [index for index, name in enumerate(avatar.body.joint_names) if name.split("_")[-1] in LOWER]
    loose &= grid.weights[:, lower].sum(1) > 0.5
    # The underside of what is enclosed is the open hem.
    loose &= (slopes.norm(dim=1) > 0) & (normals[:, 1] > DOWNWARD)
    return grid.points[loose], normals[loose]


def _covered(avatar: Avatar, grid: _Grid, view: TrainingView, pose: BodyPose) -> Bool[Tensor, " n"]:
    """Whether the mask of a frame covers each point, carried along by the pose; nobody is outside of the cut image."""
    body = avatar.body
    Ts = skinning_transforms(avatar.rest.joints, body.parents, body.complete(pose))
    local = transform(view.camera.T_camera_world[0], skin(grid.points, grid.weights, Ts))
    pixels = local @ view.camera.K[0].mT
    column, row = (pixels[:, :2] / pixels[:, 2:].clamp_min(0.05)).floor().long().unbind(1)
    mask = view.possible_mask
    within = (column >= 0) & (column < mask.shape[1]) & (row >= 0) & (row < mask.shape[0])
    covered = torch.zeros_like(within)
    covered[within] = mask[row[within], column[within]] > 0.5
    return covered


def _tangents(normals: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3 3"]:
    """Frames whose third column is the normal."""
    axis = torch.eye(3, device=normals.device)[normals.abs().argmin(1)]
    first = F.normalize(torch.linalg.cross(axis, normals), dim=1)
    return torch.stack([first, torch.linalg.cross(normals, first), normals], dim=-1)


def _bound_gaussians(
    avatar: Avatar, means: Float[Tensor, "n 3"], rotations: Float[Tensor, "n 3 3"], width: float
) -> TriangleGaussians:
    """Flat Gaussians at these places of the rest frame, bound to the nearest triangles."""
    frames, count = avatar.frames, len(means)
    first = torch.zeros(count, dtype=torch.long, device=means.device)
    scales = means.new_tensor([width, width, FLATNESS * width]).repeat(count, 1)
    gaussians = TriangleGaussians(
        first, means.new_tensor([1.0, 0, 0]).repeat(count, 1), scales, means.new_full((count, 3), 0.5)
    )
    R = frames.rotation[0]
    gaussians.offset.copy_((means - gaussians.anchors(frames)) @ R)
    gaussians.quats.copy_(quat_from_rotation(R.mT @ rotations))
    rebind_to_nearest_face(gaussians, frames)
    return gaussians
