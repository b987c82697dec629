"""Rendering on CUDA by gsplat."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch

from avatar.errors import AvatarError, short_message
from avatar.kernels.constants import BLUR, NEAR
from avatar.types import Cameras, Gaussians, RenderOutput


def render_gsplat(gaussians: Gaussians, cameras: Cameras) -> RenderOutput:
    """See `avatar.rendering.renderer.render`.

    Raises:
        AvatarError: gsplat is not installed or its CUDA kernels cannot be built.
    """
    rasterization = _rasterization()
    cameras = cameras.to(gaussians.means.device)
    if not len(gaussians):
        return _empty_images(gaussians, cameras)
    # "D" is the sum of weight times depth, that is, depth premultiplied by alpha.
    image, alpha, _ = rasterization(
        gaussians.means, gaussians.quats, gaussians.scales,
        # Of a broken opacity gsplat would draw the strongest; the other backends draw nothing.
        gaussians.opacities.nan_to_num(0.0),
        gaussians.colors.expand(len(cameras), -1, -1),
        cameras.T_camera_world, cameras.K, cameras.width, cameras.height,
        near_plane=NEAR, eps2d=BLUR, packed=False, render_mode="RGB+D",
    )  # fmt: skip
    return RenderOutput(rgb=image[..., :3], alpha=alpha[..., 0], depth=image[..., -1])


def _empty_images(gaussians: Gaussians, cameras: Cameras) -> RenderOutput:
    """Images of no Gaussians, by whose number gsplat would divide, which ends the process."""
    nothing = torch.stack([getattr(gaussians, name).sum() for name in gaussians.__dataclass_fields__]).sum()
    alpha = nothing.expand(len(cameras), cameras.height, cameras.width)
    return RenderOutput(rgb=alpha[..., None].expand(-1, -1, -1, 3), alpha=alpha, depth=alpha)


@cache
def missing_kernels() -> str | None:
    """Why gsplat cannot run here, or None if it can. The first call after an installation builds its kernels.

    gsplat itself imports without them and fails only when it renders.
    """
    try:
        from gsplat.cuda._backend import _C
    except (ImportError, OSError, RuntimeError) as error:
        return f"its CUDA kernels cannot be built ({short_message(error)})"
    return None if _C is not None else "there is no CUDA toolkit (nvcc) to build its kernels with"


def _rasterization() -> Callable[..., Any]:
    problem = missing_kernels()
    if problem is not None:
        raise AvatarError(f"The gsplat backend cannot start: {problem}. Fix that, or use --device cpu.")
    from gsplat import rasterization

    function: Callable[..., Any] = rasterization
    return function
