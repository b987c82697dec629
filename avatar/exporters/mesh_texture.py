"""A texture for an exported mesh: charts by xatlas, colours from images of the splats from all sides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from avatar.exporters.surface import FOV, MeshQuality, Surface, surface_normals, views_around
from avatar.geometry import project
from avatar.io.images import to_uint8
from avatar.rendering.camera_paths import orbit
from avatar.rendering.renderer import render
from avatar.runtime.progress import progress
from avatar.types import Cameras, Gaussians

PADDING = 4  # pixels between charts
HEAD_ENLARGED = 2.0  # the head gets as many pixels as if it were this many times as large
FINER = 1.5  # images for the texture, compared with the depth maps
AROUND = 3  # the views for each image from the level of the eyes, and for each of the head
SLANT = 0.25  # cosine below which a view does not see a texel
SHARPNESS = 10  # the exponent of that cosine: the view from straight ahead counts most
LEVEL = 4  # the exponent of the squared cosine of the elevation: people are filmed from about the level of their eyes
VISIBLE = 0.02  # metres between the surface and what an image shows there
COVERED = 0.8
TEXELS_AT_ONCE = 1 << 18


@dataclass(frozen=True)
class Unwrapped:
    """A mesh cut along the seams of its charts.

    Attributes:
        source: for each vertex the one of the surface that it comes from.
        faces: its triangles, in the order of the surface's.
        uv: places in the texture in [0, 1], from the upper left corner.
    """

    source: Int[Tensor, "v"]
    faces: Int[Tensor, "f 3"]
    uv: Float[Tensor, "v 2"]


@dataclass(frozen=True)
class Texels:
    """The pixels of a texture that lie on the surface.

    Attributes:
        pixel: row by row; position, normal: of the surface there, metres.
    """

    pixel: Int[Tensor, " n"]
    position: Float[Tensor, "n 3"]
    normal: Float[Tensor, "n 3"]


def unwrapped(surface: Surface, head: Float[Tensor, " v"], side: int) -> Unwrapped:
    """Charts of the surface; `head` in [0, 1] says where it is the head, which gets more of the texture."""
    import xatlas

    center = (surface.vertices * head[:, None]).sum(0) / head.sum().clamp_min(1e-6)
    larger = surface.vertices + (HEAD_ENLARGED - 1) * head[:, None] * (surface.vertices - center)
    atlas = xatlas.Atlas()
    atlas.add_mesh(larger.numpy(), surface.faces.numpy().astype(np.uint32))
    packing = xatlas.PackOptions()
    packing.resolution, packing.padding, packing.bilinear = side, PADDING, True
    atlas.generate(pack_options=packing)
    source, faces, uv = atlas[0]
    return Unwrapped(*(torch.from_numpy(array.astype(kind)) for array, kind in
                       ((source, np.int64), (faces, np.int64), (uv, np.float32))))  # fmt: skip


def texels_of(surface: Surface, chart: Unwrapped, side: int) -> Texels:
    """Where the pixels of the charts lie on the surface."""
    import cv2

    corners = chart.uv[chart.faces] * side - 0.5  # pixel centres are whole numbers for OpenCV
    owner = np.full((side, side), -1, np.int32)
    for index, polygon in enumerate((corners.numpy() * 16).round().astype(np.int32)):
        cv2.fillConvexPoly(owner, polygon, index, shift=4)
    pixel = torch.from_numpy(np.flatnonzero(owner >= 0))
    face = torch.from_numpy(owner.reshape(-1))[pixel].long()
    place = torch.stack([pixel % side, pixel // side], dim=-1).float()
    a, b, c = corners[face].unbind(1)
    area = _cross(b - a, c - a)
    bary = torch.stack([_cross(b - place, c - place), _cross(c - place, a - place)], dim=-1)
    bary = bary / torch.where(area.abs() < 1e-9, 1.0, area)[:, None]
    # Pixels on an edge may have their centres outside.
    bary = torch.cat([bary, 1 - bary.sum(1, keepdim=True)], dim=1).clamp(0, 1)
    bary = bary / bary.sum(1, keepdim=True)
    vertices = chart.source[chart.faces[face]]
    normals = surface_normals(surface)
    position, normal = (torch.einsum("nc,ncx->nx", bary, values[vertices]) for values in (surface.vertices, normals))
    return Texels(pixel, position, F.normalize(normal, dim=-1))


def _cross(a: Float[Tensor, "n 2"], b: Float[Tensor, "n 2"]) -> Float[Tensor, " n"]:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


@torch.no_grad()
def baked(
    surface: Surface, chart: Unwrapped, head: Float[Tensor, " v"], gaussians: Gaussians, quality: MeshQuality
) -> UInt8[np.ndarray, "side side 3"]:
    """The texture: means of images of the splats, weighted by how straight and how closely they see each texel.

    Args:
        head: in [0, 1], where the surface is the head, of which there are images of its own.
        gaussians: in the pose of the surface.
    """
    texels = texels_of(surface, chart, quality.texture)
    total, weight = torch.zeros(len(texels.pixel), 3), torch.zeros(len(texels.pixel))
    for camera in progress(_cameras(surface, head, quality), "texture"):
        _add_view(texels, camera, gaussians, total, weight)
    colors = total / weight.clamp_min(1e-12)[:, None]
    hidden = weight < 1e-9  # armpits, soles, between fingers
    colors[hidden] = _nearest_colors(texels.position[hidden], gaussians)
    return _filled(to_uint8(colors), texels.pixel.numpy(), quality.texture)


def _cameras(surface: Surface, head: Float[Tensor, " v"], quality: MeshQuality) -> list[Cameras]:
    """Cameras on a sphere around the person, in a ring around the person, and in one around the head."""
    height, count = round(quality.height * FINER), quality.views // AROUND
    points, of_head = surface.vertices, surface.vertices[head > 0.5]
    views = [views_around(points.amin(0), points.amax(0), quality.views - count, height)]
    views += [
        orbit(part.amin(0), part.amax(0), count, 3 * height // 4, height, elevation=0.0, fov=FOV)
        for part in (points, of_head)
        if len(part)
    ]
    return [cameras[index] for cameras in views for index in range(len(cameras))]


def _add_view(
    texels: Texels, camera: Cameras, gaussians: Gaussians, total: Float[Tensor, "n 3"], weight: Float[Tensor, " n"]
) -> None:
    """Add the colours of one image to the texels that it shows."""
    output = render(gaussians, camera)
    T = camera.T_camera_world[0]
    eye = -T[:3, :3].T @ T[:3, 3]
    alpha = output.alpha[0]
    straight = output.rgb[0] / alpha.clamp_min(1e-4)[..., None]
    depth = torch.where(alpha > COVERED, output.depth[0] / alpha.clamp_min(1e-4), 0.0)
    away = F.normalize(eye - texels.position, dim=-1)
    cosine = torch.einsum("nx,nx->n", texels.normal, away)
    level = (1 - away[:, 1].square()) ** LEVEL
    for part in (cosine > SLANT).nonzero()[:, 0].split(TEXELS_AT_ONCE):
        pixels, z = project(camera.K[0], T, texels.position[part])
        inside = (pixels >= 0).all(1) & (pixels < pixels.new_tensor([camera.width, camera.height])).all(1)
        part, pixels, z = part[inside], pixels[inside], z[inside]
        column, row = pixels.long().unbind(1)
        visible = (depth[row, column] - z).abs() < VISIBLE
        part, pixels, z = part[visible], pixels[visible], z[visible]
        share = level[part] * cosine[part] ** SHARPNESS * (camera.K[0, 0, 0] / z / 1000).square()
        total.index_add_(0, part, share[:, None] * _bilinear(straight, pixels))
        weight.index_add_(0, part, share)


def _bilinear(image: Float[Tensor, "h w 3"], pixels: Float[Tensor, "n 2"]) -> Float[Tensor, "n 3"]:
    grid = pixels / pixels.new_tensor([image.shape[1], image.shape[0]]) * 2 - 1
    colors = image.permute(2, 0, 1)[None]
    return F.grid_sample(colors, grid[None, None], padding_mode="border", align_corners=False)[0, :, 0].T


def _nearest_colors(points: Float[Tensor, "n 3"], gaussians: Gaussians) -> Float[Tensor, "n 3"]:
    from scipy.spatial import cKDTree

    return gaussians.colors[torch.from_numpy(cKDTree(gaussians.means.numpy()).query(points.numpy())[1])]


def _filled(
    colors: UInt8[np.ndarray, "n 3"], pixel: Int[np.ndarray, " n"], side: int
) -> UInt8[np.ndarray, "side side 3"]:
    """The texture with the colours of the charts continued over the gaps, which filtering and mipmaps blend in."""
    from scipy.ndimage import distance_transform_edt

    index = np.full(side * side, -1)
    index[pixel] = np.arange(len(pixel))
    nearest = distance_transform_edt(index.reshape(side, side) < 0, return_distances=False, return_indices=True)
    texture: np.ndarray = colors[index.reshape(side, side)[tuple(nearest)]]
    return texture
