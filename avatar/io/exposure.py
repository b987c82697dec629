"""The automatic exposure of a phone: factors on linear light, put on and taken off sRGB images."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8


def linear_light(image: Float[np.ndarray, "*b"]) -> Float[np.ndarray, "*b"]:
    """sRGB values in [0, 1] as linear light (IEC 61966-2-1)."""
    return np.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** 2.4)


def srgb(linear: Float[np.ndarray, "*b"]) -> Float[np.ndarray, "*b"]:
    """The inverse of `linear_light`, clipped to [0, 1]."""
    curve = 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, 12.92 * linear, curve).clip(0, 1)


def at_exposure(image: Float[np.ndarray, "*b"], gain: float) -> Float[np.ndarray, "*b"]:
    """sRGB values in [0, 1] whose linear light is multiplied by `gain`, clipped."""
    return srgb(linear_light(image) * gain)


def exposed(image: UInt8[np.ndarray, "h w 3"], gains: Float[np.ndarray, "3"]) -> UInt8[np.ndarray, "h w 3"]:
    """`at_exposure` of an image of bytes, with a gain for each colour channel."""
    levels = np.arange(256) / 255
    result = np.empty_like(image)
    for channel, gain in enumerate(gains):
        table = (255 * at_exposure(levels, float(gain))).round().astype(np.uint8)
        result[..., channel] = table[image[..., channel]]
    return result
