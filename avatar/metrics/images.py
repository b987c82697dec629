"""Image metrics.

Images are (h, w, 3) sRGB in [0, 1], coverages (h, w) in [0, 1].
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.metrics.ssim import ssim as structural_similarity

BOX_MARGIN = 10  # px around the person
MAX_PSNR = 100.0  # dB, for equal images, so that means stay finite


def psnr(image: Float[Tensor, "h w 3"], truth: Float[Tensor, "h w 3"]) -> float:
    """Peak signal-to-noise ratio in dB, at most `MAX_PSNR`."""
    error = float((image.double() - truth.double()).square().mean())
    return min(MAX_PSNR, -10 * math.log10(error)) if error > 0 else MAX_PSNR


def ssim(image: Float[Tensor, "h w 3"], truth: Float[Tensor, "h w 3"]) -> float:
    """Structural similarity as in `avatar.metrics.ssim`: 11x11 Gaussian window of sigma 1.5, zeros beyond the
    border."""
    return float(structural_similarity(image.float(), truth.float()))


def person_box(alpha: Float[Tensor, "h w"], margin: int = BOX_MARGIN) -> tuple[slice, slice] | None:
    """Rows and columns of the person (coverage above one half) and `margin` pixels around, cut to the image.

    None if nobody is in view.
    """
    person = alpha > 0.5
    rows, columns = person.any(1).nonzero().flatten(), person.any(0).nonzero().flatten()
    if len(rows) == 0:
        return None
    spans = (
        slice(max(0, int(along[0]) - margin), min(size, int(along[-1]) + 1 + margin))
        for along, size in ((rows, alpha.shape[0]), (columns, alpha.shape[1]))
    )
    return next(spans), next(spans)


def alpha_iou(alpha: Float[Tensor, "h w"], truth: Float[Tensor, "h w"]) -> float:
    """Soft intersection over union, sum of minima over sum of maxima; 1 where both are empty."""
    union = float(torch.maximum(alpha, truth).sum())
    return float(torch.minimum(alpha, truth).sum()) / union if union > 0 else 1.0
