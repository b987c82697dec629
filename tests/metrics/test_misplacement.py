"""Local shifts and the share of noise, where both are known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from avatar.metrics.detail import blurred
from avatar.metrics.misplacement import local_shift, noise_share

EVERYWHERE = torch.ones(128, 128, dtype=torch.bool)


def texture(seed: int, shift: tuple[float, float] = (0.0, 0.0)) -> Tensor:
    """Detail at several octaves, shifted right and down by the phase of its Fourier transform."""
    generator = torch.Generator().manual_seed(seed)
    gray = sum((blurred(torch.randn(128, 128, generator=generator), s) * s for s in (0.7, 1.4, 2.8)), torch.zeros(()))
    y, x = (torch.fft.fftfreq(128)[:, None], torch.fft.fftfreq(128))
    phase = torch.exp(-2j * torch.pi * (x * shift[0] + y * shift[1]))
    gray = torch.fft.ifft2(torch.fft.fft2(gray) * phase).real
    image: Tensor = (0.5 + 0.1 * gray / gray.std())[..., None].expand(128, 128, 3)
    return image


@pytest.mark.parametrize("shift", [(0.4, 0.0), (0.0, -0.8), (0.6, 0.6)])
@pytest.mark.parametrize("sigma", [0.0, 1.2])
def test_a_shift_is_measured_and_blur_is_none(shift: tuple[float, float], sigma: float) -> None:
    truth, moved = texture(1), texture(1, shift)
    if sigma:
        moved = blurred(moved[..., 0], sigma)[..., None].expand_as(moved)
    measured = local_shift(moved, truth, EVERYWHERE)
    length = (shift[0] ** 2 + shift[1] ** 2) ** 0.5
    assert measured is not None and measured * 2**0.5 == pytest.approx(length, rel=0.15)


def test_equal_images_are_not_shifted_and_different_ones_say_nothing_certain() -> None:
    assert local_shift(texture(1), texture(1), EVERYWHERE) == pytest.approx(0.0, abs=1e-3)
    assert local_shift(texture(1), texture(1), torch.zeros_like(EVERYWHERE)) is None
    flat = torch.full((128, 128, 3), 0.5)
    assert local_shift(flat, texture(1), EVERYWHERE) is None


def test_detail_of_its_own_is_hardly_a_shift() -> None:
    measured = [local_shift(texture(i) + 0.5 * (texture(i + 50) - 0.5), texture(i), EVERYWHERE) for i in range(1, 5)]
    assert all(value is not None and value < 0.22 for value in measured)


def test_noise_is_what_flat_places_show() -> None:
    noise = 0.01 * torch.randn(128, 128, 1, generator=torch.Generator().manual_seed(3)).expand(128, 128, 3)
    patched = torch.full((128, 128, 3), 0.5)
    patched[:, :64] = texture(1)[:, :64]
    clean, noisy, pure = (noise_share(x, EVERYWHERE, 0.7) for x in (patched, patched + noise, 0.5 + noise))
    assert clean is not None and noisy is not None and pure is not None
    assert clean < 0.001 < noisy < 0.2 and pure > 0.6
