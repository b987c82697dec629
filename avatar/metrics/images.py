"""Image metrics.

Images are (h, w, 3) sRGB in [0, 1], coverages (h, w) in [0, 1].
"""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from avatar.errors import AvatarError
from avatar.metrics.ssim import ssim as structural_similarity

BOX_MARGIN = 10  # px around the person
MAX_PSNR = 100.0  # dB, for equal images, so that means stay finite

LpipsNet = Literal["alex", "vgg"]
# The backbones that torchvision would download; nothing is fetched here, so they must lie in torch's cache.
LPIPS_BACKBONES: dict[LpipsNet, str] = {"alex": "alexnet-owt-7be5be79.pth", "vgg": "vgg16-397923af.pth"}


class LpipsUnavailable(AvatarError):
    """LPIPS cannot be computed on this machine; the message says what is missing."""


def psnr(image: Float[Tensor, "h w 3"], truth: Float[Tensor, "h w 3"]) -> float:
    """Peak signal-to-noise ratio in dB, at most `MAX_PSNR`."""
    error = float((image.double() - truth.double()).square().mean())
    return min(MAX_PSNR, -10 * math.log10(error)) if error > 0 else MAX_PSNR


def ssim(image: Float[Tensor, "h w 3"], truth: Float[Tensor, "h w 3"]) -> float:
    """Structural similarity as in `avatar.metrics.ssim`: 11x11 Gaussian window of sigma 1.5, zeros beyond the
    border."""
    return float(structural_similarity(image.float(), truth.float()))


def lpips(image: Float[Tensor, "h w 3"], truth: Float[Tensor, "h w 3"], net: LpipsNet) -> float:
    """Learned perceptual distance (Zhang et al. 2018), version 0.1 of the `lpips` package, not multiplied.

    Raises:
        LpipsUnavailable: the package, torchvision or the weights of the network are missing.
    """
    network = load_lpips(net).to(image.device)
    with torch.no_grad():
        x, y = (each.float().permute(2, 0, 1)[None] for each in (image, truth))
        return float(network(x, y, normalize=True))


@functools.cache
def load_lpips(net: LpipsNet) -> nn.Module:
    """The LPIPS network, from files on this machine.

    Raises:
        LpipsUnavailable: see `lpips`.
    """
    weights = Path(torch.hub.get_dir()) / "checkpoints" / LPIPS_BACKBONES[net]
    if not weights.is_file():
        raise LpipsUnavailable(f"LPIPS ({net}) not computed: {weights.name} is not in torch's cache of weights")
    try:
        import lpips as package

        network = package.LPIPS(net=net, verbose=False)
    except Exception as error:  # a torchvision that does not fit torch raises RuntimeError, not ImportError
        raise LpipsUnavailable(f"LPIPS ({net}) not computed: {type(error).__name__}: {error}") from error
    module: nn.Module = network.eval().requires_grad_(False)
    return module


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
