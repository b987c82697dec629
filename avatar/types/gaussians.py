"""Splats in the world, and images of them. Conventions: see `avatar.types`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from avatar.geometry import quat_from_rotation, quat_multiply, rotation_from_quat, transform


@dataclass(frozen=True)
class Gaussians:
    """Splats in the world, activated.

    Attributes:
        means: centres, metres.
        quats: orientations, wxyz, unit length.
        scales: standard deviations along the local axes, metres.
        opacities: in [0, 1].
        colors: sRGB in [0, 1], as they shine from everywhere.
    """

    means: Float[Tensor, "n 3"]
    quats: Float[Tensor, "n 4"]
    scales: Float[Tensor, "n 3"]
    opacities: Float[Tensor, " n"]
    colors: Float[Tensor, "n 3"]

    def __len__(self) -> int:
        return self.means.shape[0]

    @staticmethod
    def cat(parts: Sequence[Gaussians]) -> Gaussians:
        """All of these together, in this order, as one image shows them; at least one."""
        return Gaussians(
            *(torch.cat([getattr(part, name) for part in parts]) for name in parts[0].__dataclass_fields__)
        )

    def where(self, chosen: Bool[Tensor, " n"]) -> Gaussians:
        """Some of the Gaussians."""
        return Gaussians(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))

    @property
    def inner_box(self) -> tuple[Float[Tensor, " 3"], Float[Tensor, " 3"]]:
        """Opposite corners of all but the outermost hundredth of the centres on each side."""
        ordered = self.means.sort(dim=0).values
        cut = len(self) // 100
        return ordered[cut], ordered[len(self) - 1 - cut]

    @property
    def rotations(self) -> Float[Tensor, "n 3 3"]:
        """The orientations as matrices, whose columns are the local axes."""
        return rotation_from_quat(self.quats)

    def stretched(self, factors: Float[Tensor, " 3"]) -> Gaussians:
        """The same Gaussians in a space that is larger by a factor along each axis."""
        axes, scales, _ = torch.linalg.svd(factors[:, None] * self.rotations * self.scales[:, None])
        proper = axes * torch.linalg.det(axes).sign()[:, None, None]
        return replace(self, means=self.means * factors, quats=quat_from_rotation(proper), scales=scales)

    def moved(self, T_world_own: Float[Tensor, "4 4"]) -> Gaussians:
        """The same Gaussians carried along by a rigid transform."""
        turn = quat_from_rotation(T_world_own[:3, :3]).expand_as(self.quats)
        return replace(self, means=transform(T_world_own, self.means), quats=quat_multiply(turn, self.quats))

    def to(self, device: torch.device | str) -> Gaussians:
        """The same Gaussians on another device."""
        return Gaussians(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))

    def detach(self) -> Gaussians:
        """The same Gaussians without gradients."""
        return Gaussians(*(getattr(self, name).detach() for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class RenderOutput:
    """Rendered images of Gaussians, one per camera, without a background.

    Attributes:
        rgb: colour premultiplied by alpha (that is, on black).
        alpha: coverage in [0, 1].
        depth: expected depth along the optical axis, metres, premultiplied by alpha.
    """

    rgb: Float[Tensor, "cameras h w 3"]
    alpha: Float[Tensor, "cameras h w"]
    depth: Float[Tensor, "cameras h w"]

    def to(self, device: torch.device | str) -> RenderOutput:
        """The same images on another device."""
        return RenderOutput(self.rgb.to(device), self.alpha.to(device), self.depth.to(device))

    def composite(self, background: Float[Tensor, " 3"] | Sequence[float]) -> Float[Tensor, "cameras h w 3"]:
        """The images over one background colour."""
        color = torch.as_tensor(background, dtype=self.rgb.dtype, device=self.rgb.device)
        return self.rgb + (1 - self.alpha[..., None]) * color

    def on_white(self) -> Float[Tensor, "cameras h w 3"]:
        """The images over white."""
        return self.composite((1.0, 1.0, 1.0))
