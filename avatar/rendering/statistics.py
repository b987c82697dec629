"""What the backward pass of a rendering tells about each Gaussian, for densification and pruning."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass
class RenderStatistics:
    """Give a fresh one to `render` and read it after `backward`; it stays None until then.

    Attributes:
        contribution: sum over all pixels of the weight (alpha times transmittance) with which each Gaussian was
            blended. Zero means that it was hidden, transparent or out of view.
        mean_gradients: sum over all pixels of the absolute gradient of the loss by the projected centre, x and y
            apart, per pixel of shift (AbsGS, Ye et al. 2024). Opposed pulls do not cancel in it, so a large value
            marks a Gaussian that ought to be split.
    """

    contribution: Float[Tensor, "cameras n"] | None = None
    mean_gradients: Float[Tensor, "cameras n 2"] | None = None


class UnitGradient(torch.autograd.Function):
    """Returns `picture` unchanged and sends a gradient of one into every pixel of `probe`.

    When `probe` is a rendered colour channel that is zero for every Gaussian, nothing else notices it, and the
    gradient that reaches a Gaussian's channel is the sum of its blending weights: its contribution.
    """

    @staticmethod
    def forward(ctx, picture: Tensor, probe: Tensor) -> Tensor:
        ctx.like = probe.shape, probe.dtype, probe.device
        return picture.view_as(picture)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor]:
        shape, dtype, device = ctx.like
        return gradient, torch.ones(shape, dtype=dtype, device=device)
