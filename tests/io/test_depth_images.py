"""Depth images beside a video, against the scene that they show."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from avatar.errors import AvatarError, UsageError
from avatar.io.camera_file import save_cameras
from avatar.io.depth_images import DepthFiles
from avatar.io.depth_recording import DepthVideo
from avatar.io.intrinsics_file import load_intrinsics
from avatar.io.recordings import check_depth_files, open_depth_recording

from .made_up_depth_images import ffv1, millimetres, open3d_intrinsics, pngs, realsense_intrinsics, video
from .made_up_recordings import DEPTH, FRAMES, HEIGHT, WIDTH, K, depth, stray, upright_cameras


def opened(
    tmp_path: Path, path: Path, scale: float | None = None, camera: Path | None = None, frames: int = FRAMES
) -> DepthVideo:
    files = DepthFiles(path, scale, camera)
    return open_depth_recording(video(tmp_path / "colours.mp4", frames), files, tmp_path / "work", 1920)


def check_frames(recording: DepthVideo, frames: int = FRAMES) -> None:
    for frame in range(frames):
        assert recording.depth(frame) == pytest.approx(depth() + 0.001 * frame, abs=1e-4)


def test_every_form_holds_the_same(tmp_path: Path) -> None:
    stack = millimetres()
    np.save(tmp_path / "stack.npy", stack)
    np.savez_compressed(tmp_path / "one.npz", stack)
    np.savez(tmp_path / "two.npz", depth=stack, color=np.zeros(3))
    np.save(tmp_path / "metres.npy", (stack / 1000).astype(np.float32))
    forms = ["stack.npy", "one.npz", "two.npz", "metres.npy"]
    paths = [tmp_path / name for name in forms]
    paths += [pngs(tmp_path / "folder", stack), ffv1(tmp_path / "depth.mkv", stack)]
    for path in paths:
        recording = opened(tmp_path, path)
        check_frames(recording)
        assert recording.cameras is None and recording.depth(0).shape == DEPTH[::-1]


def test_the_unit_is_the_users(tmp_path: Path) -> None:
    path = pngs(tmp_path / "folder", 5 * millimetres())
    check_frames(opened(tmp_path, path, 0.0002))
    np.save(tmp_path / "stack.npy", millimetres().astype(np.float32))
    with pytest.raises(AvatarError, match=r"holds no depth between 0 and 20 m: is --depth-scale right\?"):
        opened(tmp_path, tmp_path / "stack.npy")


def test_numbers_and_order_tell_whose_a_depth_image_is(tmp_path: Path) -> None:
    check_frames(opened(tmp_path, pngs(tmp_path / "one", millimetres(12), first=1), frames=12), 12)
    by_time = pngs(tmp_path / "time", millimetres(12))
    for frame in range(12):
        (by_time / f"depth_{frame}.png").rename(by_time / f"{1305031102 + frame // 10}.{frame % 10}21.png")
    check_frames(opened(tmp_path, by_time, frames=12), 12)
    (by_time / "1305031102.521.png").unlink()
    with pytest.raises(AvatarError, match="their names do not tell whose they are: number them from 0"):
        opened(tmp_path, by_time, frames=12)


def test_frames_without_a_good_depth_image_are_named(tmp_path: Path) -> None:
    folder = pngs(tmp_path / "folder", millimetres())
    (folder / "depth_1.png").unlink()
    (folder / "depth_2.png").write_bytes(b"broken")
    pngs(tmp_path / "other", millimetres()[:1, ::2, ::2])
    (tmp_path / "other" / "depth_0.png").rename(folder / "depth_3.png")
    recording = opened(tmp_path, folder)
    for frame, message in ((1, "no image of frame 1"), (2, "depth_2.png is not"), (3, "12x16 pixels, unlike the")):
        with pytest.raises(AvatarError, match=message):
            recording.depth(frame)
    assert recording.depth(4).max() > 3.9


def test_intrinsics_put_the_optical_axis_into_the_middle(tmp_path: Path) -> None:
    """Of every form of file; a camera file in metres brings the camera's places too."""
    np.save(tmp_path / "stack.npy", millimetres())
    save_cameras(tmp_path / "cameras.json", upright_cameras())
    files = [open3d_intrinsics(tmp_path / "open3d.json"), realsense_intrinsics(tmp_path / "realsense.json")]
    for file in (*files, tmp_path / "cameras.json"):
        recording = opened(tmp_path, tmp_path / "stack.npy", camera=file)
        cameras = recording.cameras
        assert cameras is not None and len(cameras) == FRAMES
        assert (cameras.width, cameras.height) == (recording.video.width, recording.video.height) == (184, 248)
        middle = torch.tensor([92.0, 124.0])
        assert (cameras.K[0, :2, 2] - middle).abs().max() <= 1 and cameras.K[0, 0, 0] == K[0, 0]
        moves = (cameras.T_camera_world[0] - cameras.T_camera_world[-1]).abs().max() > 0.1
        assert moves == (file.name == "cameras.json")
    assert load_intrinsics(tmp_path / "cameras.json") is None


