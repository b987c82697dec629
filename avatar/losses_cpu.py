"""`avatar.losses.splat_priors` on the CPU: one pass over the Gaussians gives the sum and its gradient."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from avatar.render.simd import kernel


class SplatPriors(torch.autograd.Function):
    """The weighted sum of the four priors on splats, a scalar.

    Inputs: offset and log_scales (n, 3), float32; neighbors (n, m), int64; then numbers: what a squared offset, a log
    scale beyond `log_largest`, a log thickness beyond `log_flatness` and a squared difference from the neighbours'
    mean offset count. One thread works, since neighbours write to each other's gradient.
    """

    @staticmethod
    def forward(ctx, offset: Tensor, log_scales: Tensor, neighbors: Tensor, *numbers: float) -> Tensor:
        gradients = torch.zeros_like(offset), torch.empty_like(log_scales)
        arrays = (tensor.detach().numpy() for tensor in (offset, log_scales, neighbors, *gradients))
        total = _splat_priors(*arrays, *(np.float32(number) for number in numbers))
        ctx.save_for_backward(*gradients)
        ctx.numbers = len(numbers)
        return offset.new_tensor(total)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g_total: Tensor):
        g_offset, g_log_scales = ctx.saved_tensors
        return g_offset * g_total, g_log_scales * g_total, None, *[None] * ctx.numbers


@kernel
def _splat_priors(
    offset, log_scales, neighbors, g_offset, g_log_scales,
    per_offset, per_oversize, per_thickness, per_roughness, log_largest, log_flatness,
):  # fmt: skip
    """The sum; the gradients are added to `g_offset` and written into `g_log_scales`."""
    total, around = 0.0, neighbors.shape[1]
    share = np.float32(1) / np.float32(around)
    for i in range(len(offset)):
        for k in range(3):
            mean = np.float32(0)
            for m in range(around):
                mean += offset[neighbors[i, m], k]
            value = offset[i, k]
            rough = value - mean * share
            total += per_offset * value * value + per_roughness * rough * rough
            pull = 2 * per_roughness * rough
            g_offset[i, k] += 2 * per_offset * value + pull
            for m in range(around):
                g_offset[neighbors[i, m], k] -= pull * share
            over = log_scales[i, k] - log_largest
            total += per_oversize * max(over, np.float32(0))
            g_log_scales[i, k] = per_oversize if over > 0 else np.float32(0)
        thin, middle = _thinnest_two(log_scales, i)
        thick = log_scales[i, thin] - log_scales[i, middle] - log_flatness
        if thick > 0:
            total += per_thickness * thick
            g_log_scales[i, thin] += per_thickness
            g_log_scales[i, middle] -= per_thickness
    return total


@kernel
def _thinnest_two(log_scales, i):
    """The axes of the least and of the middle scale."""
    a, b, c = log_scales[i, 0], log_scales[i, 1], log_scales[i, 2]
    least = 0 if a <= b and a <= c else (1 if b <= c else 2)
    one, other = (least + 1) % 3, (least + 2) % 3
    return least, one if log_scales[i, one] <= log_scales[i, other] else other
