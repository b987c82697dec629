"""The camera's motion from the background of made-up rooms: two textured walls that meet in a corner."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, map_coordinates

from avatar.errors import UsageError
from avatar.geometry import geodesic_angle, invert_rigid, procrustes, rigid, rotation_from_rotvec, transform
from avatar.io.camera_motion_file import CameraMotion, load_camera_motion, save_camera_motion
from avatar.io.files import write_json
from avatar.observation import camera_reconstruction
from avatar.observation.background_features import background_features, chained_rotations, consistent_with_depth
from avatar.observation.camera_motion import decide, estimate_camera_motion
from avatar.observation.time_spans import spans_in_words
from avatar.types import Cameras, ImageList, Observations

WIDTH, HEIGHT, FOCAL = 320, 400, 330.0
K = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1.0]])


def _texture(seed: int) -> np.ndarray:
    """Blots of all sizes, sharp enough for corners."""
    noise = np.random.default_rng(seed).normal(size=(3, 400, 400))
    layers = [gaussian_filter(noise[i], sigma) * sigma for i, sigma in enumerate((2.0, 5.0, 12.0))]
    texture: np.ndarray = np.clip(127 + 160 * sum(layers), 0, 255)
    return texture


WALLS = tuple(_texture(seed) for seed in (1, 2))


def _photo(T: torch.Tensor) -> np.ndarray:
    """The corner of the walls x = -z and x = z (world, z forward, corner at z = 5) as one camera sees it, by rays."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    rays = np.stack([(x - K[0, 2]) / FOCAL, (y - K[1, 2]) / FOCAL, np.ones_like(x)], -1) @ T[:3, :3].numpy()
    centre = invert_rigid(T)[:3, 3].numpy()
    image = np.zeros((HEIGHT, WIDTH))
    nearest = np.full((HEIGHT, WIDTH), np.inf)
    for wall, side in zip(WALLS, (-1.0, 1.0), strict=True):
        normal = np.array([side, 0.0, 1.0])
        distance = (5.0 - centre @ normal) / (rays @ normal)
        place = centre + distance[..., None] * rays
        along, height = place[..., 0] * 40 + 200, place[..., 1] * 40 + 200
        front = (distance > 0) & (distance < nearest)
        nearest = np.where(front, distance, nearest)
        image = np.where(front, map_coordinates(wall, [height, along], order=1, mode="reflect"), image)
    return np.repeat(image[..., None], 3, -1).round().astype(np.uint8)


def _filmed(cameras: torch.Tensor) -> Observations:
    """A clip of the corner with a person in the middle of every image."""
    photos = [_photo(T) for T in cameras]
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[150:, 140:180] = 255
    for photo in photos:
        photo[150:, 145:175] = 90
    count = len(photos)
    return Observations(
        images=ImageList.of(photos), masks=ImageList.of([mask] * count), keypoints=torch.zeros(count, 33, 3),
        keypoints_3d=torch.zeros(count, 33, 3), layout="blazepose33", instant=torch.arange(count),
        times=torch.arange(count) / 10, width=WIDTH, height=HEIGHT,
    )  # fmt: skip


def _still(count: int) -> torch.Tensor:
    return torch.eye(4).repeat(count, 1, 1)


def _turning(count: int) -> torch.Tensor:
    phase = torch.linspace(0, 2 * math.pi, count)
    rotvecs = torch.stack([0.03 * phase.sin(), 0.12 * (phase / 2).sin(), 0.02 * (2 * phase).sin()], -1)
    return rigid(rotation_from_rotvec(rotvecs), torch.zeros(count, 3))


def _swaying(count: int) -> torch.Tensor:
    """A phone in a hand: it sways by five centimetres, seven metres away from the corner, and trembles."""
    phase = torch.linspace(0, 2 * math.pi, count)
    rotvecs = torch.stack([0.02 * (3 * phase).sin(), 0.03 * (2 * phase).cos(), 0.01 * phase.sin()], -1)
    sway = torch.stack([0.05 * phase.sin(), 0.03 * (2 * phase).sin(), 0.04 * phase.cos()], -1)
    return rigid(rotation_from_rotvec(rotvecs), sway)


def _moving(count: int, reach: float = 0.6) -> torch.Tensor:
    """An arc about a point before the walls, bobbing; reach: half its angle, radians."""
    angle = torch.linspace(-reach, reach, count)
    R = rotation_from_rotvec(torch.stack([0 * angle, angle, 0 * angle], -1))
    pivot = torch.tensor([0.0, 0.0, 2.5])
    t = pivot - (R @ pivot) + torch.stack([0 * angle, 0.05 * (9 * angle).sin(), 0 * angle], -1)
    return rigid(R, t)


