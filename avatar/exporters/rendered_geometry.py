"""What the splats of a posed avatar show besides colour: depth, normals of the clothed surface, body parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from avatar.exporters.surface_charts import Charts
from avatar.model.avatar import Avatar
from avatar.rendering.renderer import render
from avatar.types import BodyPose, Cameras, Gaussians, RenderOutput

SOLID = 0.5  # coverage from which a pixel belongs to the person
SPECK = 5  # pixels, odd: width of the median
PATCH = 0.02  # metres: radius of the surface that one normal is fitted to, above the roughness of splats
RADII = (2, 9)  # the same in pixels, at least and at most
SAME_SURFACE = 0.02  # metres: standard deviation of depth within one surface
OPAQUE = 0.2  # opacity from which a splat counts as surface


@dataclass(frozen=True)
class Geometry:
    """A posed avatar as one camera sees it; 0 in every image where nobody is.

    Attributes:
        output: the render of one camera: premultiplied colour, coverage, depth.
        depth: along the optical axis, metres; normals: unit, in the camera's axes (OpenCV), towards the camera.
        parts: 1 + index of the SMPL joint that moves the surface most; chart: where on the part, in [0, 1], see
            `avatar.body.surface_charts`; garments: 1 + index of the garment, 0 where the charts have none.
    """

    output: RenderOutput
    depth: Float[Tensor, "h w"]
    normals: Float[Tensor, "h w 3"]
    parts: Int[Tensor, "h w"]
    chart: Float[Tensor, "h w 2"]
    garments: Int[Tensor, "h w"]


@torch.no_grad()
def rendered_geometry(avatar: Avatar, pose: BodyPose, camera: Cameras, charts: Charts, backend: str) -> Geometry:
    """Render a pose and measure the surface that the splats show; on the CPU."""
    gaussians = avatar.pose(pose.to(avatar.device))
    output = render(gaussians, camera.to(avatar.device), backend).to("cpu")
    alpha = output.alpha[0]
    solid = alpha > SOLID
    raw = torch.where(solid, output.depth[0] / alpha.clamp_min(1e-6), 0.0)
    depth, normals = fitted_surface(_without_specks(raw, solid), solid, camera.K[0])
    nearest = _nearest_splats(gaussians.to("cpu"), depth, solid, camera)
    parts, garments = torch.zeros(2, *depth.shape, dtype=torch.int64).unbind()
    chart = torch.zeros(*depth.shape, 2)
    parts[solid], chart[solid], garments[solid] = charts.at(nearest)
    return Geometry(output, depth, normals, parts, chart, garments)


def _without_specks(depth: Float[Tensor, "h w"], solid: Bool[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """Medians instead of the depths of single pixels where one looks through gaps between splats."""
    import cv2

    inside = torch.from_numpy(cv2.erode(solid.numpy().astype(np.uint8), np.ones((SPECK, SPECK), np.uint8))).bool()
    return torch.where(inside, torch.from_numpy(cv2.medianBlur(depth.numpy(), SPECK)), depth)


def fitted_surface(
    depth: Float[Tensor, "h w"], solid: Bool[Tensor, "h w"], K: Float[Tensor, "3 3"]
) -> tuple[Float[Tensor, "h w"], Float[Tensor, "h w 3"]]:
    """The surface that a depth image shows, by a plane in each pixel: its depth and unit normal, towards the camera.

    The reciprocal depth of a plane n.X = d is linear in the pixel: 1/z = n.r/d for the ray r = K^-1 (u, v, 1). So a
    plane through the neighbourhood of each pixel is a weighted linear fit, without bias by perspective; neighbours on
    other surfaces get no weight.

    Args:
        depth: along the optical axis, metres; solid: where it is valid; K: intrinsics, pixels.
    """
    fx, fy, cx, cy = (float(x) for x in (K[0, 0], K[1, 1], K[0, 2], K[1, 2]))
    middle = float(depth[solid].median()) if bool(solid.any()) else 1.0
    radius = min(max(round(PATCH * fx / middle), RADII[0]), RADII[1])
    inverse = torch.where(solid, 1 / depth.clamp_min(1e-6), 0.0)
    padded = [torch.nn.functional.pad(x, [radius] * 4) for x in (depth, inverse, solid.to(depth))]
    height, width = depth.shape
    sums = torch.zeros(9, height, width)
    for dv in range(-radius, radius + 1):
        for du in range(-radius, radius + 1):
            z, value, valid = (x[radius + dv :, radius + du :][:height, :width] for x in padded)
            w = valid * (-0.5 * ((z - depth) / SAME_SURFACE).square() - (du * du + dv * dv) / radius**2).exp()
            monomials = (1.0, du, dv, du * du, du * dv, dv * dv)
            sums += torch.stack([*(w * m for m in monomials), *(w * value * m for m in monomials[:3])])
    sums = sums[:, solid].T
    moments = sums[:, [0, 1, 2, 1, 3, 4, 2, 4, 5]].reshape(-1, 3, 3)
    moments = moments + torch.diag(torch.tensor([0.0, 1e-3, 1e-3]))  # a lone pixel has no slope
    level, gu, gv = torch.linalg.solve(moments, sums[:, 6:, None])[..., 0].unbind(1)
    rows, columns = solid.nonzero(as_tuple=True)
    away = torch.stack([fx * gu, fy * gv, level - gu * (columns + 0.5 - cx) - gv * (rows + 0.5 - cy)], 1)
    normals = torch.zeros(height, width, 3)
    normals[solid] = -torch.nn.functional.normalize(away, dim=1)  # n.r/d is positive: n points away from the camera
    smooth = torch.zeros_like(depth)
    smooth[solid] = 1 / level
    return smooth, normals


def _nearest_splats(
    gaussians: Gaussians, depth: Float[Tensor, "h w"], solid: Bool[Tensor, "h w"], camera: Cameras
) -> Int[Tensor, " pixels"]:
    """Index of the splat nearest to the surface in each solid pixel."""
    from scipy.spatial import cKDTree

    rows, columns = solid.nonzero(as_tuple=True)
    rays = torch.stack([columns + 0.5, rows + 0.5, torch.ones(len(rows))], 1) @ camera.K[0].inverse().T
    T = camera.T_camera_world[0]
    points = (rays * depth[solid][:, None] - T[:3, 3]) @ T[:3, :3]
    opaque = (gaussians.opacities > OPAQUE).nonzero()[:, 0]
    index = cKDTree(gaussians.means[opaque].numpy()).query(points.numpy().astype(np.float64), workers=1)[1]
    return opaque[torch.from_numpy(index)]
