"""Recordings with depth as apps write them: turned as the phone was held, whole, broken and hostile."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from avatar.errors import AvatarError, UsageError
from avatar.geometry import invert_rigid, project, rotation_from_rotvec
from avatar.io.camera_file import save_cameras
from avatar.io.depth_recording import DepthVideo, centred_box, quarter_turns, turned
from avatar.io.recordings import is_depth_recording, open_depth_recording
from avatar.types import Cameras

from .made_up_recordings import BAR, FPS, FRAMES, HEIGHT, WIDTH, K, record3d, stray, upright_cameras

lzfse = pytest.importorskip("lzfse")


def opened(path: Path, tmp_path: Path) -> DepthVideo:
    assert is_depth_recording(path)
    return open_depth_recording(path, None, tmp_path / "unpacked", 1920)


def cameras_of(recording: DepthVideo) -> Cameras:
    assert recording.cameras is not None
    return recording.cameras


def check_upright(recording: DepthVideo) -> None:
    """Colours, depth and cameras of a recording are those of the upright scene, around the optical axis."""
    video, cameras = recording.video, cameras_of(recording)
    assert (video.width, video.height) == (cameras.width, cameras.height) == (184, 248)
    centre = cameras.K[0, :2, 2] - torch.tensor([video.width / 2, video.height / 2])
    assert centre.abs().max() <= 1
    frames = list(video.frames())
    assert len(frames) == len(cameras) == FRAMES
    # The bar, in all three.
    ys, xs = np.nonzero(frames[0][1][..., 0] > 130)
    metres = recording.depth(0)
    rows, columns = np.nonzero((metres > 0) & (metres < 3))
    scale = video.width / metres.shape[1]
    assert (columns.mean() + 0.5) * scale == pytest.approx(xs.mean() + 0.5, abs=0.6 * scale)
    assert (rows.mean() + 0.5) * scale == pytest.approx(ys.mean() + 0.5, abs=0.6 * scale)
    # A point that the true upright camera sees at the bar's middle.
    middle = torch.tensor([[BAR[0] + BAR[2] / 2, BAR[1] + BAR[3] / 2, 1.0]])
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
    assert len(cameras_of(opened(folder, tmp_path))) == FRAMES


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
    cameras.K[:, 0, 2] = 180
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
    path = record3d(tmp_path / "clip.r3d")
    monkeypatch.setitem(sys.modules, "lzfse", None)
    with pytest.raises(UsageError, match=r"pip install 'splat-avatar\[depth\]'"):
        opened(path, tmp_path)
