"""The photometric loss and the priors on splats: kernels against tensors, in values and gradients."""

import math
from collections.abc import Callable, Sequence
from functools import partial

import pytest
import torch
from torch import Tensor

from avatar.kernels.threads import set_threads, threads
from avatar.model.gaussians import TriangleGaussians
from avatar.training.losses import PhotometricLoss, SplatPriors, flatness, photometric_loss, splat_priors
from avatar.types import RenderOutput

PRIORS = SplatPriors(0.3, 0.7, 0.5, 0.9, offset_sigma=0.02, max_scale=0.03)


def _splats(count: int, seed: int = 0) -> tuple[TriangleGaussians, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    scales = torch.exp(-4 + torch.randn(count, 3, generator=generator))
    bary = torch.full((count, 3), 1 / 3)
    gaussians = TriangleGaussians(torch.zeros(count, dtype=torch.long), bary, scales, torch.zeros(count, 3))
    with torch.no_grad():
        gaussians.offset.copy_(0.02 * torch.randn(count, 3, generator=generator))
    return gaussians, torch.randint(count, (count, 4), generator=generator)


def _sum_and_gradients(
    way: Callable[..., Tensor], gaussians: TriangleGaussians, neighbors: Tensor
) -> tuple[Tensor, ...]:
    total = way(gaussians, neighbors)
    return total, *torch.autograd.grad(3.0 * total, [gaussians.offset, gaussians.log_scales])


@pytest.mark.parametrize("count", [1, 37, 2000])
def test_the_kernel_of_the_priors_agrees_with_tensors(count: int) -> None:
    gaussians, neighbors = _splats(count)
    fused = _sum_and_gradients(PRIORS, gaussians, neighbors)
    tensors = _sum_and_gradients(partial(splat_priors.tensors, PRIORS), gaussians, neighbors)
    for mine, truth in zip(fused, tensors, strict=True):
        torch.testing.assert_close(mine, truth, rtol=1e-4, atol=1e-6 * float(truth.detach().abs().max()))


def test_the_same_bits_on_every_run() -> None:
    gaussians, neighbors = _splats(2000)
    first, second = (_sum_and_gradients(PRIORS, gaussians, neighbors) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("scales", [(1, 1, 1), (1, 1, 0.8), (0.8, 1, 1), (1, 0.8, 1), (1, 0.8, 0.8), (2, 1, 0.9)])
def test_splats_of_equal_axes_are_thick_too(scales: tuple[float, ...]) -> None:
    """Where two axes are alike either may be called the thinnest, but not both."""
    gaussians, neighbors = _splats(1)
    with torch.no_grad():
        gaussians.log_scales.copy_(torch.tensor(scales, dtype=torch.float32).log()[None] - 6)
    alone = SplatPriors(0.0, 0.0, 1.0, 0.0, offset_sigma=0.02, max_scale=0.03)
    total, _, gradient = _sum_and_gradients(alone, gaussians, neighbors)
    assert total.item() == pytest.approx(flatness(gaussians, 0.5)[0].item(), abs=1e-6)
    assert total.item() == pytest.approx(
        sorted(map(math.log, scales))[0] - sorted(map(math.log, scales))[1] + math.log(2)
    )
    assert sorted(gradient[0].tolist()) == [-3.0, 0.0, 3.0]


def _images(seed: int = 0) -> tuple[RenderOutput, tuple[torch.Tensor, ...], torch.Tensor]:
    """A rendered image, its target (image, mask, background), and trust; some pixels agree exactly."""
    generator = torch.Generator().manual_seed(seed)
    rgb, image = torch.rand(2, 23, 31, 3, generator=generator)
    alpha, mask, trust = torch.rand(3, 23, 31, generator=generator)
    for ours, true in ((rgb, image), (alpha, mask)):
        ours[:5], true[:5] = 0, 0
    trust[3:9, 4:11] = 0
    out = RenderOutput(rgb[None].requires_grad_(), alpha[None].requires_grad_(), torch.zeros(1, 23, 31))
    return out, (image, mask, torch.tensor([0.25, 0.5, 1.0])), trust


def _compared(
    way: Callable[..., PhotometricLoss],
    out: RenderOutput,
    target: tuple[Tensor, ...],
    trust: Tensor | None,
    parts: Sequence[str],
) -> tuple[list[Tensor], tuple[Tensor | None, ...]]:
    """The loss and the gradients of some of its parts, the rendered image among them by its square."""
    loss = way(out, *target, trust)
    terms = {"l1": loss.l1, "mask": loss.mask, "rendered": loss.rendered.square().mean()}
    total = torch.stack([weight * terms[name] for weight, name in zip((1.0, 2.0, 3.0), parts, strict=False)]).sum()
    return [loss.l1, loss.mask, loss.rendered, loss.target], torch.autograd.grad(
        total, (out.rgb, out.alpha), allow_unused=True
    )


@pytest.mark.parametrize("trusted", [False, True], ids=["all", "trust"])
@pytest.mark.parametrize("parts", [("l1", "mask", "rendered"), ("mask",), ("l1",), ("rendered",)])
def test_the_photometric_kernel_agrees_with_tensors(trusted: bool, parts: tuple[str, ...]) -> None:
    out, truth, trust = _images()
    values, gradients = _compared(photometric_loss, out, truth, trust if trusted else None, parts)
    true_values, true_gradients = _compared(photometric_loss.tensors, out, truth, trust if trusted else None, parts)
    for mine, other in zip(values, true_values, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)
    for gradient, true, leaf in zip(gradients, true_gradients, (out.rgb, out.alpha), strict=True):
        torch.testing.assert_close(gradient, torch.zeros_like(leaf) if true is None else true, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("way", [photometric_loss, photometric_loss.tensors], ids=["kernel", "tensors"])
def test_what_hides_the_person_pulls_at_nothing(way: Callable[..., PhotometricLoss]) -> None:
    out, truth, trust = _images()
    (_, _, rendered, target), gradients = _compared(way, out, truth, trust, ("l1", "mask", "rendered"))
    hidden = trust == 0
    assert hidden.any() and torch.equal(rendered[hidden], target[hidden])
    assert all(gradient is not None and not gradient[0][hidden].any() for gradient in gradients)


def test_a_comparison_has_the_same_bits_whatever_the_number_of_threads() -> None:
    out, truth, trust = _images()
    before = threads()
    results: list[list[Tensor]] = []
    try:
        for count in (1, 2, 3):
            set_threads(count)
            values, gradients = _compared(photometric_loss, out, truth, trust, ("l1", "mask", "rendered"))
            results.append([*values, *(gradient for gradient in gradients if gradient is not None)])
    finally:
        set_threads(before)
    assert all(torch.equal(a, b) for other in results[1:] for a, b in zip(results[0], other, strict=True))
