"""How much of the fine detail of an image another one has, octave by octave.

PSNR and even SSIM hide blur: most of an image's energy lies in coarse structure. Here both images are split into bands
by differences of Gaussians, and each band is compared by itself, inside the person alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

SIGMAS = (0.7, 1.4, 2.8)  # px; a band lies between one and twice as much
LUMA = (0.2126, 0.7152, 0.0722)  # of Rec. 709, on the sRGB values as eyes compare them
FEWEST_PIXELS = 64


@dataclass(frozen=True)
class BandDetail:
    """One band of two images compared.

    Attributes:
        sigma: finer edge of the band, pixels.
        contrast: standard deviation over the true one; 1 is right, below 1 is blur, above is noise or ringing.
        correlation: of the two bands, in [-1, 1]; low where detail is there but in another place.
    """

    sigma: float
    contrast: float
    correlation: float


def detail(
    image: Float[Tensor, "h w 3"],
    truth: Float[Tensor, "h w 3"],
    region: Bool[Tensor, "h w"],
    sigmas: Sequence[float] = SIGMAS,
) -> list[BandDetail] | None:
    """Contrast and correlation of each octave from `sigma` to twice `sigma`, over a region; None where it is too small.

    The region should not reach the silhouette, whose edge would drown all detail inside: see `interior`.
    """
    if int(region.sum()) < FEWEST_PIXELS:
        return None
    grays = [(x.float() * x.new_tensor(LUMA)).sum(-1) for x in (image, truth)]
    # What lies farther from the region than the widest window does not count, and takes time.
    rows, columns = (region.any(axis).nonzero().flatten() for axis in (1, 0))
    reach = round(8 * max(sigmas))
    box = tuple(slice(max(0, int(x[0]) - reach), int(x[-1]) + 1 + reach) for x in (rows, columns))
    region = region[box]
    # Neighbouring octaves share an edge, which is blurred once.
    edges = {*sigmas, *(2 * sigma for sigma in sigmas)}
    levels = [{sigma: blurred(gray[box], sigma) for sigma in edges} for gray in grays]
    bands = []
    for sigma in sigmas:
        a, b = ((level[sigma] - level[2 * sigma])[region].double() for level in levels)
        a, b = a - a.mean(), b - b.mean()
        spread_a, spread_b = a.square().mean().sqrt(), b.square().mean().sqrt()
        correlation = (a * b).mean() / (spread_a * spread_b).clamp_min(1e-12)
        bands.append(BandDetail(sigma, float(spread_a / spread_b.clamp_min(1e-12)), float(correlation)))
    return bands


def detail_scores(
    image: Float[Tensor, "h w 3"], truth: Float[Tensor, "h w 3"], coverage: Float[Tensor, "h w"]
) -> dict[str, float]:
    """Contrast and correlation of each octave inside a person, named `detail_contrast_0.7` and so on.

    Empty where the person is too small.
    """
    return _named(detail(image, truth, interior(coverage)) or ())


def region_detail_scores(
    image: Float[Tensor, "h w 3"],
    truth: Float[Tensor, "h w 3"],
    coverage: Float[Tensor, "h w"],
    region: Bool[Tensor, "h w"],
    name: str,
) -> dict[str, float]:
    """The same over a region of the person alone, named `detail_contrast_0.7_NAME`.

    A region may be as narrow as a hand. So each octave keeps only as far from the silhouette as its own window
    reaches, and an octave for which too little of the region is left has no score.

    Args:
        coverage: the smaller one of both images' coverages, so that neither silhouette counts as detail.
    """
    bands: list[BandDetail] = []
    for sigma in SIGMAS:
        bands += detail(image, truth, region & interior(coverage, round(4 * sigma)), [sigma]) or ()
    return {f"{key}_{name}": value for key, value in _named(bands).items()}


def _named(bands: Sequence[BandDetail]) -> dict[str, float]:
    scores = {}
    for band in bands:
        scores[f"detail_contrast_{band.sigma:g}"] = band.contrast
        scores[f"detail_correlation_{band.sigma:g}"] = band.correlation
    return scores


def interior(coverage: Float[Tensor, "h w"], border: int = 8) -> Bool[Tensor, "h w"]:
    """Pixels wholly inside the person and at least `border` pixels from the silhouette."""
    outside = (coverage < 0.99).float()[None, None]
    width = 2 * border + 1
    # Down, then across: the maximum over a square in a tenth of the time.
    tall = F.max_pool2d(outside, (width, 1), 1, (border, 0))
    return F.max_pool2d(tall, (1, width), 1, (0, border))[0, 0] == 0


def blurred(gray: Float[Tensor, "h w"], sigma: float) -> Float[Tensor, "h w"]:
    """The image under a Gaussian window; its border pixels are continued outwards."""
    import cv2

    soft = cv2.GaussianBlur(gray.float().cpu().numpy(), (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return torch.from_numpy(soft).to(gray.device)
