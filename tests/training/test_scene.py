"""The scene around the person, from clips of a made-up room with a textured floor and wall."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, map_coordinates

from avatar.geometry import invert_rigid, project, rigid, rotation_from_rotvec
from avatar.metrics.images import psnr
from avatar.observation.scene_points import scene_points
from avatar.rendering.renderer import render
from avatar.training.scene import SceneTrainer, distances, scene_views
from avatar.training.scene_background import SceneBackdrop
from avatar.types import Cameras, ImageList, Observations

WIDTH, HEIGHT, FOCAL, EYES, WALL = 200, 240, 220.0, 1.2, -2.5
LEVEL_LOOK = torch.diag(torch.tensor([1.0, -1.0, -1.0]))  # a camera that looks along -z, upright


def _texture(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(3, 3, 300, 300))
    layers = sum(gaussian_filter(noise[i], (0, s, s)) * s for i, s in enumerate((2.0, 5.0, 12.0)))
    texture: np.ndarray = np.clip(127 + 160 * layers, 0, 255)
    return texture


TEXTURES = _texture(1), _texture(2)


def _surfaces(T: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Where each pixel's ray meets the floor y = 0 or the wall behind it, and whether it is the floor."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    rays = np.stack([(x - WIDTH / 2) / FOCAL, (y - HEIGHT / 2) / FOCAL, np.ones_like(x)], -1) @ T[:3, :3].numpy()
    centre = invert_rigid(T)[:3, 3].numpy()
    to_floor = np.where(rays[..., 1] < -1e-6, -centre[1] / np.minimum(rays[..., 1], -1e-6), np.inf)
    to_wall = (WALL - centre[2]) / rays[..., 2]
    on_floor = to_floor < to_wall
    return centre + np.where(on_floor, to_floor, to_wall)[..., None] * rays, on_floor


def _photo(T: torch.Tensor) -> np.ndarray:
    """The floor and the wall with their textures."""
    place, on_floor = _surfaces(T)
    along, deep = 50 * place[..., 0] + 150, 50 * np.where(on_floor, place[..., 2], place[..., 1]) + 150
    floor, wall = (
        np.stack([map_coordinates(channel, [deep, along], order=1, mode="reflect") for channel in texture], -1)
        for texture in TEXTURES
    )
    return np.where(on_floor[..., None], floor, wall).round().astype(np.uint8)


def _cameras(count: int, reach: float) -> Cameras:
    """At eye height 2.5 m before the person, on an arc about them."""
    angle = torch.linspace(-reach, reach, count)
    turn = rotation_from_rotvec(torch.stack([0 * angle, angle, 0 * angle], -1))
    centres = (turn @ torch.tensor([0.0, 0.0, 2.5])) + torch.tensor([0.0, EYES, 0.0])
    R = LEVEL_LOOK @ turn.mT
    return Cameras.centred(FOCAL, rigid(R, -(R @ centres[..., None])[..., 0]), WIDTH, HEIGHT)


def _clip(cameras: Cameras) -> Observations:
    """A grey person at the origin, who hides the middle of each image."""
    count, mask = len(cameras), np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[70:225, 85:115] = 255
    photos = [np.where(mask[..., None] > 0, 90, _photo(T)).astype(np.uint8) for T in cameras.T_camera_world]
    return Observations(
        images=ImageList.of(photos), masks=ImageList.of([mask] * count), keypoints=torch.zeros(count, 33, 3),
        keypoints_3d=torch.zeros(count, 33, 3), layout="blazepose33", instant=torch.arange(count),
        times=torch.arange(count) / 10, width=WIDTH, height=HEIGHT,
    )  # fmt: skip


def test_points_lie_on_the_surfaces() -> None:
    cameras = _cameras(9, 0.4)
    places = scene_points(_clip(cameras), cameras).places
    away = torch.minimum(places[:, 1].abs(), (places[:, 2] - WALL).abs())
    assert len(places) > 100 and float(away.quantile(0.9)) < 0.03
    assert float(places[:, 1].max()) > 1 and float(places[:, 2].max()) > -1  # both surfaces


def test_a_frame_shows_the_points_between_those_that_found_them() -> None:
    cameras = _cameras(9, 0.4)
    points = scene_points(_clip(cameras), cameras)
    for frame in (0, 4, 8):
        pixels, depth = project(cameras.K[frame], cameras.T_camera_world[frame], points.shown_in(frame))
        inside = (pixels > -2).all(1) & (pixels < torch.tensor([WIDTH + 2, HEIGHT + 2])).all(1)
        assert len(pixels) > 500 and float(((depth > 0) & inside).float().mean()) > 0.95


def test_the_floor_stays_flat_between_its_points_and_those_of_a_wall() -> None:
    """The few points on the floor lie far from the wall, so that triangles bridge the edge between the two."""
    cameras = _cameras(3, 0.4)
    place, on_floor = _surfaces(cameras.T_camera_world[1])
    rows, columns = np.mgrid[:HEIGHT:12, :WIDTH:12]
    on_grid = on_floor[rows, columns]
    chosen = ~on_grid | (rows > HEIGHT - 30)
    points = torch.from_numpy(place[rows, columns][chosen]).float()
    depth = distances(scene_views(_clip(cameras), cameras)[1], points, torch.zeros(3))
    T = cameras.T_camera_world[1].numpy()
    off = np.abs(depth.numpy() / (place @ T[2, :3] + T[2, 3]) - 1)
    assert 0 < (on_grid & chosen).sum() < 60 and np.median(off[on_floor]) < 1e-3 and np.median(off[~on_floor]) < 1e-3


def test_a_camera_that_keeps_its_place_measures_no_points() -> None:
    cameras = _cameras(5, 0.0)
    assert not len(scene_points(_clip(cameras), cameras).places)


@pytest.mark.parametrize(("reach", "side", "least"), [(0.4, 0.25, 19.0), (0.0, 0.0, 19.0)])
def test_the_scene_looks_right_without_the_person(reach: float, side: float, least: float) -> None:
    """From a place between those of the frames, in the whole image; a camera that stays shows its own view."""
    cameras, count = _cameras(9, reach), 9
    trainer = SceneTrainer(_clip(cameras), cameras, torch.zeros(count, 3))
    scene = trainer.run(30)
    other = _cameras(2, side)[1] if side else cameras[0]
    truth = torch.from_numpy(_photo(other.T_camera_world[0])).float() / 255
    image = render(scene, other).on_white()[0].clamp(0, 1)
    free = torch.ones(HEIGHT, WIDTH, dtype=torch.bool)
    if not reach:  # nobody knows what the person hides
        free[55:240, 70:130] = False
    assert psnr(image[free][None], truth[free][None]) > least
    assert trainer.psnr(scene) > least


def test_other_frames_show_what_is_behind_the_person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("avatar.training.scene_background.STEPS", 20)
    cameras = _cameras(9, 0.4)
    clip = _clip(cameras)
    backdrop = SceneBackdrop(clip, cameras, torch.zeros(9, 3))
    behind = backdrop.behind(4, (slice(60, 230), slice(70, 130)))
    hidden = clip.masks[4][60:230, 70:130] > 0
    known = hidden & (behind[..., 3] > 0)
    assert known.sum() > 0.5 * hidden.sum()
    truth = _photo(cameras.T_camera_world[4])[60:230, 70:130]
    assert np.abs(behind[..., :3].astype(float) - truth)[known].mean() < 12
