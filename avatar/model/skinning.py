"""Skins Gaussians: position, orientation and colour of each in the world, for one pose and in the light."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from avatar.kernels.dispatch import compiled_by
from avatar.model.lighting import irradiance_gain
from avatar.model.rotation_tables import quat_multiply, rotate


@dataclass(frozen=True)
class CanonicalSurface:
    """The body at rest under each Gaussian; it changes only with the body and the Gaussian's triangle.

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
        """The nonzero weights: where each Gaussian's begin (one more at the end), and joint and value of each."""
        gaussian, joint = self.weights.nonzero(as_tuple=True)
        count = torch.bincount(gaussian, minlength=len(self.weights))
        return torch.cat([count.new_zeros(1), count.cumsum(0)]), joint, self.weights[gaussian, joint]

    def means(self, offset: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
        """Centres of Gaussians displaced from the anchors by `offset`, given in the triangles' frames, metres."""
        return self.anchors + (self.frames * offset[:, None]).sum(-1)


@dataclass(frozen=True)
class SkinnedGaussians:
    """Gaussians in the world; see `avatar.types.Gaussians`."""

    means: Float[Tensor, "n 3"]
    quats: Float[Tensor, "n 4"]
    colors: Float[Tensor, "n 3"]


@dataclass(frozen=True)
class GaussianAttributes:
    """The Gaussians' own values, before skinning and light.

    Attributes:
        offset: from the anchor, in the triangle's frame, metres; quats: relative to that frame, of any length.
        colors: own sRGB, in [0, 1].
        displacement: pose-dependent, in the rest frame, metres; brightness: pose-dependent log gain.
    """

    offset: Float[Tensor, "n 3"]
    quats: Float[Tensor, "n 4"]
    colors: Float[Tensor, "n 3"]
    displacement: Float[Tensor, "n 3"] | None = None
    brightness: Float[Tensor, " n"] | None = None


def _skin_gaussians_compiled(
    surface: CanonicalSurface,
    own: GaussianAttributes,
    joints: Float[Tensor, "joints 16"],
    light: Float[Tensor, "8 3"] | None,
) -> SkinnedGaussians:
    from avatar.kernels.skinning import SkinGaussians

    empty = own.offset.new_zeros(0, 3)
    inputs = [
        surface.anchors, surface.frames, surface.quats, surface.normals, *surface.sparse_weights, joints,
        own.offset, own.quats, own.colors,
        empty if own.displacement is None else own.displacement,
        empty[:, 0] if own.brightness is None else own.brightness,
        empty if light is None else light,
    ]  # fmt: skip
    return SkinnedGaussians(*SkinGaussians.apply(*(tensor.contiguous() for tensor in inputs)))  # type: ignore[no-untyped-call]  # torch's


@compiled_by(_skin_gaussians_compiled)
def skin_gaussians(
    surface: CanonicalSurface,
    own: GaussianAttributes,
    joints: Float[Tensor, "joints 16"],
    light: Float[Tensor, "8 3"] | None,
) -> SkinnedGaussians:
    """Skin the centres, rotate the orientations and light the colours; differentiable in all but the surface.

    Transforms are blended by skinning weight, and so are the quaternions, since that keeps rotations rigid where
    blended matrices would not be (Kavan et al. 2007).

    Args:
        joints: transforms and quaternions of the joints, see `avatar.model.joint_transforms`.
        light: coefficients of `avatar.model.lighting.irradiance_gain`; None for the plain colours.
    """
    blended = surface.weights @ joints
    transform, rotation = blended[:, :12].unflatten(1, (3, 4)), F.normalize(blended[:, 12:], dim=-1)
    rest, colors = surface.means(own.offset), own.colors
    if own.displacement is not None:
        rest = rest + own.displacement
    if own.brightness is not None:
        colors = colors * own.brightness.exp()[:, None]
    if light is not None:
        colors = colors * irradiance_gain(rotate(rotation, surface.normals), light)
    return SkinnedGaussians(
        means=(transform[..., :3] @ rest[..., None]).squeeze(-1) + transform[..., 3],
        quats=quat_multiply(rotation, quat_multiply(surface.quats, F.normalize(own.quats, dim=-1))),
        colors=colors.clamp(max=1.0),
    )
