"""What the pictures show of each Gaussian: how much of it, and in which colours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.geometry import invert_rigid
from avatar.model.avatar import Avatar
from avatar.model.lighting import gains
from avatar.training.views import TrainingFrame
from avatar.types import BodyPose, Gaussians, RenderOutput

Shown = tuple[TrainingFrame, BodyPose]
Draw = Callable[[Gaussians, TrainingFrame], RenderOutput]


def initialize_colors(avatar: Avatar, shown: Sequence[Shown], draw: Draw) -> None:
    """Give every Gaussian the mean colour of the pixels it covers, as it is in even light.

    Args:
        shown: pictures, and the poses that they show; draw: the picture that a frame's camera takes.
    """
    seen, colors = seen_colors(avatar, shown, draw)
    known = seen > 1e-3
    mean = colors[known].sum(0) / seen[known].sum()
    painted = torch.where(known[:, None], colors / seen.clamp_min(1e-3)[:, None], mean)
    with torch.no_grad():
        light = avatar.light.coefficients
        lit = torch.stack([gains(avatar.posed_normals(pose), light) for _, pose in shown]).mean(0)
        avatar.gaussians.raw_colors.copy_(torch.logit((painted / lit).clamp(0.02, 0.98)))


def measure_visibility(avatar: Avatar, shown: Sequence[Shown], draw: Draw) -> None:
    """Say of each Gaussian how well it was seen, in pictures of half the resolution; see `seen_colors`."""
    seen, _ = seen_colors(avatar, shown, draw)
    # One pixel's worth in one of the frames counts as well seen.
    avatar.gaussians.observed = 1 - torch.exp(-seen)


def seen_colors(avatar: Avatar, shown: Sequence[Shown], draw: Draw) -> tuple[Float[Tensor, " n"], Float[Tensor, "n 3"]]:
    """Over some pictures, how many pixels each Gaussian covers, and the sum of the colours under it.

    The derivative of a picture by a Gaussian's colour is its share of each pixel, so two backward passes give the
    shares and the colours they cover, with any backend. Those that face away do not count: nothing is so opaque
    that no trace of them were left, and over many pixels traces add up.
    """
    seen = torch.zeros(len(avatar), device=avatar.device)
    colors = torch.zeros(len(avatar), 3, device=avatar.device)
    for frame, pose in shown:
        with torch.no_grad():
            posed = avatar.pose(pose, lit=False)
            eye = invert_rigid(frame.camera.T_camera_world[0])[:3, 3]
            facing = ((eye - posed.means) * avatar.posed_normals(pose)).sum(-1) > 0
        painted = posed.colors.clone().requires_grad_()
        rgb = draw(replace(posed, colors=painted), frame).rgb[0]
        mask = (frame.mask > 0.9)[..., None]
        covered = torch.autograd.grad((rgb * mask).sum(), painted, retain_graph=True)[0]
        summed = torch.autograd.grad((rgb * frame.image * mask).sum(), painted)[0]
        seen += covered[:, 0] * facing
        colors += summed * facing[:, None]
    return seen, colors
