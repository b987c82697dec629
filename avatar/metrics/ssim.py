"""Structural similarity of two images and its gradient (Wang et al. 2004): Gaussian window 11x11, sigma 1.5.

Images are zero beyond their borders and every pixel counts, as in 3D Gaussian splatting; other libraries crop or
mirror the border. The constants are (0.01)^2 and (0.03)^2, for values in [0, 1].
"""

from __future__ import annotations

from functools import cache
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
    # Written with few operations, each of which is a launch on a GPU. `squares` are always those of both, added.
    mean_a, mean_b, product, squares = _blurred(torch.stack([a, b, a * b, a * a + b * b]))
    product_of_means, squares_of_means = mean_a * mean_b, torch.addcmul(mean_a * mean_a, mean_b, mean_b)
    covariance, variances = product - product_of_means, squares - squares_of_means
    similar = (product_of_means + SSIM_C1 / 2) * (covariance + SSIM_C2 / 2)
    similarity: Tensor = 4 * (similar / ((squares_of_means + SSIM_C1) * (variances + SSIM_C2))).mean()
    return similarity


def _blurred(maps: Float[Tensor, "maps h w c"]) -> Float[Tensor, "maps h w c"]:
    """Each map times the window, along one axis and then along the other.

    The channels are copied to stand one behind the other: convolutions of that layout are torch's own on a GPU, in
    float32, while cuDNN would round to TF32, in which the variance of an even region is noise.
    """
    planes = maps.movedim(-1, 1).flatten(0, 1)[None].contiguous()
    count, taps = planes.shape[1], _taps(maps.dtype, maps.device)
    planes = F.conv2d(planes, taps[:, None].expand(count, 1, -1, -1), padding=(SSIM_RADIUS, 0), groups=count)
    planes = F.conv2d(planes, taps.expand(count, 1, 1, -1), padding=(0, SSIM_RADIUS), groups=count)
    return torch.unflatten(planes[0], 0, (len(maps), -1)).movedim(1, -1)


@cache
def _taps(dtype: torch.dtype, device: torch.device) -> Float[Tensor, " taps"]:
    """The window along one axis, kept on the device: copying it in each step would make a GPU wait."""
    return torch.tensor(SSIM_TAPS[:0:-1] + SSIM_TAPS, dtype=dtype, device=device)
