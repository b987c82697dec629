"""Folders of a recording with depth: those of Stray Scanner, and the same with our camera file.

- a video, of Stray Scanner `rgb.mp4`, otherwise the only one in the folder;
- `depth/000000.png`, ...: one per frame, 16-bit grey, millimetres along the optical axis; 0: not measured;
- `confidence/000000.png`, ...: 0 (left out), 1 or 2; the folder may be missing;
- `odometry.csv` with `timestamp, frame, x, y, z, qx, qy, qz, qw` and perhaps `fx, fy, cx, cy`: from the camera
  (OpenCV's axes) to ARKit's world (y up, metres), and `camera_matrix.csv`, 3x3; or instead of both our camera file
  `cameras.json` with a camera for each frame, or one that stands still.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32

from avatar.errors import AvatarError, UsageError, short_message
from avatar.geometry import invert_rigid, rigid, rotation_from_quat
from avatar.io.camera_file import load_cameras
from avatar.io.depth_recording import DepthRecording, for_all_frames, usual_intrinsics
from avatar.io.files import read_text
from avatar.io.images import read_depth, read_mask
from avatar.io.videos import open_video
from avatar.types import Cameras

VIDEOS = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi")
POSE = ("x", "y", "z", "qx", "qy", "qz", "qw")
INTRINSICS = ("fx", "fy", "cx", "cy")


def is_scan_folder(folder: Path) -> bool:
    """Whether a folder is meant as such a recording; it may still lack files."""
    has_cameras = (folder / "odometry.csv").is_file() or (folder / "cameras.json").is_file()
    return has_cameras and ((folder / "depth").is_dir() or (folder / "rgb.mp4").is_file())


def read_scan_folder(folder: Path) -> DepthRecording:
    """Read the cameras of a recording; its images stay on disk until they are used.

    Raises:
        UsageError: the video, the depth images or the cameras are missing. AvatarError: a file is broken.
    """
    video = _video(folder)
    if not (folder / "depth").is_dir():
        raise UsageError(f"{folder} has no folder depth: record with LiDAR depth, or give {video} alone.")
    numbers: list[int] | None = None
    if (folder / "odometry.csv").is_file():
        numbers, cameras = _odometry(folder, video)
    else:
        cameras = for_all_frames(load_cameras(folder / "cameras.json"), open_video(video))

    def depth(index: int) -> Float32[np.ndarray, "h w"]:
        name = f"{index if numbers is None else numbers[index]:06d}.png"
        metres = read_depth(folder / "depth" / name)
        confidence = folder / "confidence" / name
        if not confidence.is_file():
            return metres
        sure = read_mask(confidence)
        if sure.shape != metres.shape:
            raise AvatarError(f"{confidence} is not of the size of the depth image.")
        return np.where(sure > 0, metres, 0.0).astype(np.float32)

    return DepthRecording(folder, video, cameras, depth)


def _video(folder: Path) -> Path:
    if (folder / "rgb.mp4").is_file():
        return folder / "rgb.mp4"
    videos = sorted(path for path in folder.iterdir() if path.suffix.lower() in VIDEOS)
    if len(videos) != 1:
        raise UsageError(f"{folder} should hold rgb.mp4 or one other video, and holds {len(videos)}.")
    return videos[0]


def _odometry(folder: Path, video: Path) -> tuple[list[int], Cameras]:
    """The number of each frame and its camera."""
    path = folder / "odometry.csv"
    lines = [line for line in read_text(path).splitlines() if line.strip()]
    rows = list(csv.DictReader(lines, skipinitialspace=True))
    try:
        numbers = [int(row["frame"]) for row in rows]
        poses = torch.tensor([[float(row[name]) for name in POSE] for row in rows], dtype=torch.float64)
        has_lens = bool(rows) and all(row.get(name) for name in INTRINSICS for row in rows)
        lens = [[float(row[name]) for name in INTRINSICS] for row in rows] if has_lens else None
    except (KeyError, TypeError, ValueError) as error:
        raise AvatarError(
            f"{path} is broken ({short_message(error)}): each frame needs a row with {', '.join(('frame', *POSE))}."
        ) from error
    turns = poses[:, 3:].norm(dim=-1) if len(poses) else poses.new_zeros(0)
    if not len(poses) or not poses.isfinite().all() or (turns - 1).abs().max() > 0.01 or min(numbers) < 0:
        raise AvatarError(f"{path} is broken: it holds no frames, or poses that are no finite numbers.")
    T_world_camera = rigid(rotation_from_quat(poses[:, [6, 3, 4, 5]]), poses[:, :3])
    K = _camera_matrix(folder).repeat(len(poses), 1, 1) if lens is None else _matrices(lens)
    size = open_video(video)
    return numbers, Cameras(usual_intrinsics(K), invert_rigid(T_world_camera).float(), size.width, size.height)


def _matrices(lens: list[list[float]]) -> torch.Tensor:
    return torch.tensor([[[fx, 0, cx], [0, fy, cy], [0, 0, 1]] for fx, fy, cx, cy in lens])


def _camera_matrix(folder: Path) -> torch.Tensor:
    path = folder / "camera_matrix.csv"
    try:
        rows = [[float(value) for value in line.split(",")] for line in read_text(path).splitlines() if line.strip()]
        K = torch.tensor(rows, dtype=torch.float32)
    except (ValueError, TypeError) as error:
        raise AvatarError(f"{path} is broken: {short_message(error)}.") from error
    if K.shape != (3, 3) or not K.isfinite().all() or not (K[[0, 1], [0, 1]] > 0).all():
        raise AvatarError(f"{path} should hold the 3x3 matrix of the camera, and holds {tuple(K.shape)} numbers.")
    return K
