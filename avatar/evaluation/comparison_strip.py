"""One comparison as an image: truth, avatar and their difference side by side."""

from __future__ import annotations

import io

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.io.images import to_uint8
from avatar.metrics.images import person_box
from avatar.pipeline.previews import sheet

AROUND = 40  # px of surroundings shown around the person


def comparison_jpeg(truth: Float[Tensor, "h w 3"], image: Float[Tensor, "h w 3"]) -> bytes:
    """A JPEG of both and of one minus their difference, cropped to the person.

    It replaces the images themselves, hundreds of which in full size would fill the memory.
    """
    from PIL import Image

    background = truth[0, 0]
    foreground = torch.maximum((truth - background).abs(), (image - background).abs()).amax(-1)
    box = person_box((foreground > 0.1).float(), AROUND)
    if box is not None:
        truth, image = truth[box], image[box]
    data = io.BytesIO()
    panels = sheet([to_uint8(panel) for panel in (truth, image, 1 - (truth - image).abs())])
    Image.fromarray(panels).save(data, "JPEG", quality=88)
    return data.getvalue()
