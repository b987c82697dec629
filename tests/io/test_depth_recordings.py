"""Recordings with depth as apps write them: turned as the phone was held, whole, broken and hostile."""

import io
import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from avatar.errors import AvatarError, UsageError
from avatar.geometry import invert_rigid, project, rotation_from_rotvec
from avatar.io.camera_file import save_cameras
from avatar.io.depth_recording import DepthVideo, centred_box, quarter_turns, turned
from avatar.io.recordings import is_depth_recording, open_depth_recording
from avatar.io.videos import VideoWriter
from avatar.types import Cameras

lzfse = pytest.importorskip("lzfse")

WIDTH, HEIGHT, FRAMES, FPS = 96, 128, 6, 10  # of the upright images
DEPTH = 24, 32  # width and height
K = torch.tensor([[110.0, 0, 46], [0, 112, 66], [0, 0, 1]])
SPOT = 40, 24, 8  # left, top and side of a bright square in the upright image, at 2 m before a wall at 4 m


def upright_cameras(frames: int = FRAMES) -> Cameras:
    """A camera 1.2 m above the floor that looks down a little and is carried to the right."""
    T = torch.eye(4).repeat(frames, 1, 1)
    T[:, :3, :3] = rotation_from_rotvec(torch.tensor([0.1, 0, 0])) @ torch.diag(torch.tensor([1.0, -1, -1]))
    centres = torch.tensor([[0.1 * frame, 1.2, 3.0] for frame in range(frames)])
    T[:, :3, 3] = -(T[:, :3, :3] @ centres[..., None]).squeeze(-1)
    return Cameras(K.repeat(frames, 1, 1), T, WIDTH, HEIGHT)


def image() -> np.ndarray:
    left, top, side = SPOT
    pixels = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    pixels[top : top + side, left : left + side] = 230
    return pixels


def depth() -> np.ndarray:
    metres = np.full((HEIGHT, WIDTH), 4.0, np.float32)
    left, top, side = SPOT
    metres[top : top + side, left : left + side] = 2.0
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
        from scipy.spatial.transform import Rotation

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
    from scipy.spatial.transform import Rotation

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


def opened(path: Path, tmp_path: Path) -> DepthVideo:
    assert is_depth_recording(path)
    return open_depth_recording(path, tmp_path / "unpacked", 1920)


def check_upright(recording: DepthVideo) -> None:
    """Colours, depth and cameras of a recording are those of the upright scene, around the optical axis."""
    video, cameras = recording.video, recording.cameras
    assert (video.width, video.height) == (cameras.width, cameras.height) == (92, 124)
    centre = cameras.K[0, :2, 2] - torch.tensor([video.width / 2, video.height / 2])
    assert centre.abs().max() <= 1
    frames = list(video.frames())
    assert len(frames) == len(cameras) == FRAMES
    # The square, in all three.
    ys, xs = np.nonzero(frames[0][1][..., 0] > 130)
    metres = recording.depth(0)
    rows, columns = np.nonzero((metres > 0) & (metres < 3))
    scale = video.width / metres.shape[1]
    assert (columns.mean() + 0.5) * scale == pytest.approx(xs.mean() + 0.5, abs=0.6 * scale)
    assert (rows.mean() + 0.5) * scale == pytest.approx(ys.mean() + 0.5, abs=0.6 * scale)
    # A point that the true upright camera sees at the square's middle.
    middle = torch.tensor([[SPOT[0] + SPOT[2] / 2, SPOT[1] + SPOT[2] / 2, 1.0]])
    truth = upright_cameras()
    for frame in (0, FRAMES - 1):
        before = 2.0 * (torch.linalg.inv(K) @ middle[0])
        T = invert_rigid(truth.T_camera_world[frame])
        point = T[:3, :3] @ before + T[:3, 3]
        pixels, far = project(cameras.K[frame], cameras.T_camera_world[frame], point[None])
        assert pixels[0].tolist() == pytest.approx([xs.mean() + 0.5, ys.mean() + 0.5], abs=1.0)
        assert float(far[0]) == pytest.approx(2.0, abs=1e-4)


@pytest.mark.parametrize("held", range(4))
def test_a_scan_is_turned_upright_however_the_phone_was_held(tmp_path: Path, held: int) -> None:
    check_upright(opened(stray(tmp_path / "scan", held), tmp_path))


def test_a_file_of_record3d_holds_the_same(tmp_path: Path) -> None:
    recording = opened(record3d(tmp_path / "clip.r3d"), tmp_path)
    check_upright(recording)
    assert recording.video.fps == pytest.approx(FPS)


def test_a_folder_with_a_camera_file_holds_the_same(tmp_path: Path) -> None:
    folder = stray(tmp_path / "scan", held=0)
    (folder / "odometry.csv").unlink()
    (folder / "rgb.mp4").rename(folder / "video.mp4")
    save_cameras(folder / "cameras.json", upright_cameras())
    check_upright(opened(folder, tmp_path))
    save_cameras(folder / "cameras.json", upright_cameras(1))
    assert len(opened(folder, tmp_path).cameras) == FRAMES


