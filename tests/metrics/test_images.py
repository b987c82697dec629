"""Image metrics against scikit-image and values worked out by hand."""

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from avatar.metrics import images as metrics


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    truth = torch.rand(40, 57, 3, generator=generator)
    image = (truth + 0.1 * torch.randn(40, 57, 3, generator=generator)).clamp(0, 1)
    return image, truth


def test_psnr_is_that_of_scikit_image(pair: tuple[Tensor, Tensor]) -> None:
    image, truth = pair
    expected = peak_signal_noise_ratio(truth.double().numpy(), image.double().numpy(), data_range=1.0)
    assert metrics.psnr(image, truth) == pytest.approx(expected, abs=1e-6)


def test_psnr_of_a_constant_difference() -> None:
    truth = torch.full((4, 5, 3), 0.5)
    assert metrics.psnr(truth + 0.1, truth) == pytest.approx(20.0, abs=1e-4)
    assert metrics.psnr(truth, truth) == metrics.MAX_PSNR


def test_ssim_is_that_of_scikit_image_with_the_gaussian_window(pair: tuple[Tensor, Tensor]) -> None:
    image, truth = pair
    # scikit-image excludes the border of 5 px where the window leaves the image; here zeros lie beyond it.
    padded = [np.pad(each.double().numpy(), ((5, 5), (5, 5), (0, 0))) for each in pair]
    expected = structural_similarity(
        *padded, data_range=1.0, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert metrics.ssim(image, truth) == pytest.approx(expected, abs=1e-5)
    assert metrics.ssim(truth, truth) == pytest.approx(1.0)


def test_person_box_has_the_margin_and_stays_in_the_image() -> None:
    alpha = torch.zeros(100, 80)
    alpha[5:50, 30:40] = 1.0
    assert metrics.person_box(alpha) == (slice(0, 60), slice(20, 50))
    assert metrics.person_box(torch.zeros(9, 9)) is None


def test_alpha_iou() -> None:
    a, b = torch.zeros(10, 10), torch.zeros(10, 10)
    a[:, :6], b[:, 4:] = 1.0, 1.0
    assert metrics.alpha_iou(a, b) == pytest.approx(20 / 100)
    assert metrics.alpha_iou(torch.zeros(2, 2), torch.zeros(2, 2)) == 1.0
    assert metrics.alpha_iou(0.5 * torch.ones(2, 2), torch.ones(2, 2)) == pytest.approx(0.5)
