"""The device that the work is done on."""

from __future__ import annotations

import torch

from avatar.errors import UsageError
from avatar.runtime.logging import logger


def resolve_device(asked: str) -> str:
    """ "cpu" or "cuda" for `auto`, `cpu` or `cuda`; only `auto` may choose, and it says so where CUDA is of no use.

    Raises:
        UsageError: CUDA was asked for and is not there.
    """
    if asked == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda was asked for, but torch finds no CUDA device: use --device cpu or auto.")
    if asked != "auto":
        return asked
    if not torch.cuda.is_available():
        return "cpu"
    from avatar.rendering.gsplat_backend import missing_kernels

    trouble = missing_kernels()
    if trouble is None:
        return "cuda"
    logger.info(f"CUDA is there but gsplat cannot render on it, since {trouble}; the work is done on the CPU.")
    return "cpu"
