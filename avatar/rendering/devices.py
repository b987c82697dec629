"""The device that the work is done on."""

from __future__ import annotations

import torch
from torch import Tensor

from avatar.errors import UsageError
from avatar.rendering.renderer import renders_on
from avatar.runtime.logging import logger


def resolve_device(requested: str, backend: str = "auto") -> str:
    """ "cpu" or "cuda" for "auto", "cpu" or "cuda". "auto" logs a reason if it cannot use an existing CUDA device.

    Args:
        requested: the device; backend: the renderer, on whose devices "auto" stays.

    Raises:
        UsageError: CUDA was requested and torch finds none.
    """
    if requested == "cuda" and not torch.cuda.is_available():
        raise UsageError("--device cuda was asked for, but torch finds no CUDA device: use --device cpu or auto.")
    if requested != "auto":
        return requested
    if not torch.cuda.is_available() or not renders_on(backend, "cuda"):
        return "cpu"
    from avatar.rendering.gsplat_backend import missing_kernels

    problem = missing_kernels()
    if problem is None:
        return "cuda"
    logger.info(f"CUDA is there but gsplat cannot render on it, since {problem}; the CPU is used.")
    return "cpu"


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU copied to `device` without waiting for what a GPU is still working on."""
    if device.type == "cuda":
        tensor = tensor.pin_memory()  # only page-locked memory is copied in the queue of the device
    return tensor.to(device, non_blocking=True)
