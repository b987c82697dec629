"""SSIM: the compiled kernel against convolutions, and both against scikit-image."""

import pytest
import torch
from skimage.metrics import structural_similarity

from avatar.kernels.constants import SSIM_RADIUS
from avatar.kernels.threads import set_threads, threads
from avatar.metrics.ssim import ssim


def images(height: int, width: int, channels: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    a = torch.rand(height, width, channels, generator=g)
    return a, (a + 0.3 * torch.rand(height, width, channels, generator=g)).clamp(0, 1)


@pytest.mark.parametrize("shape", [(40, 33, 3), (7, 5, 3), (1, 1, 1), (1, 50, 3), (50, 1, 4), (64, 48, 1)])
def test_the_kernel_agrees_with_convolutions(shape: tuple[int, int, int]) -> None:
    a, b = images(*shape)
    ours, truth = [t.clone().requires_grad_() for t in (a, b)], [t.double().requires_grad_() for t in (a, b)]
    value, true_value = ssim(*ours), ssim.tensors(*truth)
    torch.testing.assert_close(value.double(), true_value, atol=1e-6, rtol=0)
    (3 * value).backward()
    (3 * true_value).backward()
    for one, other in zip(ours, truth, strict=True):
        assert one.grad is not None and other.grad is not None
        assert (one.grad - other.grad).norm() <= 1e-5 * other.grad.norm()


@pytest.mark.parametrize("shape", [(90, 80, 3), (6, 9, 3), (25, 4, 1), (4, 70, 3)])
@pytest.mark.parametrize(
    "spots", [[], [(0.5, 0.5)], [(0, 0)], [(1, 1), (0.2, 0.1)], [(0.1, 0.9), (0.6, 0.3), (0.6, 0.31)]]
)
def test_images_that_agree_except_for_some_spots(shape: tuple[int, int, int], spots: list[tuple[float, float]]) -> None:
    """Rows skipped because the images agree there make no difference."""
    a, _ = images(*shape)
    b = a.clone()
    for down, across in spots:
        b[round(down * (shape[0] - 1)), round(across * (shape[1] - 1))] += 0.2
    ours, truth = [t.clone().requires_grad_() for t in (a, b)], [t.double().requires_grad_() for t in (a, b)]
    for _ in range(2):  # the second time with what the first one left in memory
        value, true_value = ssim(*ours), ssim.tensors(*truth)
        torch.testing.assert_close(value.double(), true_value, atol=1e-6, rtol=0)
    for one, other in zip(torch.autograd.grad(value, ours), torch.autograd.grad(true_value, truth), strict=True):
        assert (one - other).norm() <= 1e-5 * other.norm() + 1e-7


def test_gradient_by_one_image_alone() -> None:
    a, b = images(30, 40)
    both = [t.clone().requires_grad_() for t in (a, b)]
    ssim(*both).backward()
    for i in (0, 1):
        alone = [t.clone().requires_grad_(k == i) for k, t in enumerate((a, b))]
        ssim(*alone).backward()
        torch.testing.assert_close(alone[i].grad, both[i].grad)
        assert alone[1 - i].grad is None


def test_agrees_with_scikit_image() -> None:
    """It mirrors the border, so it gets images padded with zeros, and only the inside is compared."""
    a, b = images(48, 56)
    wide = [torch.nn.functional.pad(t, (0, 0, *4 * [2 * SSIM_RADIUS])).numpy() for t in (a, b)]
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    _, values = structural_similarity(*wide, channel_axis=2, full=True, **options)
    border = slice(2 * SSIM_RADIUS, -2 * SSIM_RADIUS)
    inside = values[border, border].mean()
    assert abs(ssim(a, b).item() - inside) < 1e-5
    assert abs(ssim.tensors(a, b).item() - inside) < 1e-5


def test_an_image_equals_itself_and_the_number_of_threads_does_not_matter() -> None:
    a, b = images(50, 40)
    assert ssim(a, a).item() == pytest.approx(1, abs=1e-6)
    before = threads()
    results: list[tuple[float, torch.Tensor]] = []
    for count in (1, 2, 3):
        set_threads(count)
        leaf = a.clone().requires_grad_()
        value = ssim(leaf, b)
        value.backward()
        assert leaf.grad is not None
        results.append((value.item(), leaf.grad))
    set_threads(before)
    assert all(value == results[0][0] and torch.equal(g, results[0][1]) for value, g in results[1:])