def test_cameras_without_a_unit_are_left_to_the_estimate(tmp_path: Path) -> None:
    np.save(tmp_path / "stack.npy", millimetres())
    frames = [
        {"file_path": f"{frame:03}.png", "transform_matrix": np.eye(4).tolist(), "fl_x": 220.0, "cx": 96.0, "cy": 128.0}
        for frame in range(FRAMES)
    ]
    frames[1]["transform_matrix"] = [[1, 0, 0, 0.5], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    path = tmp_path / "transforms.json"
    path.write_text(str({"w": WIDTH, "h": HEIGHT, "frames": frames}).replace("'", '"'))
    assert opened(tmp_path, tmp_path / "stack.npy", camera=path).cameras is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("short.npy", "has 3 depth images, but the video has 6 frames"),
        ("flat.npy", r"of shape \(32, 24\)"),
        ("bytes.npy", "too coarse for depth"),
        ("objects.npy", "holds no depth images"),
        ("wide.npy", "has other proportions than the colour image"),
        ("many.npz", "its arrays are a, b, and none of them is called depth"),
        ("cut.npz", "holds no depth images"),
        ("lossy.mp4", "is a video of h264.*needs 16-bit grey"),
        ("text.txt", "is no depth: give a folder"),
        ("empty", "holds no PNG images"),
        ("absent.npy", "There is no file"),
        ("eight", "should be a 16-bit grey png"),
    ],
)
def test_what_is_no_depth_of_this_video_is_refused_in_one_sentence(tmp_path: Path, name: str, message: str) -> None:
    path, stack = tmp_path / name, millimetres()
    arrays = {
        "short.npy": stack[:3],
        "flat.npy": stack[0],
        "bytes.npy": stack.astype(np.uint8),
        "objects.npy": np.array([{}], dtype=object),
        "wide.npy": stack.transpose(0, 2, 1),
    }
    if name in arrays:
        np.save(path, arrays[name], allow_pickle=True)
    elif name == "many.npz":
        np.savez(path, a=stack, b=stack)
    elif name == "cut.npz":
        np.savez(path, stack)
        path.write_bytes(path.read_bytes()[:-2000])
    elif name == "lossy.mp4":
        ffv1(path, np.repeat(np.repeat(stack, 4, 1), 4, 2), "yuv420p", "libx264")
    elif name == "text.txt":
        path.write_text("1 2 3")
    elif name == "empty":
        path.mkdir()
    elif name == "eight":
        pngs(path, (stack // 20).astype(np.uint8))
    with pytest.raises(AvatarError, match=message):
        opened(tmp_path, path)


@pytest.mark.parametrize("content", ['{"fx": 1}', '{"intrinsic_matrix": [1], "width": 2, "height": 2}'])
def test_broken_intrinsics_are_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "k.json").write_text(content)
    with pytest.raises(AvatarError, match="is broken"):
        load_intrinsics(tmp_path / "k.json")


def test_an_unsupported_lens_beside_depth_is_refused_before_the_work(tmp_path: Path) -> None:
    np.save(tmp_path / "stack.npy", millimetres())
    file = realsense_intrinsics(tmp_path / "k.json")
    entries = json.loads(file.read_text()) | {"model": "inverse_brown_conrady", "coeffs": [-0.05, 0.06, 0, 0, -0.02]}
    file.write_text(json.dumps(entries))
    with pytest.raises(UsageError, match="rectify the video"):
        opened(tmp_path, tmp_path / "stack.npy", camera=file)


def test_a_camera_of_other_images_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "stack.npy", millimetres())
    (tmp_path / "k.json").write_text('{"width": 640, "height": 480, "fx": 600, "fy": 600, "cx": 320, "cy": 240}')
    with pytest.raises(AvatarError, match="is for images of 640x480 pixels"):
        opened(tmp_path, tmp_path / "stack.npy", camera=tmp_path / "k.json")


def test_a_recording_takes_no_depth_beside_it(tmp_path: Path) -> None:
    folder = stray(tmp_path / "scan")
    with pytest.raises(UsageError, match="brings its own depth and cameras: leave out --depth"):
        check_depth_files(folder, DepthFiles(tmp_path), None)
    with pytest.raises(UsageError, match="leave out --camera with a file"):
        check_depth_files(folder, None, tmp_path / "cameras.json")
    with pytest.raises(UsageError, match="There is no file or folder"):
        check_depth_files(tmp_path / "me.mp4", DepthFiles(tmp_path / "absent"), None)
