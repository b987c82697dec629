"""Rendering on CUDA by gsplat."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch

from avatar.errors import AvatarError, short_message
from avatar.kernels.constants import BLUR, NEAR
from avatar.rendering.cuda_toolkit import INSTALL, missing_compiler, prepare_build
from avatar.runtime.logging import logger
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
        gaussians.opacities.masked_fill(gaussians.opacities.isnan(), 0.0),
        gaussians.colors.expand(len(cameras), -1, -1),
        cameras.T_camera_world, cameras.K, cameras.width, cameras.height,
        near_plane=NEAR, eps2d=BLUR, packed=False, render_mode="RGB+D",
    )  # fmt: skip
    return RenderOutput(rgb=image[..., :3], alpha=alpha.squeeze(-1), depth=image[..., -1])


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
    if torch.version.hip is not None:
        return "its kernels are for NVIDIA's devices, and this torch is built for AMD's (ROCm)"
    if importlib.util.find_spec("gsplat") is None:
        return f"it is not installed ({INSTALL})"
    if not kernels_are_built():
        problem = missing_compiler()
        if problem is not None:
            return problem
        logger.info("Compiling the renderer for this GPU, once after an installation; this takes some minutes.")
    prepare_build()
    try:
        from gsplat.cuda._backend import _C
    except (ImportError, OSError, RuntimeError) as error:
        return f"its CUDA kernels cannot be built ({short_message(error)})"
    return None if _C is not None else "its CUDA kernels cannot be built"


def build_kernels() -> str:
    """Compile gsplat's kernels unless they are compiled already; returns a sentence that says which.

    Raises:
        AvatarError: there is no CUDA device, or they cannot be compiled.
    """
    if not torch.cuda.is_available():
        raise AvatarError("The kernels are compiled for the device at hand, and torch finds no CUDA device.")
    built, begin = kernels_are_built(), time.monotonic()
    problem = missing_kernels()
    if problem is not None:
        raise AvatarError(f"gsplat cannot render here: {problem}.")
    return "they were compiled before" if built else f"compiled in {time.monotonic() - begin:.0f} s"


def kernels_are_built() -> bool:
    """Whether gsplat's kernels lie compiled in its package, or in the cache of torch's extensions."""
    try:
        if "gsplat.csrc" in sys.modules or importlib.util.find_spec("gsplat.csrc") is not None:
            return True
    except ImportError:
        return False
    from torch.utils.cpp_extension import _get_build_directory

    folder = Path(_get_build_directory("gsplat_cuda", verbose=False))
    return any((folder / f"gsplat_cuda{suffix}").is_file() for suffix in (".so", ".pyd"))


def _rasterization() -> Callable[..., Any]:
    problem = missing_kernels()
    if problem is not None:
        raise AvatarError(f"The gsplat backend cannot start: {problem}. Fix that, or use --device cpu.")
    from gsplat import rasterization

    function: Callable[..., Any] = rasterization
    return function
