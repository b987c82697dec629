"""Structural similarity of two images and its gradient (Wang et al. 2004): Gaussian window 11x11, sigma 1.5.

Images are zero beyond their borders and every pixel counts, as in 3D Gaussian splatting; other libraries crop or
mirror the border. The constants are (0.01)^2 and (0.03)^2, for values in [0, 1].
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from avatar.kernels.constants import SSIM_C1, SSIM_C2, SSIM_RADIUS, SSIM_TAPS
from avatar.kernels.dispatch import compiled_by


class _CompiledSsim(torch.autograd.Function):
    """The gradient is computed together with the value, since both need the same blurred images."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        from avatar.kernels.ssim import fused_ssim

        value, *gradients = fused_ssim(a.detach().contiguous(), b.detach().contiguous(), ctx.needs_input_grad)
        ctx.save_for_backward(*gradients)
        return a.new_tensor(value)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        return tuple(None if gradient is None else g * gradient for gradient in ctx.saved_tensors)


def _ssim_compiled(a: Float[Tensor, "h w c"], b: Float[Tensor, "h w c"]) -> Float[Tensor, ""]:
    value: Tensor = _CompiledSsim.apply(a, b)  # type: ignore[no-untyped-call]  # torch's
    return value


@compiled_by(_ssim_compiled)
def ssim(a: Float[Tensor, "h w c"], b: Float[Tensor, "h w c"]) -> Float[Tensor, ""]:
    """Mean structural similarity over pixels and channels, differentiable in both images."""
    taps = torch.tensor(SSIM_TAPS[:0:-1] + SSIM_TAPS, dtype=a.dtype, device=a.device)
    window = taps[:, None] * taps
    kernel = window.expand(a.shape[-1], 1, -1, -1)

    def blurred(x: Tensor) -> Tensor:
        return F.conv2d(x.permute(2, 0, 1)[None], kernel, padding=SSIM_RADIUS, groups=a.shape[-1])[0]

    mean_a, mean_b = blurred(a), blurred(b)
    covariance = blurred(a * b) - mean_a * mean_b
    variances = blurred(a * a) - mean_a**2 + blurred(b * b) - mean_b**2
    luminance = (2 * mean_a * mean_b + SSIM_C1) / (mean_a**2 + mean_b**2 + SSIM_C1)
    return (luminance * (2 * covariance + SSIM_C2) / (variances + SSIM_C2)).mean()
