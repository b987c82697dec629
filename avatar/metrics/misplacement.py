"""How far the detail of one image lies from where another one has it, and how much of an image's detail is noise."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from avatar.metrics.detail import FEWEST_PIXELS, LUMA, blurred

BANDS = (1.4, 2.8)  # px, finer edges of the octaves that are compared: visible in a blurred image too
WINDOW = 8.0  # px, standard deviation of the window that shares one shift
LONGEST = 3.0  # px per axis; a longer shift looks like another texture
FAINTEST_CONTRAST = 0.3  # of the band; where less of it is left, there is nothing to follow
FLAT_SHARE = 0.1  # of the interior, its flattest part, shows noise alone


def local_shift(
    image: Float[Tensor, "h w 3"], truth: Float[Tensor, "h w 3"], region: Bool[Tensor, "h w"]
) -> float | None:
    """Root mean square of the image's local shifts against the truth, px per axis; None where nothing shows it.

    In a window around each pixel a band of the image is fitted by `gain * truth + b . slope of the truth`, which is the
    truth shifted by `-b / gain` (Lucas and Kanade 1981, with a gain, so that blur is not taken for a shift). Two bands
    are fitted by themselves. What is shifted is so in both, while errors of the fit have little to do with each other:
    so the mean product of both bands' shifts is nearly that of the shift alone. Detail of the image's own, half as
    strong as the truth's, still reads as 0.2 px.
    """
    if int(region.sum()) < FEWEST_PIXELS:
        return None
    fits = [_shifts(_band(image, sigma), _band(truth, sigma), region) for sigma in BANDS]
    usable = torch.stack([textured for _, textured in fits]).all(0)
    if int(usable.sum()) < FEWEST_PIXELS:
        return None
    first, second = (shifts[usable] for shifts, _ in fits)
    return float((first * second).mean().clamp_min(0).sqrt())


def _shifts(
    image: Float[Tensor, "h w"], truth: Float[Tensor, "h w"], region: Bool[Tensor, "h w"]
) -> tuple[Float[Tensor, "n 2"], Bool[Tensor, " n"]]:
    """Shifts right and down at the pixels of a region, and where they can be trusted."""
    down, right = torch.gradient(truth)
    basis, weight = torch.stack([truth, right, down]), region.float()
    normal = torch.stack([torch.stack([_windowed(x * y * weight) for y in basis], -1) for x in basis], -2)
    target = torch.stack([_windowed(x * image * weight) for x in basis], -1)
    normal, target = normal[region].double(), target[region].double()
    slopes = torch.linalg.eigvalsh(normal[:, 1:, 1:])[:, 0]
    fit = torch.linalg.solve(normal + 1e-12 * torch.eye(3), target)
    textured = (slopes > 0.5 * slopes.median()) & (fit[:, 0] > FAINTEST_CONTRAST)
    shifts = -fit[:, 1:] / fit[:, :1].clamp_min(FAINTEST_CONTRAST)
    return shifts.clamp(-LONGEST, LONGEST), textured


def noise_share(truth: Float[Tensor, "h w 3"], region: Bool[Tensor, "h w"], sigma: float) -> float | None:
    """Share of noise in the energy of an image's octave from `sigma` to twice `sigma`, in [0, 1]; None: too small.

    Noise is taken to be what the flattest tenth of the region shows. Compression removes noise from flat places, so
    the share is rather too small.
    """
    if int(region.sum()) < FEWEST_PIXELS:
        return None
    energy = _band(truth, sigma).square()
    local = _windowed(energy)[region]
    return float((local.quantile(FLAT_SHARE) / energy[region].mean().clamp_min(1e-12)).clamp_max(1.0))


def _band(image: Float[Tensor, "h w 3"], sigma: float) -> Float[Tensor, "h w"]:
    gray = (image.float() * image.new_tensor(LUMA)).sum(-1)
    return blurred(gray, sigma) - blurred(gray, 2 * sigma)


def _windowed(x: Float[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    return blurred(x, WINDOW)
