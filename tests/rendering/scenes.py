"""Random Gaussians and cameras for the tests of the renderers."""

from __future__ import annotations

import torch
from torch import Tensor

from avatar.rendering.renderer import render
from avatar.types import Cameras, Gaussians, RenderOutput

FIELDS = ("means", "quats", "scales", "opacities", "colors")
Rendered = tuple[RenderOutput, dict[str, Tensor]]


def blob(count: int, size: float = 0.05, seed: int = 0, center: tuple[float, float, float] = (0, 0, 0)) -> Gaussians:
    """`count` Gaussians of all shapes about `center`; the quaternions are not of unit length."""
    g = torch.Generator().manual_seed(seed)
    return Gaussians(
        means=0.5 * torch.randn(count, 3, generator=g) + torch.tensor(center),
        quats=torch.randn(count, 4, generator=g),
        scales=0.005 + size * torch.rand(count, 3, generator=g),
        opacities=0.05 + 0.95 * torch.rand(count, generator=g),
        colors=torch.rand(count, 3, generator=g),
    )


def cameras(width: int, height: int, count: int = 1) -> Cameras:
    """Cameras 2 m in front of the origin, each rotated a little further about it."""
    K = torch.tensor([[1.2 * width, 0, 0.48 * width], [0, 1.1 * width, 0.53 * height], [0, 0, 1]])
    T = torch.eye(4).repeat(count, 1, 1)
    angles = 0.4 * torch.arange(count)
    T[:, 0, 0], T[:, 0, 2], T[:, 2, 0], T[:, 2, 2] = angles.cos(), angles.sin(), -angles.sin(), angles.cos()
    T[:, 2, 3] = 2.0
    return Cameras(K.expand(count, 3, 3), T, width, height)


def run(
    gaussians: Gaussians,
    view: Cameras,
    backend: str,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
    with_depth: bool = True,
) -> Rendered:
    """Images, and gradients of a random linear loss by every field, in float64 on the CPU."""
    leaves = [getattr(gaussians, name).to(device, dtype).clone().requires_grad_() for name in FIELDS]
    output = render(Gaussians(*leaves), view.to(device), backend)
    g = torch.Generator().manual_seed(1)
    images = [output.rgb, output.alpha, output.depth][: 3 if with_depth else 2]
    weights = [torch.randn(image.shape, generator=g).to(image) for image in images]
    torch.stack([(w * image).sum() for w, image in zip(weights, images, strict=True)]).sum().backward()
    out = RenderOutput(*(image.detach().cpu().double() for image in (output.rgb, output.alpha, output.depth)))
    return out, {name: leaf.grad.cpu().double() for name, leaf in zip(FIELDS, leaves, strict=True)}
