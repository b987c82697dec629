"""The terms of training, each pure and unreduced over what it is about; `train` weighs them in one place."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatar.model.gaussians import TriangleGaussians
from avatar.types import RenderOutput


@dataclass(frozen=True)
class PhotometricLoss:
    """A rendered picture beside the true one, both on one background.

    Attributes:
        difference: absolute, of the colours, times the trust in each pixel; mean over pixels and channels.
        coverage: absolute difference of the rendered coverage and the person's mask, mean over pixels.
        shown, truth: the two pictures on the background.
    """

    difference: Float[Tensor, ""]
    coverage: Float[Tensor, ""]
    shown: Float[Tensor, "h w 3"]
    truth: Float[Tensor, "h w 3"]


def photometric_loss(
    out: RenderOutput,
    image: Float[Tensor, "h w 3"],
    mask: Float[Tensor, "h w"],
    background: Float[Tensor, " 3"],
    trust: Float[Tensor, "h w"] | None = None,
) -> PhotometricLoss:
    """Compare the picture of one camera with the true one; differentiable in the rendered picture.

    On the CPU in float32 it runs in compiled code; elsewhere `photometric_loss_torch` computes the same.

    Args:
        out: of one camera; image: straight colours; mask: the person's coverage; background: colour behind both.
        trust: in each pixel of the picture, in [0, 1]; None: all wholly.
    """
    if out.rgb.device.type != "cpu" or out.rgb.dtype != torch.float32:
        return photometric_loss_torch(out, image, mask, background, trust)
    from avatar.kernels import losses as losses_cpu

    trusted = mask.new_zeros(0) if trust is None else trust
    return PhotometricLoss(
        *losses_cpu.Compare.apply(out.rgb.squeeze(0), out.alpha.squeeze(0), image, mask, background, trusted)
    )


def photometric_loss_torch(
    out: RenderOutput,
    image: Float[Tensor, "h w 3"],
    mask: Float[Tensor, "h w"],
    background: Float[Tensor, " 3"],
    trust: Float[Tensor, "h w"] | None = None,
) -> PhotometricLoss:
    """The same as `photometric_loss`, for any device and floating type."""
    shown, truth = out.composite(background)[0], image * mask[..., None] + (1 - mask[..., None]) * background
    difference = (shown - truth).abs()
    if trust is not None:
        difference = difference * trust[..., None]
    return PhotometricLoss(difference.mean(), (out.alpha[0] - mask).abs().mean(), shown, truth)


def stiffness(gaussians: TriangleGaussians, reach: float) -> Float[Tensor, " n"]:
    """Squared offset from the surface in units of `reach` metres: loose Gaussians drift and tear in new poses."""
    return (gaussians.offset / reach).square().sum(-1)


def oversize(gaussians: TriangleGaussians, largest: float) -> Float[Tensor, "n 3"]:
    """How far each log scale exceeds that of `largest` metres."""
    return (gaussians.log_scales - torch.log(gaussians.log_scales.new_tensor(largest))).clamp_min(0)


def thickness(gaussians: TriangleGaussians, flatness: float) -> Float[Tensor, " n"]:
    """How far the thinnest axis exceeds `flatness` times the middle one, in log scale: splats are patches."""
    ordered = gaussians.log_scales.sort(dim=-1).values
    log_flatness = torch.log(ordered.new_tensor(flatness))
    return (ordered[:, 0] - ordered[:, 1] - log_flatness).clamp_min(0)


def roughness(values: Float[Tensor, "n k"], neighbors: Int[Tensor, "n m"]) -> Float[Tensor, "n k"]:
    """Squared difference of each Gaussian's values from the mean of its neighbours'."""
    # Neighbour by neighbour: the gradient of indexing by a whole matrix takes three times as long.
    around = torch.stack([values.index_select(0, nearest) for nearest in neighbors.unbind(1)]).mean(0)
    return (values - around).square()


@dataclass(frozen=True)
class SplatPriors:
    """What is believed of splats on a surface, all of them together.

    Attributes:
        stiffness, oversize, thickness, roughness: what the means of the terms of these names count; roughness is that
            of the offsets, in units of `reach`.
        reach: metres; largest: the greatest usual scale, metres; flatness: see `thickness`.
    """

    stiffness: float
    oversize: float
    thickness: float
    roughness: float
    reach: float
    largest: float
    flatness: float = 0.5

    def __call__(self, gaussians: TriangleGaussians, neighbors: Int[Tensor, "n m"]) -> Float[Tensor, ""]:
        """The weighted sum; on the CPU in compiled code, elsewhere by `in_tensors`."""
        if gaussians.offset.device.type != "cpu" or gaussians.offset.dtype != torch.float32:
            return self.in_tensors(gaussians, neighbors)
        from avatar.kernels import losses as losses_cpu

        count = max(len(gaussians.offset), 1)
        numbers = (
            self.stiffness / self.reach**2 / count, self.oversize / (3 * count), self.thickness / count,
            self.roughness / self.reach**2 / (3 * count), math.log(self.largest), math.log(self.flatness),
        )  # fmt: skip
        total: Tensor = losses_cpu.SplatPriors.apply(gaussians.offset, gaussians.log_scales, neighbors, *numbers)
        return total

    def in_tensors(self, gaussians: TriangleGaussians, neighbors: Int[Tensor, "n m"]) -> Float[Tensor, ""]:
        """The same, for any device and floating type."""
        return (
            self.stiffness * stiffness(gaussians, self.reach).mean()
            + self.oversize * oversize(gaussians, self.largest).mean()
            + self.thickness * thickness(gaussians, self.flatness).mean()
            + self.roughness * roughness(gaussians.offset / self.reach, neighbors).mean()
        )


def acceleration(values: Float[Tensor, "instants *k"]) -> Float[Tensor, "inner *k"]:
    """Second difference over time, squared."""
    return (values[2:] - 2 * values[1:-1] + values[:-2]).square()
