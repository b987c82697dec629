"""How well the images show each Gaussian, and in which colours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from avatar.geometry import invert_rigid
from avatar.model.avatar import Avatar
from avatar.model.lighting import irradiance_gain
from avatar.training.rim_colors import interior
from avatar.training.views import TrainingView
from avatar.types import BodyPose, Gaussians, RenderOutput

GRAZING = 0.3  # cosine below which a surface is seen from the side
OUTLINE = 0.012  # width of the outline, relative to the person's height in the image: masks are wrong by as much

PosedView = tuple[TrainingView, BodyPose]
RenderView = Callable[[Gaussians, TrainingView], RenderOutput]


def initialize_colors(avatar: Avatar, views: Sequence[PosedView], render_view: RenderView) -> None:
    """Give every Gaussian the mean colour of the pixels it covers, as it is in even light.

    Args:
        views: images with the body's pose in each.
        render_view: renders Gaussians with the camera of a view.
    """
    coverage, colors = covered_pixels(avatar, views, render_view)
    visible = coverage > 1e-3
    mean = colors[visible].sum(0) / coverage[visible].sum()
    sampled = torch.where(visible[:, None], colors / coverage.clamp_min(1e-3)[:, None], mean)
    with torch.no_grad():
        light = avatar.light.coefficients
        gain = torch.stack([irradiance_gain(avatar.posed_normals(pose), light) for _, pose in views]).mean(0)
        avatar.gaussians.raw_colors.copy_(torch.logit((sampled / gain).clamp(0.02, 0.98)))


def measure_visibility(avatar: Avatar, views: Sequence[PosedView], render_view: RenderView) -> Float[Tensor, " n"]:
    """Set `observed` of each Gaussian from images at half resolution; arguments as of `initialize_colors`.

    Returns:
        The same measure, in [0, 1], but only of what lies inside the outlines and does not face sideways.
    """
    coverage = torch.zeros(len(avatar), device=avatar.device)
    inside = torch.zeros_like(coverage)
    for view, pose in views:
        with torch.no_grad():
            posed = avatar.pose(pose, lit=False)
            facing = facing_cosine(avatar, pose, posed, view)
        probe = posed.colors.clone().requires_grad_()
        rgb = render_view(replace(posed, colors=probe), view).rgb[0]
        inner = _interior(view.trusted_mask)
        whole = torch.autograd.grad((rgb * (view.trusted_mask > 0.9)[..., None]).sum(), probe, retain_graph=True)[0]
        coverage += whole[:, 0] * (facing > 0)
        inside += torch.autograd.grad((rgb * inner[..., None]).sum(), probe)[0][:, 0] * (facing > GRAZING)
    # One pixel's worth in one of the frames counts as well observed.
    avatar.gaussians.observed = 1 - torch.exp(-coverage)
    return 1 - torch.exp(-inside)


def _interior(mask: Float[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    inner = interior((255 * mask).round().to(torch.uint8).cpu().numpy(), OUTLINE)
    return torch.from_numpy(inner).to(mask.device)


def covered_pixels(
    avatar: Avatar, views: Sequence[PosedView], render_view: RenderView
) -> tuple[Float[Tensor, " n"], Float[Tensor, "n 3"]]:
    """How many pixels each Gaussian covers in all views together, and the sum of the image colours under it.

    The derivative of an image by a Gaussian's colour is its weight in each pixel, so two backward passes give the
    weights and the colours they cover, with any backend. Back-facing Gaussians still leak a little weight, which
    accumulates over pixels; they are excluded.
    """
    coverage = torch.zeros(len(avatar), device=avatar.device)
    colors = torch.zeros(len(avatar), 3, device=avatar.device)
    for view, pose in views:
        with torch.no_grad():
            posed = avatar.pose(pose, lit=False)
            facing = facing_cosine(avatar, pose, posed, view) > 0
        probe = posed.colors.clone().requires_grad_()
        rgb = render_view(replace(posed, colors=probe), view).rgb[0]
        mask = (view.trusted_mask > 0.9)[..., None]
        covered = torch.autograd.grad((rgb * mask).sum(), probe, retain_graph=True)[0]
        summed = torch.autograd.grad((rgb * view.image * mask).sum(), probe)[0]
        coverage += covered[:, 0] * facing
        colors += summed * facing[:, None]
    return coverage, colors


def facing_cosine(avatar: Avatar, pose: BodyPose, posed: Gaussians, view: TrainingView) -> Float[Tensor, " n"]:
    """Cosine between the normal under each Gaussian, as `posed` by the pose, and its direction to the camera."""
    eye = invert_rigid(view.camera.T_camera_world[0])[:3, 3]
    return (F.normalize(eye - posed.means, dim=-1) * avatar.posed_normals(pose)).sum(-1)
