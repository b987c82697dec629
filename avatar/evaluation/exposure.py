"""Automatic exposure taken out of true images, so that a frame that the phone made brighter costs nobody."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.datasets.capture import CaptureClip
from avatar.io import exposure


def usual_exposure(clip: CaptureClip) -> float:
    """The exposure that an avatar trained on the clip shows: the geometric mean over the frames; 1 if not given."""
    return 1.0 if clip.exposure is None else float(clip.exposure.log().mean().exp())


def at_exposure(image: Float[Tensor, "h w 3"], gain: float) -> Float[Tensor, "h w 3"]:
    """An sRGB image whose linear light is multiplied by `gain`."""
    return image if gain == 1.0 else torch.from_numpy(exposure.at_exposure(image.numpy(), gain)).to(image)
