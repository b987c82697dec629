"""Cameras that show a person: the box is in view, upright, and files load as they were saved."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from avatar.errors import AvatarError
from avatar.geometry import project, transform
from avatar.io.camera_file import load_cameras, save_cameras
from avatar.rendering.camera_paths import follow, front, look_at, orbit
from avatar.types import Cameras

LOW, HIGH = torch.tensor([-0.9, 0.0, -0.3]), torch.tensor([0.9, 1.8, 0.3])
CORNERS = torch.cartesian_prod(*torch.stack([LOW, HIGH], 1))


def in_view(cameras: Cameras, corners: Tensor) -> bool:
    pixels, depth = project(cameras.K, cameras.T_camera_world, corners)
    inside = (pixels > 0).all() & (pixels < torch.tensor([cameras.width, cameras.height])).all()
    return bool(inside & (depth > 0.1).all())


@pytest.mark.parametrize(("width", "height"), [(540, 960), (960, 540), (64, 64)])
def test_the_whole_box_is_in_view_and_fills_the_image(width: int, height: int) -> None:
    cameras = orbit(LOW, HIGH, 24, width, height)
    assert in_view(cameras, CORNERS.expand(24, 8, 3))
    pixels, _ = project(cameras.K, cameras.T_camera_world, CORNERS.expand(24, 8, 3))
    from_middle = (pixels / torch.tensor([width, height]) - 0.5).abs() * 2
    assert float(from_middle.max()) == pytest.approx(0.94, abs=0.01)


def test_front_stands_before_a_person_facing_z_with_the_left_hand_on_the_right_of_the_image() -> None:
    cameras = front(LOW, HIGH, 3, 540, 960)
    assert len(cameras) == 3
    points = torch.tensor([[[0.5, 1.0, 0.0], [0.0, 1.5, 0.0], [0.0, 0.5, 0.0]]]).expand(3, 3, 3)
    pixels, _ = project(cameras.K, cameras.T_camera_world, points)
    assert (pixels[:, 0, 0] > 270).all() and (pixels[:, 1, 1] < pixels[:, 2, 1]).all()


def test_an_orbit_shows_the_left_side_after_a_quarter_turn() -> None:
    cameras = orbit(LOW, HIGH, 4, 100, 100)
    left_hand = transform(cameras.T_camera_world, torch.tensor([[[0.9, 1.0, 0.0]]]).expand(4, 1, 3))
    assert int(left_hand[:, 0, 2].argmin()) == 1


def test_follow_keeps_the_person_in_view_on_a_long_path() -> None:
    path = torch.stack([torch.zeros(50), torch.zeros(50), torch.linspace(0, 30, 50)], -1)
    cameras = follow(path, LOW, HIGH, 540, 960)
    assert in_view(cameras, path[:, None] + CORNERS)


def test_look_at_is_a_rotation_with_the_target_in_the_middle() -> None:
    eye, target = torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[0.2, 1.0, -1.0]])
    T = look_at(eye, target)
    torch.testing.assert_close(T[0, :3, :3] @ T[0, :3, :3].T, torch.eye(3), atol=1e-6, rtol=0)
    in_camera = transform(T, target[None])[0, 0]
    torch.testing.assert_close(in_camera, torch.tensor([0.0, 0.0, float((target - eye).norm())]), atol=1e-5, rtol=0)


def test_a_camera_file_loads_as_saved(tmp_path: Path) -> None:
    cameras = orbit(LOW, HIGH, 5, 320, 240)
    save_cameras(tmp_path / "c.json", cameras)
    again = load_cameras(tmp_path / "c.json")
    assert (again.width, again.height) == (320, 240)
    torch.testing.assert_close(again.T_camera_world, cameras.T_camera_world)


@pytest.mark.parametrize("text", ["[]", "{}", '{"width": 3, "height": 4, "K": [[1]], "T_camera_world": [[1]]}', "{"])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(AvatarError, match=r"c\.json"):
        load_cameras(tmp_path / "c.json")
