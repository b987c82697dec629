"""Sharper person masks: the detector's coarse mask gives the person, the image gives the exact edge.

A network's mask is a few hundred cells across, so its edge wanders by several pixels. Near that edge each pixel
is classified by three pieces of evidence, added as log-odds: how far inside the coarse mask it lies, how well it
fits the colours of sure person nearby, and how well it fits the background, which is exact where a static camera
shows it without the person. The idea of colour models in a band is Boykov and Jolly's (2001)
and Rother's (GrabCut, 2004); the smoothing along image edges is He's guided filter (2010).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from avatar.runtime.thread_map import map_in_threads
from avatar.types import Images, Masks

PLATE_FRAMES = 21
MOST_SHIFT = 0.5  # pixels by which the background's edges may move in the images of a static camera
SHADOW = 2.0  # log-likelihood that a pixel loses for being explained as shaded background
OUTLIER = -16.0  # log-likelihood of any colour under "something else", about 1 / 256^3

Box = tuple[slice, slice]


@dataclass(frozen=True)
class Plate:
    """The background that a static camera shows without the person.

    Attributes:
        color: background colour, 0 to 255.
        visible: where it was visible.
        variance: how far background may deviate there: noise, and edges that move under compression.
    """

    color: Float32[np.ndarray, "h w 3"]
    visible: Bool[np.ndarray, "h w"]
    variance: Float32[np.ndarray, "h w"]

    def part(self, box: Box) -> Plate:
        """Of a part of the image."""
        return Plate(self.color[box], self.visible[box], self.variance[box])


def background_plate(images: Images, masks: Masks) -> Plate | None:
    """The median of the background over the clip, or None where the camera moves."""
    chosen = np.unique(np.linspace(0, len(images) - 1, PLATE_FRAMES).round().astype(int))
    colors = np.stack(list(map_in_threads(lambda i: images[int(i)], chosen)))
    person = np.stack(list(map_in_threads(lambda i: _around_person(masks[int(i)]), chosen)))
    count = (~person).sum(0)

    def median_of(row: int) -> np.ndarray:  # row by row: a sort of the whole stack would need gigabytes
        values = np.where(person[:, row, :, None], 999, colors[:, row].astype(np.int16))
        middle = np.maximum(count[row] - 1, 0)[None, :, None] // 2
        row_median: np.ndarray = np.take_along_axis(np.sort(values, axis=0), middle, axis=0)[0].astype(np.float32)
        return row_median

    median = np.stack(list(map_in_threads(median_of, range(colors.shape[1]))))
    background = ~person & (count >= min(3, len(chosen)))
    views = zip(colors[::3], background[::3], strict=True)
    changes, shifts = zip(*map_in_threads(lambda view: _change(*view, median), views), strict=True)
    if np.quantile(shifts, 0.9) > MOST_SHIFT:
        return None
    visible = ~_dilate(count < min(3, len(chosen)), 2.0)
    noise = np.float32(np.median(changes))
    return Plate(median, visible, 10 + 4 * noise**2 + 0.25 * _gradient_square(median))


def _around_person(mask: np.ndarray) -> np.ndarray:
    return _dilate(mask > 25, _scale(mask) * 3)


def _change(color: np.ndarray, background: np.ndarray, median: np.ndarray) -> tuple[float, float]:
    """Median change of a frame's background in grey levels, and about how many pixels its edges have moved."""
    difference = np.abs(color.astype(np.float32) - median).mean(-1)[background]
    slope = np.sqrt(_gradient_square(color.astype(np.float32)))[background]
    if slope.size == 0:
        return 0.0, np.inf
    edges = slope > np.quantile(slope, 0.9)  # a blank wall looks the same from a moving camera
    return float(np.median(difference)), float(np.median(difference[edges] / (slope[edges] + 1)))


def refine_mask(
    image: UInt8[np.ndarray, "h w 3"], coarse: UInt8[np.ndarray, "h w"], plate: Plate | None
) -> UInt8[np.ndarray, "h w"]:
    """The person's soft mask with its edge on the edge in the image."""
    refined = np.zeros_like(coarse)
    scale = _scale(coarse)
    box = _box_around(coarse > 25, margin=round(12 * scale))
    if box is not None:
        scene = None if plate is None else plate.part(box)
        region = largest_region(coarse[box])
        refined[box] = largest_region(_refine_box(image[box].astype(np.float32), region, scene, scale))
    return refined


