"""A lens that bends straight lines: the images are made straight again, and the landmarks with them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from avatar.io.camera_motion_file import CameraMotion
from avatar.io.lens_distortion import Distortion
from avatar.observation.camera_motion import standing_still
from avatar.observation.distortion import displacement, undistorted
from avatar.pipeline.camera import at_usual_exposure, through_pinhole
from avatar.types import ImageList, Observations

WIDTH, HEIGHT, FOCAL = 240, 320, 260.0
K = torch.tensor([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])
LENS: Distortion = (-0.12, 0.03, 0.004, -0.003)
RATIONAL: Distortion = (0.6, -1.9, 0.004, -0.003, 1.1, 0.72, -1.94, 1.12)


def bent(points: torch.Tensor, lens: Distortion = LENS) -> torch.Tensor:
    """Brown's model, and OpenCV's rational one: where the lens puts points of a pinhole image, pixels."""
    x, y = ((points - K[:2, 2]) / FOCAL).unbind(-1)
    square, (k1, k2, p1, p2, k3, k4, k5, k6) = x * x + y * y, (*lens, 0, 0, 0, 0)[:8]
    radial = 1 + k1 * square + k2 * square**2 + k3 * square**3
    radial = radial / (1 + k4 * square + k5 * square**2 + k6 * square**3)
    moved = torch.stack([
        x * radial + 2 * p1 * x * y + p2 * (square + 2 * x * x),
        y * radial + p1 * (square + 2 * y * y) + 2 * p2 * x * y,
    ], -1)  # fmt: skip
    return moved * FOCAL + K[:2, 2]


@pytest.fixture
def observations() -> Observations:
    """Dots on a grid as the lens shows them, each a landmark."""
    true = torch.stack(torch.meshgrid(torch.linspace(40, 200, 11), torch.linspace(40, 280, 3), indexing="xy"), -1)
    dots = bent(true.reshape(-1, 2))
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    image = np.zeros((HEIGHT, WIDTH))
    for u, v in dots.tolist():
        image += 255 * np.exp(-((x - u) ** 2 + (y - v) ** 2) / 8)
    grey = image.clip(0, 255).astype(np.uint8)
    keypoints = torch.cat([dots, torch.ones(len(dots), 1)], -1)[None]
    return Observations(
        images=ImageList.of([np.repeat(grey[..., None], 3, -1)]), masks=ImageList.of([grey]), keypoints=keypoints,
        keypoints_3d=torch.zeros(1, 33, 3), layout="blazepose33", instant=torch.arange(1), times=torch.zeros(1),
        width=WIDTH, height=HEIGHT,
    )  # fmt: skip


def test_the_grid_is_straight_again(observations: Observations) -> None:
    straight = undistorted(observations, K, LENS)
    true = torch.stack(torch.meshgrid(torch.linspace(40, 200, 11), torch.linspace(40, 280, 3), indexing="xy"), -1)
    torch.testing.assert_close(straight.keypoints[0, :, :2], true.reshape(-1, 2), atol=0.02, rtol=0)
    image, mask = straight.images[0][..., 0].astype(float), straight.masks[0]
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    for u, v in true.reshape(-1, 2).tolist():  # the centre of mass of each dot
        near = (abs(x - u) < 6) & (abs(y - v) < 6)
        assert np.average(x[near], weights=image[near]) == pytest.approx(u, abs=0.15)
        assert np.average(y[near], weights=image[near]) == pytest.approx(v, abs=0.15)
    np.testing.assert_array_equal(mask, straight.images[0][..., 0])


def test_the_corner_tells_how_strong_a_lens_is() -> None:
    corner = torch.zeros(1, 2)
    for lens in (LENS, RATIONAL):
        assert displacement(K, lens) == pytest.approx(float((bent(corner, lens) - corner).norm()), rel=1e-4)


@pytest.mark.parametrize("scale", [1, 2])
def test_depth_is_straightened_at_its_own_resolution(observations: Observations, scale: int) -> None:
    """Pixels that show a plane in patches, as the rational lens bends them."""
    size = HEIGHT // scale, WIDTH // scale
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    places = torch.from_numpy(np.stack([x, y], -1) * scale).float()
    true = (1 + (places[..., 0] // 40) + 10 * (places[..., 1] // 40)).numpy().astype(np.float32)
    # The lens moves by few pixels, so fixed-point iteration inverts it.
    straight = places.clone()
    for _ in range(30):
        straight += places - bent(straight.reshape(-1, 2), RATIONAL).view_as(places)
    seen = (1 + (straight[..., 0] // 40) + 10 * (straight[..., 1] // 40)).numpy().astype(np.float32)
    assert (seen != true).mean() > 0.02
    found = undistorted(replace(observations, depth=ImageList.of([seen])), K, RATIONAL).depth
    assert found is not None and found[0].shape == size and found[0].dtype == np.float32
    inside = (slice(20 // scale, -20 // scale),) * 2
    edges = np.minimum(places.numpy() % 40, 40 - places.numpy() % 40).min(-1) <= scale
    assert np.array_equal(found[0][inside][~edges[inside]], true[inside][~edges[inside]])


def test_a_lens_without_distortion_changes_nothing(observations: Observations) -> None:
    plain = standing_still(observations, FOCAL, True)
    assert through_pinhole(observations, plain) is observations is through_pinhole(observations, None)
    lens: CameraMotion = replace(plain, distortion=LENS)
    assert "distortion of its lens" in lens.sentence()
    corrected = at_usual_exposure(observations, lens)
    assert not torch.equal(corrected.keypoints, observations.keypoints)
