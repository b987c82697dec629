"""The terms of training, each pure and unreduced over what it is about; `train` weighs them in one place."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatar.gaussians import TriangleGaussians


def photometric(rgb: Float[Tensor, "h w 3"], truth: Float[Tensor, "h w 3"]) -> Float[Tensor, "h w 3"]:
    """Absolute difference of two pictures on the same background."""
    return (rgb - truth).abs()


def coverage(alpha: Float[Tensor, "h w"], mask: Float[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """Absolute difference of the rendered coverage and the person's mask."""
    return (alpha - mask).abs()


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


def acceleration(values: Float[Tensor, "instants *k"]) -> Float[Tensor, "inner *k"]:
    """Second difference over time, squared."""
    return (values[2:] - 2 * values[1:-1] + values[:-2]).square()