def largest_region(mask: UInt8[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w"]:
    """The mask without islands (under a twentieth of the person) and without pinholes."""
    import cv2

    _, labels, stats, _ = cv2.connectedComponentsWithStats((mask > 127).astype(np.uint8))
    areas = stats[1:, cv2.CC_STAT_AREA]
    if areas.size == 0:
        return np.zeros_like(mask)
    islands = np.isin(labels, 1 + np.flatnonzero(areas < max(areas) / 20))
    clean = np.where(_dilate(islands, 2.0), 0, mask).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats((clean <= 127).astype(np.uint8), connectivity=4)
    pinholes = 1 + np.flatnonzero(stats[1:, cv2.CC_STAT_AREA] < max(areas) / 2000)
    return np.where(np.isin(labels, pinholes), 255, clean).astype(np.uint8)


def _refine_box(image: np.ndarray, coarse: np.ndarray, plate: Plate | None, scale: float) -> np.ndarray:
    import cv2

    inside = coarse > 127
    depth = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 3)
    depth = depth - cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, 3)
    band = np.abs(depth) <= 8 * scale
    radius = round(12 * scale)
    person = local_likelihood(image, depth > 4 * scale, band, radius)
    around = local_likelihood(image, depth < -6 * scale, band, radius)
    evidence = 0.3 * np.clip(person - around, -8, 8)
    if plate is not None:
        visible = plate.visible[band]
        scene = np.maximum(plate_likelihood(image[band], plate, band), around - 8)
        evidence = np.where(visible, 0.5 * np.clip(person - scene, -8, 8), evidence)
    odds = np.clip(depth[band] / (2 * scale), -6, 6) + evidence
    likely = inside.astype(np.float32)
    likely[band] = 1 / (1 + np.exp(-odds))
    smooth = cv2.ximgproc.guidedFilter(image, likely, max(2, round(4 * scale)), 1e-3 * 255**2)
    # The filter widens the edge; twice the slope brings back a transition of one or two pixels.
    mask: np.ndarray = np.rint(255 * np.clip((smooth - 0.5) * 2 + 0.5, 0, 1)).astype(np.uint8)
    return mask


def local_likelihood(image: np.ndarray, sure: np.ndarray, band: np.ndarray, radius: int) -> np.ndarray:
    """Log-likelihood of the band's pixels under a Gaussian of the sure pixels' colours around each.

    The statistics vary slowly, so they are taken at half the resolution.
    """
    import cv2

    half = (max(1, image.shape[1] // 2), max(1, image.shape[0] // 2))
    color = cv2.resize(image, half, interpolation=cv2.INTER_AREA)
    weight = cv2.resize(sure.astype(np.float32), half, interpolation=cv2.INTER_AREA)[..., None]
    pairs = np.stack([color[..., a] * color[..., b] for a, b in _PAIRS], axis=-1)
    sums = np.concatenate([weight, color * weight, pairs * weight], axis=-1)
    size = (radius | 1, radius | 1)  # a window of `radius` at half resolution spans twice that in pixels
    means = np.stack([cv2.blur(sums[..., c], size) for c in range(10)], axis=-1)
    rows, columns = np.nonzero(band)
    means = means[np.minimum(rows // 2, half[1] - 1), np.minimum(columns // 2, half[0] - 1)]
    total = means[:, :1] + 1e-6
    mean, second = means[:, 1:4] / total, means[:, 4:] / total
    moments = second - np.stack([mean[:, a] * mean[:, b] for a, b in _PAIRS], axis=-1)
    likely = np.maximum(_gaussian(image[band] - mean, moments), OUTLIER)
    return np.where(total[:, 0] > 0.01, likely, OUTLIER)


_PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))


def _gaussian(x: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """Log density, up to a constant, under covariances given by their six different entries."""
    a, b, c, d, e, f = moments.T + 30.0 * np.array([1, 0, 0, 1, 0, 1], np.float32)[:, None]
    A, B, C = d * f - e * e, c * e - b * f, b * e - c * d
    determinant = np.maximum(a * A + b * B + c * C, 1.0)
    x0, x1, x2 = x.T
    square = A * x0**2 + (a * f - c * c) * x1**2 + (a * d - b * b) * x2**2
    square += 2 * (B * x0 * x1 + C * x0 * x2 + (b * c - a * e) * x1 * x2)
    density: np.ndarray = -0.5 * square / determinant - 0.5 * np.log(determinant)
    return density


def plate_likelihood(colors: np.ndarray, plate: Plate, band: np.ndarray) -> np.ndarray:
    """Log-likelihood of being the background, lit as ever or in the person's shadow."""
    scene, variance = plate.color[band], plate.variance[band]
    shade = np.clip((colors * scene).sum(1) / ((scene * scene).sum(1) + 1), 0.5, 1)
    lit = ((colors - scene) ** 2).sum(1)
    shaded = ((colors - shade[:, None] * scene) ** 2).sum(1) + 2 * SHADOW * variance
    likelihood: np.ndarray = np.maximum(-0.5 * np.minimum(lit, shaded) / variance - 1.5 * np.log(variance), -30)
    return likelihood


def _gradient_square(image: np.ndarray) -> np.ndarray:
    import cv2

    grey = image.mean(-1)
    square: np.ndarray = (cv2.Sobel(grey, -1, 1, 0) / 8) ** 2 + (cv2.Sobel(grey, -1, 0, 1) / 8) ** 2
    return square


def _scale(mask: np.ndarray) -> float:
    """Widths are tuned for a person 650 pixels tall; the coarse mask's cells grow with the person."""
    rows = np.flatnonzero((mask > 127).any(1))
    return 1.0 if rows.size == 0 else float(np.clip((rows[-1] - rows[0]) / 650, 0.4, 3))


def _dilate(mask: np.ndarray, radius: float) -> np.ndarray:
    import cv2

    size = 2 * round(radius) + 1
    return cv2.dilate(mask.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))) > 0


def _box_around(mask: np.ndarray, margin: int) -> Box | None:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if rows.size == 0:
        return None
    return tuple(slice(max(0, line[0] - margin), line[-1] + 1 + margin) for line in (rows, columns))  # type: ignore[return-value]
