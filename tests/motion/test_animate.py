"""From avatar and motion to video: sizes, alpha, single images, cameras, and refusals."""

from pathlib import Path

import numpy as np
import pytest
import torch

from avatar.body import load_body
from avatar.errors import AvatarError, UsageError
from avatar.geometry import project
from avatar.io.camera_file import save_cameras
from avatar.io.images import read_image
from avatar.io.videos import open_video
from avatar.model.avatar import Avatar
from avatar.model.gaussians import sample_on_surface, triangle_frames
from avatar.model.world import World
from avatar.motion.retarget import Retargeting, retarget
from avatar.motion.text.pose_file import pose_from_words
from avatar.pipeline.animation import VideoOptions, animate, background_color, cameras_of, check_video, parse_size
from avatar.pipeline.motions import find_motion, motion_of_pose
from avatar.rendering.camera_paths import orbit
from avatar.types import BodyTrack


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    body = load_body("open")
    generator = torch.Generator().manual_seed(0)
    betas = torch.zeros(body.shape_dirs.shape[-1])
    frames = triangle_frames(body.rest(betas).vertices, body.faces)
    return Avatar(body, betas, sample_on_surface(frames, torch.ones(len(frames.area)), 300, generator), deform=False)


@pytest.fixture(scope="module")
def track(avatar: Avatar) -> BodyTrack:
    return retarget(find_motion("squat"), avatar.rest, Retargeting(fps=1.5))


@pytest.mark.parametrize("camera", ["orbit", "front", "follow"])
def test_the_whole_person_is_in_view_all_the_time(avatar: Avatar, camera: str) -> None:
    walk = retarget(find_motion("walk"), avatar.rest, Retargeting(fps=10.0, loop=3))
    cameras = cameras_of(VideoOptions(camera, 120, 200), World((avatar,)), [walk])
    for frame in range(len(walk)):
        pixels, depth = project(cameras.K[frame], cameras.T_camera_world[frame], avatar.pose(walk.poses[frame]).means)
        assert bool((depth > 0.1).all() & (pixels > 0).all() & (pixels < torch.tensor([120, 200])).all())


def test_a_video_has_the_requested_frames_and_size(avatar: Avatar, track: BodyTrack, tmp_path: Path) -> None:
    out = animate(World((avatar,)), [track], VideoOptions("front", 48, 64), tmp_path / "a.mp4", "reference")
    video = open_video(out)
    frames = [image for _, image in video.frames()]
    assert (video.width, video.height, len(frames)) == (48, 64, len(track))
    assert video.fps == pytest.approx(1.5, rel=0.01)


def test_frames_with_alpha_and_a_single_image(avatar: Avatar, track: BodyTrack, tmp_path: Path) -> None:
    animate(World((avatar,)), [track], VideoOptions("front", 48, 64, "alpha"), tmp_path / "frames", "reference")
    images = sorted((tmp_path / "frames").glob("*.png"))
    assert len(images) == len(track)
    first = read_image(images[0])
    assert first.shape == (64, 48, 4) and first[0, 0, 3] == 0 and first[..., 3].max() > 100
    animate(World((avatar,)), [track], VideoOptions("front", 48, 64, "#ff0000"), tmp_path / "one.png", "reference")
    one = read_image(tmp_path / "one.png")
    assert tuple(one[0, 0, :3]) == (255, 0, 0)
    blended = first[..., :3] * (first[..., 3:] / 255) + np.array([255, 0, 0]) * (1 - first[..., 3:] / 255)
    assert float(np.abs(blended - one[..., :3]).max()) < 4


def test_mp4_cannot_hold_alpha(avatar: Avatar, track: BodyTrack, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="webm"):
        animate(World((avatar,)), [track], VideoOptions(background="alpha"), tmp_path / "a.mp4")


def test_a_camera_file_is_used_and_must_fit(avatar: Avatar, track: BodyTrack, tmp_path: Path) -> None:
    save_cameras(
        tmp_path / "c.json", orbit(torch.tensor([-1.0, 0, -1]), torch.tensor([1.0, 2, 1]), len(track), 480, 640)
    )
    cameras = cameras_of(VideoOptions(str(tmp_path / "c.json"), 48, 64), World((avatar,)), [track])
    assert (len(cameras), cameras.width, cameras.height) == (len(track), 48, 64)
    save_cameras(tmp_path / "d.json", orbit(torch.tensor([-1.0, 0, -1]), torch.tensor([1.0, 2, 1]), 2, 480, 640))
    with pytest.raises(UsageError, match="2 cameras"):
        cameras_of(VideoOptions(str(tmp_path / "d.json"), 48, 64), World((avatar,)), [track])


def test_a_pose_in_words_stands_on_the_floor(avatar: Avatar) -> None:
    pose = retarget(motion_of_pose(pose_from_words("left knee raised, squatting")), avatar.rest)
    assert float(avatar.pose(pose.poses[0]).means[:, 1].detach().min()) == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("text", ["540", "0x10", "9x99999", "axb", "-5x20"])
def test_odd_sizes_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--size"):
        parse_size(text)


def test_names_that_are_neither_motion_nor_file() -> None:
    with pytest.raises(UsageError, match="built-in"):
        find_motion("moonwalk")
    with pytest.raises(UsageError, match="no file"):
        find_motion("walk.bvh")
    with pytest.raises(UsageError, match="background"):
        background_color("sparkling")


@pytest.mark.parametrize(
    ("background", "camera", "name", "sentence"),
    [
        ("pinkish", "follow", "a.mp4", "--background must be white"),
        ("alpha", "follow", "a.gif", "holds no alpha"),
        ("white", "absent.json", "a.mp4", "There is no file absent.json"),
        ("white", "follow", "a.xyz", "--out takes .mp4, .webm, .gif, .png or a folder, not a.xyz"),
        ("white", "follow", "file/a.mp4", "Cannot write .*a.mp4"),
    ],
)
def test_what_cannot_be_written_is_refused_before_the_work(
    tmp_path: Path, background: str, camera: str, name: str, sentence: str
) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(AvatarError, match=sentence):
        check_video(VideoOptions(camera, background=background), tmp_path / name)
    check_video(VideoOptions(), tmp_path / "new" / "folder")
    assert (tmp_path / "new").is_dir() and not list((tmp_path / "new").iterdir())
