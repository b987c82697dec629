"""The terms of the training loss, unweighted; `avatar.training.trainer` weights and adds them in one place."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from avatar.kernels.dispatch import compiled_by
from avatar.model.gaussians import TriangleGaussians
from avatar.training.config import TrainConfig
from avatar.types import RenderOutput

# Half the width of a mask's border that the image corrects, relative to the long side of the cropped image, and the
# weight of the mask away from it.
BORDER, HINT = 0.05, 0.25
SURELY_KNOWN = 0.99  # of a background that was scaled


@dataclass(frozen=True)
class PhotometricLoss:
    """A rendered image compared with the real one, both on one background.

    Attributes:
        l1: absolute colour error times the trust in each pixel, mean over pixels and channels.
        mask: absolute error of the rendered coverage against the person mask, mean over pixels.
        rendered, target: the two images on the background.
    """

    l1: Float[Tensor, ""]
    mask: Float[Tensor, ""]
    rendered: Float[Tensor, "h w 3"]
    target: Float[Tensor, "h w 3"]


def _photometric_loss_compiled(
    out: RenderOutput,
    image: Float[Tensor, "h w 3"],
    mask: Float[Tensor, "h w"],
    background: Float[Tensor, " 3"],
    trust: Float[Tensor, "h w"] | None = None,
) -> PhotometricLoss:
    from avatar.kernels.losses import Photometric

    weights = mask.new_zeros(0) if trust is None else trust
    return PhotometricLoss(
        *Photometric.apply(out.rgb.squeeze(0), out.alpha.squeeze(0), image, mask, background, weights)  # type: ignore[no-untyped-call]  # torch's
    )


@compiled_by(_photometric_loss_compiled)
def photometric_loss(
    out: RenderOutput,
    image: Float[Tensor, "h w 3"],
    mask: Float[Tensor, "h w"],
    background: Float[Tensor, " 3"],
    trust: Float[Tensor, "h w"] | None = None,
) -> PhotometricLoss:
    """Compare the rendered image of one camera with the real one; differentiable in the rendered image.

    Args:
        out: of one camera.
        image: real image, straight colours; mask: coverage of the person in it, in [0, 1].
        background: colour behind both images.
        trust: weight of each pixel's colour, in [0, 1]; None weights all by 1. Where it is 0, something hides the
            person: the rendered image takes the target's value, and the coverage does not count either.
    """
    # Squeezed and not indexed, whose gradient would be two launches more on a GPU.
    rendered, alpha = out.composite(background).squeeze(0), out.alpha.squeeze(0)
    target = torch.lerp(background.expand_as(image), image, mask[..., None])
    coverage = (alpha - mask).abs()
    if trust is None:
        return PhotometricLoss((rendered - target).abs().mean(), coverage.mean(), rendered, target)
    hidden = trust == 0
    rendered = torch.where(hidden[..., None], target, rendered)
    error = (rendered - target).abs() * trust[..., None]
    return PhotometricLoss(error.mean(), torch.where(hidden, 0.0, coverage).mean(), rendered, target)


def scene_loss(
    out: RenderOutput,
    image: Float[Tensor, "h w 3"],
    mask: Float[Tensor, "h w"],
    background: Float[Tensor, " 3"],
    behind: Float[Tensor, "h w 4"],
    trust: Float[Tensor, "h w"] | None = None,
    size: int | None = None,
) -> PhotometricLoss:
    """`photometric_loss` with the avatar over the scene's own background, where it is known.

    The mask counts but for its border, which the image corrects.

    Args:
        background: colour where the background is not known; behind: colours, and 1 where they are known.
        size: longer side of the image cut to the person, pixels; None: of these images.
    """
    known = behind[..., 3:] > SURELY_KNOWN
    color = torch.where(known, behind[..., :3], background)
    rendered = out.rgb[0] + (1 - out.alpha[0, ..., None]) * color
    target = torch.where(known, image, torch.lerp(background.expand_as(image), image, mask[..., None]))
    width = 2 * round(BORDER * (size or max(mask.shape))) + 1
    near = F.avg_pool2d(mask[None, None], width, 1, width // 2, count_include_pad=False)[0, 0]
    border = (near - near.round()).abs() > 0.01
    coverage = torch.where(border & known[..., 0], 0.0, (out.alpha[0] - mask).abs())
    if trust is not None:
        hidden = trust == 0
        rendered, coverage = torch.where(hidden[..., None], target, rendered), torch.where(hidden, 0.0, coverage)
    error = (rendered - target).abs()
    error = error if trust is None else error * trust[..., None]
    return PhotometricLoss(error.mean(), HINT * coverage.mean(), rendered, target)


def offset_l2(gaussians: TriangleGaussians, offset_sigma: float) -> Float[Tensor, " n"]:
    """Squared offset from the surface in units of `offset_sigma` m: loose Gaussians drift and tear in new poses."""
    return (gaussians.offset / offset_sigma).square().sum(-1)


def scale_limit(gaussians: TriangleGaussians, max_scale: float) -> Float[Tensor, "n 3"]:
    """How far each log scale exceeds that of `max_scale` metres."""
    return (gaussians.log_scales - math.log(max_scale)).clamp_min(0)


def flatness(gaussians: TriangleGaussians, max_thickness: float) -> Float[Tensor, " n"]:
    """How far the thinnest axis exceeds `max_thickness` times the middle one, in log scale: splats are flat patches."""
    ordered = gaussians.log_scales.sort(dim=-1).values
    return (ordered[:, 0] - ordered[:, 1] - math.log(max_thickness)).clamp_min(0)


def offset_smoothness(values: Float[Tensor, "n k"], neighbors: Int[Tensor, "n m"]) -> Float[Tensor, "n k"]:
    """Squared difference of each Gaussian's values from the mean of its neighbours'."""
    # Neighbour by neighbour: the gradient of indexing by a whole matrix takes three times as long.
    around = torch.stack([values.index_select(0, nearest) for nearest in neighbors.unbind(1)]).mean(0)
    return (values - around).square()


@dataclass(frozen=True)
class SplatPriors:
    """The weighted sum of the priors on splats on a surface.

    Attributes:
        offset_l2, scale_limit, flatness, offset_smoothness: weights of the means of the terms of these names;
            offset_smoothness applies to the offsets in units of `offset_sigma`.
        offset_sigma, max_scale: metres; max_thickness: see `flatness`.
    """

    offset_l2: float
    scale_limit: float
    flatness: float
    offset_smoothness: float
    offset_sigma: float
    max_scale: float
    max_thickness: float = 0.5

    @staticmethod
    def from_config(config: TrainConfig) -> SplatPriors:
        """The priors with the weights of a training configuration."""
        weights = config.weights
        return SplatPriors(
            weights.offset_l2,
            weights.scale_limit,
            weights.flatness,
            weights.offset_smoothness,
            config.offset_sigma,
            config.max_scale,
        )

    def __call__(self, gaussians: TriangleGaussians, neighbors: Int[Tensor, "n m"]) -> Float[Tensor, ""]:
        """The weighted sum; `neighbors` are indices of the Gaussians around each."""
        return splat_priors(self, gaussians, neighbors)


def _splat_priors_compiled(
    priors: SplatPriors, gaussians: TriangleGaussians, neighbors: Int[Tensor, "n m"]
) -> Float[Tensor, ""]:
    from avatar.kernels import losses as kernels

    count = max(len(gaussians.offset), 1)
    numbers = (
        priors.offset_l2 / priors.offset_sigma**2 / count, priors.scale_limit / (3 * count), priors.flatness / count,
        priors.offset_smoothness / priors.offset_sigma**2 / (3 * count),
        math.log(priors.max_scale), math.log(priors.max_thickness),
    )  # fmt: skip
    total: Tensor = kernels.SplatPriors.apply(gaussians.offset, gaussians.log_scales, neighbors, *numbers)  # type: ignore[no-untyped-call]  # torch's
    return total


@compiled_by(_splat_priors_compiled)
def splat_priors(priors: SplatPriors, gaussians: TriangleGaussians, neighbors: Int[Tensor, "n m"]) -> Float[Tensor, ""]:
    """The weighted sum of the priors; differentiable in offsets and log scales."""
    return (
        priors.offset_l2 * offset_l2(gaussians, priors.offset_sigma).mean()
        + priors.scale_limit * scale_limit(gaussians, priors.max_scale).mean()
        + priors.flatness * flatness(gaussians, priors.max_thickness).mean()
        + priors.offset_smoothness * offset_smoothness(gaussians.offset / priors.offset_sigma, neighbors).mean()
    )


def acceleration(values: Float[Tensor, "instants *k"]) -> Float[Tensor, "inner *k"]:
    """Second difference over time, squared."""
    return (values[2:] - 2 * values[1:-1] + values[:-2]).square()
