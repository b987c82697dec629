"""Colours: CIE Lab and sRGB, and the colours that people name."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.errors import UsageError


def lab_of_rgb(rgb: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
    """CIE Lab (D65; L in [0, 100]) of sRGB colours in [0, 1]."""
    import cv2

    pixels = rgb.detach().cpu().float().numpy()[None]
    return torch.from_numpy(cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2LAB)[0])


def rgb_of_lab(lab: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
    """The sRGB colours in [0, 1] of CIE Lab ones; what a screen cannot show is cut off."""
    import cv2

    pixels = lab.detach().cpu().float().numpy()[None]
    return torch.from_numpy(cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_LAB2RGB)[0]).clamp(0, 1)


def parse_color(text: str) -> Float[Tensor, " 3"]:
    """The sRGB colour in [0, 1] of "#2050b0", "rgb(32, 80, 176)" or a name of CSS such as "khaki".

    Raises:
        UsageError: there is no such colour.
    """
    from PIL import ImageColor

    try:
        red, green, blue = ImageColor.getrgb(text.strip())[:3]
    except ValueError as error:
        raise UsageError(
            f"{text!r} is not a colour: write #RRGGBB such as #2050b0, or a name of CSS such as navy or khaki."
        ) from error
    return torch.tensor([red, green, blue]) / 255