@pytest.mark.parametrize(("path", "regime"), [(_still, "still"), (_turning, "turning"), (_moving, "moving")])
def test_the_simplest_model_that_explains_the_background(path: Callable[[int], torch.Tensor], regime: str) -> None:
    clip = _filmed(path(7))
    probes = [background_features(clip.images[i], clip.masks[i]) for i in range(len(clip))]
    assert decide(probes, K) == (regime, None)


def test_rotations_are_exact() -> None:
    cameras = _turning(8)
    motion = estimate_camera_motion(_filmed(cameras), FOCAL, True)
    assert motion.regime == "turning" and motion.residual is not None and motion.residual < 0.5 and not motion.notes
    found = motion.cameras.T_camera_world[:, :3, :3]
    true = cameras[:, :3, :3] @ cameras[0, :3, :3].mT
    assert float(torch.rad2deg(geodesic_angle(found, true)).max()) < 0.1


def test_a_phone_that_sways_in_a_hand() -> None:
    cameras = _swaying(14)
    motion = estimate_camera_motion(_filmed(cameras), FOCAL, True)
    assert motion.regime == "moving" and motion.residual is not None and motion.residual < 0.3 and not motion.notes
    centres, true = (invert_rigid(T)[:, :3, 3] for T in (motion.cameras.T_camera_world, cameras))
    scale, R, t = procrustes(centres, true)
    assert float((scale * centres @ R.mT + t - true).norm(dim=-1).max()) < 0.01
    turned, truly = (one[:, :3, :3] @ one[0, :3, :3].mT for one in (motion.cameras.T_camera_world, cameras))
    assert float(torch.rad2deg(geodesic_angle(turned, truly)).max()) < 0.1


def test_where_the_camera_moved_too_fast_is_said() -> None:
    clip = _filmed(_turning(12))
    streaks = ImageList(12, lambda i: np.full((HEIGHT, WIDTH, 3), 90, np.uint8) if 4 <= i <= 6 else clip.images[i])
    weights = torch.ones(12)
    weights[9:11] = 0.3
    motion = estimate_camera_motion(replace(clip, images=streaks, frame_weight=weights), FOCAL, True, "turning")
    lost, blurred = motion.notes
    assert "moved too fast" in lost and "between 0.4 and 0.6 s" in lost and "3 of 12 frames" in lost
    assert "between 0.9 and 1.0 s" in blurred and "blurred" in blurred


def test_spans_in_words() -> None:
    times = np.arange(60) / 10
    chosen = np.isin(np.arange(60), [3, 10, 11, 12, 20, 30, 31, 32, 33, 34, 59])
    assert spans_in_words(times, chosen) == "at 0.3 s, between 1.0 and 1.2 s, between 3.0 and 3.4 s, …"
    assert spans_in_words(times, np.ones(60, bool)) == "between 0.0 and 5.9 s"


def test_a_blank_wall_says_nothing() -> None:
    clip = _filmed(_still(5))
    blank = ImageList.of([np.full((HEIGHT, WIDTH, 3), 200, np.uint8)] * 5)
    features = [background_features(blank[i], clip.masks[i]) for i in range(5)]
    regime, note = decide(features, K)
    assert regime == "still" and note is not None and "too blank" in note
    assert chained_rotations(features, K)[2].tolist() == [False, True, True, True, True]


def test_few_matches_with_many_outliers_are_answered() -> None:
    """OpenCV's own check of its model fails for the first set, and more like it."""
    for seed in (2611, *range(50)):
        random = np.random.default_rng(seed)
        count = int(random.integers(8, 60))
        p = (random.random((count, 2)) * 500).astype(np.float32)
        moved = random.normal(0, 100, (count, 2)) * (random.random((count, 1)) < 0.5)
        inside = consistent_with_depth(p, (p + moved).astype(np.float32))
        assert inside.shape == (count,)


@pytest.mark.skipif(importlib.util.find_spec("pycolmap") is None, reason="pycolmap is not installed")
def test_cameras_that_move_are_reconstructed() -> None:
    cameras = _moving(14)
    motion = estimate_camera_motion(_filmed(cameras), 1.1 * FOCAL, False)
    assert motion.regime == "moving" and motion.focal_given
    assert float(motion.cameras.K[0, 0, 0]) == pytest.approx(FOCAL, rel=0.03)
    centres, true = (invert_rigid(T)[:, :3, 3] for T in (motion.cameras.T_camera_world, cameras))
    scale, R, t = procrustes(centres, true)
    assert float((scale * centres @ R.mT + t - true).norm(dim=-1).max()) < 0.03


