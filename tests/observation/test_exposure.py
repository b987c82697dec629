"""Exposure from the background: a made-up clip whose brightness changes as a phone's does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from avatar.io.exposure import at_exposure, exposed
from avatar.observation.exposure import measure_exposure, returns, summed_changes
from avatar.types import Cameras, ImageList

from .test_camera_motion import _filmed, _moving, _still


def _cameras(T: torch.Tensor) -> Cameras:
    return Cameras(torch.eye(3).repeat(len(T), 1, 1), T, 320, 400)


def test_exposure_follows_the_background_and_not_the_person() -> None:
    T = _moving(12)
    clip = _filmed(T)
    phase = np.linspace(0, 3, 12)[:, None]
    gains = np.exp(0.2 * np.sin(phase + [0.0, 0.1, 0.2]))
    gains /= np.exp(np.log(gains).mean(0))
    images = [exposed(clip.images[i], gain) for i, gain in enumerate(gains)]
    for image in images:
        image[150:, 145:175] = 90  # the person is evenly grey in all frames, and does not matter
    filmed = replace(clip, images=ImageList.of(images))
    measured = measure_exposure(filmed, _cameras(T))
    assert measured is not None
    assert np.abs(np.log(measured.numpy() / gains)).max() < 0.04
    assert measure_exposure(clip, _cameras(T)) is None  # constant: nothing is changed


def test_a_gain_is_undone_by_its_inverse() -> None:
    image = np.random.default_rng(0).integers(30, 150, (6, 5, 3), dtype=np.uint8)
    back = exposed(exposed(image, np.array([1.2, 1.0, 0.8])), 1 / np.array([1.2, 1.0, 0.8]))
    assert np.abs(back.astype(int) - image).max() <= 1
    assert float(at_exposure(np.array([0.5]), 2.0)[0]) == pytest.approx(0.685, abs=0.002)


def test_changes_add_up() -> None:
    logs = np.random.default_rng(1).normal(size=(9, 3)) * 0.1
    logs -= logs.mean(0)
    pairs = [(i, i + 1) for i in range(8)] + [(0, 8)]
    changes = np.stack([logs[b] - logs[a] for a, b in pairs])
    np.testing.assert_allclose(summed_changes(9, pairs, changes), logs, atol=0.01)


def test_a_camera_that_comes_back() -> None:
    there_and_back = torch.cat([_moving(12), _moving(12).flip(0)])
    pairs = returns(_cameras(there_and_back))
    assert (0, 23) in pairs and all(abs(a + b - 23) <= 1 for a, b in pairs)
    assert len(returns(_cameras(_still(40)))) <= 60
