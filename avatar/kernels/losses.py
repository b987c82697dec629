"""The compiled twins of `avatar.training.losses`: one pass instead of a dozen tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from avatar.kernels.simd import Array, Number, inlined, kernel
from avatar.kernels.threads import run_parts

# Images are compared in this many parts, whichever thread does them, so that sums do not depend on the threads.
_PARTS = 16


class Photometric(torch.autograd.Function):
    """Mean colour error, mean coverage error, and both images on the background.

    Inputs, float32: rgb (h, w, 3), premultiplied, and alpha (h, w), by which it may be differentiated; image, mask,
    background and trust (h, w or empty) as in `avatar.training.losses.photometric_loss`.
    """

    @staticmethod
    def forward(
        ctx: Any, rgb: Tensor, alpha: Tensor, image: Tensor, mask: Tensor, background: Tensor, trust: Tensor
    ) -> Any:
        constants = [_flat(tensor) for tensor in (mask, background, trust)]
        rendered, target, sums = torch.empty_like(image), torch.empty_like(image), np.zeros((_PARTS, 2))
        images = [_flat(tensor) for tensor in (rgb, alpha, image, rendered, target)]
        run_parts(_compare, _PARTS, *images, *constants, sums)
        ctx.save_for_backward(alpha, rendered, target)
        ctx.constants = constants
        ctx.mark_non_differentiable(target)
        ctx.set_materialize_grads(False)
        l1, coverage = sums.sum(0) / (image.numel(), mask.numel())
        return rgb.new_tensor(l1), rgb.new_tensor(coverage), rendered, target

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g_l1: Any, g_mask: Any, g_rendered: Any, g_target: Any) -> Any:
        alpha, rendered, target = ctx.saved_tensors
        g_rgb, g_alpha = torch.empty_like(rendered), torch.empty_like(alpha)
        by_l1 = 0.0 if g_l1 is None else float(g_l1) / rendered.numel()
        by_mask = 0.0 if g_mask is None else float(g_mask) / alpha.numel()
        g_rendered = rendered.new_zeros(0) if g_rendered is None else g_rendered
        images = [_flat(tensor) for tensor in (alpha, rendered, target, g_rendered, g_rgb, g_alpha)]
        run_parts(_compare_back, _PARTS, *images, *ctx.constants, np.float32(by_l1), np.float32(by_mask))
        return g_rgb, g_alpha, None, None, None, None


def _flat(tensor: Tensor) -> np.ndarray:
    return tensor.detach().contiguous().numpy().reshape(-1)


@kernel
def _compare(
    part: int, parts: int, rgb: Array, alpha: Array, image: Array, rendered: Array, target: Array,
    mask: Array, background: Array, trust: Array, sums: Array,
) -> None:  # fmt: skip
    """One part of the pixels: both images on the background, and the sums of the errors."""
    error = coverage = 0.0
    for i in range(len(mask) * part // parts, len(mask) * (part + 1) // parts):
        weight = trust[i] if len(trust) > 0 else np.float32(1)
        hidden = weight == 0
        for c in range(3):
            true = image[3 * i + c] * mask[i] + (np.float32(1) - mask[i]) * background[c]
            ours = true if hidden else rgb[3 * i + c] + (np.float32(1) - alpha[i]) * background[c]
            rendered[3 * i + c], target[3 * i + c] = ours, true
            error += abs(ours - true) * weight
        if not hidden:
            coverage += abs(alpha[i] - mask[i])
    sums[part, 0], sums[part, 1] = error, coverage


@kernel
def _compare_back(
    part: int, parts: int, alpha: Array, rendered: Array, target: Array, g_rendered: Array, g_rgb: Array,
    g_alpha: Array, mask: Array, background: Array, trust: Array, by_l1: Number, by_mask: Number,
) -> None:  # fmt: skip
    """The gradients of one part of the pixels."""
    for i in range(len(mask) * part // parts, len(mask) * (part + 1) // parts):
        if len(trust) > 0 and trust[i] == 0:
            g_alpha[i] = np.float32(0)
            for c in range(3):
                g_rgb[3 * i + c] = np.float32(0)
            continue
        scale = by_l1 * trust[i] if len(trust) > 0 else by_l1
        through = by_mask * _sign(alpha[i] - mask[i])
        for c in range(3):
            g = scale * _sign(rendered[3 * i + c] - target[3 * i + c])
            if len(g_rendered) > 0:
                g += g_rendered[3 * i + c]
            g_rgb[3 * i + c] = g
            through -= g * background[c]
        g_alpha[i] = through


@inlined
def _sign(x: Number) -> Number:
    return np.float32(x > 0) - np.float32(x < 0)


class SplatPriors(torch.autograd.Function):
    """The weighted sum of the four priors on splats, a scalar.

    Inputs: offset and log_scales (n, 3), float32; neighbors (n, m), int64; then the weights of a squared offset, of a
    log scale beyond the largest, of a log thickness beyond the limit and of a squared difference from the neighbours'
    mean offset, and the two limits. One thread works, since neighbours write to each other's gradient.
    """

    @staticmethod
    def forward(ctx: Any, offset: Tensor, log_scales: Tensor, neighbors: Tensor, *numbers: Number) -> Tensor:
        gradients = torch.zeros_like(offset), torch.empty_like(log_scales)
        arrays = (tensor.detach().numpy() for tensor in (offset, log_scales, neighbors, *gradients))
        total = _splat_priors(*arrays, *(np.float32(number) for number in numbers))
        ctx.save_for_backward(*gradients)
        ctx.numbers = len(numbers)
        return offset.new_tensor(total)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g_total: Tensor) -> Any:
        g_offset, g_log_scales = ctx.saved_tensors
        return g_offset * g_total, g_log_scales * g_total, None, *[None] * ctx.numbers


@kernel
def _splat_priors(
    offset: Array, log_scales: Array, neighbors: Array, g_offset: Array, g_log_scales: Array,
    per_offset: Number, per_scale: Number, per_thickness: Number, per_smoothness: Number, log_max_scale: Number,
    log_max_thickness: Number,
) -> Number:  # fmt: skip
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
            total += per_offset * value * value + per_smoothness * rough * rough
            pull = 2 * per_smoothness * rough
            g_offset[i, k] += 2 * per_offset * value + pull
            for m in range(around):
                g_offset[neighbors[i, m], k] -= pull * share
            over = log_scales[i, k] - log_max_scale
            total += per_scale * max(over, np.float32(0))
            g_log_scales[i, k] = per_scale if over > 0 else np.float32(0)
        thin, middle = _thinnest_two(log_scales, i)
        thick = log_scales[i, thin] - log_scales[i, middle] - log_max_thickness
        if thick > 0:
            total += per_thickness * thick
            g_log_scales[i, thin] += per_thickness
            g_log_scales[i, middle] -= per_thickness
    return total


@kernel
def _thinnest_two(log_scales: Array, i: int) -> tuple[int, int]:
    """The axes of the least and of the middle scale."""
    a, b, c = log_scales[i, 0], log_scales[i, 1], log_scales[i, 2]
    least = 0 if a <= b and a <= c else (1 if b <= c else 2)
    one, other = (least + 1) % 3, (least + 2) % 3
    return least, one if log_scales[i, one] <= log_scales[i, other] else other
