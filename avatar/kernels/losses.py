"""The compiled twins of `avatar.training.losses`: one pass instead of a dozen tensors."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from avatar.kernels.simd import inlined, kernel
from avatar.kernels.threads import run_parts

# Images are compared in this many parts, whichever thread does them, so that sums do not depend on the threads.
_PARTS = 16


class Photometric(torch.autograd.Function):
    """Mean colour error, mean coverage error, and both images on the background.

    Inputs, float32: rgb (h, w, 3), premultiplied, and alpha (h, w), by which it may be differentiated; image, mask,
    background and trust (h, w or empty) as in `avatar.training.losses.photometric_loss`.
    """

    @staticmethod
    def forward(ctx, rgb: Tensor, alpha: Tensor, image: Tensor, mask: Tensor, background: Tensor, trust: Tensor):
        constants = [_flat(tensor) for tensor in (mask, background, trust)]
        shown, truth, sums = torch.empty_like(image), torch.empty_like(image), np.zeros((_PARTS, 2))
        pictures = [_flat(tensor) for tensor in (rgb, alpha, image, shown, truth)]
        run_parts(_compare, _PARTS, *pictures, *constants, sums)
        ctx.save_for_backward(alpha, shown, truth)
        ctx.constants = constants
        ctx.mark_non_differentiable(truth)
        ctx.set_materialize_grads(False)
        difference, coverage = sums.sum(0) / (image.numel(), mask.numel())
        return rgb.new_tensor(difference), rgb.new_tensor(coverage), shown, truth

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g_difference, g_coverage, g_shown, g_truth):
        alpha, shown, truth = ctx.saved_tensors
        g_rgb, g_alpha = torch.empty_like(shown), torch.empty_like(alpha)
        by_difference = 0.0 if g_difference is None else float(g_difference) / shown.numel()
        by_coverage = 0.0 if g_coverage is None else float(g_coverage) / alpha.numel()
        g_shown = shown.new_zeros(0) if g_shown is None else g_shown
        pictures = [_flat(tensor) for tensor in (alpha, shown, truth, g_shown, g_rgb, g_alpha)]
        scales = np.float32(by_difference), np.float32(by_coverage)
        run_parts(_compare_back, _PARTS, *pictures, *ctx.constants, *scales)
        return g_rgb, g_alpha, None, None, None, None


def _flat(tensor: Tensor) -> np.ndarray:
    return tensor.detach().contiguous().numpy().reshape(-1)


@kernel
def _compare(part, parts, rgb, alpha, image, shown, truth, mask, background, trust, sums):
    """One part of the pixels: both pictures on the background, and the sums of the differences."""
    difference = coverage = 0.0
    for i in range(len(mask) * part // parts, len(mask) * (part + 1) // parts):
        trusted = trust[i] if len(trust) > 0 else np.float32(1)
        for c in range(3):
            ours = rgb[3 * i + c] + (np.float32(1) - alpha[i]) * background[c]
            true = image[3 * i + c] * mask[i] + (np.float32(1) - mask[i]) * background[c]
            shown[3 * i + c], truth[3 * i + c] = ours, true
            difference += abs(ours - true) * trusted
        coverage += abs(alpha[i] - mask[i])
    sums[part, 0], sums[part, 1] = difference, coverage


@kernel
def _compare_back(part, parts, alpha, shown, truth, g_shown, g_rgb, g_alpha, mask, background, trust, by_difference,
                  by_coverage):  # fmt: skip
    """The gradients of one part of the pixels."""
    for i in range(len(mask) * part // parts, len(mask) * (part + 1) // parts):
        scale = by_difference * trust[i] if len(trust) > 0 else by_difference
        through = by_coverage * _sign(alpha[i] - mask[i])
        for c in range(3):
            g = scale * _sign(shown[3 * i + c] - truth[3 * i + c])
            if len(g_shown) > 0:
                g += g_shown[3 * i + c]
            g_rgb[3 * i + c] = g
            through -= g * background[c]
        g_alpha[i] = through


@inlined
def _sign(x):
    return np.float32(x > 0) - np.float32(x < 0)


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
