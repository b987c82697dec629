"""The surface that an avatar's splats show, as a triangle mesh: clothes and hair, not the body under them.

Depth maps from all sides are fused into a truncated signed distance field (Curless and Levoy 1996), whose zero level
is a closed surface: what no camera sees is inside, so there are no holes to fill. The avatar stands with arms and
legs apart meanwhile, so that armpits and thighs do not grow together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatar.errors import AvatarError
from avatar.geometry import rotation_from_rotvec, vertex_normals
from avatar.model.avatar import Avatar
from avatar.model.diffused_skinning import OFF_BODY
from avatar.rendering.camera_paths import intrinsics, look_at
from avatar.rendering.renderer import render
from avatar.runtime.progress import progress
from avatar.types import BodyPose, Cameras, Gaussians

ARMS_DOWN, LEGS_OUT = 0.6, 0.12  # radians away from the T-pose
LEG = ("hip", "knee", "ankle", "foot")
# The weight of each leg on splats that span both, and their share of a skirt's wearer: 2 % of all where there is a
# skirt, up to 0.5 % where wide trousers are.
OF_BOTH_LEGS, LEAST_SKIRT = 0.15, 0.01
FOV = 30.0  # degrees: far away, so that pixels are alike all over the body
COARSE = 4  # fine voxels along the edge of a coarse one
REACH = 5  # voxels before and behind a surface that a depth map judges
# Splats stand closer to solid for geometry: each counts as this many of its kind, so that depth maps show the front.
SOLIDITY = 6
BLUR, SMOOTHNESS = 1.5, 1.0  # standard deviations: pixels of the depth maps, voxels of the field
BACKGROUND = 1e3  # metres
# Taubin 1995: a step that smooths and one that gives the volume back.
SMOOTHING_STEPS, SMOOTH, SWELL = 8, 0.5, -0.53


@dataclass(frozen=True)
class MeshQuality:
    """How finely the mesh is made.

    Attributes:
        voxel: edge of the voxels, metres; views: number of depth maps.
        height: of the depth maps, pixels; their texture's images are half as large again.
        triangles: how many the mesh has at most; texture: side of its texture, pixels.
    """

    voxel: float = 0.004
    views: int = 48
    height: int = 1024
    triangles: int = 60_000
    texture: int = 2048


@dataclass(frozen=True)
class Surface:
    """A triangle mesh, counter-clockwise seen from outside, metres."""

    vertices: Float[Tensor, "v 3"]
    faces: Int[Tensor, "f 3"]


@dataclass(frozen=True)
class DepthMaps:
    """Depth maps of one size.

    Attributes:
        P: from world points to (depth * pixel, depth).
        depth: metres along the optical axis, `BACKGROUND` where nobody is.
        weight: trust in each pixel: less where the surface is seen at a slant.
    """

    P: Float[Tensor, "views 3 4"]
    depth: Float[Tensor, "views h w"]
    weight: Float[Tensor, "views h w"]


def parted_pose(avatar: Avatar) -> BodyPose:
    """The pose for fusing: the rest pose with arms lowered and legs apart, so that nothing touches.

    With a skirt the legs stay: apart, they would stretch it until its splats show a slit.
    """
    rotvecs = torch.zeros(24, 3)
    rotvecs[16:18, 2] = torch.tensor([-ARMS_DOWN, ARMS_DOWN])
    if not clothes_span_legs(avatar):
        rotvecs[1:3, 2] = torch.tensor([LEGS_OUT, -LEGS_OUT])
    return BodyPose(avatar.rest.joints[0].cpu(), rotation_from_rotvec(rotvecs))


def clothes_span_legs(avatar: Avatar) -> bool:
    """Whether the person wears something that hangs between the legs and follows both."""
    shares = [
        avatar.weights[:, [i for i, name in enumerate(avatar.body.joint_names) if name in joints]].sum(1)
        for joints in ([f"{side}_{part}" for part in LEG] for side in ("left", "right"))
    ]
    spans = (torch.minimum(*shares) > OF_BOTH_LEGS) & (avatar.hanging.norm(dim=1) > OFF_BODY)
    return bool(spans.float().mean() > LEAST_SKIRT)


def views_around(low: Float[Tensor, " 3"], high: Float[Tensor, " 3"], count: int, height: int) -> Cameras:
    """Cameras evenly spread over a sphere (a Fibonacci lattice) around a box that fills their images."""
    step = torch.arange(count) + 0.5
    y, turn = 1 - 2 * step / count, step * math.pi * (3 - math.sqrt(5))
    level = (1 - y * y).sqrt()
    away = torch.stack([level * turn.sin(), y, level * turn.cos()], dim=-1)
    width = 3 * height // 4
    K = intrinsics(width, height, FOV)
    center = (low + high) / 2
    distance = float(K[0, 0] * (high - low).norm()) / height
    eyes = center + distance * away
    return Cameras(K.expand(count, 3, 3).clone(), look_at(eyes, center.expand(count, 3)), width, height)


@torch.no_grad()
def surface_of(gaussians: Gaussians, quality: MeshQuality) -> Surface:
    """The surface of the splats of a posed avatar.

    Raises:
        AvatarError: the splats enclose nothing.
    """
    low, high = gaussians.means.amin(0), gaussians.means.amax(0)
    maps = depth_maps(gaussians, views_around(low, high, quality.views, quality.height))
    margin = 2 * REACH * quality.voxel
    return decimated(fused(maps, low - margin, high + margin, quality.voxel), quality.triangles)


def depth_maps(gaussians: Gaussians, cameras: Cameras) -> DepthMaps:
    """Depth maps of the splats, smoothed a little and weighted by the squared cosine of the slant."""
    from scipy.ndimage import gaussian_filter

    solid = replace(gaussians, opacities=1 - (1 - gaussians.opacities.clamp(max=0.99)) ** SOLIDITY)
    depths, weights = [], []
    for view in progress(range(len(cameras)), "depth maps"):
        output = render(solid, cameras[view])
        premultiplied, alpha = (torch.from_numpy(gaussian_filter(image[0].numpy(), BLUR))
                                for image in (output.depth, output.alpha))  # fmt: skip
        depth = premultiplied / alpha.clamp_min(1e-4)
        slope = torch.stack(torch.gradient(depth)).square().sum(0) * (cameras.K[view, 0, 0] / depth.clamp_min(0.1)) ** 2
        inside = output.alpha[0] > 0.5
        depths.append(torch.where(inside, depth, BACKGROUND))
        weights.append(torch.where(inside, 1 / (1 + slope), 1.0))
    return DepthMaps(cameras.K @ cameras.T_camera_world[:, :3], torch.stack(depths), torch.stack(weights))


def signed_distance(points: Float[Tensor, "n 3"], maps: DepthMaps, reach: float) -> Float[Tensor, " n"]:
    """Signed distances from the surface over `reach`, in [-1, 1], positive outside; -1 where no map sees a point."""
    height, width = maps.depth.shape[1:]
    total, weight = torch.zeros(2, len(points)).unbind()
    for P, depth, trust in zip(maps.P, maps.depth.flatten(1), maps.weight.flatten(1), strict=True):
        x, y, z = P[:, :3] @ points.T + P[:, 3:]
        row = (y / z).int().clamp_(0, height - 1)
        pixel = row.mul_(width).add_((x / z).int().clamp_(0, width - 1))
        distance = depth.index_select(0, pixel).sub_(z).div_(reach).clamp_(max=1)
        share = trust.index_select(0, pixel).mul_(distance > -1)
        total.addcmul_(share, distance)
        weight += share
    return torch.where(weight > 0, total / weight.clamp_min(1e-6), -1.0)


def fused(maps: DepthMaps, low: Float[Tensor, " 3"], high: Float[Tensor, " 3"], voxel: float) -> Surface:
    """The largest closed surface in a box: coarse voxels first, fine ones only near the surface.

    Raises:
        AvatarError: the depth maps enclose nothing.
    """
    from scipy.ndimage import gaussian_filter
    from skimage.measure import marching_cubes

    size = [int(n) for n in ((high - low) / (voxel * COARSE)).ceil()]
    axes = [low[i] + (torch.arange(size[i]) + 0.5) * voxel * COARSE for i in range(3)]
    centers = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, 3)
    coarse = signed_distance(centers, maps, 3 * COARSE * voxel).reshape(size)
    field = torch.where(_refined(coarse) > 0, 1.0, -1.0)
    near = _refined(coarse.abs() < 0.6)  # the surface is at most one coarse voxel away from a centre
    points = low + (near.nonzero() + 0.5) * voxel
    field[near] = torch.cat([signed_distance(part, maps, REACH * voxel) for part in points.split(1 << 17)])
    smooth = gaussian_filter(field.numpy(), SMOOTHNESS)
    if not smooth.min() < 0 < smooth.max():
        raise AvatarError("The splats of this avatar show no closed surface, so there is no mesh to write.")
    vertices, faces, _, _ = marching_cubes(smooth, 0.0, spacing=(voxel,) * 3)
    surface = Surface(
        torch.from_numpy(vertices.astype(np.float32)) + low + voxel / 2, torch.from_numpy(faces.astype(np.int64))
    )
    return smoothed(largest_component(surface))


def _refined(grid: Tensor) -> Tensor:
    for axis in range(3):
        grid = grid.repeat_interleave(COARSE, axis)
    return grid


def largest_component(surface: Surface) -> Surface:
    """The connected part with the most vertices: loose splats make crumbs."""
    from scipy.sparse.csgraph import connected_components

    _, labels = connected_components(adjacency(surface), directed=False)
    inside = torch.from_numpy(labels == np.bincount(labels).argmax())
    return without_spare_vertices(Surface(surface.vertices, surface.faces[inside[surface.faces[:, 0]]]))


def without_spare_vertices(surface: Surface) -> Surface:
    """Only the vertices that some triangle has."""
    used, faces = surface.faces.unique(return_inverse=True)
    return Surface(surface.vertices[used], faces)


def adjacency(surface: Surface) -> Any:
    """A sparse matrix (scipy's csr) of ones where two vertices share an edge."""
    from scipy.sparse import csr_matrix

    starts = surface.faces.flatten().numpy()
    ends = surface.faces.roll(-1, 1).flatten().numpy()
    rows, columns = np.concatenate([starts, ends]), np.concatenate([ends, starts])
    count = len(surface.vertices)
    edges = csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=(count, count))
    edges.sum_duplicates()
    edges.data[:] = 1
    return edges


