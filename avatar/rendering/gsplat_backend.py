"""Rendering on CUDA by gsplat."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from avatar.errors import AvatarError, short_message
from avatar.kernels.constants import BLUR, NEAR
from avatar.rendering.statistics import RenderStatistics, UnitGradient
from avatar.types import Cameras, Gaussians, RenderOutput


def render_gsplat(gaussians: Gaussians, cameras: Cameras, statistics: RenderStatistics | None = None) -> RenderOutput:
    """See `avatar.rendering.renderer.render`.

    Raises:
        AvatarError: gsplat is not installed or its CUDA kernels cannot be built.
    """
    rasterization = _rasterization()
    cameras = cameras.to(gaussians.means.device)
    colors = gaussians.colors.expand(len(cameras), -1, -1)
    probe = None
    if statistics is not None:
        probe = colors.new_zeros(len(cameras), len(gaussians), 1, requires_grad=True)
        colors = torch.cat([colors, probe], dim=-1)
    # "D" is the sum of weight times depth, that is, depth premultiplied by alpha.
    picture, alpha, info = rasterization(
        gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities, colors,
        cameras.T_camera_world, cameras.K, cameras.width, cameras.height,
        near_plane=NEAR, eps2d=BLUR, packed=False, render_mode="RGB+D", absgrad=statistics is not None,
    )  # fmt: skip
    rgb, depth = picture[..., :3], picture[..., -1]
    if statistics is not None and probe is not None and torch.is_grad_enabled():
        rgb = UnitGradient.apply(rgb, picture[..., 3])
        _collect(statistics, probe, info["means2d"])
    return RenderOutput(rgb=rgb, alpha=alpha[..., 0], depth=depth)


def _collect(statistics: RenderStatistics, probe: Tensor, means2d: Tensor) -> None:
    """Read both statistics at the moment when the backward pass leaves gsplat's kernels."""

    def keep_contribution(gradient: Tensor) -> None:
        statistics.contribution = gradient[..., 0].clone()

    def keep_mean_gradients(_: Tensor) -> None:
        statistics.mean_gradients = means2d.absgrad  # type: ignore[attr-defined]

    probe.register_hook(keep_contribution)
    if means2d.requires_grad:
        means2d.register_hook(keep_mean_gradients)


@cache
def missing_kernels() -> str | None:
    """Why gsplat cannot run here, or None where it can. The first call after an installation builds its kernels.

    gsplat itself says nothing when it is imported without them, and fails in the middle of the first picture.
    """
    try:
        from gsplat.cuda._backend import _C
    except (ImportError, OSError, RuntimeError) as error:
        return f"its CUDA kernels cannot be built ({short_message(error)})"
    return None if _C is not None else "there is no CUDA toolkit (nvcc) to build its kernels with"


def _rasterization():
    trouble = missing_kernels()
    if trouble is not None:
        raise AvatarError(f"The gsplat backend cannot start: {trouble}. Mend that, or use --device cpu.")
    from gsplat import rasterization

    return rasterization
