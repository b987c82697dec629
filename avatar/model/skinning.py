"""From the rest pose into the world: place, orientation and colour of each Gaussian, with the skin and in the light."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from avatar.geometry import quat_multiply, rotation_from_quat
from avatar.model.lighting import gains


@dataclass(frozen=True)
class CanonicalSurface:
    """What the body at rest is at each Gaussian; it changes only with the body and the Gaussian's triangle.

    Attributes:
        anchors: the fixed points on the triangles, metres.
        frames: the triangles' frames, columns tangent, bitangent and normal; quats: the same as quaternions.
        normals: unit normals of the smooth surface.
        weights: skinning weights.
    """

    anchors: Float[Tensor, "n 3"]
    frames: Float[Tensor, "n 3 3"]
    quats: Float[Tensor, "n 4"]
    normals: Float[Tensor, "n 3"]
    weights: Float[Tensor, "n joints"]

    @cached_property
    def sparse_weights(self) -> tuple[Int[Tensor, " starts"], Int[Tensor, " k"], Float[Tensor, " k"]]:
        """The weights that are not zero: where each Gaussian's begin, and of each the joint and the weight."""
        gaussian, joint = self.weights.nonzero(as_tuple=True)
        count = torch.bincount(gaussian, minlength=len(self.weights))
        return torch.cat([count.new_zeros(1), count.cumsum(0)]), joint, self.weights[gaussian, joint]

    def means(self, offset: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        """Centres of Gaussians that stand off the anchors by `offset`, given in the triangles' frames."""
        return self.anchors + (self.frames * offset[:, None]).sum(-1)


@dataclass(frozen=True)
class SkinnedGaussians:
    """Gaussians in the world; see `avatar.types.Gaussians`."""

    means: Float[Tensor, "n 3"]
    quats: Float[Tensor, "n 4"]
    colors: Float[Tensor, "n 3"]


@dataclass(frozen=True)
class GaussianAttributes:
    """What a Gaussian is by itself, before skin and light.

    Attributes:
        offset: from the anchor, in the triangle's frame, metres; quats: relative to that frame, of any length.
        colors: own sRGB; displacement: of this pose, in the rest frame, metres; brightness: of this pose, log gain.
    """

    offset: Float[Tensor, "n 3"]
    quats: Float[Tensor, "n 4"]
    colors: Float[Tensor, "n 3"]
    displacement: Float[Tensor, "n 3"] | None = None
    brightness: Float[Tensor, " n"] | None = None


def skin_gaussians(
    surface: CanonicalSurface,
    own: GaussianAttributes,
    motions: Float[Tensor, "joints 16"],
    light: Float[Tensor, "8 3"] | None,
) -> SkinnedGaussians:
    """Skin the centres, turn the orientations and light the colours; differentiable in all but the surface.

    On the CPU in float32 it runs fused in compiled code; elsewhere `skin_gaussians_torch` computes the same.

    Args:
        motions: of the joints, see `avatar.model.joint_transforms`. Transforms are blended by weight, and so are the
            quaternions, since that keeps a rotation where blending matrices would not (Kavan et al. 2007).
        light: the coefficients of `avatar.model.lighting.gains`; None for the plain colours.
    """
    if own.offset.device.type != "cpu" or own.offset.dtype != torch.float32:
        return skin_gaussians_torch(surface, own, motions, light)
    from avatar.kernels.skinning import Carry

    empty = own.offset.new_zeros(0, 3)
    inputs = [
        surface.anchors, surface.frames, surface.quats, surface.normals, *surface.sparse_weights, motions,
        own.offset, own.quats, own.colors,
        empty if own.displacement is None else own.displacement,
        empty[:, 0] if own.brightness is None else own.brightness,
        empty if light is None else light,
    ]  # fmt: skip
    return SkinnedGaussians(*Carry.apply(*(tensor.contiguous() for tensor in inputs)))


def skin_gaussians_torch(
    surface: CanonicalSurface,
    own: GaussianAttributes,
    motions: Float[Tensor, "joints 16"],
    light: Float[Tensor, "8 3"] | None,
) -> SkinnedGaussians:
    """The same as `skin_gaussians`, in tensors, for any device and floating type."""
    blended = surface.weights @ motions
    transform, turn = blended[:, :12].unflatten(1, (3, 4)), F.normalize(blended[:, 12:], dim=-1)
    rest, colors = surface.means(own.offset), own.colors
    if own.displacement is not None:
        rest = rest + own.displacement
    if own.brightness is not None:
        colors = colors * own.brightness.exp()[:, None]
    if light is not None:
        normals = (rotation_from_quat(turn) @ surface.normals[..., None]).squeeze(-1)
        colors = colors * gains(normals, light)
    return SkinnedGaussians(
        means=(transform[..., :3] @ rest[..., None]).squeeze(-1) + transform[..., 3],
        quats=quat_multiply(turn, quat_multiply(surface.quats, F.normalize(own.quats, dim=-1))),
        colors=colors.clamp(max=1.0),
    )
