"""Models of the colours around each pixel."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32, Shaped

OUTLIER = -16.0  # log-likelihood of any colour under "something else", about 1 / 256^3
LEAST_SHARE = 0.01  # of a window that counts
_PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))


def local_likelihood(
    image: Float32[np.ndarray, "h w 3"],
    weight: Float32[np.ndarray, "h w"],
    band: Bool[np.ndarray, "h w"],
    radius: int,
) -> Float32[np.ndarray, " n"]:
    """Log-likelihood of the band's n pixels under a Gaussian of the colours around each.

    The statistics vary slowly, so they are taken at half the resolution.

    Args:
        weight: of each pixel in the Gaussians, 0 to 1. Where hardly any pixel counts, every colour is an outlier.
        radius: of the window around each, pixels.
    """
    import cv2

    half = (max(1, image.shape[1] // 2), max(1, image.shape[0] // 2))
    color = cv2.resize(image, half, interpolation=cv2.INTER_AREA)
    counted = cv2.resize((weight > 0).astype(np.float32), half, interpolation=cv2.INTER_AREA)[..., None]
    weight = cv2.resize(weight, half, interpolation=cv2.INTER_AREA)[..., None]
    pairs = np.stack([color[..., a] * color[..., b] for a, b in _PAIRS], axis=-1)
    sums = np.concatenate([weight, color * weight, pairs * weight, counted], axis=-1)
    size = (radius | 1, radius | 1)  # a window of `radius` at half resolution spans twice that in pixels
    means = np.stack([cv2.blur(sums[..., c], size) for c in range(11)], axis=-1)
    rows, columns = np.nonzero(band)
    means = means[np.minimum(rows // 2, half[1] - 1), np.minimum(columns // 2, half[0] - 1)]
    total = means[:, :1] + 1e-6
    mean, second = means[:, 1:4] / total, means[:, 4:10] / total
    moments = second - np.stack([mean[:, a] * mean[:, b] for a, b in _PAIRS], axis=-1)
    likely = np.maximum(_gaussian(image[band] - mean, moments), OUTLIER)
    return np.where(means[:, 10] > LEAST_SHARE, likely, OUTLIER)


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


def nearest_colors(image: Shaped[np.ndarray, "h w 3"], chosen: Bool[np.ndarray, "h w"]) -> Shaped[np.ndarray, "h w 3"]:
    """For every pixel the colour of the nearest chosen one."""
    import cv2

    _, labels = cv2.distanceTransformWithLabels(
        (~chosen).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    colors = np.zeros((labels.max() + 1, 3), image.dtype)
    colors[labels[chosen]] = image[chosen]
    nearest: np.ndarray = colors[labels]
    return nearest