def test_intrinsics_of_each_frame_go_before_the_matrix(tmp_path: Path) -> None:
    folder = stray(tmp_path / "scan", held=0)
    path = folder / "odometry.csv"
    header, *rows = path.read_text().splitlines()
    lens = ", ".join(f"{float(value)}" for value in (K[0, 0], K[1, 1], K[0, 2], K[1, 2]))
    path.write_text("\n".join([header + ", fx, fy, cx, cy", *(f"{row}, {lens}" for row in rows)]))
    (folder / "camera_matrix.csv").unlink()
    check_upright(opened(folder, tmp_path))


def test_depth_without_confidence_is_left_out(tmp_path: Path) -> None:
    for path in (stray(tmp_path / "scan", held=0), record3d(tmp_path / "clip.r3d")):
        recording = opened(path, tmp_path)
        assert recording.recording.depth(0)[0, 0] == 0
        assert (recording.recording.depth(0)[1:] > 0).all()


def test_the_turn_follows_gravity() -> None:
    cameras = upright_cameras()
    for turns in range(4):
        back = turned(turned(cameras, turns), -turns % 4)
        assert torch.allclose(back.K, cameras.K) and torch.allclose(back.T_camera_world, cameras.T_camera_world)
        assert quarter_turns(turned(cameras, turns)) == -turns % 4
    down = Cameras(cameras.K, torch.eye(4).repeat(FRAMES, 1, 1), WIDTH, HEIGHT)
    down.T_camera_world[:, :3, :3] = rotation_from_rotvec(torch.tensor([torch.pi / 2, 0, 0]))
    assert quarter_turns(down) == 0


def test_a_matrix_of_other_images_is_refused() -> None:
    cameras = upright_cameras()
    cameras.K[:, 0, 2] = 90
    with pytest.raises(AvatarError, match="optical axis"):
        centred_box(cameras)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("odometry.csv", "timestamp, frame\n1, 2\n", "each frame needs a row"),
        ("odometry.csv", "timestamp, frame, x, y, z, qx, qy, qz, qw\n", "no frames"),
        ("odometry.csv", "timestamp, frame, x, y, z, qx, qy, qz, qw\n0, 0, nan, 0, 0, 0, 0, 0, 1\n", "finite"),
        ("camera_matrix.csv", "1, 2\n3, 4\n", "3x3"),
        ("camera_matrix.csv", None, "There is no file"),
        ("rgb.mp4", b"no video", "not a video"),
    ],
)
def test_a_broken_scan_is_refused_in_one_sentence(
    tmp_path: Path, name: str, content: str | bytes | None, message: str
) -> None:
    folder = stray(tmp_path / "scan")
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(AvatarError, match=message):
        opened(folder, tmp_path)


def test_a_scan_that_was_cut_is_refused(tmp_path: Path) -> None:
    folder = stray(tmp_path / "scan", frames=FRAMES + 6)
    path = folder / "odometry.csv"
    path.write_text("\n".join(path.read_text().splitlines()[:5]))
    with pytest.raises(AvatarError, match="was cut or does not belong"):
        opened(folder, tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"poses": []},
        {"poses": "many"},
        {"K": [1, 2]},
        {"dw": 10**9},
        {"fps": 0},
        {"rgbd/1.jpg": b"no image"},
        {"rgbd/99.jpg": b""},
    ],
)
def test_a_broken_record3d_file_is_refused_in_one_sentence(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(AvatarError, match="is not a readable Record3D file"):
        opened(record3d(tmp_path / "clip.r3d", **changes), tmp_path)


def test_no_member_of_an_archive_is_written_to_a_name_of_its_own(tmp_path: Path) -> None:
    path = record3d(tmp_path / "clip.r3d", **{"rgbd/../../../stolen.jpg": b"x", "../stolen.jpg": b"x"})
    opened(path, tmp_path / "work")
    assert [file.name for file in tmp_path.rglob("*") if file.is_file()] == ["clip.r3d", "record3d.mov"]


@pytest.mark.parametrize("content", [None, b"", b"no lzfse", lzfse.compress(b"too short")])
def test_a_broken_depth_image_is_named(tmp_path: Path, content: bytes | None) -> None:
    recording = opened(record3d(tmp_path / "clip.r3d", **{"rgbd/2.depth": content}), tmp_path)
    with pytest.raises(AvatarError, match="the depth of frame 2 cannot be read"):
        recording.depth(2)
    assert recording.depth(1).max() > 0


def test_without_lzfse_the_message_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lzfse", None)
    with pytest.raises(UsageError, match=r"pip install 'splat-avatar\[depth\]'"):
        opened(record3d(tmp_path / "clip.r3d"), tmp_path)
