"""A made-up VGG with few channels, for what needs its form and not its judgement."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from avatar.metrics.perceptual import VGG_BLOCKS, WEIGHTS_NAME

WIDTH = 4


def small_vgg() -> dict[str, Tensor]:
    """Random arrays by the names of `avatar.metrics.perceptual`."""
    generator = torch.Generator().manual_seed(0)
    arrays: dict[str, Tensor] = {}
    for layer in range(sum(VGG_BLOCKS)):
        inner = WIDTH if layer else 3
        arrays[f"vgg.conv{layer}.weight"] = torch.randn(WIDTH, inner, 3, 3, generator=generator) / (9 * inner) ** 0.5
        arrays[f"vgg.conv{layer}.bias"] = torch.zeros(WIDTH)
    for block in range(len(VGG_BLOCKS)):
        arrays[f"vgg.linear{block}"] = torch.rand(WIDTH, 1, 1, generator=generator)
    return arrays


def install_small_vgg(cache: Path) -> None:
    """Write it where the program looks for its networks, in the cache folder `cache`."""
    from safetensors.torch import save_file

    cache.mkdir(exist_ok=True)
    save_file(small_vgg(), cache / WEIGHTS_NAME)
