"""The priors on splats: the fused kernel against tensors, in values and gradients."""

import math

import pytest
import torch

from avatar.gaussians import TriangleGaussians
from avatar.losses import SplatPriors, thickness

PRIORS = SplatPriors(0.3, 0.7, 0.5, 0.9, reach=0.02, largest=0.03)


def _splats(count: int, seed: int = 0) -> tuple[TriangleGaussians, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    scales = torch.exp(-4 + torch.randn(count, 3, generator=generator))
    bary = torch.full((count, 3), 1 / 3)
    gaussians = TriangleGaussians(torch.zeros(count, dtype=torch.long), bary, scales, torch.zeros(count, 3))
    with torch.no_grad():
        gaussians.offset.copy_(0.02 * torch.randn(count, 3, generator=generator))
    return gaussians, torch.randint(count, (count, 4), generator=generator)


def _sum_and_gradients(way, gaussians, neighbors):
    total = way(gaussians, neighbors)
    return total, *torch.autograd.grad(3.0 * total, [gaussians.offset, gaussians.log_scales])


@pytest.mark.parametrize("count", [1, 37, 2000])
def test_the_kernel_is_what_tensors_say(count):
    gaussians, neighbors = _splats(count)
    fused = _sum_and_gradients(PRIORS, gaussians, neighbors)
    tensors = _sum_and_gradients(PRIORS.in_tensors, gaussians, neighbors)
    for mine, truth in zip(fused, tensors, strict=True):
        torch.testing.assert_close(mine, truth, rtol=1e-4, atol=1e-6 * float(truth.detach().abs().max()))


def test_the_same_bits_on_every_run():
    gaussians, neighbors = _splats(2000)
    first, second = (_sum_and_gradients(PRIORS, gaussians, neighbors) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("scales", [(1, 1, 1), (1, 1, 0.8), (0.8, 1, 1), (1, 0.8, 1), (1, 0.8, 0.8), (2, 1, 0.9)])
def test_splats_of_equal_axes_are_thick_too(scales):
    """Where two axes are alike either may be called the thinnest, but not both."""
    gaussians, neighbors = _splats(1)
    with torch.no_grad():
        gaussians.log_scales.copy_(torch.tensor(scales, dtype=torch.float32).log()[None] - 6)
    alone = SplatPriors(0.0, 0.0, 1.0, 0.0, reach=0.02, largest=0.03)
    total, _, gradient = _sum_and_gradients(alone, gaussians, neighbors)
    assert total.item() == pytest.approx(thickness(gaussians, 0.5)[0].item(), abs=1e-6)
    assert total.item() == pytest.approx(
        sorted(map(math.log, scales))[0] - sorted(map(math.log, scales))[1] + math.log(2)
    )
    assert sorted(gradient[0].tolist()) == [-3.0, 0.0, 3.0]
    assert float(gradient[0] @ gaussians.log_scales[0]) <= 0 or max(scales) == min(scales)