def smoothed(surface: Surface) -> Surface:
    """Without the roughness of the splats, and as thick as before."""
    edges = adjacency(surface)
    degree = np.asarray(edges.sum(1))
    vertices = surface.vertices.numpy()
    for _ in range(SMOOTHING_STEPS):
        for step in (SMOOTH, SWELL):
            vertices = vertices + step * (edges @ vertices / degree - vertices)
    return Surface(torch.from_numpy(vertices.astype(np.float32)), surface.faces)


def decimated(surface: Surface, triangles: int) -> Surface:
    """At most this number of triangles, more where the surface bends (Garland and Heckbert 1997)."""
    import fast_simplification

    if len(surface.faces) <= triangles:
        return surface
    vertices, faces = fast_simplification.simplify(
        surface.vertices.numpy(), surface.faces.int().numpy(), target_count=triangles
    )[:2]
    corners = torch.from_numpy(np.asarray(faces, np.int64))
    whole = (corners != corners.roll(1, 1)).all(1)  # no triangle with a corner twice
    return without_spare_vertices(Surface(torch.from_numpy(np.asarray(vertices, np.float32)), corners[whole]))


def surface_normals(surface: Surface) -> Float[Tensor, "v 3"]:
    """Unit normals at the vertices, also of triangles that are nearly nothing; upwards where there is none at all."""
    normals = vertex_normals(surface.vertices.double(), surface.faces)
    flat = normals.norm(dim=1) < 0.5
    return torch.where(flat[:, None], normals.new_tensor([0.0, 1.0, 0.0]), normals).float()