def test_without_pycolmap_the_next_simpler_model_is_taken_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name, package=None: None)
    clip = _filmed(_moving(6, reach=1.2))  # far between the frames, so that rotations alone lead nowhere
    motion = estimate_camera_motion(clip, FOCAL, True)
    assert motion.regime == "turning" and "pip install pycolmap" in motion.notes[0]
    with pytest.raises(UsageError, match="pip install pycolmap"):
        estimate_camera_motion(clip, FOCAL, True, "moving")


def test_missing_cameras_lie_between_their_neighbours() -> None:
    T, times = _moving(9), torch.arange(9) / 10
    valid = torch.ones(9, dtype=torch.bool)
    valid[[0, 4]] = False
    broken = torch.where(valid[:, None, None], T, torch.eye(4))
    filled = camera_reconstruction.filled_gaps(broken, valid, times)
    centres, true = (invert_rigid(one)[:, :3, 3] for one in (filled, T))
    assert float((centres[4] - true[4]).norm()) < 0.06
    torch.testing.assert_close(filled[0], T[1])
    torch.testing.assert_close(filled[valid], T[valid])


def _camera_files(folder: Path, cameras: Cameras) -> dict[str, Path]:
    """The same cameras as other programs write them."""
    paths = {name: folder / name for name in ("transforms.json", "metadata.json", "camera_motion.json")}
    T_world_camera = invert_rigid(cameras.T_camera_world) @ torch.diag(torch.tensor([1.0, -1, -1, 1]))
    frames = [{"file_path": f"{i:04d}.png", "transform_matrix": T.tolist()} for i, T in enumerate(T_world_camera)]
    size = {"w": WIDTH, "h": HEIGHT}
    lens = {"fl_x": FOCAL, "fl_y": FOCAL, "cx": WIDTH / 2, "cy": HEIGHT / 2}
    write_json(paths["transforms.json"], size | lens | {"frames": frames})
    quats = torch.tensor(np.array([_xyzw(T[:3, :3].numpy()) for T in T_world_camera]))
    poses = torch.cat([quats, T_world_camera[:, :3, 3]], 1).tolist()
    write_json(paths["metadata.json"], size | {"K": K.T.flatten().tolist(), "poses": poses})
    save_camera_motion(paths["camera_motion.json"], CameraMotion("moving", cameras, True, 0.3, notes=("a note",)))
    paths["colmap"] = folder / "sparse"
    paths["colmap"].mkdir()
    (paths["colmap"] / "cameras.txt").write_text(f"# header\n1 SIMPLE_RADIAL {WIDTH} {HEIGHT} {FOCAL} 160 200 0.01\n")
    lines = ["# header"]
    for i, T in enumerate(cameras.T_camera_world):
        x, y, z, w = _xyzw(T[:3, :3].numpy())
        lines += [" ".join(map(str, (i, w, x, y, z, *T[:3, 3].tolist(), 1, f"{i:04d}.png"))), ""]
    (paths["colmap"] / "images.txt").write_text("\n".join(lines))
    return paths


def _xyzw(R: np.ndarray) -> np.ndarray:
    from scipy.spatial.transform import Rotation

    quat: np.ndarray = Rotation.from_matrix(R).as_quat().astype(np.float32)
    return quat


def test_files_of_other_programs_tell_the_same_cameras(tmp_path: Path) -> None:
    T = _moving(5)
    cameras = Cameras(torch.from_numpy(K).float().repeat(5, 1, 1), T, WIDTH, HEIGHT)
    for path in _camera_files(tmp_path, cameras).values():
        motion = load_camera_motion(path)
        assert motion.regime == "moving" and motion.focal_given
        torch.testing.assert_close(motion.cameras.K, cameras.K)
        assert motion.vertical == ((0.0, 1.0, 0.0) if path.name == "metadata.json" else None)
        points = torch.randn(5, 4, 3, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(
            transform(motion.cameras.T_camera_world, points), transform(T, points), atol=1e-4, rtol=1e-4
        )


def test_what_is_known_of_the_lens_is_kept(tmp_path: Path) -> None:
    cameras = Cameras(torch.from_numpy(K).float().repeat(2, 1, 1), _moving(2), WIDTH, HEIGHT)
    lens = CameraMotion(
        "moving",
        cameras,
        focal_spread=0.07,
        focal_source="the file",
        distortion=(0.1, 0.0, 0.0, -0.01),
        vertical=(0.0, 0.6, 0.8),
    )
    save_camera_motion(tmp_path / "camera.json", lens)
    read = load_camera_motion(tmp_path / "camera.json")
    assert (read.focal_spread, read.focal_source, read.distortion) == (0.07, "the file", (0.1, 0.0, 0.0, -0.01))
    assert read.vertical == (0.0, 0.6, 0.8)
    assert "the file" in read.sentence()
