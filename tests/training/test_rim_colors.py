"""Rim colours come from the person, never from the background."""

from __future__ import annotations

import numpy as np
import pytest

from avatar.training.rim_colors import RIM, interior, replace_rim_colors

RED, GREEN = np.array([200, 30, 30], np.uint8), np.array([20, 220, 20], np.uint8)


def before_a_green_wall(radius: float) -> tuple[np.ndarray, np.ndarray]:
    """A red disc whose outermost two pixels mix with the wall although the mask counts them to the disc."""
    rows, columns = np.mgrid[:400, :400] + 0.5
    distance = np.hypot(rows - 200, columns - 200)
    share = np.clip((radius - distance) / 2, 0, 1)[..., None]
    image = (RED * share + GREEN * (1 - share)).astype(np.uint8)
    return image, (np.clip(radius - distance + 0.5, 0, 1) * 255).astype(np.uint8)


def test_the_wall_is_nowhere_under_the_mask() -> None:
    image, mask = before_a_green_wall(190)
    assert (image[mask > 0][:, 1] > 60).any()
    colors = replace_rim_colors(image, mask)
    assert (colors[mask > 0][:, 1] < 60).all()
    inner = interior(mask)
    assert np.array_equal(colors[inner], image[inner])
    rim = (mask > 127) & ~inner
    assert rim.sum() == pytest.approx(2 * np.pi * 190 * RIM * 380, rel=0.8)


def test_thin_parts_keep_their_own_colours() -> None:
    image, mask = np.full((400, 400, 3), 90, np.uint8), np.zeros((400, 400), np.uint8)
    mask[5:395, 20:60] = 255
    image[100:103, 200:390] = RED
    mask[100:103, 200:390] = 255
    assert (replace_rim_colors(image, mask)[101, 210:380] == RED).all()


def test_the_border_of_the_image_is_no_rim() -> None:
    mask = np.zeros((100, 100), np.uint8)
    mask[:, :50] = 255
    inner = interior(mask)
    assert inner[0, 0] and inner[99, 10] and not inner[50, 49]


def test_an_image_without_an_inside_stays() -> None:
    image = np.random.default_rng(0).integers(0, 255, (30, 30, 3)).astype(np.uint8)
    for value in (0, 255):
        assert np.array_equal(replace_rim_colors(image, np.full((30, 30), value, np.uint8)), image)
