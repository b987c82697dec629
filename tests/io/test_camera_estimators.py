"""Cameras as TRAM, WHAM and GVHMR write them, made up from known ones."""

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from avatar.errors import AvatarError, UsageError
from avatar.geometry import (
    geodesic_angle,
    invert_rigid,
    quat_from_rotation,
    rigid,
    rotation_from_rotvec,
    rotation_to_rotvec,
)
from avatar.io.camera_estimators import REST_PELVIS
from avatar.io.camera_file import save_cameras
from avatar.io.camera_motion_file import load_camera_motion
from avatar.io.videos import VideoWriter
from avatar.pipeline.camera import camera_motion
from avatar.tracking.options import TrackOptions
from avatar.types import Cameras, ImageList, Observations

FRAMES, WIDTH, HEIGHT, FOCAL = 6, 320, 400, 330.0


@pytest.fixture
def cameras() -> Cameras:
    """A camera that is carried in an arc."""
    phase = torch.linspace(0, 1, FRAMES)
    rotvecs = torch.stack([0.1 * phase, 0.8 * phase, 0.05 * (3 * phase).sin()], -1)
    places = torch.stack([2 * phase.sin(), 0.1 * phase, 2 * phase.cos()], -1)
    K = torch.tensor([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])
    T = invert_rigid(rigid(rotation_from_rotvec(rotvecs), places))
    return Cameras(K.repeat(FRAMES, 1, 1), T, WIDTH, HEIGHT)


def tram(folder: Path, cameras: Cameras) -> Path:
    placed = invert_rigid(cameras.T_camera_world).numpy()
    content = {"pred_cam_R": placed[:, :3, :3], "pred_cam_T": placed[:, :3, 3],
               "img_focal": np.float32(FOCAL), "img_center": np.array([WIDTH / 2, HEIGHT / 2])}  # fmt: skip
    np.save(folder / "camera.npy", content, allow_pickle=True)  # type: ignore[arg-type]  # NumPy takes any object
    return folder / "camera.npy"


def dpvo(cameras: Cameras) -> np.ndarray:
    placed = invert_rigid(cameras.T_camera_world)
    quaternions = quat_from_rotation(placed[:, :3, :3])[:, [1, 2, 3, 0]]
    return torch.cat([placed[:, :3, 3], quaternions], -1).numpy()


def wham(folder: Path, cameras: Cameras) -> Path:
    (folder / "slam_results.pth").write_bytes(pickle.dumps(dpvo(cameras)))
    return folder / "slam_results.pth"


def gvhmr_with_dpvo(folder: Path, cameras: Cameras) -> Path:
    torch.save(dpvo(cameras), folder / "slam_results.pt")
    return folder / "slam_results.pt"


def gvhmr_odometry(folder: Path, cameras: Cameras) -> Path:
    torch.save(cameras.T_camera_world, folder / "slam_results.pt")
    return folder / "slam_results.pt"


def gvhmr_results(folder: Path, cameras: Cameras) -> Path:
    """A person who walks, in the world and before each camera."""
    phase = torch.linspace(0, 1, FRAMES)
    world = rigid(rotation_from_rotvec(torch.stack([0 * phase, phase, 0.1 * phase], -1)), torch.stack([phase] * 3, -1))

    def params(pelvis: torch.Tensor) -> dict[str, torch.Tensor]:
        return {
            "global_orient": rotation_to_rotvec(pelvis[:, :3, :3]),
            "transl": pelvis[:, :3, 3] - torch.tensor(REST_PELVIS),
        }

    content = {"smpl_params_global": params(world), "smpl_params_incam": params(cameras.T_camera_world @ world)}
    torch.save(content | {"K_fullimg": cameras.K}, folder / "hmr4d_results.pt")
    return folder / "hmr4d_results.pt"


@pytest.mark.parametrize(
    ("write", "with_focal"),
    [(tram, True), (gvhmr_results, True), (wham, False), (gvhmr_with_dpvo, False), (gvhmr_odometry, False)],
)
def test_cameras_come_back(
    tmp_path: Path, cameras: Cameras, write: Callable[[Path, Cameras], Path], with_focal: bool
) -> None:
    motion = load_camera_motion(write(tmp_path, cameras))
    assert motion.regime == "moving" and motion.focal_given is with_focal and motion.metric is with_focal
    T, true = motion.cameras.T_camera_world, cameras.T_camera_world
    assert geodesic_angle(T[:, :3, :3], true[:, :3, :3]).max() < 1e-3
    torch.testing.assert_close(invert_rigid(T)[:, :3, 3], invert_rigid(true)[:, :3, 3], atol=1e-4, rtol=0)
    if with_focal:
        torch.testing.assert_close(motion.cameras.K, cameras.K)
        assert (motion.cameras.width, motion.cameras.height) == (WIDTH, HEIGHT)


def test_a_body_is_no_camera(tmp_path: Path) -> None:
    torch.save({"smpl_params_global": {}}, tmp_path / "half.pt")
    np.save(tmp_path / "joints.npy", np.zeros((6, 24, 3)))
    (tmp_path / "text.pt").write_text("nothing")
    for name in ("half.pt", "joints.npy", "text.pt"):
        with pytest.raises(AvatarError, match=name):
            load_camera_motion(tmp_path / name)


def observed(video: Path, times: list[float], start: float) -> Observations:
    count = len(times)
    image, mask = np.zeros((HEIGHT, WIDTH, 3), np.uint8), np.zeros((HEIGHT, WIDTH), np.uint8)
    return Observations(
        images=ImageList.of([image] * count), masks=ImageList.of([mask] * count), keypoints=torch.zeros(count, 33, 3),
        keypoints_3d=torch.zeros(count, 33, 3), layout="blazepose33", instant=torch.arange(count),
        times=torch.tensor(times), width=WIDTH, height=HEIGHT, source=str(video), start=start,
    )  # fmt: skip


def test_cameras_of_a_whole_video_are_found_by_time(tmp_path: Path, cameras: Cameras) -> None:
    video = tmp_path / "video.mp4"
    with VideoWriter(video, 10) as writer:
        for _ in range(FRAMES):
            writer.add(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    frames = observed(video, [0.0, 0.3], 0.2)  # frames 2 and 5 of the file
    path = gvhmr_odometry(tmp_path, cameras)
    motion = camera_motion(frames, TrackOptions(camera=str(path)))
    torch.testing.assert_close(motion.cameras.T_camera_world, cameras.T_camera_world[[2, 5]])
    assert motion.cameras.width == WIDTH and motion.cameras.K[0, 0, 0] > WIDTH, "an assumed focal length"
    save_cameras(tmp_path / "short.json", cameras[:3])
    with pytest.raises(UsageError, match="3 cameras, but 2 frames of the video's 6 are used"):
        camera_motion(frames, TrackOptions(camera=str(tmp_path / "short.json")))
    with pytest.raises(UsageError, match="6 cameras, but 2 frames are used"):
        camera_motion(replace(frames, source="gone.mp4"), TrackOptions(camera=str(path)))
