"""Recordings with depth as apps write them, of a bright bar before a wall."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.spatial.transform import Rotation

from avatar.geometry import invert_rigid, rotation_from_rotvec
from avatar.io.depth_recording import turned
from avatar.io.videos import VideoWriter
from avatar.types import Cameras

WIDTH, HEIGHT, FRAMES, FPS = 192, 256, 6, 10  # of the upright images
DEPTH = 24, 32  # width and height
K = torch.tensor([[220.0, 0, 92], [0, 224, 132], [0, 0, 1]])
BAR = 80, 40, 16, 184  # left, top, width and height of a bright bar in the upright image, at 2 m before a wall at 4 m


def upright_cameras(frames: int = FRAMES) -> Cameras:
    """A camera 1.2 m above the floor that looks down a little and is carried to the right."""
    T = torch.eye(4).repeat(frames, 1, 1)
    T[:, :3, :3] = rotation_from_rotvec(torch.tensor([0.1, 0, 0])) @ torch.diag(torch.tensor([1.0, -1, -1]))
    centres = torch.tensor([[0.1 * frame, 1.2, 3.0] for frame in range(frames)])
    T[:, :3, 3] = -(T[:, :3, :3] @ centres[..., None]).squeeze(-1)
    return Cameras(K.repeat(frames, 1, 1), T, WIDTH, HEIGHT)


def image() -> np.ndarray:
    left, top, width, height = BAR
    pixels = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    pixels[top : top + height, left : left + width] = 230
    return pixels


def depth() -> np.ndarray:
    metres = np.full((HEIGHT, WIDTH), 4.0, np.float32)
    left, top, width, height = BAR
    metres[top : top + height, left : left + width] = 2.0
    return metres[:: HEIGHT // DEPTH[1], :: WIDTH // DEPTH[0]]


def stray(folder: Path, held: int = 1, frames: int = FRAMES) -> Path:
    """A folder of Stray Scanner; `held`: quarter turns clockwise that bring its images upright."""
    stored = turned(upright_cameras(frames), -held % 4)
    for name in ("depth", "confidence"):
        (folder / name).mkdir(parents=True)
    with VideoWriter(folder / "rgb.mp4", fps=FPS) as writer:
        for _ in range(frames):
            writer.add(np.ascontiguousarray(np.rot90(image(), held)))
    T = invert_rigid(stored.T_camera_world)
    lines = ["timestamp, frame, x, y, z, qx, qy, qz, qw"]
    for frame in range(frames):
        quat = Rotation.from_matrix(T[frame, :3, :3].numpy()).as_quat()
        row = [100 + frame / FPS, f"{frame:06d}", *T[frame, :3, 3].tolist(), *quat]
        lines.append(", ".join(map(str, row)))
        millimetres = (1000 * np.rot90(depth(), held)).astype(np.uint16)
        Image.fromarray(np.ascontiguousarray(millimetres)).save(folder / "depth" / f"{frame:06d}.png")
        sure = np.full(millimetres.shape, 2, np.uint8)
        sure[0, 0] = 0
        Image.fromarray(sure).save(folder / "confidence" / f"{frame:06d}.png")
    (folder / "odometry.csv").write_text("\n".join(lines) + "\n")
    rows = [", ".join(map(str, row)) for row in stored.K[0].tolist()]
    (folder / "camera_matrix.csv").write_text("\n".join(rows))
    return folder


def record3d(path: Path, **changes: object) -> Path:
    """A file of Record3D; `changes` replace entries of its metadata or its members."""
    import lzfse

    cameras = upright_cameras()
    T = invert_rigid(cameras.T_camera_world)
    poses = []
    for frame in range(FRAMES):
        gl = T[frame, :3, :3].numpy() @ np.diag([1.0, -1, -1])
        poses.append([*Rotation.from_matrix(gl).as_quat(), *T[frame, :3, 3].tolist()])
    metadata = {
        "w": WIDTH, "h": HEIGHT, "dw": DEPTH[0], "dh": DEPTH[1], "fps": FPS, "K": K.T.flatten().tolist(),
        "poses": poses,
    }  # fmt: skip
    jpeg = io.BytesIO()
    Image.fromarray(image()).save(jpeg, "JPEG", quality=95)
    members: dict[str, object] = {"sound.m4a": b""}
    for frame in range(FRAMES):
        members[f"rgbd/{frame}.jpg"] = jpeg.getvalue()
        members[f"rgbd/{frame}.depth"] = lzfse.compress(depth().astype("<f4").tobytes())
        sure = np.full(DEPTH[::-1], 2, np.uint8)
        sure[0, 0] = 0
        members[f"rgbd/{frame}.conf"] = lzfse.compress(sure.tobytes())
    metadata |= {name: value for name, value in changes.items() if "/" not in name}
    members |= {name: value for name, value in changes.items() if "/" in name}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata", json.dumps(metadata))
        for name, value in members.items():
            if isinstance(value, bytes):
                archive.writestr(name, value)
    return path
