"""Canonical Gaussians that sit on the triangles of a body at rest.

Each Gaussian has a parent triangle. Its centre is a fixed point of the triangle (barycentric) plus a learned offset
in the triangle's own frame (tangent, bitangent, normal), its orientation is relative to that frame. So it follows
any change of the body's shape, and a stiff offset keeps it on the body.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from avatar.geometry import quat_from_rotation, quat_multiply, vertex_normals

# Thickness of a new Gaussian relative to its width: a surface, not a cloud.
FLATNESS = 0.25
INITIAL_OPACITY = 0.9
PARAMETERS = ("offset", "log_scales", "quats", "logit_opacities", "raw_colors")


@dataclass(frozen=True)
class TriangleFrames:
    """Frames of all triangles of a mesh at rest.

    Attributes:
        vertices: corners of each triangle, metres.
        rotation: columns are tangent, bitangent and outward normal.
        corner_normals: unit normals of the smooth surface at the corners.
        area: square metres.
    """

    vertices: Float[Tensor, "faces 3 3"]
    rotation: Float[Tensor, "faces 3 3"]
    corner_normals: Float[Tensor, "faces 3 3"]
    area: Float[Tensor, " faces"]


def triangle_frames(vertices: Float[Tensor, "v 3"], faces: Int[Tensor, "f 3"]) -> TriangleFrames:
    """The frames of a mesh's triangles; the tangent runs along the first edge."""
    corners = vertices[faces]
    a, b, c = corners.unbind(1)
    cross = torch.linalg.cross(b - a, c - a)
    normal = F.normalize(cross, dim=-1)
    tangent = F.normalize(b - a, dim=-1)
    rotation = torch.stack([tangent, torch.linalg.cross(normal, tangent), normal], dim=-1)
    return TriangleFrames(corners, rotation, vertex_normals(vertices, faces)[faces], cross.norm(dim=-1) / 2)


class TriangleGaussians(nn.Module):
    """The raw parameters of n Gaussians on triangles, and their activated values in the rest frame.

    Attributes:
        face, bary: parent triangle and the fixed point on it.
        offset: learned displacement in the triangle's frame, metres.
        observed: how well the images show each Gaussian, in [0, 1].
    """

    face: Tensor
    bary: Tensor
    observed: Tensor

    def __init__(
        self,
        face: Int[Tensor, " n"],
        bary: Float[Tensor, "n 3"],
        scales: Float[Tensor, "n 3"],
        colors: Float[Tensor, "n 3"],
    ) -> None:
        super().__init__()
        count = face.shape[0]
        self.register_buffer("face", face)
        self.register_buffer("bary", bary)
        self.register_buffer("observed", bary.new_zeros(count))
        self.offset = nn.Parameter(bary.new_zeros(count, 3))
        self.log_scales = nn.Parameter(scales.log())
        self.quats = nn.Parameter(bary.new_tensor([1.0, 0, 0, 0]).repeat(count, 1))
        self.logit_opacities = nn.Parameter(torch.logit(bary.new_full((count,), INITIAL_OPACITY)))
        self.raw_colors = nn.Parameter(torch.logit(colors.clamp(0.01, 0.99)))

    def __len__(self) -> int:
        return self.face.shape[0]

    @property
    def scales(self) -> Float[Tensor, "n 3"]:
        """Standard deviations along the axes, metres."""
        return self.log_scales.exp()

    @property
    def opacities(self) -> Float[Tensor, " n"]:
        """Opacities in [0, 1]."""
        return self.logit_opacities.sigmoid()

    @property
    def colors(self) -> Float[Tensor, "n 3"]:
        """Own colours, sRGB, as in neutral light."""
        return self.raw_colors.sigmoid()

    def anchors(self, frames: TriangleFrames) -> Float[Tensor, "n 3"]:
        """The fixed points on the triangles, in the rest frame, metres."""
        return torch.einsum("nc,ncx->nx", self.bary, frames.vertices[self.face])

    def means(self, frames: TriangleFrames) -> Float[Tensor, "n 3"]:
        """Centres in the rest frame, metres."""
        return self.anchors(frames) + torch.einsum("nxy,ny->nx", frames.rotation[self.face], self.offset)

    def orientations(self, frame_quats: Float[Tensor, "n 4"]) -> Float[Tensor, "n 4"]:
        """Unit quaternions in the rest frame, given those of the parent triangles' frames."""
        return quat_multiply(frame_quats, F.normalize(self.quats, dim=-1))

    def normals(self, frames: TriangleFrames) -> Float[Tensor, "n 3"]:
        """Unit normals of the smooth rest surface under each Gaussian."""
        return F.normalize(torch.einsum("nc,ncx->nx", self.bary, frames.corner_normals[self.face]), dim=-1)

    def frame_quats(self, frames: TriangleFrames) -> Float[Tensor, "n 4"]:
        """Orientations of the parent triangles' frames."""
        return quat_from_rotation(frames.rotation[self.face])


def evenly_spread_faces(frames: TriangleFrames, count: int) -> Int[Tensor, " {count}"]:
    """Triangles at even steps of the surface's area, so that each stands for as much of it as any other."""
    total = frames.area.cumsum(0)
    steps = (torch.arange(count, device=total.device) + 0.5) / count * total[-1]
    return torch.searchsorted(total, steps.to(total)).clamp(max=len(total) - 1)


def sample_on_surface(
    frames: TriangleFrames, density: Float[Tensor, " faces"], count: int, generator: torch.Generator
) -> TriangleGaussians:
    """Spread grey Gaussians over a surface, their number by `density` times area, their size by their spacing."""
    share = frames.area * density
    # Stratified: evenly spaced points on the cumulated share, so that no patch stays bare by chance.
    steps = (torch.arange(count) + torch.rand(count, generator=generator)) / count
    face = torch.searchsorted(share.cumsum(0) / share.sum(), steps.to(share)).clamp(max=len(share) - 1)
    u, v = torch.rand(2, count, generator=generator).to(share)
    root = u.sqrt()
    bary = torch.stack([1 - root, root * (1 - v), root * v], dim=-1)
    spacing = (share.sum() / count / density[face]).sqrt()
    scales = spacing[:, None] * 0.6 * torch.tensor([1.0, 1.0, FLATNESS]).to(share)
    return TriangleGaussians(face, bary, scales, torch.full((count, 3), 0.5).to(share))
