"""Sharper person masks: the detector's coarse mask gives the person, the image gives the exact edge.

A network's mask is a few hundred cells across, so its edge wanders by several pixels. Near that edge each pixel
is classified by three pieces of evidence, added as log-odds: how far inside the coarse mask it lies, how well it
fits the colours of sure person nearby, and how well it fits the background, which is exact where a static camera
shows it without the person. The idea of colour models in a band is Boykov and Jolly's (2001)
and Rother's (GrabCut, 2004); the smoothing along image edges is He's guided filter (2010).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, UInt8

from avatar.observation.background_plate import Plate
from avatar.observation.color_models import local_likelihood
from avatar.observation.mask_shapes import Box, dilate, largest_region, mask_scale, sharpened, signed_depth
from avatar.observation.unmixing import unmixed

EXPOSED_DEPTH = 6.0  # how deep inside the coarse mask such a pixel counts at most, see `mask_scale`
EXPOSED_WEIGHT = 0.003  # of the colours of such pixels among the person's: they count where there are hardly others


def refine_mask(
    image: UInt8[np.ndarray, "h w 3"],
    coarse: UInt8[np.ndarray, "h w"],
    plate: Plate | None = None,
    core: Bool[np.ndarray, "h w"] | None = None,
) -> UInt8[np.ndarray, "h w"]:
    """The person's soft mask with its edge on the edge in the image.

    Args:
        coarse: the detector's mask.
        plate: the background, if the camera stands still.
        core: the middle of trunk, head and limbs (see `limb_core`), whose colours are the person's. With it, background
            that the coarse mask holds, such as the gap between two legs, is cut out at any depth.
    """
    refined = np.zeros_like(coarse)
    scale = mask_scale(coarse)
    box = _box_around(coarse > 25, margin=round(12 * scale))
    if box is not None:
        scene = None if plate is None else plate.crop(box)
        region = largest_region(coarse[box])
        middle = None if core is None else core[box]
        refined[box] = largest_region(_refine_box(image[box].astype(np.float32), region, scene, middle, scale))
    return refined


def _refine_box(
    image: np.ndarray, coarse: np.ndarray, plate: Plate | None, core: np.ndarray | None, scale: float
) -> np.ndarray:
    inside, depth = coarse > 127, signed_depth(coarse, kernel=3)
    band = np.abs(depth) <= 8 * scale
    radius = round(12 * scale)
    sure = depth > 4 * scale
    own = sure.astype(np.float32)
    if plate is not None and core is not None:
        exposed = inside & ~core & plate.visible & plate.matches(image)
        band, sure = band | exposed, core | (sure & ~dilate(exposed, 4 * scale))
        own = np.maximum(own * EXPOSED_WEIGHT, sure)
        depth = np.where(exposed, np.minimum(depth, EXPOSED_DEPTH * scale), depth)
    person = local_likelihood(image, own, band, radius)
    around = local_likelihood(image, (depth < -6 * scale).astype(np.float32), band, radius)
    evidence = 0.3 * np.clip(person - around, -8, 8)
    if plate is not None:
        visible = plate.visible[band]
        scene = np.maximum(plate.log_likelihood(image[band], band), around - 8)
        evidence = np.where(visible, 0.5 * np.clip(person - scene, -12, 8), evidence)
    odds = np.clip(depth[band] / (2 * scale), -6, 6) + evidence
    likely = inside.astype(np.float32)
    likely[band] = 1 / (1 + np.exp(-odds))
    alpha = sharpened(image, likely, max(2, round(4 * scale)))
    if plate is not None:
        alpha = unmixed(image, alpha, sure, plate, scale)
    return np.asarray(np.rint(255 * alpha), np.uint8)


def _box_around(mask: np.ndarray, margin: int) -> Box | None:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if rows.size == 0:
        return None
    return tuple(slice(max(0, line[0] - margin), line[-1] + 1 + margin) for line in (rows, columns))  # type: ignore[return-value]
