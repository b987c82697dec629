"""LPIPS on random patches as a term of the training loss, where the user has installed its networks.

It is computed with VGG's features. Avatars are judged by AlexNet's, never by the network that trained them
(`avatar.evaluation` leaves out LPIPS with VGG, and DISTS, which has VGG's features too).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.metrics.perceptual import LpipsNet, PerceptualUnavailable, load_weights, lpips_loss, weights_path
from avatar.runtime.logging import logger

NET: LpipsNet = "vgg"
SIDE = 160  # of a patch in pixels; half an upper arm's length in an image of 1920 pixels
LEAST_SIDE = 32  # VGG halves an image four times


class PerceptualLoss:
    """The term, or nothing where its weight is 0 or the networks are missing; the log says so.

    Attributes:
        weight: of the term in the loss; networks: VGG's arrays on the device.
    """

    def __init__(self, weight: float, device: torch.device) -> None:
        self.weight = weight
        self.networks: dict[str, Tensor] = {}
        if weight == 0:
            return
        try:
            arrays = load_weights(weights_path())
        except PerceptualUnavailable as error:
            logger.info(f"Training goes without the perceptual loss: {error}")
            self.weight = 0.0
            return
        self.networks = {name: array.to(device) for name, array in arrays.items() if name.startswith(f"{NET}.")}

    def __call__(
        self, rendered: Float[Tensor, "h w 3"], target: Float[Tensor, "h w 3"], rng: torch.Generator
    ) -> Float[Tensor, ""] | None:
        """The weighted term for one random patch; None where there is none."""
        height, width = (min(SIDE, side) for side in rendered.shape[:2])
        if self.weight == 0 or min(height, width) < LEAST_SIDE:
            return None
        top, left = (
            int(torch.randint(full - part + 1, (), generator=rng))
            for full, part in zip(rendered.shape[:2], (height, width), strict=True)
        )
        patch = slice(top, top + height), slice(left, left + width)
        return self.weight * lpips_loss(self.networks, NET, rendered[patch], target[patch])
