"""New colours for some of an avatar's Gaussians from images of it; its shape and all other colours stay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from avatar.model.avatar import Avatar
from avatar.rendering.renderer import render
from avatar.types import BodyPose, Cameras

STEPS_PER_VIEW = 12
RATE = 0.08  # of the raw colours, as Adam's


@dataclass(frozen=True)
class ColorTarget:
    """How the avatar should look from one camera, on white.

    Attributes:
        image: sRGB in [0, 1]; weight: of each pixel, in [0, 1]; camera: one.
    """

    image: Float[Tensor, "h w 3"]
    weight: Float[Tensor, "h w"]
    camera: Cameras


def refit_colors(
    avatar: Avatar, chosen: Bool[Tensor, " n"], targets: Sequence[ColorTarget], pose: BodyPose, backend: str = "auto"
) -> None:
    """Fit the plain colours of the Gaussians `chosen` to images of the avatar in one pose; nothing else changes."""
    raw, chosen = avatar.gaussians.raw_colors, chosen.to(avatar.device)
    with torch.no_grad():
        posed = avatar.own_pose(pose.to(avatar.device), lit=False)
        brightness = posed.colors / avatar.gaussians.colors.clamp_min(1e-3)
    own = raw.detach()[chosen].clone().requires_grad_()
    optimizer = torch.optim.Adam([own], lr=RATE)
    for step in range(STEPS_PER_VIEW * len(targets)):
        target = targets[step % len(targets)]
        colors = posed.colors.clone()
        colors[chosen] = own.sigmoid() * brightness[chosen]
        out = render(replace(posed, colors=colors), target.camera.to(avatar.device), backend)
        weight = target.weight.to(avatar.device)
        error = (out.on_white()[0] - target.image.to(avatar.device)).abs().mean(-1)
        loss = (error * weight).sum() / weight.sum().clamp_min(1.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        raw[chosen] = own
