"""The device that the work is done on."""

from __future__ import annotations

import torch

from avatar.errors import UsageError
from avatar.runtime.logging import logger


def resolve_device(requested: str) -> str:
    """ "cpu" or "cuda" for "auto", "cpu" or "cuda". "auto" logs a reason if it cannot use an existing CUDA device.

    Raises:
        UsageError: CUDA was requested and torch finds none.
    """
    if requested == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda was asked for, but torch finds no CUDA device: use --device cpu or auto.")
    if requested != "auto":
        return requested
    if not torch.cuda.is_available():
        return "cpu"
    from avatar.rendering.gsplat_backend import missing_kernels

    problem = missing_kernels()
    if problem is None:
        return "cuda"
    logger.info(f"CUDA is there but gsplat cannot render on it, since {problem}; the CPU is used.")
    return "cpu"
