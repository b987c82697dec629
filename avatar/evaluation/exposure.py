"""Automatic exposure taken out of true images, so that a frame that the phone made brighter costs nobody."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.datasets.capture import CaptureClip


def usual_exposure(clip: CaptureClip) -> float:
    """The exposure that an avatar trained on the clip shows: the geometric mean over the frames; 1 if not given."""
    return 1.0 if clip.exposure is None else float(clip.exposure.log().mean().exp())


def at_exposure(image: Float[Tensor, "h w 3"], gain: float) -> Float[Tensor, "h w 3"]:
    """An sRGB image whose linear light is multiplied by `gain` (IEC 61966-2-1, the curve of sRGB)."""
    if gain == 1.0:
        return image
    linear = torch.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** 2.4) * gain
    curve = 1.055 * linear.clamp_min(0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, 12.92 * linear, curve).clamp(0, 1)
