"""Detail by octave: what blur, noise and a shift do to it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from avatar.metrics.detail import blurred, detail, detail_scores, interior

EVERYWHERE = torch.ones(96, 96, dtype=torch.bool)


@pytest.fixture
def texture() -> Tensor:
    """An image with detail at every octave."""
    generator = torch.Generator().manual_seed(2)
    gray = sum(
        (blurred(torch.randn(96, 96, generator=generator), s) * s for s in (0.6, 1.2, 2.4, 4.8)), torch.zeros(())
    )
    return (0.5 + 0.1 * gray / gray.std()).clamp(0, 1)[..., None].expand(96, 96, 3)


def test_equal_images_have_all_detail(texture: Tensor) -> None:
    bands = detail(texture, texture, EVERYWHERE)
    assert bands is not None
    for band in bands:
        assert band.contrast == pytest.approx(1.0) and band.correlation == pytest.approx(1.0)


def test_blur_takes_the_finest_contrast_first(texture: Tensor) -> None:
    soft = torch.stack([blurred(texture[..., c], 1.0) for c in range(3)], -1)
    bands = detail(soft, texture, EVERYWHERE)
    assert bands is not None
    contrasts = [band.contrast for band in bands]
    assert contrasts == sorted(contrasts) and contrasts[0] < 0.6 and contrasts[-1] > 0.8


def test_a_shift_keeps_contrast_and_loses_correlation(texture: Tensor) -> None:
    bands = detail(texture.roll(2, dims=1), texture, EVERYWHERE)
    assert bands is not None
    assert bands[0].contrast == pytest.approx(1.0, abs=0.1)
    assert bands[0].correlation < bands[1].correlation < bands[2].correlation < 0.98


def test_colour_alone_is_no_detail(texture: Tensor) -> None:
    bands = detail(0.5 * texture + 0.2, texture, EVERYWHERE)
    assert bands is not None
    assert all(band.correlation == pytest.approx(1.0) for band in bands)
    assert all(band.contrast == pytest.approx(0.5) for band in bands)


def test_the_interior_keeps_away_from_the_silhouette() -> None:
    coverage = torch.zeros(60, 60)
    coverage[10:50, 10:50] = 1.0
    inside = interior(coverage, border=8)
    assert inside[18:42, 18:42].all() and int(inside.sum()) == 24 * 24
    assert detail(torch.zeros(60, 60, 3), torch.zeros(60, 60, 3), interior(coverage, border=19)) is None


def test_scores_are_named_by_octave_and_missing_for_a_tiny_person(texture: Tensor) -> None:
    scores = detail_scores(texture, texture, torch.ones(96, 96))
    assert scores["detail_contrast_0.7"] == pytest.approx(1.0) and scores["detail_correlation_2.8"] == pytest.approx(
        1.0
    )
    tiny = torch.zeros(96, 96)
    tiny[40:60, 40:60] = 1.0
    assert detail_scores(texture, texture, tiny) == {}
